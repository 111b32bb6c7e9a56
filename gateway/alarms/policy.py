"""How alarms are run on a site: who may shelve what for how long, how long a permit may run; plain figures."""

from dataclasses import dataclass

from gateway.alarms.level import is_covered
from gateway.alarms.source import Source
from gateway.core.alarm import AlarmEvent
from gateway.core.errors import CommandRefusedError
from gateway.core.model import Level, Priority

HOUR_S = 3600.0
OPERATOR = "operator"
"""The role whose shelving is limited more than that of engineers."""


@dataclass(frozen=True, slots=True)
class Policy:
    """What the site file says of alarms; the defaults are those of its sections.

    Attributes:
        operator_s: Longest shelving by an operator.
        engineer_s: Longest shelving by anybody.
        red_by_operator: An operator may shelve alarms of priority 1 too.
        out_of_service_max_s: Longest permit to be out of service.
        first_out_s: Alarms of an area within so many seconds of its first one follow it.
    """

    operator_s: float = 4 * HOUR_S
    engineer_s: float = 12 * HOUR_S
    red_by_operator: bool = False
    out_of_service_max_s: float = 30 * 24 * HOUR_S
    first_out_s: float = 30.0

    def shelve_max_s(self, role: str) -> float:
        """Return how long a role may shelve; platforms and parts of the gateway, which have none, as an engineer."""
        return min(self.operator_s, self.engineer_s) if role == OPERATOR else self.engineer_s

    def check_shelving(self, alarm: Source, last: AlarmEvent, level: Level, role: str) -> None:
        """Refuse a shelving that would keep an alarm of priority 1 quiet, where that is not the role's to do.

        A shelving covers more than what stands now, so all that it covers is asked about.

        Args:
            alarm: The alarm.
            last: Its last event.
            level: The level it holds.
            role: Who shelves.

        Raises:
            CommandRefusedError: An operator may not.
        """
        if role != OPERATOR or self.red_by_operator:
            return
        covered = {int(priority) for each, priority in alarm.priority.items() if is_covered(level, each)}
        if level is not Level.NORMAL:
            covered.add(last.priority)
        if Priority.RED in covered:
            raise CommandRefusedError(f"{alarm.id} has priority 1; an engineer may shelve it, an operator may not")
