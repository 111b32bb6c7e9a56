"""Tokens, roles, guessers, other pages: who gets in and who does not."""

import pytest

from gateway.api.access import Access, Caller, Role, check_bind, has_token, new_token, parse_bind
from gateway.api.problems import ProblemError
from gateway.api.throttle import ADDRESSES_MAX, Throttle
from gateway.core.clock import ManualClock
from gateway.core.errors import ConfigError, StorageError
from tests.integration.memory_gateway import MemoryTokens

HERE = {"host": "127.0.0.1:8080"}


def bearer(token: str) -> dict[str, str]:
    return {"host": "gw.example", "authorization": f"Bearer {token}"}


async def refusal(access: Access, headers: dict[str, str], host: str, role: Role = Role.VIEWER) -> ProblemError:
    with pytest.raises(ProblemError) as caught:
        await access.admit(headers, host, role)
    return caught.value


def test_an_address_that_others_reach_needs_a_token() -> None:
    for bind in ("0.0.0.0:8080", "192.0.2.1:80", "[::]:8080"):
        with pytest.raises(ConfigError, match="neither an account nor a token exists") as caught:
            check_bind(bind, protected=False)
        assert caught.value.path == ("api", "bind")
        check_bind(bind, protected=True)
    check_bind("127.0.0.1:8080", protected=False)
    check_bind("[::1]:8080", protected=False)


@pytest.mark.parametrize("bind", ["", "8080", "127.0.0.1", "gateway.example:80", "::1:80", "127.0.0.1:70000", "1:x"])
def test_an_address_that_cannot_be_read_is_a_configuration_error(bind: str) -> None:
    with pytest.raises(ConfigError, match="no address and port"):
        parse_bind(bind)


def test_tokens_that_cannot_be_listed_are_assumed_to_exist() -> None:
    class Opaque:
        def find_token(self, _: str) -> None:
            return None

    assert has_token(Opaque())
    assert not has_token(MemoryTokens())


async def test_without_any_token_people_at_this_machine_read_and_do_not_command() -> None:
    access = Access(MemoryTokens(), ManualClock())
    assert (await access.admit(HERE, "127.0.0.1", Role.VIEWER)).role is Role.VIEWER
    assert (await refusal(access, HERE, "127.0.0.1", Role.OPERATOR)).status == 401
    assert (await refusal(access, HERE, "192.0.2.7")).status == 401


async def test_a_local_operator_commands_but_never_takes_alarms_out_of_service() -> None:
    access = Access(MemoryTokens(), ManualClock(), local_operator=True)
    assert await access.admit(HERE, "::1", Role.OPERATOR) == Caller("local", Role.OPERATOR)
    assert (await refusal(access, HERE, "127.0.0.1", Role.ENGINEER)).status == 401
    assert (await refusal(access, HERE, "192.0.2.7", Role.OPERATOR)).status == 401


async def test_the_first_token_ends_what_was_open() -> None:
    tokens, clock = MemoryTokens(), ManualClock()
    access = Access(tokens, clock, local_operator=True)
    await access.admit(HERE, "127.0.0.1", Role.OPERATOR)
    tokens.add(new_token()[0], "wang", "viewer")
    clock.advance(2.1)
    assert (await refusal(access, HERE, "127.0.0.1")).status == 401


@pytest.mark.parametrize("header", ["x-forwarded-for", "forwarded", "x-real-ip", "via"])
async def test_what_a_proxy_passes_on_is_not_local(header: str) -> None:
    access = Access(MemoryTokens(), ManualClock(), local_operator=True)
    assert (await refusal(access, {**HERE, header: "1"}, "127.0.0.1")).status == 401


async def test_a_foreign_name_for_this_machine_is_refused_without_a_token() -> None:
    """DNS rebinding: evil.example resolves to 127.0.0.1, and its page asks."""
    access = Access(MemoryTokens(), ManualClock(), local_operator=True)
    assert (await refusal(access, {"host": "evil.example:8080"}, "127.0.0.1")).status == 421
    assert (await refusal(access, {}, "127.0.0.1")).status == 421
    open_access = Access(MemoryTokens(), ManualClock(), open_read=True)
    assert (await refusal(open_access, {"host": "evil.example"}, "192.0.2.7")).status == 421


