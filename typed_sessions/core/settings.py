"""The settings of an application, as one frozen value."""

# ruff: noqa: RUF009 -- what `_setting` returns is a field

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from copy import copy
from datetime import datetime, timedelta
from difflib import get_close_matches
from functools import lru_cache
from importlib import import_module
from typing import Any, Final, Literal, TypeAlias, TypeVar, cast

import msgspec
from attrs import field, fields, frozen

from typed_sessions.codec.codec import OnBadField
from typed_sessions.core.cookies import BROWSERS_LIMIT, checked_attributes
from typed_sessions.core.predecessors import Predecessor
from typed_sessions.core.state import ExtrasRule
from typed_sessions.errors import ConfigurationError
from typed_sessions.schema.narrowing import is_sequence, is_set
from typed_sessions.sealing.key_file import path_of
from typed_sessions.sealing.keys import DigestMethod, SecretKeys, known_digest, refuse_same_ids
from typed_sessions.sealing.set_cookie import CookieAttributes
from typed_sessions.serializers.base import AnySerializer, resolve_serializer
from typed_sessions.stores import SessionStore, check_url

__all__ = [
    "DEFAULT_LIFETIME",
    "SETTING_NAMES",
    "Encryption",
    "Settings",
    "advice_on",
    "checked_encryption",
    "checked_store",
    "copied",
    "flag_of",
    "lifetime_of",
    "moment_of",
    "read_settings",
    "revealed",
    "span_of",
]

T = TypeVar("T")

Encryption: TypeAlias = Literal["off", "read", "on"]
"""Whether sessions are encrypted: not at all, where they come so, or whenever they are written, too."""

DEFAULT_LIFETIME: Final = timedelta(days=31)
"""Of a permanent session, as in Quart."""

_MOST_SECONDS: Final = timedelta.max // timedelta(seconds=1)
_LONGEST: Final = timedelta(days=365 * 1000)


def _secret_keys(current: object, fallbacks: object) -> SecretKeys | None:
    current = revealed(current)
    if not current:
        return None
    if not isinstance(current, (str, bytes)):
        raise ConfigurationError(f"SECRET_KEY must be text or bytes, not {type(current).__name__}")
    if isinstance(fallbacks, str):
        raise ConfigurationError(
            "SECRET_KEY_FALLBACKS must be a list of keys, oldest first; a text is not split at commas, which a key may "
            'hold: in an environment write a JSON list, ["older", "old"], for app.config.from_prefixed_env()'
        )
    if not is_sequence(fallbacks):
        raise ConfigurationError(
            f"SECRET_KEY_FALLBACKS must be a list of keys, oldest first, not {type(fallbacks).__name__}"
        )
    keys = tuple(key for key in map(revealed, fallbacks) if isinstance(key, (str, bytes)) and key)
    if len(keys) != len(fallbacks):
        raise ConfigurationError("each of SECRET_KEY_FALLBACKS must be text or bytes, and not empty")
    if any(map(_is_hidden, (current, *keys))):
        raise ConfigurationError(
            "SECRET_KEY, or one of SECRET_KEY_FALLBACKS, is nothing but asterisks, which is what str() makes of a "
            "SecretStr: pass the SecretStr itself"
        )
    secret_keys = SecretKeys(current, keys)
    try:
        secret_keys.oldest_first  # noqa: B018 -- as every signature will need them
    except UnicodeEncodeError:
        raise ConfigurationError("SECRET_KEY, or one of SECRET_KEY_FALLBACKS, is no valid text; pass bytes") from None
    return secret_keys


def revealed(key: object) -> object:
    """Return the text of a key that hides it, as pydantic's SecretStr and Starlette's Secret do; others as they are."""
    reveal = getattr(key, "get_secret_value", None)
    if callable(reveal):
        return reveal()
    is_secret = any((cls.__module__, cls.__name__) == _STARLETTES for cls in type(key).__mro__)
    return str(key) if is_secret else key


