"""Signed texts, beside itsdangerous: the same text from the same payload, the same verdict on any text."""

from __future__ import annotations

import hashlib
import random
import tracemalloc
import zlib
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from hypothesis import example, given, settings
from hypothesis import strategies as st
from itsdangerous import BadData, Signer, TimestampSigner, URLSafeTimedSerializer
from itsdangerous.encoding import base64_decode, base64_encode, int_to_bytes
from typing_extensions import override

from tests.strategies import any_text, edited
from typed_sessions.codec.codec import MAX_PAYLOAD
from typed_sessions.errors import ConfigurationError
from typed_sessions.reports import Reason, Refused
from typed_sessions.sealing.base import KeylessSealer, as_datetime
from typed_sessions.sealing.base64url import from_base64
from typed_sessions.sealing.keys import DigestMethod, SecretKeys, hkdf, key_id, known_digest, named_digest
from typed_sessions.sealing.signed import SignedSealer, sealed_size, unverified

NOW = 1_800_000_000
KEY = "the key of these tests"
OLD, OLDER = "an earlier key", "the earliest key"
SALT = "cookie-session"
LIFETIME = 1000
LEEWAY = 30

PAYLOADS = {
    "empty": b"",
    "one byte": b"\x00",
    "short": b'{"user_id":7}',
    "dots": b"...",
    "just too short to compress": b"a" * 200,
    "just long enough to compress": b"a" * 201,
    "compressible": b'{"cart":["apple","apple","apple","apple","apple","apple","apple"]}' * 20,
    "incompressible": random.Random(7).randbytes(3000),  # noqa: S311 -- the same bytes in every run are wanted
}
EVERY_PAYLOAD = pytest.mark.parametrize("payload", PAYLOADS.values(), ids=PAYLOADS)
URL_SAFE = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


class PayloadSealer(SignedSealer):
    """A sealer whose payloads a test compares, whatever their age."""

    def payload(self, text: str) -> bytes | Refused:
        outcome = self.open(text)
        return outcome if isinstance(outcome, Refused) else outcome[0]


class Bytes:
    """A serializer that leaves bytes as they are, so that itsdangerous seals what we seal."""

    def dumps(self, value: Any) -> Any:
        return value

    def loads(self, payload: Any) -> Any:
        return payload


def sealer(
    *keys: str | bytes,
    at: float = NOW,
    salt: str | bytes = SALT,
    key_derivation: str = "hmac",
    digests: tuple[DigestMethod, ...] = (hashlib.sha1,),
    leeway: float = LEEWAY,
) -> PayloadSealer:
    """A sealer with these keys, the current one last, at a time."""
    *fallbacks, current = keys or (KEY,)
    return PayloadSealer(
        SecretKeys(current, tuple(fallbacks)),
        salt=salt,
        lifetime=timedelta(seconds=LIFETIME),
        leeway=timedelta(seconds=leeway),
        clock=lambda: at,
        key_derivation=key_derivation,
        digests=digests,
    )


class Oracle:
    """What itsdangerous makes of the same arguments."""

    def __init__(
        self,
        *keys: str | bytes,
        at: int = NOW,
        salt: str | bytes = SALT,
        key_derivation: str = "hmac",
        digest: DigestMethod = hashlib.sha1,
    ) -> None:
        class SignerAt(TimestampSigner):
            @override
            def get_timestamp(self) -> int:
                return at

        self.serializer = URLSafeTimedSerializer(
            [key.encode() if isinstance(key, str) else key for key in keys or (KEY,)],
            salt=salt,
            serializer=Bytes(),
            signer=SignerAt,
            signer_kwargs={"key_derivation": key_derivation, "digest_method": digest},
        )

    def seal(self, payload: bytes) -> str:
        """Its text of a payload of more than 200 bytes; what is no longer is left uncompressed."""
        small = self.serializer.make_signer().sign(base64_encode(payload))
        large: Any = self.serializer.dumps(payload)  # bytes, as its serializer's
        return str(small if len(payload) <= 200 else large, "ascii")

    def payload(self, text: str, max_age: int | None = None) -> bytes | None:
        """The payload that itsdangerous finds in a text of any age up to this, or None if it refuses it."""
        try:
            payload: bytes = self.serializer.loads(text, max_age=max_age)
        except BadData:
            return None
        return payload


