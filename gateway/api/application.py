"""The API as an ASGI application: routes, who may use them, and the OpenAPI page that describes them."""

from collections.abc import Callable
from typing import Any

import msgspec
from fastapi import Depends, FastAPI, Request, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.api import alarm_statistics, instruments, notifiers, orders, payloads, people, plans, problems, session
from gateway.api import cases as case_routes
from gateway.api import commissioning_payloads as asked
from gateway.api import handover as handover_routes
from gateway.api.access import COOKIE, Access, Role
from gateway.api.alarm_statistics import AlarmStatisticsRoutes
from gateway.api.cases import CaseRoutes
from gateway.api.commands import ROLES, Commands, Order
from gateway.api.commissioning import Commissioning
from gateway.api.face import Gateway
from gateway.api.handover import HandoverRoutes
from gateway.api.hub import Hub
from gateway.api.instruments import InstrumentRoutes
from gateway.api.limits import Limits
from gateway.api.notifiers import NotifierRoutes
from gateway.api.orders import OrderRoutes
from gateway.api.pages import PAGE, load_pages
from gateway.api.people import PeopleRoutes
from gateway.api.plans import PlanRoutes
from gateway.api.plain import PlainText
from gateway.api.problems import ProblemError
from gateway.api.reads import Reads
from gateway.api.replies import needs
from gateway.api.reports import ReportRoutes
from gateway.api.session import Route, SessionRoutes
from gateway.api.setpoints import SetPointColumns
from gateway.api.site import SiteView, installed_version

PREFIX = "/api/v1"
_HISTORY = f"{PREFIX}/channels/{{channel_id:path}}/history"
_REF = "#/components/schemas/{name}"


class Api:
    """The ASGI application of one gateway.

    Attributes:
        app: The web framework's application, for its routes and its OpenAPI document.
        hub: The live stream; `close` ends all of them.
    """

    def __init__(self, app: FastAPI, hub: Hub, commission: Commissioning) -> None:
        self.app = app
        self.hub = hub
        self._commission = commission
        self._outer: ASGIApp = Limits(app)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request (ASGI)."""
        await self._outer(scope, receive, send)

    def close(self) -> None:
        """End all streams, no new one begins; stop a scan."""
        self.hub.close()
        self._commission.close()


def create_api(gateway: Gateway, *, open_read: bool = False, local_operator: bool = False) -> Api:
    """Return the API of a gateway.

    Args:
        gateway: The running gateway.
        open_read: Reading needs neither session nor token, from wherever the gateway can be reached.
        local_operator: While neither account nor token exists, people at this machine may give commands as `local`.
    """
    access = Access(gateway.tokens, gateway.clock, gateway.people, open_read=open_read, local_operator=local_operator)
    hub = Hub(gateway)
    app = FastAPI(
        title="Hazgate",
        version=installed_version(),
        # The framework's pages load scripts from elsewhere; sites have no internet.
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        generate_unique_id_function=lambda route: route.name,
    )
    problems.install(app)
    _add_reads(app, Reads(gateway, access, hub), access)
    _add_commands(app, Commands(gateway), access)
    _add_orders(app, OrderRoutes(gateway), access)
    commission = Commissioning(gateway)
    _add_commissioning(app, commission, access)
    _add_plans(app, PlanRoutes(gateway), access)
    _add_instruments(app, InstrumentRoutes(gateway), access)
    _add_records(app, HandoverRoutes(gateway), ReportRoutes(gateway), access)
    _add_notifiers(app, NotifierRoutes(gateway), access)
    _add_cases(app, CaseRoutes(gateway), access)
    for path, call, role, answer in AlarmStatisticsRoutes(gateway).all():
        _add(app, access, f"{PREFIX}/{path}", call, role, answers=(answer,))
    _add_people(app, [*SessionRoutes(gateway, access).all(), *PeopleRoutes(gateway, access).all()], access)
    _add(app, access, "/alarms.txt", PlainText(gateway).alarms_text, Role.VIEWER, media_type="text/plain")
    _add_pages(app)
    return Api(app, hub, commission)


def _add(app: FastAPI, access: Access, path: str, call: Callable[..., Any], role: Role, **more: Any) -> None:
    """Add one route with its role; `answers` are the structures it answers with, else it says its media type."""
    answers = more.pop("answers", ())
    content = _json(*answers) if answers else {more.pop("media_type"): {}}
    app.add_api_route(
        path,
        call,
        name=call.__name__,
        # The framework would check and encode answers again; they are bytes already.
        response_model=None,
        response_class=Response,
        dependencies=[Depends(needs(access, role))],
        responses={200: {"description": "Done.", "content": content}, **_refusals(role, more.pop("refusals", {}))},
        openapi_extra={
            "x-role": role.name.lower(),
            "security": [{"token": []}, {"session": []}] if role is not Role.NOBODY else [],
            **more.pop("extra", {}),
        },
        **more,
    )


def _json(*structures: type) -> dict[str, Any]:
    schemas = [{"$ref": _REF.format(name=structure.__name__)} for structure in structures]
    return {"application/json": {"schema": schemas[0] if len(schemas) == 1 else {"oneOf": schemas}}}


def _refusals(role: Role, own: dict[int, str]) -> dict[int | str, dict[str, Any]]:
    """Return the refusals that every route of a role has, and a route's own."""
    content = {problems.MEDIA_TYPE: {"schema": {"$ref": _REF.format(name="Problem")}}}
    reasons = {401: "No token, or none that is known.", 403: "The role does not suffice, or another site's page asks."}
    reasons |= {422: "Something in the request is not understood.", 429: "Too many wrong tokens from this address."}
    if role is Role.NOBODY:
        reasons = {422: reasons[422]}
    if role >= Role.OPERATOR:
        reasons |= {409: "The present state does not allow it.", 413: "The body is larger than 64 KiB."}
        reasons |= {415: "The body is no application/json."}
    return {status: {"description": reason, "content": content} for status, reason in sorted((reasons | own).items())}


