"""Litestar applications on typed sessions."""

# Litestar reads the annotations of handlers within functions, which it could not resolve if they were texts.

import asyncio
import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Annotated, Any, Protocol, TypedDict, cast
from uuid import UUID

import httpx
import msgspec
import pytest
from attrs import Factory, define, evolve, frozen
from litestar import Litestar, Request, Response, Router, WebSocket, asgi, get, post, websocket
from litestar.background_tasks import BackgroundTask
from litestar.connection import ASGIConnection
from litestar.di import NamedDependency, Provide
from litestar.dto import DTOConfig, MsgspecDTO
from litestar.exceptions import (
    HTTPException,
    ImproperlyConfiguredException,
    NotAuthorizedException,
    WebSocketDisconnect,
)
from litestar.handlers import BaseRouteHandler
from litestar.params import Dependency, SkipValidation
from litestar.plugins.flash import FlashConfig, FlashPlugin, flash
from litestar.plugins.jinja import JinjaTemplateEngine
from litestar.response import Stream, Template
from litestar.security.session_auth import SessionAuth
from litestar.template.config import TemplateConfig
from litestar.testing import TestClient
from pydantic import BaseModel, Field
from starlette.applications import Starlette
from starlette.requests import Request as StarlettesRequest
from starlette.responses import JSONResponse
from starlette.routing import Route

from tests.failing_store import Failing
from typed_sessions import (
    ConfigurationError,
    FieldTypeError,
    SerializationError,
    Session,
    StoreUnavailableError,
    Subject,
)
from typed_sessions import asgi as typed_asgi
from typed_sessions.litestar import Sessions
from typed_sessions.stores import MemoryStore

pytestmark = pytest.mark.filterwarnings("ignore::litestar.exceptions.LitestarDeprecationWarning")
"""Its third release will want `session_data: NamedDependency[Visitor]`, where the second takes both."""

SECRET = "a secret key that is long enough"
skipping: Any = SkipValidation
named: Any = NamedDependency
annotated: Any = Annotated  # to a checker a class that a test chooses is no type
STORES = pytest.mark.parametrize("store", [None, "memory://"], ids=["cookie", "store"])


@define
class Visitor:
    user_id: Annotated[int | None, Subject] = None
    cart: list[str] = Factory(list[str])


def client(app: Any, **options: Any) -> TestClient[Any]:
    return TestClient(app, raise_server_exceptions=False, **options)


@define
class Shop:
    """An application, its sessions, and what its handlers have noted."""

    app: Litestar
    sessions: Sessions[Visitor]
    noted: list[object] = Factory(list[object])

    def client(self, **options: Any) -> TestClient[Any]:
        return client(self.app, **options)


