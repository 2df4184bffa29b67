"""Where inside the contents of a session something is wrong, as a path such as `[2].price`."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final, cast

from attrs import frozen

from typed_sessions.schema.narrowing import PLAIN, is_dict, is_sequence, is_set
from typed_sessions.schema.sameness import attribute_names, attribute_of, parts_in_both, same

__all__ = ["MAX_DEPTH", "SOME_KEY", "TYPE_KEY", "VALUE_KEY", "Comparison", "is_deeper", "unwritable_at"]

MAX_DEPTH: Final = 100
"""How deep containers may nest, in payloads that are read and that are written."""

TYPE_KEY: Final = "__type__"
VALUE_KEY: Final = "__value__"
"""The keys of a union's member that is written with its name."""

SOME_KEY: Final = "[...]"
"""Stands for a key in a path: a key may be a visitor's data."""


_CONTAINERS: Final = (dict, list, tuple, set, frozenset)


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
        return same(value, back) or self.lost_at(value, back) is None

    def lost_at(self, value: object, back: object) -> str | None:
        """Return where a value has come back as another one, such as `[2].price`; None if nowhere."""
        if type(value) in PLAIN and type(value) is type(back):
            return None if value == back else ""
        if self.exact_types and type(value) is not type(back):
            return ""
        if is_dict(value) and is_dict(back):
            if value.keys() != back.keys() or (self.exact_types and {*map(type, value)} != {*map(type, back)}):
                return ""
        elif is_sequence(value) and is_sequence(back):
            if len(value) != len(back):
                return ""
        elif type(value) is not type(back) or _attributes(value) is None:
            return None if self._came_back_whole(value, back) else ""
        for key, item, its in parts_in_both(value, back):
            place = self.lost_at(item, its)
            if place is not None:
                return _step(value, key, self.declared) + place
        return None

    def _came_back_whole(self, value: object, back: object) -> bool:
        if self.whole_seconds and isinstance(value, datetime) and isinstance(back, datetime):
            return _second(value) == _second(back)
        if type(value) is not type(back) and isinstance(value, (int, str, datetime)):
            return bool(value == back)  # held as the type of its field: a bool as int, an int as float, a subclass
        if not (self.whole_seconds and is_set(value) and is_set(back)):
            return same(value, back)
        if len(value) != len(back) or (self.exact_types and {*map(type, value)} != {*map(type, back)}):
            return False
        return same(value, back) or {*map(_in_seconds, value)} == {*map(_in_seconds, back)}


def unwritable_at(
    value: object, plain: object, writes: Callable[[object], bool], declared: Collection[str] = ()
) -> str:
    """Return where in a value the part is that cannot be written; `declared` are the keys that can be told."""
    parts = _leaves(
        "", value, plain, declared
    )  # a container with all that is in it takes too long, the deeper it nests
    return next((place for place, part in parts if not writes(part)), "")


def _leaves(place: str, value: object, plain: object, declared: Collection[str]) -> Iterator[tuple[str, object]]:
    """Yield the parts of a plain form that have none themselves, and the keys of its dicts, each with its place."""
    names = _attributes(value)
    held = plain
    if is_dict(held) and held.keys() == {TYPE_KEY, VALUE_KEY}:
        held = held[VALUE_KEY]  # a member of a union that is written with its name
    parts: list[tuple[object, object, object]] = []
    if names is not None and is_dict(held):
        parts = [(name, attribute_of(value, name, None), held[name]) for name in names if name in held]
    elif is_dict(value) and is_dict(held):  # whose keys may be other texts
        parts = [(key, item, its) for (key, item), its in zip(value.items(), held.values(), strict=False)]
    elif is_sequence(value) and is_sequence(held):
        parts = [*parts_in_both(value, held)]
    if not parts:
        yield place, plain
    elif is_dict(plain):
        yield place, dict.fromkeys(plain)
    for key, item, its in parts:
        yield from _leaves(place + _step(value, key, declared), item, its, declared)


def _step(holder: object, key: object, declared: Collection[str]) -> str:
    """Return the step of a path from what holds a part to the part."""
    if is_dict(holder):
        return f"[{key!r}]" if key in declared else SOME_KEY
    return f"[{key}]" if is_sequence(holder) else f".{key}"


def _attributes(value: object) -> tuple[str, ...] | None:
    cls: Any = type(value)
    return attribute_names(cls)


def _in_seconds(value: object) -> object:
    """Return what is equal for values that differ in what a time loses: its zone, and its fraction of a second.

    It has a hash, as all members of a set, so that sets are compared without trying each member with each.
    """
    if isinstance(value, datetime):
        return _second(value)
    if is_sequence(value):
        return tuple(map(_in_seconds, value))
    if is_set(value):
        return frozenset(map(_in_seconds, value))
    if is_dict(value):
        return frozenset((key, _in_seconds(item)) for key, item in value.items())
    names = _attributes(value)
    if names is not None:
        return type(value), tuple(_in_seconds(attribute_of(value, name, None)) for name in names)
    if isinstance(value, Decimal):
        return value.as_tuple()
    if isinstance(value, float):
        return repr(value) if repr(value) in ("nan", "-0.0") else value  # which Python compares otherwise than `same`
    return value


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
    held = [cast("Collection[object]", item) for item in items if isinstance(item, _CONTAINERS)]
    return list({id(container): container for container in held}.values())
