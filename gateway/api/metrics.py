"""The gateway's figures for Prometheus, with its customary names: base units, `_total` for what only grows."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from gateway.api.face import Gateway
from gateway.core.alarm import Alarm
from gateway.core.clock import NS_PER_S
from gateway.core.status import InstrumentStatus, NotifierStatus, OutputStatus, UplinkStatus

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_NAME = re.compile(r"[^a-zA-Z0-9_]")


@dataclass(frozen=True, slots=True, eq=False)
class Figures(Collector):
    """What was true at one moment; taken in the event loop, written anywhere."""

    now_ns: int
    site: str
    alarms: Sequence[Alarm]
    instruments: Sequence[InstrumentStatus]
    uplinks: Sequence[UplinkStatus]
    outputs: Sequence[OutputStatus]
    notifiers: Sequence[NotifierStatus]
    statistics: Mapping[str, float]
    streams: int

    @classmethod
    def of(cls, gateway: Gateway, streams: int) -> "Figures":
        """Return the gateway's figures now."""
        return cls(
            gateway.clock.now_ns(),
            gateway.site_id,
            gateway.alarms(),
            gateway.instruments(),
            gateway.uplinks(),
            gateway.outputs(),
            gateway.notifications.status(),
            gateway.statistics(),
            streams,
        )

    def text(self) -> bytes:
        """Return the figures in Prometheus' text format."""
        registry = CollectorRegistry(auto_describe=False)
        registry.register(self)
        return generate_latest(registry)

    def collect(self) -> Iterator[Metric]:
        """Yield the families (called by the registry)."""
        yield GaugeMetricFamily("hazgate_streams", "Open live streams.", value=self.streams)
        yield self._alarms()
        yield from self._instruments()
        yield from self._uplinks()
        yield from self._outputs()
        yield from self._notifiers()
        yield from self._statistics()

    def _alarms(self) -> Metric:
        family = GaugeMetricFamily("hazgate_alarms", "Alarms that are not normal.", labels=["priority", "state"])
        counts: dict[tuple[str, str], int] = {}
        for alarm in self.alarms:
            key = (str(alarm.event.priority), alarm.event.state.value)
            counts[key] = counts.get(key, 0) + 1
        for key, count in sorted(counts.items()):
            family.add_metric(key, count)
        return family

    def _instruments(self) -> Iterator[Metric]:
        labels = ["instrument", "connection"]
        up = GaugeMetricFamily("hazgate_instrument_up", "1 while the instrument answers.", labels=labels)
        last = GaugeMetricFamily("hazgate_instrument_last_reading_timestamp_seconds", "Last good one.", labels=labels)
        readings = CounterMetricFamily("hazgate_instrument_readings", "Readings, bad ones too.", labels=labels)
        bad = CounterMetricFamily("hazgate_instrument_bad_readings", "Bad readings.", labels=labels)
        for one in self.instruments:
            key = (one.id, one.connection)
            up.add_metric(key, one.online)
            last.add_metric(key, one.last_ns / NS_PER_S)
            readings.add_metric(key, one.readings)
            bad.add_metric(key, one.bad)
        yield from (up, last, readings, bad)

    def _uplinks(self) -> Iterator[Metric]:
        labels = ["uplink", "kind"]
        up = GaugeMetricFamily("hazgate_uplink_up", "1 while the peer takes items.", labels=labels)
        waiting = GaugeMetricFamily("hazgate_uplink_waiting", "Items not yet acknowledged.", labels=labels)
        age = GaugeMetricFamily("hazgate_uplink_oldest_age_seconds", "Age of the oldest of them.", labels=labels)
        delivered = CounterMetricFamily("hazgate_uplink_delivered", "Items acknowledged.", labels=labels)
        dead = CounterMetricFamily("hazgate_uplink_dead", "Items refused for ever.", labels=labels)
        for one in self.uplinks:
            key = (one.id, one.kind)
            up.add_metric(key, one.up)
            waiting.add_metric(key, one.waiting)
            age.add_metric(key, max(0, self.now_ns - one.oldest_ns) / NS_PER_S if one.oldest_ns else 0)
            delivered.add_metric(key, one.delivered)
            dead.add_metric(key, one.dead)
        yield from (up, waiting, age, delivered, dead)

    def _outputs(self) -> Iterator[Metric]:
        wanted = GaugeMetricFamily("hazgate_output_wanted", "1 while alarms ask for it to be on.", labels=["output"])
        follows = GaugeMetricFamily(
            "hazgate_output_follows", "1 while it reads back as the alarms ask.", labels=["output"]
        )
        for one in self.outputs:
            wanted.add_metric((one.id,), one.wanted)
            follows.add_metric((one.id,), one.shown is one.wanted)
        yield from (wanted, follows)

    def _notifiers(self) -> Iterator[Metric]:
        labels = ["notifier"]
        up = GaugeMetricFamily("hazgate_notifier_up", "1 unless the last attempt failed.", labels=labels)
        waiting = GaugeMetricFamily("hazgate_notifier_waiting", "What still has to be told.", labels=labels)
        sent = CounterMetricFamily("hazgate_notifier_sent", "Messages that the channel took.", labels=labels)
        failed = CounterMetricFamily("hazgate_notifier_failed", "Messages refused for ever.", labels=labels)
        for one in self.notifiers:
            up.add_metric((one.id,), one.up)
            waiting.add_metric((one.id,), one.waiting)
            sent.add_metric((one.id,), one.sent)
            failed.add_metric((one.id,), one.failed)
        yield from (up, waiting, sent, failed)

    def _statistics(self) -> Iterator[Metric]:
        for name, value in self.statistics.items():
            base = f"hazgate_{_NAME.sub('_', name)}"
            base = base.removesuffix("_s") + "_seconds" if base.endswith("_s") else base
            family = CounterMetricFamily if base.endswith("_total") else GaugeMetricFamily
            yield family(base.removesuffix("_total"), f"{name} of the gateway.", value=value)
