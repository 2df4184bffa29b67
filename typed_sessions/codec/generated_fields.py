"""The generated path of what has fields: `GeneratedClass` of a declared class, `GeneratedKeys` of a TypedDict."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from itertools import filterfalse
from typing import Any, Final, Union

import msgspec
from typing_extensions import override

from typed_sessions.codec.contents import Contents, DeclaredContents, KeyedContents, LoadedFrom, unread_among
from typed_sessions.codec.equivalence import Equivalence
from typed_sessions.codec.functions import Found, Functions
from typed_sessions.codec.generated import NO_NAMES, PERMANENT_KEY, TEXT, Generated, Loadable, Plain, Raws, Unwritten
from typed_sessions.codec.notations import Notation
from typed_sessions.schema.generated import Unusual
from typed_sessions.schema.migrations import VERSION_KEY
from typed_sessions.schema.narrowing import PLAIN
from typed_sessions.schema.sameness import same
from typed_sessions.schema.schema import Schema
from typed_sessions.schema.types.classes import nests_deep
from typed_sessions.schema.types.emitter import Emitted, Emitter

__all__ = ["GeneratedClass", "GeneratedKeys"]


class GeneratedFields(Generated):
    """The path of a declared class or TypedDict: each field has its own type, other keys hold anything."""

    def __init__(self, schema: Schema[Any], notation: Notation, emitter: Emitter) -> None:
        super().__init__(schema, notation)
        types = {name: field.type for name, field in schema.fields.items()}
        code = {name: emitter.emitted(field_type) for name, field_type in types.items()}
        self._has_flag: Final = PERMANENT_KEY not in {*schema.fields, *schema.renamed}
        self._open: Final = _struct(code, has_flag=self._has_flag, has_version=self.version > 0)
        self._known: Final = msgspec.defstruct("Known", [], bases=(self._open,), forbid_unknown_fields=True, gc=False)
        self._names: Final = frozenset(self._known.__struct_fields__)
        self._decode_open: Final = notation.decoder(self._open)
        self._decode: Final = notation.decoder(self._known)
        self.decoded_nothing: Any = self._decode(self.nothing)
        self._expects_undeclared = False
        """Whether the latest payload had undeclared keys. Threads may share it: it only says what to try first."""
        equivalences = {
            name: Equivalence(self._encode, notation.are_alike if held.wire_type is Any else same, types[name])
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
        self._may_be_unusual: Final = self._nests_deep or self.version > 0
        """Whether a payload that msgspec reads may be unusual all the same."""
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

        return function if self._schema.is_pure else guarded

    def _decoded(self, payload: bytes) -> tuple[Any, Raws | None]:
        """Return what msgspec reads of a payload, and its undeclared keys, if there are any."""
        raws: Raws = {}
        if not self._expects_undeclared:
            try:
                decoded = self._decode(payload)
            except msgspec.ValidationError:
                self._expects_undeclared = True
                return self._decoded(payload)
        else:
            raws = self._undeclared(self._split(payload))
            self._expects_undeclared = len(raws) > 0
            decoded = (self._decode_open if raws else self._decode)(payload)
        if self._may_be_unusual:
            self._refuse_unusual(payload, decoded)
        return decoded, raws or None

    def _refuse_unusual(self, payload: bytes, decoded: Any) -> None:
        """Leave alone what may nest too deep, or is of another version."""
        if self._nests_deep:
            self._refuse_depth(payload)
        if self.version and getattr(decoded, VERSION_KEY) != self.version:
            raise Unusual

    def _undeclared(self, raws: Raws) -> Raws:
        """Return what there is of undeclared keys, but for those that msgspec reads as a field, in a payload."""
        undeclared = {key: raws[key] for key in filterfalse(self._names.__contains__, raws)}
        if undeclared:
            self._refuse_tag(raws)
            if not self._schema.renamed.keys().isdisjoint(undeclared):
                raise Unusual
        return undeclared

    def _extras(self, decoded: Any, raws: Raws | None) -> Plain:
        """Return the undeclared keys."""
        flag = decoded._permanent if self._has_flag else msgspec.UNSET  # noqa: SLF001 -- a key
        extras: Plain = {} if flag is msgspec.UNSET else {PERMANENT_KEY: flag}
        if raws is not None:
            for key, raw in raws.items():
                extras[key] = value = self._any(raw)
                if type(value) not in PLAIN:
                    self._refuse_depth(bytes(raw))
                    extras[key] = self._untagged(value)
        return extras

    def _flag_of(self, decoded: Any) -> object:
        """Return what was read of `_permanent`."""
        return getattr(decoded, PERMANENT_KEY) if self._has_flag else msgspec.UNSET

    def _unwritten(
        self, found: Found | None, decoded: Any, undeclared: Plain, order: Mapping[str, None] | None
    ) -> Unwritten:
        """Return what has changed, once what msgspec alone does not prove is proven to read back."""
        if not self._keeps_order:
            raise Unusual  # other keys than those that have changed get another place, too
        if found is None:
            return Unwritten(decoded.__copy__(), self._known(), undeclared, in_place=False, order=order)
        new, changed, adds, _, _, unproven = found
        for name, value, part in unproven:
            self._proofs[name](value, part)
        in_place = order is None and not (adds or undeclared)
        return Unwritten(new, changed, undeclared, in_place, order)

    def _changes_of_undeclared(self, decoded: Any, raws: Raws, extras: Plain, *, by_key: bool) -> Plain:
        """Return the undeclared keys that have changed, as msgspec writes them, unset where they are gone.

        Args:
            decoded: what msgspec has read.
            raws: the undeclared keys as they came.
            extras: the undeclared keys.
            by_key: whether a key may have been stored, or taken out, since.
        """
        changes: Plain = {}
        if by_key and not TEXT.issuperset(map(type, extras)):
            raise Unusual  # what is read of such a key is another one
        for key, value in extras.items():
            if type(value) not in PLAIN:
                part = self._changed(value, raws.get(key))
                if part is not msgspec.UNSET:
                    changes[key] = part
            elif by_key and not self._is_as_read(key, value, decoded, raws):
                changes[key] = value
        if by_key:
            known = raws if self._flag_of(decoded) is msgspec.UNSET else (*raws, PERMANENT_KEY)
            changes |= {key: msgspec.UNSET for key in known if key not in extras}
        if self.version and VERSION_KEY in changes:
            raise Unusual  # it belongs to the migrations
        return changes

    def _is_as_read(self, key: str, value: object, decoded: Any, raws: Raws) -> bool:
        """Return True if a plain value of an undeclared key is the one that was read."""
        if key in raws:
            return same(self._any(raws[key]), value)
        return key == PERMANENT_KEY and value is self._flag_of(decoded)

    @override
    def written(self, payload: bytes, decoded: Any, unwritten: Unwritten) -> bytes:
        new, changed = unwritten.new, unwritten.changed
        if unwritten.in_place and type(new) is self._known and self._is_as_written(decoded, payload):
            written = self._encode(new)
            if self._decode(self._encode_unescaped(changed)) != changed:
                raise Unusual
        else:
            written = self._written_by_key(payload, unwritten)
        if self._nests_deep:
            self._refuse_depth(written)
        if not self._schema.is_pure and not self._holds(self._decode_open(written)):
            raise Unusual  # the class itself makes something else of it
        return written

    def _is_as_written(self, decoded: Any, payload: bytes) -> bool:
        """Return True if a payload is what is written of what was read of it, so that its keys have the same order."""
        written = self._encode_unescaped(decoded)
        return written == payload or (not written.isascii() and self._encode(decoded) == payload)

    def _written_by_key(self, payload: bytes, unwritten: Unwritten) -> bytes:
        """Return the same where keys are undeclared, new, or in another order than the fields."""
        new, undeclared = unwritten.new, unwritten.undeclared
        fields = {name: getattr(unwritten.changed, name) for name in self._schema.fields}
        plain: Plain = self._split(payload)
        if self.version:
            del plain[VERSION_KEY]  # which comes last
        for key, value in {**undeclared, **fields}.items():
            if value is not msgspec.UNSET:
                plain[key] = value
            elif key in undeclared or getattr(new, key) is msgspec.UNSET:
                plain.pop(key, None)
        if unwritten.order is not None and [*plain] != [*unwritten.order]:
            plain = self._in_order(plain, unwritten.order)
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
        if any(getattr(again, name) != getattr(new, name) for name in self._names):
            raise Unusual
        return written

    def _in_order(self, plain: Plain, order: Mapping[str, None]) -> Plain:
        """Return the same in the order in which the keys were stored; fields that are new by their declaration last."""
        keys = (*order,)  # which another thread may change
        return {key: plain[key] for key in (*keys, *self._schema.fields, *plain) if key in plain}

    @abstractmethod
    def _holds(self, decoded: Any) -> bool:
        """Return True if no code of the user's changes what msgspec has read, or is about to. It may refuse that."""


