"""Identifiers: 256 bits that nobody can guess, and the key that does not lead back to them."""

from __future__ import annotations

from base64 import urlsafe_b64decode
from hashlib import sha256

import pytest

from typed_sessions.identifiers import Identifier, key_of


def test_an_identifier_holds_256_random_bits() -> None:
    made = {Identifier.new().text for _ in range(1_000)}
    assert len(made) == 1_000
    assert {len(urlsafe_b64decode(identifier + "=")) for identifier in made} == {32}
    assert all(map(Identifier.of, made))


def test_the_key_is_the_sha_256_of_the_identifier() -> None:
    assert key_of("abc") == sha256(b"abc").hexdigest()
    identifier = Identifier.new()
    assert identifier.key == key_of(identifier.text)


def test_an_identifier_shows_nowhere() -> None:
    identifier = Identifier.new()
    assert identifier.text not in f"{identifier} {identifier!r}"


@pytest.mark.parametrize(
    "text",
    ["", "a" * 42, "a" * 44, "a" * 42 + ".", "a" * 42 + "=", "a" * 42 + "ä", "a" * 43 + "\n", "eyJ9.aaaa.bbbb"],
)
def test_what_is_no_identifier_is_told_from_one(text: str) -> None:
    assert Identifier.of(text) is None


def test_any_cookie_has_a_key() -> None:
    assert len(key_of("\udcff")) == 64
