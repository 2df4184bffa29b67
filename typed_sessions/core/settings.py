"""The settings of an application, as one frozen value."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from copy import copy
from datetime import datetime, timedelta
from typing import Any, Final

import msgspec
from attrs import field, frozen

from typed_sessions.codec.codec import OnBadField
from typed_sessions.core.cookies import BROWSERS_LIMIT, checked_attributes
from typed_sessions.core.state import ExtrasRule
from typed_sessions.errors import ConfigurationError
from typed_sessions.schema.narrowing import is_sequence, is_set
from typed_sessions.sealing.keys import DigestMethod, SecretKeys, known_digest
from typed_sessions.sealing.set_cookie import CookieAttributes
from typed_sessions.serializers.base import AnySerializer, resolve_serializer
from typed_sessions.stores import SessionStore, check_url

__all__ = [
    "DEFAULT_LIFETIME",
    "SETTING_NAMES",
    "Settings",
    "checked_store",
    "copied",
    "flag_of",
    "lifetime_of",
    "present",
    "purge_interval_of",
    "read_settings",
    "snapshot",
]

SETTING_NAMES: Final = (
    "SECRET_KEY",
    "SECRET_KEY_FALLBACKS",
    "APPLICATION_ROOT",
    "MAX_COOKIE_SIZE",
    "PERMANENT_SESSION_LIFETIME",
    "SESSION_ABSOLUTE_LIFETIME",
    "SESSION_ADOPT_SIGNED_BEFORE",
    "SESSION_CLOCK_LEEWAY",
    "SESSION_COOKIE_DOMAIN",
    "SESSION_COOKIE_HTTPONLY",
    "SESSION_COOKIE_NAME",
    "SESSION_COOKIE_PARTITIONED",
    "SESSION_COOKIE_PATH",
    "SESSION_COOKIE_SAMESITE",
    "SESSION_COOKIE_SECURE",
    "SESSION_DIGEST",
    "SESSION_DIGEST_FALLBACKS",
    "SESSION_EXTRAS",
    "SESSION_MAX_PAYLOAD",
    "SESSION_NAMESPACE",
    "SESSION_ON_BAD_FIELD",
    "SESSION_ON_OVERSIZE",
    "SESSION_ON_STORE_ERROR",
    "SESSION_REFRESH_AFTER",
    "SESSION_REFRESH_EACH_REQUEST",
    "SESSION_SERIALIZER",
    "SESSION_SERIALIZER_FALLBACKS",
    "SESSION_STORE",
    "SESSION_STORE_TIMEOUT",
)
"""Every config key that a session depends on: Quart's own, and those that this library adds."""

DEFAULT_LIFETIME: Final = timedelta(days=31)
"""Of a permanent session, as in Quart."""

_MOST_SECONDS: Final = timedelta.max // timedelta(seconds=1)


_LONGEST: Final = timedelta(days=365 * 1000)


@frozen
class Settings:
    """What the config of an application says of its sessions, checked."""

    keys: SecretKeys | None
    """None without a secret key: there are no sessions."""
    cookie: CookieAttributes
    """As the config has it, checked here; what is written is what the interface's helper methods say."""
    application_root: str
    """Which was the cookie's path if none was set."""
    serializer: AnySerializer | None
    """None leaves it to the argument."""
    serializer_fallbacks: tuple[AnySerializer, ...]
    """Those that read, too, beside the built-in ones."""
    digest: DigestMethod | None
    """None leaves it to the interface."""
    digest_fallbacks: tuple[DigestMethod, ...]
    lifetime: timedelta
    leeway: timedelta
    extras: ExtrasRule
    on_bad_field: OnBadField
    raise_on_oversize: bool
    max_cookie_size: int
    """In bytes, of the whole `Set-Cookie` text; 0 for no limit."""
    max_payload: int | None
    """In bytes. None leaves it to where sessions are kept."""
    refresh_each_request: bool
    refresh_after: timedelta | None
    """None leaves it to the interface."""
    store: str | SessionStore | None = field(repr=False)
    """A URL, or a store. None leaves it to the argument."""
    namespace: str | None
    """What keeps the sessions of an application apart from others in its store. None leaves it to the secret key."""
    absolute_lifetime: timedelta | None
    store_timeout: timedelta
    raise_on_store_error: bool
    adopt_signed_before: datetime | None


