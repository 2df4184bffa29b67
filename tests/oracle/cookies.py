"""Cookies that are made without the library, and read without it: by itsdangerous and by the formats' own libraries."""

from __future__ import annotations

import hashlib
import json
import time
import zlib
from http.cookies import SimpleCookie
from typing import Any, Final

import flask
import msgspec
from flask.json.tag import TaggedJSONSerializer
from itsdangerous import BadSignature, Signer
from itsdangerous.encoding import base64_decode, base64_encode, bytes_to_int, int_to_bytes

from tests.oracle.interfaces import OWN_SALT
from tests.oracle.outcomes import Aliases, SetCookie
from tests.oracle.sequences import Form, Tampering

__all__ = ["Named", "examined", "sealed", "tampered"]

_SALT: Final = "cookie-session"
_OWN_SALTS: Final = {form: f"{_SALT}.{form}" for form in ("msgspec-json", "msgspec-msgpack", "named")}
_FLASK: Final = flask.Flask("stock")


class Named:
    """A user's format, signed under a salt of its own."""

    name = "named"

    def dumps(self, value: dict[str, object], /) -> str:
        return json.dumps(value, indent=1)

    def loads(self, payload: str, /) -> object:
        value: object = json.loads(payload)
        return value


def sealed(value: Any, form: Form, *, key: str | bytes, digest: str, age: float) -> str:
    """Return the cookie of a value, as somebody writes it who has the key."""
    payload = _packed(form, value)
    signer = Signer(
        key,
        salt=_OWN_SALTS.get(form, _SALT),
        key_derivation="hmac",
        digest_method=getattr(hashlib, digest),
    )
    stamp = base64_encode(int_to_bytes(max(int(time.time() - age), 0)))
    is_compressed = payload.startswith(b".")
    text = b"." * is_compressed + base64_encode(payload[is_compressed:])
    return signer.sign(text + b"." + stamp).decode()


def _packed(form: Form, value: Any) -> bytes:
    try:
        match form:
            case "bytes":
                payload: bytes = value
                return payload
            case "quart":
                return _smaller(TaggedJSONSerializer().dumps(value).encode())
            case "flask":
                with _FLASK.app_context():
                    return _smaller(TaggedJSONSerializer().dumps(value).encode())
            case "msgspec-json":
                return msgspec.json.encode(value, enc_hook=repr)
            case "msgspec-msgpack":
                return msgspec.msgpack.encode(value, enc_hook=repr)
            case "named":
                return Named().dumps(value).encode()
    except (TypeError, ValueError, OverflowError, RecursionError):  # what a format cannot hold, nobody has written
        return b"{}"


def _smaller(payload: bytes) -> bytes:
    """Return a payload compressed, where itsdangerous compresses it."""
    compressed = zlib.compress(payload)
    return b"." + compressed if len(compressed) < len(payload) - 1 else payload


def tampered(text: str, tampering: Tampering | None) -> str:
    """Return a text with another character at a place of one of its parts: one that its signature depends on.

    Not the first, which says whether the payload is compressed, nor the last, of which the signature has bits to spare.
    """
    if tampering is None:
        return text
    first, *others = text.rsplit(".", 2)
    parts = [first, *others]
    part = min(tampering.part, len(parts) - 1)
    old = parts[part]
    place = min(1 + int(tampering.place * len(old)), len(old) - 2)
    if place < 1:
        return text + tampering.instead
    # An identifier is random, and may have that very character there: then it becomes another one of its kind.
    instead = tampering.instead if tampering.instead != old[place] else "AB"[old[place] == "A"]
    parts[part] = old[:place] + instead + old[place + 1 :]
    return ".".join(parts)


def examined(header: str, *, key: object, digest: str, is_on_server: bool, aliases: Aliases) -> SetCookie:
    """Return what a `Set-Cookie` header says."""
    name_and_value, separator, attributes = header.partition(";")
    name, _, value = name_and_value.partition("=")
    rest = f"{name}={separator}{attributes}"
    if not value:
        return SetCookie("", rest)
    if is_on_server and "." not in value:
        return SetCookie(aliases.of(value), rest)
    text = "".join(each.value for each in SimpleCookie(f"c={value}").values())
    payload = _payload_in(text)
    return SetCookie(value, rest, _spelled(payload), _seal_of(text, key, digest), len(payload))


def _payload_in(text: str) -> bytes:
    is_compressed = text.startswith(".")
    try:
        payload = base64_decode(text[is_compressed:].split(".", maxsplit=1)[0])
        return zlib.decompress(payload) if is_compressed else payload
    except (BadSignature, ValueError, zlib.error):
        return b"unreadable"


def _spelled(payload: bytes) -> str:
    try:
        return payload.decode("ascii")
    except UnicodeDecodeError:
        return repr(payload)


def _seal_of(text: str, key: object, digest: str) -> str:
    if not isinstance(key, (str, bytes)) or not key:
        return "no key"
    salts = [_SALT, *_OWN_SALTS.values()]
    for salt in (*salts, *(each.replace(_SALT, OWN_SALT) for each in salts)):
        signer = Signer(key, salt=salt, key_derivation="hmac", digest_method=getattr(hashlib, digest))
        if signer.validate(text):
            stamp = text.rsplit(".", 2)[1]
            return f"{salt} at {bytes_to_int(base64_decode(stamp))}"
    return "nobody"
