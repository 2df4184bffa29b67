"""Settings: Quart's defaults, a refusal by name for each wrong one, and a snapshot that tells when one has changed."""

from __future__ import annotations

import hashlib
import json
import pickle
import sys
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

import pytest
from quart import Quart
from typing_extensions import override

from typed_sessions.codec.codec import OnBadField
from typed_sessions.core.settings import SETTING_NAMES, checked_encryption, copied, read_settings
from typed_sessions.core.state import ExtrasRule
from typed_sessions.errors import ConfigurationError
from typed_sessions.sealing.keys import SecretKeys
from typed_sessions.sealing.set_cookie import CookieAttributes
from typed_sessions.serializers import TaggedJSONSerializer

SERIALIZER = TaggedJSONSerializer()


def test_an_empty_config_means_the_default_config_of_quart() -> None:
    assert read_settings({}) == read_settings(Quart(__name__).config)


def test_the_defaults_are_those_of_quart() -> None:
    config = Quart(__name__).config
    defaults = read_settings({})
    assert defaults.keys is None
    assert defaults.cookie == CookieAttributes(
        name=config["SESSION_COOKIE_NAME"],
        path=config["APPLICATION_ROOT"],
        domain=config["SESSION_COOKIE_DOMAIN"],
        secure=config["SESSION_COOKIE_SECURE"],
        httponly=config["SESSION_COOKIE_HTTPONLY"],
        samesite=config["SESSION_COOKIE_SAMESITE"],
        partitioned=config["SESSION_COOKIE_PARTITIONED"],
    )
    assert defaults.lifetime == config["PERMANENT_SESSION_LIFETIME"]
    assert defaults.max_cookie_size == config["MAX_COOKIE_SIZE"]
    assert defaults.refresh_each_request is config["SESSION_REFRESH_EACH_REQUEST"]


def test_the_defaults_of_our_own_settings() -> None:
    defaults = read_settings({})
    assert defaults.serializer is None
    assert defaults.digest is None
    assert defaults.digest_fallbacks == ()
    assert defaults.leeway == timedelta(seconds=30)
    assert defaults.extras == ExtrasRule(None)
    assert defaults.on_bad_field is OnBadField.RESET
    assert defaults.raise_on_oversize
    assert defaults.refresh_after is None