async def test_pages_of_other_sites_are_refused_whatever_they_know() -> None:
    tokens = MemoryTokens()
    token = tokens.add(new_token()[0], "wang", "operator")
    access = Access(tokens, ManualClock())
    for more in ({"origin": "http://evil.example"}, {"origin": "null"}, {"sec-fetch-site": "cross-site"}):
        assert (await refusal(access, bearer(token) | more, "192.0.2.7", Role.OPERATOR)).status == 403
    own = {"origin": "https://gw.example", "sec-fetch-site": "same-origin"}
    assert (await access.admit(bearer(token) | own, "192.0.2.7", Role.OPERATOR)).name == "wang"


async def test_open_reading_opens_nothing_but_reading() -> None:
    tokens = MemoryTokens()
    tokens.add(new_token()[0], "wang", "operator")
    access = Access(tokens, ManualClock(), open_read=True)
    headers = {"host": "192.0.2.1:8080"}
    assert (await access.admit(headers, "192.0.2.7", Role.VIEWER)).role is Role.VIEWER
    assert (await refusal(access, headers, "192.0.2.7", Role.OPERATOR)).status == 401


async def test_a_wrong_token_is_refused_even_where_none_is_needed() -> None:
    access = Access(MemoryTokens(), ManualClock(), local_operator=True)
    headers = HERE | {"authorization": "Bearer hzg_old"}
    assert (await refusal(access, headers, "127.0.0.1")).status == 401


async def test_a_revoked_token_is_refused_within_seconds() -> None:
    tokens, clock = MemoryTokens(), ManualClock()
    token = tokens.add(new_token()[0], "wang", "operator")
    access = Access(tokens, clock)
    await access.admit(bearer(token), "192.0.2.7", Role.VIEWER)
    tokens.by_digest.clear()
    clock.advance(2.1)
    assert (await refusal(access, bearer(token), "192.0.2.7")).status == 401


async def test_a_role_that_nobody_knows_opens_nothing() -> None:
    tokens = MemoryTokens()
    for role in ("root", "nobody", ""):
        token = tokens.add(new_token()[0], "x", role)
        assert (await refusal(Access(tokens, ManualClock()), bearer(token), "192.0.2.7")).status == 401


async def test_of_a_thousand_guesses_ten_are_looked_up() -> None:
    tokens, clock = MemoryTokens(), ManualClock()
    access = Access(tokens, clock)
    for _ in range(1000):
        assert (await refusal(access, bearer(new_token()[0]), "192.0.2.7")).status in (401, 429)
        clock.advance(0.01)
    assert tokens.lookups <= 10
    last = await refusal(access, bearer(new_token()[0]), "192.0.2.7")
    assert last.status == 429
    assert int(last.headers["Retry-After"]) >= 1


async def test_a_guesser_behind_the_same_address_does_not_lock_out_the_operator() -> None:
    tokens, clock = MemoryTokens(), ManualClock()
    token = tokens.add(new_token()[0], "wang", "operator")
    access = Access(tokens, clock)
    await access.admit(bearer(token), "192.0.2.7", Role.OPERATOR)
    clock.advance(60)
    for _ in range(9):
        await refusal(access, bearer(new_token()[0]), "192.0.2.7")
    assert access.throttle.wait_s("192.0.2.7") > 0
    assert (await access.admit(bearer(token), "192.0.2.7", Role.OPERATOR)).name == "wang"


async def test_a_broken_disk_keeps_those_in_who_were_known_and_nobody_else() -> None:
    tokens, clock = MemoryTokens(), ManualClock()
    known, other = (tokens.add(new_token()[0], name, "operator") for name in ("wang", "li"))
    access = Access(tokens, clock)
    await access.admit(bearer(known), "192.0.2.7", Role.OPERATOR)
    tokens.broken = True
    clock.advance(3600)
    assert (await access.admit(bearer(known), "192.0.2.7", Role.OPERATOR)).name == "wang"
    with pytest.raises(StorageError):
        await access.admit(bearer(other), "192.0.2.7", Role.OPERATOR)


def test_the_delay_doubles_to_a_quarter_of_an_hour_and_is_forgotten() -> None:
    clock = ManualClock()
    throttle = Throttle(clock)
    waits = []
    for _ in range(40):
        throttle.failed("192.0.2.7")
        waits.append(throttle.wait_s("192.0.2.7"))
    assert waits[:8] == [0, 0, 0, 0, 1, 2, 4, 8]
    assert waits[-1] == 900
    clock.advance(1801)
    throttle.failed("192.0.2.7")
    assert throttle.wait_s("192.0.2.7") == 0


def test_the_table_of_guessers_has_a_limit() -> None:
    throttle = Throttle(ManualClock())
    for number in range(ADDRESSES_MAX + 500):
        throttle.failed(f"10.0.{number // 256}.{number % 256}")
    assert len(throttle) == ADDRESSES_MAX
