"""The `Set-Cookie` text, beside werkzeug's, and the settings of which browsers would drop it."""

from __future__ import annotations

import math
import time
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from werkzeug import Response
from werkzeug.http import dump_cookie

from tests.cases import for_each
from typed_sessions.core.cookies import BROWSERS_LIMIT, checked_attributes, is_sent_to, rivals_of, varying_by_cookie
from typed_sessions.errors import ConfigurationError
from typed_sessions.sealing.set_cookie import CookieAttributes, SessionCookie

CONTROL = "".join(map(chr, (*range(32), 127)))


def attributes(**changes: Any) -> CookieAttributes:
    """Checked attributes: Quart's defaults, and these changes."""
    defaults = {
        "name": "session",
        "path": "/",
        "domain": None,
        "secure": False,
        "httponly": True,
        "samesite": None,
        "partitioned": False,
    }
    return checked_attributes(**{**defaults, **changes})


@st.composite
def asked_for(draw: st.DrawFn) -> dict[str, Any]:
    """Attributes that browsers take, in the words of the settings."""
    samesite = draw(st.sampled_from((None, "Strict", "strict", "LAX", "lax", "None", "none")))
    partitioned = draw(st.booleans())
    lax = samesite is None or samesite.title() != "None" or partitioned
    return {
        "name": draw(st.sampled_from(("session", "s", "__session", "a!#$%&'*+-.^_`|~b", "SESSION-1"))),
        "path": draw(st.sampled_from(("/", "/app", "/a b", "/é;x", "/%20", "/a?b#c", "/a,b"))),
        "domain": draw(
            st.sampled_from((None, "example.com", ".example.com", "localhost", "a.b:8000", "bücher.example"))
        ),
        "secure": draw(st.booleans() if lax else st.just(True)),
        "httponly": draw(st.booleans()),
        "samesite": samesite,
        "partitioned": partitioned,
    }


@settings(max_examples=1000, deadline=None)
@given(
    asked=asked_for(),
    value=st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_."),
    expires=st.one_of(
        st.none(),
        st.datetimes(datetime(1971, 1, 1), datetime(9998, 1, 1), timezones=st.timezones()),  # noqa: DTZ001 -- hypothesis adds the time zone
    ),
)
def test_the_text_is_that_of_werkzeug(asked: dict[str, Any], value: str, expires: datetime | None) -> None:
    theirs = dump_cookie(asked["name"], value, expires=expires, **{k: v for k, v in asked.items() if k != "name"})
    checked = checked_attributes(**asked)
    assert SessionCookie(checked).expiring(value, expires) == theirs
    second = None if expires is None else expires.replace(microsecond=0).timestamp()
    assert SessionCookie(checked).written(value, second) == theirs


@given(st.lists(st.integers(-2, 2) | st.floats(-2, 2) | st.floats(0, 2**37), max_size=5))
def test_a_header_that_is_written_often_has_each_time_its_own_expiry(seconds: list[float]) -> None:
    written_often = SessionCookie(attributes())
    for second in seconds:
        moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=math.floor(second))
        expected = SessionCookie(attributes()).expiring("v", moment)
        assert written_often.written("v", second) == expected


@settings(max_examples=500, deadline=None)
@given(asked=asked_for())
def test_the_deleting_text_is_that_of_werkzeug(asked: dict[str, Any]) -> None:
    response = Response()
    response.delete_cookie(asked["name"], **{key: value for key, value in asked.items() if key != "name"})
    assert [SessionCookie(checked_attributes(**asked)).deleting()] == response.headers.getlist("Set-Cookie")


def test_the_text_is_pinned() -> None:
    all_of_them = attributes(
        name="__Secure-id", path="/app", domain="example.com", samesite="none", partitioned=True, httponly=True
    )
    expires = datetime(2026, 11, 5, 8, 8, 9, tzinfo=timezone(timedelta(hours=1)))
    assert SessionCookie(all_of_them).expiring("value", expires) == (
        "__Secure-id=value; Domain=example.com; Expires=Thu, 05 Nov 2026 07:08:09 GMT; Secure; HttpOnly; Path=/app; "
        "SameSite=None; Partitioned"
    )
    assert SessionCookie(attributes(httponly=False)).expiring("value", None) == "session=value; Path=/"
    assert SessionCookie(attributes()).deleting() == (
        "session=; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=0; HttpOnly; Path=/"
    )