@pytest.mark.parametrize(
    ("config", "read", "expected"),
    [
        pytest.param({"SECRET_KEY": ""}, lambda s: s.keys, None, id="an empty key"),
        pytest.param({"SECRET_KEY": "k"}, lambda s: s.keys, SecretKeys("k"), id="a key"),
        pytest.param({"SECRET_KEY": b"k"}, lambda s: s.keys, SecretKeys(b"k"), id="a key in bytes"),
        pytest.param(
            {"SECRET_KEY": "k", "SECRET_KEY_FALLBACKS": ["older", b"old"]},
            lambda s: s.keys,
            SecretKeys("k", ("older", b"old")),
            id="fallback keys",
        ),
        pytest.param(
            {"SECRET_KEY": "k", "SECRET_KEY_FALLBACKS": ()}, lambda s: s.keys, SecretKeys("k"), id="no fallback keys"
        ),
        pytest.param({"SECRET_KEY_FALLBACKS": ["k"]}, lambda s: s.keys, None, id="fallback keys alone"),
        pytest.param({"APPLICATION_ROOT": "/app"}, lambda s: s.cookie.path, "/app", id="the root is the path"),
        pytest.param(
            {"APPLICATION_ROOT": "/app", "SESSION_COOKIE_PATH": "/x"}, lambda s: s.cookie.path, "/x", id="a path"
        ),
        pytest.param({"APPLICATION_ROOT": None}, lambda s: s.cookie.path, "/", id="no root"),
        pytest.param({"SESSION_COOKIE_NAME": "id"}, lambda s: s.cookie.name, "id", id="a name"),
        pytest.param({"SESSION_COOKIE_DOMAIN": "a.com"}, lambda s: s.cookie.domain, "a.com", id="a domain"),
        pytest.param({"SESSION_COOKIE_DOMAIN": False}, lambda s: s.cookie.domain, None, id="a domain of False"),
        pytest.param({"SESSION_COOKIE_SAMESITE": "lax"}, lambda s: s.cookie.samesite, "Lax", id="SameSite"),
        pytest.param({"SESSION_COOKIE_SECURE": 1}, lambda s: s.cookie.secure, True, id="secure"),
        pytest.param({"SESSION_COOKIE_HTTPONLY": None}, lambda s: s.cookie.httponly, False, id="not HttpOnly"),
        pytest.param({"SESSION_COOKIE_PARTITIONED": True}, lambda s: s.cookie.secure, True, id="partitioned"),
        pytest.param({"PERMANENT_SESSION_LIFETIME": 60}, lambda s: s.lifetime, timedelta(minutes=1), id="seconds"),
        pytest.param(
            {"PERMANENT_SESSION_LIFETIME": timedelta(1)}, lambda s: s.lifetime, timedelta(days=1), id="a timedelta"
        ),
        pytest.param({"SESSION_CLOCK_LEEWAY": 0}, lambda s: s.leeway, timedelta(), id="no leeway"),
        pytest.param({"SESSION_REFRESH_AFTER": 0}, lambda s: s.refresh_after, timedelta(), id="refresh at once"),
        pytest.param({"SESSION_REFRESH_AFTER": None}, lambda s: s.refresh_after, None, id="refresh as the interface"),
        pytest.param({"SESSION_REFRESH_EACH_REQUEST": False}, lambda s: s.refresh_each_request, False, id="no refresh"),
        pytest.param({"SESSION_SERIALIZER": SERIALIZER}, lambda s: s.serializer, SERIALIZER, id="a serializer"),
        pytest.param(
            {"SESSION_SERIALIZER": "tagged-json"},
            lambda s: type(s.serializer),
            TaggedJSONSerializer,
            id="a serializer by name",
        ),
        pytest.param({"SESSION_EXTRAS": "keep"}, lambda s: s.extras, ExtrasRule(None), id="keep extras"),
        pytest.param({"SESSION_EXTRAS": "forbid"}, lambda s: s.extras, ExtrasRule(frozenset()), id="forbid extras"),
        pytest.param({"SESSION_EXTRAS": {"a"}}, lambda s: s.extras, ExtrasRule(frozenset("a")), id="a set of extras"),
        pytest.param({"SESSION_EXTRAS": ["a"]}, lambda s: s.extras, ExtrasRule(frozenset("a")), id="a list of extras"),
        pytest.param(
            {"SESSION_EXTRAS": frozenset()}, lambda s: s.extras, ExtrasRule(frozenset()), id="an empty set of extras"
        ),
        pytest.param({"SESSION_ON_BAD_FIELD": "session"}, lambda s: s.on_bad_field, OnBadField.REFUSE, id="bad fields"),
        pytest.param({"SESSION_ON_OVERSIZE": "warn"}, lambda s: s.raise_on_oversize, False, id="warn on oversize"),
        pytest.param({}, lambda s: s.encryption, "off", id="no encryption"),
        pytest.param({"SESSION_ENCRYPTION": None}, lambda s: s.encryption, "off", id="encryption of None"),
        pytest.param({"SESSION_ENCRYPTION": "read"}, lambda s: s.encryption, "read", id="reads what is encrypted"),
        pytest.param({"SESSION_ENCRYPTION": "on"}, lambda s: s.encryption, "on", id="encryption"),
        pytest.param({"MAX_COOKIE_SIZE": 0}, lambda s: s.max_cookie_size, 0, id="no size limit"),
    ],
)
def test_a_setting_is_read(config: dict[str, object], read: Callable[[Any], object], expected: object) -> None:
    assert read(read_settings(config)) == expected


