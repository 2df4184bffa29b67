"""Starlette and FastAPI applications on typed sessions."""

# FastAPI reads the annotations of views within functions, which it could not resolve if they were texts.

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from typing import Annotated, Any

import pytest
from attrs import Factory, define, evolve, frozen
from fastapi import BackgroundTasks, Depends, FastAPI, HTTPException, Request, WebSocket
from fastapi.responses import StreamingResponse
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware, RequestResponseEndpoint
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Mount, Route
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect
from typing_extensions import override

from tests.failing_store import Failing
from typed_sessions import ConfigurationError, Session, StoreUnavailableError, Subject
from typed_sessions.asgi import Sessions
from typed_sessions.reports import FieldReset, Reason, Refused, Report, UnknownSetting

SECRET = "a secret key that is long enough"


@define
class Visitor:
    user_id: Annotated[int | None, Subject] = None
    cart: list[str] = Factory(list[str])


@define
class Admin:
    name: str = ""


@define
class Shop:
    """An application, its sessions, and what its views have noted."""

    app: FastAPI
    sessions: Sessions[Visitor]
    noted: list[object] = Factory(list[object])

    def client(self, **options: Any) -> TestClient:
        return client(self.app, **options)

    @property
    def losses(self) -> str:
        return ""


def client(app: Any, **options: Any) -> TestClient:
    return TestClient(app, "https://testserver", raise_server_exceptions=False, **options)


def make_shop(**settings: Any) -> Shop:  # noqa: C901 -- many short views
    app = FastAPI()
    sessions: Sessions[Visitor] = Sessions(Visitor, **{"secret_key": SECRET, **settings})
    app.add_middleware(sessions.middleware)
    shop = Shop(app, sessions)
    current_visitor = Annotated[Visitor, Depends(sessions.get_data)]

    @app.get("/nothing")
    async def nothing() -> str:
        return ""

    @app.get("/cart")
    async def cart(visitor: current_visitor) -> list[str]:
        return visitor.cart

    @app.get("/add/{item}")
    async def add(item: str, visitor: current_visitor) -> int:
        visitor.cart.append(item)
        return len(visitor.cart)

    @app.get("/add-in-a-thread/{item}")
    def add_in_a_thread(item: str, visitor: current_visitor) -> int:
        visitor.cart.append(item)
        return len(sessions.data.cart)

    @app.get("/login/{user_id}")
    async def login(user_id: int, session: Annotated[Session[Visitor], Depends(sessions.get_session)]) -> None:
        session.promote(user_id=user_id)

    @app.get("/me")
    async def me(visitor: current_visitor) -> int | None:
        return visitor.user_id

    @app.get("/logout")
    async def logout() -> None:
        sessions.current.invalidate()

    @app.get("/teapot")
    async def teapot(visitor: current_visitor) -> None:
        visitor.cart.append("tea")
        raise HTTPException(418)

    @app.get("/crash")
    async def crash(visitor: current_visitor) -> None:
        visitor.cart.append("crash")
        raise ZeroDivisionError

    @app.get("/unwritable")
    async def unwritable(visitor: current_visitor) -> None:
        visitor.cart.append(object())  # type: ignore[arg-type]  # which is the point

    @app.get("/background")
    async def background(tasks: BackgroundTasks, *, save: bool = False) -> None:
        async def work() -> None:
            sessions.data.cart.append("later")
            if save:
                shop.noted.append(await sessions.save())

        bool(sessions.current)
        tasks.add_task(work)

    @app.get("/stream")
    async def stream(*, by_key: bool = False, save: bool = False) -> StreamingResponse:
        async def body() -> AsyncIterator[str]:
            yield "a"
            if by_key:
                sessions.current["user_id"] = 5
            else:
                sessions.data.cart.append("late")
            if save:
                shop.noted.append(await sessions.save())
            yield "b"

        bool(sessions.current)
        return StreamingResponse(body())

    @app.get("/stream-uses-it-first")
    async def stream_uses_it_first() -> StreamingResponse:
        async def body() -> AsyncIterator[str]:
            yield str(sessions.data.user_id)

        return StreamingResponse(body(), media_type="text/event-stream")

    async def lasting() -> AsyncIterator[Visitor]:
        yield sessions.data
        sessions.data.cart.append("after the response")

    @app.get("/lasting")
    async def last(_visitor: Annotated[Visitor, Depends(lasting)]) -> None: ...

    return shop


