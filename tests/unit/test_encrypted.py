"""Encrypted texts: what is in them, that nobody changes them, and that no nonce comes twice."""

from __future__ import annotations

import os
import threading
import zlib
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from itertools import count, pairwise, product
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from hypothesis import given
from hypothesis import strategies as st

from tests.strategies import any_text, edited
from typed_sessions.reports import Reason, Refused
from typed_sessions.sealing.base import newest
from typed_sessions.sealing.encrypted import DailyKeys, EncryptedSealer
from typed_sessions.sealing.keys import SecretKeys, key_id
from typed_sessions.sealing.signed import SignedSealer

KEY = "k" * 32
DAY = 86_400
NOW = 20_800 * DAY + 4_711
LIFETIME = 31 * DAY
LEEWAY = 30
ROOM = 3_900
URL_SAFE = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
REFUSED = Refused(Reason.SIGNATURE)


def options(at: float, **others: Any) -> Any:
    lifetime, leeway = others.pop("lifetime", LIFETIME), others.pop("leeway", LEEWAY)
    spans = {"lifetime": timedelta(seconds=lifetime), "leeway": timedelta(seconds=leeway)}
    return {"salt": "cookie-session", "clock": lambda: at, "room": ROOM, **spans, **others}


def sealer(*keys: str | bytes, at: float = NOW, cookie_name: str = "session", **others: Any) -> EncryptedSealer:
    """A sealer with these keys, the current one last, at a time."""
    *fallbacks, current = keys or (KEY,)
    return EncryptedSealer(SecretKeys(current, tuple(fallbacks)), cookie_name=cookie_name, **options(at, **others))


def in_base64(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def from_base64(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))


def parts(text: str) -> tuple[Any, ...]:
    """Nonce, ciphertext, tag, time and id."""
    body, stamp, name = text.rsplit(".", 2)
    sealed = from_base64(body.lstrip("."))
    return sealed[:12], sealed[12:-16], sealed[-16:], stamp, name


KEPT_FOR_EVER = "AAECAwQFBgcICQoLW6G6SOpnYnrm6jwww_iohfvpNWYrqzmkuIalIY8.ax3yZw.qZ3e"
"""Sealed by the first release that encrypts. All later ones have to open it."""


def test_a_text_of_the_first_release_opens_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    assert sealer().open(KEPT_FOR_EVER) == (b'{"user_id":7}', 0)
    monkeypatch.setattr("typed_sessions.sealing.encrypted.urandom", lambda size: bytes(range(size)))
    assert sealer().seal(b'{"user_id":7}') == KEPT_FOR_EVER


