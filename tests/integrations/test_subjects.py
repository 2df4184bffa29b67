"""Whose session it is: what is stored says so, and what is ended for somebody is ended under every name of theirs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum, IntEnum, StrEnum
from typing import Annotated, Any, NotRequired, TypedDict
from uuid import UUID

import attrs
import msgspec
import pytest
from pydantic import BaseModel
from quart import Quart
from typing_extensions import override

from typed_sessions import FieldTypeError, SerializationError, Subject
from typed_sessions.quart import Sessions
from typed_sessions.stores import MemoryStore, PlacedStore, SessionStore, SQLiteStore

KEY = "k" * 32


class Account(str, Enum):  # noqa: UP042 -- as it is written where StrEnum is too new
    ALICE = "alice"


class NewAccount(StrEnum):
    ALICE = "alice"


class Number(IntEnum):
    SEVEN = 7


class Name(str):
    __slots__ = ()

    @override
    def __str__(self) -> str:
        return "somebody else"


class Int(int):
    @override
    def __str__(self) -> str:
        return "seven"


class Id(UUID):
    @override
    def __str__(self) -> str:
        return "an id"


@attrs.define
class ByName:
    user: Annotated[str | None, Subject] = None


@attrs.define
class ByNumber:
    user: Annotated[int | None, Subject] = None


@attrs.define
class ByUUID:
    user: Annotated[UUID | None, Subject] = None


@dataclass
class InDataclass:
    user: Annotated[str | None, Subject] = None


class InStruct(msgspec.Struct):
    user: Annotated[str | None, Subject] = None


class InModel(BaseModel, validate_assignment=True):
    user: Annotated[str | None, Subject] = None


class InTypedDict(TypedDict):
    user: NotRequired[Annotated[str | None, Subject]]


SOME_UUID = UUID("12345678-1234-5678-1234-567812345678")

LIVE: dict[str, tuple[Any, object, Any]] = {
    "a str-Enum": (ByName, Account.ALICE, "alice"),
    "a StrEnum": (ByName, NewAccount.ALICE, "alice"),
    "a subclass of str": (ByName, Name("alice"), "alice"),
    "True as a number": (ByNumber, True, 1),
    "an IntEnum": (ByNumber, Number.SEVEN, 7),
    "a subclass of int": (ByNumber, Int(7), 7),
    "a subclass of UUID": (ByUUID, Id(SOME_UUID.hex), SOME_UUID),
    "in a dataclass": (InDataclass, Account.ALICE, "alice"),
    "in a Struct": (InStruct, Account.ALICE, "alice"),
    "in a model": (InModel, Account.ALICE, "alice"),
    "in a TypedDict": (InTypedDict, Account.ALICE, "alice"),
}

WAYS: dict[str, Callable[[Any, object], None]] = {
    "data": lambda session, value: (
        session.data.__setitem__("user", value)
        if isinstance(session.data, dict)
        else setattr(session.data, "user", value)
    ),
    "key": lambda session, value: session.__setitem__("user", value),
    "promote": lambda session, value: session.promote(user=value),
}


def login(user: object) -> Callable[[Any], None]:
    return lambda session: session.promote(user=user)


class Site:
    """An application whose one view does what the test says."""

    def __init__(self, schema: Any, store: SessionStore | None = None, **config: Any) -> None:
        self.app = Quart("site")
        self.app.config.update({"SECRET_KEY": KEY, "PROPAGATE_EXCEPTIONS": True} | config)
        self.sessions = Sessions[Any](schema, self.app, store=store)
        self.do: Callable[[Any], object] = bool

        @self.app.route("/")
        async def view() -> str:
            self.do(self.sessions.current)
            return str(dict(self.sessions.current))

    async def get(self, do: Callable[[Any], object] = bool, cookie: str = "") -> tuple[str, str]:
        self.do = do
        headers = {"Cookie": f"session={cookie}"} if cookie else {}
        response = await self.app.test_client(use_cookies=False).get("/", headers=headers)
        for header in response.headers.getlist("Set-Cookie"):
            cookie = header.partition(";")[0].partition("=")[2]
        return str(await response.get_data(as_text=True)), cookie


@pytest.mark.parametrize("serializer", ["tagged-json", "msgspec-json", "msgspec-msgpack"])
@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
@pytest.mark.parametrize(("schema", "live", "stored"), LIVE.values(), ids=LIVE)
async def test_a_session_is_listed_and_ended_under_what_is_stored(
    schema: Any, live: object, stored: Any, way: Callable[[Any, object], None], serializer: str
) -> None:
    site = Site(schema, MemoryStore(), SESSION_SERIALIZER=serializer)
    _, cookie = await site.get(lambda session: way(session, live))
    assert len(await site.sessions.of(stored)) == 1
    assert await site.get(bool, cookie) != ("{}", cookie)
    await site.sessions.revoke(stored)
    assert (await site.get(bool, cookie))[0] == "{}"


@pytest.mark.parametrize("schema", [ByName, InDataclass, InStruct, InModel, InTypedDict])
@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
async def test_a_text_that_no_store_can_keep_is_nobodys(
    schema: Any, way: Callable[[Any, object], None], tmp_path: Any
) -> None:
    store = SQLiteStore(tmp_path / "sessions.db")
    site = Site(schema, store)
    with pytest.raises((FieldTypeError, SerializationError), match="user") as caught:
        await site.get(lambda session: way(session, "alice\ud800"))
    assert "alice" not in str(caught.value)
    for call in (site.sessions.of, site.sessions.revoke):
        with pytest.raises(FieldTypeError, match="user"):
            await call("alice\ud800")
    _, cookie = await site.get(lambda session: way(session, "alice"))
    assert len(await site.sessions.of("alice")) == 1
    assert cookie
    await store.close()


class Clock:
    def __init__(self) -> None:
        self.now = datetime.now(UTC).timestamp()

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
@pytest.mark.parametrize("back", [timedelta(minutes=10), timedelta(seconds=5), timedelta(days=400)], ids=str)
async def test_a_clock_that_is_set_back_does_not_lock_a_revoked_user_out(
    kind: str, back: timedelta, tmp_path: Any, caplog: pytest.LogCaptureFixture
) -> None:
    clock = Clock()
    store = MemoryStore(clock=clock) if kind == "memory" else SQLiteStore(tmp_path / "sessions.db", clock=clock)
    site = Site(ByNumber, store)
    _, former = await site.get(login(7))
    await site.sessions.revoke(7)
    clock.now -= back.total_seconds()
    _, cookie = await site.get(login(7))
    assert await site.get(bool, cookie) == ("{'user': 7}", cookie)
    assert (await site.get(bool, former))[0] == "{}"
    _, second = await site.get(login(7), cookie)
    assert await site.get(bool, second) == ("{'user': 7}", second)
    await site.sessions.revoke(7)
    assert (await site.get(bool, second))[0] == "{}"
    assert not [record for record in caplog.records if record.levelname == "ERROR"]
    await store.close()


ADOPTING = {"SESSION_ADOPT_SIGNED_BEFORE": datetime.now(UTC) + timedelta(days=1)}


@pytest.mark.parametrize("serializer", ["tagged-json", "msgspec-json", "msgspec-msgpack"])
@pytest.mark.parametrize("kind", ["memory", "sqlite"])
async def test_a_signed_cookie_is_not_taken_in_after_its_subject_was_revoked(
    kind: str, serializer: str, tmp_path: Any
) -> None:
    cookies = Site(ByNumber, SESSION_SERIALIZER=serializer)
    _, stolen = await cookies.get(login(7))
    _, others = await cookies.get(login(8))
    clock = Clock()
    clock.now += 2
    store = MemoryStore(clock=clock) if kind == "memory" else SQLiteStore(tmp_path / "sessions.db", clock=clock)
    site = Site(ByNumber, store, **ADOPTING)
    await site.sessions.revoke(7)
    assert await site.get(bool, stolen) == ("{}", stolen)
    clock.now += timedelta(days=5).total_seconds()  # longer than stores keep revocations by themselves
    assert await site.get(bool, stolen) == ("{}", stolen)
    page, adopted = await site.get(bool, others)
    assert (page, adopted != others) == ("{'user': 8}", True)
    _, again = await site.get(login(7), stolen)
    assert await site.get(bool, again) == ("{'user': 7}", again)
    await store.close()


async def test_the_latest_revocation_counts_for_signed_cookies() -> None:
    clock = Clock()
    site = Site(ByNumber, MemoryStore(clock=clock), **ADOPTING)
    clock.now -= 3600
    await site.sessions.revoke(7)
    _, stolen = await Site(ByNumber).get(login(7))
    clock.now += 7200
    await site.sessions.revoke(7)
    assert (await site.get(bool, stolen))[0] == "{}"


async def test_a_signed_cookie_that_was_made_after_the_revocation_is_taken_in() -> None:
    clock = Clock()
    clock.now -= 3600
    site = Site(ByNumber, MemoryStore(clock=clock), **ADOPTING)
    await site.sessions.revoke(7)
    _, fresh = await Site(ByNumber).get(login(7))
    clock.now += 3600
    page, adopted = await site.get(bool, fresh)
    assert (page, adopted != fresh) == ("{'user': 7}", True)


@pytest.mark.parametrize("ending", ["clear", "invalidate"])
async def test_a_log_out_ends_each_signed_cookie_that_came(ending: str) -> None:
    cookies, site = Site(ByNumber), Site(ByNumber, MemoryStore(), **ADOPTING)
    signed = [(await cookies.get(login(user)))[1] for user in (7, 8)]
    await site.get(lambda session: getattr(session, ending)(), "; session=".join(signed))
    for cookie in signed:
        assert (await site.get(bool, cookie))[0] == "{}"


async def test_a_log_out_with_the_signed_cookie_of_a_moment_ago_ends_what_it_became() -> None:
    cookies, site = Site(ByNumber), Site(ByNumber, MemoryStore(), **ADOPTING)
    _, signed = await cookies.get(login(7))
    _, adopted = await site.get(bool, signed)
    await site.get(lambda session: session.invalidate(), signed)
    assert (await site.get(bool, adopted))[0] == "{}"


class Placed(MemoryStore):
    """Keeps the records of a subject together."""

    def place_of(self, subject: str) -> str:
        return f"{len(subject):04x}"


async def test_identifiers_have_the_place_of_their_subject_in_a_store_of_places() -> None:
    store = Placed()
    assert isinstance(store, PlacedStore)
    assert not isinstance(MemoryStore(), PlacedStore)
    site = Site(ByName, store, SESSION_NAMESPACE="shop")
    _, anonymous = await site.get(lambda session: session.__setitem__("locale", "de"))
    assert len(anonymous) == 43
    for name in ("alice", "bo"):
        _, cookie = await site.get(login(name), anonymous)
        place = store.place_of(f"shop:{name}")
        [listed] = await store.ids_of(f"shop:{name}")
        assert (len(cookie), cookie[:4], listed.key[:4]) == (47, place, place)
        assert await site.get(bool, cookie) == (f"{{'locale': 'de', 'user': '{name}'}}", cookie)
        anonymous = cookie