def signed(packed: bytes, stamp: bytes | None = None, *, key: str = KEY) -> str:
    """A text with a valid signature over anything: what only a holder of the key makes."""
    stamp = base64_encode(int_to_bytes(NOW)) if stamp is None else stamp
    signer = Signer(key, salt=SALT, key_derivation="hmac", digest_method=hashlib.sha1)
    return signer.sign(packed + b"." + stamp).decode("ascii")


def compressed(payload: bytes) -> bytes:
    return b"." + base64_encode(zlib.compress(payload))


@pytest.mark.parametrize("key_derivation", ["hmac", "concat", "django-concat", "none"])
@pytest.mark.parametrize("digest", [hashlib.sha1, hashlib.sha256, hashlib.sha512], ids=["sha1", "sha256", "sha512"])
@pytest.mark.parametrize("salt", [SALT, "another salt", b"\x00\xff"], ids=["Quart's", "another", "bytes"])
def test_the_text_is_that_of_itsdangerous_and_each_opens_it(
    key_derivation: str, digest: DigestMethod, salt: str | bytes
) -> None:
    ours = sealer(salt=salt, key_derivation=key_derivation, digests=(digest,))
    theirs = Oracle(salt=salt, key_derivation=key_derivation, digest=digest)
    for payload in PAYLOADS.values():
        text = ours.seal(payload)
        assert text == theirs.seal(payload)
        assert ours.payload(text) == theirs.payload(text, LIFETIME) == payload


@settings(max_examples=200, deadline=None)
@given(payload=st.one_of(st.binary(max_size=60), st.binary(max_size=6).map(lambda part: part * 60)))
def test_any_payload_is_sealed_as_by_itsdangerous(payload: bytes) -> None:
    text = sealer().seal(payload)
    assert text == Oracle().seal(payload)
    assert sealer().payload(text) == payload


@settings(max_examples=50, deadline=None)
@given(moment=st.floats(0, datetime.max.replace(tzinfo=UTC).timestamp() - 1))
def test_a_time_counts_in_whole_seconds(moment: float) -> None:
    text = sealer(at=moment).seal(b"payload")
    assert text == Oracle(at=int(moment)).seal(b"payload")
    assert sealer().claimed_time(text) == int(moment)
    assert unverified(text).sealed_at == datetime.fromtimestamp(int(moment), UTC)


def test_what_compresses_by_a_byte_or_none_is_sealed_as_by_itsdangerous() -> None:
    noise = random.Random(7).randbytes(220)  # noqa: S311 -- the same bytes in every run are wanted
    payloads = [noise + b"a" * size for size in range(40)]
    assert {len(zlib.compress(each)) - len(each) for each in payloads} >= {-3, -2, -1, 0, 1}
    for payload in payloads:
        assert sealer().seal(payload) == Oracle().seal(payload)


def test_an_age_is_a_whole_number_in_any_century() -> None:
    assert sealer(at=300.9).open(sealer(at=256).seal(b"payload")) == (b"payload", 44)


def test_another_salt_is_refused() -> None:
    assert sealer(salt="another").payload(sealer().seal(b"payload")) == Refused(Reason.SIGNATURE)


def test_the_current_key_signs() -> None:
    assert sealer(OLDER, OLD, KEY).seal(b"payload") == Oracle(KEY).seal(b"payload")
    assert sealer(OLDER, OLD, KEY).seal(b"payload") == Oracle(OLDER, OLD, KEY).seal(b"payload")


@pytest.mark.parametrize("key", [KEY, OLD, OLDER, KEY.encode()], ids=["current", "old", "older", "current in bytes"])
def test_every_configured_key_verifies(key: str | bytes) -> None:
    assert sealer(OLDER, OLD, KEY).payload(sealer(key).seal(b"payload")) == b"payload"


