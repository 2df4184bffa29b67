"""Where inside the contents of a session something is wrong, as a path such as `[2].price`."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from datetime import UTC, datetime
from typing import Any, Final

from attrs import frozen

from typed_sessions.narrowing import is_dict, is_sequence, is_set
from typed_sessions.sameness import attribute_names, same

__all__ = ["MAX_DEPTH", "SOME_KEY", "TYPE_KEY", "VALUE_KEY", "Comparison", "is_deeper", "unwritable_at"]

MAX_DEPTH: Final = 100
"""How deep containers may nest, in payloads that are read and that are written."""

TYPE_KEY: Final = "__type__"
VALUE_KEY: Final = "__value__"
"""The keys of a union's member that is written with its name."""

SOME_KEY: Final = "[...]"
"""Stands for a key in a path: a key may be a visitor's data."""


@frozen
class Comparison:
    """How what was written is compared with what came back."""

    whole_seconds: bool
    """True takes an instant for the same in UTC and without its fraction of a second, as tagged JSON keeps it."""
    declared: Collection[str] = ()
    """Keys of dicts that a TypedDict declares, and that can therefore be told."""
    exact_types: bool = False
    """False takes what a field holds as its own type for the same: a `bool` as an `int`, an `int` as a `float`."""

    def came_back(self, value: object, back: object) -> bool:
        """Return True if what was written has come back."""
        return self.lost_at(value, back) is None

    def lost_at(self, value: object, back: object) -> str | None:
        """Return where a value has come back as another one, such as `[2].price`; None if nowhere."""
        if self.exact_types and type(value) is not type(back):
            return ""
        if is_dict(value) and is_dict(back):
            if not _same_keys(value, back, exact=self.exact_types):
                return ""
            return self._first_loss((_step(key, self.declared), item, back[key]) for key, item in value.items())
        if is_sequence(value) and is_sequence(back):
            if len(value) != len(back):
                return ""
            pairs = enumerate(zip(value, back, strict=True))
            return self._first_loss((f"[{index}]", one, other) for index, (one, other) in pairs)
        if self.whole_seconds and is_set(value) and is_set(back) and not same(value, back):
            return None if self._same_in_seconds(value, back) else ""
        cls: Any = type(value)
        names = attribute_names(cls)
        if names is not None and cls is type(back):
            return self._first_loss((f".{n}", getattr(value, n, None), getattr(back, n, None)) for n in names)
        return None if self._scalar_came_back(value, back) else ""

    def _first_loss(self, parts: Iterable[tuple[str, object, object]]) -> str | None:
        for step, value, back in parts:
            place = self.lost_at(value, back)
            if place is not None:
                return step + place
        return None

    def _same_in_seconds(self, value: set[object] | frozenset[object], back: set[object] | frozenset[object]) -> bool:
        return len(value) == len(back) and all(any(self.came_back(item, other) for other in back) for item in value)

    def _scalar_came_back(self, value: object, back: object) -> bool:
        if self.whole_seconds and isinstance(value, datetime) and isinstance(back, datetime):
            return _second(value) == _second(back)
        if type(value) is not type(back) and isinstance(value, (int, str, datetime)):
            return bool(value == back)  # held as the type of its field: a bool as int, an int as float, a subclass
        return same(value, back)


def unwritable_at(
    value: object, plain: object, writes: Callable[[object], bool], declared: Collection[str] = ()
) -> str:
    """Return where in a value the part is that cannot be written.

    Args:
        value: what cannot be written.
        plain: its plain form.
        writes: whether a plain form can be written.
        declared: keys of dicts that a TypedDict declares, and that can therefore be told.
    """
    for step, item, plain_item in _plain_parts(value, plain, declared):
        if not writes(plain_item):
            return step + unwritable_at(item, plain_item, writes, declared)
    return ""


def _plain_parts(value: object, plain: object, declared: Collection[str]) -> Iterator[tuple[str, object, object]]:
    """Return the parts of a value, each with its step and its plain form."""
    if is_dict(plain) and plain.keys() == {TYPE_KEY, VALUE_KEY}:
        plain = plain[VALUE_KEY]  # a member of a union that is written with its name
    cls: Any = type(value)
    names = attribute_names(cls)
    if names is not None and is_dict(plain):
        for name in names:
            if name in plain:
                yield f".{name}", getattr(value, name, None), plain[name]
    elif is_sequence(value) and is_sequence(plain):
        for index, (item, plain_item) in enumerate(zip(value, plain, strict=False)):
            yield f"[{index}]", item, plain_item
    elif is_dict(value) and is_dict(plain):
        for (key, item), plain_item in zip(value.items(), plain.values(), strict=False):
            yield _step(key, declared), item, plain_item


def _step(key: object, declared: Collection[str]) -> str:
    return f"[{key!r}]" if key in declared else SOME_KEY


def _same_keys(one: dict[object, object], other: dict[object, object], *, exact: bool) -> bool:
    return one.keys() == other.keys() and not (exact and {*map(type, one)} != {*map(type, other)})


def _second(moment: datetime) -> datetime:
    aware = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    return aware.replace(microsecond=0)


def is_deeper(value: object, limit: int) -> bool:
    """Return True if containers nest deeper than a limit.

    Goes by levels, and looks at each container of a level once, however often it is held there.
    """
    level = _containers([value])
    for _ in range(limit):
        if not level:
            return False
        level = _containers([item for held in level for item in (held.values() if is_dict(held) else held)])
    return bool(level)


def _containers(items: Iterable[object]) -> list[Collection[object]]:
    return list({id(item): item for item in items if is_dict(item) or is_sequence(item) or is_set(item)}.values())