def present(config: Mapping[str, Any]) -> tuple[object, ...]:
    """Return the values of all settings, to compare with a snapshot."""
    return tuple(map(config.get, SETTING_NAMES))


def snapshot(config: Mapping[str, Any]) -> tuple[object, ...]:
    """Return the values of all settings, to compare with later ones. Lists are copied: they may change in place."""
    return tuple(map(_held, present(config)))


def copied(config: Mapping[str, Any]) -> dict[str, object]:
    """Return all values of a config, to compare with later ones. Lists are copied: they may change in place."""
    return {key: _held(value) for key, value in config.items()}


def read_settings(config: Mapping[str, Any]) -> Settings:
    """Return the settings of an application. A key that is missing has Quart's default.

    Raises:
        ConfigurationError: a setting is wrong; the message names it and says what it takes.
    """
    lifetime = lifetime_of(config.get("PERMANENT_SESSION_LIFETIME", DEFAULT_LIFETIME))
    return Settings(
        keys=_secret_keys(config),
        cookie=_cookie(config),
        application_root=_text(config, "APPLICATION_ROOT") or "/",
        serializer=_serializer(config),
        serializer_fallbacks=_serializer_fallbacks(config),
        digest=_digest(config, "SESSION_DIGEST"),
        digest_fallbacks=_digest_fallbacks(config),
        lifetime=lifetime,
        leeway=_span(config, "SESSION_CLOCK_LEEWAY", timedelta(seconds=30)),
        extras=_extras_rule(config),
        on_bad_field=OnBadField(_choice(config, "SESSION_ON_BAD_FIELD", ("field", "session"))),
        raise_on_oversize=_choice(config, "SESSION_ON_OVERSIZE", ("raise", "warn")) == "raise",
        max_cookie_size=_max_cookie_size(config),
        max_payload=_max_payload(config),
        refresh_each_request=_flag(config, "SESSION_REFRESH_EACH_REQUEST", default=True),
        refresh_after=_refresh_after(config, lifetime),
        store=_store(config),
        namespace=_text(config, "SESSION_NAMESPACE"),
        absolute_lifetime=_absolute_lifetime(config),
        store_timeout=_store_timeout(config),
        raise_on_store_error=_choice(config, "SESSION_ON_STORE_ERROR", ("raise", "anonymous")) == "raise",
        adopt_signed_before=_moment(config, "SESSION_ADOPT_SIGNED_BEFORE"),
    )


def lifetime_of(setting: object) -> timedelta:
    """Return how long a permanent session lives, of the value of `PERMANENT_SESSION_LIFETIME`.

    The config, which holds secrets, is in no frame of a traceback: debugging pages show locals.

    Raises:
        ConfigurationError: it is no span of time, or one past the calendar's end.
    """
    lifetime = _as_span("PERMANENT_SESSION_LIFETIME", setting)
    if lifetime > _LONGEST:
        raise ConfigurationError(f"PERMANENT_SESSION_LIFETIME must be at most {_LONGEST.days} days")
    return lifetime


def purge_interval_of(setting: object) -> timedelta | None:
    """Return how often expired sessions are deleted, of the value of `SESSION_PURGE_EVERY`; None for never.

    Raises:
        ConfigurationError: it is no span of time.
    """
    if setting is None:
        return None
    every = _as_span("SESSION_PURGE_EVERY", setting)
    if not every:
        raise ConfigurationError("SESSION_PURGE_EVERY must be longer than nothing; None is never")
    return every


def _held(value: object) -> object:
    return copy(value) if is_sequence(value) or is_set(value) else value