@pytest.mark.parametrize(
    "key", ["an unknown key", "", KEY + " ", KEY[:-1]], ids=["unknown", "empty", "longer", "shorter"]
)
def test_an_unknown_key_is_refused(key: str) -> None:
    assert sealer(OLDER, OLD, KEY).payload(sealer(key).seal(b"payload")) == Refused(Reason.SIGNATURE)


def test_a_key_that_has_been_taken_out_no_longer_verifies() -> None:
    text = sealer(OLD).seal(b"payload")
    assert sealer(OLD, KEY).payload(text) == b"payload"
    assert sealer(KEY).payload(text) == Refused(Reason.SIGNATURE)


def test_secret_keys_are_oldest_first_for_itsdangerous() -> None:
    assert SecretKeys("new", ("oldest", b"old")).oldest_first == [b"oldest", b"old", b"new"]


@pytest.mark.parametrize(
    ("keys", "size"),
    [
        pytest.param(SecretKeys("four"), 4, id="alone"),
        pytest.param(SecretKeys("longer", ("four", b"seven..")), 4, id="of-several"),
        pytest.param(SecretKeys("\u00e9\u00e9"), 4, id="in-bytes"),
        pytest.param(SecretKeys("", ("four",)), 0, id="empty"),
    ],
)
def test_the_shortest_key_is_measured_in_bytes(keys: SecretKeys, size: int) -> None:
    assert keys.shortest == size


def test_secret_keys_do_not_show_themselves() -> None:
    assert "hush" not in repr(SecretKeys("hush 1", ("hush 2", b"hush 3")))


def test_the_first_digest_signs_and_all_verify() -> None:
    both = sealer(digests=(hashlib.sha512, hashlib.sha1))
    assert both.seal(b"payload") == Oracle(digest=hashlib.sha512).seal(b"payload")
    assert both.payload(Oracle(digest=hashlib.sha1).seal(b"payload")) == b"payload"
    assert both.payload(Oracle(digest=hashlib.sha512).seal(b"payload")) == b"payload"


def test_a_digest_that_is_not_configured_does_not_verify() -> None:
    text = Oracle(digest=hashlib.sha1).seal(b"payload")
    assert sealer(digests=(hashlib.sha512, hashlib.sha256)).payload(text) == Refused(Reason.SIGNATURE)


def test_a_fallback_digest_verifies_under_fallback_keys_too() -> None:
    text = Oracle(OLD, digest=hashlib.sha256).seal(b"payload")
    assert sealer(OLD, KEY, digests=(hashlib.sha512, hashlib.sha256)).payload(text) == b"payload"


@pytest.mark.parametrize("name", ["sha1", "sha256", "sha512", "sha3_256", "blake2b"])
def test_a_digest_by_name_signs_as_its_constructor(name: str) -> None:
    by_name, by_constructor = named_digest(name), getattr(hashlib, name)
    assert sealer(digests=(by_name,)).seal(b"payload") == sealer(digests=(by_constructor,)).seal(b"payload")


@pytest.mark.parametrize("name", ["sha1", "sha256", "sha512"])
def test_a_digest_that_a_setting_names_signs_as_its_constructor(name: str) -> None:
    ours = sealer(digests=(known_digest("SESSION_DIGEST", name),))
    assert ours.seal(b"payload") == Oracle(digest=getattr(hashlib, name)).seal(b"payload")


@pytest.mark.parametrize(
    "name", [None, 256, b"sha256", ["sha256"], hashlib.sha256, "", "sha257", "SHA-257", "shake_128"], ids=repr
)
def test_a_setting_that_names_no_digest_is_refused(name: object) -> None:
    with pytest.raises(ConfigurationError, match=r"^SESSION_DIGEST: hashlib here has no digest of that name"):
        known_digest("SESSION_DIGEST", name)


def test_a_digest_by_name_digests_nothing_by_default() -> None:
    assert named_digest("sha256")().digest() == hashlib.sha256().digest()