def _add_reads(app: FastAPI, reads: Reads, access: Access) -> None:
    view = Role.VIEWER
    _add(app, access, f"{PREFIX}/health", reads.health, Role.NOBODY, answers=(payloads.Health,))
    _add(app, access, f"{PREFIX}/channels", reads.channels, view, answers=(payloads.Channels, payloads.ChannelColumns))
    _add(
        app, access, f"{PREFIX}/channels/{{channel_id:path}}/history", reads.history, view, answers=(payloads.History,)
    )
    _add(app, access, f"{PREFIX}/channels/{{channel_id:path}}", reads.channel, view, answers=(payloads.ChannelDetail,))
    _add(app, access, f"{PREFIX}/alarms", reads.alarms, view, answers=(payloads.Alarms,))
    _add(app, access, f"{PREFIX}/events", reads.events, view, answers=(payloads.Events,))
    _add(app, access, f"{PREFIX}/instruments", reads.instruments, view, answers=(payloads.Instruments,))
    _add(app, access, f"{PREFIX}/uplinks", reads.uplinks, view, answers=(payloads.Uplinks,))
    _add(app, access, f"{PREFIX}/outputs", reads.outputs, view, answers=(payloads.OutputList,))
    _add(app, access, f"{PREFIX}/statistics", reads.statistics, view, answers=(payloads.Statistics,))
    _add(app, access, f"{PREFIX}/site", reads.site, view, answers=(SiteView,))
    _add(app, access, f"{PREFIX}/set-points", reads.set_points.set_points, view, answers=(SetPointColumns,))
    _add(app, access, f"{PREFIX}/stream", reads.stream, view, media_type="text/event-stream")
    _add(app, access, "/metrics", reads.metrics, view, media_type="text/plain")


def _add_commands(app: FastAPI, commands: Commands, access: Access) -> None:
    body = {"requestBody": {"required": False, "content": _json(Order)}}
    common: dict[str, Any] = {"methods": ["POST"], "answers": (payloads.CommandDone,), "extra": body}
    _add(app, access, f"{PREFIX}/silence", commands.silence, Role.OPERATOR, **common)
    reloads = {**common, "answers": (payloads.ReloadDone,)}
    _add(app, access, f"{PREFIX}/reload", commands.reload, Role.ENGINEER, **reloads)
    relearn = f"{PREFIX}/channels/{{channel_id:path}}/relearn"
    _add(app, access, relearn, commands.relearn, Role.ENGINEER, **common)
    for verb, role in ROLES.items():
        call = getattr(commands, verb.value.replace("-", "_"))
        # System alarms have slashes in their ids.
        _add(app, access, f"{PREFIX}/alarms/{{alarm_id:path}}/{verb.value}", call, role, **common)


