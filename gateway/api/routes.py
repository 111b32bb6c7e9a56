"""What a route is, and the one way in which routes enter the application and its description."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import UnionType
from typing import Any, Final, get_args

from fastapi import Depends, FastAPI, Response

from gateway.api import problems
from gateway.api.access import Access, Role
from gateway.api.replies import needs

PREFIX: Final = "/api/v1"
REF: Final = "#/components/schemas/{name}"
_JSON: Final = "application/json"


@dataclass(frozen=True, kw_only=True, slots=True)
class Route:
    """One way to ask the gateway something, or to order it.

    Attributes:
        path: Behind `/api/v1/`; with a slash in front as it stands.
        call: What answers; its first line describes the route, its name identifies it.
        role: The least role that is admitted.
        answer: The structure (or union of structures) that it answers with, or the media type where that is no JSON.
        order: The structure of the body; None where there is none.
        method: GET where there is no order and POST where there is, unless said.
        refusals: What its refusals mean, beside those that every route of its role has, by status.
        order_needed: Whether the body may not be left out.
        guarded: False for what pages of other sites may lead to: not even its caller is looked at.
    """

    path: str
    call: Callable[..., Any]
    role: Role
    answer: type | UnionType | str
    order: type | None = None
    method: str = ""
    refusals: Mapping[int, str] | None = None
    order_needed: bool = True
    guarded: bool = True

    @property
    def whole_path(self) -> str:
        """The path from the root."""
        return self.path if self.path.startswith("/") else f"{PREFIX}/{self.path}"

    @property
    def answers(self) -> tuple[type, ...]:
        """The structures of the answer; none where it is no JSON."""
        if isinstance(self.answer, str):
            return ()
        return get_args(self.answer) or (self.answer,)

    @property
    def structures(self) -> tuple[type, ...]:
        """Every structure that the description needs."""
        return self.answers if self.order is None else (*self.answers, self.order)


def add(app: FastAPI, access: Access, route: Route) -> None:
    """Add a route with its role. The order counts: ids have slashes in them, so longer paths come first."""
    extra: dict[str, Any] = {"x-role": route.role.name.lower(), "security": []}
    if route.role is not Role.NOBODY:
        extra["security"] = [{"token": []}, {"session": []}]
    if route.order is not None:
        extra["requestBody"] = {"required": route.order_needed, "content": _content((route.order,))}
    content = _content(route.answers) if route.answers else {str(route.answer): {}}
    app.add_api_route(
        route.whole_path,
        route.call,
        methods=[route.method or ("GET" if route.order is None else "POST")],
        name=getattr(route.call, "__name__", route.path),
        # The framework would check and encode answers again; they are bytes already.
        response_model=None,
        response_class=Response,
        dependencies=[Depends(needs(access, route.role))] if route.guarded else [],
        responses={200: {"description": "Done.", "content": content}, **_refusals(route)},
        openapi_extra=extra,
    )


def _content(structures: tuple[type, ...]) -> dict[str, Any]:
    schemas = [{"$ref": REF.format(name=structure.__name__)} for structure in structures]
    return {_JSON: {"schema": schemas[0] if len(schemas) == 1 else {"oneOf": schemas}}}


def _refusals(route: Route) -> dict[int | str, dict[str, Any]]:
    """Return the refusals that every route of a role has, and a route's own."""
    content = {problems.MEDIA_TYPE: {"schema": {"$ref": REF.format(name="Problem")}}}
    reasons = {422: "Something in the request is not understood."} if route.guarded else {}
    if route.role > Role.NOBODY:
        reasons |= {401: "No token, or none that is known."}
        reasons |= {403: "The role does not suffice, or another site's page asks."}
        reasons |= {429: "Too many wrong tokens from this address."}
    if route.role >= Role.OPERATOR:
        reasons |= {409: "The present state does not allow it.", 413: "The body is larger than 64 KiB."}
        reasons |= {415: "The body is no application/json."}
    reasons |= route.refusals or {}
    return {status: {"description": reason, "content": content} for status, reason in sorted(reasons.items())}
