"""A site file, checked and expanded: what the rest of the gateway is built from."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import ModuleType

from pydantic import BaseModel

from gateway.core.alarm import Suppression
from gateway.core.errors import ConfigError, SiteFileError
from gateway.core.model import Channel, Rule
from gateway.core.plugin import ChannelPlan, InstrumentPlan, OutputPlan, PluginOptions
from gateway.site.document import Document
from gateway.site.drawings import Drawings
from gateway.site.expand import told
from gateway.site.operation import CalibrationSection, CheckSection, PositionSection
from gateway.site.schema import OutputSection, SiteFile


@dataclass(frozen=True, slots=True)
class Connection:
    """One bus with its driver's module, what it reads and what it may switch."""

    id: str
    type: str
    module: ModuleType
    options: BaseModel
    instruments: tuple[InstrumentPlan, ...]
    path: tuple[str | int, ...]
    outputs: tuple[OutputPlan, ...] = ()


@dataclass(frozen=True, slots=True)
class Destination:
    """A store, an uplink or a notifier with its module."""

    id: str
    type: str
    module: ModuleType
    options: BaseModel
    path: tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Output:
    """A relay or coil that alarms switch.

    Attributes:
        id: Its id.
        connection: The id of the connection it is written over.
        section: When it is switched, as written.
        path: Where it stands in the site file.
    """

    id: str
    connection: str
    section: OutputSection
    path: tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Instrument:
    """An instrument as people know it, and what they owe it.

    Attributes:
        id: Its id.
        label: Name for people, or empty.
        label_zh: The same in Chinese, or empty.
        area: The area, or empty.
        location: Where exactly, or empty.
        connection: The connection it is read over.
        profile: Its profile, or empty.
        calibration: When it must be calibrated and bump-tested; None where the site file asks nothing.
        checklist: What to look at when somebody stands before it.
        position: Where it stands on a plan, or None.
    """

    id: str
    label: str
    label_zh: str
    area: str
    location: str
    connection: str
    profile: str
    calibration: CalibrationSection | None
    checklist: tuple[CheckSection, ...]
    position: PositionSection | None


@dataclass(frozen=True, slots=True)
class Site:
    """A site file, checked and expanded.

    Attributes:
        file: The sections as written.
        channels: The channel table; `channels[row].row == row`.
        connections: The buses that have instruments or outputs.
        rules: One rule a channel, grouped by the order of the file; those that nobody wrote but everybody needs
            (fault supervision of every channel) come last.
        stores: Databases.
        uplinks: Platforms.
        notifiers: Ways to tell people.
        secrets: Secrets by name, already read.
        document: The text, which knows the lines.
        outputs: Relays and coils; none where the file names none.
        suppressions: Alarms that the site's own logic puts aside.
        drawings: The plans, read, and where instruments stand on them.
        instruments: The instruments as people know them, by id, in the order of the file.
    """

    file: SiteFile
    channels: tuple[Channel, ...]
    connections: tuple[Connection, ...]
    rules: tuple[Rule, ...]
    stores: tuple[Destination, ...]
    uplinks: tuple[Destination, ...]
    secrets: dict[str, str] = field(repr=False)
    document: Document = field(repr=False)
    outputs: tuple[Output, ...] = ()
    suppressions: tuple[Suppression, ...] = ()
    drawings: Drawings = field(default_factory=Drawings, repr=False)
    instruments: Mapping[str, Instrument] = field(default_factory=dict)
    notifiers: tuple[Destination, ...] = ()

    def lean(self) -> "Site":
        """Return the site without what only its making needed: the text, and where each channel lives on its bus."""
        none = PluginOptions()
        return replace(
            self,
            document=replace(self.document, text=""),
            connections=tuple(
                replace(c, instruments=tuple(_lean(plan, none) for plan in c.instruments)) for c in self.connections
            ),
        )

    def error(self, problem: ConfigError) -> SiteFileError:
        """Return a plugin's complaint with its place in the file, or in the profile that it comes from."""
        return SiteFileError(told(self.document, [problem]))


def _lean(plan: InstrumentPlan, none: PluginOptions) -> InstrumentPlan:
    return replace(
        plan, options=none, channels=tuple(ChannelPlan(p.channel, none, alarmed=p.alarmed) for p in plan.channels)
    )
