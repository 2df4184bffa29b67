"""Another format at any time, in both directions, and in a fleet: nobody is logged out, and nothing is lost."""

from __future__ import annotations

import hashlib
import json
import time as clock
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from itertools import permutations
from typing import Any
from uuid import UUID

import flask
import pytest
from attrs import Factory, define
from flask.sessions import SecureCookieSessionInterface as FlaskInterface
from freezegun import freeze_time
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from itsdangerous import Signer, URLSafeTimedSerializer
from itsdangerous.encoding import base64_encode, int_to_bytes
from quart import Quart, websocket
from quart import session as quart_session
from quart.sessions import SecureCookieSessionInterface as QuartInterface

from typed_sessions import Schema
from typed_sessions.codec.codec import Codec, Loaded
from typed_sessions.errors import ConfigurationError
from typed_sessions.frameworks.quart_interface import QuartSessionInterface
from typed_sessions.quart import Sessions
from typed_sessions.schema.sameness import same
from typed_sessions.serializers import MsgspecJSONSerializer, MsgspecMsgpackSerializer, TaggedJSONSerializer
from typed_sessions.stores import MemoryStore
from typed_sessions.tools.inspection import inspect_cookie

pytestmark = pytest.mark.usefixtures("both_paths")

SECRET = "a secret key that is long enough"
SERIALIZERS: dict[str, Any] = {
    "tagged-json": TaggedJSONSerializer(),
    "msgspec-json": MsgspecJSONSerializer(),
    "msgspec-msgpack": MsgspecMsgpackSerializer(),
}
NAMES = list(SERIALIZERS)
NATIVE: dict[str, object] = {
    "price": Decimal("1.50"),
    "born": date(2000, 1, 2),
    "stay": timedelta(days=1),
    "alarm": time(7, 30),
    "marks": {1, 2},
    "frozen": frozenset({"a"}),
}


@define
class Declaring:
    """A release that declares what was undeclared before."""

    price: Decimal | None = None
    born: date | None = None
    stay: timedelta = timedelta()
    alarm: time | None = None
    marks: set[int] = Factory(set[int])
    frozen: frozenset[str] = frozenset()


@define
class DeclaringUnions:
    """The same, where each may be of several types."""

    price: Decimal | str | None = None
    born: date | datetime | None = None
    stay: timedelta | float | None = None
    alarm: time | str | None = None
    marks: list[int] | set[int] | None = None
    frozen: set[str] | frozenset[str] | None = None


@pytest.mark.parametrize("declaring", [Declaring, DeclaringUnions])
@pytest.mark.parametrize("name", ["msgspec-json", "msgspec-msgpack"])
def test_an_undeclared_value_stays_when_a_release_declares_it(name: str, declaring: type[Any]) -> None:
    payload = Codec(Schema(), SERIALIZERS[name]).payload(NATIVE)
    codec = Codec(Schema[Any](declaring), SERIALIZERS[name])
    outcome = codec.decode(payload)
    assert isinstance(outcome, Loaded)
    assert outcome.reports == ()
    assert same(outcome.contents.stored(), NATIVE)
    assert codec.diff(outcome.contents, outcome.snapshot) is None


@define
class Plain:
    device: UUID | None = None
    raw: bytes = b""
    at: datetime | None = None


@pytest.mark.parametrize("name", ["tagged-json", "msgspec-json"])
async def test_a_serializer_without_a_name_that_is_a_fallback_now_reads_its_own(name: str) -> None:
    before, after = Quart(__name__), Quart(__name__)
    before.config.update(SECRET_KEY=SECRET, SESSION_SERIALIZER=json)
    after.config.update(SECRET_KEY=SECRET, SESSION_SERIALIZER=name, SESSION_SERIALIZER_FALLBACKS=[json])
    held = Plain(UUID(int=7), b"\xff", datetime(2026, 1, 2, tzinfo=UTC))
    cookie = Sessions(Plain, before).cookie_for(held)
    sessions = Sessions(Plain, after)

    @after.get("/")
    async def page() -> str:
        return repr(sessions.data)

    response = await after.test_client().get("/", headers={"Cookie": f"session={cookie}"})
    assert await response.get_data(as_text=True) == repr(held)


