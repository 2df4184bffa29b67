"""How the cost grows: one dimension of a session at a time, all else small."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from math import log
from typing import Any, Final, get_origin

import attrs
from attrs import frozen

from benchmarks.contenders import SECRET_KEY, OnQuart, Ours, OursWithClass, permanent, prove, quart_config
from benchmarks.measure import compare
from benchmarks.payloads import random_text
from benchmarks.rows import ONE_CHANGE, timed
from benchmarks.table import Table

__all__ = ["DIMENSIONS", "Dimension", "Point", "growth_tables"]


@frozen
class Point:
    """A session of one size."""

    contents: dict[str, object]
    types: Mapping[str, Any]
    """Of its fields."""
    fallbacks: int = 0
    """How many earlier keys there are. The cookie is signed with the oldest one."""


@frozen
class Dimension:
    """What grows, and how a session of a size is made."""

    name: str
    sizes: tuple[int, ...]
    point: Callable[[int], Point]


def _bytes(size: int) -> Point:
    return Point({"text": random_text("growth", size)}, {"text": str})


def _fields(size: int) -> Point:
    return Point({f"field_{number}": number + 1 for number in range(size)}, {f"field_{n}": int for n in range(size)})


def _nesting(size: int) -> Point:
    value: object = 1
    field_type: Any = int
    for _ in range(size):
        value, field_type = {"inner": value}, dict[str, field_type]
    return Point({"tree": value}, {"tree": field_type})


def _keys(size: int) -> Point:
    return Point({}, {}, fallbacks=size - 1)


DIMENSIONS: Final = (
    Dimension("payload bytes", (100, 400, 1_600, 6_400, 25_600, 51_200), _bytes),
    Dimension("fields", (1, 4, 16, 64, 256, 1_024), _fields),
    Dimension("nesting", (1, 3, 9, 27, 81), _nesting),
    Dimension("keys in rotation", (1, 2, 4, 8, 16, 32), _keys),
)


def growth_tables(*, seconds: float, dimensions: tuple[Dimension, ...] = DIMENSIONS) -> Iterator[Table]:
    """Yield a table for each dimension: what each size takes, and how that grows from the size before.

    A growth of 0 means that size does not matter, 1 that twice the size takes twice the time, 2 four times.

    Args:
        seconds: how long to measure, in all.
        dimensions: what grows.
    """
    for dimension in dimensions:
        yield _table(dimension, seconds=seconds / len(dimensions))


def _table(dimension: Dimension, *, seconds: float) -> Table:
    found = _microseconds(dimension, seconds=seconds)
    stock, *others = dict.fromkeys(name for name, _ in found)
    rows: list[tuple[str, ...]] = []
    for smaller, size in zip((None, *dimension.sizes), dimension.sizes, strict=False):
        ratios = (f"{found[stock, size] / found[name, size]:.2f}" for name in others)
        growth = (
            _growth(found[name, size] / found[name, smaller], size / smaller) if smaller else "-"
            for name in (stock, *others)
        )
        rows.append((f"{size}", f"{found[stock, size]:.0f}", *ratios, *growth))
    headings = (dimension.name, f"{stock}, us", *others, *(f"growth, {name}" for name in (stock, *others)))
    return Table(f"Growth with {dimension.name}: {ONE_CHANGE}", headings, tuple(rows))


def _growth(times: float, sizes: float) -> str:
    return f"{log(times) / log(sizes):.2f}"


def _microseconds(dimension: Dimension, *, seconds: float) -> dict[tuple[str, int], float]:
    """Return what each contender takes at each size, all compared with the stock interface at the smallest one."""
    contenders = {
        (contender.name, size): contender
        for size in dimension.sizes
        for contender in _contenders(dimension.point(size))
    }
    base = next(iter(contenders.values()))
    works = {key: timed(contender, ONE_CHANGE) for key, contender in contenders.items()}
    found = compare(timed(base, ONE_CHANGE), works, seconds=seconds)
    return {key: found.base_microseconds / ratio.median for key, ratio in found.ratios.items()}


def _contenders(point: Point) -> list[OnQuart]:
    """Return the stock interface and two of ours, with the cookie of a point."""
    contents = permanent({"user_id": 1, **point.contents})
    config = {**quart_config(refresh=False), "MAX_COOKIE_SIZE": 0}
    contenders = [
        OnQuart("Quart", contents, config),
        Ours("no schema", contents, config),
        OursWithClass("attrs", contents, config, schema=_class({"user_id": int, **point.types})),
    ]
    for contender in contenders:
        _rotate(contender, point.fallbacks)
    return contenders


def _class(types: Mapping[str, Any]) -> Any:
    """Return an attrs class whose defaults are empty."""
    fields = {name: attrs.field(factory=get_origin(of) or of, type=of) for name, of in types.items()}
    return attrs.make_class("Growing", fields)


def _rotate(contender: OnQuart, fallbacks: int) -> None:
    """Give a contender the cookie that its application made with the oldest of its keys."""
    oldest, *others = [f"{SECRET_KEY}, {number}" for number in range(fallbacks + 1)]
    contender.app.config["SECRET_KEY"] = oldest
    prove(contender)
    if others:
        contender.app.config.update(SECRET_KEY=others[-1], SECRET_KEY_FALLBACKS=[oldest, *others[:-1]])
