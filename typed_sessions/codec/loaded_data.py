"""`LoadedData` and `LoadedKeys`: the data of a payload, while nobody has asked more of a session than that."""

from __future__ import annotations

from collections.abc import Mapping
from threading import Lock
from typing import Any, Final, Generic

from msgspec import UNSET, Raw
from typing_extensions import TypeVar

from typed_sessions.codec.keyed_contents import KeyedContents
from typed_sessions.schema.narrowing import PLAIN
from typed_sessions.schema.sameness import same
from typed_sessions.schema.schema import Schema
from typed_sessions.schema.values import Value

__all__ = ["LoadedData", "LoadedKeys"]

S = TypeVar("S", default=dict[str, object])


class Loading(Value):
    """What data was read from, and what was sent of it."""

    source: bytes
    """The payload."""
    decoded: Any
    made: tuple[object, ...]
    raws: Mapping[str, Raw] | None
    """The undeclared keys as they came, but for `_permanent`; None if there are none."""
    sealed: str
    """The sealed text that was opened."""
    written: bytes = b""
    """The payload that was saved, if one was: what has changed until then is known from it."""
    age: int = 0
    """How many seconds ago it was sealed, when it was opened."""
    sent: str | None = None
    """The same as it was sealed, and sent with the response."""


class LoadedData(Loading, Generic[S], kw_only=True):
    """The data of a payload, and its undeclared keys. `Contents` are made of them once somebody asks for more."""

    schema: Schema[S]
    data: S
    permanent: bool
    """True if the payload says `_permanent`, which is no field."""
    extras: dict[str, Any]
    """The undeclared keys, but for `_permanent`."""
    seen: dict[str, None] | None = None
    """The fields that were seen by key, and held another value than their default; None if none was."""

    def read(self, key: str) -> object:
        """Return the value of a field that is stored for certain; UNSET where that takes more to tell."""
        field = self.schema.fields.get(key)
        if field is None:
            value = self.extras.get(key, UNSET)
            return value if type(value) in PLAIN else UNSET
        value = getattr(self.data, key, UNSET)
        if value is UNSET or field.is_default(value):
            return UNSET
        seen = self.seen
        if seen is None:
            with _seeing:
                if self.seen is None:
                    self.seen = {}
                seen = self.seen
        seen[key] = None
        return value

    def store(self, key: str, value: object) -> bool:
        """Set a field that is stored, and stays stored, in its place. False, with nothing done, where it takes more.

        Raises:
            FieldTypeError: the field's declared type does not allow the value.
        """
        schema = self.schema
        if not schema.assigns_plainly or key not in schema.fields:
            return False
        if self.read(key) is UNSET or getattr(self.decoded, key) is UNSET:
            return False
        validated = schema.validate(key, value)
        if schema.fields[key].is_default(validated):
            return False
        setattr(self.data, key, validated)
        return True

    def shown(self) -> dict[str, object] | None:
        """Return what is stored, in any order, for who changes nothing that it holds; None where that takes more."""
        schema = self.schema
        if schema.varying or schema.renamed:
            return None
        try:
            shown = schema.non_defaults(self.data)
        except AttributeError:  # the program deleted one
            return None
        for name, field in schema.fields.items():
            came = UNSET if name in shown else getattr(self.decoded, name)
            if came is UNSET:
                continue
            if type(came) not in PLAIN or not same(came, field.default) or (self.seen and name in self.seen):
                return None  # whether the default came, or another value before it
            shown[name] = getattr(self.data, name)
        return shown | self.extras


class LoadedKeys(Loading, Generic[S], kw_only=True):
    """The same of a TypedDict, or without a schema: the data is a dict, and all of it is stored."""

    contents: KeyedContents[S]

    @property
    def data(self) -> S:
        """The live data."""
        return self.contents.data

    @property
    def permanent(self) -> bool:
        """True if the contents say `_permanent`."""
        return bool(self.contents.values.get("_permanent"))

    def read(self, key: str) -> object:
        """Return the value under a key; UNSET if there is none."""
        return self.contents.read(key) if key in self.contents.values else UNSET

    def shown(self) -> dict[str, object]:
        """Return what is stored, for who changes nothing that it holds."""
        return self.contents.shown()

    def store(self, key: str, value: object) -> bool:
        """Store a value under a key. False, with nothing done, where it takes more to tell whether that may be.

        Raises:
            FieldTypeError: the key's declared type does not allow the value.
        """
        contents = self.contents
        if not contents.declares(key):
            return False
        contents.store(key, value)
        return True


_seeing: Final = Lock()
"""Held for a moment where a session is first used by key, so that threads note what they see in one place."""
