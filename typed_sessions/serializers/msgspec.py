"""JSON and MessagePack, written by msgspec, lossless.

A value that JSON lacks is an object with one key, its tag, as in tagged JSON; a datetime keeps its microseconds and its
offset. What would not come back as it was is refused: a subclass, NaN, a key that is no text, an integer of more than
64 bits in MessagePack, text that is not Unicode.
"""

from __future__ import annotations

from typing import ClassVar, Final

import msgspec

from typed_sessions.serializers.tags import LOSSLESS, TUPLE, Tags, finite

__all__ = ["LOSSLESS_TAGS", "MsgspecJSONSerializer", "MsgspecMsgpackSerializer"]

LOSSLESS_TAGS: Final = Tags(LOSSLESS, {tuple: TUPLE, set: " s", frozenset: " f"}, finite, is_strict=False)


class MsgspecJSONSerializer:
    """Writes JSON with msgspec."""

    name: ClassVar[str] = "msgspec-json"

    def dumps(self, value: dict[str, object], /) -> bytes:
        """Return compact JSON in UTF-8.

        Raises:
            TypeError: a value is of a type that would not come back, or a key is no text.
            ValueError: a number or a text would not come back.
        """
        return msgspec.json.encode(LOSSLESS_TAGS.tagged(value))

    def loads(self, payload: bytes, /) -> object:
        """Return the value that JSON holds.

        Raises:
            ValueError: it is no JSON, or a tag's content is not its own.
        """
        return LOSSLESS_TAGS.untagged(msgspec.json.decode(payload))


class MsgspecMsgpackSerializer:
    """Writes MessagePack with msgspec."""

    name: ClassVar[str] = "msgspec-msgpack"

    def dumps(self, value: dict[str, object], /) -> bytes:
        """Return MessagePack.

        Raises:
            TypeError: a value is of a type that would not come back, or a key is no text.
            ValueError: a number or a text would not come back.
            OverflowError: an integer has more than 64 bits.
        """
        return msgspec.msgpack.encode(LOSSLESS_TAGS.tagged(value))

    def loads(self, payload: bytes, /) -> object:
        """Return the value that MessagePack holds.

        Raises:
            ValueError: it is no MessagePack, or a tag's content is not its own.
        """
        return LOSSLESS_TAGS.untagged(msgspec.msgpack.decode(payload))
