"""What every sealer does. A new one is added to the list, and nothing else."""

from __future__ import annotations

import hashlib
import re
from base64 import urlsafe_b64decode
from collections.abc import Callable
from datetime import timedelta
from typing import Any, ClassVar, TypeAlias

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.strategies import any_text, edited
from typed_sessions.reports import Reason, Refused
from typed_sessions.sealing.base import Genuine, SealedSince, Sealer, newest
from typed_sessions.sealing.encrypted import EncryptedSealer
from typed_sessions.sealing.keys import SecretKeys
from typed_sessions.sealing.signed import SignedSealer

NOW = 1_800_000_000
LIFETIME = timedelta(hours=1)
LEEWAY = timedelta(seconds=30)
COOKIE_SAFE = re.compile(r"[!#-+\--:<-\[\]-~]*")
"""What a cookie value holds without quoting (RFC 6265, section 4.1.1)."""

MakeSealer: TypeAlias = Callable[[SecretKeys, float], Sealer]


def signed(keys: SecretKeys, at: float) -> Sealer:
    return SignedSealer(keys, salt="cookie-session", lifetime=LIFETIME, leeway=LEEWAY, clock=lambda: at)


def encrypted(keys: SecretKeys, at: float) -> Sealer:
    return EncryptedSealer(
        keys,
        salt="cookie-session",
        cookie_name="session",
        lifetime=LIFETIME,
        leeway=LEEWAY,
        clock=lambda: at,
        room=4000,
    )


def signed_since(keys: SecretKeys, at: float) -> Sealer:
    return SealedSince(signed(keys, at), 0)


SEALERS = pytest.mark.parametrize("make", [signed, encrypted, signed_since], ids=lambda make: str(make.__name__))


@SEALERS
@settings(max_examples=200, deadline=None)
@given(payload=st.one_of(st.binary(max_size=200), st.binary(max_size=9).map(lambda part: part * 99)))
@example(b"")
@example(b"." * 9)
def test_a_payload_comes_back_in_a_text_that_a_cookie_holds(make: MakeSealer, payload: bytes) -> None:
    sealer = make(SecretKeys("key"), NOW)
    text = sealer.seal(payload)
    assert sealer.open(text) == (payload, 0)
    assert COOKIE_SAFE.fullmatch(text)


@SEALERS
def test_another_sealer_with_the_same_keys_opens_it(make: MakeSealer) -> None:
    assert make(SecretKeys("key"), NOW).open(make(SecretKeys(b"key"), NOW).seal(b"payload")) == (b"payload", 0)


@SEALERS
def test_another_key_refuses(make: MakeSealer) -> None:
    text = make(SecretKeys("key"), NOW).seal(b"payload")
    assert make(SecretKeys("another"), NOW).open(text) == Refused(Reason.SIGNATURE)


@SEALERS
def test_fallback_keys_open_and_do_not_seal(make: MakeSealer) -> None:
    rotated = make(SecretKeys("new", ("oldest", "old")), NOW)
    for key in "oldest", "old", "new":
        assert rotated.open(make(SecretKeys(key), NOW).seal(b"payload")) == (b"payload", 0)
    text = rotated.seal(b"payload")
    assert make(SecretKeys("new"), NOW).open(text) == (b"payload", 0)
    assert make(SecretKeys("old"), NOW).open(text) == Refused(Reason.SIGNATURE)


@SEALERS
@pytest.mark.parametrize(
    ("age", "expected"),
    [
        pytest.param(LIFETIME, (b"payload", 3600), id="at the lifetime"),
        pytest.param(LIFETIME + timedelta(seconds=1), Refused(Reason.EXPIRED), id="past the lifetime"),
        pytest.param(-LEEWAY, (b"payload", -30), id="at the leeway"),
        pytest.param(-LEEWAY - timedelta(seconds=1), Refused(Reason.FUTURE), id="past the leeway"),
    ],
)
def test_age_is_bounded_on_both_sides(make: MakeSealer, age: timedelta, expected: tuple[bytes, int] | Refused) -> None:
    text = make(SecretKeys("key"), NOW).seal(b"payload")
    assert make(SecretKeys("key"), NOW + age.total_seconds()).open(text) == expected


@SEALERS
@settings(max_examples=300, deadline=None)
@given(text=any_text())
@example("")
@example("\ud800.\ud800.\ud800")
@example("a." + "_" * 99 + ".b")
def test_what_nobody_sealed_is_refused_and_raises_nothing(make: MakeSealer, text: str) -> None:
    assert isinstance(make(SecretKeys("key"), NOW).open(text), Refused)


@SEALERS
@settings(max_examples=300, deadline=None)
@given(payload=st.binary(max_size=40), data=st.data())
def test_an_edited_text_is_refused_or_gives_the_payload(make: MakeSealer, payload: bytes, data: st.DataObject) -> None:
    sealer = make(SecretKeys("key"), NOW)
    opened = sealer.open(data.draw(edited(sealer.seal(payload), st.characters())))
    assert isinstance(opened, Refused) or opened == (payload, 0)


