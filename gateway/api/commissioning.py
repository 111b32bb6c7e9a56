"""Commissioning over the API: serial ports, scans, registers and guesses, for engineers; reads only.

What a running connection owns is asked through its driver, between the polls. A serial line that is being read is not
scanned: a scan needs the line for itself, at other speeds.
"""

import asyncio
import textwrap
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import msgspec
import numpy as np
import structlog
from fastapi import Request, Response

from gateway.api.access import Role
from gateway.api.commissioning_payloads import (
    SAMPLES_MAX,
    Checked,
    CheckedView,
    FoundView,
    Guesses,
    GuessOrder,
    GuessView,
    PlaceOrder,
    Ports,
    PortView,
    ReadOrder,
    Registers,
    RegisterView,
    SampleView,
    ScanOrder,
    ScanView,
)
from gateway.api.face import Gateway, Running
from gateway.api.payloads import NoOrder, moment
from gateway.api.problems import ProblemError
from gateway.api.replies import body_of, caller_of, reply
from gateway.api.routes import Route
from gateway.commissioning import choices, paste
from gateway.commissioning.adapters import Adapter, adapters
from gateway.commissioning.jobs import Scanned, Scans
from gateway.commissioning.looks import look
from gateway.commissioning.reasons import reason, why
from gateway.commissioning.wing import fingerprints, survey
from gateway.core.clock import rfc3339
from gateway.core.commissioning import (
    UNKNOWN_WORD,
    Bus,
    Found,
    LineSettings,
    NoAnswerError,
    Sample,
    ScanPlan,
    Survey,
)
from gateway.core.errors import ConfigError, NotConnectedError
from gateway.core.model import BAD_FROM, quality_name

log = structlog.get_logger()

PATIENCE_S = 30.0
"""Longest time that one question of a person may take."""

_NO_ANSWER: Final = {502: "The endpoint cannot be reached.", 504: "The instrument does not answer."}


