"""What every sealer does. A new one is added to the list, and nothing else."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any, ClassVar, TypeAlias

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.strategies import any_text, edited
from typed_sessions.reports import Reason, Refused
from typed_sessions.sealing import Sealer, SecretKeys, SignedSealer

NOW = 1_800_000_000
LIFETIME = timedelta(hours=1)
LEEWAY = timedelta(seconds=30)
COOKIE_SAFE = re.compile(r"[!#-+\--:<-\[\]-~]*")
"""What a cookie value holds without quoting (RFC 6265, section 4.1.1)."""

MakeSealer: TypeAlias = Callable[[SecretKeys, float], Sealer]


def signed(keys: SecretKeys, at: float) -> Sealer:
    return SignedSealer(keys, salt="cookie-session", lifetime=LIFETIME, leeway=LEEWAY, clock=lambda: at)


SEALERS = pytest.mark.parametrize("make", [pytest.param(signed, id="signed")])


@SEALERS
@settings(max_examples=200, deadline=None)
@given(payload=st.one_of(st.binary(max_size=200), st.binary(max_size=9).map(lambda part: part * 99)))
@example(b"")
@example(b"." * 9)
def test_a_payload_comes_back_in_a_text_that_a_cookie_holds(make: MakeSealer, payload: bytes) -> None:
    sealer = make(SecretKeys("key"), NOW)
    text = sealer.seal(payload)
    assert sealer.unseal(text) == payload
    assert COOKIE_SAFE.fullmatch(text)


@SEALERS
def test_another_sealer_with_the_same_keys_opens_it(make: MakeSealer) -> None:
    assert make(SecretKeys("key"), NOW).unseal(make(SecretKeys(b"key"), NOW).seal(b"payload")) == b"payload"


@SEALERS
def test_another_key_refuses(make: MakeSealer) -> None:
    text = make(SecretKeys("key"), NOW).seal(b"payload")
    assert make(SecretKeys("another"), NOW).unseal(text) == Refused(Reason.SIGNATURE)


@SEALERS
def test_fallback_keys_open_and_do_not_seal(make: MakeSealer) -> None:
    rotated = make(SecretKeys("new", ("oldest", "old")), NOW)
    for key in "oldest", "old", "new":
        assert rotated.unseal(make(SecretKeys(key), NOW).seal(b"payload")) == b"payload"
    text = rotated.seal(b"payload")
    assert make(SecretKeys("new"), NOW).unseal(text) == b"payload"
    assert make(SecretKeys("old"), NOW).unseal(text) == Refused(Reason.SIGNATURE)


@SEALERS
@pytest.mark.parametrize(
    ("age", "expected"),
    [
        pytest.param(LIFETIME, b"payload", id="at the lifetime"),
        pytest.param(LIFETIME + timedelta(seconds=1), Refused(Reason.EXPIRED), id="past the lifetime"),
        pytest.param(-LEEWAY, b"payload", id="at the leeway"),
        pytest.param(-LEEWAY - timedelta(seconds=1), Refused(Reason.FUTURE), id="past the leeway"),
    ],
)
def test_age_is_bounded_on_both_sides(make: MakeSealer, age: timedelta, expected: bytes | Refused) -> None:
    text = make(SecretKeys("key"), NOW).seal(b"payload")
    assert make(SecretKeys("key"), NOW + age.total_seconds()).unseal(text) == expected


@SEALERS
@settings(max_examples=300, deadline=None)
@given(text=any_text())
@example("")
@example("\ud800.\ud800.\ud800")
@example("a." + "_" * 99 + ".b")
def test_what_nobody_sealed_is_refused_and_raises_nothing(make: MakeSealer, text: str) -> None:
    assert isinstance(make(SecretKeys("key"), NOW).unseal(text), Refused)


@SEALERS
@settings(max_examples=300, deadline=None)
@given(payload=st.binary(max_size=40), data=st.data())
def test_an_edited_text_is_refused_or_gives_the_payload(make: MakeSealer, payload: bytes, data: st.DataObject) -> None:
    sealer = make(SecretKeys("key"), NOW)
    opened = sealer.unseal(data.draw(edited(sealer.seal(payload), st.characters())))
    assert isinstance(opened, Refused) or opened == payload


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
        assert sealer.unseal(text) == b"payload"
        return Counted.made - before

    assert made(60) == made(0) > 0
