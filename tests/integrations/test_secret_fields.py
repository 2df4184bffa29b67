"""`Annotated[..., Secret]`: where a field may be one, and that its value shows nowhere."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Annotated, Any, NotRequired, TypedDict

import msgspec
import pytest
from attrs import Factory, define, evolve, field, frozen, validators
from flask import Flask, render_template_string
from flask import session as app_session
from litestar import Litestar, Request, get
from pydantic import BaseModel, Field, field_validator
from quart import Quart
from quart import render_template_string as quart_render
from starlette.testclient import TestClient

import typed_sessions
from tests.integrations.test_secrets_in_frames import chain_of, frames_of
from typed_sessions import (
    ConfigurationError,
    FieldTypeError,
    Merge,
    Schema,
    SchemaError,
    Secret,
    SecureCookieSession,
    SerializationError,
    SessionConflictError,
    Subject,
    UndeclaredKeyError,
    asgi,
    flask,
    litestar,
    quart,
)
from typed_sessions.codec.codec import Codec
from typed_sessions.frameworks.litestar_middleware import ShownSession
from typed_sessions.frameworks.request_session import RequestSession
from typed_sessions.schema.annotations import resolved_annotations
from typed_sessions.serializers import MsgspecJSONSerializer, MsgspecMsgpackSerializer, TaggedJSONSerializer
from typed_sessions.stores import MemoryStore

KEY = "a key that is long enough, and secret"
TOKEN = "hush-this-is-the-token"
LIBRARY = str(Path(typed_sessions.__file__).parent)


@define
class Visitor:
    token: Annotated[str, Secret] = ""
    name: str = ""


@dataclass
class DataVisitor:
    token: Annotated[str, Secret] = ""
    name: str = ""


class StructVisitor(msgspec.Struct):
    token: Annotated[str, Secret] = ""
    name: str = ""


class ModelVisitor(BaseModel):
    token: Annotated[str, Secret] = ""
    name: str = ""


@frozen
class FrozenVisitor:
    token: Annotated[str, Secret] = ""
    name: str = ""


class KeyedVisitor(TypedDict, total=False):
    token: Annotated[str, Secret]
    name: str


def made_visitor() -> Visitor:
    return Visitor(name="guest")


KINDS: dict[str, Any] = {
    "attrs": Visitor,
    "frozen": FrozenVisitor,
    "dataclass": DataVisitor,
    "Struct": StructVisitor,
    "pydantic": ModelVisitor,
    "TypedDict": KeyedVisitor,
    "factory": made_visitor,
}


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> Any:
    return KINDS[request.param]


# Where a field may be one


def checked_quart(schema: Any, config: dict[str, Any]) -> None:
    app = Quart("secrets")
    app.config.update(config)
    interface: Any = quart.Sessions(schema, app)._interface
    interface.check(app)


def checked_flask(schema: Any, config: dict[str, Any]) -> None:
    app = Flask("secrets")
    app.config.update(config)
    flask.Sessions(schema, app)._interface.check(app)


def checked_asgi(schema: Any, config: dict[str, Any]) -> None:
    asgi.Sessions.from_config(schema, config)


def checked_litestar(schema: Any, config: dict[str, Any]) -> None:
    litestar.Sessions.from_config(schema, config)


CHECKS = pytest.mark.parametrize("check", [checked_quart, checked_flask, checked_asgi, checked_litestar])


@CHECKS
@pytest.mark.parametrize("encryption", ["off", "read", None])
def test_where_cookies_are_only_signed_it_is_refused(check: Callable[..., None], encryption: Any, kind: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"Visitor\.token is a Secret, and whoever has a signed cookie can"):
        check(kind, {"SECRET_KEY": KEY, "SESSION_ENCRYPTION": encryption})


@CHECKS
@pytest.mark.parametrize(
    "config",
    [
        {"SESSION_ENCRYPTION": "on"},
        {"SESSION_STORE": "memory://"},
        {"SESSION_STORE": "memory://", "SESSION_ENCRYPTION": "read"},
    ],
    ids=str,
)
def test_encrypted_or_in_a_store_it_is_allowed(check: Callable[..., None], config: dict[str, Any], kind: Any) -> None:
    check(kind, {"SECRET_KEY": KEY, **config})


def test_arguments_count_as_settings_do() -> None:
    quart.Sessions(Visitor, Quart("a"), encryption="on")
    app = Quart("b")
    app.secret_key = KEY
    sessions = quart.Sessions(Visitor, app, store=MemoryStore())
    sessions._interface.check(app)
    with pytest.raises(ConfigurationError, match="SESSION_ENCRYPTION"):
        asgi.Sessions(Visitor, secret_key=KEY, encryption="read")
    asgi.Sessions(Visitor, secret_key=KEY, encryption="on")


class Keys(TypedDict):
    recovery: NotRequired[Annotated[str, Secret]]


@define
class Bank:
    iban: Annotated[str, Secret] = ""
    next: Bank | None = None


@define
class Account:
    banks: dict[str, list[Bank]] = Factory(dict[str, list[Bank]])
    keys: Keys = Factory(Keys)


Aliased = Annotated[str, Secret()]


@pytest.mark.parametrize(
    ("annotation", "path"),
    [
        (Annotated[str, Secret], ""),
        (Annotated[str, Secret()], ""),
        (Aliased, ""),
        (Annotated[Annotated[str, msgspec.Meta(max_length=9)], Secret], ""),
        (Annotated[str, Secret] | None, ""),
        (list[Annotated[str, Secret]], ""),
        (dict[str, tuple[int, Annotated[str, Secret]]], ""),
        (Bank, ".iban"),
        (Bank | None, ".iban"),
        (list[Account], ".banks.iban"),
        (Keys, ".recovery"),
        (list[Keys] | None, ".recovery"),
        (DataVisitor, ".token"),
        (StructVisitor, ".token"),
        (ModelVisitor, ".token"),
        (str, None),
        (Annotated[str, "Secret"], None),
    ],
)
def test_it_is_found_at_any_depth(annotation: Any, path: str | None) -> None:
    def make() -> Any:
        return define(type("Holder", (), {"__annotations__": {"held": annotation | None}, "held": None}))

    schema: Schema[Any] = Schema(make())
    assert schema.fields["held"].secret == path
    assert schema.secrets == (frozenset() if path is None else {"held"})
    if path is not None:
        with pytest.raises(ConfigurationError, match=rf"Holder\.held{path} is a Secret"):
            asgi.Sessions(make(), secret_key=KEY)


def test_a_subject_is_none() -> None:
    @define
    class Both:
        user: Annotated[str | None, Subject, Secret] = None

    with pytest.raises(SchemaError, match=r"Both\.user: a Subject is no Secret"):
        Schema(Both)


def test_types_are_as_before() -> None:
    @define
    class Plain:
        token: str = ""
        name: str = ""

    marked, plain = Schema(Visitor), Schema(Plain)
    assert [field.type.text for field in marked.fields.values()] == [field.type.text for field in plain.fields.values()]
    for serializer in (TaggedJSONSerializer(), MsgspecJSONSerializer(), MsgspecMsgpackSerializer()):
        written = Codec(marked, serializer).payload({"token": TOKEN})
        assert written == Codec(plain, serializer).payload({"token": TOKEN})
        assert Codec(marked, serializer).data_path is not None  # quickly, too
    assert resolved_annotations(Visitor)["name"] is str


# Its value shows nowhere


def session_of(kind: Any) -> SecureCookieSession[Any]:
    session: SecureCookieSession[Any] = SecureCookieSession({"token": TOKEN, "name": "ada"}, schema=kind)
    assert session["token"] == TOKEN  # it is used
    return session


def test_a_repr_shows_that_there_is_one(kind: Any) -> None:
    session = session_of(kind)
    assert repr(session) == "<SecureCookieSession {'token': <secret>, 'name': 'ada'}>"
    assert TOKEN not in f"{session} {session.extras} {session.keys()!r}"
    assert session.copy() == {"token": TOKEN, "name": "ada"}
    del session["token"]
    assert repr(session) == "<SecureCookieSession {'name': 'ada'}>"


def test_a_class_with_one_is_hidden_as_a_whole() -> None:
    @define
    class Holder:
        bank: Bank = Factory(Bank)
        name: str = ""

    session = SecureCookieSession({"bank": Bank(TOKEN), "name": "ada"}, schema=Holder)
    assert "bank" in session
    assert repr(session) == "<SecureCookieSession {'bank': <secret>, 'name': 'ada'}>"


@pytest.mark.parametrize("config", [{"SESSION_ENCRYPTION": "on"}, {"SESSION_STORE": "memory://"}], ids=str)
def test_templates_get_the_rest(kind: Any, config: dict[str, Any]) -> None:
    template = "{{ session|tojson }} {{ session }} {{ session.token }}"
    app = Flask("templates")
    app.config.update(SECRET_KEY=KEY, **config)
    flask.Sessions(kind, app)

    @app.get("/")
    def view() -> str:
        app_session["token"], app_session["name"] = TOKEN, "ada"
        return render_template_string(template)

    written, shown = app.test_client().get("/").text.split("} ", 1)
    assert json.loads(written + "}")["name"] == "ada"
    assert TOKEN not in written
    assert "&lt;secret&gt;" in shown
    assert shown.endswith(TOKEN)  # where the program asks for it

    quart_app = Quart("templates")
    quart_app.config.update(SECRET_KEY=KEY, **config)
    sessions = quart.Sessions(kind, quart_app)

    @quart_app.get("/")
    async def quart_view() -> str:
        sessions.current.update(token=TOKEN, name="ada")
        return await quart_render("{{ session|tojson }} {{ session }}")

    async def page() -> str:
        return await (await quart_app.test_client().get("/")).get_data(as_text=True)

    assert TOKEN not in asyncio.run(page())


def test_request_session_shows_that_there_is_one() -> None:
    sessions = asgi.Sessions(Visitor, secret_key=KEY, encryption="on")
    seen: list[str] = []

    async def view(scope: Any, _receive: Any, send: Any) -> None:
        session = scope["session"]
        session["token"], session["name"] = TOKEN, "ada"
        seen.append(repr(session))
        assert session["token"] == TOKEN
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body"})

    TestClient(sessions.middleware(view)).get("/")
    assert seen == ["{'token': <secret>, 'name': 'ada'}"]


def test_a_response_of_litestars_has_the_rest(kind: Any) -> None:
    sessions = litestar.Sessions.from_config(kind, {"SECRET_KEY": KEY, "SESSION_ENCRYPTION": "on"})

    @get("/")
    async def view(request: Request[Any, Any, Any]) -> dict[str, Any]:
        request.session.update(token=TOKEN, name="ada")
        assert TOKEN not in repr(request.session)
        assert dict(request.session)["token"] == TOKEN  # where the program asks for it
        return request.session

    app: Any = Litestar([view], plugins=[sessions], logging_config=None)
    client = TestClient(app)
    assert [client.get("/").json() for _ in range(2)] == [{"name": "ada"}] * 2


def test_no_cookie_can_be_read(kind: Any) -> None:
    for serializer in ("tagged-json", "msgspec-json", "msgspec-msgpack"):
        sessions = asgi.Sessions(kind, secret_key=KEY, encryption="on", serializer=serializer)

        async def view(_scope: Any, _receive: Any, send: Any, sessions: Any = sessions) -> None:
            seen = sessions.current.get("token")
            sessions.current["token"] = TOKEN
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": str(seen).encode()})

        client = TestClient(sessions.middleware(view))
        response = client.get("/")
        payload = response.headers["set-cookie"]
        assert TOKEN not in payload
        packed = payload.partition("=")[2].partition(".")[0]
        assert TOKEN.encode() not in msgspec.json.decode(f'"{_padded(packed)}"', type=bytes)
        assert client.get("/").text == TOKEN


def _padded(text: str) -> str:
    return text.replace("-", "+").replace("_", "/") + "=" * (-len(text) % 4)


# Errors


@define
class Strict:
    token: Annotated[str, Secret] = field(default="", validator=validators.matches_re("[a-z-]*"))
    pin: Annotated[int, Secret] = 0
    by_host: Annotated[dict[str, int], Secret] = Factory(dict[str, int])
    bank: Bank = Factory(Bank)


@frozen
class FrozenStrict:
    token: Annotated[str, Secret] = field(default="", validator=validators.matches_re("[a-z-]*"))
    pin: Annotated[int, Secret] = 0
    by_host: Annotated[dict[str, int], Secret] = Factory(dict[str, int])
    bank: Bank = Factory(Bank)


class ModelStrict(BaseModel):
    token: Annotated[str, Secret, Field(pattern="^[a-z-]*$")] = ""
    pin: Annotated[int, Secret] = 0
    by_host: Annotated[dict[str, int], Secret] = Field(default={})
    bank: ModelVisitor = Field(default_factory=ModelVisitor)

    @field_validator("pin")
    @classmethod
    def check_pin(cls, pin: int) -> int:
        if pin > 9999:
            raise ValueError(f"{pin} has too many digits")
        return pin


class KeyedStrict(TypedDict, total=False):
    token: Annotated[str, Secret, msgspec.Meta(pattern="^[a-z-]*$")]
    pin: Annotated[int, Secret]
    by_host: Annotated[dict[str, int], Secret]
    bank: Bank


STRICT: dict[str, Any] = {
    "attrs": Strict,
    "frozen": FrozenStrict,
    "pydantic": ModelStrict,
    "TypedDict": KeyedStrict,
}
LOUD = TOKEN.upper()
"""What `token` refuses."""
DIGITS = 77_123_456_789
HIDDEN = (TOKEN, LOUD, str(DIGITS))


def refusal(change: Callable[[], object], expected: type[Exception] = FieldTypeError) -> Exception:
    with pytest.raises(expected) as caught:
        change()
    return caught.value


def assert_silent(error: BaseException) -> None:
    """Check that neither an error, nor what led to it, nor a frame of the library on the way shows a secret."""
    for each in chain_of(error):
        assert not [secret for secret in HIDDEN if secret in f"{each!r} {each}"], each
    for frame in frames_of(error):
        if frame.f_code.co_filename.startswith(LIBRARY):
            assert not shown_in(frame), (frame.f_code.co_qualname, frame.f_lineno)


def shown_in(frame: FrameType) -> list[str]:
    return [secret for secret in HIDDEN if secret in repr(frame.f_locals)]


CHANGES: dict[str, Callable[[SecureCookieSession[Any]], object]] = {
    "key": lambda session: session.__setitem__("token", LOUD),
    "type": lambda session: session.__setitem__("pin", TOKEN),
    "inside": lambda session: session.__setitem__("by_host", {TOKEN: LOUD}),
    "nested": lambda session: session.__setitem__("bank", Bank(DIGITS)),  # type: ignore[arg-type]
    "update": lambda session: session.update({"pin": 7, "token": LOUD}),
    "keywords": lambda session: session.update(token=LOUD),
    "or": lambda session: session.__ior__({"token": LOUD}),
    "promote": lambda session: session.promote(token=LOUD),
    "setdefault": lambda session: session.setdefault("pin", TOKEN),
    "replace": lambda session: session.replace(Bank(TOKEN)),
    "extras": lambda session: session.extras.update({"token": LOUD}),
    "one extra": lambda session: session.extras.__setitem__("token", LOUD),
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("schema", STRICT)
def test_a_refused_change_shows_no_secret(schema: str, change: str) -> None:
    session = SecureCookieSession({"token": TOKEN}, schema=STRICT[schema])
    if change == "setdefault":
        assert "pin" not in session
    error = refusal(lambda: CHANGES[change](session), (FieldTypeError, KeyError))  # type: ignore[arg-type]
    assert_silent(error)
    if isinstance(error, FieldTypeError):
        assert f"{error}".startswith(STRICT[schema].__name__) or change == "replace"
    assert session["token"] == TOKEN


@pytest.mark.parametrize("change", ["key", "type", "inside", "update", "keywords", "or", "setdefault"])
def test_a_refused_change_of_request_session_shows_none(change: str) -> None:
    session = SecureCookieSession({"token": TOKEN}, schema=Strict)
    for shown in (RequestSession(session), ShownSession(session)):
        assert_silent(refusal(lambda shown=shown: CHANGES[change](shown)))  # type: ignore[misc]
    assert session["token"] == TOKEN


@pytest.mark.parametrize("other", [{"pin": TOKEN}, {"token": LOUD}], ids=["type", "validator"])
def test_a_refused_session_in_its_place_shows_none(other: dict[str, object]) -> None:
    sessions = litestar.Sessions(Strict, secret_key=KEY, encryption="on")

    @get("/")
    async def view(request: Request[Any, Any, Any]) -> None:
        request.set_session(other)

    raised: list[Exception] = []
    config: Any = {"logging_config": None, "after_exception": [lambda error, _: raised.append(error)]}
    app: Any = Litestar([view], plugins=[sessions], **config)
    assert TestClient(app).get("/").status_code == 500
    assert raised
    for each in raised:
        assert_silent(each)


def test_a_key_that_is_refused_beside_one_shows_it_neither() -> None:
    app, sessions = app_with(Visitor, SESSION_ENCRYPTION="on", SESSION_EXTRAS="forbid")

    @app.get("/")
    async def view() -> str:
        with pytest.raises(UndeclaredKeyError) as caught:
            sessions.current.update(token=LOUD, tokn=LOUD)
        assert_silent(caught.value)
        with pytest.raises(UndeclaredKeyError) as caught:
            sessions.current["tokn"] = LOUD
        assert_silent(caught.value)
        assert_silent(refusal(lambda: sessions.replace(Bank(LOUD))))
        return "silent"

    @app.get("/set")
    async def set_token() -> str:
        sessions.current["token"] = TOKEN
        return ""

    @app.get("/loaded")
    async def change_what_was_loaded() -> str:
        assert sessions.current["token"] == TOKEN
        assert_silent(refusal(lambda: sessions.current.__setitem__("token", DIGITS)))
        assert sessions.data.token == TOKEN
        return "silent, too"

    async def visit() -> str:
        client = app.test_client()
        await client.get("/set")
        assert await (await client.get("/loaded")).get_data(as_text=True) == "silent, too"
        return await (await client.get("/")).get_data(as_text=True)

    assert asyncio.run(visit()) == "silent"


@pytest.mark.parametrize("key", ["pin", "token"])
def test_what_a_validator_says_is_not_passed_on(key: str) -> None:
    session: SecureCookieSession[Any] = SecureCookieSession({}, schema=ModelStrict)
    error = refusal(lambda: session.__setitem__(key, DIGITS if key == "pin" else LOUD))
    assert error.__cause__ is None
    assert f"ModelStrict.{key}" in str(error)
    assert_silent(error)


def test_in_a_schema_without_secrets_a_validator_is_heard() -> None:
    @define
    class Heard:
        token: str = field(default="", validator=validators.matches_re("[a-z-]*"))

    error = refusal(lambda: SecureCookieSession({}, schema=Heard).__setitem__("token", LOUD))
    assert "must match regex" in str(error.__cause__)


def app_with(schema: Any, **config: Any) -> tuple[Quart, Any]:
    app = Quart("saving")
    app.config.update(SECRET_KEY=KEY, PROPAGATE_EXCEPTIONS=True, **config)
    return app, quart.Sessions(schema, app)


SAVING = pytest.mark.parametrize("config", [{"SESSION_ENCRYPTION": "on"}, {"SESSION_STORE": "memory://"}], ids=str)


@SAVING
@pytest.mark.parametrize("schema", [Strict, ModelStrict, KeyedStrict, Visitor])
def test_what_cannot_be_saved_shows_no_secret(schema: Any, config: dict[str, Any]) -> None:
    app, sessions = app_with(schema, **config)

    @app.get("/")
    async def view() -> str:
        session = sessions.current
        session["token"] = TOKEN
        if isinstance(session.data, dict):
            session.data["by_host"] = {TOKEN: LOUD}
        elif schema is Visitor:
            session.data.token = DIGITS
        else:
            session.data.by_host = {TOKEN: LOUD}
        return ""

    async def visit() -> None:
        await app.test_client().get("/")

    error = refusal(lambda: asyncio.run(visit()), SerializationError)
    assert_silent(error)


def test_a_conflict_shows_no_secret() -> None:
    @define
    class Contested:
        token: Annotated[str, Secret, Merge("fail")] = ""

    app, sessions = app_with(Contested, SESSION_STORE=MemoryStore())

    @app.get("/<token>")
    async def change(token: str) -> str:
        sessions.data.token = token
        if token == TOKEN:
            await other.get("/another")
        return ""

    client = app.test_client()
    other: Any = app.test_client()

    async def visit() -> None:
        response = await client.get("/first")
        cookie = response.headers["Set-Cookie"].partition(";")[0].partition("=")[2]
        other.set_cookie("localhost", "session", cookie)
        await client.get(f"/{TOKEN}")

    error = refusal(lambda: asyncio.run(visit()), SessionConflictError)
    assert_silent(error)


@SAVING
def test_a_cookie_that_is_too_large_shows_no_secret(config: dict[str, Any]) -> None:
    app, sessions = app_with(Visitor, SESSION_MAX_PAYLOAD=100, **config)

    @app.get("/")
    async def view() -> str:
        sessions.data.token = TOKEN * 10
        return ""

    async def visit() -> None:
        await app.test_client().get("/")

    assert_silent(refusal(lambda: asyncio.run(visit()), SerializationError))


@SAVING
def test_reports_show_no_secret(config: dict[str, Any], caplog: pytest.LogCaptureFixture) -> None:
    @define
    class Before:
        token: dict[str, str] = Factory(dict[str, str])
        pins: list[dict[str, int]] = Factory(list[dict[str, int]])

    @define
    class After:
        token: Annotated[str, Secret] = ""
        pins: Annotated[list[dict[str, str]], Secret] = Factory(list[dict[str, str]])

    config = {**config, "SESSION_STORE": MemoryStore()} if "SESSION_STORE" in config else config
    before, old = app_with(Before, **config)
    after, new = app_with(After, **config)

    @before.get("/")
    async def write() -> str:
        old.data.token, old.data.pins = {TOKEN: TOKEN}, [{TOKEN: DIGITS}]
        return ""

    @after.get("/")
    async def read() -> str:
        return f"{new.data.token!r} {new.data.pins!r}"

    async def visit() -> str:
        response = await before.test_client().get("/")
        cookie = response.headers["Set-Cookie"].partition(";")[0]
        response = await after.test_client(use_cookies=False).get("/", headers={"Cookie": cookie})
        return await response.get_data(as_text=True)

    with caplog.at_level(logging.DEBUG, "typed_sessions"):
        assert asyncio.run(visit()) == "'' []"
    assert "session field reset to its default: token" in caplog.text
    assert not [secret for secret in HIDDEN if secret in caplog.text]


def test_frozen_data_is_replaced_as_ever() -> None:
    session = SecureCookieSession({"token": TOKEN}, schema=FrozenVisitor)
    session.replace(evolve(session.data, token="another"))
    assert session["token"] == "another"
