"""`KeyedForm`: the short way of a TypedDict."""

from __future__ import annotations

from typing import Any, cast

from typing_extensions import override

from typed_sessions.codec.compiled.declared_form import DeclaredForm
from typed_sessions.codec.compiled.form import Plain
from typed_sessions.codec.contents import KeyedContents
from typed_sessions.codec.payloads import Lowered, Read

__all__ = ["KeyedForm"]


class KeyedForm(DeclaredForm):
    """The short way of a TypedDict, whose data, a dict, has the undeclared keys, too."""

    @override
    def look(self, read: Read[Any]) -> Read[Any] | Lowered[Any] | None:
        contents = cast("KeyedContents[Any]", read.contents)  # those that it has made
        if contents.touched is not None and not contents.touched:
            return read
        if self._schema.renamed:
            return None
        values, fields = {**contents.values}, self._schema.fields  # threads may store more
        unproven: Plain = {}
        changes = self._changes(values, read.wire, unproven)
        undeclared = {key: value for key, value in values.items() if key not in fields}
        changes |= self._changed_extras(read, undeclared, by_key=True)
        return self._redrafted(read, changes, unproven, dict.fromkeys(values)) if changes else read

    @override
    def keeps(self, payload: bytes) -> bool:
        read = self.read(payload)
        return self._changes(cast("KeyedContents[Any]", read.contents).values, read.wire, {}) == {}