@pytest.mark.parametrize(
    ("vary", "expected"),
    [
        pytest.param([], "Cookie", id="none"),
        pytest.param(["Accept"], "Accept, Cookie", id="another"),
        pytest.param(["Accept , Origin", "Accept-Language"], "Accept, Origin, Accept-Language, Cookie", id="several"),
        pytest.param(["Origin, cookie"], "Origin, cookie", id="cookie already"),
        pytest.param(["*"], "*", id="everything already"),
        pytest.param(["", " ,"], "Cookie", id="empty values"),
        pytest.param(["X-Cookie"], "X-Cookie, Cookie", id="nearly cookie"),
    ],
)
def test_vary_names_cookie_once_beside_what_it_names(vary: list[str], expected: str) -> None:
    assert varying_by_cookie(vary) == expected


def test_an_empty_domain_is_none() -> None:
    assert attributes(domain="") == attributes(domain=None)


def test_an_expiry_is_written_in_whole_seconds() -> None:
    expires = datetime(2026, 11, 5, 7, 8, 9, 999_999, tzinfo=UTC)
    assert "Expires=Thu, 05 Nov 2026 07:08:09 GMT" in SessionCookie(attributes()).expiring("v", expires)


def test_an_expiry_without_a_time_zone_is_in_utc() -> None:
    naive = datetime(2026, 11, 5, 7, 8, 9)  # noqa: DTZ001 -- naive on purpose
    assert SessionCookie(attributes()).expiring("v", naive) == dump_cookie("session", "v", expires=naive, httponly=True)


def test_an_expiry_without_a_time_zone_is_not_in_local_time(monkeypatch: pytest.MonkeyPatch) -> None:
    naive = datetime(2026, 11, 5, 7, 8, 9)  # noqa: DTZ001 -- naive on purpose
    with monkeypatch.context() as environment:
        environment.setenv("TZ", "EST5")
        time.tzset()
        text = SessionCookie(attributes()).expiring("v", naive)
    time.tzset()
    assert "Expires=Thu, 05 Nov 2026 07:08:09 GMT" in text


def test_attributes_that_are_not_given_are_those_of_quart() -> None:
    assert CookieAttributes("session", "/") == attributes()


def test_a_domain_loses_its_first_dot_and_its_port_and_nothing_else() -> None:
    assert attributes(domain=".xylo.example:8000").domain == "xylo.example"


def test_a_partitioned_cookie_is_secure() -> None:
    assert attributes(partitioned=True).secure
    assert attributes(partitioned=True, samesite="None").samesite == "None"
    assert attributes(partitioned=True, name="__Host-session").secure


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"name": "__Host-session", "secure": True}, id="__Host-"),
        pytest.param({"name": "__Secure-session", "secure": True, "domain": "a.b", "path": "/x"}, id="__Secure-"),
        pytest.param({"name": "__Hostess"}, id="nearly __Host-"),
        pytest.param({"name": "my__Host-session"}, id="__Host- in the middle"),
        pytest.param({"name": "__Http-id", "secure": True, "domain": "a.b", "path": "/x"}, id="__Http-"),
        pytest.param({"name": "__Host-Http-id", "secure": True}, id="__Host-Http-"),
        pytest.param({"name": "__Https", "httponly": False}, id="nearly __Http-"),
        pytest.param({"name": "id__Http-", "httponly": False}, id="__Http- at the end"),
        pytest.param({"samesite": "None", "secure": True}, id="SameSite=None"),
    ],
)
def test_what_browsers_take_is_taken(changes: dict[str, Any]) -> None:
    assert SessionCookie(attributes(**changes)).expiring("v", None).startswith(f"{attributes(**changes).name}=v")


