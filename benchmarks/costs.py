"""What a visitor can make a session cost: contents of all kinds, near the limit of a cookie, beside Quart's own."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import partial
from itertools import product
from typing import Any, Final, Literal, NotRequired, TypeAlias, TypedDict, cast, get_args, get_origin
from uuid import UUID

import attrs
import msgspec
from attrs import frozen

from benchmarks.contenders import OnQuart, Ours, finished, quart_config
from benchmarks.table import Table
from typed_sessions.sealing.signed import unverified
from typed_sessions.serializers.base import BUILT_IN, SerializerName

__all__ = ["KINDS", "SCHEMAS", "costs_table"]

_SIZE: Final = 48 * 1024
"""Of a payload, in bytes: near the 64 KiB that a cookie may inflate to."""

_SAMPLE: Final = 500
"""So many items tell how many there is room for."""

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
    "list[Decimal]": (list[Decimal], lambda size: [Decimal(n) / 8 for n in range(size)]),
    "list[datetime]": (list[datetime], lambda size: [_moment(n) for n in range(size)]),
    "list of a class": (list[Point], lambda size: [Point(n, f"{n}") for n in range(size)]),
    "list[object], dicts": (list[object], lambda size: [{"number": n} for n in range(size)]),
    "set of datetimes": (set[datetime], lambda size: {_moment(n) for n in range(size)}),
    "set[Decimal]": (set[Decimal], lambda size: {Decimal(n) / 8 for n in range(size)}),
    "set[frozenset[str]]": (set[frozenset[str]], lambda size: {frozenset({f"{n}", "x"}) for n in range(size)}),
    "set[tuple[int, str]]": (set[tuple[int, str]], lambda size: {(n, "a") for n in range(size)}),
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


def _attrs_class(held: Any, **of_number: Any) -> Any:
    number = attrs.field(default=0, type=int, **of_number)
    return attrs.make_class("Holding", {"n": number, "held": attrs.field(factory=get_origin(held), type=held)})


def _struct(held: Any) -> Any:
    default = msgspec.field(default_factory=get_origin(held))
    return msgspec.defstruct("Holding", [("n", int, 0), ("held", held, default)])


def _typed_dict(held: Any) -> Any:
    make: Any = TypedDict  # which mypy takes for a form of its own alone
    return make("Holding", {"n": NotRequired[int], "held": NotRequired[held]})


SCHEMAS: Final[Mapping[str, Callable[[Any], Any]]] = {
    "attrs": _attrs_class,
    "attrs, validated": partial(_attrs_class, validator=attrs.validators.instance_of(int)),
    "Struct": _struct,
    "TypedDict": _typed_dict,
}
"""What makes a schema with a field of a type."""


def costs_table(
    *,
    repeats: int = 9,
    kinds: Mapping[str, tuple[Any, Callable[[int], Any]]] = KINDS,
    schemas: Mapping[str, Callable[[Any], Any]] = SCHEMAS,
) -> Table:
    """Return how many times as long as Quart's interface a session takes at most, by its contents and what is done.

    The best of some runs counts, in CPU time, beside the best of as many of Quart's in turn with them; of all schemas
    and formats, the dearest. What is put into the session is made before. Quart's interface has the same contents in
    tagged JSON. What only reads is compared with reading; of a misfit, with a change: Quart's interface, which knows no
    types, has nothing to look for there.

    Args:
        repeats: how many runs there are of each.
        kinds: the type of a field, and what makes so many items of it.
        schemas: what makes schemas with such a field.
    """
    logging.disable(logging.WARNING)  # what is reset is reported, at each request
    try:
        rows = [(kind, *_figures(*declared, [*schemas.values()], repeats)) for kind, declared in kinds.items()]
    finally:
        logging.disable(logging.NOTSET)
    headings = ("times Quart's time, at most", "read", "another field", "an item", "the whole value")
    misfits = ("misfit: read", "misfit: another field")
    title = f"What contents of {_SIZE} bytes cost, in any format and kind of schema: open + change + save"
    return Table(title, (*headings, *misfits), tuple(rows))


def _figures(
    declared: Any, make: Callable[[int], Any], schemas: list[Callable[[Any], Any]], repeats: int
) -> tuple[str, ...]:
    config = {**quart_config(refresh=False), "MAX_COOKIE_SIZE": 0}
    stock = OnQuart("Quart", {}, config)
    sample = Ours("attrs", {}, config, schema=_attrs_class(declared))
    size = _SAMPLE * _SIZE // len(_payload(_cookie(sample, 1, make(_SAMPLE))))
    value, shorter = make(size), make(size - 1)
    tagged = _cookie(sample, 1, value)
    stock.bring(tagged)
    worst: dict[str, float] = {}
    for make_schema, name in product(schemas, get_args(SerializerName)):
        ours = Ours("ours", {}, {**config, "SESSION_SERIALIZER": name}, schema=make_schema(declared))
        cookie = _cookie(ours, 1, value)
        paths: list[tuple[str, dict[str, str], Change, Change]] = [
            ("read", cookie, _read, _read),
            ("another field", cookie, _count, _count),
            ("an item", cookie, _change_an_item, _count),
            ("the whole value", cookie, partial(_put, shorter), _count),
        ]
        for misfit in _misfits(cookie, name, config):
            paths += [("misfit: read", misfit, _read, _count), ("misfit: another field", misfit, _count, _count)]
        for path, brought, change, stocks_change in paths:
            ours.bring(brought)
            runs = [(_time(ours, change), _time(stock, stocks_change)) for _ in range(repeats)]
            best, stocks_best = map(min, zip(*runs, strict=True))
            worst[path] = max(worst.get(path, 0.0), best / stocks_best)
    return tuple(f"{ratio:.2f}" for ratio in worst.values())


def _misfits(cookie: Mapping[str, str], name: SerializerName, config: Mapping[str, object]) -> list[dict[str, str]]:
    """Return cookies of contents that another release wrote: as a tuple, and with one item of another type."""
    serializer: Any = BUILT_IN[name]()
    payload = _payload(cookie)
    stored = serializer.loads(payload.decode() if name == "tagged-json" else payload)
    writer = Ours("no schema", {}, {**config, "SESSION_SERIALIZER": name})
    held, wrong = stored["held"], {"another": [None]}
    misfits = [{**held, "another": wrong}] if isinstance(held, dict) else [[*held, wrong], tuple(held)]
    return [_cookie(writer, stored["n"], misfit) for misfit in misfits]


def _cookie(contender: OnQuart, number: object, held: object) -> dict[str, str]:
    def fill(session: Any) -> None:
        session["n"], session["held"] = number, held

    with contender.context():
        contender.bring({})
        return contender.sent(finished(_request(contender, fill)))


def _payload(cookie: Mapping[str, str]) -> bytes:
    return cast("bytes", unverified(cookie["session"]).payload)


async def _request(contender: OnQuart, change: Change) -> Any:
    response = contender.response()
    session = await contender.open()
    change(session)
    await contender.save(session, response)
    return response


def _time(contender: OnQuart, change: Change) -> int:
    """Return how long a request takes, in nanoseconds of CPU time."""
    with contender.context():
        start = time.thread_time_ns()
        finished(_request(contender, change))
        return time.thread_time_ns() - start


def _read(session: Any) -> object:
    return session.get("n")


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
