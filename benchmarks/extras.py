"""What undeclared keys cost: the same session with and without the token and the two flashes of a form."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from msgspec import json

from benchmarks.contenders import SERIALIZERS, Contender, Floor, OnQuart, OursWithClass, permanent, prove, quart_config
from benchmarks.measure import compare
from benchmarks.payloads import SIZES, Size, declared_values, plain_values, random_text, schema_class, values
from benchmarks.rows import ONE_CHANGE, READ_ONLY, timed
from benchmarks.table import Table
from typed_sessions.serializers.base import SerializerName

__all__ = ["extras_table"]

_EXTRAS: Final[Mapping[str, object]] = {
    "_csrf_token": random_text("extra", 40),
    "_flashes": [("message", "Your cart was updated."), ("error", "One item is out of stock.")],
}


def extras_table(*, seconds: float, sizes: tuple[Size, ...] = SIZES) -> Table:
    """Return how much longer a request takes with undeclared keys in its session, for Quart's and an attrs class.

    Args:
        seconds: how long to measure, in all.
        sizes: of what the sessions hold beside.

    Raises:
        BrokenContender: a session does not do its work.
    """
    pairs = [(row, size) for row in (ONE_CHANGE, READ_ONLY) for size in sizes]
    share = seconds / len(pairs) / (2 + len(SERIALIZERS))
    rows = [(f"{row}, {size}", *(_more(*each, row, share) for each in _contenders(size))) for row, size in pairs]
    return Table("A token and two flashes more", ("", "Quart", *SERIALIZERS, "floor"), tuple(rows))


def _contenders(size: Size) -> list[tuple[Contender, Contender]]:
    """Return each contender without undeclared keys, and with them."""
    config = quart_config(refresh=False)
    stock, declared = permanent(values(size)), permanent(declared_values("attrs", size))
    pairs: list[tuple[Contender, Contender]] = [
        (OnQuart("Quart", stock, config), OnQuart("Quart", {**stock, **_EXTRAS}, config))
    ]
    for serializer in SERIALIZERS:
        plain, extended = (_ours(contents, size, serializer) for contents in (declared, {**declared, **_EXTRAS}))
        pairs.append((plain, extended))
    bare = permanent(plain_values(size))
    return [*pairs, (Floor("floor", bare), Floor("floor", {**bare, **json.decode(json.encode(_EXTRAS))}))]


def _ours(contents: dict[str, Any], size: Size, serializer: SerializerName) -> OnQuart:
    schema = schema_class("attrs", size)
    return OursWithClass("attrs", contents, quart_config(refresh=False), schema=schema, serializer=serializer)


def _more(plain: Contender, extended: Contender, row: str, seconds: float) -> str:
    for contender in (plain, extended):
        prove(contender)
    found = compare(timed(plain, row), {"extended": timed(extended, row)}, seconds=seconds)
    return f"{1 / found.ratios['extended'].median - 1:+.0%}"