@pytest.mark.parametrize("setting", ["SESSION_COOKIE_NAME", "SESSION_COOKIE_PATH", "SESSION_COOKIE_DOMAIN"])
@for_each("character", CONTROL, ids=[*map(ascii, CONTROL)])
def test_control_characters_are_refused(setting: str, character: str) -> None:
    argument = setting.removeprefix("SESSION_COOKIE_").lower()
    for value in f"/a{character}b", f"/a{character}", character, f"a\r\nSet-Cookie: x{character}":
        with pytest.raises(ConfigurationError, match=setting):
            attributes(**{argument: value})


@pytest.mark.parametrize("setting", ["SESSION_COOKIE_PATH", "SESSION_COOKIE_DOMAIN"])
def test_a_line_break_is_said_to_be_one(setting: str) -> None:
    with pytest.raises(ConfigurationError, match=f"^{setting} holds a line break"):
        attributes(**{setting.removeprefix("SESSION_COOKIE_").lower(): "/a\nb"})


@settings(max_examples=300, deadline=None)
@given(path=st.text(st.characters(), max_size=9), domain=st.text(st.characters(), max_size=9), name=st.text(max_size=9))
def test_no_setting_breaks_out_of_its_attribute(path: str, domain: str, name: str) -> None:
    try:
        text = SessionCookie(attributes(path=path, domain=domain, name=name)).expiring("v", None)
    except ConfigurationError:
        return
    assert text.isascii()
    assert text.isprintable()
    expected = ["HttpOnly", "Path"] if not domain else ["Domain", "HttpOnly", "Path"]
    assert [part.partition("=")[0] for part in text.split("; ")] == [name, *expected]
    assert ";" not in text.replace("; ", "")


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        pytest.param({"name": ""}, ["SESSION_COOKIE_NAME"], id="no name"),
        pytest.param({"name": "my session"}, ["SESSION_COOKIE_NAME"], id="a space in the name"),
        pytest.param({"name": "a=b"}, ["SESSION_COOKIE_NAME"], id="= in the name"),
        pytest.param({"name": "a;b"}, ["SESSION_COOKIE_NAME"], id="; in the name"),
        pytest.param({"name": "sitzungé"}, ["SESSION_COOKIE_NAME"], id="a name past ASCII"),
        pytest.param({"name": "session\n"}, ["SESSION_COOKIE_NAME"], id="a line break after the name"),
        pytest.param({"path": "/\ud800"}, ["SESSION_COOKIE_PATH"], id="a lone surrogate in the path"),
        pytest.param({"domain": "a.com; Secure"}, ["SESSION_COOKIE_DOMAIN"], id="; in the domain"),
        pytest.param({"domain": "a.com\uff1b b"}, ["SESSION_COOKIE_DOMAIN"], id="a wide ; in the domain"),
        pytest.param({"domain": "a b.com"}, ["SESSION_COOKIE_DOMAIN"], id="a space in the domain"),
        pytest.param({"domain": "é..com"}, ["SESSION_COOKIE_DOMAIN"], id="an empty label"),
        pytest.param({"domain": "a" * 64 + ".com"}, ["SESSION_COOKIE_DOMAIN"], id="a label too long"),
        pytest.param({"domain": "https://example.com"}, ["SESSION_COOKIE_DOMAIN", "scheme"], id="a scheme"),
        pytest.param({"domain": "example.com:80/app"}, ["SESSION_COOKIE_DOMAIN", "path"], id="a path after a port"),
        pytest.param({"domain": "."}, ["SESSION_COOKIE_DOMAIN"], id="a dot alone"),
        pytest.param({"domain": ":5000"}, ["SESSION_COOKIE_DOMAIN"], id="a port alone"),
        pytest.param({"domain": "[::1]"}, ["SESSION_COOKIE_DOMAIN"], id="an address of IPv6"),
        pytest.param({"samesite": "strikt"}, ["SESSION_COOKIE_SAMESITE"], id="an unknown SameSite"),
        pytest.param({"samesite": ""}, ["SESSION_COOKIE_SAMESITE"], id="an empty SameSite"),
        pytest.param({"samesite": "Lax "}, ["SESSION_COOKIE_SAMESITE"], id="a space after SameSite"),
        pytest.param(
            {"samesite": "none"}, ["SESSION_COOKIE_SAMESITE", "SESSION_COOKIE_SECURE"], id="SameSite=None, not secure"
        ),
        pytest.param({"name": "__Secure-id"}, ["SESSION_COOKIE_SECURE"], id="__Secure-, not secure"),
        pytest.param({"name": "__secure-id"}, ["SESSION_COOKIE_SECURE"], id="__secure-, not secure"),
        pytest.param({"name": "__Host-id"}, ["SESSION_COOKIE_SECURE"], id="__Host-, not secure"),
        pytest.param(
            {"name": "__Host-id", "secure": True, "domain": "a.com"}, ["SESSION_COOKIE_DOMAIN"], id="__Host-, a domain"
        ),
        pytest.param(
            {"name": "__HOST-id", "secure": True, "path": "/a"}, ["SESSION_COOKIE_PATH"], id="__Host-, a path"
        ),
        pytest.param(
            {"name": "__Http-id"}, ["SESSION_COOKIE_SECURE", "SESSION_COOKIE_HTTPONLY"], id="__Http-, not secure"
        ),
        pytest.param(
            {"name": "__HTTP-id", "secure": True, "httponly": False},
            ["SESSION_COOKIE_HTTPONLY"],
            id="__Http-, for scripts",
        ),
        pytest.param(
            {"name": "__Host-Http-id", "secure": True, "httponly": False},
            ["SESSION_COOKIE_HTTPONLY"],
            id="__Host-Http-, for scripts",
        ),
    ],
)
def test_what_browsers_would_drop_is_refused_by_the_name_of_its_setting(
    changes: dict[str, Any], named: list[str]
) -> None:
    with pytest.raises(ConfigurationError) as refusal:
        attributes(**changes)
    for setting in named:
        assert setting in str(refusal.value)


