"""How each instrument is doing, from the newest readings of its channels."""

from collections.abc import Mapping

import numpy as np

from gateway.core.model import BAD_FROM, Quality, quality_name
from gateway.core.status import InstrumentStatus
from gateway.flow.pipeline import Latest
from gateway.site.load import Site

SILENT = (Quality.COMMS_LOST, Quality.STALE, Quality.BAD)


def instrument_states(site: Site, latest: Latest, reasons: Mapping[str, str]) -> list[InstrumentStatus]:
    """Return the state of every instrument, in the order of the site file's connections.

    Args:
        site: The site.
        latest: The newest reading of every channel.
        reasons: Why a connection is down, by its id; empty where it is up.
    """
    states: list[InstrumentStatus] = []
    for connection in site.connections:
        for plan in connection.instruments:
            rows = np.array([p.channel.row for p in plan.channels], np.intp)
            quality = latest.quality[rows]
            good = quality < BAD_FROM
            online = not np.isin(quality, SILENT).all()
            worst = quality_name(int(quality.max(initial=0)))
            states.append(
                InstrumentStatus(
                    id=plan.id,
                    connection=connection.id,
                    type=connection.type,
                    online=online,
                    last_ns=int(latest.time_ns[rows][good].max(initial=0)),
                    readings=int(latest.count[rows].sum()),
                    bad=int(latest.bad[rows].sum()),
                    reason="" if online else reasons.get(connection.id) or worst,
                )
            )
    return states