def make_shop(*others: Any, plugins: Any = (), app_options: Any = None, **settings: Any) -> Shop:  # noqa: C901, PLR0915 -- many short handlers
    sessions: Sessions[Visitor] = Sessions(Visitor, **{"secret_key": SECRET, **settings})
    noted: list[object] = []

    @get("/nothing")
    async def nothing() -> str:
        return ""

    @get("/cart")
    async def cart(session_data: Visitor) -> list[str]:
        return session_data.cart

    @get("/add/{item:str}")
    async def add(item: str, session_data: Visitor) -> int:
        session_data.cart.append(item)
        return len(sessions.data.cart)

    @get("/add-in-a-thread/{item:str}", sync_to_thread=True)
    def add_in_a_thread(item: str, session_data: Visitor) -> int:
        session_data.cart.append(item)
        return len(sessions.data.cart)

    @get("/login/{user_id:int}")
    async def login(user_id: int) -> None:
        sessions.current.promote(user_id=user_id)

    @get("/me")
    async def me(request: Request[Any, Any, Any]) -> int | None:
        return sessions.on(request).data.user_id

    @get("/logout")
    async def logout() -> None:
        sessions.current.invalidate()

    @get("/show")
    async def show(request: Request[Any, Any, Any]) -> dict[str, Any]:
        return request.session

    @post("/set")
    async def set_session(request: Request[Any, Any, Any], data: dict[str, Any]) -> None:
        request.set_session(data)

    @get("/clear")
    async def clear(request: Request[Any, Any, Any]) -> None:
        request.clear_session()

    @get("/teapot")
    async def teapot(session_data: Visitor) -> None:
        session_data.cart.append("tea")
        raise HTTPException(status_code=418)

    @get("/crash")
    async def crash(session_data: Visitor) -> None:
        session_data.cart.append("crash")
        raise ZeroDivisionError

    @get("/unwritable")
    async def unwritable(session_data: Visitor) -> None:
        session_data.cart.append(object())  # type: ignore[arg-type]  # which is the point

    @get("/background")
    async def background(*, save: bool = False) -> Response[str]:
        async def work() -> None:
            sessions.data.cart.append("later")
            if save:
                noted.append(await sessions.save())

        bool(sessions.current)
        return Response("", background=BackgroundTask(work))

    @get("/stream")
    async def stream(*, save: bool = False) -> Stream:
        async def body() -> AsyncIterator[str]:
            yield "a"
            sessions.data.cart.append("late")
            if save:
                noted.append(await sessions.save())
            yield "b"

        bool(sessions.current)
        return Stream(body())

    @websocket("/ws")
    async def talk(socket: WebSocket[Any, Any, Any], session_data: Visitor, *, late: bool = False) -> None:
        session_data.cart.append("before")
        await socket.accept()
        assert sessions.on(socket) is sessions.current
        await socket.send_json(session_data.cart)
        if late:
            sessions.current["cart"] = [*session_data.cart, "after"]
        await socket.receive_text()
        await socket.close()

    handlers = [
        nothing, cart, add, add_in_a_thread, login, me, logout, show, set_session, clear, teapot, crash, unwritable,
        background, stream, talk, *others,
    ]  # fmt: skip
    options = {"logging_config": None, **(app_options or {})}  # its own would take the log from the tests
    return Shop(Litestar(handlers, plugins=[sessions, *plugins], **options), sessions, noted)


def test_wrong_settings_are_refused() -> None:
    with pytest.raises(TypeError, match="did you mean 'lifetime'"):
        make_shop(lifetimes=5)
    with pytest.raises(ConfigurationError, match=r"secret_key \(SECRET_KEY\) is missing"):
        Sessions(Visitor)


def test_settings_may_be_config_keys(caplog: pytest.LogCaptureFixture) -> None:
    config = {"SECRET_KEY": SECRET, "SESSION_COOKIE_NAME": "shop", "SESSION_SERIALISER": "msgspec-json", "DEBUG": True}
    sessions = Sessions.from_config(Visitor, config)
    assert type(sessions) is Sessions
    assert sessions.backend_config().key == "shop"
    assert "SESSION_SERIALISER" in caplog.text


def test_what_is_asked_outside_of_a_request_says_how_to_install_the_plugin() -> None:
    sessions = Sessions(Visitor, secret_key=SECRET)
    with pytest.raises(RuntimeError, match=r"Litestar\(\.\.\., plugins=\[sessions\]\)"):
        sessions.data  # noqa: B018
    with pytest.raises(ConfigurationError, match="Sessions takes the schema"):
        Sessions(Litestar(), secret_key=SECRET)  # type: ignore[arg-type]


# Saving


@STORES
def test_an_answered_error_is_saved(store: str | None) -> None:
    """Litestar answers errors inside of its middleware, those that nobody has foreseen, too."""
    with make_shop(store=store).client() as visitor:
        assert visitor.get("/teapot").status_code == 418
        assert visitor.get("/cart").json() == ["tea"]
        assert visitor.get("/crash").status_code == 500
        assert visitor.get("/cart").json() == ["tea", "crash"]


@STORES
def test_contents_that_cannot_be_written_are_an_error_that_the_application_may_answer(store: str | None) -> None:
    def answer(_request: Request[Any, Any, Any], error: Exception) -> Response[str]:
        return Response(type(error).__name__, status_code=409)

    for options, status in ((None, 500), ({"exception_handlers": {SerializationError: answer}}, 409)):
        with make_shop(store=store, app_options=options).client() as visitor:
            visitor.get("/add/tea")
            refused = visitor.get("/unwritable")
            assert refused.status_code == status
            assert "set-cookie" not in refused.headers
            assert visitor.get("/cart").json() == ["tea"]