def test_a_digest_that_is_missing_is_missed_when_it_is_used() -> None:
    digest = named_digest("no such digest")
    with pytest.raises(ValueError, match="no such digest"):
        digest(b"")


@pytest.mark.parametrize(
    ("stamped", "expected"),
    [
        pytest.param(NOW, b"payload", id="now"),
        pytest.param(NOW - 1, b"payload", id="a second old"),
        pytest.param(NOW - LIFETIME, b"payload", id="exactly at the lifetime"),
        pytest.param(NOW - LIFETIME - 1, Refused(Reason.EXPIRED), id="one second past the lifetime"),
        pytest.param(1, Refused(Reason.EXPIRED), id="1970"),
        pytest.param(0, Refused(Reason.EXPIRED), id="zero"),
        pytest.param(NOW + 1, b"payload", id="a second ahead"),
        pytest.param(NOW + LEEWAY, b"payload", id="exactly at the leeway"),
        pytest.param(NOW + LEEWAY + 1, Refused(Reason.FUTURE), id="one second past the leeway"),
        pytest.param(2**62, Refused(Reason.FUTURE), id="2**62"),
        pytest.param(2**63, Refused(Reason.FUTURE), id="the lowest of signed 64 bits"),
        pytest.param(2**64 - 1, Refused(Reason.FUTURE), id="minus one in signed 64 bits"),
    ],
)
def test_a_text_is_taken_between_lifetime_and_leeway(stamped: int, expected: bytes | Refused) -> None:
    text = signed(base64_encode(b"payload"), base64_encode(int_to_bytes(stamped)))
    assert sealer().payload(text) == expected


def test_without_leeway_the_future_is_refused_as_by_itsdangerous() -> None:
    text = Oracle(at=NOW + 1).seal(b"payload")
    assert sealer(leeway=0).payload(text) == Refused(Reason.FUTURE)
    assert Oracle().payload(text, LIFETIME) is None


def test_a_lifetime_of_zero_ends_with_the_second() -> None:
    brief = PayloadSealer(SecretKeys(KEY), salt=SALT, lifetime=timedelta(), leeway=timedelta(), clock=lambda: NOW + 0.9)
    assert brief.payload(sealer(at=NOW).seal(b"payload")) == b"payload"
    assert brief.payload(sealer(at=NOW - 0.1).seal(b"payload")) == Refused(Reason.EXPIRED)


def test_the_clock_is_asked_each_time() -> None:
    moments = iter([NOW, NOW + LIFETIME, NOW + LIFETIME + 1])
    moving = PayloadSealer(
        SecretKeys(KEY),
        salt=SALT,
        lifetime=timedelta(seconds=LIFETIME),
        leeway=timedelta(),
        clock=lambda: next(moments),
    )
    text = moving.seal(b"payload")
    assert moving.payload(text) == b"payload"
    assert moving.payload(text) == Refused(Reason.EXPIRED)


@pytest.mark.parametrize(
    "stamp",
    [b"A", b"AAAAA", b"A" * 20, b"_" * 30, b"A" * 12],
    ids=["A", "AAAAA", "15 zeros", "past 64 bits", "nine zeros"],
)
def test_a_stamp_that_is_no_time_is_refused_though_signed(stamp: bytes) -> None:
    text = signed(base64_encode(b"payload"), stamp)
    assert sealer().payload(text) == Refused(Reason.ENCODING)
    signed_part, _, signature = text.rpartition(".")
    assert sealer().verify(signed_part, [base64_decode(signature)]) == Refused(Reason.ENCODING)


@pytest.mark.parametrize("size", [63, 64, 65, 200])
def test_a_key_of_any_size_signs_as_with_itsdangerous(size: int) -> None:
    key = "k" * size
    theirs = Signer(key, salt=SALT, key_derivation="none", digest_method=hashlib.sha1)
    ours = sealer(key, key_derivation="none")
    text = ours.seal(b"payload")
    assert theirs.validate(text)
    assert ours.payload(text) == b"payload"


