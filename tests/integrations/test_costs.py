"""What a session costs grows as what it holds, whatever a visitor puts there: calls are counted, not time."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from functools import partial
from types import FrameType
from typing import Any, Literal, TypedDict
from uuid import UUID

import attrs
import pytest
from attrs import Factory, define, frozen
from quart import Quart

from typed_sessions.errors import SerializationError
from typed_sessions.quart import Sessions

SMALL, FACTOR = 40, 4


@frozen
class Point:
    x: int = 0
    at: datetime | None = None


@define
class Node:
    kids: list[Node | int] | list[Node | str] = Factory(list["Node | int"])


class Line(TypedDict, total=False):
    sku: str
    count: int


def moment(number: int) -> datetime:
    return datetime(2026, 1, 1, microsecond=1, tzinfo=UTC) + timedelta(seconds=number)


CONTENTS: dict[str, tuple[Any, Callable[[int], Any]]] = {
    "moments": (set[datetime], moment),
    "frozen moments": (frozenset[datetime], moment),
    "times": (set[time], lambda n: moment(n).timetz()),
    "tuples of moments": (set[tuple[datetime, int]], lambda n: (moment(n), n)),
    "classes with moments": (set[Point], lambda n: Point(n, moment(n))),
    "sets of moments": (set[frozenset[datetime]], lambda n: frozenset({moment(n), moment(n + 1)})),
    "identifiers": (set[UUID], lambda n: UUID(int=n)),
    "numbers": (set[Decimal], lambda n: Decimal(n) / 8),
    "texts or numbers": (set[str | int], lambda n: f"{n:04}" if n % 2 else n),
    "classes or dicts": (list[Point | dict[str, int]], lambda n: Point(n) if n % 2 else {"x": n}),
    "lists or dicts": (list[list[int] | dict[str, int] | None], lambda n: [n] if n % 2 else {"x": n}),
    "lists of two types": (list[list[int] | list[str]], lambda n: [n] if n % 2 else [f"{n}"]),
    "typeddicts": (list[Line | None], lambda n: {"sku": f"{n:04}", "count": n}),
    "anything": (list[object], lambda n: [n, f"{n:04}"]),
    "choices": (list[Literal["a", 1]], lambda n: "a" if n % 2 else 1),
}


def app_of(annotation: Any, serializer: Any) -> Quart:
    app = Quart(__name__)
    app.secret_key = "a secret key that is long enough"
    app.config.update(SESSION_SERIALIZER=serializer, MAX_COOKIE_SIZE=0)
    if annotation is None:
        Sessions(app=app)
        return app
    made = {"held": attrs.field(type=annotation | None, default=None), "visits": attrs.field(type=int, default=0)}
    Sessions[Any](attrs.make_class("Visitor", made), app)
    return app


def container(annotation: Any) -> Any:
    return annotation.__origin__


def calls_of(work: Callable[[], object]) -> int:
    """Return how many functions are called, those of C included."""
    count = 0

    def note(_frame: FrameType, event: str, _argument: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(note)
    try:
        work()
    finally:
        sys.setprofile(None)
    return count


def finished(work: Any) -> None:
    """Run a coroutine that waits for nothing."""
    with pytest.raises(StopIteration):
        work.send(None)


async def counted(app: Quart, value: Any) -> list[int]:
    """Return the calls of a request that stores a value, one that changes something else, and one that changes it."""
    client = app.test_client()

    async def visit(change: Callable[[Any], None]) -> None:
        async with client.session_transaction() as opened:
            change(opened)

    def add(opened: Any) -> None:
        held = opened["held"]
        opened["held"] = type(held)([*held][1:])

    changes = (lambda opened: opened.update(held=value), lambda opened: opened.update(visits=1), add)
    return [calls_of(partial(finished, visit(change))) for change in changes]


@pytest.mark.parametrize("serializer", ["tagged-json", "msgspec-json"])
@pytest.mark.parametrize("name", CONTENTS)
async def test_what_a_visitor_holds_costs_what_it_is_large(name: str, serializer: str) -> None:
    annotation, item = CONTENTS[name]
    app = app_of(annotation, serializer)
    _, few, many = [  # the first time costs more, whatever it is
        await counted(app, container(annotation)(map(item, range(size)))) for size in (SMALL, SMALL, SMALL * FACTOR)
    ]
    for once, times in zip(few, many, strict=True):
        assert times < once * (FACTOR + 1)


@pytest.mark.parametrize("serializer", ["tagged-json", "msgspec-json"])
async def test_what_nests_in_unions_costs_what_it_is_deep(serializer: str) -> None:
    app = app_of(Node, serializer)
    _, few, many = [
        calls_of(partial(finished, stored(app.test_client(), nested(depth)))) for depth in (5, 5, 5 * FACTOR)
    ]
    assert many < few * (FACTOR + 1)


def nested(depth: int) -> Node:
    node = Node()
    for _ in range(depth):
        kids: list[Node | str] = [node, "x"]
        node = Node(kids)  # which only the last item tells from the other list
    return node


async def stored(client: Any, value: object) -> None:
    async with client.session_transaction() as opened:
        opened["held"] = value


class Measured:
    """JSON that adds up what it is given to write."""

    name = "measured"

    def __init__(self) -> None:
        self.given = 0

    def dumps(self, value: dict[str, object], /) -> str:
        self.given += len(repr(value))
        return json.dumps(value)

    def loads(self, payload: str, /) -> object:
        return json.loads(payload)


@pytest.mark.parametrize("declared", [list[object] | dict[str, object], None], ids=["field", "no schema"])
async def test_what_cannot_be_written_is_found_without_writing_it_at_each_depth(declared: Any) -> None:
    serializer = Measured()
    app = app_of(declared, serializer)
    value: list[object] = [b"which JSON has not" if declared is None else {"x": b""}, *range(2000)]
    for _ in range(40):
        value = ["sibling", value]
    place = r"(\[1\])+\[0\]"
    serializer.given = 0
    with pytest.raises(SerializationError, match=f"held{place}"):
        await stored(app.test_client(), value)
    assert serializer.given < 6 * len(repr(value))


async def test_what_does_not_fit_any_more_and_is_only_read_is_written_twice_at_most() -> None:
    """As it is now, and as it was loaded, to see that nothing has changed."""
    serializer = Measured()
    client = app_of(str, serializer).test_client()
    async with client.session_transaction() as opened:
        opened.update(held="text", others=[*range(2000)])
    later = app_of(int, serializer).test_client()
    later.cookie_jar = client.cookie_jar
    serializer.given = 0
    async with later.session_transaction() as opened:
        assert list(opened) == ["others"]
        size = len(repr(dict(opened)))
    assert size <= serializer.given < 2.5 * size