def test_a_cached_response_carries_nobodys_cookie() -> None:
    @get("/cached", cache=60)
    async def cached() -> list[str]:
        shop.sessions.data.cart.append("once")
        return shop.sessions.data.cart

    shop = make_shop(cached)
    first, second = shop.client(), shop.client()
    assert "set-cookie" in first.get("/cached").headers
    assert second.get("/cached").json() == ["once"]
    assert "session" not in second.cookies


async def test_requests_at_once_have_their_own_sessions() -> None:
    @get("/slow/{item:str}")
    async def slow(item: str, session_data: Visitor) -> list[str]:
        session_data.cart.append(item)
        await asyncio.sleep(0.01)
        return sessions.data.cart

    sessions = Sessions(Visitor, secret_key=SECRET)
    app = Litestar([slow], plugins=[sessions])

    async def visit(number: int) -> Any:
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(cast("Any", app)), base_url="http://testserver"
        ) as visitor:
            return (await visitor.get(f"/slow/{number}")).json()

    assert await asyncio.gather(*map(visit, range(20))) == [[str(number)] for number in range(20)]


# What is injected


@dataclass
class DataclassVisitor:
    user_id: int | None = None
    cart: list[str] = field(default_factory=list)


class StructVisitor(msgspec.Struct):
    user_id: int | None = None
    cart: list[str] = msgspec.field(default_factory=list)


class ModelVisitor(BaseModel):
    user_id: int | None = None
    cart: list[str] = Field(default_factory=list)


class KeyedVisitor(TypedDict, total=False):
    user_id: int
    cart: list[str]


@pytest.mark.parametrize("schema", [Visitor, DataclassVisitor, StructVisitor, ModelVisitor])
@pytest.mark.parametrize("how", ["plain", "named", "optional", "skip", "any", "nested"])
def test_session_data_is_the_live_object(schema: Any, how: str) -> None:
    sessions: Sessions[Any] = Sessions(schema, secret_key=SECRET)
    annotation = {
        "named": named[schema],
        "optional": schema | None,
        "skip": skipping[schema],
        "any": Any,
    }.get(how, schema)

    async def add(item: str, session_data: Any) -> int:
        session_data.cart.append(item)
        assert session_data is sessions.data
        return len(session_data.cart)

    async def cart(session_data: Any) -> list[str]:
        assert session_data is sessions.data
        return [*session_data.cart]

    add.__annotations__["session_data"] = cart.__annotations__["session_data"] = annotation
    if how == "nested":

        @post("/cart/{item:str}", dependencies={"cart": Provide(cart)})
        async def view(item: str, cart: list[str]) -> int:
            sessions.data.cart.append(item)
            return len(cart) + 1

        handler: Any = view
    else:
        handler = post("/cart/{item:str}")(add)
    with TestClient(Litestar([handler], plugins=[sessions])) as visitor:
        assert visitor.post("/cart/tea").text == "1"
        assert visitor.post("/cart/milk").text == "2"


@pytest.mark.parametrize("schema", [KeyedVisitor, None])
def test_of_a_dict_litestar_would_make_a_copy(schema: Any) -> None:
    sessions: Sessions[Any] = Sessions(schema, secret_key=SECRET)
    annotation = schema or dict[str, Any]

    async def add(item: str, session_data: Any) -> list[str]:
        session_data.setdefault("cart", []).append(item)
        return sessions.data["cart"]  # type: ignore[no-any-return]

    def asking_for(what: Any) -> Any:
        add.__annotations__["session_data"] = what
        return post("/cart/{item:str}")(add)

    async def cart(session_data: Any) -> list[str]:
        return [*session_data["cart"]]

    cart.__annotations__["session_data"] = annotation

    @get("/", dependencies={"cart": Provide(cart)})
    async def show(cart: list[str]) -> list[str]:
        return cart

    for handler in (asking_for(annotation), show):
        with pytest.raises(ConfigurationError, match="would get a copy"):
            Litestar([handler], plugins=[sessions])
    for what in (
        skipping[annotation],
        named[skipping[annotation]],
        annotated[annotation, Dependency(skip_validation=True)],
        Any,
    ):
        with TestClient(Litestar([asking_for(what)], plugins=[sessions])) as visitor:
            visitor.post("/cart/tea")
            assert visitor.post("/cart/milk").json() == ["tea", "milk"]