class GeneratedClass(GeneratedFields):
    """The path of a declared class: the data is an object."""

    @override
    def _defined(self, text: Functions) -> dict[str, str]:
        return {
            "load": text.load(self._schema.plain_class),
            "changes": text.changes(),
            "explicit_defaults": text.explicit_defaults(),
        }

    @override
    def load(self, payload: bytes) -> Loadable:
        decoded, raws = self._decoded(payload)
        live, made = self._load(decoded)
        return live, self._extras(decoded, raws), decoded, made, raws

    @override
    def contents(self, loaded: Loadable, loaded_from: LoadedFrom | None) -> Contents[Any]:
        live, extras, decoded, _, _ = loaded
        unread = self._unread(live, decoded) if self._schema.varying else NO_NAMES
        return DeclaredContents(self._schema, live, extras, unread, None, None, loaded_from)

    def _unread(self, live: Any, decoded: Any) -> frozenset[str]:
        names = self._schema.varying
        came = {name: None for name in names if getattr(decoded, name) is not msgspec.UNSET}
        return unread_among(self._schema, came, live)

    @override
    def explicit_defaults(self, decoded: Any) -> frozenset[str]:
        return frozenset(self._functions["explicit_defaults"](decoded))

    @override
    def changes(self, contents: DeclaredContents[Any], loaded_from: LoadedFrom) -> Unwritten | None:
        decoded = loaded_from.decoded
        found: Found | None = self._changes(contents, contents.live, decoded, loaded_from.made, contents.known_explicit)
        if contents.seen_not_default or contents.differing or contents.no_longer_explicit:
            found = self._without_former_defaults(contents, decoded, found)
        undeclared: Plain = {}
        by_key = contents.has_extras_by_key
        if by_key or (contents.has_shared_extras and loaded_from.raws):
            extras = {**contents.extras}  # threads may store more
            undeclared = self._changes_of_undeclared(decoded, loaded_from.raws or {}, extras, by_key=by_key)
        if found is not None:
            contents.note_changed(found[1], found[4])
        if not undeclared and (found is None or not _is_real(found)):
            return None
        if not self._schema.never_alters and not self._holds(decoded):
            raise Unusual  # what has not changed would be written as it came, which is not what the class holds
        unwritten = self._unwritten(found, decoded, undeclared, contents.order)
        if contents.order is not None:
            new = unwritten.new
            contents.forget_order([name for name in self._schema.fields if getattr(new, name) is msgspec.UNSET])
        return unwritten

    def _without_former_defaults(
        self, contents: DeclaredContents[Any], decoded: Any, found: Found | None
    ) -> Found | None:
        """Add the fields that have their default again, which was stored, and is so no more."""
        fields, read = self._schema.fields, self._schema.read
        if not contents.differing and not contents.no_longer_explicit:
            seen = contents.seen_not_default.intersection(fields)
            came = [name for name in seen if getattr(decoded, name) is not msgspec.UNSET]
            if not any(fields[name].is_default(read(contents.live, name)) for name in came):
                return found
        explicit = contents.explicit
        new, changed, adds, differs, gone, unproven = found or (decoded.__copy__(), self._known(), False, False, [], [])
        for name in contents.no_longer_explicit - explicit:
            is_changed = getattr(changed, name) is not msgspec.UNSET or name in gone
            if is_changed or getattr(decoded, name) is msgspec.UNSET:
                continue
            if fields[name].is_default(read(contents.live, name)):
                setattr(new, name, msgspec.UNSET)
                gone.append(name)
        return (new, changed, adds, differs, gone, unproven) if found or gone else None

    @override
    def all_of(self, contents: DeclaredContents[Any]) -> Unwritten:
        contents.stored()  # what was given up since is stored no more
        empty = self.decoded_nothing
        found: Found | None = self._changes(contents, contents.live, empty, _NEVER, contents.explicit)
        extras = {**contents.extras}
        undeclared = self._changes_of_undeclared(empty, {}, extras, by_key=True)
        unwritten = self._unwritten(found, empty, undeclared, contents.ordered() or None)
        unwritten.in_place = not undeclared and unwritten.order is None
        return unwritten

    @override
    def _holds(self, decoded: Any) -> bool:
        live, made = self._load(decoded)
        contents = DeclaredContents(self._schema, live, {}, self._unread(live, decoded), frozenset(self._schema.fields))
        return self._changes(contents, live, decoded, made, NO_NAMES) is None


