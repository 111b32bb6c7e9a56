"""Passwords: which are good enough, and how they are kept."""

import statistics
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.people.names import UnfitError
from gateway.people.passwords import BYTES_MAX, COMMON, Passwords, check_password, new_password

QUICK = Passwords(memory_kib=64, passes=1)


@pytest.mark.parametrize(
    "password",
    [
        "short",
        "123456789",
        "1234567890",
        "aaaaaaaaaa",
        "abababababab",
        "password123",
        "PASSWORD!!!",
        "Passw0rd2026!",
        "ｐａｓｓｗｏｒｄ１２３",
        "hazgate-2026",
        "qwertyuiop",
        "my-wangmin-pass",
        "x" * 100 + "abcde" * 40,
        "王" * 86 + "abcd",
    ],
)
def test_passwords_that_are_guessed_first_are_refused(password: str) -> None:
    with pytest.raises(UnfitError) as refused:
        check_password(password, "WangMin")
    assert password not in str(refused.value)
    assert refused.value.reason.zh


@pytest.mark.parametrize("password", ["correct horse 9", "一二三四五六七八九十百", "tank 7 is leaking", "x9-k2-m4-p7"])
def test_passwords_that_nobody_guesses_are_taken(password: str) -> None:
    check_password(password, "li", "Li Wei")


def test_at_least_a_hundred_common_passwords_are_known() -> None:
    assert len(COMMON) >= 100


def test_a_short_name_does_not_forbid_its_letters_everywhere() -> None:
    check_password("limestone quarry", "li")
    with pytest.raises(UnfitError):
        check_password("12345678li!!", "li")


def test_a_made_password_is_good_and_no_other_is_like_it() -> None:
    made = {new_password() for _ in range(100)}
    assert len(made) == 100
    for password in made:
        check_password(password, "operator")


@given(st.text(max_size=60), st.text(max_size=60))
def test_only_the_password_itself_is_right(one: str, other: str) -> None:
    kept = QUICK.hash(one)
    assert one not in kept or len(one) < 4
    assert QUICK.verify(kept, one)
    assert not QUICK.verify(kept, other + "\0") or one == other + "\0"


def test_full_width_typing_is_the_same_password() -> None:
    assert QUICK.verify(QUICK.hash("abc 123 xyz"), "ａｂｃ　１２３ ｘｙｚ")


@pytest.mark.parametrize("kept", ["", "nonsense", "$argon2id$v=19$m=64,t=1,p=1$AAAA$AAAA", "$2b$12$abc"])
def test_a_hash_that_is_none_or_damaged_has_no_password(kept: str) -> None:
    for given_ in ("", "nonsense", kept):
        assert not QUICK.verify(kept, given_)


def test_a_hash_of_other_parameters_is_outdated_and_still_right() -> None:
    old = Passwords(memory_kib=32, passes=1).hash("correct horse 9")
    assert QUICK.is_outdated(old)
    assert QUICK.verify(old, "correct horse 9")
    assert not QUICK.is_outdated(QUICK.hash("correct horse 9"))


def test_hashes_are_argon2id_with_the_advised_cost() -> None:
    assert Passwords().hash("x" * BYTES_MAX).startswith("$argon2id$v=19$m=19456,t=2,p=1$")


def test_nobody_takes_as_long_as_somebody() -> None:
    """A ratio, with room for a loaded machine: without the work it would be a hundredth."""
    passwords = Passwords(memory_kib=4096, passes=2)
    kept = passwords.hash("correct horse 9")
    passwords.verify("", "warm up")

    def median(kept: str) -> float:
        times = []
        for _ in range(7):
            began = time.perf_counter()
            passwords.verify(kept, "wrong horse 9")
            times.append(time.perf_counter() - began)
        return statistics.median(times)

    assert 0.2 < median("") / median(kept) < 5