@SEALERS
@pytest.mark.parametrize("moment", [0, 1, 256, NOW, NOW + 0.9, 2**32 - 1])
def test_the_claimed_time_is_that_of_sealing_whatever_the_key(make: MakeSealer, moment: float) -> None:
    text = make(SecretKeys("another"), moment).seal(b"payload")
    assert make(SecretKeys("key"), NOW).claimed_time(text) == int(moment)


@SEALERS
@settings(max_examples=300, deadline=None)
@given(text=any_text())
@example("")
@example("a.b")
@example("a.A.b")
@example("\ud800.\ud800.\ud800")
@example("a." + "_" * 99 + ".b")
def test_any_text_claims_a_time_or_none_and_raises_nothing(make: MakeSealer, text: str) -> None:
    claimed = make(SecretKeys("key"), NOW).claimed_time(text)
    assert claimed is None or claimed >= 0


@SEALERS
@pytest.mark.parametrize("size", [0, 1, 2, 3, 100, 200])
def test_the_overhead_is_all_that_a_text_has_beside_its_payload(make: MakeSealer, size: int) -> None:
    sealer = make(SecretKeys("key"), NOW)
    more = len(sealer.seal(b"a" * size)) - -(-size * 4 // 3)
    assert sealer.overhead - 1 <= more <= sealer.overhead  # what is in one piece with its nonce may save a character


@SEALERS
def test_of_several_texts_the_newest_genuine_one_is_found_and_those_are_counted(make: MakeSealer) -> None:
    keys = SecretKeys("key")
    sealer = make(keys, NOW)
    texts = [make(keys, at).seal(b"%d" % number) for number, at in enumerate((NOW - 9, NOW - 5, NOW - 5, NOW - 7200))]
    forged = make(SecretKeys("another"), NOW).seal(b"forged")
    assert newest([forged, *texts, "", "a.b.c"], [sealer]) == (texts[1], 3)
    assert newest(texts[3:], [sealer]) == (Refused(Reason.EXPIRED), 0)
    assert newest([forged], [sealer]) == (Refused(Reason.SIGNATURE), 0)
    assert newest(["", "a"], [sealer]) == (Refused(Reason.MALFORMED), 0)
    assert newest(texts, []) == (Refused(Reason.MALFORMED), 0)


@SEALERS
def test_a_genuine_signature_is_found_among_many_and_says_when(make: MakeSealer) -> None:
    sealer = make(SecretKeys("key"), NOW)
    signed_part, _, signature = make(SecretKeys("key"), NOW - 5).seal(b"payload").rpartition(".")
    code = urlsafe_b64decode(signature + "=" * (-len(signature) % 4))
    assert sealer.verify(signed_part, [b"", b"another", code]) == Genuine(NOW - 5, (code,))
    assert sealer.verify(signed_part, [b"", b"another"]) == Refused(Reason.SIGNATURE)


@SEALERS
@pytest.mark.parametrize("payload", [b"payload", b"pay" * 2000], ids=["as it is", "compressed"])
@pytest.mark.parametrize("key", ["old", "new"])
@pytest.mark.parametrize(
    ("age", "reason"),
    [(0, None), (3600.9, None), (3601, Reason.EXPIRED), (-30, None), (-31, Reason.FUTURE)],
)
def test_a_signature_is_verified_as_a_text_is_opened(
    make: MakeSealer, payload: bytes, key: str, age: float, reason: Reason | None
) -> None:
    text = make(SecretKeys(key), NOW).seal(payload)
    signed_part, _, signature = text.rpartition(".")
    code = urlsafe_b64decode(signature + "=" * (-len(signature) % 4))
    sealer = make(SecretKeys("new", ("old",)), NOW + age)
    assert sealer.verify(signed_part, [code]) == (Genuine(NOW, (code,)) if reason is None else Refused(reason))
    assert sealer.open(text) == ((payload, int(age)) if reason is None else Refused(reason))


@SEALERS
@settings(max_examples=100, deadline=None)
@given(text=any_text())
@example("\ud800.\ud800")
def test_what_nobody_sealed_is_not_verified_either(make: MakeSealer, text: str) -> None:
    assert isinstance(make(SecretKeys("key"), NOW).verify(text, [b"", b"\xff" * 20]), Refused)


class Counted:
    """A hash that counts how many are made, or copied."""

    made: ClassVar[int] = 0
    block_size = 64
    digest_size = 20

    def __init__(self, state: Any = None) -> None:
        Counted.made += 1
        self._state: Any = hashlib.sha1() if state is None else state  # noqa: S324 -- as Quart signs

    def update(self, data: bytes) -> None:
        self._state.update(data)

    def digest(self) -> Any:
        return self._state.digest()

    def copy(self) -> Counted:
        return Counted(self._state.copy())


def test_the_newest_key_verifies_at_the_same_cost_with_sixty_fallbacks() -> None:
    def made(fallbacks: int) -> int:
        keys = SecretKeys("a secret key that is long enough", tuple(f"old key number {n}" for n in range(fallbacks)))
        sealer = SignedSealer(
            keys,
            salt="cookie-session",
            lifetime=timedelta(days=1),
            leeway=timedelta(),
            clock=lambda: 1_700_000_000.0,
            digests=(Counted,),
        )
        text = sealer.seal(b"payload")
        before = Counted.made
        assert sealer.open(text) == (b"payload", 0)
        return Counted.made - before

    assert made(60) == made(0) > 0
