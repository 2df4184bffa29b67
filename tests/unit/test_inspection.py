"""What a developer sees of a cookie."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from itsdangerous import URLSafeTimedSerializer
from markupsafe import Markup

from typed_sessions.reports import Reason
from typed_sessions.sealing.encrypted import EncryptedSealer
from typed_sessions.sealing.keys import SecretKeys, key_id, named_digest
from typed_sessions.sealing.signed import SignedSealer
from typed_sessions.serializers import MsgspecJSONSerializer, MsgspecMsgpackSerializer, TaggedJSONSerializer
from typed_sessions.tools.inspection import inspect_cookie

KEY = "a secret key that is long enough"
SEALED = datetime(2026, 11, 23, 3, 15, 4, tzinfo=UTC)
CONTENTS = {"user_id": 7, "_flashes": [("message", Markup("<b>"))], "raw": b"\xff"}
FORMATS: dict[str, Any] = {
    "tagged-json": TaggedJSONSerializer(),
    "msgspec-json": MsgspecJSONSerializer(),
    "msgspec-msgpack": MsgspecMsgpackSerializer(),
}
NAMES = pytest.mark.parametrize("name", FORMATS)


def sealed(payload: bytes, *, salt: str = "cookie-session", digest: str = "sha1") -> str:
    sealer = SignedSealer(
        SecretKeys(KEY),
        salt=salt,
        lifetime=timedelta(days=1),
        leeway=timedelta(),
        clock=SEALED.timestamp,
        digests=(named_digest(digest),),
    )
    return sealer.seal(payload)


def cookie(name: str, **options: str) -> str:
    payload = FORMATS[name].dumps(CONTENTS)
    salt = options.pop("salt", "cookie-session")
    salt = salt if name == "tagged-json" else f"{salt}.{name}"
    return sealed(payload if isinstance(payload, bytes) else payload.encode(), salt=salt, **options)


class OwnFormat:
    name = "own"

    def dumps(self, value: dict[str, object], /) -> str:
        return json.dumps(value)[::-1]

    def loads(self, payload: str, /) -> object:
        return json.loads(payload[::-1])


def test_a_cookie_of_a_format_of_ones_own_is_verified_with_its_serializer() -> None:
    text = sealed(OwnFormat().dumps({"user_id": 7}).encode(), salt="cookie-session.own")
    assert not inspect_cookie(text, KEY).verified
    inspection = inspect_cookie(text, KEY, serializers=(OwnFormat(),))
    assert (inspection.verified, inspection.formats, inspection.contents) == (True, ("own",), {"user_id": 7})


def test_a_format_without_a_name_shares_its_salt_with_tagged_json() -> None:
    tagged = sealed(TaggedJSONSerializer().dumps({"at": (1, 2)}).encode(), salt="cookie-session")
    inspection = inspect_cookie(tagged, KEY, serializers=(json,))
    assert (inspection.verified, inspection.formats, inspection.contents) == (True, ("tagged-json",), {"at": (1, 2)})
    assert inspection.refused is None


@NAMES
def test_a_genuine_cookie_is_verified_and_shown_whatever_its_age(name: str) -> None:
    text = cookie(name)
    inspection = inspect_cookie(text, KEY)
    assert inspection.verified
    assert inspection.refused is None
    assert inspection.formats == (name,)
    assert inspection.sealed_at == SEALED
    assert inspection.size == len(text)
    payload = FORMATS[name].dumps(CONTENTS)
    assert inspection.payload_size == len(payload)
    assert inspection.contents == CONTENTS


@NAMES
def test_without_a_key_it_is_shown_as_unverified_and_nothing_is_refused(name: str) -> None:
    inspection = inspect_cookie(cookie(name), None)
    assert not inspection.verified
    assert inspection.refused is None
    assert name in inspection.formats
    assert inspection.contents == CONTENTS


@NAMES
def test_under_another_key_it_is_shown_as_refused_and_unverified(name: str) -> None:
    inspection = inspect_cookie(cookie(name), "another key")
    assert not inspection.verified
    assert inspection.refused is Reason.SIGNATURE
    assert inspection.contents == CONTENTS


def test_an_own_salt_and_digest_are_taken() -> None:
    text = cookie("msgspec-json", salt="own", digest="sha256")
    assert inspect_cookie(text, KEY, salt="own", digest=named_digest("sha256")).verified
    assert not inspect_cookie(text, KEY).verified


def test_a_cookie_of_stock_quart_is_verified() -> None:
    text = URLSafeTimedSerializer(
        KEY, salt="cookie-session", serializer=TaggedJSONSerializer(), signer_kwargs={"key_derivation": "hmac"}
    ).dumps({"n": 1})
    inspection = inspect_cookie(str(text), KEY)
    assert inspection.verified
    assert inspection.contents == {"n": 1}


def test_a_compressed_cookie_says_so() -> None:
    inspection = inspect_cookie(sealed(b'{"a":"%s"}' % (b"x" * 500)), KEY)
    assert inspection.compressed
    assert inspection.payload_size == 508
    assert inspection.size < 100


@pytest.mark.parametrize(
    ("text", "refused"),
    [
        pytest.param("", Reason.MALFORMED, id="empty"),
        pytest.param("a.b", Reason.MALFORMED, id="too-few-parts"),
        pytest.param(".AAAA.ahbJAA.AAAA", Reason.ENCODING, id="bad-zlib"),
        pytest.param("bm8.ahbJAA.AAAA", Reason.UNREADABLE, id="no-format"),
        pytest.param("\ud800.é.\x1b", Reason.UNREADABLE, id="no-ascii"),
    ],
)
def test_what_is_no_session_is_refused_with_its_reason(text: str, refused: Reason) -> None:
    inspection = inspect_cookie(text, None)
    assert inspection.refused is refused
    assert inspection.contents is None
    assert inspection.formats == ()


def test_a_signed_cookie_that_no_format_reads_is_verified_and_refused() -> None:
    inspection = inspect_cookie(sealed(b"no"), KEY)
    assert inspection.verified
    assert inspection.refused is Reason.UNREADABLE


@given(text=st.text(st.characters(), max_size=60), key=st.sampled_from([None, KEY]))
def test_any_text_can_be_looked_at(text: str, key: str | None) -> None:
    assert not inspect_cookie(text, key).verified


def encrypted(name: str, payload: bytes | None = None, **options: Any) -> str:
    plain = FORMATS[name].dumps(CONTENTS) if payload is None else payload
    salt = "cookie-session" if name == "tagged-json" else f"cookie-session.{name}"
    settings: dict[str, Any] = {"salt": salt, "cookie_name": "session", "room": 3_000} | options
    spans: dict[str, Any] = {"lifetime": timedelta(1), "leeway": timedelta()}
    sealer = EncryptedSealer(SecretKeys(KEY), clock=SEALED.timestamp, **spans, **settings)
    return sealer.seal(plain if isinstance(plain, bytes) else plain.encode())


@NAMES
@pytest.mark.parametrize("room", [0, 3_000], ids=["compressed", "plain"])
def test_an_encrypted_cookie_is_shown_with_its_key_whatever_its_age(name: str, room: int) -> None:
    payload = FORMATS[name].dumps({"text": "x" * 500})
    text = encrypted(name, payload if isinstance(payload, bytes) else payload.encode(), room=room)
    inspection = inspect_cookie(text, KEY)
    assert (inspection.verified, inspection.refused, inspection.formats) == (True, None, (name,))
    assert (inspection.sealed_at, inspection.size) == (SEALED, len(text))
    assert (inspection.payload_size, inspection.compressed) == (len(payload), room == 0)
    assert inspection.contents == {"text": "x" * 500}
    assert inspection.key_id == key_id(KEY.encode())


@NAMES
def test_an_encrypted_cookie_shows_nothing_without_its_key(name: str) -> None:
    text = encrypted(name)
    for key, refused in ((None, None), ("another key", Reason.SIGNATURE)):
        inspection = inspect_cookie(text, key)
        assert (inspection.verified, inspection.refused, inspection.contents) == (False, refused, None)
        assert (inspection.formats, inspection.payload_size) == ((), None)
        assert (inspection.sealed_at, inspection.key_id) == (SEALED, key_id(KEY.encode()))


def test_an_encrypted_cookie_takes_the_name_and_the_salt_that_it_was_made_with() -> None:
    text = encrypted("tagged-json", cookie_name="shop", salt="own")
    assert inspect_cookie(text, KEY, cookie_name="shop").refused is Reason.SIGNATURE
    assert inspect_cookie(text, KEY, salt="own").refused is Reason.SIGNATURE
    assert inspect_cookie(text, KEY, cookie_name="shop", salt="own").contents == CONTENTS


def test_an_encrypted_cookie_that_no_format_reads_is_verified_and_refused() -> None:
    inspection = inspect_cookie(encrypted("tagged-json", b"no"), KEY)
    assert (inspection.verified, inspection.refused) == (True, Reason.UNREADABLE)
    bomb = inspect_cookie(encrypted("tagged-json", bytes(2_000_000)), KEY)
    assert (bomb.verified, bomb.refused) == (True, Reason.TOO_LARGE)