SWAPS = pytest.mark.parametrize(("old", "new"), list(permutations(NAMES, 2)), ids=" to ".join)

EXTRAS: dict[str, object] = {
    "_flashes": [("message", "hi")],
    "csrf_token": "0" * 40,
    "_state_x": {"data": {"nonce": "n"}, "exp": 1.5},
    "when": datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
    "device": UUID(int=7),
    "raw": b"\xff",
    " t": {" t": "x"},
}


@define
class Item:
    sku: str
    price: float = 0.0


@define
class Visitor:
    user_id: int | None = None
    cart: list[Item] = Factory(list[Item])
    point: tuple[int, int] = (0, 0)
    tags: set[str] = Factory(set[str])
    seen: datetime | None = None


VISITOR = Visitor(7, [Item("a", 1.5)], (1, 2), {"x", "y"}, datetime(2026, 1, 2, tzinfo=UTC))


@define
class Release:
    """One release of an application, on the format that it is configured for."""

    app: Quart
    sessions: Sessions[Visitor]

    async def visit(self, path: str, cookie: str | None) -> tuple[str, str | None]:
        """Return the page, and the cookie that the browser has afterwards."""
        headers = {} if cookie is None else {"Cookie": f"session={cookie}"}
        response = await self.app.test_client().get(path, headers=headers)
        assert response.status_code == 200
        sent = response.headers.get("Set-Cookie")
        page = await response.get_data(as_text=True)
        return page, cookie if sent is None else sent.partition("=")[2].partition(";")[0]


def release(serializer: object = "tagged-json", **config: object) -> Release:
    app = Quart(__name__)
    app.config.update(SECRET_KEY=SECRET, SESSION_SERIALIZER=serializer, **config)
    made = Release(app, Sessions(Visitor, app))

    @app.get("/read")
    async def read() -> str:
        return f"{made.sessions.data!r} {dict(made.sessions.current.extras)!r}"

    @app.get("/fill")
    async def fill() -> str:
        made.sessions.replace(VISITOR)
        made.sessions.current.extras.update(EXTRAS)
        return ""

    @app.get("/add")
    async def add() -> str:
        made.sessions.data.cart.append(Item("more"))
        return ""

    @app.websocket("/ws")
    async def ws() -> None:
        await websocket.send(f"{made.sessions.data.user_id}")

    return made


def salt_of(name: str) -> str:
    return "cookie-session" if name == "tagged-json" else f"cookie-session.{name}"


def opened_as(name: str, cookie: str) -> Any:
    return URLSafeTimedSerializer(
        SECRET, salt=salt_of(name), serializer=SERIALIZERS[name], signer_kwargs={"key_derivation": "hmac"}
    ).loads(cookie)


@pytest.mark.parametrize("name", NAMES)
async def test_each_format_is_signed_under_its_own_salt(name: str) -> None:
    _, cookie = await release(name).visit("/fill", None)
    assert cookie is not None
    assert opened_as(name, cookie)["user_id"] == 7


@pytest.mark.parametrize(
    ("name", "size", "compressed"),
    [
        ("tagged-json", 500, True),
        ("msgspec-json", 2_000, False),
        ("msgspec-msgpack", 2_000, False),
        ("msgspec-json", 4_000, True),
        ("msgspec-msgpack", 4_000, True),
    ],
)
def test_a_format_that_is_not_quarts_is_compressed_only_where_it_would_not_fit_a_cookie(
    name: str, size: int, compressed: bool
) -> None:
    made = release(name)
    cookie = made.sessions.cookie_for(Visitor(cart=[Item("a" * size)]))
    assert cookie.startswith(".") is compressed


EVERY_FORMAT = pytest.mark.parametrize("serializer", [*NAMES, json], ids=[*NAMES, "a serializer of the user's"])


