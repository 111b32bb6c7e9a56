"""Topics, paths, times, the framer and the ledger: the parts of the MQTT driver that need no broker."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from drivers.mqtt import paths, topics
from drivers.mqtt.framing import HEAD_BYTES, PUBACK, PUBCOMP, PUBREC, Framer, FramingError, Publish, acknowledgement
from drivers.mqtt.ledger import ACKNOWLEDGED_MAX, Ledger
from drivers.mqtt.times import DOUBTFUL, UNKNOWN_NS, TimeReader, judge

S = 1_000_000_000
NOW = 1_700_000_000 * S


@pytest.mark.parametrize("text", ["", "a+", "a/#/b", "a#", "a\0b", "$share/g", "$share/+/a", "$share//a", "x" * 65_536])
def test_a_filter_that_breaks_the_rules_of_mqtt_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no "):
        topics.check_filter(text)


@pytest.mark.parametrize("text", ["a", "/", "+", "#", "a/+/b/#", "$share/g/a/#", "气体/一号"])
def test_a_filter_that_keeps_the_rules_is_taken(text: str) -> None:
    assert topics.check_filter(text) == text


@pytest.mark.parametrize(
    ("wide", "narrow", "expected"),
    [
        ("#", "a/b", True),
        ("a/#", "a", True),
        ("a/#", "a/+/c", True),
        ("a/+", "a/b", True),
        ("a/+", "a/#", False),
        ("a/+", "a/b/c", False),
        ("a/b", "a/+", False),
        ("a/+/c", "a/b/+", False),
        ("#", "$SYS/x", False),
        ("$SYS/#", "$SYS/x", True),
    ],
)
def test_a_filter_covers_another_when_it_matches_all_its_topics(wide: str, narrow: str, *, expected: bool) -> None:
    assert topics.covers(wide, narrow) is expected


def test_filters_that_others_cover_are_not_subscribed() -> None:
    found = topics.subscriptions(["a/b", "a/#", "a/b", "c/+", "$share/g/a/b"])
    assert found == ["a/#", "c/+", "$share/g/a/b"]


def test_a_topic_finds_each_target_once_for_each_of_its_filters() -> None:
    routes = topics.Routes([("a/b", 1), ("a/+", 2), ("#", 3), ("a/b", 4), ("$share/g/a/#", 5), ("a/c", 6)])
    assert sorted(routes.find(b"a/b")[1]) == [1, 2, 3, 4, 5]
    assert sorted(routes.find(b"a/b")[1]) == [1, 2, 3, 4, 5]
    assert routes.find(b"z")[1] == (3,)
    assert routes.find(b"$SYS/broker/load")[1] == ()


def test_a_flood_of_topics_does_not_fill_the_memory() -> None:
    routes = topics.Routes([("#", 1)])
    for i in range(3 * topics.CACHED_TOPICS_MAX):
        assert routes.find(f"t/{i}".encode())[1] == (1,)
    assert len(routes._known) <= topics.CACHED_TOPICS_MAX


def test_a_topic_that_is_no_utf8_matches_wildcards_and_can_be_printed() -> None:
    text, found = topics.Routes([("a/+", 1)]).find(b"a/\xff")
    assert (text, found) == ("a/\\xff", (1,))


@pytest.mark.parametrize(
    "text", ["", ".", "a.", ".a", "a..b", "a[", "a[-1]", "a[x]", "[*][*]", "a[*].b[*]", "x." * 40 + "x"]
)
def test_what_is_no_path_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no path"):
        paths.parse(text)


def test_a_path_finds_keys_with_dots_blanks_and_indexes() -> None:
    document = {"a.b": [{"Tank 1": [5, 6]}]}
    assert paths.Path('["a.b"][0].Tank 1[1]').one(document) == 6
    assert paths.Path('$["a.b"]').one(document) == [{"Tank 1": [5, 6]}]


@pytest.mark.parametrize("document", [None, 1, "12", [], ["12"], {"a": None}, {"a": "12"}, {"a": {"0": 1}}])
def test_a_path_finds_nothing_in_another_shape(document: object) -> None:
    assert paths.Path("a[0]").one(document) is paths.MISSING


def test_a_starred_path_keeps_the_places_of_items_that_lack_the_key() -> None:
    assert paths.Path("r[*].v").every({"r": [{"v": 1}, {}, "x", {"v": 3}]}) == [1, paths.MISSING, paths.MISSING, 3]
    assert paths.Path("[*]").every([1, 2]) == [1, 2]
    assert paths.Path("r[*].v").every({"r": {"v": 1}}) is paths.MISSING


@pytest.mark.parametrize(
    ("unit", "raw", "expected"),
    [
        ("s", 1_700_000_000, NOW),
        ("s", 1_700_000_000.25, NOW + S // 4),
        ("s", "1700000000", NOW),
        ("ms", 1_700_000_000_000, NOW),
        ("ms", 1_700_000_000_000.5, NOW + 500_000),
        ("us", 1_700_000_000_000_001, NOW + 1_000),
        ("ns", NOW + 7, NOW + 7),
        ("iso", "2023-11-14T22:13:20Z", NOW),
        ("iso", "2023-11-15T06:13:20+08:00", NOW),
        ("iso", "2023-11-14T22:13:20", UNKNOWN_NS),
        ("iso", 5, UNKNOWN_NS),
        ("iso", "0001-01-01T00:00:00+14:00", UNKNOWN_NS),
        ("s", "soon", UNKNOWN_NS),
        ("s", True, UNKNOWN_NS),
        ("s", None, UNKNOWN_NS),
        ("s", float("nan"), UNKNOWN_NS),
        ("s", 1e300, UNKNOWN_NS),
        ("ms", 10**40, UNKNOWN_NS),
    ],
)
def test_a_time_is_read_in_its_unit(unit: str, raw: object, expected: int) -> None:
    found = TimeReader(unit, None).one(raw)
    assert found == expected or (expected == UNKNOWN_NS and abs(found - NOW) > 10**18)


def test_a_time_without_offset_is_in_the_declared_zone() -> None:
    assert TimeReader("iso", ZoneInfo("Asia/Shanghai")).one("2023-11-15T06:13:20") == NOW
    assert datetime.fromtimestamp(NOW // S, UTC).hour == 22


@pytest.mark.parametrize("unit", ["s", "ms", "us"])
def test_a_column_of_times_is_read_as_each_one_is(unit: str) -> None:
    reader = TimeReader(unit, None)
    scale = {"s": 1, "ms": 1_000, "us": 1_000_000}[unit]
    raw = [1_700_000_000.0 * scale, 1_700_000_000.5 * scale, -3.25, 0.0]
    assert reader.column(np.array(raw)).tolist() == [reader.one(value) for value in raw]


def test_a_column_time_beyond_reach_is_unknown() -> None:
    assert TimeReader("s", None).column(np.array([1e300, 1.0])).tolist() == [UNKNOWN_NS, S]


def judged(*seconds: float, backlog_s: float = 3600) -> tuple[list[float], list[int] | None]:
    times = np.array([NOW + round(s * S) for s in seconds])
    quality = judge(times, NOW, 300 * S, round(backlog_s * S))
    return ((times - NOW) / S).tolist(), None if quality is None else quality.tolist()


def test_older_times_of_a_list_are_believed_when_its_newest_is() -> None:
    assert judged(-3000, -1500, -10) == ([-3000, -1500, -10], None)


def test_a_list_whose_newest_time_is_too_old_is_all_doubtful() -> None:
    assert judged(-3000, -400) == ([0, 0], [DOUBTFUL, DOUBTFUL])


def test_a_time_in_the_future_is_doubtful_and_spoils_no_other() -> None:
    assert judged(-5, 400, 0) == ([-5, 0, 0], [0, DOUBTFUL, 0])


def test_a_time_older_than_the_backlog_is_doubtful() -> None:
    assert judged(-4000, -1) == ([0, -1], [DOUBTFUL, 0])


def packet(command: int, body: bytes) -> bytes:
    length, out = len(body), b""
    while True:
        length, digit = divmod(length, 128)
        out += bytes([digit | (0x80 if length else 0)])
        if not length:
            return bytes([command]) + out + body


def publish(payload: bytes, qos: int = 0, topic: bytes = b"a/b", mid: int = 5, properties: bytes = b"") -> bytes:
    head = len(topic).to_bytes(2) + topic + (mid.to_bytes(2) if qos else b"") + properties
    return packet(0x30 | qos << 1, head + payload)


def messages(framer: Framer, stream: bytes, step: int) -> list[Publish]:
    found = [p for at in range(0, len(stream), step) for p in framer.feed(stream[at : at + step])]
    return [framer.publish(*p) for p in found]


@pytest.mark.parametrize("step", [1, 2, 7, 1 << 20])
def test_messages_come_out_the_same_however_the_stream_is_cut(step: int) -> None:
    stream = publish(b"1") + publish(b"x" * 300, 1) + publish(b"", 2, mid=65_535)
    found = messages(Framer(1024, v5=False), stream, step)
    assert [(m.payload, m.qos, m.mid, m.topic) for m in found] == [
        (b"1", 0, 0, b"a/b"),
        (b"x" * 300, 1, 5, b"a/b"),
        (b"", 2, 65_535, b"a/b"),
    ]


@pytest.mark.parametrize("size", [1025, 2 * HEAD_BYTES, 300_000])
@pytest.mark.parametrize("step", [1000, 1 << 16, 1 << 24])
def test_a_long_payload_is_not_kept_but_its_topic_is(size: int, step: int) -> None:
    framer = Framer(1024, v5=False)
    found = messages(framer, publish(b"x" * size, 1) + publish(b"2"), step)
    assert [(m.topic, m.payload, m.mid, m.size) for m in found] == [(b"a/b", None, 5, size), (b"a/b", b"2", 0, 1)]
    assert len(framer._rest) <= HEAD_BYTES + step


def test_properties_of_mqtt_5_are_gone_past() -> None:
    framer = Framer(1024, v5=True)
    (found,) = messages(framer, publish(b"7", 1, properties=b"\x03\x01\x02\x03"), 9)
    assert found.payload == b"7"


@pytest.mark.parametrize(
    "stream",
    [
        b"\x30\xff\xff\xff\xff\x01",
        b"\x30\x00",
        b"\x30\x01a",
        packet(0x30, b"\x00\x09ab"),
        packet(0x36, b"\x00\x01ab\x00"),
        packet(0x32, b"\x00\x01a\x00\x00"),
        b"\x90\xff\xff\xff\x7f",
    ],
)
def test_a_stream_that_is_no_mqtt_is_refused(stream: bytes) -> None:
    with pytest.raises(FramingError):
        messages(Framer(1024, v5=False), stream, 1 << 20)


def message(mid: int, qos: int = 1, payload: bytes = b"1", *, dup: bool = False) -> Publish:
    return Publish(b"t", payload, mid, qos, dup, retain=False, size=len(payload))


def take(ledger: Ledger, *found: Publish) -> None:
    for item in found:
        entry, answer = ledger.arrived(item)
        assert entry is not None
        assert (answer, ledger.handed(entry)) == (b"", b"")


def test_messages_are_acknowledged_in_order_and_only_as_far_as_they_are_stored() -> None:
    ledger = Ledger()
    take(ledger, message(1), message(2, 2), message(0, 0), message(3))
    assert ledger.returned == 3
    assert ledger.stored(2) == acknowledgement(PUBACK, 1) + acknowledgement(PUBREC, 2)
    assert ledger.stored(2) == b""
    assert ledger.stored(3) == acknowledgement(PUBACK, 3)
    assert ledger.released(2) == acknowledgement(PUBCOMP, 2)


def test_a_message_that_comes_again_before_it_is_stored_is_not_read_twice() -> None:
    ledger = Ledger()
    take(ledger, message(1), message(2))
    ledger.opened(resumed=True)
    assert ledger.arrived(message(1, dup=True)) == (None, b"")
    assert ledger.stored(2) == acknowledgement(PUBACK, 1)
    assert ledger.arrived(message(2, dup=True)) == (None, acknowledgement(PUBACK, 2))
    assert len(ledger) == 0


def test_a_message_that_comes_again_after_it_is_stored_is_acknowledged_at_once() -> None:
    ledger = Ledger()
    take(ledger, message(9, 2))
    assert ledger.stored(1) == acknowledgement(PUBREC, 9)
    ledger.opened(resumed=True)
    assert ledger.arrived(message(9, 2, dup=True)) == (None, acknowledgement(PUBREC, 9))
    ledger.released(9)
    assert ledger.arrived(message(9, 2))[0] is not None


def test_an_identifier_with_other_content_is_another_message_and_waits_for_its_own_store() -> None:
    ledger = Ledger()
    take(ledger, message(1))
    ledger.opened(resumed=True)
    take(ledger, message(1, payload=b"2", dup=True))
    assert ledger.stored(1) == b""
    assert ledger.stored(2) == acknowledgement(PUBACK, 1)


def test_a_new_session_forgets_all_identifiers() -> None:
    ledger = Ledger()
    take(ledger, message(1))
    ledger.opened(resumed=False)
    take(ledger, message(1, dup=True))
    assert ledger.stored(1) == b""
    assert ledger.stored(2) == acknowledgement(PUBACK, 1)


def test_a_message_without_readings_waits_for_no_store_but_keeps_its_place() -> None:
    ledger = Ledger()
    first, _ = ledger.arrived(message(1))
    assert first is not None
    assert ledger.handed(first, empty=True) == acknowledgement(PUBACK, 1)
    take(ledger, message(2))
    third, _ = ledger.arrived(message(3))
    assert third is not None
    assert ledger.handed(third, empty=True) == b""
    assert ledger.stored(ledger.returned) == acknowledgement(PUBACK, 2) + acknowledgement(PUBACK, 3)


def test_a_message_whose_acknowledgement_was_lost_is_not_read_twice() -> None:
    ledger = Ledger()
    take(ledger, message(1), message(2))
    assert ledger.stored(2) == acknowledgement(PUBACK, 1) + acknowledgement(PUBACK, 2)
    ledger.opened(resumed=True)
    assert ledger.arrived(message(2, dup=True)) == (None, acknowledgement(PUBACK, 2))
    take(ledger, message(1, payload=b"2", dup=True))  # another message, of which nothing had come
    take(ledger, message(2))  # the identifier given away again
    ledger.opened(resumed=False)
    take(ledger, message(2, dup=True))


def test_acknowledged_messages_are_remembered_up_to_a_limit() -> None:
    ledger = Ledger()
    for mid in range(1, ACKNOWLEDGED_MAX + 2):
        take(ledger, message(mid))
        ledger.stored(ledger.returned)
    assert ledger.arrived(message(ACKNOWLEDGED_MAX + 1, dup=True))[0] is None
    take(ledger, message(1, dup=True))