def _add_plans(app: FastAPI, routes: PlanRoutes, access: Access) -> None:
    _add(app, access, f"{PREFIX}/plans", routes.plans, Role.VIEWER, answers=(plans.Plans,))
    _add(app, access, f"{PREFIX}/plans/{{plan_id}}/image", routes.plan_image, Role.VIEWER, media_type="image/svg+xml")
    place = f"{PREFIX}/plans/places/{{instrument_id}}"
    for call, method, order in (
        (routes.place, "PUT", plans.PlaceOrder),
        (routes.place_back, "DELETE", plans.NoPlaceOrder),
    ):
        extra = {"requestBody": {"required": method == "PUT", "content": _json(order)}}
        _add(app, access, place, call, Role.ENGINEER, methods=[method], answers=(plans.PlaceDone,), extra=extra)


def _add_commissioning(app: FastAPI, commission: Commissioning, access: Access) -> None:
    """Add what an engineer finds and looks at instruments with; questions take time of the line, so no less a role."""

    def add(path: str, call: Callable[..., Any], answer: type, order: type | None = None) -> None:
        more: dict[str, Any] = {"answers": (answer,)}
        if answer in (asked.Registers, asked.Guesses):
            more["refusals"] = {502: "The endpoint cannot be reached.", 504: "The instrument does not answer."}
        if order is not None:
            more |= {"methods": ["POST"], "extra": {"requestBody": {"required": True, "content": _json(order)}}}
        _add(app, access, f"{PREFIX}/commissioning/{path}", call, Role.ENGINEER, **more)

    add("ports", commission.ports, asked.Ports)
    add("scan", commission.scan_state, asked.ScanView)
    add("scan", commission.scan, asked.ScanView, asked.ScanOrder)
    add("scan/stop", commission.scan_stop, asked.ScanView, asked.NoOrder)
    add("check", commission.check, asked.Checked)
    add("read", commission.read, asked.Registers, asked.ReadOrder)
    add("guess", commission.guess, asked.Guesses, asked.GuessOrder)


def _add_instruments(app: FastAPI, routes: InstrumentRoutes, access: Access) -> None:
    for path, call, role, answer, order in routes.all():
        more: dict[str, Any] = {"answers": (answer,), "refusals": {404: "There is no such instrument."}}
        if order is not None:
            more |= {"methods": ["POST"], "extra": {"requestBody": {"required": True, "content": _json(order)}}}
        _add(app, access, f"{PREFIX}/{path}", call, role, **more)


def _add_notifiers(app: FastAPI, routes: NotifierRoutes, access: Access) -> None:
    for path, call, role, answer, order in routes.all():
        more: dict[str, Any] = {"answers": (answer,)}
        if order is not None:
            more |= {"methods": ["POST"], "refusals": {404: "There is no such notifier."}}
            more["extra"] = {"requestBody": {"required": True, "content": _json(order)}}
        _add(app, access, f"{PREFIX}/{path}", call, role, **more)


def _add_cases(app: FastAPI, routes: CaseRoutes, access: Access) -> None:
    for path, call, role, answer, order in routes.all():
        more: dict[str, Any] = {"refusals": {404: "There is no such case."}}
        more |= {"media_type": "image/jpeg"} if answer is None else {"answers": (answer,)}
        if order is not None:
            more |= {"methods": ["POST"], "extra": {"requestBody": {"required": True, "content": _json(order)}}}
        _add(app, access, f"{PREFIX}/{path}", call, role, **more)


def _add_records(app: FastAPI, handover: HandoverRoutes, reports: ReportRoutes, access: Access) -> None:
    """Add the shift handover, the reports, and the journal as a file."""
    for method, path, call, role, answer, order in handover.all():
        more: dict[str, Any] = {"methods": [method], "answers": (answer,)}
        more |= {"refusals": {404: "There is no such handover."}} if "{" in path or order is not None else {}
        if order is not None:
            more["extra"] = {"requestBody": {"required": True, "content": _json(order)}}
        _add(app, access, f"{PREFIX}/{path}", call, role, **more)
    for path, call, role, media_type, refusals in reports.all():
        _add(app, access, f"{PREFIX}/{path}", call, role, media_type=media_type, refusals=refusals)


