"""The values of one cookie in a header are those that a parser of all of them finds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.sansio.http import parse_cookie

from typed_sessions.core.cookie_header import cookie_values, parsed_cookies, parsed_values

NAME = "session"
PARTS = st.sampled_from(
    [NAME, "other", "sess", "=", "==", " ", "  ", ";", ";;", "; ", "a.b-c_d", "\n", "é", "", ",", "$", "%3D"]
)


@given(st.lists(PARTS, max_size=16).map("".join))
def test_the_values_of_a_cookie_are_those_that_werkzeug_finds(header: str) -> None:
    assert cookie_values(header, NAME) == tuple(parse_cookie(header).getlist(NAME))


@given(st.text(alphabet="session=; \n\\,x", max_size=40))
def test_so_are_they_in_any_text(header: str) -> None:
    assert cookie_values(header, NAME) == tuple(parse_cookie(header).getlist(NAME))


@pytest.mark.parametrize("header", ['session="a b"', 'other="x"; session=a', "session=a\t"])
def test_what_is_quoted_or_has_a_tab_is_left_to_a_parser(header: str) -> None:
    assert cookie_values(header, NAME) is None


def test_a_header_without_the_cookie_has_no_values_whatever_is_quoted() -> None:
    assert cookie_values('other="a; b"', NAME) == ()


QUOTED = st.sampled_from(
    [
        f'{NAME}="',
        f"{NAME}=",
        '"',
        '\\"',
        "\\",
        "\\303",
        "\\251",
        "\\08",
        "a",
        "é",
        ";",
        "; ",
        " ",
        "\t",
        "=",
        "other",
        "\n",
    ]
)


@given(st.lists(QUOTED, max_size=16).map("".join))
def test_a_parser_finds_what_werkzeugs_finds(header: str) -> None:
    assert parsed_values(header, NAME) == tuple(parse_cookie(header).getlist(NAME))
    assert sorted(parsed_cookies(header)) == sorted(parse_cookie(header).items(multi=True))


@pytest.mark.parametrize(
    ("header", "values"),
    [
        (f'a="x; {NAME}=no"; {NAME}=yes', ("yes",)),
        (f'{NAME}="quoted"', ("quoted",)),
        (f'{NAME}="\\"\\303\\251"; {NAME}\t=2', ('"é', "2")),
        (f"{NAME}=1; {NAME}=2", ("1", "2")),
    ],
)
def test_quoted_values_are_taken_for_what_they_say(header: str, values: tuple[str, ...]) -> None:
    assert parsed_values(header, NAME) == values