def test_a_frozen_class_is_replaced() -> None:
    @frozen
    class Count:
        number: int = 0

    sessions = Sessions(Count, secret_key=SECRET)

    @get("/")
    async def count(session_data: Count) -> int:
        sessions.replace(evolve(session_data, number=session_data.number + 1))
        return sessions.data.number

    with TestClient(Litestar([count], plugins=[sessions])) as visitor:
        assert [visitor.get("/").json() for _ in range(3)] == [1, 2, 3]


def test_a_dependency_of_the_applications_own_has_precedence() -> None:
    @get("/own", dependencies={"session_data": Provide(lambda: "its own", sync_to_thread=False)})
    async def own(session_data: str) -> str:
        return session_data

    assert make_shop(own).client().get("/own").text == "its own"


class HasCart(Protocol):
    cart: list[str]


@pytest.mark.parametrize("what", [int, str, StructVisitor, dict])
def test_a_parameter_of_its_name_that_takes_something_else_is_refused_at_set_up(what: Any) -> None:
    async def view(session_data: Any) -> None: ...

    async def needs(found: None) -> None: ...

    view.__annotations__["session_data"] = what
    for handler in (get("/")(view), get("/", dependencies={"found": Provide(view)})(needs)):
        with pytest.raises(ConfigurationError, match=r"as session_data, which is the data of the session, a Visitor"):
            make_shop(handler)
    for right in (Visitor, object, HasCart, Visitor | None):
        view.__annotations__["session_data"] = right
        make_shop(get("/")(view))


def test_a_path_parameter_of_its_name_is_refused_at_set_up() -> None:
    @get("/of/{session_data:int}")
    async def view(session_data: int) -> None: ...

    with pytest.raises(ImproperlyConfiguredException, match="session_data"):
        make_shop(view)


@STORES
def test_it_is_no_part_of_what_a_dto_reads_and_writes(store: str | None) -> None:
    sessions = Sessions(StructVisitor, secret_key=SECRET, store=store)

    class OfVisitors(MsgspecDTO[StructVisitor]):
        config = DTOConfig(exclude={"user_id"})

    @post("/", dto=OfVisitors)
    async def add(data: StructVisitor, session_data: StructVisitor) -> StructVisitor:
        assert session_data is sessions.data
        session_data.user_id = 7
        session_data.cart += data.cart
        return session_data

    with TestClient(Litestar([add], plugins=[sessions], logging_config=None)) as visitor:
        assert visitor.post("/", json={"cart": ["tea"], "user_id": 8}).json() == {"cart": ["tea"]}
        assert visitor.post("/", json={"cart": ["milk"]}).json() == {"cart": ["tea", "milk"]}


def test_the_description_does_not_know_of_it() -> None:
    with make_shop().client() as visitor:
        described = visitor.get("/schema/openapi.json").json()
    assert "parameters" not in described["paths"]["/cart"]["get"]
    assert "Visitor" not in described.get("components", {}).get("schemas", {})
    assert "securitySchemes" not in described.get("components", {})


# request.session