def _secret_keys(config: Mapping[str, Any]) -> SecretKeys | None:
    current: object = config.get("SECRET_KEY")
    if not current:
        return None
    if not isinstance(current, (str, bytes)):
        raise ConfigurationError(f"SECRET_KEY must be text or bytes, not {type(current).__name__}")
    fallbacks: object = config.get("SECRET_KEY_FALLBACKS") or ()
    if isinstance(fallbacks, str):
        raise ConfigurationError(
            "SECRET_KEY_FALLBACKS must be a list of keys, oldest first; a text is not split at commas, which a key may "
            'hold: in an environment write a JSON list, ["older", "old"], for app.config.from_prefixed_env()'
        )
    if not is_sequence(fallbacks):
        raise ConfigurationError(
            f"SECRET_KEY_FALLBACKS must be a list of keys, oldest first, not {type(fallbacks).__name__}"
        )
    keys = tuple(key for key in fallbacks if isinstance(key, (str, bytes)) and key)
    if len(keys) != len(fallbacks):
        raise ConfigurationError("each of SECRET_KEY_FALLBACKS must be text or bytes, and not empty")
    secret_keys = SecretKeys(current, keys)
    try:
        secret_keys.oldest_first  # noqa: B018 -- as every signature will need them
    except UnicodeEncodeError:
        raise ConfigurationError("SECRET_KEY, or one of SECRET_KEY_FALLBACKS, is no valid text; pass bytes") from None
    return secret_keys


def _cookie(config: Mapping[str, Any]) -> CookieAttributes:
    name = _text(config, "SESSION_COOKIE_NAME")
    return checked_attributes(
        name="session" if name is None else name,
        path=_text(config, "SESSION_COOKIE_PATH") or _text(config, "APPLICATION_ROOT") or "/",
        domain=_text(config, "SESSION_COOKIE_DOMAIN"),
        secure=_flag(config, "SESSION_COOKIE_SECURE", default=False),
        httponly=_flag(config, "SESSION_COOKIE_HTTPONLY", default=True),
        samesite=_text(config, "SESSION_COOKIE_SAMESITE"),
        partitioned=_flag(config, "SESSION_COOKIE_PARTITIONED", default=False),
    )


def _flag(config: Mapping[str, Any], setting: str, *, default: bool) -> bool:
    return flag_of(setting, config.get(setting, default))


def flag_of(setting: str, value: object) -> bool:
    """Return a setting that is true or false. Text is neither, but for what an environment has: `"true"`, `"false"`.

    Raises:
        ConfigurationError: it is another text.
    """
    if isinstance(value, str):
        if value.lower() not in _FLAGS:
            raise ConfigurationError(f"{setting} must be True or False, not another text")
        return _FLAGS[value.lower()]
    return bool(value)


_FLAGS: Final = {"true": True, "false": False}


def _refresh_after(config: Mapping[str, Any], lifetime: timedelta) -> timedelta | None:
    if config.get("SESSION_REFRESH_AFTER") is None:
        return None
    refresh_after = _span(config, "SESSION_REFRESH_AFTER", timedelta())
    if refresh_after > lifetime:
        raise ConfigurationError("SESSION_REFRESH_AFTER must not be longer than PERMANENT_SESSION_LIFETIME")
    return refresh_after


def _text(config: Mapping[str, Any], setting: str) -> str | None:
    """Return the text of a setting, or None if it is not set, for which older Flask settings say False."""
    value: object = config.get(setting)
    if value is None or value is False:
        return None
    if not isinstance(value, str):
        raise ConfigurationError(f"{setting} must be text, not {type(value).__name__}")
    return value


def _serializer(config: Mapping[str, Any]) -> AnySerializer | None:
    setting: object = config.get("SESSION_SERIALIZER")
    return None if setting is None else resolve_serializer(setting)


def _serializer_fallbacks(config: Mapping[str, Any]) -> tuple[AnySerializer, ...]:
    settings: object = config.get("SESSION_SERIALIZER_FALLBACKS") or ()
    if not is_sequence(settings):
        raise ConfigurationError(f"SESSION_SERIALIZER_FALLBACKS must be a list, not {type(settings).__name__}")
    return tuple(resolve_serializer(setting, "SESSION_SERIALIZER_FALLBACKS") for setting in settings)


def _digest(config: Mapping[str, Any], setting: str) -> DigestMethod | None:
    name: object = config.get(setting)
    return None if name is None else known_digest(setting, name)


def _digest_fallbacks(config: Mapping[str, Any]) -> tuple[DigestMethod, ...]:
    names: object = config.get("SESSION_DIGEST_FALLBACKS") or ()
    if not is_sequence(names):
        raise ConfigurationError(f"SESSION_DIGEST_FALLBACKS must be a list of names, not {type(names).__name__}")
    return tuple(known_digest("SESSION_DIGEST_FALLBACKS", name) for name in names)


