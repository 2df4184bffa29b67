"""Identifiers: 256 bits that nobody can guess, and keys that do not lead back to them."""

from __future__ import annotations

from base64 import urlsafe_b64decode
from hashlib import sha256

import pytest

from typed_sessions.errors import ConfigurationError
from typed_sessions.stores.identifiers import Identifier, Namespace

SHOP = Namespace.named("shop")


@pytest.mark.parametrize("place", ["", "0a9f"])
def test_an_identifier_holds_256_random_bits(place: str) -> None:
    made = {Identifier.new(place).text for _ in range(1_000)}
    assert len(made) == 1_000
    assert {len(urlsafe_b64decode(text[len(place) :] + "=")) for text in made} == {32}
    assert {identifier.place for text in made if (identifier := Identifier.of(text))} == {place}


def test_the_key_is_a_digest_of_the_identifier_in_its_namespace() -> None:
    assert SHOP.key_of(Identifier("abc")) == sha256(b"shop\0session\0abc").hexdigest()
    assert SHOP.key_of(Identifier("0a9fabc", "0a9f")) == "0a9f" + sha256(b"shop\0session\x000a9fabc").hexdigest()[4:]


def test_no_two_things_have_one_key() -> None:
    identifier = Identifier.new()
    keys = {
        SHOP.key_of(identifier),
        SHOP.key_of_note("taken in", identifier.text),
        SHOP.key_of_note("revoked", identifier.text),
        Namespace.named("office").key_of(identifier),
        *(Namespace.derived(key, name).key_of(identifier) for key in (b"k", b"K") for name in ("session", "office")),
    }
    assert len(keys) == 8
    assert {len(key) for key in keys} == {64}


def test_a_derived_namespace_is_the_same_wherever_key_and_cookie_are() -> None:
    assert Namespace.derived(b"k" * 32, "session") == Namespace.derived(b"k" * 32, "session")
    assert Namespace.derived(b"k" * 32, "session").name == "~a0efd9c8b1498ae514619d273670fec0"


@pytest.mark.parametrize("name", ["", "a b", "a:b", "~" + "0" * 32, "x" * 65, "a\n", "\u00e9"])
def test_a_namespace_has_a_name_that_no_other_one_contains(name: str) -> None:
    with pytest.raises(ConfigurationError, match="SESSION_NAMESPACE"):
        Namespace.named(name)


def test_an_identifier_shows_nowhere() -> None:
    identifier = Identifier.new()
    assert identifier.text not in f"{identifier} {identifier!r}"
    assert "shop" not in repr(SHOP)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a" * 42,
        "a" * 44,
        "A" * 47,
        "a" * 42 + ".",
        "a" * 42 + "=",
        "a" * 42 + "ä",
        "a" * 43 + "\n",
        "eyJ9.aaaa.bbbb",
    ],
)
def test_what_is_no_identifier_is_told_from_one(text: str) -> None:
    assert Identifier.of(text) is None


def test_any_cookie_has_a_key() -> None:
    assert len(SHOP.key_of_note("taken in", "\udcff")) == 64
