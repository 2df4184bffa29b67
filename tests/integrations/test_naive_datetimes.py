"""Tagged JSON brings back an aware datetime, so a declared naive one is refused where tagged JSON is configured."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, TypedDict

import msgspec
import pytest
from attrs import Factory, define, field, frozen
from quart import Quart

from tests.cases import for_each
from tests.through_data import set_in_data
from typed_sessions import FieldTypeError, SchemaError, SerializationError
from typed_sessions.quart import Sessions
from typed_sessions.stores import MemoryStore

pytestmark = pytest.mark.usefixtures("both_paths")

SECRET = "a secret key that is long enough"
NAIVE = datetime(2026, 1, 2, 3, 4, 5)  # noqa: DTZ001 -- naive on purpose
AWARE = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
LOSSLESS = pytest.mark.parametrize("name", ["msgspec-json", "msgspec-msgpack"])


@define
class Inner:
    at: datetime | None = None


@define
class Attrs:
    at: datetime = AWARE
    maybe: datetime | None = None
    several: list[datetime] = Factory(list[datetime])
    by_name: dict[str, datetime] = Factory(dict[str, datetime])
    union: datetime | str | None = None
    inner: Inner = Factory(Inner)


@frozen
class Frozen:
    at: datetime = AWARE
    maybe: datetime | None = None
    several: list[datetime] = Factory(list[datetime])
    by_name: dict[str, datetime] = Factory(dict[str, datetime])
    union: datetime | str | None = None
    inner: Inner = Factory(Inner)


def as_it_is(value: datetime) -> datetime:
    return value


@define
class Converting:
    at: datetime = field(default=AWARE, converter=as_it_is)
    maybe: datetime | None = None
    several: list[datetime] = Factory(list[datetime])
    by_name: dict[str, datetime] = Factory(dict[str, datetime])
    union: datetime | str | None = None
    inner: Inner = Factory(Inner)


@dataclasses.dataclass
class Data:
    at: datetime = AWARE
    maybe: datetime | None = None
    several: list[datetime] = dataclasses.field(default_factory=list[datetime])
    by_name: dict[str, datetime] = dataclasses.field(default_factory=dict[str, datetime])
    union: datetime | str | None = None
    inner: Inner = dataclasses.field(default_factory=Inner)


class Record(msgspec.Struct):
    at: datetime = AWARE
    maybe: datetime | None = None
    several: list[datetime] = msgspec.field(default_factory=list[datetime])
    by_name: dict[str, datetime] = msgspec.field(default_factory=dict[str, datetime])
    union: datetime | str | None = None
    inner: Inner = msgspec.field(default_factory=Inner)


class Keys(TypedDict, total=False):
    at: datetime
    maybe: datetime | None
    several: list[datetime]
    by_name: dict[str, datetime]
    union: datetime | str | None
    inner: Inner


KINDS = pytest.mark.parametrize("declared", [Attrs, Frozen, Converting, Data, Record, Keys])
STORED = pytest.mark.parametrize("kept", [False, True], ids=["cookie", "store"])
PLACES: dict[str, Callable[[], tuple[str, object]]] = {
    "at": lambda: ("at", NAIVE),
    "maybe": lambda: ("maybe", NAIVE),
    "several[1]": lambda: ("several", [AWARE, NAIVE]),
    "by_name[...]": lambda: ("by_name", {"a": NAIVE}),
    "union": lambda: ("union", NAIVE),
    "inner.at": lambda: ("inner", Inner(NAIVE)),
}


async def visited(app: Quart, sessions: Sessions[Any], change: Callable[[], object], cookie: str = "") -> Any:
    """Return the cookie of a request that makes a change, and what it then finds in the session."""
    found: list[Any] = []

    async def page() -> str:
        change()
        found.append(sessions.current.copy())
        return ""

    app.view_functions["page"] = page
    response = await app.test_client().get("/", headers={"Cookie": f"session={cookie}"} if cookie else {})
    sent = response.headers.get("Set-Cookie", "").partition("=")[2].partition(";")[0]
    return sent or cookie, found[0]


def release(declared: Any, name: str, store: MemoryStore | None = None) -> tuple[Quart, Sessions[Any]]:
    app = Quart(__name__)
    app.config.update(SECRET_KEY=SECRET, SESSION_SERIALIZER=name, PROPAGATE_EXCEPTIONS=True)
    app.add_url_rule("/", "page")
    return app, Sessions[Any](declared, app, store=store)


@STORED
@KINDS
@for_each("place", PLACES)
async def test_it_is_refused_at_the_line_that_sets_it(declared: Any, place: str, kept: bool) -> None:
    app, sessions = release(declared, "tagged-json", MemoryStore() if kept else None)
    key, value = PLACES[place]()

    def change() -> None:
        session: Any = sessions.current
        ways: list[Callable[[], object]] = [
            lambda: session.__setitem__(key, value),
            lambda: session.update({key: value}),
            lambda: session.promote(**{key: value}),
            lambda: session.replace(declared(**{key: value})),
        ]
        for way in ways:
            with pytest.raises(FieldTypeError, match=r"datetime\.now\(UTC\)") as refusal:
                way()
            assert f".{place} must be" in str(refusal.value)

    _, found = await visited(app, sessions, change)
    assert found == {}


@STORED
@KINDS
@for_each("place", PLACES)
async def test_through_data_it_is_refused_at_the_save(declared: Any, place: str, kept: bool) -> None:
    app, sessions = release(declared, "tagged-json", MemoryStore() if kept else None)
    key, value = PLACES[place]()

    def change() -> None:
        set_in_data(sessions.data, key, value)

    with pytest.raises(SerializationError, match=r"datetime\.now\(UTC\)") as refusal:
        await visited(app, sessions, change)
    assert f"session field {place} must be" in str(refusal.value)


@LOSSLESS
@KINDS
@for_each("place", PLACES)
async def test_where_the_configured_format_keeps_it_it_is_taken(name: str, declared: Any, place: str) -> None:
    app, sessions = release(declared, name)
    key, value = PLACES[place]()
    cookie, _ = await visited(app, sessions, lambda: sessions.current.update({key: value}))
    _, found = await visited(app, sessions, lambda: None, cookie)
    assert found == {key: value}
    other, theirs = release(declared, "tagged-json")
    _, found = await visited(other, theirs, lambda: theirs.current.update(union="changed"), cookie)
    assert found[key] == ("changed" if key == "union" else value)


async def test_a_naive_default_is_refused_before_serving_where_it_would_not_come_back() -> None:
    declared: list[Any] = [
        define(type("Bad", (), {"__annotations__": {"at": datetime}, "at": NAIVE})),
        dataclasses.make_dataclass("Bad", [("at", datetime, NAIVE)]),
        msgspec.defstruct("Bad", [("at", datetime, NAIVE)]),
        lambda: Attrs(at=NAIVE),
    ]
    for each in declared:
        with pytest.raises(SchemaError, match=r"\.at: the default must be .*datetime\.now\(UTC\)"):
            await release(each, "tagged-json")[0].startup()
        await release(each, "msgspec-json")[0].startup()


@pytest.mark.parametrize("declared", [None, Attrs])
async def test_undeclared_ones_end_as_in_flask(declared: Any) -> None:
    app, sessions = release(declared, "tagged-json")
    cookie, _ = await visited(app, sessions, lambda: sessions.current.update(extra=NAIVE))
    _, found = await visited(app, sessions, lambda: None, cookie)
    assert found == {"extra": AWARE}