@EVERY_FORMAT
@pytest.mark.parametrize(("length", "compressed"), [(200, False), (201, True)])
def test_payloads_of_up_to_200_bytes_are_compressed_in_no_format(
    serializer: Any, length: int, compressed: bool
) -> None:
    app = Quart(__name__)
    app.config.update(SECRET_KEY=SECRET, SESSION_SERIALIZER=serializer, MAX_COOKIE_SIZE=1)  # there is room for none
    sessions = Sessions(app=app)
    around = inspect_cookie(sessions.cookie_for({"name": "a" * 100}), None).payload_size or 0
    cookie = sessions.cookie_for({"name": "a" * (length - around + 100)})
    assert inspect_cookie(cookie, None).payload_size == length
    assert cookie.startswith(".") is compressed


def test_a_small_cookie_of_this_library_opens_in_quart_and_flask() -> None:
    quart, other = Quart(__name__), flask.Flask(__name__)
    quart.config["SECRET_KEY"] = other.config["SECRET_KEY"] = SECRET
    cookie = Sessions(app=quart).cookie_for({"name": "a" * 100})
    assert not cookie.startswith(".")
    for stock in (
        QuartInterface().get_signing_serializer(quart),
        FlaskInterface().get_signing_serializer(other),
    ):
        assert stock is not None
        assert stock.loads(cookie) == {"name": "a" * 100}


@pytest.mark.parametrize("name", NAMES)
async def test_a_small_cookie_that_comes_compressed_is_read_and_not_written_before_a_change(name: str) -> None:
    made = release(name)
    interface: Any = made.app.session_interface
    compressing = interface.get_signing_serializer(made.app)
    text: Any = compressing.dumps({"user_id": 7, "cart": [{"sku": "a" * 100, "price": 1.5}]})
    cookie = text.decode() if isinstance(text, bytes) else text
    assert cookie.startswith(".")
    page, after = await made.visit("/read", cookie)
    assert f"{Visitor(7, [Item('a' * 100, 1.5)])!r}" in page
    assert after == cookie
    async with made.app.test_client().websocket("/ws", headers={"Cookie": f"session={cookie}"}) as socket:
        assert await socket.receive() == "7"
    _, changed = await made.visit("/add", cookie)
    assert changed is not None
    assert not changed.startswith(".")
    assert opened_as(name, changed)["user_id"] == 7


@freeze_time("2026-11-30T12:00:00Z")
@pytest.mark.parametrize("length", [180, 500, 3000])
def test_above_200_bytes_tagged_json_is_the_text_of_quart_exactly(length: int) -> None:
    app = Quart(__name__)
    app.config["SECRET_KEY"] = SECRET
    contents: dict[str, object] = {"name": "a" * length, "raw": b"\xff", "pair": (1, 2)}
    stock = QuartInterface().get_signing_serializer(app)
    assert stock is not None
    assert Sessions(app=app).cookie_for(contents) == stock.dumps(contents)


@SWAPS
async def test_a_swap_loses_nothing_and_a_read_writes_nothing(old: str, new: str) -> None:
    _, filled = await release(old).visit("/fill", None)
    expected, _ = await release(old).visit("/read", filled)
    page, after = await release(new).visit("/read", filled)
    assert page == expected
    assert after == filled


@SWAPS
async def test_the_configured_format_is_written_at_the_next_change(old: str, new: str) -> None:
    _, filled = await release(old).visit("/fill", None)
    _, changed = await release(new).visit("/add", filled)
    assert changed is not None
    assert len(opened_as(new, changed)["cart"]) == 2
    page, _ = await release(old).visit("/read", changed)
    assert "Item(sku='a', price=1.5), Item(sku='more', price=0.0)" in page
    assert repr(("message", "hi")) in page


@SWAPS
async def test_a_fleet_of_both_releases_serves_one_visitor_in_turn(old: str, new: str) -> None:
    fleet, cookie = [release(old), release(new)], None
    _, cookie = await fleet[0].visit("/fill", cookie)
    for turn in range(6):
        _, cookie = await fleet[turn % 2].visit("/add", cookie)
        page, same = await fleet[(turn + 1) % 2].visit("/read", cookie)
        assert same == cookie
        assert page.count("more") == turn + 1
        assert repr(("message", "hi")) in page