@pytest.mark.parametrize("digest", [hashlib.sha1, hashlib.sha256, hashlib.sha384, hashlib.sha512])
def test_a_signature_of_any_message_is_that_of_itsdangerous(digest: DigestMethod) -> None:
    theirs, ours = Oracle(digest=digest), sealer(digests=(digest,))
    for number in range(200):  # of which some end with any of the letters of base64 that can come last
        payload = b"%d" % number
        assert ours.seal(payload) == theirs.seal(payload)


@pytest.mark.parametrize("signature", ["", "A", "AA", "=", "\xff"], ids=repr)
def test_what_is_no_signature_verifies_nothing_and_raises_nothing(signature: str) -> None:
    signed_part = sealer().seal(b"payload").rpartition(".")[0]
    assert sealer().open(f"{signed_part}.{signature}") == Refused(Reason.SIGNATURE)


@settings(max_examples=500, deadline=None)
@given(st.text("AQYw-_+/=! ").map(str.encode) | st.binary())
@example(b"YQ!")  # too little padding, once what is no base64 is passed over
@example(b"YQ==YQ")
def test_base64_is_read_with_the_leniency_of_itsdangerous(text: bytes) -> None:
    try:
        expected = base64_decode(text)
    except BadData:
        with pytest.raises(ValueError, match=r"base64|padding"):
            from_base64(text)
    else:
        assert from_base64(text) == expected


@pytest.mark.parametrize("second", [0, 1, 255, 256])
def test_any_second_is_stamped_as_by_itsdangerous(second: int) -> None:
    text = sealer(at=second).seal(b"payload")
    assert text == signed(base64_encode(b"payload"), base64_encode(int_to_bytes(second)))


@settings(max_examples=600, deadline=None)
@given(
    payload=st.sampled_from([PAYLOADS["short"], PAYLOADS["compressible"], PAYLOADS["empty"]]),
    data=st.data(),
    alphabet=st.sampled_from([URL_SAFE, URL_SAFE + ".", '.= +/%\x00"', "é€\U0001f36a"]),
)
def test_an_edited_text_is_refused_or_means_the_same_bytes(payload: bytes, data: st.DataObject, alphabet: str) -> None:
    text = data.draw(edited(sealer().seal(payload), alphabet))
    opened = sealer().payload(text)
    assert isinstance(opened, Refused) or opened == payload
    assert (None if isinstance(opened, Refused) else opened) == Oracle().payload(text)


@pytest.mark.parametrize("payload", [PAYLOADS["short"], PAYLOADS["compressible"]], ids=["plain", "compressed"])
def test_every_single_flip_gets_the_verdict_of_itsdangerous(payload: bytes) -> None:
    ours, theirs = sealer(), Oracle()
    text = ours.seal(payload)
    for place, old in enumerate(text):
        for new in "A", "z", "_", ".", chr(ord(old) ^ 1):
            changed = text[:place] + new + text[place + 1 :]
            opened = ours.payload(changed)
            assert (None if isinstance(opened, Refused) else opened) == theirs.payload(changed), changed


def test_every_flip_before_the_signature_is_refused() -> None:
    text = sealer().seal(PAYLOADS["short"])
    for place in range(text.rindex(".")):
        changed = text[:place] + chr(ord(text[place]) ^ 1) + text[place + 1 :]
        assert isinstance(sealer().payload(changed), Refused), changed


def test_parts_of_two_genuine_texts_make_no_third() -> None:
    one = sealer(at=NOW).seal(b"one").split(".")
    two = sealer(at=NOW - 1).seal(b"two").split(".")
    for mixed in ([one[0], two[1], one[2]], [two[0], one[1], one[2]], [one[0], one[1], two[2]]):
        assert sealer().payload(".".join(mixed)) == Refused(Reason.SIGNATURE)


@pytest.mark.parametrize("text", ["", ".", "a", "a.b", "session", "é.b"])
def test_a_text_without_three_parts_is_malformed(text: str) -> None:
    assert sealer().payload(text) == Refused(Reason.MALFORMED)


