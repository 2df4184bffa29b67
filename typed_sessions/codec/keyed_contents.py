"""`KeyedContents`: the contents of a TypedDict, or of no schema."""

from __future__ import annotations

import copy
from collections import OrderedDict
from collections.abc import Collection, Iterator, Mapping
from typing import Any, Generic, Self, cast

from typing_extensions import TypeVar

from typed_sessions.codec.loaded_from import LoadedFrom
from typed_sessions.schema.narrowing import IMMUTABLE
from typed_sessions.schema.schema import Schema
from typed_sessions.schema.values import Value

__all__ = ["KeyedContents"]

S = TypeVar("S", default=dict[str, object])


class KeyedContents(Value, Generic[S]):
    """Contents of a TypedDict, or of no schema: the live data is a dict, and all of it is stored."""

    schema: Schema[S]
    values: dict[str, Any]
    """The live data. Who takes it from here changes nothing."""
    touched: set[str] | None = set()  # noqa: RUF012 -- each instance has its own
    """The keys whose values may have changed, by key or because somebody has them; None for all."""
    loaded_from: LoadedFrom | None = None

    @property
    def data(self) -> S:
        self.touched = None
        return cast("S", self.values)  # S is a TypedDict, or dict[str, object]

    def keys(self) -> list[str]:
        self._drop_superseded()
        return list(self.values)

    def stored(self) -> dict[str, object]:
        self._drop_superseded()
        self.touched = None
        return {**self.values}

    def shown(self) -> dict[str, object]:
        self._drop_superseded()
        return {**self.values}

    def __contains__(self, key: object) -> bool:
        self._drop_superseded()
        return key in self.values

    def __iter__(self) -> Iterator[str]:
        return iter(self.keys())

    def get(self, key: str, default: object = None) -> object:
        return self.read(key) if key in self else default

    def read(self, key: str) -> object:
        self._drop_superseded()
        value = self.values[key]
        if type(value) not in IMMUTABLE:
            self._touch(key)
        return value

    def _touch(self, key: str) -> None:
        touched = self.touched  # which another thread may make None
        if touched is not None:
            touched.add(key)

    def _drop_superseded(self) -> None:
        if not self.schema.renamed:
            return
        for former in self.schema.superseded(self.values, self.values):
            self.values.pop(former, None)

    def store(self, key: str, value: object) -> None:
        if type(self.values) is not dict:
            self.update({key: value})
            return
        if key in self.schema.fields:
            value = self.schema.validate(key, value)
        self.values[key] = value
        self._touch(key)

    def update(self, values: Mapping[str, object]) -> None:
        schema, live = self.schema, self.values
        validated = {
            key: schema.validate(key, value) if key in schema.fields else value for key, value in values.items()
        }
        if type(live) is dict:
            live.update(validated)
        else:
            _update_or_restore(live, validated)
        for key in validated:
            self._touch(key)

    def remove(self, key: str) -> None:
        del self.values[key]
        self._touch(key)

    def clear(self) -> None:
        self.touched = None
        self.values.clear()

    def replace(self, data: object) -> None:
        self.touched = None
        self.values = cast("dict[str, object]", self.schema.adopt(data))

    def take(self, other: Self, keys: Collection[str]) -> None:
        for key in keys:
            if key in other.values:
                self.values[key] = other.values[key]
            else:
                self.values.pop(key, None)
            self._touch(key)

    def copied(self, memo: dict[int, Any] | None = None) -> KeyedContents[S]:
        values = {**self.values} if memo is None else copy.deepcopy(self.values, memo)
        return KeyedContents(self.schema, values, None)

    def declares(self, key: str) -> bool:
        return self.schema.open or key in self.schema.fields


def _update_or_restore(values: dict[str, Any], more: Mapping[str, object]) -> None:
    """Store values in a dict of a class of the user's, which may refuse any of them: then it is as it was."""
    base: Any = OrderedDict if isinstance(values, OrderedDict) else dict
    former = list(base.items(values))
    try:
        for key, value in more.items():
            values[key] = value  # noqa: PERF403 -- the class's own way, one by one
    except BaseException:
        base.clear(values)
        for key, value in former:
            base.__setitem__(values, key, value)
        raise
