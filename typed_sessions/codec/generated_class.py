"""`GeneratedClass`: the generated path of a declared class."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Final

from attrs import frozen
from msgspec import UNSET
from typing_extensions import override

from typed_sessions.codec.declared_contents import DeclaredContents, unread_among
from typed_sessions.codec.functions import Functions
from typed_sessions.codec.generated import NO_NAMES, PERMANENT_KEY, UNUSUAL, Changes, Plain, Read
from typed_sessions.codec.generated_fields import NEVER, GeneratedFields, means_the_same
from typed_sessions.codec.loaded_data import LoadedData
from typed_sessions.codec.loaded_from import ReadFrom
from typed_sessions.schema.generated import Unusual

__all__ = ["GeneratedClass"]


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
    def load(self, payload: bytes) -> Read:
        decoded, raws = self._decoded(payload)
        live, made = self._load(decoded)
        unread, explicit = self._unread(live, decoded), self.explicit_defaults(decoded)
        contents = DeclaredContents(self._schema, live, self.flag_in(decoded), unread, explicit)
        if raws is not None:
            self._add_undeclared(contents.extras, raws)
        return contents, decoded, made, raws

    def flag_in(self, decoded: Any) -> Plain:
        """Return `_permanent`, if it was read and is no field, by its key."""
        flag = decoded._permanent if self._has_flag else UNSET  # noqa: SLF001 -- a key
        return {} if flag is UNSET else {PERMANENT_KEY: flag}

    @override
    def data_in(self, payload: bytes, sealed: str) -> LoadedData[Any] | None:
        if len(self._tags_in_order) != self._tag_count:  # is_outdated, without a call
            return None
        extras: Plain = {}
        try:
            decoded, raws = self._decoded(payload)
            data, made = self._load(decoded)
            if raws is not None:
                self._add_undeclared(extras, raws)
        except UNUSUAL:
            return None
        return LoadedData(
            payload,
            decoded,
            made,
            raws,
            sealed,
            schema=self._schema,
            data=data,
            permanent=decoded._permanent is True,  # noqa: SLF001 -- a key
            extras=extras,
        )

    @override
    def payload_of(self, loaded: LoadedData[Any]) -> bytes | None:
        if len(self._tags_in_order) != self._tag_count:  # is_outdated, without a call
            return None
        if loaded.seen is not None and any(loaded.read(name) is UNSET for name in (*loaded.seen,)):
            return None  # what was seen to be stored has its default again
        payload, decoded = loaded.source, loaded.decoded
        try:
            changes: Changes | None = self._changes(_UNASKED, loaded.data, decoded, loaded.made, NO_NAMES)
            if changes is None or not (changes.adds or changes.differs):
                return payload
            if not self._never_alters and not self._holds(decoded):
                return None  # what has not changed would be written as it came, which is not what the class holds
            payload = self.written(payload, decoded, changes)
        except UNUSUAL:
            return None
        return None if payload in self.without_content else payload

    def non_defaults_in(self, payload: bytes) -> frozenset[str]:
        """Return the fields that hold another value than their default in a payload."""
        decoded = self._decode_open(payload)
        stored = frozenset(name for name in self._schema.fields if getattr(decoded, name) is not UNSET)
        return stored - self.explicit_defaults(decoded)

    def _unread(self, live: Any, decoded: Any) -> frozenset[str]:
        names = self._schema.varying
        came = {name: None for name in names if getattr(decoded, name) is not UNSET}
        return unread_among(self._schema, came, live)

    def explicit_defaults(self, decoded: Any) -> frozenset[str]:
        """Return the fields of which the default itself was read."""
        return frozenset(self._functions["explicit_defaults"](decoded))

    @override
    def changes(self, contents: DeclaredContents[Any], loaded_from: ReadFrom) -> Changes | None:
        decoded = loaded_from.decoded
        found: Changes | None = self._changes(contents, contents.live, decoded, loaded_from.made, contents.explicit)
        if contents.no_longer_explicit:
            found = self._without_former_defaults(contents, decoded, found)
        undeclared: Plain = {}
        by_key = contents.has_extras_by_key
        if by_key or loaded_from.raws:
            extras = {**contents.extras}  # threads may store more
            undeclared = self._changes_of_undeclared(decoded, loaded_from.raws or {}, extras, by_key=by_key)
        if found is None:
            if not undeclared:
                return None
            found = self._nothing_yet(contents, decoded)
        else:
            contents.note_changed(found.changed, found.gone)
            if not (found.adds or found.differs or found.gone or undeclared):
                return None  # not all that is written otherwise means something else
        if not self._never_alters and not self._holds(decoded):
            raise Unusual  # what has not changed would be written as it came, which is not what the class holds
        found.undeclared = undeclared
        if contents.order is not None:
            found.order = contents.order
            new = found.new
            contents.forget_order([name for name in self._schema.fields if getattr(new, name) is UNSET])
        return found

    def _without_former_defaults(self, contents: DeclaredContents[Any], decoded: Any, found: Changes | None) -> Changes:
        """Add the fields that have their default again, which was stored, and is so no more."""
        fields, read = self._schema.fields, self._schema.read
        more = found or self._nothing_yet(contents, decoded)
        for name in contents.no_longer_explicit - contents.explicit:
            if getattr(more.new, name) is not UNSET and fields[name].is_default(read(contents.live, name)):
                setattr(more.new, name, UNSET)
                more.gone = (*more.gone, name)
        return more

    @override
    def all_of(self, contents: DeclaredContents[Any]) -> Changes:
        contents.stored()  # what was given up since is stored no more
        empty = self.decoded_nothing
        changes: Changes = self._changes(contents, contents.live, empty, NEVER, contents.explicit) or self._nothing_yet(
            contents, empty
        )
        changes.adds = False  # in their order, which those of nothing have
        changes.undeclared = self._changes_of_undeclared(empty, {}, {**contents.extras}, by_key=True)
        changes.order = contents.ordered() or None
        return changes

    @override
    def _holds(self, decoded: Any) -> bool:
        live, made = self._load(decoded)
        of_all = _OfAll(self._schema.fields, self._unread(live, decoded))
        return means_the_same(self._changes(of_all, live, decoded, made, NO_NAMES))


@frozen
class _OfAll:
    """Stands for the contents of which each field is stored that is there."""

    explicit: Collection[str]
    unread: Collection[str]


class _Unasked:
    """Stands for the contents of which nobody has asked more than the data."""

    @property
    def explicit(self) -> frozenset[str]:
        """Hand over: a field has its default again, and it takes a look at the payload to tell whether it is stored."""
        raise Unusual


_UNASKED: Final = _Unasked()
