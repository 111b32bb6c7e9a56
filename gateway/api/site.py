"""What the API says of the site file: names, areas, shifts, and how alarms are run here."""

from importlib.metadata import PackageNotFoundError, version

from gateway.api.payloads import View
from gateway.site.schema import SiteFile


class AreaView(View):
    """An area as people know it; empty texts where the site file says nothing."""

    id: str
    label: str
    label_zh: str
    phone: str
    response: str
    response_zh: str


class SiteShiftView(View):
    """A shift; it ends when the next one begins."""

    name: str
    name_zh: str
    begins: str


class ResponseView(View):
    """Whether alarms open cases, of which priorities, and the time limits of their steps in seconds, or null."""

    enabled: bool
    priorities: list[int]
    limits: dict[str, float | None]


class ShelvingView(View):
    """How long whom may shelve, in seconds."""

    operator_s: float
    engineer_s: float
    red_by_operator: bool


class FloodView(View):
    """More than `begins` alarms in 10 minutes begin a flood, fewer than `ends` end it."""

    begins: int
    ends: int


class PlanView(View):
    """A drawing of the site."""

    id: str
    label: str
    label_zh: str


class SiteView(View):
    """The site as its file describes it."""

    id: str
    name: str
    name_zh: str
    timezone: str
    version: str
    areas: list[AreaView]
    shifts: list[SiteShiftView]
    response: ResponseView
    shelving: ShelvingView
    out_of_service_max_s: float
    flood: FloodView
    first_out_s: float
    plans: list[PlanView]


def site_view(file: SiteFile) -> SiteView:
    """Return a site file as the API says it."""
    alarms, response = file.alarms, file.response
    return SiteView(
        id=file.site.id,
        name=file.site.name or file.site.id,
        name_zh=file.site.name_zh,
        timezone=file.site.timezone,
        version=installed_version(),
        areas=[AreaView(**area.model_dump()) for area in file.areas],
        shifts=[SiteShiftView(**shift.model_dump()) for shift in file.shifts],
        response=ResponseView(
            enabled=response.enabled, priorities=list(response.priorities), limits=response.limits.model_dump()
        ),
        shelving=ShelvingView(**alarms.shelving.model_dump()),
        out_of_service_max_s=alarms.out_of_service_max_s,
        flood=FloodView(begins=alarms.flood_begins, ends=alarms.flood_ends),
        first_out_s=alarms.first_out_s,
        plans=[PlanView(id=plan.id, label=plan.label, label_zh=plan.label_zh) for plan in file.plans],
    )


def installed_version() -> str:
    """Return the gateway's version, 0 where it was never installed."""
    try:
        return version("hazgate")
    except PackageNotFoundError:  # run from a checkout
        return "0"