@pytest.mark.parametrize("payload", [b'{"user_id":7}', b"a" * 9_000], ids=["plain", "compressed"])
def test_a_text_is_what_the_page_on_security_says(payload: bytes) -> None:
    text = sealer().seal(payload)
    nonce, ciphertext, tag, stamp, name = parts(text)
    assert (name, from_base64(stamp)) == (key_id(KEY.encode()), NOW.to_bytes(4, "big"))
    info = b"typed_sessions encryption %d cookie cookie-session" % (NOW // DAY)
    key = HKDF(hashes.SHA256(), length=32, salt=None, info=info).derive(KEY.encode())
    is_compressed = text.startswith(".")
    bound = f".{stamp}.{name}.session{'z' if is_compressed else 'p'}".encode()
    decrypted = AESGCM(key).decrypt(nonce, ciphertext + tag, bound)
    assert (zlib.decompress(decrypted) if is_compressed else decrypted) == payload


NIST = [
    pytest.param(("00" * 32, "00" * 12, "", "", "", "530f8afbc74536b9a963b4f1c4cb738b"), id="case 13"),
    pytest.param(
        (
            "00" * 32,
            "00" * 12,
            "00" * 16,
            "",
            "cea7403d4d606b6e074ec5d3baf39d18",
            "d0d1c8a799996bf0265b98b5d48ab919",
        ),
        id="case 14",
    ),
    pytest.param(
        (
            "feffe9928665731c6d6a8f9467308308" * 2,
            "cafebabefacedbaddecaf888",
            (
                "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
                "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39"
            ),
            "feedfacedeadbeeffeedfacedeadbeefabaddad2",
            (
                "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
                "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662"
            ),
            "76fc6ece0f4e1768cddf8853bb2d551b",
        ),
        id="case 16",
    ),
]
"""Those of the proposal of GCM to NIST that are for AES-256 and nonces of 96 bits."""


@pytest.mark.parametrize("vector", NIST)
def test_aes_gcm_is_that_of_nist(monkeypatch: pytest.MonkeyPatch, vector: tuple[str, ...]) -> None:
    key, nonce, plain, bound, ciphertext, tag = vector
    keys = DailyKeys(SecretKeys(KEY), b"test")
    keys.made[keys.current, 0] = AESGCM(bytes.fromhex(key))
    monkeypatch.setattr("typed_sessions.sealing.encrypted.urandom", lambda _: bytes.fromhex(nonce))
    sealed = keys.encrypted(bytes.fromhex(plain), bytes.fromhex(bound), 0)
    assert sealed.hex() == nonce + ciphertext + tag
    assert keys.decrypted(sealed, bytes.fromhex(bound), 0, keys.current) == bytes.fromhex(plain)


PAYLOADS = [b"", b"\x00", b'{"user_id":7}', b'{"cart":["apple","apple"]}' * 300]


@pytest.mark.parametrize("payload", PAYLOADS, ids=["empty", "a byte", "short", "compressed"])
def test_every_flipped_bit_is_refused(payload: bytes) -> None:
    ours = sealer()
    text = ours.seal(payload)
    sealed, (_, _, _, stamp, name) = b"".join(parts(text)[:3]), parts(text)
    mark = "." if text.startswith(".") else ""
    for place, bit in product(range(len(sealed)), range(8)):
        flipped = bytearray(sealed)
        flipped[place] ^= 1 << bit
        assert ours.open(f"{mark}{in_base64(bytes(flipped))}.{stamp}.{name}") == REFUSED
    for place, bit in product(range(len(text)), range(7)):
        assert isinstance(ours.open(text[:place] + chr(ord(text[place]) ^ 1 << bit) + text[place + 1 :]), Refused)


@pytest.mark.parametrize("payload", PAYLOADS, ids=["empty", "a byte", "short", "compressed"])
def test_every_cut_is_refused(payload: bytes) -> None:
    ours = sealer()
    text = ours.seal(payload)
    sealed, (_, _, _, stamp, name) = b"".join(parts(text)[:3]), parts(text)
    for end in range(len(sealed)):
        assert ours.open(f"{in_base64(sealed[:end])}.{stamp}.{name}") == REFUSED
        assert ours.open(f"{in_base64(sealed[end + 1 :])}.{stamp}.{name}") == REFUSED
    for end in range(len(text)):
        assert isinstance(ours.open(text[:end]), Refused)
        assert isinstance(ours.open(text[end + 1 :]), Refused)


@given(payload=st.binary(max_size=40), data=st.data())
def test_an_edited_text_is_refused(payload: bytes, data: st.DataObject) -> None:
    ours = sealer()
    text = ours.seal(payload)
    changed = data.draw(edited(text, st.characters()) | edited(text, URL_SAFE + ".=+/"))
    assert changed == text or ours.open(changed) in (REFUSED, *map(Refused, (Reason.MALFORMED, *_UNTIMELY)))


_UNTIMELY = (Reason.EXPIRED, Reason.FUTURE)


@given(text=any_text() | st.text(URL_SAFE + ".=é\x00 \ud800", max_size=80), name=st.sampled_from(["", ".qZ3e"]))
def test_any_text_is_refused(text: str, name: str) -> None:
    outcome = sealer().open(text + name)
    assert isinstance(outcome, Refused)
    assert not outcome.reason.signed  # nobody but a holder of the key makes one that is worth an operator's eye


def test_no_part_of_a_text_goes_with_the_parts_of_another() -> None:
    rotated = sealer("old", KEY)
    one = parts(rotated.seal(b'{"user_id":7}'))
    others = [
        parts(sealer(at=NOW).seal(b'{"user_id":8}')),  # of the same moment
        parts(sealer(at=NOW - 1).seal(b'{"user_id":8}')),
        parts(sealer(at=NOW - DAY).seal(b'{"user_id":7}')),
        parts(sealer("old").seal(b'{"user_id":7}')),
    ]
    for other in others:
        for mixture in product(*zip(one, other, strict=True)):
            nonce, ciphertext, tag, stamp, name = mixture
            opened = rotated.open(f"{in_base64(nonce + ciphertext + tag)}.{stamp}.{name}")
            assert (opened == REFUSED) is (mixture not in (one, other))


@pytest.mark.parametrize(
    "other",
    [
        {"cookie_name": "admin"},
        {"cookie_name": "sessio"},
        {"cookie_name": "session."},
        {"salt": "cookie-session.msgspec-json"},
        {"salt": b"cookie"},
        {"salt": ""},
    ],
    ids=str,
)
@pytest.mark.parametrize("payload", [b"payload", b"a" * 9_000], ids=["plain", "compressed"])
def test_a_text_for_another_cookie_or_format_is_refused(other: dict[str, Any], payload: bytes) -> None:
    assert sealer().open(sealer(**other).seal(payload)) == REFUSED
    assert sealer(**other).open(sealer().seal(payload)) == REFUSED


def test_no_name_of_a_cookie_makes_a_plain_payload_of_a_compressed_one() -> None:
    for name in ("session", "session.", "sessionz", "sessionp", "sessionzp"):
        text = sealer(cookie_name=name).seal(b"a" * 9_000)
        assert text.startswith(".")
        for other in ("session", "session.", "sessionz", "sessionp", "sessionzp"):
            assert sealer(cookie_name=other).open(text[1:]) == REFUSED
            assert (sealer(cookie_name=other).open(text) == REFUSED) is (name != other)
    assert sealer().open("." + sealer().seal(zlib.compress(b"a"))) == REFUSED


def test_a_signed_text_is_refused_here_and_an_encrypted_one_there() -> None:
    keys, same = SecretKeys(KEY), options(NOW)
    signing = SignedSealer(keys, **same)
    assert sealer().open(signing.seal(b"{}")) == REFUSED
    assert signing.open(sealer().seal(b"{}")) == REFUSED


def test_of_the_spellings_of_a_text_one_opens() -> None:
    ours = sealer()
    for payload in (b"", b"a", b"ab", b"abc" * 99):
        text = ours.seal(payload)
        body, stamp, name = text.split(".")
        last = URL_SAFE.index(body[-1])
        bodies = {
            *(body[:-1] + URL_SAFE[last ^ bits] for bits in range(1, 64)),
            *(f"{body}{more}" for more in ("=", "==", "\n", " ", "!")),
            body.replace("-", "+").replace("_", "/"),
            body[:3] + "\n" + body[3:],
        }
        others = {f"{each}.{stamp}.{name}" for each in bodies}
        others |= {f"{body}.{each}.{name}" for each in (f"{stamp}=", f"{stamp}==", f"AA{stamp}", f"{stamp}\n")}
        others |= {f"{body}.{stamp}.{each}" for each in (f"{name}=", f"{name}\n", f"{name}\0", f" {name}")}
        assert ours.open(text) == (payload, 0)
        assert {ours.open(other) for other in others - {text}} <= {REFUSED, *map(Refused, _UNTIMELY)}


def test_another_spelling_does_not_hide_the_session_that_it_spells() -> None:
    ours = sealer()
    text = ours.seal(b"{}")
    for other in (f"{text}=", f"{text}!", text.replace(".", "=.", 1)):
        assert newest([other, text], [ours])[0] == text
        assert newest([text, other], [ours])[0] == text


def test_what_is_sealed_later_counts_whether_it_can_be_read_or_not() -> None:
    bomb = sealer(at=NOW, max_payload=10_000).seal(bytes(10_000))
    bounded = sealer(max_payload=100)
    assert bounded.open(bomb) == Refused(Reason.TOO_LARGE)
    assert newest([sealer(at=NOW - 1).seal(b"{}"), bomb], [bounded]) == (bomb, 2)


def test_what_cannot_be_inflated_is_refused_and_is_genuine_all_the_same() -> None:
    ours = sealer()
    keys, stamp = ours._keys, in_base64(NOW.to_bytes(4, "big"))
    tail = f".{stamp}.{keys.current.decode()}"
    for broken in (b"no zlib", zlib.compress(b"a" * 99)[:-1], b""):
        sealed = keys.encrypted(broken, f"{tail}.sessionz".encode(), NOW)
        text = f".{in_base64(sealed)}{tail}"
        assert ours.open(text) == Refused(Reason.ENCODING)
        assert newest([sealer(at=NOW - 1).seal(b"{}"), text], [ours]) == (text, 2)


def test_a_payload_past_the_limit_is_refused() -> None:
    for size in (100, 101, 9_000):
        outcome = sealer(max_payload=100).open(sealer().seal(b"a" * size))
        assert outcome == ((b"a" * 100, 0) if size == 100 else Refused(Reason.TOO_LARGE))


@given(
    sealed=st.integers(0, 2**33) | st.sampled_from([0, 1, 255, 256, 2**32 - 1, 2**32]),
    passed=st.integers(-100, 100) | st.integers(-10 * DAY, 40 * DAY),
    fraction=st.sampled_from([0.0, 0.5, 0.999]),
    lifetime=st.integers(0, 100) | st.just(LIFETIME),
    leeway=st.sampled_from([0, 1, 0.5, LEEWAY]),
)
def test_age_is_judged_as_that_of_a_signed_text(
    sealed: int, passed: int, fraction: float, lifetime: int, leeway: float
) -> None:
    keys, then, now = SecretKeys(KEY), options(sealed + fraction), max(0, sealed + passed) + fraction
    present = options(now, lifetime=lifetime, leeway=leeway)
    for payload in (b"{}", b"a" * 9_000):
        signed = SignedSealer(keys, **present).open(SignedSealer(keys, **then).seal(payload))
        encrypted = EncryptedSealer(keys, cookie_name="session", **present)
        assert encrypted.open(EncryptedSealer(keys, cookie_name="session", **then).seal(payload)) == signed


def test_a_text_outlives_its_day_and_its_key_does_not() -> None:
    midnight = 20_801 * DAY
    texts = [sealer(at=at).seal(b"{}") for at in (midnight - 1, midnight - 0.001, midnight)]
    assert [sealer(at=midnight).open(text) for text in texts] == [(b"{}", 1), (b"{}", 1), (b"{}", 0)]
    moved = [text.replace(f".{parts(text)[3]}.", f".{parts(texts[-1])[3]}.") for text in texts[:2]]
    assert [sealer(at=midnight).open(text) for text in moved] == [REFUSED, REFUSED]


def test_the_clock_is_read_once_a_text() -> None:
    """So that no midnight comes between the time of a text and the day of its key."""
    seconds: Iterator[int] = count(20_801 * DAY - 5)
    ours = sealer(clock=lambda: next(seconds))
    texts = [ours.seal(b"{}") for _ in range(10)]
    assert all(later - earlier == 1 for earlier, later in pairwise(map(ours.claimed_time, texts)) if earlier and later)
    assert all(sealer(at=20_802 * DAY).open(text) != REFUSED for text in texts)


def test_no_key_is_derived_for_a_day_past_the_lifetime_and_few_are_kept() -> None:
    ours = sealer(lifetime=1_000 * DAY)
    body, _, name = ours.seal(b"{}").split(".")
    for days in range(1, 2_000):
        stamp = in_base64((NOW - days * DAY).to_bytes(4, "big"))
        assert ours.open(f"{body}.{stamp}.{name}") == (REFUSED if days <= 1_000 else Refused(Reason.EXPIRED))
        assert 0 < len(ours._keys.made) <= 64
    bounded = sealer(lifetime=DAY)
    for days in (2, 300, -1, -300):
        bounded.open(f"{body}.{in_base64((NOW - days * DAY).to_bytes(4, 'big'))}.{name}")
    assert [*bounded._keys.made] == [(name.encode(), NOW // DAY)]


def test_an_id_names_the_key_and_nothing_is_searched(monkeypatch: pytest.MonkeyPatch) -> None:
    old = [f"old key number {number}" for number in range(60)]
    texts = [sealer(key).seal(b"{}") for key in (*old, KEY, "unknown")]
    asked: list[bytes] = []
    cipher = DailyKeys.cipher

    def watched(self: DailyKeys, name: bytes, second: int) -> AESGCM:
        asked.append(name)
        return cipher(self, name, second)

    ours = sealer(*old, KEY)
    monkeypatch.setattr(DailyKeys, "cipher", watched)
    assert [ours.open(text) for text in texts] == [(b"{}", 0)] * 61 + [REFUSED]
    assert asked == [key_id(key.encode()).encode() for key in old]  # that of the current key was made before
    assert ours.seal(b"{}").endswith(f".{key_id(KEY.encode())}")


@pytest.mark.parametrize("room", [500, 501, 502, 503, 3_900])
def test_a_payload_is_compressed_only_where_its_text_has_no_room(room: int) -> None:
    ours = sealer(room=room)
    largest = max(size for size in range(room) if len(sealer(room=10**6).seal(bytes(size))) <= room)
    assert len(ours.seal(b"a" * largest)) in (room, room - 1)
    assert ours.seal(b"a" * (largest + 1)).startswith(".")
    for payload in (b"a" * largest, b"a" * (largest + 1), b"a" * 9_000, os.urandom(largest + 1)):
        assert sealer().open(ours.seal(payload)) == (payload, 0)


def test_what_fits_only_when_compressed_well_is_compressed_well() -> None:
    payload = b"".join(b'{"sku":"tea-%d","quantity":%d},' % (number % 97, number % 13) for number in range(500))
    quickly, well = len(zlib.compress(payload, 1)), len(zlib.compress(payload))
    assert well < quickly
    room = len(sealer(room=10**6).seal(bytes(well + 5)))
    assert len(sealer(room=room).seal(payload)) <= room + 1
    assert sealer().open(sealer(room=room).seal(payload)) == (payload, 0)


def test_texts_of_payloads_that_are_as_long_are_as_long() -> None:
    """What is compressed is as long as it repeats itself, which tells what is in it."""
    for size in (10, 200, 2_000):
        payloads = bytes(size), os.urandom(size), b"ab" * (size // 2)
        assert len({len(sealer().seal(payload)) for payload in payloads}) == 1


def test_nonces_do_not_repeat_and_all_their_bits_are_random() -> None:
    ours = sealer()
    nonces = [parts(ours.seal(b""))[0] for _ in range(50_000)]
    assert len({*nonces}) == len(nonces)
    ones: Counter[int] = Counter()
    for nonce in nonces:
        number = int.from_bytes(nonce, "big")
        ones.update(bit for bit in range(96) if number >> bit & 1)
    # Of 96 bits one is off by six standard deviations once in five million runs.
    assert all(abs(ones[bit] - 25_000) < 6 * 50_000**0.5 / 2 for bit in range(96))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="Windows has no fork")
def test_two_processes_of_one_parent_have_no_nonce_in_common() -> None:
    ours = sealer()
    ours.seal(b"before")
    seen: list[set[bytes]] = []
    for _ in range(2):
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:  # pragma: no cover -- its lines are not counted
            os.write(writing, b"".join(parts(ours.seal(b""))[0] for _ in range(500)))
            os._exit(0)
        os.close(writing)
        with os.fdopen(reading, "rb") as pipe:
            data = pipe.read()
        os.waitpid(child, 0)
        seen.append({data[start : start + 12] for start in range(0, len(data), 12)})
    seen.append({parts(ours.seal(b""))[0] for _ in range(500)})
    assert [len(each) for each in seen] == [500, 500, 500]
    assert len(set.union(*seen)) == 1_500


def test_threads_share_a_sealer() -> None:
    seconds: Iterator[int] = count(20_801 * DAY - 2_000)
    ours = sealer(clock=lambda: next(seconds))
    texts: list[str] = []

    def work() -> None:
        texts.extend(ours.seal(b"%d" % number) for number in range(500))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    opened = [sealer(at=20_802 * DAY).open(text) for text in texts]
    assert len(opened) == 4_000
    assert not any(isinstance(outcome, Refused) for outcome in opened)


def test_no_key_shows_in_a_repr() -> None:
    for value in (sealer(), DailyKeys(SecretKeys(KEY), b"")):
        assert KEY not in repr(value)


def test_what_was_encrypted_for_one_purpose_is_not_decrypted_for_another() -> None:
    keys, others = DailyKeys(SecretKeys(KEY), b"one"), DailyKeys(SecretKeys(KEY), b"another")
    sealed = keys.encrypted(b"payload", b"bound", NOW)
    assert keys.decrypted(sealed, b"bound", NOW, keys.current) == b"payload"
    assert others.decrypted(sealed, b"bound", NOW, keys.current) is None
    assert keys.decrypted(sealed, b"other", NOW, keys.current) is None
    assert keys.decrypted(sealed, b"bound", NOW + DAY, keys.current) is None
    assert keys.decrypted(b"", b"bound", NOW, keys.current) is None
