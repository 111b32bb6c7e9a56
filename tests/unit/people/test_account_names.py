"""Names of accounts: what one may be, and which are the same."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.people.names import NAME_MAX, UnfitError, checked_display_name, checked_name, hinted, key_of


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Wang", "wANG"),
        ("wang", "ｗａｎｇ"),
        ("wang", " wang\t"),
        ("José", "Jose\u0301"),
        ("STRASSE", "straße"),
        ("ﬁre", "FIRE"),
        ("Ⅳ", "iv"),
        ("王敏", "王敏"),
        ("\u212b", "å"),
        ("ΑΣ", "ας"),
    ],
)
def test_names_that_read_the_same_have_one_key(one: str, other: str) -> None:
    assert key_of(one) == key_of(other)


@given(st.text(max_size=80))
def test_a_key_is_its_own_key(name: str) -> None:
    once = key_of(name)
    assert key_of(once) == once or len(once) > NAME_MAX


@given(st.text(min_size=1, max_size=NAME_MAX))
def test_case_and_width_never_make_another_person(name: str) -> None:
    assert key_of(name.upper().lower()) == key_of(name.lower()) or name.upper().lower() != name.lower()


@pytest.mark.parametrize("name", ["王敏", "li.wei", "O'Brien", "Jean-Luc", "shift 3", "操作员甲", "a", "x" * 64])
def test_names_of_people_are_taken_as_they_are(name: str) -> None:
    assert checked_name(name) == name
    assert checked_name(f" {name} ") == name


@pytest.mark.parametrize(
    "name",
    [
        "",
        "   ",
        "x" * 65,
        "a\x00b",
        "a\r\nSet-Cookie: x",
        "a\u200bb",
        "a\u202eb",
        "ad\ufe0fmin",
        "\u3164",
        "a/b",
        "a%2fb",
        "<b>",
        "local",
        "ＬＯＣＡＬ",
        "\ud800",
        "аdmin",
        "a\u00a0b",
    ],
)
def test_names_that_hide_forge_or_break_are_refused(name: str) -> None:
    with pytest.raises(UnfitError, match=r"name|not for people|mixes") as refused:
        checked_name(name)
    assert refused.value.reason.zh


def test_a_display_name_is_one_line_and_falls_back_to_the_name() -> None:
    assert checked_display_name("  值班长 王敏 ", "wang") == "值班长 王敏"
    assert checked_display_name(" ", "wang") == "wang"
    for wrong in ("a\nb", "x" * 65, "a\u2028b"):
        with pytest.raises(UnfitError, match="name"):
            checked_display_name(wrong, "wang")


def test_an_unknown_name_is_hinted_at_and_never_told_whole() -> None:
    for typed in ("correct horse battery", "Tr0ub4dor&3", "王敏的密码", "a\r\nb", ""):
        hint = hinted(typed)
        assert "\n" not in hint
        assert not typed or typed not in hint