@pytest.mark.parametrize("name", NAMES[1:])
async def test_stock_frameworks_in_the_fleet_see_a_bad_signature_and_answer(name: str) -> None:
    _, cookie = await release(name).visit("/fill", None)
    quart_app, flask_app = Quart(__name__), flask.Flask(__name__)
    quart_app.secret_key = flask_app.secret_key = SECRET

    @quart_app.get("/")
    async def quart_page() -> str:
        return repr(dict(quart_session))

    @flask_app.get("/")
    def flask_page() -> str:
        return repr(dict(flask.session))

    headers = {"Cookie": f"session={cookie}"}
    from_quart = await quart_app.test_client().get("/", headers=headers)
    from_flask = flask_app.test_client().get("/", headers=headers)
    assert (from_quart.status_code, await from_quart.get_data(as_text=True)) == (200, "{}")
    assert (from_flask.status_code, from_flask.get_data(as_text=True)) == (200, "{}")
    assert "Set-Cookie" not in from_quart.headers


@pytest.mark.parametrize("name", NAMES)
async def test_a_format_is_chosen_by_name_object_path_or_argument(name: str) -> None:
    made = SERIALIZERS[name]
    for setting in (name, made, f"typed_sessions.serializers:{type(made).__name__}"):
        assert opened_as(name, release(setting).sessions.cookie_for(VISITOR))["user_id"] == 7
    app = Quart(__name__)
    app.secret_key = SECRET
    assert opened_as(name, Sessions(Visitor, app, serializer=made).cookie_for(VISITOR))["user_id"] == 7


class Reversed(MsgspecJSONSerializer):
    """A format of a user's own, which they are about to leave."""

    name = "reversed"

    def dumps(self, value: dict[str, object], /) -> bytes:  # type: ignore[explicit-override]  # as users write it
        return super().dumps(value)[::-1]

    def loads(self, payload: bytes, /) -> object:  # type: ignore[explicit-override]  # as users write it
        return super().loads(payload[::-1])


async def test_a_format_that_is_left_is_named_among_the_fallbacks() -> None:
    _, cookie = await release(Reversed()).visit("/fill", None)
    page, _ = await release("msgspec-json").visit("/read", cookie)
    assert "user_id=None" in page
    page, _ = await release("msgspec-json", SESSION_SERIALIZER_FALLBACKS=[Reversed()]).visit("/read", cookie)
    assert "user_id=7" in page