STORES = pytest.mark.parametrize("store", [None, "memory://"], ids=["cookie", "store"])


@STORES
def test_an_error_that_is_handled_is_saved_and_another_one_is_not(store: str | None) -> None:
    with make_shop(store=store).client() as visitor:
        assert visitor.get("/teapot").status_code == 418
        assert visitor.get("/cart").json() == ["tea"]
        assert visitor.get("/crash").status_code == 500
        assert visitor.get("/cart").json() == ["tea"]
        answer = visitor.get("/unwritable")
        assert answer.status_code == 500
        assert "set-cookie" not in answer.headers
        assert visitor.get("/cart").json() == ["tea"]


@pytest.mark.parametrize("path", ["/stream?by_key=true", "/lasting"])
def test_a_late_change_by_key_or_of_a_dependency_is_logged_as_lost(path: str, caplog: pytest.LogCaptureFixture) -> None:
    visitor = make_shop().client()
    visitor.get("/add/tea")
    caplog.clear()
    assert visitor.get(path).status_code == 200
    [record] = [record for record in caplog.records if record.name == "typed_sessions"]
    assert record.levelno == logging.ERROR
    assert "a session change is lost" in record.getMessage()
    assert visitor.get("/cart").json() == ["tea"]


@pytest.mark.parametrize("path", ["/background", "/stream", "/lasting"])
def test_so_it_is_with_a_store(path: str, caplog: pytest.LogCaptureFixture) -> None:
    with make_shop(store="memory://").client() as visitor:
        visitor.get("/add/tea")
        caplog.clear()
        assert visitor.get(path).status_code == 200
        [record] = [record for record in caplog.records if record.name == "typed_sessions"]
        assert "the change is lost unless `await sessions.save()` follows" in record.getMessage()
        assert visitor.get("/cart").json() == ["tea"]


def test_in_a_cookie_it_cannot_and_save_says_so(caplog: pytest.LogCaptureFixture) -> None:
    shop = make_shop()
    visitor = shop.client()
    visitor.get("/add/tea")
    visitor.get("/background?save=true")
    assert shop.noted == [False]
    assert caplog.text.count("a session change is lost") == 1


def test_a_stream_that_is_the_first_to_use_the_session_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    visitor = make_shop().client()
    visitor.get("/login/7")
    assert visitor.get("/stream-uses-it-first").text == "7"
    assert "so the response has no Vary" in caplog.text


def test_one_response_object_for_all_carries_nobodys_cookie() -> None:
    sessions = Sessions(Visitor, secret_key=SECRET)
    page = PlainTextResponse("hello")

    async def home(request: Request) -> Response:
        if "user" in request.query_params:
            sessions.data.user_id = int(request.query_params["user"])
        return page

    app = Starlette(routes=[Route("/", home)], middleware=[Middleware(sessions.middleware)])
    assert "set-cookie" in client(app).get("/?user=7").headers
    assert "set-cookie" not in client(app).get("/").headers
    assert page.headers.getlist("set-cookie") == []


def test_a_shared_cache_does_not_keep_a_response_with_a_cookie(caplog: pytest.LogCaptureFixture) -> None:
    sessions = Sessions(Visitor, secret_key=SECRET)

    async def home(_request: Request) -> Response:
        sessions.data.cart.append("tea")
        return PlainTextResponse("", headers={"Cache-Control": "public, max-age=60", "Vary": "Accept"})

    app = Starlette(routes=[Route("/", home)], middleware=[Middleware(sessions.middleware)])
    answer = client(app).get("/")
    assert answer.headers["cache-control"] == "private, max-age=60"
    assert answer.headers["vary"] == "Accept, Cookie"
    assert "for shared caches" in caplog.text