@STORES
def test_it_is_a_mapping_over_the_same_session(store: str | None) -> None:
    seen: dict[str, Any] = {}

    @get("/use")
    async def use(request: Request[Any, Any, Any], session_data: Visitor) -> dict[str, Any]:
        session: Any = request.session
        session["user_id"] = 3
        session.setdefault("cart", []).append("tea")
        session |= {"token": UUID(int=7)}
        assert session_data == Visitor(3, ["tea"])
        assert session == {"user_id": 3, "cart": ["tea"], "token": UUID(int=7)}
        assert session | {"a": 1} == {"a": 1} | session
        assert [*reversed(session)] == [*session][::-1]
        assert (len(session), "cart" in session, "_permanent" in session, session.get("nothing")) == (
            3,
            True,
            False,
            None,
        )
        assert session.copy() == dict(session)
        assert isinstance(sessions.on(request), Session)
        with pytest.raises(FieldTypeError):
            session.update(cart=["milk"], user_id="3")
        for key in ("_permanent", "nothing"):
            with pytest.raises(KeyError):
                session[key]
            with pytest.raises(KeyError):
                del session[key]
        assert session.pop("token") == UUID(int=7)
        seen.update(session)
        return request.session

    shop = make_shop(use, store=store)
    sessions = shop.sessions
    with shop.client() as visitor:
        assert visitor.get("/use").json() == {"user_id": 3, "cart": ["tea"]}
        assert seen == {"user_id": 3, "cart": ["tea"]}
        assert visitor.get("/show").json() == {"user_id": 3, "cart": ["tea"]}
        assert visitor.get("/show").headers["vary"] == "Cookie"


@STORES
def test_another_session_may_be_put_in_its_place(store: str | None) -> None:
    with make_shop(store=store).client() as visitor:
        visitor.get("/add/tea")
        former = dict(visitor.cookies)
        assert visitor.post("/set", json={"user_id": 9, "_note": "x"}).status_code == 201
        assert visitor.get("/show").json() == {"user_id": 9, "_note": "x"}
        if store:
            assert visitor.cookies["session"] != former["session"]
            assert client(visitor.app, cookies=former).get("/show").json() == {}
        assert "set-cookie" not in visitor.post("/set", json={"user_id": 9, "_note": "x"}).headers
        answer = visitor.get("/clear")
        assert "Max-Age=0" in answer.headers["set-cookie"]
        assert visitor.get("/show").json() == {}
        assert "set-cookie" not in visitor.get("/clear").headers


def test_it_may_be_an_object() -> None:
    @dataclass
    class Login:
        user_id: int
        cart: list[str]

    values: list[Any] = [Visitor(5, ["a"]), Login(6, ["b"]), ModelVisitor(user_id=7, cart=["c"]), {}, None]

    @get("/object/{index:int}")
    async def put(index: int, request: Request[Any, Any, Any]) -> None:
        request.session["_gone"] = True
        request.set_session(values[index])

    with make_shop(put).client() as visitor:
        shown = []
        for index in range(len(values)):
            assert visitor.get(f"/object/{index}").status_code == 200
            shown.append(visitor.get("/show").json())
    assert shown == [
        {"user_id": 5, "cart": ["a"]},
        {"user_id": 6, "cart": ["b"]},
        {"user_id": 7, "cart": ["c"]},
        {},
        {},
    ]


@pytest.mark.parametrize("settings", [{}, {"store": "memory://"}, {"extras": "forbid"}], ids=str)
@pytest.mark.parametrize("value", [{"user_id": "9"}, {"cart": ["x"], "user_idd": 9}])
def test_what_does_not_fit_changes_nothing(settings: dict[str, Any], value: dict[str, Any]) -> None:
    with make_shop(**settings).client() as visitor:
        visitor.get("/add/tea")
        answer = visitor.post("/set", json=value)
        if "user_idd" in value and "extras" not in settings:
            assert visitor.get("/show").json() == value
            return
        assert answer.status_code == 500
        assert "set-cookie" not in answer.headers
        assert visitor.get("/show").json() == {"cart": ["tea"]}


# What else of Litestar asks for the session


@STORES
def test_guards(store: str | None) -> None:
    def logged_in(connection: ASGIConnection[Any, Any, Any, Any], _: BaseRouteHandler) -> None:
        if shop.sessions.on(connection).data.user_id is None:
            raise NotAuthorizedException

    def by_key(connection: ASGIConnection[Any, Any, Any, Any], _: BaseRouteHandler) -> None:
        if not connection.session.get("user_id"):
            raise NotAuthorizedException

    @get("/secret", guards=[logged_in, by_key])
    async def secret() -> str:
        return "secret"

    shop = make_shop(secret, store=store)
    with shop.client() as visitor:
        assert visitor.get("/secret").status_code == 401
        visitor.get("/login/7")
        assert visitor.get("/secret").text == "secret"


