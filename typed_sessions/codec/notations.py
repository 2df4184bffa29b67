"""The notations of the built-in serializers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final, cast

import msgspec

from typed_sessions.schema.generated import Unusual
from typed_sessions.schema.types.notation import Convert, Notation
from typed_sessions.serializers.base import AnySerializer
from typed_sessions.serializers.msgspec import JSON_TAGS, MSGPACK_TAGS, MsgspecJSONSerializer, MsgspecMsgpackSerializer
from typed_sessions.serializers.tagged_json import TaggedJSONSerializer
from typed_sessions.serializers.tags import LOSSLESS, STOCK, TUPLE, Tags, exact_float, finite

__all__ = ["Notation", "notation_of"]


def notation_of(serializer: AnySerializer) -> Notation | None:
    """Return the notation of a built-in serializer; None for any other, and for one with tags of the user's."""
    if isinstance(serializer, TaggedJSONSerializer):
        return _TAGGED_JSON[serializer.sort_keys] if serializer.is_stock else None
    return _LOSSLESS.get(type(serializer))


def _writer(encode: Convert, *, in_ascii: bool = False) -> Convert:
    """Return the function that makes a payload of plain values: in ASCII as the `json` module writes it."""

    def written(plain: object) -> Any:
        try:
            payload: bytes = encode(plain)
        except RecursionError:
            raise
        except Exception:  # noqa: BLE001 -- msgspec's, or those of a class of the user's, whose attributes it reads
            raise Unusual from None
        if not in_ascii or (payload.isascii() and b"\x7f" not in payload):
            return payload
        return _BEYOND_ASCII.sub(_escaped, payload.decode()).encode("ascii")

    return written


_BEYOND_ASCII: Final = re.compile(r"[^\x00-\x7e]")


def _escaped(match: re.Match[str]) -> str:
    point = ord(match[0])
    if point <= 0xFFFF:  # noqa: PLR2004 -- the basic plane
        return f"\\u{point:04x}"
    point -= 0x10000
    return f"\\u{0xD800 | point >> 10:04x}\\u{0xDC00 | point & 0x3FF:04x}"


_JSON_MARKS: Final = b"[{"
_MSGPACK_MARKS: Final = bytes([*range(0x80, 0xA0), *range(0xDC, 0xE0)])
"""Arrays and maps. Other bytes may be the same ones, so that there are at most as many containers."""


def _last_tag_in_json(payload: bytes) -> int:
    """Return where the last text begins that may have a space in front, as all tags do; -1 if none has."""
    return max(payload.rfind(b'" '), payload.rfind(b"\\u") if b"\\" in payload else -1)


_STOCK_TAGS: Final = Tags(STOCK, {tuple: TUPLE}, exact_float, is_strict=True)


def _notation(form: Any, tags: Tags, *, is_stock: bool = False, sort_keys: bool = False) -> Notation:
    """Return the notation of tagged JSON, or of ours.

    Args:
        form: the module of msgspec that has its encoder and its decoder.
        tags: those of the format.
        is_stock: whether Quart and Flask write it, too.
        sort_keys: whether keys are sorted.
    """
    encode: Convert = form.Encoder(uuid_format="hex", order="sorted" if sort_keys else None).encode
    is_json = form is msgspec.json
    return Notation(
        encode=_writer(encode, in_ascii=is_stock),
        encode_unescaped=encode,
        decoder=lambda annotation: cast("Convert", form.Decoder(annotation).decode),
        spellings=STOCK if is_stock else LOSSLESS,
        tuple_tag=TUPLE,
        tags=tags.keys,
        tagged=tags.tagged,
        untagged=tags.untagged,
        last_tag=_last_tag_in_json if is_json else len,
        is_strict=is_stock,
        exact_float=exact_float if is_stock else finite,
        container_marks=_JSON_MARKS if is_json else _MSGPACK_MARKS,
        keeps_order=not sort_keys,
    )


_TAGGED_JSON: Final[Mapping[bool, Notation]] = {
    is_sorted: _notation(msgspec.json, _STOCK_TAGS, is_stock=True, sort_keys=is_sorted) for is_sorted in (False, True)
}
_LOSSLESS: Final[Mapping[type, Notation]] = {
    MsgspecJSONSerializer: _notation(msgspec.json, JSON_TAGS),
    MsgspecMsgpackSerializer: _notation(msgspec.msgpack, MSGPACK_TAGS),
}