def places(cookie: CookieAttributes, root: object = "/") -> set[tuple[str | None, str]]:
    """Where the same cookie may be kept besides: domains and paths."""
    rivals = rivals_of(cookie, root)
    assert all(rival == attributes(domain=rival.domain, path=rival.path, name=cookie.name) for rival in rivals)
    return {(rival.domain, rival.path) for rival in rivals}


def test_a_cookie_may_be_kept_at_the_root_and_for_the_host_alone() -> None:
    assert places(attributes()) == set()
    assert places(attributes(path="/app")) == {(None, "/")}
    assert places(attributes(domain="example.org")) == {(None, "/")}
    assert places(attributes(domain="example.org", path="/app")) == {
        (None, "/"),
        (None, "/app"),
        ("example.org", "/"),
    }


def test_a_cookie_may_be_kept_at_the_application_root() -> None:
    assert places(attributes(), "/shop") == {(None, "/shop")}
    assert places(attributes(), "/a shop+1") == {(None, "/a%20shop+1")}  # as the path itself is quoted


@for_each("root", (None, 7, "", "shop"))
def test_what_is_no_path_is_no_root(root: object) -> None:
    assert places(attributes(), root) == set()
    assert places(attributes(path="/app"), root) == {(None, "/")}


def test_a_host_cookie_has_one_place() -> None:
    host = checked_attributes(
        name="__Host-s", path="/", domain=None, secure=True, httponly=True, samesite=None, partitioned=False
    )
    assert rivals_of(host, "/shop") == ()


@for_each("host", ("example.org", "EXAMPLE.org", "shop.example.org", "example.org:8000", "example.org:"))
def test_a_cookie_of_a_domain_is_sent_to_it_and_below(host: str) -> None:
    assert is_sent_to("example.org", host)
    assert is_sent_to("Example.ORG", host)


@for_each("host", ("badexample.org", "example.org.evil", "org", "", "example.org:80x", "example.com"))
def test_a_cookie_of_a_domain_is_sent_nowhere_else(host: str) -> None:
    assert not is_sent_to("example.org", host)


@for_each("path", ("", "app", "./app"))
def test_a_path_begins_with_a_slash(path: str) -> None:
    with pytest.raises(ConfigurationError, match=r"^SESSION_COOKIE_PATH .* browsers take any other for the directory"):
        attributes(path=path)


def test_browsers_keep_what_rfc_6265_says() -> None:
    assert BROWSERS_LIMIT == 4093  # 4096 bytes, less what Chromium and Firefox count besides, as werkzeug has it