_STARLETTES: Final = ("starlette.datastructures", "Secret")


def _is_hidden(key: str | bytes) -> bool:
    return not (key.strip("*") if isinstance(key, str) else key.strip(b"*"))


def flag_of(setting: str, value: object) -> bool:
    """Return a setting that is true or false. Text is neither, but for what an environment has: `"true"`, `"false"`.

    Raises:
        ConfigurationError: it is another text.
    """
    if not isinstance(value, str):
        return bool(value)
    if value.lower() not in ("true", "false"):
        raise ConfigurationError(f"{setting} must be True or False, not another text")
    return value.lower() == "true"


def _text(setting: str, value: object) -> str | None:
    if value is None or value is False:  # older settings of Flask say False for what is not set
        return None
    if not isinstance(value, str):
        raise ConfigurationError(f"{setting} must be text, not {type(value).__name__}")
    return value


def _serializer(setting: str, value: object) -> AnySerializer:
    return resolve_serializer(value, setting)


def checked_store(setting: str, value: object) -> str | SessionStore:
    """Return the URL of a store, or a store. Nothing is connected to.

    Raises:
        ConfigurationError: it is none; the message has the name of the setting.
    """
    if isinstance(value, str):
        check_url(value)
        return value
    if isinstance(value, type) or not isinstance(value, SessionStore):
        raise ConfigurationError(f"{setting} must be a URL or a store, not {_class_of(value)}")
    return value


def checked_encryption(setting: str, value: object) -> Encryption:
    """Return whether sessions are encrypted.

    Raises:
        ConfigurationError: it does not say so, or what encrypts is not installed; the message has the setting's name.
    """
    choice: Encryption | None = next((each for each in _ENCRYPTION if value == each), None)
    if choice is None:
        raise ConfigurationError(f'{setting} must be "off", "read" or "on", as text')
    if choice != "off":
        try:
            import_module("cryptography.hazmat.primitives.ciphers.aead")
        except ImportError:
            raise ConfigurationError(
                f'{setting} = "{choice}" needs cryptography, which is an extra: '
                f"pip install 'typed_sessions[encryption]'"
            ) from None
    return choice


_ENCRYPTION: Final[tuple[Encryption, ...]] = ("off", "read", "on")


def moment_of(setting: str, value: object) -> datetime:
    """Return a moment, of a datetime or its text. Raises ConfigurationError if it is none, or has no time zone."""
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            raise ConfigurationError(f"{setting} must be a datetime, or a text as in 2026-12-01T00:00:00Z") from None
    if not isinstance(value, datetime) or value.tzinfo is None:
        raise ConfigurationError(f"{setting} must be a datetime with a time zone")
    return value


def _second(setting: str, value: object) -> int:
    return math.floor(moment_of(setting, value).timestamp())


def _predecessor(setting: str, value: object) -> Predecessor:
    if isinstance(value, type) or not isinstance(value, Predecessor):
        what = _class_of(value)
        raise ConfigurationError(f"{setting} must be a list of what typed_sessions.adopting has, not of {what}")
    return value


def _class_of(value: object) -> str:
    return value.__name__ if isinstance(value, type) else type(value).__name__


def span_of(setting: str, value: object) -> timedelta:
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


def lifetime_of(setting: object) -> timedelta:
    """Return how long a permanent session lives, of the value of `PERMANENT_SESSION_LIFETIME`.

    The config, which holds secrets, is in no frame of a traceback: debugging pages show locals.

    Raises:
        ConfigurationError: it is no span of time, or one past the calendar's end.
    """
    lifetime = span_of("PERMANENT_SESSION_LIFETIME", setting)
    if lifetime > _LONGEST:
        raise ConfigurationError(f"PERMANENT_SESSION_LIFETIME must be at most {_LONGEST.days} days")
    return lifetime


