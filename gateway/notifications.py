"""Notifications: every notifier of the site, each with its own cursor on the journal, and how they are doing."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

import structlog

from gateway.alarms.desk import Desk
from gateway.alarms.routing import routes_to
from gateway.alarms.telling import Place, Surroundings, Teller
from gateway.core.alarm import Alarm
from gateway.core.clock import Clock
from gateway.core.notice import Notifier, Text
from gateway.core.status import NotifierStatus
from gateway.messenger import Events, Messenger, Tried
from gateway.outbox import Ledger
from gateway.site.operation import NotificationsSection
from gateway.site.plans import Destination, Site

log = structlog.get_logger()

AGAIN_S = 30.0
"""How long a notifier rests whose delivery has failed by a mistake of ours."""

Made = Sequence[tuple[Destination, Notifier]]


@dataclass(slots=True)
class _Line:
    messenger: Messenger
    task: asyncio.Task[None] | None = None


class Notifications:
    """Runs the notifiers of a site.

    Args:
        events: The journal as it is published.
        ledger: Keeps how far each notifier has come.
        clock: Time.
        alarms: Returns every alarm that is not normal.
        find: Returns one alarm, or None where it has never had an event.
        on_change: Told a notifier's id and why people cannot be told, empty when they can again.
    """

    def __init__(
        self,
        events: Events,
        ledger: Ledger,
        clock: Clock,
        *,
        alarms: Callable[[], Sequence[Alarm]],
        find: Callable[[str], Alarm | None],
        on_change: Callable[[str, str], None],
    ) -> None:
        self._events = events
        self._ledger = ledger
        self._clock = clock
        self._alarms = alarms
        self._find = find
        self._on_change = on_change
        self._lines: dict[str, _Line] = {}
        self._section = NotificationsSection()
        self._group: asyncio.TaskGroup | None = None

    def start(self, site: Site, made: Made) -> None:
        """Begin to tell.

        Args:
            site: The site.
            made: Its notifiers.
        """
        section = self._section = site.file.notifications
        if not made:
            return
        around = surroundings(site, self._response)
        failing = {alarm.id for alarm in self._alarms() if alarm.event.condition != "normal"}
        for destination, notifier in made:
            routes = routes_to(destination.id, section.routes)
            desk = Desk(destination.id, routes, around.zone, digest_s=section.digest_s, per_minute=notifier.per_minute)
            messenger = Messenger(
                destination.id,
                type_=destination.type,
                notifier=notifier,
                desk=desk,
                teller=Teller(destination.id, around),
                events=self._events,
                ledger=self._ledger,
                clock=self._clock,
                alarms=self._alarms,
                on_change=partial(self._on_change, destination.id),
                alarmed=f"system/notifier/{destination.id}" in failing,
            )
            line = self._lines[destination.id] = _Line(messenger)
            if self._group is not None:
                self._begin(self._group, line)

    async def run(self) -> None:
        """Tell until cancelled, then let go of all channels."""
        try:
            async with asyncio.TaskGroup() as group:
                self._group = group
                for line in self._lines.values():
                    self._begin(group, line)
                # Notifiers may come with a reload.
                await asyncio.Event().wait()
        finally:
            self._group = None
            for line in self._lines.values():
                await line.messenger.close()

    async def change(self, site: Site, made: Made) -> None:
        """Go on with a changed site: all stop, what they have come to kept, and start again."""
        lines, self._lines = list(self._lines.values()), {}
        for line in lines:
            if line.task is not None:
                line.task.cancel()
        tasks = [line.task for line in lines if line.task is not None]
        if tasks:
            await asyncio.wait(tasks)
        for line in lines:
            await line.messenger.close()
        self.start(site, made)

    def status(self) -> list[NotifierStatus]:
        """Return how each notifier is doing."""
        return [line.messenger.status() for line in self._lines.values()]

    def routes(self) -> list[dict[str, Any]]:
        """Return the routes as written, times of day under `from` and `until`."""
        return [route.model_dump(mode="json", by_alias=True) for route in self._section.routes]

    async def try_out(self, notifier: str, who: str) -> Tried | None:
        """Send a trial message at once; None where there is no such notifier."""
        line = self._lines.get(notifier)
        return None if line is None else await line.messenger.try_out(who)

    def _begin(self, group: asyncio.TaskGroup, line: _Line) -> None:
        line.task = group.create_task(self._live(line.messenger), name=f"notifier {line.messenger.name}")

    async def _live(self, messenger: Messenger) -> None:
        """Have a notifier run; a mistake in it must not end the gateway, which has instruments to watch."""
        while True:
            try:
                await messenger.run()
            except Exception as error:
                log.exception("notifier failed", notifier=messenger.name)
                self._on_change(messenger.name, f"people cannot be told: {type(error).__name__}: {error}")
                messenger.start_anew()
                await self._clock.sleep(AGAIN_S)

    def _response(self, alarm: str) -> Text:
        found = self._find(alarm)
        if found is None:
            return Text("", "")
        return Text(found.response_zh or found.response, found.response or found.response_zh)


def surroundings(site: Site, response: Callable[[str], Text]) -> Surroundings:
    """Return what messages say of a site beside the alarm itself."""
    file = site.file
    about = file.site
    return Surroundings(
        site=Text(about.name_zh or about.name or about.id, about.name or about.id),
        site_id=about.id,
        zone=ZoneInfo(about.timezone),
        link=file.notifications.link,
        places={
            area.id: Place(
                Text(area.label_zh or area.label or area.id, area.label or area.id),
                area.phone,
                Text(area.response_zh or area.response, area.response or area.response_zh),
            )
            for area in file.areas
        },
        labels={
            channel.id: Text(channel.label_zh or channel.label or channel.id, channel.label or channel.id)
            for channel in site.channels
        },
        response=response,
    )