@STORES
@pytest.mark.parametrize("has_plugin", [False, True])
def test_session_auth(store: str | None, has_plugin: bool) -> None:
    sessions = Sessions(Visitor, secret_key=SECRET, store=store or None)

    async def user(session: dict[str, Any], connection: ASGIConnection[Any, Any, Any, Any]) -> dict[str, Any] | None:
        assert sessions.on(connection).data == sessions.data
        return {"id": session["user_id"]} if session.get("user_id") else None

    auth = SessionAuth[Any, Any](
        retrieve_user_handler=user, session_backend_config=sessions.backend_config(), exclude=["/login", "/add"]
    )

    @get("/login")
    async def login(request: Request[Any, Any, Any]) -> None:
        request.set_session({"user_id": 5})

    @get("/me")
    async def me(request: Request[Any, Any, Any]) -> dict[str, Any]:
        sessions.data.cart.append("seen")
        return {"user": request.user, "auth": dict(request.auth)}

    @get("/add")
    async def add() -> None:
        sessions.data.cart.append("tea")

    app = Litestar([login, me, add], on_app_init=[auth.on_app_init], plugins=[sessions] if has_plugin else [])
    with client(app) as visitor:
        assert visitor.get("/me").status_code == 401
        visitor.get("/add")
        answer = visitor.get("/me")  # SessionAuth clears the session of whom it does not know
        assert answer.status_code == 401
        assert "Max-Age=0" in answer.headers["set-cookie"]
        assert visitor.get("/login").status_code == 200
        assert visitor.get("/me").json() == {"user": {"id": 5}, "auth": {"user_id": 5, "cart": ["seen"]}}
        answer = visitor.get("/me")
        assert answer.json()["auth"]["cart"] == ["seen", "seen"]
        assert answer.headers.get_list("set-cookie") == answer.headers.get_list("set-cookie")[:1]


@STORES
def test_flash_messages(store: str | None, tmp_path: Any) -> None:
    config = TemplateConfig(engine=JinjaTemplateEngine, directory=tmp_path)

    @get("/flash")
    async def note(request: Request[Any, Any, Any]) -> None:
        flash(request, "hello", "info")
        flash(request, "again", "info")

    @get("/page")
    async def page() -> Template:
        return Template(template_str="{% for each in get_flashes() %}{{ each.message }} {% endfor %}")

    shop = make_shop(
        note, page, store=store, plugins=[FlashPlugin(FlashConfig(config))], app_options={"template_config": config}
    )
    with shop.client() as visitor:
        visitor.get("/flash")
        assert visitor.get("/page").text == "hello again "
        assert visitor.get("/page").text == ""


def test_flash_messages_need_the_sessions_first(tmp_path: Any) -> None:
    plugin = FlashPlugin(FlashConfig(TemplateConfig(engine=JinjaTemplateEngine, directory=tmp_path)))
    with pytest.raises(ImproperlyConfiguredException):
        Litestar(plugins=[plugin, Sessions(Visitor, secret_key=SECRET)])


@STORES
def test_the_session_data_of_litestars_test_client(store: str | None) -> None:
    shop = make_shop(store=store)
    with shop.client(session_config=shop.sessions.backend_config()) as visitor:
        assert visitor.get_session_data() == {}
        visitor.set_session_data({"cart": ["tea"]})
        assert visitor.get("/add/milk").json() == 2
        assert visitor.get_session_data() == {"cart": ["tea", "milk"]}
        visitor.set_session_data({"user_id": 7})
        assert visitor.get("/show").json() == {"user_id": 7}