def _longer_than_nothing(otherwise: str = "") -> Callable[[str, object], timedelta]:
    def read(setting: str, value: object) -> timedelta:
        span = span_of(setting, value)
        if not span:
            raise ConfigurationError(f"{setting} must be longer than nothing{otherwise}")
        return span

    return read


def _extras_rule(setting: str, value: object) -> ExtrasRule:
    if value == "keep":
        return ExtrasRule()
    if value == "forbid":
        return ExtrasRule(frozenset())
    if is_sequence(value) or is_set(value):
        names = [name for name in value if isinstance(name, str)]
        if len(names) == len(value):
            return ExtrasRule(frozenset(names))
    raise ConfigurationError(f'{setting} must be "keep", "forbid" or a set of names')


def _size(least: int, otherwise: str) -> Callable[[str, object], int]:
    def read(setting: str, value: object) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or value < least:
            raise ConfigurationError(f"{setting} must be a number of bytes{otherwise}")
        return value

    return read


def _each(read: Callable[[str, object], T], what: str) -> Callable[[str, object], tuple[T, ...]]:
    def read_each(setting: str, values: object) -> tuple[T, ...]:
        if not is_sequence(values or ()):
            raise ConfigurationError(f"{setting} must be {what}, not {type(values).__name__}")
        return tuple(read(setting, value) for value in cast("Iterable[object]", values or ()))

    return read_each


def _choice(default: str, other: str, made_of: Callable[[str], T]) -> Callable[[str, object], T]:
    def read_choice(setting: str, value: object) -> T:
        for choice in (default, other):
            if value == choice:
                return made_of(choice)
        raise ConfigurationError(f'{setting} must be "{default}" or "{other}"')

    return read_choice


def _is_raise(choice: str) -> bool:
    return choice == "raise"


def _read(config: Mapping[str, Any], setting: str, read: Callable[[str, object], T], default: object = None) -> T:
    value: object = config.get(setting, default)
    return cast("T", None) if value is None and default is None else read(setting, value)


def _setting(name: str, read: Callable[[str, object], T], default: object = None, *, shown: bool = True) -> T:
    """Return the field of a setting that is read by itself. One without a default is None where it is not set."""
    return cast("T", field(repr=shown, metadata={"setting": (name, read, default)}))