class Commissioning:
    """The routes of commissioning.

    Args:
        gateway: Whose connections are not to be disturbed.
    """

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._scans = Scans(survey, gateway.clock)
        self._turn = asyncio.Lock()

    def routes(self) -> list[Route]:
        """Return the routes; questions take time of the line, so all are for engineers, also those that only read."""
        found = (
            ("ports", self.ports, Ports, None),
            ("scan", self.scan_state, ScanView, None),
            ("scan", self.scan, ScanView, ScanOrder),
            ("scan/stop", self.scan_stop, ScanView, NoOrder),
            ("check", self.check, Checked, None),
            ("read", self.read, Registers, ReadOrder),
            ("guess", self.guess, Guesses, GuessOrder),
        )
        return [
            Route(
                path=f"commissioning/{path}",
                call=call,
                role=Role.ENGINEER,
                answer=answer,
                order=order,
                refusals=_NO_ANSWER if answer in (Registers, Guesses) else None,
            )
            for path, call, answer, order in found
        ]

    def close(self) -> None:
        """Stop a scan that runs."""
        self._scans.cancel()

    async def ports(self, request: Request) -> Response:
        """Return the serial ports of this machine."""
        found = await asyncio.to_thread(adapters)
        return await reply(request, Ports(ports=[_port_view(adapter) for adapter in found]))

    async def scan(self, request: Request) -> Response:
        """Begin a scan; one at a time."""
        order = await body_of(request, ScanOrder)
        plan = await asyncio.to_thread(self._plan, order)
        try:
            scanned = self._scans.start(plan)
        except ConfigError as error:
            raise ProblemError(409 if self._scans.running else 422, str(error)) from error
        log.info("scan begins", who=caller_of(request).name, endpoints=plan.endpoints, units=len(plan.units))
        return await reply(request, _scan_view(scanned))

    async def scan_state(self, request: Request) -> Response:
        """Return how far the scan is and what it has found, or what the last one found."""
        return await reply(request, _scan_view(self._scans.last) if self._scans.last else ScanView())

    async def scan_stop(self, request: Request) -> Response:
        """Stop the scan; what it has found stays."""
        await body_of(request, NoOrder)
        await self._scans.stop()
        return await self.scan_state(request)

    async def read(self, request: Request) -> Response:
        """Read registers once, in every way they can be read; nothing is written."""
        order = await body_of(request, ReadOrder)
        _check_end(order.address, order.count)
        async with self._asking(order) as bus:
            words = await bus.read(order.unit, order.table, order.address, order.count)
        views = msgspec.convert(survey().views(words), list[RegisterView], from_attributes=True)
        latency_s = round(words.latency_s, 4)
        return await reply(
            request, Registers(table=words.table, latency_s=latency_s, registers=views, refused=dict(words.refused))
        )

    async def check(self, request: Request, connection: str) -> Response:
        """Return every channel of a running connection: value, unit, quality, latency, and why it is not good."""
        gateway = self._gateway
        named = next((one for one in gateway.connections() if one.id == connection), None)
        if named is None:
            raise ProblemError(404, f"there is no running connection {connection!r}")
        mine = {one.id for one in gateway.instruments() if one.connection == connection}
        latest, took_s = gateway.latest(), named.latencies_s()
        channels = [
            CheckedView(
                channel=channel.id,
                value=None if quality >= int(BAD_FROM) else float(latest.value[channel.row]),
                unit=channel.unit,
                quality=quality_name(quality),
                time=moment(int(latest.time_ns[channel.row])),
                latency_s=took_s.get(channel.row),
                why=why(quality),
            )
            for channel in gateway.channels
            if channel.instrument in mine
            for quality in (int(latest.quality[channel.row]),)
        ]
        return await reply(
            request, Checked(time=rfc3339(gateway.clock.now_ns()), connection=connection, channels=channels)
        )

    async def guess(self, request: Request) -> Response:
        """Read registers while a display shows `value`, and guess how they are to be read."""
        order = await body_of(request, GuessOrder)
        _check_end(order.address, order.count)
        if not order.value:
            raise ProblemError(422, "value: what the display shows, such as 17.2")
        if len(order.samples) >= SAMPLES_MAX:
            raise ProblemError(422, f"samples: at most {SAMPLES_MAX - 1} besides the new value")
        tables: list[str] = list(dict.fromkeys(order.tables))
        async with self._asking(order) as bus:
            looks = await look(bus, order.unit, tables, order.address, order.count, clock=self._gateway.clock)
        by_table = {table: [list(words.values) for words in read] for table, read in looks.items()}
        samples = [*order.samples, SampleView(value=order.value, looks=by_table)]
        seen = {table: [_sample(sample, table, order.count) for sample in samples] for table in by_table}
        verdict = await asyncio.to_thread(survey().rank, seen, order.address, order.value_unit, order.full_scale)
        best = next(iter(verdict.guesses), None)
        yaml = paste.of_channel(best.table, best, best.address, order.value_unit, order.full_scale) if best else []
        guesses = msgspec.convert(verdict.guesses, list[GuessView], from_attributes=True)
        answer = Guesses(
            unique=verdict.unique,
            advice=verdict.advice,
            guesses=guesses,
            samples=samples,
            yaml=textwrap.dedent("\n".join(yaml)),
        )
        return await reply(request, answer)

    def _plan(self, order: ScanOrder) -> ScanPlan:
        """Return what to scan; in a thread, because profiles are read. Raises ProblemError."""
        running = self._running()
        known = fingerprints()
        try:
            endpoints = tuple(dict.fromkeys(choices.endpoint(text) for text in order.endpoints))
            for endpoint in endpoints:
                owner = running.get(survey().place(endpoint))
                if owner is not None and endpoint.startswith("rtu"):
                    why = f"{endpoint} is read by the connection {owner.id!r}; a scan needs the line for itself"
                    raise ProblemError(409, f"{why}. Take the connection out of the site file, reload, then scan")
            return ScanPlan(
                endpoints=endpoints,
                units=choices.units(order.units),
                lines=choices.lines(order.baud, order.parity, order.stop_bits, known),
                fingerprints=known,
                every_line=order.every_line or bool(order.baud),
                thorough=order.thorough,
                wait_s=order.wait_s,
            )
        except (ValueError, ConfigError) as error:
            raise ProblemError(422, str(error)) from error

    def _running(self) -> dict[str, Running]:
        """Return the running connections that can be asked, by the place they own; touches the file system."""
        found: dict[str, Running] = {}
        for running in self._gateway.connections():
            try:
                found[survey(running.type).place_of(running.options)] = running
            except ConfigError:
                continue
        return found

    @asynccontextmanager
    async def _asking(self, order: PlaceOrder) -> AsyncIterator[Bus]:
        """Give the way to what was named, open, one caller at a time. Raises ProblemError."""
        bus = await asyncio.to_thread(self._bus, order)
        try:
            async with asyncio.timeout(PATIENCE_S), self._turn:
                await bus.open()
                yield bus
        except NoAnswerError as error:
            raise ProblemError(504, str(error)) from error
        except NotConnectedError as error:
            raise ProblemError(502, f"{error.endpoint}: {await asyncio.to_thread(reason, error)}") from error
        except TimeoutError as error:
            raise ProblemError(504, f"no answer within {PATIENCE_S:g} s") from error
        finally:
            await bus.close()

    def _bus(self, order: PlaceOrder) -> Bus:
        """Return the way to what was named: through the driver where one runs. Raises ProblemError."""
        if bool(order.connection) == bool(order.endpoint):
            raise ProblemError(422, "name either a connection or an endpoint")
        wing: Survey = survey()
        if order.connection:
            named = {running.id: running for running in self._running().values()}.get(order.connection)
            if named is None:
                raise ProblemError(422, f"there is no running connection {order.connection!r} with registers")
            return _through(wing, named)
        try:
            endpoint = choices.endpoint(order.endpoint)
            owner = self._running().get(wing.place(endpoint))
            if owner is not None:
                return _through(wing, owner)
            line = LineSettings(order.baud, order.parity, order.stop_bits) if endpoint.startswith("rtu:") else None
            return wing.bus(endpoint, line, order.wait_s)
        except (ValueError, ConfigError) as error:
            raise ProblemError(422, str(error)) from error


