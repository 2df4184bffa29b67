"""What sessions do alike wherever a middleware of ASGI has them: in FastAPI, which is Starlette, and in Litestar."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from attrs import define
from freezegun import freeze_time
from typing_extensions import override

from tests.failing_store import Failing
from tests.integrations import test_asgi, test_litestar
from typed_sessions.stores import MemoryStore

pytestmark = test_litestar.pytestmark

STORES = test_litestar.STORES

MakeShop = Callable[..., Any]


def _fastapi(**settings: Any) -> Any:
    shop = test_asgi.make_shop(**settings)
    test_asgi.add_websockets(shop)
    return shop


@pytest.fixture(params=[_fastapi, test_litestar.make_shop], ids=["fastapi", "litestar"])
def make_shop(request: pytest.FixtureRequest) -> MakeShop:
    made: MakeShop = request.param
    return made


@define
class Outage:
    shop: Any
    store: Failing
    visitor: Any


@pytest.fixture
def outage(make_shop: MakeShop) -> Iterator[Outage]:
    store = Failing()
    shop = make_shop(store=store)
    with shop.client() as visitor:
        visitor.get("/add/tea")
        yield Outage(shop, store, visitor)


@STORES
def test_a_nested_change_is_saved_and_a_read_writes_nothing(make_shop: MakeShop, store: str | None) -> None:
    with make_shop(store=store).client() as visitor:
        assert visitor.get("/add/tea").json() == 1
        assert visitor.get("/add-in-a-thread/milk").json() == 2
        answer = visitor.get("/cart")
        assert answer.json() == ["tea", "milk"]
        assert "set-cookie" not in answer.headers
        assert answer.headers["vary"] == "Cookie"
        untouched = visitor.get("/nothing")
        assert "vary" not in untouched.headers
        assert "set-cookie" not in untouched.headers


@STORES
def test_log_in_and_out(make_shop: MakeShop, store: str | None) -> None:
    with make_shop(store=store).client() as visitor:
        visitor.get("/login/7")
        assert visitor.get("/me").json() == 7
        former = dict(visitor.cookies)
        answer = visitor.get("/logout")
        assert "Max-Age=0" in answer.headers["set-cookie"]
        assert visitor.get("/me").json() is None
        visitor.cookies.update(former)
        assert visitor.get("/me").json() == (7 if store is None else None)


def test_the_cookie_is_lax_and_lasts_unless_something_else_is_said(make_shop: MakeShop) -> None:
    header = make_shop().client().get("/add/tea").headers["set-cookie"]
    assert {"SameSite=Lax", "HttpOnly", "Path=/"} < set(header.split("; "))
    assert "Expires=" in header
    other = make_shop(permanent=False, samesite="strict", cookie_name="shop", path="/add", secure=True)
    header = other.client().get("/add/tea").headers["set-cookie"]
    assert header.startswith("shop=")
    assert header.split("; ")[1:] == ["Secure", "HttpOnly", "Path=/add", "SameSite=Strict"]


def test_a_lifetime_of_its_own(make_shop: MakeShop) -> None:
    shop = make_shop(lifetime=timedelta(days=14))
    header = shop.client().get("/add/tea").headers["set-cookie"]
    value = header.split(";")[0].partition("=")[2]
    for days, cart in ((13, ["tea"]), (15, [])):
        with freeze_time(datetime.now(UTC) + timedelta(days=days), real_asyncio=True):
            assert shop.client(cookies={"session": value}).get("/cart").json() == cart


@pytest.mark.parametrize("path", ["/background", "/stream"])
@STORES
def test_a_change_after_the_response_is_logged_as_lost(
    make_shop: MakeShop, path: str, store: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    with make_shop(store=store).client() as visitor:
        visitor.get("/add/tea")
        caplog.clear()
        assert visitor.get(path).status_code == 200
        [record] = [record for record in caplog.records if record.name == "typed_sessions"]
        assert "change is lost" in record.getMessage()
        assert record.levelno == logging.ERROR or store
        assert visitor.get("/cart").json() == ["tea"]


@pytest.mark.parametrize("path", ["/background?save=true", "/stream?save=true"])
def test_with_a_store_a_later_change_can_be_saved(
    make_shop: MakeShop, path: str, caplog: pytest.LogCaptureFixture
) -> None:
    shop = make_shop(store="memory://")
    with shop.client() as visitor:
        visitor.get("/add/tea")
        caplog.clear()
        visitor.get(path)
        assert shop.noted == [True]
        assert visitor.get("/cart").json() == ["tea", "later" if "background" in path else "late"]
        assert "session" not in caplog.text.replace("testserver", "")


@pytest.mark.parametrize(("method", "path"), [("load", "/cart"), ("update", "/add/milk")])
def test_a_store_that_does_not_answer_is_a_503(
    method: str, path: str, outage: Outage, caplog: pytest.LogCaptureFixture
) -> None:
    outage.store.broken = frozenset({method})
    answer = outage.visitor.get(path)
    assert answer.status_code == 503
    assert "Service Unavailable" in answer.text
    assert answer.headers["retry-after"] == "5"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["vary"] == "Cookie"
    assert "set-cookie" not in answer.headers
    assert "the session store is unavailable" in caplog.text
    assert outage.visitor.get("/nothing").status_code == 200
    outage.store.broken = frozenset()
    assert outage.visitor.get("/cart").json() == ["tea"]


def test_a_store_may_be_done_without(make_shop: MakeShop) -> None:
    store = Failing()
    with make_shop(store=store, on_store_error="anonymous").client() as visitor:
        visitor.get("/add/tea")
        store.broken = frozenset({"load"})
        assert visitor.get("/cart").json() == []
        store.broken = frozenset()
        assert visitor.get("/cart").json() == ["tea"]


@pytest.mark.parametrize("method", ["load", "update"])
def test_a_websocket_whose_session_the_store_does_not_give_is_refused(method: str, outage: Outage) -> None:
    outage.store.broken = frozenset({method})
    with pytest.raises(Exception) as refused, outage.visitor.websocket_connect("/ws"):  # noqa: PT011
        pass
    answer: Any = refused.value
    if isinstance(outage.shop, test_litestar.Shop):
        assert answer.code == 1013
    else:
        assert answer.status_code == 503


@STORES
@pytest.mark.parametrize("late", [False, True])
def test_a_change_before_accept_is_saved_and_a_later_one_takes_a_store(
    make_shop: MakeShop, store: str | None, late: bool, caplog: pytest.LogCaptureFixture
) -> None:
    with make_shop(store=store).client() as visitor:
        visitor.get("/add/tea")
        with visitor.websocket_connect(f"/ws?late={late}") as socket:
            assert socket.receive_json() == ["tea", "before"]
            headers = {name.decode(): value.decode() for name, value in socket.extra_headers or ()}
            socket.send_text("bye")
            time.sleep(0.05)
        if store is None:
            visitor.cookies.clear()
            visitor.cookies.set("session", headers["set-cookie"].split(";")[0].partition("=")[2])
        assert visitor.get("/cart").json() == ["tea", "before", *(["after"] if late and store else [])]
    assert ("a session change is lost" in caplog.text) is (late and store is None)
    assert "save()" not in caplog.text


def test_a_store_is_closed_with_the_lifespan(make_shop: MakeShop, tmp_path: Any) -> None:
    shop = make_shop(store=f"sqlite:///{tmp_path}/sessions.db")
    for _ in range(2):
        with shop.client() as visitor:
            visitor.get("/add/tea")
            assert visitor.get("/cart").json() == ["tea"]


def test_expired_sessions_are_deleted_while_it_serves(make_shop: MakeShop) -> None:
    purged: list[str] = []

    class Purged(MemoryStore):
        @override
        async def delete_expired(self, limit: int = 1_000) -> int:
            purged.append("now")
            return await super().delete_expired(limit)

    shop = make_shop(store=Purged(), purge_every=timedelta(milliseconds=1))
    with shop.client() as visitor:
        visitor.get("/nothing")
        time.sleep(0.05)
    assert len(purged) > 1
    once = len(purged)
    time.sleep(0.02)
    assert len(purged) == once


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_cookies_work_in_any_event_loop(make_shop: MakeShop, backend: Any) -> None:
    with make_shop().client(backend=backend) as visitor:
        visitor.get("/add/tea")
        assert visitor.get("/add-in-a-thread/milk").json() == 2
