"""`OpenForm`: the short way without a schema."""

from __future__ import annotations

from typing import Any, Final, cast

import msgspec
from typing_extensions import override

from typed_sessions.codec.compiled.form import PLAIN, Form, Plain
from typed_sessions.codec.compiled.notations import Notation
from typed_sessions.codec.contents import Contents, KeyedContents
from typed_sessions.codec.payloads import Lowered, Read
from typed_sessions.schema.generated import Unusual
from typed_sessions.schema.migrations import VERSION_KEY
from typed_sessions.schema.schema import Schema

__all__ = ["OpenForm"]


class OpenForm(Form):
    """The short way without a schema: every key holds anything."""

    def __init__(self, schema: Schema[Any], notation: Notation) -> None:
        super().__init__(schema, notation)
        self._decode: Final = notation.decoder(dict[str, Any])

    @override
    def read(self, payload: bytes) -> Read[Any]:
        plain: Plain = self._decode(payload)
        self._refuse_depth(payload)
        if len(plain) == 1:
            self._refuse_tag(plain)
        values = {key: item if type(item) in PLAIN else self._untagged(item) for key, item in plain.items()}
        return Read(KeyedContents(self._schema, values), payload, 0, wire=payload, is_exact=self._is_strict)

    @override
    def look(self, read: Read[Any]) -> Read[Any] | Lowered[Any] | None:
        contents = cast("KeyedContents[Any]", read.contents)  # those that it has made
        touched = contents.touched
        if touched is None or not self._keeps_order:
            return None
        return self._redrafted(read, contents, touched.copy()) if touched else read  # threads may touch more

    def _redrafted(self, read: Read[Any], contents: KeyedContents[Any], touched: set[str]) -> Read[Any] | Lowered[Any]:
        """Return the draft of what was read, with what has changed of some keys; all else is written as it came."""
        plain, values = self._split(read.payload), {**contents.values}
        changes: Plain = {}
        for key in touched:
            if key in values:
                part = self._changed(values[key], plain.get(key))
                if part is not msgspec.UNSET:
                    plain[key] = changes[key] = part
        if not changes and len(values) == len(plain):
            return read
        self._refuse_keys(changes)
        if [*plain] != [*values]:
            plain = {key: plain[key] for key in values}
        if len(plain) == 1:
            self._refuse_tag(plain)
        return Lowered(contents, 0, self._encode(plain), plain, (), plain)

    @override
    def payload(self, contents: Contents[Any], version: int = 0) -> bytes:
        return self._encode(self._plain(contents, version))

    def _plain(self, contents: Contents[Any], version: int) -> Plain:
        plain: Plain = self._tagged({**cast("KeyedContents[Any]", contents).values})
        if version:
            plain[VERSION_KEY] = version
        return plain

    @override
    def lower(self, contents: Contents[Any], version: int = 0, *, unless: bytes = b"") -> Lowered[Any]:
        plain = self._plain(contents, version)
        payload = self._encode(plain)
        if payload == unless:
            return Lowered(contents, version, payload, plain, (), None)
        read = self._decode(payload)
        self._refuse_depth(payload)
        if read != plain:
            raise Unusual
        return Lowered(contents, version, payload, plain, (), read)

    @override
    def differs(self, before: Read[Any], after: Lowered[Any]) -> bool:
        return bool(self._decode(before.payload) != after.wire)