@frozen(kw_only=True)
class Settings:
    """What the config of an application says of its sessions, checked. A key that is missing has Quart's default."""

    keys: SecretKeys | None
    """None without a secret key: there are no sessions."""
    key_file: str | None = _setting("SECRET_KEY_FILE", path_of, shown=False)
    """The path of the file from which the keys came into the config."""
    cookie: CookieAttributes
    """As the config has it, checked here; what is written is what the interface's helper methods say."""
    application_root: str
    """Which was the cookie's path if none was set."""
    serializer: AnySerializer | None = _setting("SESSION_SERIALIZER", _serializer)
    """None leaves it to the argument."""
    serializer_fallbacks: tuple[AnySerializer, ...] = _setting(
        "SESSION_SERIALIZER_FALLBACKS", _each(_serializer, "a list"), ()
    )
    """Those that read, too, beside the built-in ones."""
    digest: DigestMethod | None = _setting("SESSION_DIGEST", known_digest)
    """None leaves it to the interface."""
    digest_fallbacks: tuple[DigestMethod, ...] = _setting(
        "SESSION_DIGEST_FALLBACKS", _each(known_digest, "a list of names"), ()
    )
    encryption: Encryption
    """As the argument says, if no setting does."""
    lifetime: timedelta
    leeway: timedelta = _setting("SESSION_CLOCK_LEEWAY", span_of, timedelta(seconds=30))
    extras: ExtrasRule = _setting("SESSION_EXTRAS", _extras_rule, "keep")
    on_bad_field: OnBadField = _setting("SESSION_ON_BAD_FIELD", _choice("field", "session", OnBadField), "field")
    raise_on_oversize: bool = _setting("SESSION_ON_OVERSIZE", _choice("raise", "warn", _is_raise), "raise")
    max_cookie_size: int = _setting("MAX_COOKIE_SIZE", _size(0, "; 0 is no limit"), BROWSERS_LIMIT)
    """In bytes, of the whole `Set-Cookie` text; 0 for no limit."""
    max_payload: int | None = _setting("SESSION_MAX_PAYLOAD", _size(1, ", more than 0"))
    """In bytes. None leaves it to where sessions are kept."""
    refresh_each_request: bool = _setting("SESSION_REFRESH_EACH_REQUEST", flag_of, default=True)
    refresh_after: timedelta | None = _setting("SESSION_REFRESH_AFTER", span_of)
    """None leaves it to the interface."""
    store: str | SessionStore | None = _setting("SESSION_STORE", checked_store, shown=False)
    """A URL, or a store. None leaves it to the argument."""
    namespace: str | None = _setting("SESSION_NAMESPACE", _text)
    """What keeps the sessions of an application apart from others in its store. None leaves it to the secret key."""
    absolute_lifetime: timedelta | None = _setting(
        "SESSION_ABSOLUTE_LIFETIME", _longer_than_nothing("; None is no limit")
    )
    not_before: int | None = _setting("SESSION_NOT_BEFORE", _second)
    """What was sealed or issued before has ended. In seconds since the epoch, as cookies have the time."""
    store_timeout: timedelta = _setting("SESSION_STORE_TIMEOUT", _longer_than_nothing(), timedelta(seconds=2))
    raise_on_store_error: bool = _setting("SESSION_ON_STORE_ERROR", _choice("raise", "anonymous", _is_raise), "raise")
    adopt_signed_before: datetime | None = _setting("SESSION_ADOPT_SIGNED_BEFORE", moment_of)
    adopt: tuple[Predecessor, ...] = _setting("SESSION_ADOPT", _each(_predecessor, "a list"), ())
    """What other libraries have written, and becomes ours."""
    purge_every: timedelta | None = _setting("SESSION_PURGE_EVERY", _longer_than_nothing("; None is never"))
    """How often expired sessions are deleted; None for never."""


def read_settings(config: Mapping[str, Any], *, encryption: Encryption = "off") -> Settings:
    """Return the settings of an application. What is given of `encryption` holds unless `SESSION_ENCRYPTION` is set.

    Raises:
        ConfigurationError: a setting is wrong; the message names it and says what it takes.
    """
    lifetime = lifetime_of(config.get("PERMANENT_SESSION_LIFETIME", DEFAULT_LIFETIME))
    root, name = _read(config, "APPLICATION_ROOT", _text) or "/", _read(config, "SESSION_COOKIE_NAME", _text)
    keys = _secret_keys(config.get("SECRET_KEY"), config.get("SECRET_KEY_FALLBACKS") or ())
    if config.get("SESSION_ENCRYPTION") is not None:
        encryption = checked_encryption("SESSION_ENCRYPTION", config.get("SESSION_ENCRYPTION"))
    if keys is not None and encryption != "off":
        refuse_same_ids(keys)
    cookie = checked_attributes(
        name="session" if name is None else name,
        path=_read(config, "SESSION_COOKIE_PATH", _text) or root,
        domain=_read(config, "SESSION_COOKIE_DOMAIN", _text),
        secure=_read(config, "SESSION_COOKIE_SECURE", flag_of, default=False),
        httponly=_read(config, "SESSION_COOKIE_HTTPONLY", flag_of, default=True),
        samesite=_read(config, "SESSION_COOKIE_SAMESITE", _text),
        partitioned=_read(config, "SESSION_COOKIE_PARTITIONED", flag_of, default=False),
    )
    others: dict[str, Any] = {name: _read(config, *setting) for name, setting in _BY_THEMSELVES.items()}
    settings = Settings(
        keys=keys, cookie=cookie, application_root=root, encryption=encryption, lifetime=lifetime, **others
    )
    if settings.refresh_after is not None and settings.refresh_after > lifetime:
        raise ConfigurationError("SESSION_REFRESH_AFTER must not be longer than PERMANENT_SESSION_LIFETIME")
    return settings


