"""`GeneratedFields`: what the generated paths of classes and of TypedDicts have in common, and `GeneratedKeys`."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from itertools import filterfalse, islice
from types import NoneType
from typing import Any, Final, Union

import msgspec
from msgspec import UNSET
from typing_extensions import override

from typed_sessions.codec.functions import Functions
from typed_sessions.codec.generated import PERMANENT_KEY, Changes, Generated, Plain, Raws, Read, are_text
from typed_sessions.codec.keyed_contents import KeyedContents
from typed_sessions.codec.loaded_from import ReadFrom
from typed_sessions.codec.notations import Notation
from typed_sessions.schema.generated import Unusual
from typed_sessions.schema.migrations import VERSION_KEY
from typed_sessions.schema.narrowing import PLAIN, is_sequence
from typed_sessions.schema.sameness import same
from typed_sessions.schema.schema import Schema
from typed_sessions.schema.types.base import FieldType
from typed_sessions.schema.types.classes import nests_deep
from typed_sessions.schema.types.containers import Items
from typed_sessions.schema.types.emitter import Emitted, Emitter
from typed_sessions.schema.types.scalars import KNOWN
from typed_sessions.schema.types.union import OneOf

__all__ = ["NEVER", "GeneratedFields", "GeneratedKeys", "means_the_same"]


class GeneratedFields(Generated):
    """The path of a declared class or TypedDict: each field has its own type, other keys hold anything."""

    def __init__(
        self, schema: Schema[Any], notation: Notation, tags_in_order: Sequence[object], emitter: Emitter
    ) -> None:
        super().__init__(schema, notation, tags_in_order)
        self._never_alters: Final = schema.never_alters
        self._is_pure: Final = schema.is_pure
        types = {name: field.type for name, field in schema.fields.items()}
        code = {name: emitter.emitted(field_type) for name, field_type in types.items()}
        self._has_flag: Final = PERMANENT_KEY not in {*schema.fields, *schema.renamed}
        self._open: Final = _struct(code, has_flag=self._has_flag, has_version=self.version > 0)
        self._known: Final = msgspec.defstruct("Known", [], bases=(self._open,), forbid_unknown_fields=True, gc=False)
        self._keys: Final = tuple(name for name in self._known.__struct_fields__ if name != VERSION_KEY)
        """The keys that msgspec reads, in the order in which it writes them."""
        self._known_keys: Final = frozenset(self._keys)
        self._names: Final = frozenset(self._known.__struct_fields__)
        self._decode_open: Final = notation.decoder(self._open)
        self._decode: Final = notation.decoder(self._known)
        self.decoded_nothing: Any = self._decode(self.nothing)
        self._expects_undeclared = False
        """Whether the latest payload had undeclared keys. Threads may share it: it only says what to try first."""
        equivalences = {
            name: _Equivalence(self._encode, notation.are_alike if held.wire_type is Any else same, types[name])
            for name, held in code.items()
            if not held.closed
        }
        self._nests_deep: Final = len(equivalences) > 0 and nests_deep(types.values())
        text = Functions(
            schema, emitter, code, self._known, {name: each.is_same for name, each in equivalences.items()}
        )
        names = self._defined(text)
        usual = {name: text.usual(name) for name in equivalences}
        proofs = {name: text.proof(name) for name in equivalences}
        functions = emitter.module.compiled()
        self._functions: Final = {role: self._guarded(functions[name]) for role, name in names.items()}
        self._load: Final = self._functions["load"]
        self._changes: Final = self._functions["changes"]
        is_more = self._nests_deep or self.version or schema.varying or (schema.keyed and schema.renamed)
        is_deprecated = any(field.member.deprecated for field in schema.fields.values())
        self.may_read_data: bool = self._has_flag and not is_more and not is_deprecated
        self._proofs: Final = {name: functions[proof] for name, proof in proofs.items()}
        for name, equivalence in equivalences.items():
            equivalence.usual = functions[usual[name]]

    @abstractmethod
    def _defined(self, text: Functions) -> dict[str, str]:
        """Add the functions to the text, and return their names by what they do."""

    def _guarded(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return a generated function that hands over whatever code of the user's raises in it."""

        def guarded(*arguments: object) -> Any:
            try:
                return function(*arguments)
            except Exception as error:
                raise Unusual from error

        return function if self._is_pure else guarded

    def _decoded(self, payload: bytes) -> tuple[Any, Raws | None]:
        """Return what msgspec reads of a payload, and its undeclared keys, if there are any."""
        raws: Raws | None = None
        if not self._expects_undeclared:
            try:
                decoded = self._decode(payload)
            except msgspec.ValidationError:
                self._expects_undeclared = True
                return self._decoded(payload)
        else:
            raws = self._undeclared(self._split(payload)) or None
            self._expects_undeclared = raws is not None
            decoded = (self._decode_open if raws else self._decode)(payload)
        if self._nests_deep:
            self._refuse_depth(payload)
        if self.version and getattr(decoded, VERSION_KEY) != self.version:
            raise Unusual
        return decoded, raws

    def _undeclared(self, raws: Raws) -> Raws:
        """Return what there is of undeclared keys, but for those that msgspec reads as a field, in a payload."""
        undeclared = {key: raws[key] for key in filterfalse(self._names.__contains__, raws)}
        if undeclared:
            self._refuse_tag(raws)
            if not self._schema.renamed.keys().isdisjoint(undeclared):
                raise Unusual
        return undeclared

    def _add_undeclared(self, values: Plain, raws: Raws) -> None:
        """Add the undeclared keys, but for `_permanent`, to what is stored."""
        for key, raw in raws.items():
            values[key] = value = self._any(raw)
            if type(value) not in PLAIN:
                self._refuse_depth(bytes(raw))
                values[key] = self._untagged(value)

    def _flag_of(self, decoded: Any) -> object:
        """Return what was read of `_permanent`."""
        return getattr(decoded, PERMANENT_KEY) if self._has_flag else UNSET

    def _nothing_yet(self, contents: Any, decoded: Any) -> Changes:
        return Changes(contents, decoded.__copy__(), self._known())

    def _changes_of_undeclared(self, decoded: Any, raws: Raws, extras: Plain, *, by_key: bool) -> Plain:
        """Return the undeclared keys that have changed, as msgspec writes them, unset where they are gone.

        Args:
            decoded: what msgspec has read.
            raws: the undeclared keys as they came.
            extras: the undeclared keys.
            by_key: whether a key may have been stored, or taken out, since.
        """
        changes: Plain = {}
        if by_key and not are_text(map(type, extras)):
            raise Unusual  # what is read of such a key is another one
        for key, value in extras.items():
            if type(value) not in PLAIN:
                part = self._changed(value, raws.get(key))
                if part is not UNSET:
                    changes[key] = part
            elif by_key and not self._is_as_read(key, value, decoded, raws):
                changes[key] = value
        if by_key:
            known = raws if self._flag_of(decoded) is UNSET else (*raws, PERMANENT_KEY)
            changes |= {key: UNSET for key in known if key not in extras}
        if self.version and VERSION_KEY in changes:
            raise Unusual  # it belongs to the migrations
        return changes

    def _is_as_read(self, key: str, value: object, decoded: Any, raws: Raws) -> bool:
        """Return True if a plain value of an undeclared key is the one that was read."""
        if key in raws:
            return same(self._any(raws[key]), value)
        return key == PERMANENT_KEY and value is self._flag_of(decoded)

    @override
    def written(self, payload: bytes, decoded: Any, changes: Changes) -> bytes:
        new, changed, encode = changes.new, changes.changed, self._encode_unescaped
        if not self._keeps_order:
            raise Unusual  # other keys than those that have changed get another place, too
        for name, value, part in changes.unproven:
            self._proofs[name](value, part)
        if (
            changes.order is None
            and not changes.adds
            and not changes.undeclared
            and type(new) is self._known
            and (encode(decoded) == payload or self._is_as_written(decoded, payload))
        ):
            written = self._encode(new)
            if self._decode(encode(changed)) != changed:
                raise Unusual
        else:
            written = self._written_by_key(payload, changes)
        if self._nests_deep:
            self._refuse_depth(written)
        if not self._is_pure and not self._holds(new):
            raise Unusual  # the class itself makes something else of it
        return written

    def _is_as_written(self, decoded: Any, payload: bytes) -> bool:
        """Return True if a payload is what is written of what was read of it, so that its keys have the same order."""
        written = self._encode_unescaped(decoded)
        return written == payload or (not written.isascii() and self._encode(decoded) == payload)

    def _written_by_key(self, payload: bytes, changes: Changes) -> bytes:
        """Return the same where keys are undeclared, new, or in another order than the fields."""
        new, undeclared = changes.new, changes.undeclared
        fields = {name: getattr(changes.changed, name) for name in self._schema.fields}
        plain: Plain = self._split(payload)
        if self.version:
            del plain[VERSION_KEY]  # which comes last
        for key, value in {**undeclared, **fields}.items():
            if value is not UNSET:
                plain[key] = value
            elif key in undeclared or getattr(new, key) is UNSET:
                plain.pop(key, None)
        order = (*(changes.order or ()),)  # which another thread may change
        if changes.order is not None and (*plain,) != order:  # fields that are new come by their declaration, last
            plain = {key: plain[key] for key in (*order, *self._schema.fields, *plain) if key in plain}
        if self.version:
            plain[VERSION_KEY] = self.version
        if self._has_flag and PERMANENT_KEY in undeclared:
            setattr(new, PERMANENT_KEY, undeclared[PERMANENT_KEY])
        written = self._encode(plain)
        if self._names.issuperset(plain):
            again = self._decode(written)
        else:
            self._refuse_tag(plain)
            again = self._decode_open(written)
        if not self._are_equal(again, new):
            raise Unusual
        return written

    def _are_equal(self, again: Any, new: Any) -> bool:
        if type(again) is type(new):
            return bool(again == new)
        # The first undeclared key is there, or the last one is gone.
        return all(getattr(again, name) == getattr(new, name) for name in self._names)

    @abstractmethod
    def _holds(self, decoded: Any) -> bool:
        """Return True if no code of the user's changes what msgspec has read, or is about to. It may refuse that."""