@settings(max_examples=500, deadline=None)
@given(text=st.one_of(any_text(), st.text(URL_SAFE + "."), st.text(st.sampled_from(".A=\ud800\x00"))))
@example("..")
@example("...")
@example("\ud800.\ud800.\ud800")
@example("." * 10_000)
@example("é.é.é")
def test_random_text_is_refused_and_raises_nothing(text: str) -> None:
    assert isinstance(sealer().payload(text), Refused)
    assert isinstance(sealer().claimed_time(text), (int, type(None)))
    assert isinstance(unverified(text).sealed_at, (datetime, type(None)))
    assert isinstance(unverified(text).payload, (bytes, Refused))


@pytest.mark.parametrize(
    "packed",
    [
        pytest.param(b"A", id="base64 of one character"),
        pytest.param(b".A", id="compressed base64 of one character"),
        pytest.param(b".", id="compressed nothing"),
        pytest.param(b"." + base64_encode(b"no zlib"), id="no zlib"),
        pytest.param(compressed(b"payload")[:-4], id="zlib cut short"),
        pytest.param(b"." + base64_encode(zlib.compress(b"payload")[:-1]), id="zlib without its last byte"),
        pytest.param(b"." + base64_encode(zlib.compress(b"payload")[:-4] + b"oops"), id="zlib with a wrong checksum"),
    ],
)
def test_a_broken_encoding_is_refused_though_signed(packed: bytes) -> None:
    text = signed(packed)
    assert sealer().payload(text) == Refused(Reason.ENCODING)
    assert Oracle().payload(text) is None


@pytest.mark.parametrize("garbage", [b"\x00", b"garbage", zlib.compress(b"another")], ids=["a byte", "text", "zlib"])
def test_what_follows_the_zlib_stream_is_left_out_as_by_itsdangerous(garbage: bytes) -> None:
    text = signed(b"." + base64_encode(zlib.compress(b"payload") + garbage))
    assert sealer().payload(text) == Oracle().payload(text) == b"payload"


def test_a_payload_at_the_limit_is_taken_and_one_past_it_refused() -> None:
    assert sealer().payload(signed(compressed(b"a" * MAX_PAYLOAD))) == b"a" * MAX_PAYLOAD
    assert sealer().payload(signed(compressed(b"a" * (MAX_PAYLOAD + 1)))) == Refused(Reason.TOO_LARGE)


def test_a_zlib_bomb_is_refused_without_being_inflated() -> None:
    size = 64 * 1024 * 1024
    text = signed(b"." + base64_encode(zeros(size)))
    tracemalloc.start()
    try:
        assert sealer().payload(text) == Refused(Reason.TOO_LARGE)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < size // 16


def test_a_bomb_that_nobody_signed_is_not_inflated_at_all() -> None:
    text = signed(b"." + base64_encode(zeros(MAX_PAYLOAD * 2)), key="an unknown key")
    assert sealer().payload(text) == Refused(Reason.SIGNATURE)


def test_an_expired_bomb_is_not_inflated_at_all() -> None:
    text = signed(b"." + base64_encode(zeros(MAX_PAYLOAD * 2)), base64_encode(int_to_bytes(NOW - LIFETIME - 1)))
    assert sealer().payload(text) == Refused(Reason.EXPIRED)


