"""`GeneratedKeys`: the generated path of a TypedDict."""

from __future__ import annotations

from typing import Any

from msgspec import UNSET
from typing_extensions import override

from typed_sessions.codec.functions import Functions
from typed_sessions.codec.generated import PERMANENT_KEY, TEXT, Changes, Plain, Raws, Read
from typed_sessions.codec.generated_fields import NEVER, GeneratedFields, means_the_same
from typed_sessions.codec.keyed_contents import KeyedContents
from typed_sessions.codec.loaded_from import ReadFrom
from typed_sessions.schema.generated import Unusual

__all__ = ["GeneratedKeys"]


class GeneratedKeys(GeneratedFields):
    """The path of a TypedDict, whose data, a dict, has the undeclared keys, too."""

    @override
    def _defined(self, text: Functions) -> dict[str, str]:
        return {"load": text.load_keys(), "changes": text.changes_of_keys()}

    @override
    def load(self, payload: bytes) -> Read:
        decoded, raws = self._decoded(payload)
        values, made = self._load(decoded)
        if raws is not None:
            self._add_undeclared(values, raws)
        if raws or not self._is_as_written(decoded, payload):
            values = {key: values[key] for key in self.keys(payload)}
        return KeyedContents(self._schema, values), decoded, made, raws

    @override
    def changes(self, contents: KeyedContents[Any], loaded_from: ReadFrom) -> Changes | None:
        if contents.touched is not None and not contents.touched:
            return None
        values, decoded = {**contents.values}, loaded_from.decoded  # threads may store more
        if self._schema.renamed:
            raise Unusual
        changes: Changes | None = self._changes(values, decoded, loaded_from.made)
        if not self._holds_fields_alone(values, decoded) or loaded_from.raws is not None:
            changes = changes or self._nothing_yet(contents, decoded)
            self._add_undeclared_changes(changes, values, decoded, loaded_from.raws or {})
        if changes is None:
            return None
        self._note_order(changes, values)
        changes.contents = contents
        if not (changes.adds or changes.differs or changes.gone or changes.undeclared):
            return None
        if not self._never_alters and not self._holds(decoded):
            raise Unusual  # what has not changed would be written as it came, which is not what a class in it holds
        return changes

    def _holds_fields_alone(self, values: Plain, decoded: Any) -> bool:
        """Return True if no key is undeclared but for `_permanent`, which is as it was read."""
        if not self._known_keys.issuperset(values):
            return False
        return not self._has_flag or values.get(PERMANENT_KEY, UNSET) is decoded._permanent  # noqa: SLF001 -- a key

    def _add_undeclared_changes(self, changes: Changes, values: Plain, decoded: Any, raws: Raws) -> None:
        fields = self._schema.fields
        extras = {key: value for key, value in values.items() if key not in fields}
        changes.undeclared = self._changes_of_undeclared(decoded, raws, extras, by_key=True)

    def _note_order(self, changes: Changes, values: Plain) -> None:
        """Note the order of the keys, if it is not the one in which msgspec writes them."""
        new, is_in_place = changes.new, not (changes.adds or changes.gone or changes.undeclared)
        if not is_in_place or [*values] != [name for name in self._keys if getattr(new, name) is not UNSET]:
            changes.order = dict.fromkeys(values)

    @override
    def all_of(self, contents: KeyedContents[Any]) -> Changes:
        values, nothing = {**contents.values}, self.decoded_nothing
        if not TEXT.issuperset(map(type, values)) or self._schema.renamed:
            raise Unusual
        changes = self._changes(values, nothing, NEVER) or self._nothing_yet(contents, nothing)
        self._add_undeclared_changes(changes, values, nothing, {})
        self._note_order(changes, values)
        changes.contents = contents
        return changes

    @override
    def _holds(self, decoded: Any) -> bool:
        values, made = self._load(decoded)
        return means_the_same(self._changes(values, decoded, made))
