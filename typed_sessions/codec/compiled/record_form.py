"""`RecordForm`: the short way of a class that takes what it is given as it is, or refuses it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, cast

import msgspec
from typing_extensions import override

from typed_sessions.codec.compiled.declared_form import DeclaredForm, reads_flag
from typed_sessions.codec.compiled.form import Plain
from typed_sessions.codec.compiled.notations import Notation
from typed_sessions.codec.compiled.plans import Plan, Planner
from typed_sessions.codec.contents import DeclaredContents
from typed_sessions.codec.payloads import Read
from typed_sessions.schema.generated import Unusual
from typed_sessions.schema.kinds import Kind
from typed_sessions.schema.schema import Schema

__all__ = ["RecordForm"]


class RecordForm(DeclaredForm):
    """The short way of a class that takes what it is given as it is, or refuses it; see `Schema.plain_class`.

    Its data is made of what msgspec has read by one call.
    """

    def __init__(
        self, schema: Schema[Any], notation: Notation, planner: Planner, plans: Mapping[str, Plan], kind: Kind
    ) -> None:
        made = planner.made_of(plans, schema.fields, kind, has_flag=reads_flag(schema))
        super().__init__(schema, notation, planner, plans)
        self._made: Final[Callable[[Any], tuple[Any, frozenset[str], Plain]]] = self._functions[made]
        self._expects_extras = False
        """Whether the latest payload had undeclared keys. Threads may share it: it only says what to try first."""

    @override
    def read(self, payload: bytes) -> Read[Any]:
        if self._schema.migrations.steps:
            return super().read(payload)
        if not self._expects_extras:
            try:
                return self._read_fields(payload, self._decode_known(payload))
            except msgspec.ValidationError:
                self._expects_extras = True
        undeclared = self._undeclared(self._split(payload))
        if not undeclared:
            self._expects_extras = False
            return self._read_fields(payload, self._decode_known(payload))
        read = self._read_fields(payload, self._decode(payload))
        extras = cast("DeclaredContents[Any]", read.contents).extras
        read.is_exact = self._read_extras(undeclared, extras) and read.is_exact
        read.raws = undeclared
        return read

    def _read_fields(self, payload: bytes, wire: object) -> Read[Any]:
        """Return what a payload holds of declared fields, and `_permanent`."""
        if self._nests_deep:
            self._refuse_depth(payload)
        try:
            data, pinned, extras = self._made(wire)
        except Exception as error:  # a class of the user's may raise anything
            raise Unusual from error
        contents = DeclaredContents(self._schema, data, extras, pinned, _NONE, None, payload, self._split)
        return Read(contents, payload, 0, wire=wire, is_exact=self._is_closed)


_NONE: Final[frozenset[str]] = frozenset()