def test_a_file_may_use_the_session(tmp_path: Any) -> None:
    sessions = Sessions(Visitor, secret_key=SECRET)
    (tmp_path / "file").write_text("content")

    async def home(_request: Request) -> Response:
        sessions.data.cart.append("tea")
        return FileResponse(tmp_path / "file")

    app = Starlette(routes=[Route("/", home)], middleware=[Middleware(sessions.middleware)])
    answer = client(app).get("/")
    assert answer.text == "content"
    assert "set-cookie" in answer.headers


def test_middleware_on_both_sides(caplog: pytest.LogCaptureFixture) -> None:
    sessions = Sessions(Visitor, secret_key=SECRET)
    seen: list[str] = []

    class Outer(BaseHTTPMiddleware):
        @override
        async def dispatch(self, request: Request, call_next: RequestResponseEndpoint) -> Response:
            with pytest.raises(RuntimeError, match="middleware"):
                sessions.on(request)
            response = await call_next(request)
            seen.append(",".join(sessions.on(request).data.cart))
            with pytest.raises(RuntimeError, match="middleware"):
                _ = sessions.current
            return response

    class Inner(BaseHTTPMiddleware):
        @override
        async def dispatch(self, request: Request, call_next: RequestResponseEndpoint) -> Response:
            sessions.data.cart.append("before")
            response = await call_next(request)
            sessions.data.cart.append("after")
            return response

    async def home(request: Request) -> Response:
        assert sessions.on(request) is sessions.current
        return JSONResponse(sessions.data.cart)

    middleware = [Middleware(Outer), Middleware(sessions.middleware), Middleware(Inner)]
    visitor = client(Starlette(routes=[Route("/", home)], middleware=middleware))
    assert visitor.get("/").json() == ["before"]
    assert visitor.get("/").json() == ["before", "after", "before"]
    assert seen == ["before,after", "before,after,before,after"]
    assert caplog.text == ""


@define
class LaterVisitor:
    user_id: str | None = None


def test_an_application_hears_of_what_was_refused_and_reset(caplog: pytest.LogCaptureFixture) -> None:
    heard: list[Report] = []
    cookie = Sessions(Visitor, secret_key=SECRET).cookie_for(Visitor(user_id=7))
    later = Sessions(LaterVisitor, secret_key=SECRET, on_event=heard.append)

    async def look(_: Request) -> Response:
        return JSONResponse([later.data.user_id, later.current.new])

    client = TestClient(later.middleware(Starlette(routes=[Route("/", look)])))
    with caplog.at_level(logging.DEBUG, "typed_sessions"):
        assert client.get("/", headers={"Cookie": f"session={cookie}"}).json() == [None, False]
        assert client.get("/", headers={"Cookie": "session=forged"}).json() == [None, True]
    assert heard == [FieldReset("user_id", "str | None"), Refused(Reason.MALFORMED)]
    assert [record.getMessage() for record in caplog.records] == [str(report) for report in heard]
    config = {"SECRET_KEY": SECRET, "SESSION_SERIALISER": "msgspec-json"}
    Sessions.from_config(LaterVisitor, config, on_event=heard.append)
    assert isinstance(heard[2], UnknownSetting)


@pytest.mark.parametrize("wrong", [{"permanent": "no"}, {"on_event": "log"}], ids="".join)
def test_an_argument_that_is_no_config_key_is_checked_too(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match=f"^{next(iter(wrong))} must be"):
        Sessions(Visitor, secret_key=SECRET, **wrong)


