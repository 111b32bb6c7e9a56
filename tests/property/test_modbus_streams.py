"""Streams that no sane peer sends, into the TCP and UDP transaction tables: no outcome but the request's own."""

import asyncio
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.modbus.frames import Refused, Request
from drivers.modbus.link import Answer, Miss
from drivers.modbus.tcp import Connection, TcpLink
from drivers.modbus.udp import UdpLink, _Socket

KINDS = [
    lambda unit, a: Request(unit, 3, a, 2),
    lambda unit, a: Request(unit, 4, a, 2),
    lambda unit, a: Request(unit, 1, a, 32),
    lambda unit, a: Request.file(unit, 1, a, 2),
    Request.fifo,
    lambda unit, a: Request.read_write(unit, a, 2, 0, [1]),
    lambda unit, a: Request.identify(unit, 1, a % 7),
    lambda unit, a: Request.write_register(unit, a, a),
    lambda unit, a: Request.write_coil(unit, a, on=a % 2 == 0),
]
WRONG = ["foreign transaction", "zero", "foreign unit", "other function", "longer", "shorter", "late", "twice"]
DEADLY = ["noise", "protocol", "length"]


class Ask:
    def __init__(self, request: Request, secret: int) -> None:
        self.request = request
        self.timeout_s = None
        self.secret = secret
        self.outcomes: list[Answer] = []

    def data(self) -> bytes:
        """What only the answer to this very question holds."""
        function = self.request.function
        if function == 24:
            return self.secret.to_bytes(4, "big")
        if function == 43:
            return bytes((1, 0, 0, 1, 0, 4)) + self.secret.to_bytes(4, "big")
        return b"" if self.request.size == 0 else self.secret.to_bytes(4, "big")

    def body(self) -> bytes:
        request, data = self.request, self.data()
        head = request._head
        if request.function == 24:
            head += bytes((0, 6, 0, 2))
        return head + data


def frame(transaction: int, body: bytes) -> bytes:
    return transaction.to_bytes(2, "big") + b"\0\0" + len(body).to_bytes(2, "big") + body


def wrong(kind: str, transaction: int, ask: Ask, old: list[bytes]) -> bytes:
    """Return a frame that is no answer to the question; what values it holds is another's."""
    other = Ask(ask.request, ask.secret ^ 0x5A5A5A5A).body()
    return {
        "foreign transaction": lambda: frame(transaction ^ 0x4000, other),
        "zero": lambda: frame(0, other),
        "foreign unit": lambda: frame(transaction, bytes((other[0] ^ 1,)) + other[1:]),
        "other function": lambda: frame(transaction, other[:1] + bytes((other[1] ^ 0x40,)) + other[2:]),
        "longer": lambda: frame(transaction, other + b"\0"),
        "shorter": lambda: frame(transaction, other[:-1] if len(other) > 4 else other + b"\0"),
        "late": lambda: old[-1] if old else b"",
        "twice": lambda: frame(transaction ^ 0x4000, other) * 2,
    }[kind]()


class FakeTransport:
    def __init__(self) -> None:
        self.sent: list[bytes] = []

    def write(self, data: bytes) -> None:
        self.sent.append(data)

    def sendto(self, data: bytes) -> None:
        self.sent.append(data)

    def abort(self) -> None:
        """Nothing to close."""


questions = st.lists(
    st.tuples(
        st.integers(0, len(KINDS) - 1),
        st.integers(1, 3),
        st.integers(0, 500),
        st.lists(st.sampled_from(WRONG), max_size=3),
        st.sampled_from(["answer", "refuse", "nothing"]),
    ),
    min_size=1,
    max_size=12,
)


def made(given_questions: list[Any]) -> list[tuple[Ask, list[str], str]]:
    return [
        (Ask(KINDS[kind](unit, address), 0x01000000 + 0x00010101 * n), before, then)
        for n, (kind, unit, address, before, then) in enumerate(given_questions)
    ]


def check(ask: Ask) -> None:
    assert len(ask.outcomes) == 1
    (outcome,) = ask.outcomes
    assert isinstance(outcome, (Miss, Refused)) or outcome == ask.data()


def replies(transaction: int, ask: Ask, before: list[str], then: str, old: list[bytes]) -> list[bytes]:
    found = [wrong(kind, transaction, ask, old) for kind in before]
    if then == "answer":
        found.append(frame(transaction, ask.body()))
        old.append(found[-1])
    elif then == "refuse":
        found.append(frame(transaction, bytes((ask.request.unit, ask.request.function | 0x80, 4))))
    return found


@settings(deadline=None)
@given(questions, st.data(), st.sampled_from(["", *DEADLY]))
def test_a_tcp_stream_however_wrong_and_however_cut_gives_each_question_its_own_answer_or_none(
    given_questions: list[Any], data: Any, end: str
) -> None:
    async def run() -> None:
        link: TcpLink[Ask] = TcpLink("x", 1, 30.0, lambda ask, answer: ask.outcomes.append(answer))
        link.complaints.say = lambda *_: None  # type: ignore[method-assign] - thousands of examples, one log
        connection = Connection(link)
        transport: Any = FakeTransport()
        connection.connection_made(transport)
        asks = made(given_questions)
        old: list[bytes] = []
        stream = b""
        for n, (ask, before, then) in enumerate(asks):
            connection.send([(n + 1, ask)])
            stream += b"".join(replies(n + 1, ask, before, then, old))
        stream += {"noise": b"\xff" * 20, "protocol": b"\0\1\0\1\0\3abc", "length": b"\0\1\0\0\xff\xff", "": b""}[end]
        while stream:
            cut = data.draw(st.integers(1, len(stream)))
            connection.data_received(stream[:cut])
            stream = stream[cut:]
        for ask, _, then in asks:
            if then == "answer" and ask.outcomes:
                assert ask.outcomes == [ask.data()]
        connection.drop()
        for ask, _, then in asks:
            check(ask)
            assert then != "answer" or ask.outcomes == [ask.data()]

    asyncio.run(run())


@settings(deadline=None)
@given(questions, st.randoms(use_true_random=False))
def test_datagrams_in_any_order_give_each_question_its_own_answer_or_none(
    given_questions: list[Any], dice: Any
) -> None:
    async def run() -> None:
        link: UdpLink[Ask] = UdpLink("x", 1, 30.0, lambda ask, answer: ask.outcomes.append(answer))
        link.complaints.say = lambda *_: None  # type: ignore[method-assign] - thousands of examples, one log
        made_socket: _Socket[Ask] = _Socket(link)
        transport: Any = FakeTransport()
        made_socket.connection_made(transport)
        asks = made(given_questions)
        old: list[bytes] = []
        datagrams = [b"", b"\0", b"\xff" * 300]
        for n, (ask, before, then) in enumerate(asks):
            made_socket.send(n + 1, ask)
            found = replies(n + 1, ask, before, then, old)
            datagrams += [*found, *(part + b"\0" for part in found), *(part[:-1] for part in found)]
        dice.shuffle(datagrams)
        for datagram in datagrams:
            made_socket.datagram_received(datagram, None)
        made_socket.drop("end")
        for ask, _, then in asks:
            check(ask)
            assert then != "answer" or ask.outcomes == [ask.data()]

    asyncio.run(run())
