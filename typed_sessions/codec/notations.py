"""The notations of the built-in serializers."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

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


def _writer(encode: Callable[[object], bytes]) -> Callable[[object], bytes]:
    def written(plain: object) -> bytes:
        try:
            return encode(plain)
        except RecursionError:
            raise
        except Exception:  # noqa: BLE001 -- msgspec's, or those of a class of the user's, whose attributes it reads
            raise Unusual from None

    return written


def _ascii_writer(encode: Callable[[object], bytes]) -> Callable[[object], bytes]:
    """Return the function that makes a payload of plain values in ASCII, as the `json` module writes it."""

    def written(plain: object) -> bytes:
        try:
            payload = encode(plain)
        except RecursionError:
            raise
        except Exception:  # noqa: BLE001 -- as above
            raise Unusual from None
        if payload.isascii() and b"\x7f" not in payload:
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


def _json_decoder(annotation: Any) -> Convert:
    decode: Convert = msgspec.json.Decoder(annotation).decode
    return decode


def _msgpack_decoder(annotation: Any) -> Convert:
    decode: Convert = msgspec.msgpack.Decoder(annotation).decode
    return decode


_JSON_MARKS: Final = b"[{"
_MSGPACK_MARKS: Final = bytes([*range(0x80, 0xA0), *range(0xDC, 0xE0)])
"""Arrays and maps. Other bytes may be the same ones, so that there are at most as many containers."""


def _last_tag_in_json(payload: bytes) -> int:
    """Return where the last text begins that may have a space in front, as all tags do; -1 if none has."""
    return max(payload.rfind(b'" '), payload.rfind(b"\\u") if b"\\" in payload else -1)


_STOCK_TAGS: Final = Tags(STOCK, {tuple: TUPLE}, exact_float, is_strict=True)


def _tagged_json(*, sort_keys: bool) -> Notation:
    encode = msgspec.json.Encoder(uuid_format="hex", order="sorted" if sort_keys else None).encode
    return Notation(
        encode=_ascii_writer(encode),
        encode_unescaped=encode,
        decoder=_json_decoder,
        spellings=STOCK,
        tuple_tag=TUPLE,
        tags=_STOCK_TAGS.keys,
        tagged=_STOCK_TAGS.tagged,
        untagged=_STOCK_TAGS.untagged,
        last_tag=_last_tag_in_json,
        is_strict=True,
        exact_float=exact_float,
        container_marks=_JSON_MARKS,
        keeps_order=not sort_keys,
    )


def _lossless(
    encode: Callable[[object], bytes],
    decoder: Callable[[Any], Convert],
    marks: bytes,
    tags: Tags,
    last_tag: Callable[[bytes], int],
) -> Notation:
    return Notation(
        encode=_writer(encode),
        encode_unescaped=encode,
        decoder=decoder,
        spellings=LOSSLESS,
        tuple_tag=TUPLE,
        tags=tags.keys,
        tagged=tags.tagged,
        untagged=tags.untagged,
        last_tag=last_tag,
        is_strict=False,
        exact_float=finite,
        container_marks=marks,
    )


_TAGGED_JSON: Final[Mapping[bool, Notation]] = {
    is_sorted: _tagged_json(sort_keys=is_sorted) for is_sorted in (False, True)
}
_LOSSLESS: Final[Mapping[type, Notation]] = {
    MsgspecJSONSerializer: _lossless(
        msgspec.json.Encoder(uuid_format="hex").encode, _json_decoder, _JSON_MARKS, JSON_TAGS, _last_tag_in_json
    ),
    MsgspecMsgpackSerializer: _lossless(
        msgspec.msgpack.Encoder(uuid_format="hex").encode, _msgpack_decoder, _MSGPACK_MARKS, MSGPACK_TAGS, len
    ),
}
