"""What would not come back is not written: the error names the place, and the visitor keeps the cookie they had."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, TypedDict

import pytest
from attrs import Factory, define
from quart import Quart, Response, stream_with_context

from typed_sessions import SerializationError
from typed_sessions.codec.codec import MAX_COOKIE_PAYLOAD, MAX_DEPTH
from typed_sessions.core import lifecycle
from typed_sessions.quart import Sessions
from typed_sessions.reports import ShortSecretKey, UndeclaredLossy

pytestmark = pytest.mark.usefixtures("both_paths")

SECRET = "a secret key that is long enough"
NAMES = ["tagged-json", "msgspec-json", "msgspec-msgpack"]


class Line(TypedDict, total=False):
    note: str
    seen: datetime


@define
class Book:
    title: str = ""


@define
class Film:
    title: str = ""


@define
class Item:
    sku: str = ""
    price: float = 0.0
    count: int = 0
    sold: datetime | None = None
    line: Line | None = None


@define
class Visitor:
    user_id: int | None = None
    cart: list[Item] = Factory(list[Item])
    table: dict[str, int] = Factory(dict[str, int])
    pair: tuple[int, str] = (0, "")
    anything: object = None
    days: set[date] = Factory(set[date])
    media: list[Book | Film] = Factory(list[Book | Film])


def shop(name: str, change: Callable[[Visitor], object]) -> tuple[Quart, Sessions[Visitor], list[BaseException]]:
    """An application with a view that makes a change, and the errors that it met."""
    app = Quart(__name__)
    app.config.update(SECRET_KEY=SECRET, SESSION_SERIALIZER=name)
    sessions, errors = Sessions(Visitor, app), list[BaseException]()

    @app.get("/")
    async def page() -> str:
        change(sessions.data)
        return ""

    @app.errorhandler(500)
    async def failed(error: Any) -> tuple[str, int]:
        errors.append(error.original_exception)
        return "", 500

    return app, sessions, errors


def deep(levels: int) -> list[object]:
    nested: list[object] = []
    for _ in range(levels):
        nested = [nested]
    return nested


def put(item: Item) -> Callable[[Visitor], object]:
    return lambda visitor: visitor.cart.extend([Item(), Item(), item])


def assign(name: str, value: object) -> Callable[[Visitor], object]:
    return lambda visitor: setattr(visitor, name, value)


WRONG: Any = "no number"
EVERYWHERE = {
    "nan": (put(Item(price=math.nan)), r"field cart\[2\]\.price must be a finite number"),
    "infinity": (put(Item(price=-math.inf)), r"field cart\[2\]\.price must be a finite number"),
    "wrong-type": (put(Item(price=WRONG)), r"field cart\[2\]\.price must be float, not str"),
    "wrong-type-in-a-dict": (assign("table", {"secret": WRONG}), r"field table\[\.\.\.\] must be int, not str"),
    "key-that-is-no-text": (assign("table", {7: 7}), r"field table \(a key\) must be str, not int"),
    "nan-in-anything": (
        assign("anything", {"a": [1, math.nan]}),
        r"field anything\[\.\.\.\]\[1\] must be a finite number",
    ),
    "key-in-anything": (assign("anything", {1: 1}), r"field anything \(a key\) must be str"),
    "wrong-length": (assign("pair", (1,)), r"field pair must be tuple\[int, str\], not tuple of length 1"),
    "too-deep": (assign("anything", deep(MAX_DEPTH)), "field anything is nested more than 100 deep"),
    "far-too-deep": (assign("anything", deep(100_000)), "field anything is nested more than 100 deep"),
    "too-large": (put(Item("x" * MAX_COOKIE_PAYLOAD)), "more than 65536, most of them session field cart"),
}
MSGSPEC = {
    "surrogate": (put(Item("\ud800")), r"field cart\[2\]\.sku cannot be written"),
    "surrogate-in-a-typeddict": (
        put(Item(line={"note": "\ud800"})),
        r"field cart\[2\]\.line\['note'\] cannot be written",
    ),
    "surrogate-in-a-union": (
        assign("media", [Book(), Film("\ud800")]),
        r"field media\[1\]\.title cannot be written",
    ),
    "surrogate-in-a-tuple": (assign("pair", (1, "\ud800")), r"field pair\[1\] cannot be written"),
}
MESSAGEPACK = {"long-integer": (put(Item(count=2**64)), r"field cart\[2\]\.count cannot be written by MsgspecMsgpack")}
TAGGED = {
    "year-50": (
        put(Item(sold=datetime(50, 1, 1, tzinfo=UTC))),
        r"field cart\[2\]\.sold would read back as another value",
    ),
    "year-50-in-a-typeddict": (
        put(Item(line={"seen": datetime(50, 1, 1, tzinfo=UTC)})),
        r"field cart\[2\]\.line\['seen'\] would read back as another value",
    ),
}
REFUSED = [
    pytest.param(name, *case, id=f"{name}-{id_}")
    for cases, names in ((EVERYWHERE, NAMES), (MSGSPEC, NAMES[1:]), (MESSAGEPACK, NAMES[2:]), (TAGGED, NAMES[:1]))
    for id_, case in cases.items()
    for name in names
]


@pytest.mark.parametrize(("name", "change", "message"), REFUSED)
async def test_a_declared_value_that_would_not_come_back_is_refused_by_its_place(
    name: str, change: Callable[[Visitor], object], message: str
) -> None:
    app, sessions, errors = shop(name, change)
    cookie = sessions.cookie_for(Visitor(7))
    response = await app.test_client().get("/", headers={"Cookie": f"session={cookie}"})
    assert response.status_code == 500
    assert "Set-Cookie" not in response.headers
    (error,) = errors
    assert isinstance(error, SerializationError)
    with pytest.raises(SerializationError, match=message):
        raise error
    assert "secret" not in str(error)


@pytest.mark.parametrize("name", NAMES)
async def test_a_failed_save_is_not_tried_again_on_the_response_that_says_so(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[object] = []
    app, sessions, errors = shop(name, put(Item(price=math.nan)))
    save = lifecycle.action_of

    def counted(*arguments: Any, **named: Any) -> object:
        tried.append(1)
        return save(*arguments, **named)

    monkeypatch.setattr(lifecycle, "action_of", counted)
    cookie = sessions.cookie_for(Visitor(7))
    response = await app.test_client().get("/", headers={"Cookie": f"session={cookie}"})
    assert (response.status_code, len(errors), len(tried)) == (500, 1, 1)
    assert "Cookie" in response.headers["Vary"]


@pytest.mark.parametrize("name", NAMES)
async def test_the_last_value_that_is_allowed_is_written(name: str) -> None:
    visitor = Visitor(2**63, [Item("\U0001f600", 1e308, -(2**63))], anything=deep(MAX_DEPTH - 2))
    app, sessions, errors = shop(name, lambda data: data.cart.extend(visitor.cart))
    app.config["MAX_COOKIE_SIZE"] = 0
    response = await app.test_client().get("/", headers={"Cookie": f"session={sessions.cookie_for(visitor)}"})
    assert (response.status_code, errors) == (200, [])
    assert "Set-Cookie" in response.headers


def reports_of(caplog: pytest.LogCaptureFixture) -> list[object]:
    return [record.args[0] for record in caplog.records if isinstance(record.args, tuple)]


LOSSY = {"amount": Decimal("1.5"), "day": date(2026, 1, 2), "numbers": {1: "a"}}


async def test_undeclared_contents_follow_flask_with_one_warning_for_each_key(caplog: pytest.LogCaptureFixture) -> None:
    app = Quart(__name__)
    app.config.update(SECRET_KEY=SECRET)
    sessions = Sessions(Visitor, app)
    client = app.test_client()
    with caplog.at_level(logging.WARNING, "typed_sessions"):
        for turn in range(3):
            async with sessions.transaction(client) as session:
                session.update({**LOSSY, "kept": (1, "a"), "when": datetime.now(UTC), "turn": turn})
    assert reports_of(caplog) == [UndeclaredLossy(key) for key in LOSSY]
    async with sessions.transaction(client) as session:
        assert (session["amount"], session["numbers"], session["kept"]) == ("1.5", {"1": "a"}, (1, "a"))


async def test_a_session_without_a_schema_is_warned_of_too(caplog: pytest.LogCaptureFixture) -> None:
    app = Quart(__name__)
    app.config.update(SECRET_KEY=SECRET, SESSION_SERIALIZER=json)
    sessions = Sessions(app=app)
    async with sessions.transaction(app.test_client()) as session:
        session["pair"] = (1, 2)
    assert reports_of(caplog) == [UndeclaredLossy("pair")]


@pytest.mark.parametrize(("secret", "warned"), [("k" * 15, True), ("k" * 16, False), ("é" * 8, False)])
async def test_a_short_secret_is_warned_of_once(secret: str, warned: bool, caplog: pytest.LogCaptureFixture) -> None:
    app = Quart(__name__)
    app.config.update(SECRET_KEY=secret)
    sessions = Sessions(Visitor, app)
    for _ in range(2):
        await app.test_client().get("/")
        sessions.cookie_for(Visitor())
    assert reports_of(caplog) == [ShortSecretKey(15)] * warned
    assert secret not in caplog.text


async def test_a_short_fallback_key_is_warned_of_too(caplog: pytest.LogCaptureFixture) -> None:
    app = Quart(__name__)
    app.config.update(SECRET_KEY=SECRET, SECRET_KEY_FALLBACKS=["old"])
    Sessions(Visitor, app).cookie_for(Visitor())
    assert reports_of(caplog) == [ShortSecretKey(3)]


async def test_a_refresh_is_no_late_use(caplog: pytest.LogCaptureFixture) -> None:
    app, sessions, _ = shop("tagged-json", repr)
    app.config["SESSION_REFRESH_AFTER"] = timedelta(0)

    @app.get("/untouched")
    async def untouched() -> str:
        return ""

    cookie = sessions.cookie_for(Visitor(7), permanent=True)
    response = await app.test_client().get("/untouched", headers={"Cookie": f"session={cookie}"})
    assert "Set-Cookie" in response.headers
    assert "Cookie" in response.headers["Vary"]
    assert caplog.text == ""


@pytest.mark.parametrize("early", [True, False], ids=["before", "within"])
async def test_a_session_that_a_stream_uses_first_is_reported(early: bool, caplog: pytest.LogCaptureFixture) -> None:
    app, sessions, _ = shop("tagged-json", repr)

    @app.get("/stream")
    async def stream() -> Response:
        if early:
            assert sessions.data.user_id is None

        @stream_with_context
        async def lines() -> Any:
            yield str(sessions.data.user_id)

        return Response(lines())

    response = await app.test_client().get("/stream")
    assert await response.get_data(as_text=True) == "None"
    assert ("Cookie" in response.headers.get("Vary", "")) is early
    assert ("the response has no Vary" in caplog.text) is not early