def test_two_sessions_one_within_the_other() -> None:
    public = Sessions(Visitor, secret_key=SECRET)
    admins = Sessions(Admin, secret_key=SECRET, cookie_name="admin", path="/admin")

    async def home(request: Request) -> Response:
        with pytest.raises(RuntimeError, match="middleware"):
            _ = admins.data
        return JSONResponse([request.session, public.data.cart])

    async def inside(request: Request) -> Response:
        admins.data.name = "root"
        public.data.cart.append("from inside")
        assert admins.on(request) is admins.current
        assert public.on(request) is public.current
        return JSONResponse([request.session, public.data.cart])

    inner = Starlette(routes=[Route("/", inside)], middleware=[Middleware(admins.middleware)])
    app = Starlette(routes=[Route("/", home), Mount("/admin", inner)], middleware=[Middleware(public.middleware)])
    visitor = client(app)
    answer = visitor.get("/admin/")
    assert len(answer.headers.get_list("set-cookie")) == 2
    assert answer.json() == [{"name": "root"}, ["from inside"]]
    assert visitor.get("/").json() == [{"cart": ["from inside"]}, ["from inside"]]


@STORES
def test_a_mounted_application_with_the_same_sessions_has_the_same_session(store: str | None) -> None:
    shop = make_shop(store=store)

    class Around(BaseHTTPMiddleware):
        @override
        async def dispatch(self, request: Request, call_next: RequestResponseEndpoint) -> Response:
            shop.sessions.data.cart.append("around")
            session = shop.sessions.current
            response = await call_next(request)
            assert shop.sessions.current is session
            return response

    app = Starlette(
        routes=[Mount("/shop", shop.app)], middleware=[Middleware(shop.sessions.middleware), Middleware(Around)]
    )
    with client(app) as visitor:
        assert len(visitor.get("/shop/add/tea").headers.get_list("set-cookie")) == 1
        assert visitor.get("/shop/cart").json() == ["around", "tea", "around"]


async def test_a_scope_that_comes_again_is_another_request() -> None:
    sessions = Sessions(Visitor, secret_key=SECRET)
    answers: list[Any] = []

    async def home(_scope: Any, _receive: Any, send: Any) -> None:
        sessions.data.cart.append("tea")
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})

    async def send(message: Any) -> None:
        answers.append(dict(message["headers"]).get(b"set-cookie"))

    scope: dict[str, Any] = {"type": "http", "headers": []}
    for _ in range(2):
        await sessions.middleware(home)(scope, asyncio.Event().wait, send)  # type: ignore[arg-type]  # nobody receives
    assert None not in answers
    assert len(answers) == 2


@STORES
def test_a_mounted_application_may_have_the_only_sessions(store: str | None) -> None:
    shop = make_shop(store=store)
    app = Starlette(routes=[Mount("/shop", shop.app)])
    with client(app) as visitor:
        visitor.get("/shop/add/tea")
        assert visitor.get("/shop/cart").json() == ["tea"]


def test_a_session_that_somebody_else_puts_into_the_scope_is_not_saved() -> None:
    sessions = Sessions(Visitor, secret_key=SECRET)

    async def home(request: Request) -> Response:
        sessions.data.cart.append("tea")
        request.scope["session"] = {"user_id": 9}
        return JSONResponse([sessions.on(request).data.user_id, sessions.data.cart])

    visitor = client(Starlette(routes=[Route("/", home)], middleware=[Middleware(sessions.middleware)]))
    assert visitor.get("/").json() == [None, ["tea"]]
    assert visitor.get("/").json() == [None, ["tea", "tea"]]


def test_requests_at_once_have_their_own_sessions() -> None:
    shop = make_shop()

    @shop.app.get("/wait/{n}")
    async def wait(n: int) -> int | None:
        shop.sessions.data.user_id = n
        await asyncio.sleep(0.01)
        return shop.sessions.data.user_id

    @shop.app.get("/block/{n}")
    def block(n: int) -> int | None:
        shop.sessions.data.user_id = n
        time.sleep(0.001)
        return shop.sessions.data.user_id

    async def get(path: str) -> bytes:
        sent: list[Any] = []

        async def send(message: Any) -> None:
            sent.append(message)

        async def receive() -> Any:
            return {"type": "http.request", "body": b"", "more_body": False}

        scope = {"type": "http", "method": "GET", "path": path, "query_string": b"", "headers": []}
        await shop.app(scope, receive, send)
        body: bytes = sent[1]["body"]
        return body

    async def main() -> None:
        for path in ("wait", "block"):
            answers = await asyncio.gather(*(get(f"/{path}/{n}") for n in range(30)))
            assert answers == [str(n).encode() for n in range(30)]

    asyncio.run(main())