def _store(config: Mapping[str, Any]) -> str | SessionStore | None:
    setting: object = config.get("SESSION_STORE")
    return None if setting is None else checked_store(setting, "SESSION_STORE")


def checked_store(setting: object, name: str) -> str | SessionStore:
    """Return the URL of a store, or a store. Nothing is connected to.

    Raises:
        ConfigurationError: it is none; the message has the name of the setting.
    """
    if isinstance(setting, str):
        check_url(setting)
        return setting
    if isinstance(setting, type) or not isinstance(setting, SessionStore):
        what = setting.__name__ if isinstance(setting, type) else type(setting).__name__
        raise ConfigurationError(f"{name} must be a URL or a store, not {what}")
    return setting


def _absolute_lifetime(config: Mapping[str, Any]) -> timedelta | None:
    if config.get("SESSION_ABSOLUTE_LIFETIME") is None:
        return None
    lifetime = _span(config, "SESSION_ABSOLUTE_LIFETIME", timedelta())
    if not lifetime:
        raise ConfigurationError("SESSION_ABSOLUTE_LIFETIME must be longer than nothing; None is no limit")
    return lifetime


def _store_timeout(config: Mapping[str, Any]) -> timedelta:
    timeout = _span(config, "SESSION_STORE_TIMEOUT", timedelta(seconds=2))
    if not timeout:
        raise ConfigurationError("SESSION_STORE_TIMEOUT must be longer than nothing")
    return timeout


def _moment(config: Mapping[str, Any], setting: str) -> datetime | None:
    value: object = config.get(setting)
    if value is None:
        return None
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            raise ConfigurationError(f"{setting} must be a datetime, or a text as in 2026-12-01T00:00:00Z") from None
    if not isinstance(value, datetime) or value.tzinfo is None:
        raise ConfigurationError(f"{setting} must be a datetime with a time zone")
    return value


def _span(config: Mapping[str, Any], setting: str, default: timedelta) -> timedelta:
    return _as_span(setting, config.get(setting, default))


def _as_span(setting: str, value: object) -> timedelta:
    """Return a span of time: a timedelta, seconds as Quart allows them, or the text of either from an environment."""
    if isinstance(value, str):
        with suppress(msgspec.ValidationError):
            value = msgspec.convert(value, timedelta, strict=False)
    elif isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _MOST_SECONDS:
        value = timedelta(seconds=value)
    if not isinstance(value, timedelta) or value < timedelta():
        raise ConfigurationError(
            f"{setting} must be a timedelta, or whole seconds, or a text such as P1DT2H30M, and not negative"
        )
    return value


def _extras_rule(config: Mapping[str, Any]) -> ExtrasRule:
    setting: object = config.get("SESSION_EXTRAS", "keep")
    if setting == "keep":
        return ExtrasRule()
    if setting == "forbid":
        return ExtrasRule(frozenset())
    if is_sequence(setting) or is_set(setting):
        names = [name for name in setting if isinstance(name, str)]
        if len(names) == len(setting):
            return ExtrasRule(frozenset(names))
    raise ConfigurationError('SESSION_EXTRAS must be "keep", "forbid" or a set of names')


def _choice(config: Mapping[str, Any], setting: str, choices: tuple[str, str]) -> str:
    """Return the value of a setting that has two; the first is the default."""
    value: object = config.get(setting, choices[0])
    for choice in choices:
        if value == choice:
            return choice
    raise ConfigurationError(f'{setting} must be "{choices[0]}" or "{choices[1]}"')


def _max_cookie_size(config: Mapping[str, Any]) -> int:
    value: object = config.get("MAX_COOKIE_SIZE", BROWSERS_LIMIT)
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ConfigurationError("MAX_COOKIE_SIZE must be a number of bytes; 0 is no limit")
    return value


def _max_payload(config: Mapping[str, Any]) -> int | None:
    value: object = config.get("SESSION_MAX_PAYLOAD")
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or value <= 0:
        raise ConfigurationError("SESSION_MAX_PAYLOAD must be a number of bytes, more than 0")
    return value
