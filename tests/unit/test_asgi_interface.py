"""What of ASGI a session meets: the headers of a connection, and those of a response."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

import pytest
from attrs import Factory, define

from typed_sessions import ConfigurationError
from typed_sessions.asgi import Sessions
from typed_sessions.frameworks.asgi_interface import ASGIHeaders, Connection

SECRET = "a secret key that is long enough"


@define
class Visitor:
    user_id: int | None = None
    cart: list[str] = Factory(list[str])


async def receive() -> Any:
    """Return what comes from the client: nothing."""


def responded(
    sessions: Sessions[Visitor],
    *cookies: bytes,
    add: str = "",
    headers: Iterable[tuple[bytes, bytes]] = (),
    host: bytes = b"shop.example",
) -> tuple[list[tuple[bytes, bytes]], list[str]]:
    """Return the headers of a response, and what is in the cart then."""
    sent, carts = list[Any](), list[list[str]]()

    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        if add:
            sessions.data.cart.append(add)
        carts.append([*sessions.data.cart])
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b""})

    async def send(message: Any) -> None:
        sent.append(message)

    brought = [(b"host", host), *((b"cookie", cookie) for cookie in cookies)]
    scope = {"type": "http", "path": "/", "headers": brought}
    asyncio.run(sessions.middleware(app)(scope, receive, send))
    return sent[0]["headers"], carts[0]


def cookie_in(headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    return next(value for name, value in headers if name == b"set-cookie").partition(b";")[0]


def test_a_cookie_is_found_in_whatever_way_it_comes() -> None:
    sessions = Sessions(Visitor, secret_key=SECRET)
    cookie = cookie_in(responded(sessions, add="tea")[0])
    name, _, value = cookie.partition(b"=")
    for brought in (
        [cookie],
        [b"a=b; " + cookie + b"; c=d"],
        [b"a=b", cookie, b"c=d"],  # as HTTP/2 may send it
        [b'a="b;c"; ' + name + b'="' + value + b'"'],
        [b"\xe9=1;" + cookie],
    ):
        assert responded(sessions, *brought)[1] == ["tea"]
    for brought in ([], [b"other=1"], [name + b"=" + value[:-2]], [b"x" + cookie]):
        assert responded(sessions, *brought)[1] == []


def test_of_two_cookies_the_one_that_was_made_last_counts() -> None:
    sessions = Sessions(Visitor, secret_key=SECRET, path="/shop")
    cookie = cookie_in(responded(sessions, add="tea")[0])
    headers, cart = responded(sessions, cookie, b"session=forged.aaaa.bbbb", add="milk")
    assert cart == ["tea", "milk"]
    assert len([name for name, _ in headers if name == b"set-cookie"]) == 1


@pytest.mark.parametrize("kind", [list, tuple, iter])
def test_headers_may_be_any_iterable(kind: Any) -> None:
    sessions = Sessions(Visitor, secret_key=SECRET)
    headers, _ = responded(sessions, add="tea", headers=kind([(b"X-One", b"1"), (b"vary", b"Accept")]))
    assert sorted(name for name, _ in headers) == [b"X-One", b"set-cookie", b"vary"]
    assert dict(headers)[b"vary"] == b"Accept, Cookie"


def test_the_headers_of_an_application_are_not_changed() -> None:
    sessions = Sessions(Visitor, secret_key=SECRET)
    own = [(b"content-type", b"text/plain")]
    assert len(responded(sessions, add="tea", headers=own)[0]) == 3
    assert own == [(b"content-type", b"text/plain")]


@pytest.mark.parametrize("host", [b"shop.example", b"www.shop.example:8000", b"127.0.0.1"])
def test_a_domain_that_a_request_does_not_come_to_is_reported(host: bytes, caplog: pytest.LogCaptureFixture) -> None:
    sessions = Sessions(Visitor, secret_key=SECRET, domain="shop.example")
    headers, _ = responded(sessions, add="tea", host=host)
    assert b"Domain=shop.example" in dict(headers)[b"set-cookie"]
    assert responded(sessions, cookie_in(headers), host=host)[1] == ["tea"]
    assert caplog.text.count("outside of SESSION_COOKIE_DOMAIN") == (host == b"127.0.0.1")


def test_a_connection_has_cookies_and_a_host() -> None:
    connection = Connection([(b"host", b"shop.example"), (b"cookie", b'a=1; b="2"; a=3')])
    assert connection.cookies == {"a": "1", "b": "2"}
    assert connection.values_of("a") == ("1", "3")
    assert connection.host == "shop.example"
    assert Connection([]).host == ""


def test_headers_are_found_in_any_case() -> None:
    headers = ASGIHeaders([(b"Vary", b"Accept"), (b"x", b"1"), (b"vary", b"Origin")])
    assert headers.getlist("VARY") == ["Accept", "Origin"]
    headers.set("vary", "Cookie")
    assert list(headers) == [("x", "1"), ("vary", "Cookie")]


def test_sessions_without_a_key_are_refused() -> None:
    sessions = Sessions(Visitor, secret_key=SECRET)
    with pytest.raises(ConfigurationError, match="SECRET_KEY is missing"):
        asyncio.run(sessions._interface.opened(type(sessions._application)({}), Connection([])))  # type: ignore[attr-defined]
