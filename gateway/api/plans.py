"""The plans: drawings as pictures, and where instruments stand on them; an engineer moves them on the screen."""

import asyncio
from typing import Annotated, Final

import msgspec
from fastapi import Request, Response

from gateway.api.access import Role
from gateway.api.face import Gateway
from gateway.api.payloads import NoOrder, View
from gateway.api.problems import ProblemError
from gateway.api.replies import body_of, caller_of, packed, reply
from gateway.api.routes import Route
from gateway.core.alarm import AlarmEvent, EventKind
from gateway.places import Place

POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'; sandbox"
"""A drawing comes from people: opened by itself, no script of it runs and nothing is fetched."""


class PlanDetail(View):
    """A drawing; `url` is relative to `/api/v1/`, `width` and `height` only give its shape."""

    id: str
    label: str
    label_zh: str
    url: str
    width: float
    height: float


class PlaceView(View):
    """Where an instrument stands: from the left and upper edge, 0 to 1; who moved it there, or empty."""

    plan: str
    x: float
    y: float
    moved_by: str


class Plans(View):
    """All plans, and the places by instrument; instruments that stand nowhere are left out."""

    plans: list[PlanDetail]
    places: dict[str, PlaceView]


class PlaceOrder(View, forbid_unknown_fields=True):
    """Where an instrument is to stand."""

    plan: Annotated[str, msgspec.Meta(max_length=64, description="The plan's id.")]
    x: Annotated[float, msgspec.Meta(ge=0, le=1, description="From the left edge, 0 to 1.")]
    y: Annotated[float, msgspec.Meta(ge=0, le=1, description="From the upper edge, 0 to 1.")]


class PlaceDone(View):
    """Where the instrument stands now; null where it stands nowhere."""

    place: PlaceView | None


class PlanRoutes:
    """The routes of the plans.

    Args:
        gateway: Where everything comes from.
    """

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._turn = asyncio.Lock()

    def routes(self) -> list[Route]:
        """Return the routes."""
        image, place, engineer = "plans/{plan_id}/image", "plans/places/{instrument_id}", Role.ENGINEER
        return [
            Route(path="plans", call=self.plans, role=Role.VIEWER, answer=Plans),
            Route(path=image, call=self.plan_image, role=Role.VIEWER, answer="image/svg+xml"),
            Route(path=place, call=self.place, role=engineer, answer=PlaceDone, order=PlaceOrder, method="PUT"),
            Route(
                path=place,
                call=self.place_back,
                role=engineer,
                answer=PlaceDone,
                order=NoOrder,
                method="DELETE",
                order_needed=False,
            ),
        ]

    async def plans(self, request: Request) -> Response:
        """List the plans and where instruments stand on them."""
        drawings = self._gateway.places.drawings.all
        return await reply(
            request,
            Plans(
                plans=[
                    PlanDetail(
                        id=d.id,
                        label=d.label,
                        label_zh=d.label_zh,
                        url=f"plans/{d.id}/image?v={d.tag}",
                        width=d.width,
                        height=d.height,
                    )
                    for d in drawings
                ],
                places={name: _view(place) for name, place in self._gateway.places.all().items()},
            ),
        )

    async def plan_image(self, request: Request, plan_id: str) -> Response:
        """Return a plan's drawing. A script in it would not run."""
        drawing = self._gateway.places.drawings.find(plan_id)
        if drawing is None:
            raise ProblemError(404, f"there is no plan {plan_id[:100]!r}")
        tag = f'"{drawing.tag}"'
        headers = {"ETag": tag, "Cache-Control": "private, no-cache", "Content-Security-Policy": POLICY}
        if request.headers.get("if-none-match") == tag:
            return Response(status_code=304, headers=headers)
        if drawing.media_type != "image/svg+xml":
            return Response(drawing.body, headers=headers, media_type=drawing.media_type)
        answer = await packed(request, drawing.body, drawing.media_type)
        answer.headers.update(headers)
        return answer

    async def place(self, request: Request, instrument_id: str) -> Response:
        """Put an instrument somewhere on a plan; the site file is not changed."""
        order = await body_of(request, PlaceOrder)
        self._must_exist(instrument_id)
        drawing = self._gateway.places.drawings.find(order.plan)
        if drawing is None:
            raise ProblemError(422, f"plan: there is no plan {order.plan!r}")
        who = caller_of(request).name
        place = Place(plan=order.plan, x=round(order.x, 4), y=round(order.y, 4), moved_by=who)
        async with self._turn:
            if self._gateway.places.all().get(instrument_id) != place:
                await asyncio.to_thread(self._gateway.places.move, instrument_id, place)
                spot = f"{place.x:.3f}, {place.y:.3f}"
                await self._tell(
                    instrument_id,
                    who,
                    f"{instrument_id} moved to {spot} on plan {drawing.label}",
                    f"{instrument_id} 移至平面图 {drawing.label_zh or drawing.label} 的 {spot}",
                )
        return await reply(request, PlaceDone(place=self._view_of(instrument_id)))

    async def place_back(self, request: Request, instrument_id: str) -> Response:
        """Put an instrument back to where the site file has it."""
        await body_of(request, NoOrder)
        self._must_exist(instrument_id)
        async with self._turn:
            if await asyncio.to_thread(self._gateway.places.put_back, instrument_id):
                await self._tell(
                    instrument_id,
                    caller_of(request).name,
                    f"{instrument_id} put back to its place in the site file",
                    f"{instrument_id} 恢复到站点文件中的位置",
                )
        return await reply(request, PlaceDone(place=self._view_of(instrument_id)))

    def _view_of(self, instrument: str) -> PlaceView | None:
        place = self._gateway.places.all().get(instrument)
        return None if place is None else _view(place)

    def _must_exist(self, instrument: str) -> None:
        if not any(channel.instrument == instrument for channel in self._gateway.channels):
            raise ProblemError(404, f"there is no instrument {instrument[:100]!r}")

    async def _tell(self, instrument: str, who: str, why: str, why_zh: str) -> None:
        now_ns = self._gateway.clock.now_ns()
        note = AlarmEvent(
            seq=0, kind=EventKind.NOTE, time_ns=now_ns, instrument=instrument, who=who, why=why, why_zh=why_zh
        )
        await self._gateway.record(note)


def _view(place: Place) -> PlaceView:
    return PlaceView(plan=place.plan, x=place.x, y=place.y, moved_by=place.moved_by)
