"""Any text in the place of a sealed one: a payload or a reason, never an error. Long: `HYPOTHESIS_PROFILE=long`."""

from __future__ import annotations

import hashlib
import zlib
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from itsdangerous import Signer
from itsdangerous.encoding import base64_encode, int_to_bytes

from tests.strategies import any_text, edited
from typed_sessions.codec.codec import MAX_PAYLOAD
from typed_sessions.reports import Reason, Refused
from typed_sessions.sealing.keys import SecretKeys
from typed_sessions.sealing.signed import SignedSealer, unverified

NOW = 1_800_000_000
LIFETIME = 1000
KEY = "the key of these tests"
SALT = "cookie-session"
SEALER = SignedSealer(
    SecretKeys(KEY, ("an earlier key",)),
    salt=SALT,
    lifetime=timedelta(seconds=LIFETIME),
    leeway=timedelta(seconds=30),
    clock=lambda: NOW,
)
SIGNER = Signer(KEY, salt=SALT, key_derivation="hmac", digest_method=hashlib.sha1)
URL_SAFE = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
STAMP = base64_encode(int_to_bytes(NOW))

encoded = st.text(URL_SAFE + "=.+/!é", max_size=40).map(str.encode)
packed = st.one_of(
    encoded,
    st.binary(max_size=60).map(base64_encode),
    encoded.map(lambda text: b"." + text),
    st.binary(max_size=60).map(lambda part: b"." + base64_encode(part)),
    st.binary(max_size=60).map(lambda part: b"." + base64_encode(zlib.compress(part))),
    st.integers(MAX_PAYLOAD - 2, MAX_PAYLOAD + 2).map(lambda size: b"." + base64_encode(zlib.compress(bytes(size), 1))),
)


@given(text=st.one_of(any_text(), st.text(URL_SAFE + ".=é\x00 \ud800", max_size=80)))
def test_any_text_is_refused(text: str) -> None:
    outcome = SEALER.open(text)
    assert isinstance(outcome, Refused)
    assert outcome.reason in {Reason.MALFORMED, Reason.SIGNATURE}
    moment = unverified(text).sealed_at
    assert moment is None or moment.tzinfo is not None


@pytest.mark.parametrize("alphabet", [URL_SAFE + "._-=", st.characters()], ids=["URL-safe", "any"])
@given(payload=st.one_of(st.binary(max_size=40), st.binary(max_size=4).map(lambda part: part * 60)), data=st.data())
def test_any_edit_of_a_genuine_text_is_refused_or_changes_nothing(
    payload: bytes, alphabet: str | st.SearchStrategy[str], data: st.DataObject
) -> None:
    text = SEALER.seal(payload)
    outcome = SEALER.open(data.draw(edited(text, alphabet)))
    if isinstance(outcome, Refused):
        assert outcome.reason in {Reason.MALFORMED, Reason.SIGNATURE}
    else:
        assert outcome == (payload, 0)


@given(part=packed)
def test_anything_under_a_valid_signature_is_a_payload_or_refused(part: bytes) -> None:
    outcome = SEALER.open(SIGNER.sign(part + b"." + STAMP).decode())
    if isinstance(outcome, Refused):
        assert outcome.reason in {Reason.ENCODING, Reason.TOO_LARGE}
    else:
        assert part.startswith(b".") is False or len(outcome[0]) <= MAX_PAYLOAD


@given(stamp=st.one_of(encoded, st.binary(max_size=12).map(base64_encode), st.integers(0, 2**64 - 1)))
def test_any_time_under_a_valid_signature_is_judged(stamp: bytes | int) -> None:
    part = base64_encode(int_to_bytes(stamp)) if isinstance(stamp, int) else stamp
    outcome = SEALER.open(SIGNER.sign(b"e30." + part).decode())
    if isinstance(stamp, int):
        fits = -30 <= NOW - stamp <= LIFETIME
        assert outcome == ((b"{}", NOW - stamp) if fits else Refused(Reason.EXPIRED if stamp < NOW else Reason.FUTURE))
    else:
        assert (isinstance(outcome, tuple) and outcome[0] == b"{}") or (
            isinstance(outcome, Refused)
            and outcome.reason in {Reason.MALFORMED, Reason.EXPIRED, Reason.FUTURE, Reason.ENCODING}
        )
