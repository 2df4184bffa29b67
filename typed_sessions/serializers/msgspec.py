"""JSON and MessagePack, written by msgspec, lossless.

A value that JSON lacks is an object with one key, its tag, as in tagged JSON; a datetime keeps its microseconds and its
offset. What would not come back as it was is refused: a subclass, NaN, a key that is no text, an integer of more than
64 bits in MessagePack, text that is not Unicode.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Final

import msgspec

from typed_sessions.serializers.tags import LOSSLESS, TUPLE, Tags, finite

__all__ = ["JSON_TAGS", "MSGPACK_TAGS", "MsgspecJSONSerializer", "MsgspecMsgpackSerializer"]

_CONTAINERS: Final[Mapping[type, str]] = {tuple: TUPLE, set: " s", frozenset: " f"}
JSON_TAGS: Final = Tags(LOSSLESS, _CONTAINERS, finite)
MSGPACK_TAGS: Final = Tags(LOSSLESS, _CONTAINERS, finite, reads_any_key=True)


class _Lossless:
    _format: ClassVar[Any]
    """The module of msgspec that has the format's `encode` and `decode`."""
    _tags: ClassVar[Tags]

    def dumps(self, value: dict[str, object], /) -> bytes:
        """Return the payload that holds a value: compact JSON in UTF-8, or MessagePack.

        Raises:
            TypeError: a value is of a type that would not come back, or a key is no text.
            ValueError: a number or a text would not come back.
            OverflowError: an integer has more bits than MessagePack holds, which are 64.
        """
        payload: bytes = self._format.encode(self._tags.tagged(value))
        return payload

    def loads(self, payload: bytes, /) -> object:
        """Return the value that a payload holds.

        Raises:
            ValueError: it is none of this format, or a tag's content is not its own.
        """
        return self._tags.untagged(self._format.decode(payload))


class MsgspecJSONSerializer(_Lossless):
    """Writes JSON with msgspec."""

    name: ClassVar[str] = "msgspec-json"
    _format: ClassVar[Any] = msgspec.json
    _tags: ClassVar[Tags] = JSON_TAGS


class MsgspecMsgpackSerializer(_Lossless):
    """Writes MessagePack with msgspec."""

    name: ClassVar[str] = "msgspec-msgpack"
    _format: ClassVar[Any] = msgspec.msgpack
    _tags: ClassVar[Tags] = MSGPACK_TAGS