@pytest.mark.parametrize("name", ["sha1", "sha256", "sha512", "blake2b"])
def test_digests_are_read_by_name(name: str) -> None:
    settings = read_settings({"SESSION_DIGEST": name, "SESSION_DIGEST_FALLBACKS": [name, "sha1"]})
    assert settings.digest is not None
    expected = hashlib.new(name, b"data").digest()
    assert settings.digest(b"data").digest() == expected
    assert [digest(b"data").digest() for digest in settings.digest_fallbacks] == [
        expected,
        hashlib.sha1(b"data", usedforsecurity=False).digest(),
    ]


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        pytest.param("SECRET_KEY", 7, id="a key that is a number"),
        pytest.param("SECRET_KEY", ["k"], id="a list of keys as key"),
        pytest.param("SECRET_KEY", "\ud800", id="a key that is no valid text"),
        pytest.param("SECRET_KEY_FALLBACKS", "old", id="fallback keys as text"),
        pytest.param("SECRET_KEY_FALLBACKS", b"old", id="fallback keys as bytes"),
        pytest.param("SECRET_KEY_FALLBACKS", {"old"}, id="fallback keys without an order"),
        pytest.param("SECRET_KEY_FALLBACKS", ["old", ""], id="an empty fallback key"),
        pytest.param("SECRET_KEY_FALLBACKS", ["old", None], id="a fallback key of None"),
        pytest.param("APPLICATION_ROOT", 7, id="a root that is a number"),
        pytest.param("MAX_COOKIE_SIZE", -1, id="a negative size"),
        pytest.param("MAX_COOKIE_SIZE", True, id="a size of True"),
        pytest.param("MAX_COOKIE_SIZE", "4093", id="a size as text"),
        pytest.param("MAX_COOKIE_SIZE", None, id="a size of None"),
        pytest.param("PERMANENT_SESSION_LIFETIME", None, id="a lifetime of None"),
        pytest.param("PERMANENT_SESSION_LIFETIME", True, id="a lifetime of True"),
        pytest.param("PERMANENT_SESSION_LIFETIME", "an hour", id="a lifetime in words"),
        pytest.param("PERMANENT_SESSION_LIFETIME", 1.5, id="a lifetime of parts of seconds"),
        pytest.param("PERMANENT_SESSION_LIFETIME", -1, id="a negative lifetime in seconds"),
        pytest.param("PERMANENT_SESSION_LIFETIME", timedelta(-1), id="a negative lifetime"),
        pytest.param("PERMANENT_SESSION_LIFETIME", 10**20, id="a lifetime past all spans"),
        pytest.param("PERMANENT_SESSION_LIFETIME", -(10**20), id="a negative lifetime past all spans"),
        pytest.param("PERMANENT_SESSION_LIFETIME", timedelta.max, id="a lifetime past the calendar"),
        pytest.param("SESSION_CLOCK_LEEWAY", -1, id="a negative leeway"),
        pytest.param("SESSION_CLOCK_LEEWAY", "-30", id="a negative leeway as text"),
        pytest.param("SESSION_COOKIE_DOMAIN", 7, id="a domain that is a number"),
        pytest.param("SESSION_COOKIE_DOMAIN", True, id="a domain of True"),
        pytest.param("SESSION_COOKIE_DOMAIN", "a.com; Secure", id="a domain with another attribute"),
        pytest.param("SESSION_COOKIE_NAME", "", id="an empty name"),
        pytest.param("SESSION_COOKIE_NAME", 7, id="a name that is a number"),
        pytest.param("SESSION_COOKIE_NAME", b"session", id="a name in bytes"),
        pytest.param("SESSION_COOKIE_NAME", "a\r\nb", id="a name with a line break"),
        pytest.param("SESSION_COOKIE_PATH", 7, id="a path that is a number"),
        pytest.param("SESSION_COOKIE_PATH", "/\n", id="a path with a line break"),
        pytest.param("SESSION_SERIALIZER", pickle, id="pickle"),
        pytest.param("SESSION_SERIALIZER", "logging.handlers:pickle", id="pickle by another name"),
        pytest.param("SESSION_SERIALIZER_FALLBACKS", [json, "yaml"], id="an unknown fallback"),
        pytest.param("SESSION_SERIALIZER_FALLBACKS", ["no.such:thing"], id="a fallback that is nowhere"),
        pytest.param("SESSION_COOKIE_DOMAIN", "http://a.example", id="an address for a domain"),
        pytest.param("SESSION_COOKIE_NAME", "__Http-s", id="a name for secure cookies"),
        pytest.param("SESSION_COOKIE_SAMESITE", "strikt", id="an unknown SameSite"),
        pytest.param("SESSION_COOKIE_SAMESITE", True, id="SameSite of True"),
        pytest.param("SESSION_COOKIE_SAMESITE", "None", id="SameSite=None, not secure"),
        pytest.param("SESSION_COOKIE_SECURE", "yes", id="secure as a word"),
        pytest.param("SESSION_COOKIE_HTTPONLY", "0", id="HttpOnly as text"),
        pytest.param("SESSION_COOKIE_PARTITIONED", "", id="partitioned as text"),
        pytest.param("SESSION_REFRESH_EACH_REQUEST", "no", id="refresh as a word"),
        pytest.param("SESSION_DIGEST", "md6", id="an unknown digest"),
        pytest.param("SESSION_DIGEST", "shake_128", id="a digest without a size"),
        pytest.param("SESSION_DIGEST", hashlib.sha256, id="a digest that is no name"),
        pytest.param("SESSION_DIGEST", "", id="an empty digest"),
        pytest.param("SESSION_DIGEST_FALLBACKS", "sha1", id="digests as text"),
        pytest.param("SESSION_DIGEST_FALLBACKS", ["sha1", "md6"], id="an unknown digest in a list"),
        pytest.param("SESSION_DIGEST_FALLBACKS", [["sha1"]], id="a list of lists of digests"),
        pytest.param("SESSION_EXTRAS", "allow", id="an unknown word for extras"),
        pytest.param("SESSION_EXTRAS", None, id="extras of None"),
        pytest.param("SESSION_EXTRAS", b"keep", id="extras in bytes"),
        pytest.param("SESSION_EXTRAS", ["a", 7], id="a number among the extras"),
        pytest.param("SESSION_EXTRAS", {"a": 1}, id="a dict of extras"),
        pytest.param("SESSION_ON_BAD_FIELD", "reset", id="an unknown word for bad fields"),
        pytest.param("SESSION_ON_BAD_FIELD", None, id="bad fields of None"),
        pytest.param("SESSION_ON_OVERSIZE", "drop", id="an unknown word for oversize"),
        pytest.param("SESSION_ENCRYPTION", "yes", id="an unknown word for encryption"),
        pytest.param("SESSION_ENCRYPTION", True, id="encryption of True"),
        pytest.param("SESSION_ENCRYPTION", "", id="encryption of nothing"),
        pytest.param("SESSION_REFRESH_AFTER", -1, id="a negative refresh"),
        pytest.param("SESSION_REFRESH_AFTER", timedelta(days=32), id="a refresh past the lifetime"),
        pytest.param("SESSION_REFRESH_AFTER", "P1M", id="a refresh in months"),
        pytest.param("SESSION_SERIALIZER", "pickle", id="an unknown serializer"),
        pytest.param("SESSION_SERIALIZER", "no_such_module:x", id="a serializer of no module"),
        pytest.param("SESSION_SERIALIZER", TaggedJSONSerializer, id="the class of a serializer"),
        pytest.param("SESSION_SERIALIZER", 7, id="a serializer that is a number"),
    ],
)
def test_a_wrong_setting_is_refused_by_its_name(setting: str, value: object) -> None:
    with pytest.raises(ConfigurationError, match=setting):
        read_settings({"SECRET_KEY": "k", setting: value})