def zeros(size: int) -> bytes:
    """A zlib stream of zeros, made in pieces."""
    deflater = zlib.compressobj(9)
    piece = bytes(1024 * 1024)
    pieces: Sequence[bytes] = [deflater.compress(piece) for _ in range(size // len(piece))]
    return b"".join(pieces) + deflater.flush()


@EVERY_PAYLOAD
def test_sealed_at_is_the_time_of_sealing(payload: bytes) -> None:
    text = sealer(at=NOW + 0.9).seal(payload)
    assert sealer().claimed_time(text) == NOW
    assert unverified(text).sealed_at == datetime.fromtimestamp(NOW, UTC)


def test_sealed_at_is_what_the_text_claims_verified_or_not() -> None:
    stamp = base64_encode(int_to_bytes(NOW)).decode()
    assert sealer().claimed_time(f"anything.{stamp}.anything") == NOW


def test_the_time_is_found_whichever_letters_spell_it() -> None:
    moments, claimed_time = range(NOW, NOW + 64**4, 65_537), sealer().claimed_time
    stamps = {moment: base64_encode(int_to_bytes(moment)).decode() for moment in moments}
    assert {letter for stamp in stamps.values() for letter in stamp} >= {"-", "_"}
    assert all(claimed_time(f"anything.{stamps[each]}.anything") == each for each in moments)
    assert claimed_time("anything.-_.P82.anything") == claimed_time("P82.P82.anything")


def roomy(room: int, digest: DigestMethod = hashlib.sha1) -> PayloadSealer:
    return PayloadSealer(
        SecretKeys(KEY),
        salt=SALT,
        lifetime=timedelta(seconds=LIFETIME),
        leeway=timedelta(),
        clock=lambda: NOW,
        digests=(digest,),
        room=room,
    )


@pytest.mark.parametrize("room", [-50, 0, 1, sealed_size(199), sealed_size(200)])
def test_a_small_payload_is_never_compressed(room: int) -> None:
    assert len(roomy(room).seal(b"a" * 200)) == sealed_size(200)
    assert roomy(room).seal(b"a" * 201).startswith(".")
    assert roomy(room).payload(signed(compressed(b"a" * 200))) == b"a" * 200


@pytest.mark.parametrize("digest", [hashlib.sha1, hashlib.sha512], ids=["sha1", "sha512"])
@pytest.mark.parametrize("room", [500, 501, 502, 503, 4001])
def test_a_payload_whose_text_has_room_is_sealed_as_it_is(room: int, digest: DigestMethod) -> None:
    ours = roomy(room, digest)
    largest = max(size for size in range(room) if sealed_size(size, digest) <= room)
    assert len(ours.seal(b"a" * largest)) == sealed_size(largest, digest) <= room
    assert ours.seal(b"a" * (largest + 1)).startswith(".")
    for payload in (b"a" * largest, b"a" * (largest + 1)):
        assert sealer(digests=(digest,)).payload(ours.seal(payload)) == payload
        assert ours.payload(sealer(digests=(digest,)).seal(payload)) == payload


def test_a_payload_that_has_room_only_when_compressed_is_compressed_as_quickly_as_fits() -> None:
    payload = b"".join(b'{"sku":"tea-%d","quantity":%d},' % (number % 97, number % 13) for number in range(500))
    quickly, well = (sealed_size(len(zlib.compress(payload, level))) + 1 for level in (1, 6))
    assert well < quickly
    sizes = {room: len(roomy(room).seal(payload)) for room in (0, well + 2, quickly + 2)}
    assert sizes == {0: well, well + 2: well, quickly + 2: quickly}
    for room in sizes:
        assert sealer().payload(roomy(room).seal(payload)) == payload


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="nothing"),
        pytest.param("a", id="one part"),
        pytest.param("a.AAAA", id="two parts"),
        pytest.param("a.A.b", id="no base64"),
        pytest.param(f"a.{base64_encode(int_to_bytes(253_402_300_800)).decode()}.b", id="the year 10000"),
        pytest.param("a." + "_" * 10 + ".b", id="past the year 9999"),
        pytest.param("a." + "_" * 11 + ".b", id="the last of 64 bits"),
        pytest.param("a." + "_" * 30 + ".b", id="past 64 bits"),
        pytest.param("a." + "A" * 30 + ".b", id="zeros past 64 bits"),
    ],
)
def test_no_time_is_claimed_that_no_calendar_has(text: str) -> None:
    assert as_datetime(sealer().claimed_time(text)) is None
    assert unverified(text).sealed_at is None