visitors = st.builds(
    Visitor,
    user_id=st.none() | st.integers(0, 2**62),
    cart=st.lists(st.builds(Item, st.text(max_size=5), st.floats(allow_nan=False, allow_infinity=False)), max_size=3),
    point=st.tuples(st.integers(-9, 9), st.integers(-9, 9)),
    tags=st.sets(st.text(max_size=3), max_size=3),
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(visitor=visitors, path=st.lists(st.sampled_from(NAMES), min_size=2, max_size=5))
def test_any_visitor_survives_any_path_of_formats(visitor: Visitor, path: list[str]) -> None:
    app = Quart(__name__)
    app.config.update(SECRET_KEY=SECRET, MAX_COOKIE_SIZE=0)
    sessions = Sessions(Visitor, app)
    held = visitor
    for name in path:
        app.config["SESSION_SERIALIZER"] = name
        session = sessions._interface.session_class(schema=sessions.schema)
        session.replace(held)
        text = sessions._interface.seal(app, session)
        rules = sessions._interface._applications.rules_of(app)
        found = rules.writer.sealer.open(text)
        assert isinstance(found, tuple)
        payload, _ = found
        outcome = rules.writer.codec.decode(payload)
        held = outcome.contents.data  # type: ignore[union-attr]  # a refusal fails here
    assert held == visitor


def deriving(derivation: Any, *, store: MemoryStore | None = None, **config: object) -> Quart:
    """Return an application whose interface makes its signing keys in some way."""
    app = Quart(__name__)
    app.config.update({"SECRET_KEY": SECRET, **config})
    interface = QuartSessionInterface(store=store)
    interface.key_derivation = derivation
    app.before_serving(lambda: interface.check(app))
    setattr(app, "session_interface", interface)  # noqa: B010 -- Quart's attribute admits only Quart's class

    @app.get("/")
    async def page() -> dict[str, object]:
        return dict(quart_session)

    @app.get("/write")
    async def write() -> str:
        quart_session["count"] = quart_session.get("count", 0) + 1
        return ""

    return app


async def page_of(app: Quart, text: str, path: str = "/") -> Any:
    """Return what a request with this cookie is answered: its page, or its `Set-Cookie` header."""
    response = await app.test_client(use_cookies=False).get(path, headers={"Cookie": f"session={text}"})
    assert response.status_code == 200
    return response.headers.get("Set-Cookie") if path == "/write" else await response.get_json()


def signed_without_salt(payload: bytes) -> str:
    signer = Signer(SECRET, key_derivation="none", digest_method=hashlib.sha1)
    return signer.sign(base64_encode(payload) + b"." + base64_encode(int_to_bytes(int(clock.time())))).decode()


async def test_without_salts_no_payload_is_taken_for_another_formats() -> None:
    app = deriving("none")
    assert await page_of(app, signed_without_salt(b'{"a":{" t":[1]}}')) == {"a": [1]}
    assert await page_of(app, signed_without_salt(MsgspecMsgpackSerializer().dumps({"a": 1}))) == {}
    written = await page_of(app, signed_without_salt(b'{"count":1}'), "/write")
    quarts = URLSafeTimedSerializer(
        SECRET, salt="cookie-session", signer_kwargs={"key_derivation": "none", "digest_method": hashlib.sha1}
    )
    assert quarts.loads(written.partition(";")[0].partition("=")[2]) == {"count": 2}


@pytest.mark.parametrize("name", NAMES[1:])
async def test_without_salts_a_format_with_a_salt_is_refused(name: str) -> None:
    settings_of: list[dict[str, Any]] = [{"SESSION_SERIALIZER": name}, {"SESSION_SERIALIZER_FALLBACKS": [name]}]
    for setting in settings_of:
        with pytest.raises(ConfigurationError, match='key_derivation = "none" leaves out the salt'):
            await deriving("none", **setting).startup()


async def test_without_salts_a_store_keeps_any_format_and_takes_in_no_other_than_tagged_json() -> None:
    app = deriving("none", store=MemoryStore(), SESSION_SERIALIZER="msgspec-msgpack")
    app.config["SESSION_ADOPT_SIGNED_BEFORE"] = datetime(9999, 1, 1, tzinfo=UTC)
    written = await page_of(app, "", "/write")
    assert await page_of(app, written.partition(";")[0].partition("=")[2]) == {"count": 1}
    assert await page_of(app, signed_without_salt(b'{"count":7}')) == {"count": 7}
    assert await page_of(app, signed_without_salt(MsgspecMsgpackSerializer().dumps({"count": 7}))) == {}


@pytest.mark.parametrize("derivation", ["HMAC", "", None, 7, "scrypt", b"hmac"], ids=repr)
async def test_an_unknown_derivation_of_keys_is_refused_before_serving(derivation: object) -> None:
    with pytest.raises(ConfigurationError, match="key_derivation must be one of"):
        await deriving(derivation).startup()


@pytest.mark.parametrize("salt", [None, 7, ["cookie-session"]], ids=repr)
async def test_a_salt_that_is_no_text_is_refused_before_serving(salt: Any) -> None:
    app = deriving("hmac")
    setattr(app.session_interface, "salt", salt)  # noqa: B010 -- the misuse
    with pytest.raises(ConfigurationError, match="salt must be text or bytes"):
        await app.startup()