_BY_THEMSELVES: Final = {each.name: each.metadata["setting"] for each in fields(Settings) if each.metadata}

SETTING_NAMES: Final = (
    *("SECRET_KEY", "SECRET_KEY_FALLBACKS", "APPLICATION_ROOT", "PERMANENT_SESSION_LIFETIME", "SESSION_ENCRYPTION"),
    *(f"SESSION_COOKIE_{attribute.upper()}" for attribute in CookieAttributes.__annotations__),
    *(name for name, _, _ in _BY_THEMSELVES.values()),
)
"""Every config key that a session depends on: Quart's own, and those that this library adds."""


def copied(config: Mapping[str, Any]) -> dict[str, object]:
    """Return all values of a config, to compare with later ones. Lists are copied: they may change in place."""
    return {key: copy(value) if is_sequence(value) or is_set(value) else value for key, value in config.items()}


_SIMILAR: Final = 0.85
"""How similar a name has to be to one that is known to be taken for that."""

_KNOWN: Final = sorted(SETTING_NAMES)

_OF_OTHERS: Final = frozenset({"SESSION_PROTECTION"})
"""Those of extensions that go with any sessions. Flask-Login."""

_STORE: Final = (
    'SESSION_STORE = "redis://...", "postgresql://..." or "sqlite:///sessions.db" says where sessions are kept'
)
_TABLE: Final = 'SESSION_STORE = "postgresql://...?table=web.sessions"'
_NOTHING: Final = "leave it out; it has no counterpart here"

_WHERE: Final = """
    TYPE MEMCACHED FILE_DIR CACHELIB MONGODB MONGODB_DB MONGODB_COLLECT SQLALCHEMY SQLALCHEMY_BIND_KEY
    DYNAMODB DYNAMODB_TABLE
"""

_FLASK_SESSIONS: Final = {
    **dict.fromkeys((f"SESSION_{name}" for name in _WHERE.split()), _STORE),
    **dict.fromkeys(("SESSION_FILE_THRESHOLD", "SESSION_FILE_MODE", "SESSION_SQLALCHEMY_SEQUENCE"), _NOTHING),
    **dict.fromkeys(("SESSION_SQLALCHEMY_TABLE", "SESSION_SQLALCHEMY_SCHEMA"), _TABLE),
    **dict.fromkeys(("SESSION_USE_SIGNER", "SESSION_ID_LENGTH"), "leave it out; an identifier has 256 random bits"),
    "SESSION_REDIS": 'SESSION_STORE = "redis://...", or RedisStore(client)',
    "SESSION_KEY_PREFIX": 'SESSION_NAMESPACE = "shop" keeps applications in one store apart',
    "SESSION_PERMANENT": "session.permanent = True makes a session permanent",
    "SESSION_SERIALIZATION_FORMAT": 'SESSION_SERIALIZER = "msgspec-msgpack" or "msgspec-json"',
    "SESSION_CLEANUP_N_REQUESTS": "SESSION_PURGE_EVERY = timedelta(hours=1) deletes what has expired",
}


@lru_cache(maxsize=1_000)
def advice_on(name: object) -> str | None:
    """Return what to write instead of a setting that means nothing; None if it is one of ours, or somebody else's."""
    if not isinstance(name, str) or not name.startswith("SESSION_") or name in _OF_OTHERS or name in _KNOWN:
        return None
    close = get_close_matches(name, _KNOWN, n=1, cutoff=_SIMILAR)
    return _FLASK_SESSIONS.get(name) or (f"did you mean {close[0]}?" if close else None)