@STORES
@pytest.mark.parametrize(
    "settings", [{}, {"secure": True, "domain": "shop.example", "path": "/me"}], ids=["", "cookie"]
)
def test_a_test_client_of_a_visitor(store: str | None, settings: dict[str, Any]) -> None:
    shop = make_shop(store=store, **settings)
    with shop.sessions.client_for(Visitor(user_id=7), shop.app) as visitor:
        assert visitor.get("/me").json() == 7
    if store is None:
        value = shop.sessions.cookie_for(Visitor(8))
        assert shop.client(cookies={"session": value}).get("/me").json() == 8


@STORES
def test_a_transaction_opens_the_session_of_a_test_client(store: str | None) -> None:
    shop = make_shop(store=store)
    visitor = shop.client()
    with shop.sessions.transaction(visitor) as session:
        session.data.cart.append("tea")
    assert visitor.get("/add/milk").json() == 2
    with shop.sessions.transaction(visitor) as session:
        assert session.data.cart == ["tea", "milk"]


def test_what_is_reported_is_told() -> None:
    told: list[Any] = []
    visitor = make_shop(on_event=told.append).client(cookies={"session": "nonsense"})
    assert visitor.get("/cart").json() == []
    assert [type(each).__name__ for each in told] == ["Refused"]


def test_a_test_client_says_that_its_store_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    async def down(*_: object) -> None:
        raise StoreUnavailableError("down")

    store = MemoryStore()
    monkeypatch.setattr(store, "create", down)
    shop = make_shop(store=store)
    with pytest.raises(StoreUnavailableError):
        shop.sessions.client_for(Visitor(user_id=7), shop.app)


def test_a_route_may_do_without() -> None:
    @get("/without", skip_session=True)
    async def without(request: Request[Any, Any, Any]) -> bool:
        return "session" in request.scope

    assert make_shop(without).client().get("/without").json() is False


def test_two_sessions_in_one_application() -> None:
    @define
    class Admin:
        name: str = ""

    admins = Sessions(Admin, secret_key=SECRET, cookie_name="admin")

    @get("/rename/{name:str}")
    async def rename(name: str, session_data: Visitor, request: Request[Any, Any, Any]) -> None:
        admins.data.name = name
        session_data.cart.append(name)
        request.session["_note"] = name

    @get("/both")
    async def both() -> list[Any]:
        return [shop.sessions.current.copy(), admins.current.copy()]

    @get("/drop")
    async def drop(request: Request[Any, Any, Any]) -> None:
        request.clear_session()

    shop = make_shop(rename, both, drop, plugins=[admins], permanent=False)
    with shop.client() as visitor:
        visitor.get("/rename/Ada")
        seen = visitor.get("/both").json()
        assert seen == [{"cart": ["Ada"], "_note": "Ada"}, {"name": "Ada", "_permanent": True}]
        visitor.get("/drop")
        assert visitor.get("/both").json() == [{}, {"name": "Ada", "_permanent": True}]


@STORES
def test_a_plugin_that_is_given_twice_is_one(store: str | None) -> None:
    sessions = Sessions(Visitor, secret_key=SECRET, store=store)

    @get("/")
    async def add(session_data: Visitor) -> int:
        session_data.cart.append("tea")
        return len(session_data.cart)

    with TestClient(Litestar([add], plugins=[sessions, sessions], logging_config=None)) as visitor:
        answers = [visitor.get("/") for _ in range(3)]
    assert [answer.json() for answer in answers] == [1, 2, 3]
    assert all(len(answer.headers.get_list("set-cookie")) <= 1 for answer in answers)