_NEVER: Final = (object(),) * 1_000
"""Stands for the values of fields that were made of what was read, where nothing was: none is the same."""


def _is_real(found: Found) -> bool:
    """Return True if anything means something else than before: not all that is written otherwise does."""
    _, _, adds, differs, gone, _ = found
    return adds or differs or len(gone) > 0


class GeneratedKeys(GeneratedFields):
    """The path of a TypedDict, whose data, a dict, has the undeclared keys, too."""

    @override
    def _defined(self, text: Functions) -> dict[str, str]:
        return {"load": text.load_keys(), "changes": text.changes_of_keys()}

    @override
    def load(self, payload: bytes) -> Loadable:
        decoded, raws = self._decoded(payload)
        values = self._load(decoded)
        values = {**self._extras(decoded, raws), **values}
        if raws or not self._is_as_written(decoded, payload):
            values = {key: values[key] for key in self.keys(payload)}
        return values, {}, decoded, (), raws

    @override
    def contents(self, loaded: Loadable, loaded_from: LoadedFrom | None) -> Contents[Any]:
        return KeyedContents(self._schema, loaded[0], set(), loaded_from)

    @override
    def changes(self, contents: KeyedContents[Any], loaded_from: LoadedFrom) -> Unwritten | None:
        if contents.touched is not None and not contents.touched:
            return None
        values, fields, decoded = (
            {**contents.values},
            self._schema.fields,
            loaded_from.decoded,
        )  # threads may store more
        if self._schema.renamed:
            raise Unusual
        found: Found | None = self._changes(values, decoded)
        extras = {key: value for key, value in values.items() if key not in fields}
        undeclared = self._changes_of_undeclared(decoded, loaded_from.raws or {}, extras, by_key=True)
        if not undeclared and (found is None or not _is_real(found)):
            return None
        if not self._schema.never_alters and not self._holds(decoded):
            raise Unusual  # what has not changed would be written as it came, which is not what a class in it holds
        return self._unwritten(found, decoded, undeclared, dict.fromkeys(values))

    @override
    def all_of(self, contents: KeyedContents[Any]) -> Unwritten:
        values = {**contents.values}
        if self._schema.renamed or not TEXT.issuperset(map(type, values)):
            raise Unusual
        found: Found | None = self._changes(values, self.decoded_nothing)
        extras = {key: value for key, value in values.items() if key not in self._schema.fields}
        undeclared = self._changes_of_undeclared(self.decoded_nothing, {}, extras, by_key=True)
        return self._unwritten(found, self.decoded_nothing, undeclared, dict.fromkeys(values))

    @override
    def _holds(self, decoded: Any) -> bool:
        values = self._load(decoded)
        return self._changes(values, decoded) is None


def _struct(code: Mapping[str, Emitted], *, has_flag: bool, has_version: bool) -> Any:
    """Return the Struct that msgspec reads a payload as: the fields, and what the library itself keeps beside them."""
    types: dict[str, Any] = {PERMANENT_KEY: bool} if has_flag else {}
    types |= {name: held.wire_type for name, held in code.items()}
    types |= {VERSION_KEY: int} if has_version else {}
    fields = [(name, Union[held, msgspec.UnsetType], msgspec.UNSET) for name, held in types.items()]  # noqa: UP007
    return msgspec.defstruct("Decoded", fields, gc=False)