@EVERY_PAYLOAD
@pytest.mark.parametrize("digest", [hashlib.sha1, hashlib.sha256, hashlib.sha512], ids=["sha1", "sha256", "sha512"])
def test_no_text_is_longer_than_the_sealed_size(payload: bytes, digest: DigestMethod) -> None:
    text = sealer(digests=(digest,)).seal(payload)
    if text.count(".") == 3:  # compressed
        assert len(text) < sealed_size(len(payload), digest)
    else:
        assert len(text) == sealed_size(len(payload), digest)


@pytest.mark.parametrize("digest", [hashlib.sha1, hashlib.sha256, hashlib.sha512], ids=["sha1", "sha256", "sha512"])
def test_the_overhead_is_the_size_of_a_text_of_nothing(digest: DigestMethod) -> None:
    ours = sealer(digests=(digest, hashlib.md5))
    assert ours.overhead == len(ours.seal(b"")) == sealed_size(0, digest)


def test_the_sealed_size_is_that_of_sha1_by_default() -> None:
    assert [sealed_size(size) for size in range(4)] == [35, 37, 38, 39]


@EVERY_PAYLOAD
def test_the_payload_can_be_looked_at_without_a_key(payload: bytes) -> None:
    text = sealer("another key", at=0).seal(payload)
    assert unverified(text).payload == payload
    assert unverified(text).compressed is text.startswith(".")


def test_what_was_looked_at_without_a_key_does_not_show_itself() -> None:
    assert "hush" not in repr(unverified(sealer().seal(b"hush")))


@pytest.mark.parametrize("packed", [base64_encode, compressed], ids=["as it is", "compressed"])
def test_without_a_key_one_looks_at_no_more_than_a_cookie_may_hold(packed: Callable[[bytes], bytes]) -> None:
    assert unverified(signed(packed(b"a" * MAX_PAYLOAD))).payload == b"a" * MAX_PAYLOAD
    assert unverified(signed(packed(b"a" * (MAX_PAYLOAD + 1)))).payload == Refused(Reason.TOO_LARGE)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        pytest.param("", Reason.MALFORMED, id="nothing"),
        pytest.param("YQ", Reason.MALFORMED, id="one part"),
        pytest.param("YQ.AAAA", Reason.MALFORMED, id="two parts"),
        pytest.param("A.AAAA.x", Reason.ENCODING, id="no base64"),
        pytest.param(".YQ.AAAA.x", Reason.ENCODING, id="no zlib"),
    ],
)
def test_what_holds_no_payload_is_refused_with_the_reason(text: str, reason: Reason) -> None:
    assert unverified(text).payload == Refused(reason)


def test_without_a_key_no_text_is_genuine_and_none_can_be_made() -> None:
    sealer = KeylessSealer()
    assert sealer.open("a.b.c") == Refused(Reason.SIGNATURE)
    assert sealer.verify("a.b", [b""]) == Refused(Reason.SIGNATURE)
    assert sealer.claimed_time("a.b.c") is None
    with pytest.raises(ConfigurationError, match="needs a SECRET_KEY"):
        sealer.seal(b"{}")


def test_keys_are_derived_as_rfc_5869_says() -> None:
    # Appendix A.3 of RFC 5869: SHA-256 without salt and info; the first 32 of its 42 bytes.
    derived = hkdf(bytes.fromhex("0b" * 22), b"")
    assert derived.hex() == "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d"


@pytest.mark.parametrize("size", [1, 16, 64, 65, 200])
def test_keys_are_derived_as_another_implementation_does(size: int) -> None:
    key, info = hashlib.shake_128(b"key").digest(size), hashlib.shake_128(b"info").digest(size)
    assert hkdf(key, info) == HKDF(hashes.SHA256(), length=32, salt=None, info=info).derive(key)


def test_the_id_of_a_key_is_the_same_for_ever_and_another_for_another_key() -> None:
    assert key_id(b"k" * 32) == "qZ3e"
    ids = {key_id(b"%d" % number) for number in range(1_000)}
    assert len(ids) == 1_000
    assert {len(from_base64(each.encode())) for each in ids} == {3}
