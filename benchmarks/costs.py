"""What a visitor can make a session cost: contents of all kinds, near the limit of a cookie, beside Quart's own."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Any, Final, Literal, TypeAlias, TypedDict, cast, get_origin
from uuid import UUID

import attrs
from attrs import frozen

from benchmarks.contenders import OnQuart, Ours, finished, quart_config
from benchmarks.table import Table

__all__ = ["KINDS", "costs_table"]

_SIZE: Final = 48 * 1024
"""Of a payload, in bytes: near the 64 KiB that a cookie may inflate to."""

_SAMPLE: Final = 500
"""So many items tell how many there is room for."""

_MICROSECONDS: Final = 1_000

Change: TypeAlias = Callable[[Any], object]


@frozen
class Point:
    x: int = 0
    y: str = ""


@frozen
class Label:
    text: str = ""


class Item(TypedDict, total=False):
    number: int
    name: str


def _moment(number: int) -> datetime:
    return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=number, microseconds=number % 997 + 1)


KINDS: Final[Mapping[str, tuple[Any, Callable[[int], Any]]]] = {
    "list[str]": (list[str], lambda size: [f"word {n}" for n in range(size)]),
    "set of datetimes": (set[datetime], lambda size: {_moment(n) for n in range(size)}),
    "set[Decimal]": (set[Decimal], lambda size: {Decimal(n) / 8 for n in range(size)}),
    "set[frozenset[str]]": (set[frozenset[str]], lambda size: {frozenset({f"{n}", "x"}) for n in range(size)}),
    "set of a class": (set[Point], lambda size: {Point(n, f"{n}") for n in range(size)}),
    "dict[int, str]": (dict[int, str], lambda size: {n: f"{n}" for n in range(size)}),
    "dict[UUID, date]": (dict[UUID, date], lambda size: {UUID(int=n << 64): date(2026, 1, 1) for n in range(size)}),
    "dict[str, object]": (dict[str, object], lambda size: {f"{n}": [n, "a"] for n in range(size)}),
    "list[int | str | list]": (
        list[int | str | list[str]],
        lambda size: [n if n % 2 else [f"{n}"] for n in range(size)],
    ),
    "class beside dict": (
        list[Point | dict[str, str]],
        lambda size: [Point(n, "a") if n % 2 else {"x": f"{n}"} for n in range(size)],
    ),
    "two classes": (list[Point | Label], lambda size: [Point(n, "a") if n % 2 else Label(f"{n}") for n in range(size)]),
    "TypedDicts or None": (list[Item | None], lambda size: [Item(number=n, name="a") for n in range(size)]),
    "Literals": (list[Literal["a", "b", 1]], lambda size: ["a" if n % 2 else 1 for n in range(size)]),
    "tiny floats": (list[float], lambda size: [n * 1e-9 for n in range(size)]),
}


def costs_table(*, repeats: int = 7, kinds: Mapping[str, tuple[Any, Callable[[int], Any]]] = KINDS) -> Table:
    """Return how many times as long as Quart's interface a session takes, for each kind of contents and of change.

    The best of some runs counts, in CPU time. What is put into the session is made before.

    Args:
        repeats: how many runs there are.
        kinds: the type of a field, and what makes so many items of it.
    """
    rows = [(kind, *_figures(*declared, repeats)) for kind, declared in kinds.items()]
    headings = ("times Quart's time", "bytes", "another field", "an item", "the whole value")
    return Table(f"What contents of {_SIZE} bytes cost: open + change + save", headings, tuple(rows))


def _figures(declared: Any, make: Callable[[int], Any], repeats: int) -> tuple[str, ...]:
    config = {**quart_config(refresh=False), "MAX_COOKIE_SIZE": 0}
    ours, stock = Ours("attrs", {}, config, schema=_schema(declared)), OnQuart("Quart", {}, config)
    size = _SAMPLE * _SIZE // len(_payload(_cookie(ours, make(_SAMPLE))))
    cookie = _cookie(ours, make(size))
    for contender in (ours, stock):
        contender.bring(cookie)
    base = _best(stock, _count, repeats)
    changes: tuple[Change, ...] = (_count, _change_an_item, partial(_put, make(size - 1)))
    return (str(len(_payload(cookie))), *(f"{_best(ours, change, repeats) / base:.2f}" for change in changes))


def _schema(declared: Any) -> Any:
    held = attrs.field(factory=get_origin(declared), type=declared)
    return attrs.make_class("Holding", {"n": attrs.field(default=0, type=int), "held": held})


def _cookie(contender: OnQuart, held: object) -> dict[str, str]:
    def fill(session: Any) -> None:
        session["n"], session["held"] = 1, held

    with contender.context():
        contender.bring({})
        return contender.sent(finished(_request(contender, fill)))


def _payload(cookie: Mapping[str, str]) -> bytes:
    from typed_sessions.sealing import unverified_payload  # noqa: PLC0415 -- for its size alone

    return cast("bytes", unverified_payload(cookie["session"]))


async def _request(contender: OnQuart, change: Change) -> Any:
    response = contender.response()
    session = await contender.open()
    change(session)
    await contender.save(session, response)
    return response


def _best(contender: OnQuart, change: Change, repeats: int) -> float:
    """Return the shortest time of some runs, in microseconds of CPU time."""
    best = float("inf")
    with contender.context():
        for _ in range(repeats):
            start = time.thread_time_ns()
            finished(_request(contender, change))
            best = min(best, (time.thread_time_ns() - start) / _MICROSECONDS)
    return best


def _count(session: Any) -> None:
    session["n"] = session.get("n", 0) + 1


def _change_an_item(session: Any) -> None:
    held = session["held"]
    if isinstance(held, list):
        held.append(held[-1])
    elif isinstance(held, set):
        held.discard(next(iter(held)))
    else:
        held.pop(next(iter(held)))


def _put(whole: object, session: Any) -> None:
    session["held"] = whole
