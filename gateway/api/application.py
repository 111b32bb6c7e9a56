"""The API as an ASGI application: all routes, and the OpenAPI page that describes them."""

from typing import Any

import msgspec
from fastapi import FastAPI, Request, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.api import problems
from gateway.api.access import COOKIE, Access, Role
from gateway.api.alarm_statistics import AlarmStatisticsRoutes
from gateway.api.cases import CaseRoutes
from gateway.api.commands import Commands
from gateway.api.commissioning import Commissioning
from gateway.api.face import Gateway
from gateway.api.handover import HandoverRoutes
from gateway.api.hub import Hub
from gateway.api.instruments import InstrumentRoutes
from gateway.api.limits import Limits
from gateway.api.notifiers import NotifierRoutes
from gateway.api.orders import OrderRoutes
from gateway.api.pages import PageRoutes
from gateway.api.payloads import StreamEventView
from gateway.api.people import PeopleRoutes
from gateway.api.plain import PlainText
from gateway.api.plans import PlanRoutes
from gateway.api.reads import Reads
from gateway.api.reports import ReportRoutes
from gateway.api.routes import REF, Route, add
from gateway.api.session import SessionRoutes
from gateway.api.site import installed_version


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
    commission = Commissioning(gateway)
    parts = (
        Reads(gateway, access, hub),
        Commands(gateway),
        OrderRoutes(gateway),
        commission,
        PlanRoutes(gateway),
        InstrumentRoutes(gateway),
        HandoverRoutes(gateway),
        ReportRoutes(gateway),
        NotifierRoutes(gateway),
        CaseRoutes(gateway),
        AlarmStatisticsRoutes(gateway),
        SessionRoutes(gateway, access),
        PeopleRoutes(gateway, access),
        PlainText(gateway),
        PageRoutes(),
    )
    routes = [route for part in parts for route in part.routes()]
    routes.append(_description(app))
    app.state.structures = [structure for route in routes for structure in route.structures]
    for route in routes:
        add(app, access, route)
    return Api(app, hub, commission)


def _description(app: FastAPI) -> Route:
    async def openapi(_: Request) -> Response:
        """Return this description."""
        return Response(msgspec.json.encode(openapi_document(app)), media_type="application/json")

    path = "openapi.json"
    return Route(path=path, call=openapi, role=Role.NOBODY, answer="application/json", guarded=False)


def openapi_document(app: FastAPI) -> dict[str, Any]:
    """Return the API's OpenAPI document, with the schemas of all payloads."""
    document = app.openapi()
    # Two that no route answers with by itself: the stream's messages, and refusals.
    structures = {*app.state.structures, StreamEventView, problems.Problem}
    by_name = sorted(structures, key=lambda structure: structure.__name__)
    _, schemas = msgspec.json.schema_components(by_name, ref_template=REF)
    components = document.setdefault("components", {})
    components["schemas"] = {**components.get("schemas", {}), **schemas}
    components["securitySchemes"] = {
        "token": {"type": "http", "scheme": "bearer", "description": "`hzg_…`"},
        "session": {"type": "apiKey", "in": "cookie", "name": COOKIE, "description": "Orders need `X-CSRF-Token`."},
    }
    return document