def means_the_same(changes: Changes | None) -> bool:
    """Return True where no field has changed, or only to an equal copy of what it was."""
    return changes is None or not (changes.adds or changes.differs or changes.gone)


def _struct(code: Mapping[str, Emitted], *, has_flag: bool, has_version: bool) -> Any:
    """Return the Struct that msgspec reads a payload as: the fields, and what the library itself keeps beside them."""
    types: dict[str, Any] = {PERMANENT_KEY: bool} if has_flag else {}
    types |= {name: held.wire_type for name, held in code.items()}
    types |= {VERSION_KEY: int} if has_version else {}
    fields = [(name, Union[held, msgspec.UnsetType], UNSET) for name, held in types.items()]  # noqa: UP007
    return msgspec.defstruct("Decoded", fields, gc=False)


NEVER: Final = (object(),) * 1_000
"""Stands for the values of fields that were made of what was read, where nothing was: none is the same."""


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
        if not are_text(map(type, values)) or self._schema.renamed:
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


class _Equivalence:
    """What tells whether the value of a field that may be written in several ways is the one that came.

    Args:
        encode: writes a part of a payload.
        are_same: compares what is written.
        field_type: the type of the field.
    """

    usual: Callable[[Any], Any]
    """Makes, of what came, what would be written of the same."""

    def __init__(
        self, encode: Callable[[object], bytes], are_same: Callable[[Any, Any], bool], field_type: FieldType
    ) -> None:
        self._encode = encode
        self._are_same = are_same
        self._container = _container(field_type)
        """The class of a container whose items each stand for themselves."""

    def is_same(self, before: object, value: object) -> bool:
        """Return True if what is written means what came."""
        if self._differ_in_a_part(before, value):
            return False
        return self._are_same(self.usual(before), value)

    def _differ_in_a_part(self, before: object, value: object) -> bool:
        """Return True if one item tells two plain sequences apart, as it nearly always does. False decides nothing."""
        usual, encode = self.usual, self._encode
        if self._container is None or not is_sequence(before) or not is_sequence(value):
            return False
        if len(before) < len(value):
            return True
        if self._container is list:
            pairs = zip(before, value, strict=False)
            pair = next((pair for pair in pairs if encode(pair[0]) != encode(pair[1])), None)
            return len(before) != len(value) or (pair is not None and not same(usual([pair[0]]), [pair[1]]))
        known = {*map(encode, value)}
        gone = [*islice((item for item in before if encode(item) not in known), 1)]
        return not known.issuperset(map(encode, usual(gone)))


def _container(field_type: FieldType) -> type | None:
    """Return the class of a container whose items each stand for themselves, also of one that may be None."""
    if isinstance(field_type, OneOf):
        others = [member for member in field_type.members if member is not KNOWN[NoneType]]
        return _container(others[0]) if len(others) == 1 else None
    return field_type.cls if isinstance(field_type, Items) and field_type.cls is not tuple else None
