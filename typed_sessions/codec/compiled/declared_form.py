"""`DeclaredForm`: the short way of a declared class or TypedDict."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import filterfalse, islice
from types import NoneType
from typing import Any, Final, TypeAlias, cast

import msgspec
from attrs import frozen
from msgspec.structs import astuple
from typing_extensions import override

from typed_sessions.codec.compiled.form import PLAIN, Form, Plain
from typed_sessions.codec.compiled.notations import Notation
from typed_sessions.codec.compiled.plans import PERMANENT_KEY, Plan, Planner, known_struct, wire_struct
from typed_sessions.codec.contents import Contents, DeclaredContents, KeyedContents, vacant_among
from typed_sessions.codec.payloads import Lowered, Read
from typed_sessions.schema.generated import Unusual
from typed_sessions.schema.migrations import VERSION_KEY
from typed_sessions.schema.narrowing import is_sequence
from typed_sessions.schema.sameness import same
from typed_sessions.schema.schema import Schema
from typed_sessions.schema.types import FieldType
from typed_sessions.schema.types.classes import nests_deep
from typed_sessions.schema.types.containers import Items
from typed_sessions.schema.types.scalars import KNOWN
from typed_sessions.schema.types.union import OneOf

__all__ = ["DeclaredForm", "reads_flag"]

Lowering: TypeAlias = tuple[Callable[[Any], Plain], Callable[[Plain], Plain]]
"""What lowers an object, or a dict, and what lowers values by name."""


@frozen
class _Spelled:
    """What tells whether the value of a field that may be written in several ways is the one that came."""

    usual: Callable[[Any], Any]
    """Makes, of what came, what would be written of the same."""
    proven: Callable[[object, object], object]
    """Returns what is lowered of a value, if that comes back."""
    are_same: Callable[[object, object], bool]
    """Compares what is written."""
    container: type | None
    """The class of a container whose items each stand for themselves."""


class DeclaredForm(Form):
    """The short way of a declared class or TypedDict: each field has its own type, other keys hold anything.

    Args:
        schema: what a session holds.
        notation: how it is written.
        planner: writes the functions.
        plans: how each field goes.
    """

    def __init__(self, schema: Schema[Any], notation: Notation, planner: Planner, plans: Mapping[str, Plan]) -> None:
        super().__init__(schema, notation)
        self._has_flag: Final = reads_flag(schema)
        self._wire: Final = wire_struct(plans, has_flag=self._has_flag)
        self._known: Final = known_struct(self._wire)
        self._names: Final = frozenset(self._wire.__struct_fields__)
        self._decode: Final = notation.decoder(self._wire)
        self._decode_known: Final = notation.decoder(self._known)
        self._is_closed: Final = all(plan.closed for plan in plans.values())
        self._nests_deep: Final = not self._is_closed and nests_deep(field.type for field in schema.fields.values())
        lift = planner.lift_of(plans, {} if schema.keyed else schema.fields)
        lowering: list[tuple[str, str]] = []
        for proven in (True, False):
            lower_values = planner.lower_values_of(plans, proven=proven)
            in_data = schema.fields
            lower_data = lower_values if schema.keyed else planner.lower_data_of(plans, in_data, proven=proven)
            lowering.append((lower_data, lower_values))
        changes = planner.changes_of_keys(plans) if schema.keyed else planner.changes_of_fields(plans, schema.fields)
        wire_of = planner.wire_of(self._wire)
        usual = {name: planner.usual_of(plan) for name, plan in plans.items() if not plan.closed}
        proofs = {name: planner.proof_of(plans[name]) for name in usual}
        functions = planner.module.compiled()
        self._functions: Final = functions
        self._lift: Final[Callable[[Any], tuple[Plain, list[str]]]] = functions[lift]
        (data, values), (bare_data, bare_values) = lowering
        self._lower: Final[Lowering] = (functions[data], functions[values])
        self._lower_unproven: Final[Lowering] = (functions[bare_data], functions[bare_values])
        self._wire_of: Final[Callable[[Any, Plain], object]] = functions[wire_of]
        self._changes: Final[Callable[..., Plain]] = functions[changes]
        self._spelled: Final = {
            name: _Spelled(
                functions[usual[name]],
                functions[proofs[name]],
                notation.are_alike if plans[name].wire_type is Any else same,
                _container(schema.fields[name].type),
            )
            for name in usual
        }
        """The fields that may be written in several ways."""
        self._redrafts: Final = self._keeps_order and (schema.keyed or schema.steady_class is not None)

    @override
    def look(self, read: Read[Any]) -> Read[Any] | Lowered[Any] | None:
        contents = cast("DeclaredContents[Any]", read.contents)  # those that it has made
        unproven: Plain = {}
        changes = contents.changes(read.wire, self._changes, unproven)
        if changes is None:
            return None
        by_key = contents.has_extras_by_key
        if by_key or (contents.has_shared_extras and read.raws):
            undeclared = {**contents.extras}  # threads may store more
            changes = {**self._changed_extras(read, undeclared, by_key=by_key), **changes}
        return self._redrafted(read, changes, unproven, contents.order) if changes else read

    @override
    def keeps(self, payload: bytes) -> bool:
        read = self.read(payload)
        return cast("DeclaredContents[Any]", read.contents).changes(read.wire, self._changes, {}) == {}

    def _redrafted(
        self, read: Read[Any], changes: Plain, unproven: Plain, order: dict[str, None] | None
    ) -> Read[Any] | Lowered[Any] | None:
        """Return the draft of what was read, with changes; what was read, if they are none; None if that is not told.

        Args:
            read: what was read.
            changes: as msgspec writes them, unset where a key is gone.
            unproven: the values of those of which it is not proven that they come back.
            order: that of the keys, those that are new by the declaration last; None for that of the payload.
        """
        if not self._redrafts or read.version:
            return None
        others = changes
        if self._spelled:
            others = {key: value for key, value in changes.items() if not self._means_what_came(read, key, value)}
        if not others:
            return read
        if not self._schema.never_alters and not self.keeps(read.payload):
            return None
        for key, value in unproven.items():
            if key in others or self._schema.is_trusting:  # else `keeps` proves what is written of it
                self._spelled[key].proven(value, changes[key])
        plain, wire = self._changed_copy(read, changes)
        if order is not None and [*plain] != [*order]:
            plain = self._in_order(plain, order)
        payload = self._encode(plain)
        if self._nests_deep:
            self._refuse_depth(payload)
        if not self._is_read_back(payload, plain, wire) or (wire == read.wire and self._names.issuperset(changes)):
            return None
        return Lowered(read.contents, 0, payload, plain, (), wire)

    def _changed_copy(self, read: Read[Any], changes: Plain) -> tuple[Plain, Any]:
        """Return what was read, with changes, as msgspec writes it and as msgspec reads it."""
        plain, wire = self._split(read.payload), read.wire.__copy__()
        for key, value in changes.items():
            if key in self._names:
                setattr(wire, key, value)
            if value is msgspec.UNSET:
                del plain[key]
            else:
                plain[key] = value
        return plain, wire

    def _means_what_came(self, read: Read[Any], key: str, value: object) -> bool:
        """Return True if a field is the same as it came, be it in another way than it is written."""
        before = getattr(read.wire, key) if key in self._names else msgspec.UNSET
        if before is msgspec.UNSET or value is msgspec.UNSET:
            return False
        spelled = self._spelled.get(key)
        if spelled is None:
            return same(before, value)
        if self._differs_in_a_part(spelled, before, value):
            return False
        return spelled.are_same(spelled.usual(before), value)

    def _differs_in_a_part(self, spelled: _Spelled, before: object, value: object) -> bool:
        """Return True if one item tells two plain sequences apart, which it nearly always does. False decides nothing.

        Args:
            spelled: of their field.
            before: what came.
            value: what is written of the value.
        """
        usual = spelled.usual
        if spelled.container is None or not is_sequence(before) or not is_sequence(value):
            return False
        if len(before) < len(value):
            return True
        if spelled.container is list:
            pairs = zip(before, value, strict=False)
            pair = next((pair for pair in pairs if self._encode(pair[0]) != self._encode(pair[1])), None)
            return len(before) != len(value) or (pair is not None and not same(usual([pair[0]]), [pair[1]]))
        known = {*map(self._encode, value)}
        gone = [*islice((item for item in before if self._encode(item) not in known), 1)]
        return not known.issuperset(map(self._encode, usual(gone)))

    def _in_order(self, plain: Plain, order: dict[str, None]) -> Plain:
        """Return the same in the order in which the keys were stored, which forgets those that are no longer stored.

        The order may lack a key: two threads may have begun it at once.
        """
        for key in [key for key in (*order,) if key not in plain]:
            order.pop(key, None)
        return {key: plain[key] for key in (*order, *self._schema.fields, *plain) if key in plain}

    def _is_read_back(self, payload: bytes, plain: Plain, wire: Any) -> bool:
        """Return True if msgspec reads of a payload what was written of the declared fields."""
        if not self._names.issuperset(plain):
            if len(plain) == 1:
                self._refuse_tag(plain)
            return astuple(self._decode(payload)) == astuple(wire)
        if type(wire) is self._known:
            return bool(self._decode_known(payload) == wire)
        return astuple(self._decode_known(payload)) == astuple(wire)

    @override
    def read(self, payload: bytes) -> Read[Any]:
        schema = self._schema
        raws = self._split(payload)
        undeclared = self._undeclared(raws)
        wire = (self._decode if undeclared else self._decode_known)(payload)
        if self._nests_deep:
            self._refuse_depth(payload)
        try:
            declared, pinned = self._lift(wire)
        except Exception as error:  # a class of the user's may raise anything
            raise Unusual from error
        extras: Plain = {} if self._flag_of(wire) is msgspec.UNSET else {PERMANENT_KEY: self._flag_of(wire)}
        version, is_exact = 0, self._is_closed
        if undeclared:
            is_exact = self._read_extras(undeclared, extras) and is_exact
        if schema.migrations.steps:
            version = schema.migrations.version
            written = extras.pop(VERSION_KEY, 0)
            if type(written) is not int or written != version:
                raise Unusual
            raws.pop(VERSION_KEY, None)
        contents = self._contents(dict.fromkeys(raws), declared, extras, pinned)
        return Read(contents, payload, version, wire=wire, is_exact=is_exact, raws=undeclared)

    def _undeclared(self, raws: Mapping[str, msgspec.Raw]) -> Mapping[str, msgspec.Raw]:
        """Return what there is of undeclared keys, but for `_permanent`, in a payload."""
        undeclared = {key: raws[key] for key in filterfalse(self._names.__contains__, raws)}
        if undeclared:
            if len(raws) == 1:
                self._refuse_tag(raws)
            if not self._schema.renamed.keys().isdisjoint(undeclared):
                raise Unusual
        return undeclared

    def _contents(self, order: dict[str, None], declared: Plain, extras: Plain, pinned: list[str]) -> Contents[Any]:
        schema = self._schema
        if schema.keyed:
            return KeyedContents(schema, {**order, **declared, **extras})
        try:
            data = schema.construct(declared)
        except Exception as error:  # a converter or validator of the user's may raise anything
            raise Unusual from error
        vacant = vacant_among(schema, declared, data)
        return DeclaredContents(schema, data, extras, frozenset(pinned), vacant, order)

    def _read_extras(self, raws: Mapping[str, msgspec.Raw], extras: Plain) -> bool:
        """Take in the values of undeclared keys. Return True if there is one way to write them."""
        is_exact = True
        for key, raw in raws.items():
            extras[key] = value = self._any(raw)
            if type(value) not in PLAIN:
                self._refuse_depth(bytes(raw))
                extras[key] = self._untagged(value)
                is_exact = self._is_strict
        return is_exact

    def _flag_of(self, wire: Any) -> object:
        """Return what was read of `_permanent`."""
        return getattr(wire, PERMANENT_KEY) if self._has_flag else msgspec.UNSET

    def _changed_extras(self, read: Read[Any], extras: Plain, *, by_key: bool) -> Plain:
        """Return the undeclared keys that have changed, as msgspec writes them, unset where they are gone.

        Args:
            read: what was read.
            extras: the undeclared keys.
            by_key: whether a key may have been stored, or taken out, since.
        """
        raws = read.raws or {}
        changes: Plain = {}
        if by_key:
            self._refuse_keys(extras)
        for key, value in extras.items():
            if type(value) not in PLAIN:
                part = self._changed(value, raws.get(key))
                if part is not msgspec.UNSET:
                    changes[key] = part
            elif by_key and not self._is_as_read(key, value, read):
                changes[key] = value
        if by_key:
            known = raws if self._flag_of(read.wire) is msgspec.UNSET else (*raws, PERMANENT_KEY)
            changes |= {key: msgspec.UNSET for key in known if key not in extras}
        return changes

    def _is_as_read(self, key: str, value: object, read: Read[Any]) -> bool:
        """Return True if a plain value of an undeclared key is the one that was read."""
        if read.raws and key in read.raws:
            return same(self._any(read.raws[key]), value)
        return key == PERMANENT_KEY and value is self._flag_of(read.wire)

    @override
    def payload(self, contents: Contents[Any], version: int = 0) -> bytes:
        return self._encode(self._laid_out(contents, version, self._lower_unproven)[0])

    @override
    def lower(self, contents: Contents[Any], version: int = 0, *, unless: bytes = b"") -> Lowered[Any]:
        plain, undeclared, is_known = self._laid_out(contents, version, self._lower)
        payload = self._encode(plain)
        lowered = Lowered(contents, version, payload, plain, undeclared, None)
        if payload != unless:
            if is_known and not version:
                lowered.wire = wire = self._decode_known(payload)
                if wire != self._wire_of(self._known, plain):
                    raise Unusual
            else:
                lowered.wire = self._read_back(lowered)
            if self._nests_deep:
                self._refuse_depth(payload)
        return lowered

    def _laid_out(
        self, contents: Contents[Any], version: int, lowering: Lowering
    ) -> tuple[Plain, tuple[str, ...], bool]:
        """Return what is stored as msgspec writes it, the undeclared keys, and whether msgspec knows all of them."""
        plain, undeclared = contents.laid_out(*lowering)
        is_known = not undeclared or (undeclared == _FLAG_ALONE and type(plain[PERMANENT_KEY]) is bool)
        if not is_known:
            self._refuse_keys(undeclared)
            for key in undeclared:
                if type(plain[key]) not in PLAIN:
                    plain[key] = self._tagged(plain[key])
            if len(plain) == 1:
                self._refuse_tag(plain)
        if version:
            plain[VERSION_KEY] = version
        return plain, undeclared, is_known

    def _read_back(self, lowered: Lowered[Any]) -> object:
        """Return what msgspec reads of a payload with undeclared keys, if that is what was written."""
        wire = self._decode(lowered.payload)
        if wire != self._wire_of(self._wire, lowered.plain):
            raise Unusual
        for key in lowered.undeclared:
            value = lowered.plain[key]
            if type(value) not in PLAIN:
                self._prove(self._encode(value), value)
        return wire

    @override
    def differs(self, before: Read[Any], after: Lowered[Any]) -> bool:
        if after.wire != before.wire:  # which they are, too, where only one has undeclared keys
            return True
        if type(after.wire) is self._known:
            return False
        raws = self._split(before.payload)
        if len(after.plain) != len(raws):
            return True
        return any(key not in raws or self._any(raws[key]) != after.plain[key] for key in after.undeclared)


def _container(field_type: FieldType) -> type | None:
    """Return the class of a container whose items each stand for themselves, also of one that may be None."""
    if isinstance(field_type, OneOf):
        others = [member for member in field_type.members if member is not KNOWN[NoneType]]
        return _container(others[0]) if len(others) == 1 else None
    return field_type.cls if isinstance(field_type, Items) and field_type.cls is not tuple else None


_FLAG_ALONE: Final = (PERMANENT_KEY,)


def reads_flag(schema: Schema[Any]) -> bool:
    """Return True if msgspec reads `_permanent` beside the fields: none of them has, or had, that name."""
    return PERMANENT_KEY not in {*schema.fields, *schema.renamed}
