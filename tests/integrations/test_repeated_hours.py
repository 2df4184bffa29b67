"""Which of two hours that a clock shows alike is kept, or the save is refused: `fold` is lost in no format."""

from __future__ import annotations

import dataclasses
from datetime import datetime, time, timedelta, timezone
from typing import Any, TypedDict
from zoneinfo import ZoneInfo

import msgspec
import pytest
from attrs import Factory, define
from quart import Quart

from typed_sessions import SerializationError
from typed_sessions.quart import Sessions

pytestmark = pytest.mark.usefixtures("both_paths")

SECRET = "a secret key that is long enough"
BERLIN = ZoneInfo("Europe/Berlin")
FIRST = datetime(2026, 10, 25, 2, 30, tzinfo=BERLIN)
SECOND = FIRST.replace(fold=1)
NAIVE = datetime(2026, 10, 25, 2, 30, fold=1)  # noqa: DTZ001 -- naive on purpose
FORMATS = pytest.mark.parametrize("name", ["tagged-json", "msgspec-json", "msgspec-msgpack"])
LOSSLESS = pytest.mark.parametrize("name", ["msgspec-json", "msgspec-msgpack"])


@define
class Attrs:
    at: datetime | None = None
    clock: time | None = None
    several: list[datetime] = Factory(list[datetime])


@dataclasses.dataclass
class Data:
    at: datetime | None = None
    clock: time | None = None
    several: list[datetime] = dataclasses.field(default_factory=list[datetime])


class Record(msgspec.Struct):
    at: datetime | None = None
    clock: time | None = None
    several: list[datetime] = msgspec.field(default_factory=list[datetime])


class Keys(TypedDict, total=False):
    at: datetime
    clock: time
    several: list[datetime]


KINDS = pytest.mark.parametrize("declared", [Attrs, Data, Record, Keys])


async def stored_again(declared: Any, name: str, key: str, value: object) -> Any:
    """Return what the next request finds; what the save raises is raised."""
    app = Quart(__name__)
    app.config.update(SECRET_KEY=SECRET, SESSION_SERIALIZER=name, PROPAGATE_EXCEPTIONS=True)
    sessions: Sessions[Any] = Sessions[Any](declared, app)
    found: list[Any] = []

    @app.get("/<what>")
    async def page(what: str) -> str:
        if what == "write":
            sessions.current[key] = value
        found.append(sessions.current.get(key))
        return ""

    client = app.test_client()
    for what in ("write", "read"):
        await client.get(f"/{what}")
    return found[1]


@FORMATS
@KINDS
@pytest.mark.parametrize("moment", [FIRST, SECOND], ids=["first", "second"])
async def test_an_hour_that_its_zone_repeats_comes_back_as_that_one(name: str, declared: Any, moment: datetime) -> None:
    again = await stored_again(declared, name, "several", [moment])
    assert again[0] - moment.astimezone(timezone(timedelta())) == timedelta()


@LOSSLESS
@KINDS
@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("at", NAIVE),
        ("several", [NAIVE]),
        ("clock", NAIVE.time()),
        ("undeclared", {"deep": [NAIVE]}),
        ("undeclared", NAIVE.time()),
    ],
)
async def test_fold_without_an_offset_is_refused_by_name(name: str, declared: Any, key: str, value: object) -> None:
    with pytest.raises(SerializationError, match=key):
        await stored_again(declared, name, key, value)


async def test_a_time_with_fold_is_refused_in_tagged_json_too() -> None:
    with pytest.raises(SerializationError, match="clock"):
        await stored_again(Attrs, "tagged-json", "clock", NAIVE.time())


@LOSSLESS
@pytest.mark.parametrize("value", [SECOND, NAIVE], ids=["aware", "naive"])
async def test_undeclared_ones_without_a_schema(name: str, value: datetime) -> None:
    if value is NAIVE:
        with pytest.raises(SerializationError, match="undeclared"):
            await stored_again(None, name, "undeclared", value)
    else:
        assert (await stored_again(None, name, "undeclared", value)).utcoffset() == SECOND.utcoffset()