@STORES
def test_guards_and_hooks_of_the_application_have_the_session(store: str | None) -> None:
    """What a hook changes before the response begins is saved, also where a hook fails, and later it is not."""

    def only_of_visitors(_connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
        if sessions().data.user_id is None and "login" not in str(handler):
            raise NotAuthorizedException

    async def after(response: Response[Any]) -> Response[Any]:
        sessions().data.cart.append("after")
        if len(sessions().data.cart) > 1:
            raise ZeroDivisionError
        return response

    def sessions() -> Sessions[Visitor]:
        return shop.sessions

    shop = make_shop(store=store, app_options={"guards": [only_of_visitors], "after_request": after})
    visitor = shop.client()
    assert visitor.get("/cart").status_code == 401
    assert visitor.get("/login/7").status_code == 200
    assert visitor.get("/nothing").status_code == 500
    with shop.sessions.transaction(visitor) as session:
        assert session.data == Visitor(7, ["after", "after"])


def test_one_sessions_in_two_applications() -> None:
    shop = make_shop(store="memory://")

    @get("/cart")
    async def cart(session_data: Visitor) -> list[str]:
        return session_data.cart

    other = Litestar([cart], plugins=[shop.sessions])
    with shop.client() as visitor, client(other) as elsewhere:
        visitor.get("/add/tea")
        elsewhere.cookies.update(dict(visitor.cookies))
        assert elsewhere.get("/cart").json() == ["tea"]


def test_a_mounted_application_has_them_too() -> None:
    async def view(request: StarlettesRequest) -> JSONResponse:
        request.session["_mounted"] = True
        return JSONResponse({"cart": shop.sessions.on(request).data.cart})

    inner = typed_asgi.Sessions(Visitor, secret_key=SECRET, cookie_name="inner")
    plain = Starlette(routes=[Route("/", view)])

    @asgi("/plain", is_mount=True, copy_scope=False)
    async def mounted(scope: Any, receive: Any, send: Any) -> None:
        await plain(scope, receive, send)

    @asgi("/own", is_mount=True, copy_scope=False)
    async def with_its_own(scope: Any, receive: Any, send: Any) -> None:
        await inner.middleware(plain)(scope, receive, send)

    shop = make_shop(mounted, with_its_own)
    with shop.client() as visitor:
        visitor.get("/add/tea")
        assert visitor.get("/plain/").json() == {"cart": ["tea"]}
        assert visitor.get("/show").json() == {"cart": ["tea"], "_mounted": True}
        assert visitor.get("/own/").json() == {"cart": ["tea"]}
        assert "inner" in visitor.cookies
        assert visitor.get("/show").json() == {"cart": ["tea"], "_mounted": True}


# A store that does not answer


@pytest.mark.parametrize(("method", "path"), [("load", "/cart"), ("update", "/add/milk")])
def test_an_application_may_answer_itself(method: str, path: str) -> None:
    def answer(_request: Request[Any, Any, Any], _error: Exception) -> Response[str]:
        return Response("a minute, please", status_code=503)

    store = Failing()
    shop = make_shop(store=store, app_options={"exception_handlers": {StoreUnavailableError: answer}})
    with shop.client() as visitor:
        visitor.get("/add/tea")
        store.broken = frozenset({method})
        assert visitor.get(path).text == "a minute, please"


# Websockets, and what is served


@STORES
def test_a_change_of_a_websocket_that_is_never_accepted_is_logged_as_lost(
    store: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    @websocket("/refused")
    async def refused(socket: WebSocket[Any, Any, Any], session_data: Visitor) -> None:
        session_data.cart.append("tea")
        await socket.close()

    with (
        make_shop(refused, store=store).client() as visitor,
        pytest.raises(WebSocketDisconnect),
        visitor.websocket_connect("/refused"),
    ):
        pass
    assert caplog.text.count("a session change is lost") == 1
    assert visitor.get("/cart").json() == []


def test_the_sessions_of_a_subject() -> None:
    @get("/end-others")
    async def end_others() -> int:
        await shop.sessions.revoke(7, except_current=True)
        return len(await shop.sessions.of(7))

    shop = make_shop(Router("/account", route_handlers=[end_others]), store="memory://")
    visitor, elsewhere = shop.client(), shop.client()
    for each in (visitor, elsewhere):
        each.get("/login/7")
    assert visitor.get("/account/end-others").json() == 1
    assert elsewhere.get("/me").json() is None
    assert visitor.get("/me").json() == 7


def test_debugging_pages_show_no_key(caplog: pytest.LogCaptureFixture) -> None:
    with make_shop(app_options={"debug": True}).client() as visitor, caplog.at_level(logging.DEBUG):
        page = visitor.get("/crash", headers={"accept": "text/html"}).text
        assert "ZeroDivisionError" in page
        assert SECRET not in page + caplog.text