def _through(wing: Survey, running: Running) -> Bus:
    bus = wing.bus_through(running.driver)
    if bus is None:
        raise ProblemError(409, f"the connection {running.id!r} takes no questions while it is read")
    return bus


def _check_end(address: int, count: int) -> None:
    if address + count > 65536:
        raise ProblemError(422, f"count: {address} and {count} registers end beyond 65535")


def _sample(sample: SampleView, table: str, count: int) -> Sample:
    looks = sample.looks.get(table)
    if not looks or any(len(words) != count for words in looks):
        raise ProblemError(422, f"samples: each holds looks of {count} registers of table {table}")
    words = [[UNKNOWN_WORD if word is None else word for word in look] for look in looks]
    if any(not UNKNOWN_WORD <= word <= 0xFFFF for look in words for word in look):
        raise ProblemError(422, "samples: registers are 0 to 65535, or null")
    return Sample(np.array(words, np.int32), float(sample.value), len(sample.value.partition(".")[2]))


def _port_view(adapter: Adapter) -> PortView:
    usb = adapter.usb
    return PortView(
        device=adapter.device,
        path=adapter.path,
        by_id=adapter.by_id,
        by_path=adapter.by_path,
        driver=adapter.driver,
        product=f"{usb.maker} {usb.product}".strip() if usb else "",
        vendor_id=usb.vendor_id if usb else "",
        product_id=usb.product_id if usb else "",
        serial=usb.serial if usb else "",
        group=adapter.group,
        allowed=adapter.allowed,
        users=list(adapter.users),
        warnings=list(adapter.warnings),
    )


def _scan_view(scanned: Scanned) -> ScanView:
    at = scanned.progress
    return ScanView(
        running=scanned.running,
        ended=scanned.ended,
        done=at.done if at else 0,
        total=at.total if at else 0,
        left_s=round(at.left_s, 1) if at and scanned.running else 0.0,
        found=[_found_view(found) for found in scanned.found],
        hints=[f"{hint.endpoint}{f' {hint.line}' if hint.line else ''}: {hint.text}" for hint in scanned.hints],
        yaml=paste.of_finds(scanned.found, {}) if scanned.found else "",
    )


def _found_view(found: Found) -> FoundView:
    return FoundView(
        endpoint=found.endpoint,
        unit=found.unit,
        line=str(found.line or ""),
        answer=found.answer,
        latency_s=round(found.latency_s, 4),
        identification=dict(found.identification),
        profiles=list(found.profiles),
        sure=found.sure,
        note=found.note,
    )