def test_encryption_of_the_config_beats_that_of_the_argument() -> None:
    assert read_settings({}, encryption="on").encryption == "on"
    assert read_settings({"SESSION_ENCRYPTION": "off"}, encryption="on").encryption == "off"


@pytest.mark.parametrize("encryption", ["read", "on"])
def test_encryption_without_its_extra_says_which_one(monkeypatch: pytest.MonkeyPatch, encryption: str) -> None:
    monkeypatch.setitem(sys.modules, "cryptography.hazmat.primitives.ciphers.aead", None)
    with pytest.raises(ConfigurationError, match=r"^SESSION_ENCRYPTION .* 'typed_sessions\[encryption\]'$"):
        read_settings({"SESSION_ENCRYPTION": encryption})
    with pytest.raises(ConfigurationError, match=r"^encryption = .* extra"):
        checked_encryption("encryption", encryption)
    assert read_settings({"SESSION_ENCRYPTION": "off"}).encryption == "off"


def test_no_refusal_shows_a_key() -> None:
    for config in ({"SECRET_KEY": ["hush"]}, {"SECRET_KEY": "hush", "SECRET_KEY_FALLBACKS": "hush"}):
        with pytest.raises(ConfigurationError) as refusal:
            read_settings(config)
        assert "hush" not in str(refusal.value)


def snapshot(config: Mapping[str, Any]) -> list[object]:
    """The values of all settings, as an application keeps them to compare with later ones."""
    return [copied(config).get(name) for name in SETTING_NAMES]


def test_a_snapshot_of_the_same_config_is_the_same() -> None:
    config = Quart(__name__).config
    assert snapshot(config) == snapshot(dict(config))
    assert snapshot({}) == snapshot({"A_SETTING_OF_ANOTHER": 1})


@pytest.mark.parametrize("setting", SETTING_NAMES)
def test_a_snapshot_changes_with_every_setting(setting: str) -> None:
    config: dict[str, object] = dict(Quart(__name__).config)
    before = snapshot(config)
    config[setting] = "another value"
    assert snapshot(config) != before


CHANGES_IN_PLACE: list[tuple[str, Any, Callable[[Any], object]]] = [
    ("SECRET_KEY_FALLBACKS", ["old"], lambda keys: keys.append("older")),
    ("SECRET_KEY_FALLBACKS", ["old", "older"], lambda keys: keys.reverse()),
    ("SESSION_DIGEST_FALLBACKS", ["sha256"], lambda digests: digests.clear()),
    ("SESSION_EXTRAS", {"a"}, lambda names: names.add("b")),
    ("SESSION_EXTRAS", ["a"], lambda names: names.append("b")),
]


@pytest.mark.parametrize(
    ("setting", "value", "change"), CHANGES_IN_PLACE, ids=["append", "reverse", "clear", "set", "list of extras"]
)
def test_a_snapshot_changes_when_a_setting_changes_in_place(
    setting: str, value: Any, change: Callable[[Any], object]
) -> None:
    config = {setting: value}
    before = snapshot(config)
    assert snapshot(config) == before
    change(value)
    assert snapshot(config) != before


def test_every_setting_that_is_read_is_in_the_snapshot() -> None:
    asked: set[str] = set()

    class Asked(dict[str, object]):
        @override
        def get(self, key: str, default: Any = None) -> Any:
            asked.add(key)
            return super().get(key, default)

    read_settings(Asked(SECRET_KEY="k"))
    assert asked == set(SETTING_NAMES)
