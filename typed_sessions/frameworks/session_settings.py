"""`SessionSettings`: the settings of sessions as arguments, for frameworks whose applications have no config."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from difflib import get_close_matches
from os import PathLike
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol, TypeAlias, TypedDict, cast

from typed_sessions.core.predecessors import Predecessor
from typed_sessions.core.settings import Encryption
from typed_sessions.serializers.base import AnySerializer, SerializerName
from typed_sessions.stores import SessionStore

if TYPE_CHECKING:
    from starlette.datastructures import Secret

__all__ = ["HidesSecret", "SecretKey", "SessionSettings", "config_of", "in_arguments", "settings_of", "unknown_among"]


class HidesSecret(Protocol):
    """A key that hides its text from logs: pydantic's `SecretStr` and `SecretBytes`."""

    def get_secret_value(self) -> str | bytes:
        """Return the text."""
        ...


SecretKey: TypeAlias = "str | bytes | HidesSecret | Secret"
"""A secret key. `Secret` is Starlette's."""


class SessionSettings(TypedDict, total=False):
    """The config keys as arguments: in small letters, without `SESSION_`, and those of the cookie without `COOKIE_`."""

    secret_key: SecretKey
    """What cookies are signed with. Needed unless sessions are in a store, under a `namespace`."""
    secret_key_fallbacks: Sequence[SecretKey]
    """Earlier keys that still verify, the oldest first."""
    secret_key_file: str | PathLike[str] | None
    """The path of a file with all of these instead, one a line: the last one signs."""
    store: str | SessionStore | None
    """Keeps the contents on the server, with only an identifier in the cookie: the URL of a store, which is closed
    here, or a store, which is closed by whoever has made it."""
    serializer: SerializerName | AnySerializer | None
    serializer_fallbacks: Sequence[SerializerName | AnySerializer]
    lifetime: timedelta | int
    """How long a permanent session lives: 31 days. Whole seconds, if it is a number; so are all spans of time."""
    cookie_name: str
    path: str
    domain: str | None
    secure: bool
    httponly: bool
    samesite: Literal["lax", "strict", "none", "Lax", "Strict", "None"] | None
    """`"lax"` unless something else is said."""
    partitioned: bool
    namespace: str | None
    refresh_each_request: bool
    refresh_after: timedelta | int | None
    clock_leeway: timedelta | int
    digest: str | None
    digest_fallbacks: Sequence[str]
    encryption: Encryption | None
    """`"on"` encrypts what is written, `"read"` only opens what is encrypted already: `"off"` by default."""
    extras: Literal["keep", "forbid"] | Sequence[str] | set[str] | frozenset[str]
    on_bad_field: Literal["field", "session"]
    on_oversize: Literal["raise", "warn"]
    max_cookie_size: int
    max_payload: int | None
    absolute_lifetime: timedelta | int | None
    not_before: datetime | str | None
    store_timeout: timedelta | int
    on_store_error: Literal["raise", "anonymous"]
    adopt_signed_before: datetime | str | None
    adopt: Sequence[Predecessor]
    purge_every: timedelta | int | None


_OF_COOKIE: Final = frozenset({"path", "domain", "secure", "httponly", "samesite", "partitioned"})
_OTHERS: Final = {
    "secret_key": "SECRET_KEY",
    "secret_key_fallbacks": "SECRET_KEY_FALLBACKS",
    "secret_key_file": "SECRET_KEY_FILE",
    "lifetime": "PERMANENT_SESSION_LIFETIME",
    "max_cookie_size": "MAX_COOKIE_SIZE",
}


def _config_key(argument: str) -> str:
    of_session = f"SESSION_{'COOKIE_' if argument in _OF_COOKIE else ''}{argument.upper()}"
    return _OTHERS.get(argument, of_session)


_CONFIG_KEYS: Final = {argument: _config_key(argument) for argument in SessionSettings.__annotations__}
_ARGUMENTS: Final = {key: argument for argument, key in _CONFIG_KEYS.items()}
_IN_MESSAGES: Final = re.compile(r"\b(?:[A-Z]+_)+[A-Z]+\b")


def config_of(settings: SessionSettings) -> dict[str, Any]:
    """Return settings by their config keys, with the defaults of arguments."""
    return {"SESSION_COOKIE_SAMESITE": "Lax"} | {_CONFIG_KEYS[name]: value for name, value in settings.items()}


def settings_of(config: Mapping[str, object]) -> SessionSettings:
    """Return what of a config are settings of sessions."""
    return cast("SessionSettings", {name: config[key] for key, name in _ARGUMENTS.items() if key in config})


def unknown_among(names: Iterable[str]) -> str | None:
    """Return what is wrong with a name that is no argument, as Python says it, and which one may be meant."""
    for name in names:
        if name not in _CONFIG_KEYS:
            close = get_close_matches(name, _CONFIG_KEYS, n=1)
            return f"got an unexpected keyword argument {name!r}{f'; did you mean {close[0]!r}?' if close else ''}"
    return None


def in_arguments(message: str) -> str:
    """Return a message about config keys with the arguments beside them."""

    def named(found: re.Match[str]) -> str:
        argument = _ARGUMENTS.get(found[0])
        return found[0] if argument is None else f"{argument} ({found[0]})"

    return _IN_MESSAGES.sub(named, message)