@frozen
class Frozen:
    name: str = ""


def test_a_frozen_class_is_replaced() -> None:
    sessions = Sessions(Frozen, secret_key=SECRET)

    async def home(_request: Request) -> Response:
        sessions.replace(evolve(sessions.data, name=sessions.data.name + "x"))
        return PlainTextResponse(sessions.data.name)

    visitor = client(Starlette(routes=[Route("/", home)], middleware=[Middleware(sessions.middleware)]))
    assert [visitor.get("/").text for _ in range(2)] == ["x", "xx"]


def test_without_a_schema_a_session_is_a_dict() -> None:
    sessions = Sessions(secret_key=SECRET)

    async def home(_request: Request) -> Response:
        sessions.data["n"] = 1 + int(str(sessions.data.get("n", 0)))
        return JSONResponse(sessions.data["n"])

    visitor = client(Starlette(routes=[Route("/", home)], middleware=[Middleware(sessions.middleware)]))
    assert [visitor.get("/").json() for _ in range(3)] == [1, 2, 3]


def test_the_sessions_of_a_subject() -> None:
    shop = make_shop(store="memory://")

    @shop.app.get("/sessions")
    async def listed() -> list[bool]:
        return [each.current for each in await shop.sessions.of(7)]

    @shop.app.get("/log-out-elsewhere")
    async def log_out_elsewhere() -> None:
        await shop.sessions.revoke(7, except_current=True)

    with shop.client() as phone:
        laptop = shop.client()
        for each in (phone, laptop):
            each.get("/login/7")
        assert sorted(phone.get("/sessions").json()) == [False, True]
        phone.get("/log-out-elsewhere")
        assert [each.get("/me").json() for each in (phone, laptop)] == [7, None]


def test_the_cookie_of_a_visitor_for_tests() -> None:
    shop = make_shop()
    visitor = shop.client(cookies={"session": shop.sessions.cookie_for(Visitor(user_id=7))})
    assert visitor.get("/me").json() == 7
    assert "Expires=" in visitor.get("/add/tea").headers["set-cookie"]
    brief = shop.client(cookies={"session": shop.sessions.cookie_for(Visitor(user_id=7), permanent=False)})
    assert "Expires=" not in brief.get("/add/tea").headers["set-cookie"]


# A store that does not answer


@define
class Outage:
    shop: Shop
    store: Failing
    visitor: TestClient


@pytest.fixture
def outage() -> Iterator[Outage]:
    store = Failing()
    shop = make_shop(store=store)
    with shop.client() as visitor:
        visitor.get("/add/tea")
        yield Outage(shop, store, visitor)


def test_of_a_page_that_could_not_be_saved_only_what_protects_it_goes_out(outage: Outage) -> None:
    @outage.shop.app.get("/page")
    async def page() -> Response:
        outage.shop.sessions.data.cart.append("milk")
        return PlainTextResponse("your cart", headers={"X-Frame-Options": "DENY", "X-Cart": "2"})

    outage.store.broken = frozenset({"update"})
    answer = outage.visitor.get("/page")
    assert answer.headers["x-frame-options"] == "DENY"
    assert "x-cart" not in answer.headers
    assert answer.text == "Service Unavailable"