def _add_people(app: FastAPI, routes: list[Route], access: Access) -> None:
    """Add signing in and out, accounts and tokens."""
    slowed = {401: "Not known here.", 429: "Too many wrong attempts.", 503: "Too many sign in at this moment."}
    for method, path, call, role, answer, order in routes:
        refusals = {403: "Refused.", 409: "The present state does not allow it."}
        refusals |= slowed if order is not None else {}
        refusals |= {404: "There is none of that name."} if "{" in path else {}
        more: dict[str, Any] = {"methods": [method], "answers": (answer,), "refusals": refusals}
        if order is not None:
            more["extra"] = {"requestBody": {"required": True, "content": _json(order)}}
        _add(app, access, f"{PREFIX}/{path}", call, role, **more)


def _add_orders(app: FastAPI, routes: OrderRoutes, access: Access) -> None:
    """Add orders about many alarms at once."""
    for path, call, role, order in routes.all():
        more: dict[str, Any] = {"methods": ["POST"], "answers": (orders.OrdersDone,)}
        more["refusals"] = {404: "There is none of that name, or it has no alarm."}
        more["extra"] = {"requestBody": {"required": True, "content": _json(order)}}
        _add(app, access, f"{PREFIX}/{path}", call, role, **more)


def _add_pages(app: FastAPI) -> None:
    pages = load_pages()

    async def openapi(_: Request) -> Response:
        """Return this description."""
        return Response(msgspec.json.encode(openapi_document(app)), media_type="application/json")

    def file(path: str, request: Request) -> Response:
        page = pages.get(path)
        if page is None:
            why = f"there is no page {path[:200]!r}" if pages else "this build has no console; the API is under /api/v1"
            raise ProblemError(404, why)
        return page.response(request)

    async def console(request: Request) -> Response:
        """Return the operator's page."""
        return file(PAGE, request)

    async def console_icon(request: Request) -> Response:
        """Return the page's icon."""
        return file("icon.svg", request)

    async def console_file(request: Request, path: str) -> Response:
        """Return one of the page's files."""
        return file(f"assets/{path}", request)

    def add(path: str, call: Callable[..., Any], media_type: str) -> None:
        app.add_api_route(
            path,
            call,
            name=call.__name__,
            response_model=None,
            response_class=Response,
            responses={200: {"description": "Done.", "content": {media_type: {}}}},
            openapi_extra={"x-role": "nobody", "security": []},
        )

    add(f"{PREFIX}/openapi.json", openapi, "application/json")
    add("/", console, "text/html")
    add("/icon.svg", console_icon, "image/svg+xml")
    add("/assets/{path:path}", console_file, "text/javascript")


def openapi_document(app: FastAPI) -> dict[str, Any]:
    """Return the API's OpenAPI document, with the schemas of all payloads."""
    document = app.openapi()
    structures = [
        payloads.Health,
        payloads.Channels,
        payloads.ChannelColumns,
        payloads.ChannelDetail,
        payloads.History,
        payloads.Alarms,
        payloads.Events,
        payloads.Instruments,
        payloads.Uplinks,
        payloads.OutputList,
        payloads.Statistics,
        SiteView,
        SetPointColumns,
        plans.Plans,
        plans.PlaceOrder,
        plans.NoPlaceOrder,
        plans.PlaceDone,
        payloads.CommandDone,
        payloads.ReloadDone,
        payloads.StreamEventView,
        problems.Problem,
        Order,
        orders.BulkOrder,
        orders.ServiceOrder,
        orders.OrdersDone,
        *notifiers.ANSWERS,
        *notifiers.ORDERS,
        *handover_routes.ANSWERS,
        *handover_routes.ORDERS,
        *instruments.ANSWERS,
        *instruments.ORDERS,
        *alarm_statistics.ANSWERS,
        *case_routes.ANSWERS,
        *case_routes.ORDERS,
        *session.ANSWERS,
        *session.ORDERS,
        *people.ANSWERS,
        *people.ORDERS,
        *asked.ANSWERS,
        *asked.ORDERS,
    ]
    _, schemas = msgspec.json.schema_components(structures, ref_template=_REF)
    components = document.setdefault("components", {})
    components["schemas"] = {**components.get("schemas", {}), **schemas}
    components["securitySchemes"] = {
        "token": {"type": "http", "scheme": "bearer", "description": "`hzg_…`"},
        "session": {"type": "apiKey", "in": "cookie", "name": COOKIE, "description": "Orders need `X-CSRF-Token`."},
    }
    return document