def test_an_application_may_answer_itself_where_a_session_is_not_loaded(outage: Outage) -> None:
    @outage.shop.app.exception_handler(StoreUnavailableError)
    async def answer(_request: Request, _error: Exception) -> Response:
        return PlainTextResponse("a minute, please", 503)

    outage.shop.app.middleware_stack = None
    outage.store.broken = frozenset({"load"})
    assert outage.visitor.get("/cart").text == "a minute, please"
    outage.store.broken = frozenset({"update"})
    assert outage.visitor.get("/add/milk").text == "Service Unavailable"


# Websockets


def add_websockets(shop: Shop) -> None:
    app, sessions = shop.app, shop.sessions

    @app.websocket("/ws")
    async def talk(
        websocket: WebSocket, visitor: Annotated[Visitor, Depends(sessions.get_data)], *, late: bool = False
    ) -> None:
        visitor.cart.append("before")
        await websocket.accept()
        assert sessions.on(websocket) is sessions.current
        await websocket.send_json(visitor.cart)
        if late:
            sessions.current["cart"] = [*visitor.cart, "after"]
        await websocket.receive_text()

    @app.websocket("/read")
    async def read(websocket: WebSocket, visitor: Annotated[Visitor, Depends(sessions.get_data)]) -> None:
        await websocket.accept()
        await websocket.send_json(visitor.cart)

    @app.websocket("/closed")
    async def closed(websocket: WebSocket) -> None:
        sessions.data.cart.append("closed")
        await websocket.close()

    @app.websocket("/saving")
    async def saving(websocket: WebSocket) -> None:
        await websocket.accept()
        sessions.data.cart.append("saved")
        await websocket.send_json(await sessions.save())
        await websocket.receive_text()
        shop.noted.append(await sessions.reload())
        shop.noted.append([*sessions.data.cart])


def headers_of(websocket: Any) -> dict[str, str]:
    """Return the headers that a websocket was accepted with."""
    return {name.decode(): value.decode() for name, value in websocket.extra_headers or ()}


@STORES
def test_a_websocket_that_only_reads_says_nothing(store: str | None, caplog: pytest.LogCaptureFixture) -> None:
    shop = make_shop(store=store)
    add_websockets(shop)
    with shop.client() as visitor:
        visitor.get("/add/tea")
        with visitor.websocket_connect("/read") as websocket:
            assert websocket.receive_json() == ["tea"]
            assert "set-cookie" not in headers_of(websocket)
    assert [record for record in caplog.records if record.name == "typed_sessions"] == []


@STORES
def test_a_websocket_that_is_not_accepted_has_no_response(store: str | None, caplog: pytest.LogCaptureFixture) -> None:
    shop = make_shop(store=store)
    add_websockets(shop)
    with shop.client() as visitor:
        visitor.get("/add/tea")
        with pytest.raises(WebSocketDisconnect), visitor.websocket_connect("/closed"):
            pass
        assert visitor.get("/cart").json() == ["tea", *(["closed"] if store else [])]
    assert ("a session change is lost" in caplog.text) is (store is None)


def test_save_and_reload_in_a_websocket() -> None:
    shop = make_shop(store="memory://")
    add_websockets(shop)
    with shop.client() as visitor:
        visitor.get("/add/tea")
        with visitor.websocket_connect("/saving") as websocket:
            assert websocket.receive_json() is True
            assert visitor.get("/cart").json() == ["tea", "saved"]
            visitor.get("/add/milk")
            websocket.send_text("go on")
        assert shop.noted == [True, ["tea", "saved", "milk"]]


# What is served


def test_a_store_says_that_it_needs_asyncio() -> None:
    shop = make_shop(store="memory://")
    with (
        TestClient(shop.app, backend="trio") as visitor,
        pytest.raises(RuntimeError, match="a session store needs an event loop of asyncio"),
    ):
        visitor.get("/nothing")


def test_so_does_deleting_what_has_expired() -> None:
    shop = make_shop(store="memory://", purge_every=timedelta(hours=1))
    with (
        pytest.raises(RuntimeError, match="a session store needs an event loop of asyncio"),
        shop.client(backend="trio"),
    ):
        pass
