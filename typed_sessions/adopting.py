"""What other libraries have written: sessions that `SESSION_ADOPT` names, and that become ours, each of them once.

Each class stands for what one library keeps. All take `before`, the moment at which the last instance with that library
was replaced: what was written later is refused. Nothing is ever unpickled.
"""

from __future__ import annotations

import json
import re
from abc import ABC, abstractmethod
from base64 import b64decode
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from importlib import import_module
from itertools import islice, takewhile
from typing import Any, Final, Protocol, cast

import msgspec
from attrs import converters, field, frozen
from itsdangerous import BadSignature, SignatureExpired, Signer, TimestampSigner
from typing_extensions import override

from typed_sessions.core.predecessors import Inheritance, Predecessor
from typed_sessions.core.settings import moment_of, revealed, span_of
from typed_sessions.errors import ConfigurationError, StoreUnavailableError
from typed_sessions.reports import Reason, Refused

__all__ = [
    "FlaskSessionRedis",
    "FlaskSessionSQLAlchemy",
    "Inheritance",
    "LitestarCookies",
    "Predecessor",
    "StarletteCookies",
    "StarsessionsRedis",
]

_TWO_WEEKS: Final = timedelta(days=14)
_MONTH: Final = timedelta(days=31)
_LASTS: Final = timedelta(days=365)
"""Stands for the lifetime of what does not expire."""

_TIMEOUTS: Final = {"socket_timeout": 2.0, "socket_connect_timeout": 2.0}

_MOST_PARTS: Final = 20
_IDENTIFIER: Final = re.compile(r"[A-Za-z0-9_-]{16,256}")
_MARK: Final = b"additional_authenticated_data="


def _moment(value: datetime | str) -> datetime:
    return moment_of("before", value)


def _span(value: timedelta | int) -> timedelta:
    return span_of("lifetime", value)


def _text(value: str) -> str:
    if not isinstance(value, str):  # pyright: ignore[reportUnnecessaryIsInstance]  # without a type checker
        raise ConfigurationError(f"names and prefixes of the sessions to adopt are texts, not {type(value).__name__}")
    return value


def _key(value: object) -> object:
    key = revealed(value)
    if not isinstance(key, (str, bytes)) or not key:
        raise ConfigurationError("the key of the sessions to adopt must be text or bytes, and not empty")
    return key


@frozen(kw_only=True, eq=False)
class _Cookies:
    """Sessions that are in the cookies of another library."""

    before: datetime = field(converter=_moment)
    cookie_name: str | None = field(default=None, converter=converters.optional(_text))
    """None if it is that of ours."""

    needs_store = False

    def texts(self, values_of: Callable[[str], tuple[str, ...]], own_name: str) -> tuple[str, ...]:
        return values_of(self.cookie_name or own_name)

    def end(self, text: str) -> None:
        """Do nothing: who has the cookie has the session. What refuses it is on our side."""


@frozen(eq=False)
class StarletteCookies(_Cookies):
    """The cookies of Starlette's `SessionMiddleware`, which FastAPI has, too.

    Args:
        secret_key: that of the middleware.
        before: only cookies that were made before are adopted.
        cookie_name: its `session_cookie`, if that is not the name of your cookie now.
        max_age: its own: 14 days. None if it was None.
    """

    _secret_key: object = field(converter=_key, repr=False)
    max_age: timedelta | None = field(default=_TWO_WEEKS, converter=converters.optional(_span), kw_only=True)

    @property
    def lifetime(self) -> timedelta:
        return self.max_age or _LASTS

    def mark(self, text: str) -> str:
        return _digest(text.rpartition(".")[0].encode("utf-8", "replace"))

    def load(self, text: str, now: datetime) -> Inheritance | Refused:  # noqa: ARG002 -- a Predecessor
        signer = TimestampSigner(cast("str", self._secret_key))
        seconds = None if self.max_age is None else int(self.max_age.total_seconds())
        try:
            payload, written = signer.unsign(text.encode("utf-8", "replace"), max_age=seconds, return_timestamp=True)
        except BadSignature as error:
            return Refused(Reason.EXPIRED if isinstance(error, SignatureExpired) else Reason.SIGNATURE)
        try:
            return _inheritance(json.loads(b64decode(payload)), written, in_json=True)
        except (ValueError, RecursionError):
            return Refused(Reason.UNREADABLE)


@frozen(eq=False)
class LitestarCookies(_Cookies):
    """The cookies of Litestar's client-side sessions, also where they are split into several.

    Args:
        secret: that of its `CookieBackendConfig`.
        before: only cookies that were made before are adopted.
        cookie_name: its `key`, if that is not the name of your cookie now.
        max_age: its own: 14 days.

    Raises:
        ImportError: `cryptography` is not installed: the extra `encryption`.
    """

    _secret: object = field(converter=_key, repr=False)
    lifetime: timedelta = field(default=_TWO_WEEKS, converter=_span, kw_only=True, alias="max_age")

    def __attrs_post_init__(self) -> None:
        self._cipher()

    def _cipher(self) -> Any:
        try:
            from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415 -- an extra
        except ModuleNotFoundError as missing:
            raise ImportError(
                "LitestarCookies needs cryptography, which is an extra: pip install 'typed_sessions[encryption]'",
                name=missing.name,
            ) from missing
        secret = self._secret if isinstance(self._secret, bytes) else str(self._secret).encode()
        try:
            return AESGCM(secret)
        except ValueError:
            raise ConfigurationError("the secret of Litestar's cookies has 16, 24 or 32 bytes") from None

    @override
    def texts(self, values_of: Callable[[str], tuple[str, ...]], own_name: str) -> tuple[str, ...]:
        name = self.cookie_name or own_name
        numbered = (values_of(f"{name}-{number}") for number in range(_MOST_PARTS))
        whole = "".join(found[0] for found in takewhile(bool, numbered))
        return (*values_of(name), *([whole] if whole else []))

    def mark(self, text: str) -> str:
        try:
            return _digest(b64decode(text))
        except ValueError:
            return _digest(text.encode("utf-8", "replace"))

    def load(self, text: str, now: datetime) -> Inheritance | Refused:
        from cryptography.exceptions import InvalidTag  # noqa: PLC0415 -- an extra

        try:
            sealed, mark, data = b64decode(text).rpartition(_MARK)
            if not mark:
                return Refused(Reason.MALFORMED)
            payload = self._cipher().decrypt(sealed[:12], sealed[12:], data)
            expires_at = datetime.fromtimestamp(msgspec.json.decode(data, type=dict[str, int])["expires_at"], UTC)
            if expires_at <= now:
                return Refused(Reason.EXPIRED)
            return _inheritance(msgspec.json.decode(payload), expires_at - self.lifetime, in_json=True)
        except InvalidTag:
            return Refused(Reason.SIGNATURE)
        except (ValueError, KeyError, OverflowError, OSError, RecursionError):
            return Refused(Reason.UNREADABLE)


@frozen(kw_only=True, eq=False, slots=False)
class _Records(ABC):
    """Sessions that another library keeps on a server, under an identifier that is in the cookie."""

    before: datetime = field(converter=_moment)
    cookie_name: str | None = field(default=None, converter=converters.optional(_text))
    lifetime: timedelta = field(default=_MONTH, converter=_span)

    needs_store = True

    def texts(self, values_of: Callable[[str], tuple[str, ...]], own_name: str) -> tuple[str, ...]:
        return tuple(text for text in values_of(self.cookie_name or own_name) if self._identifier(text) is not None)

    def mark(self, text: str) -> str:
        return _digest((self._identifier(text) or "").encode())

    def load(self, text: str, now: datetime) -> Inheritance | Refused:
        identifier = self._identifier(text)
        if identifier is None:
            return Refused(Reason.MALFORMED)
        try:
            found = self._answered(lambda: self._found(identifier, now))
        except (
            ValueError,
            TypeError,
            OverflowError,
        ):  # a value is not of its column's type
            return Refused(Reason.UNREADABLE)
        return Refused(Reason.UNKNOWN) if found is None else self._read(*found)

    def sample(self, most: int) -> Iterator[Inheritance | Refused]:
        """Return some of the sessions that are there, to look at. Raises StoreUnavailableError."""
        for payload in self._answered(lambda: self._some(most)):
            yield self._read(payload, self.before)

    @abstractmethod
    def _some(self, most: int) -> list[bytes]:
        """Return what some records hold."""

    def end(self, text: str) -> None:
        identifier = self._identifier(text)
        if identifier is not None:
            self._answered(lambda: self._delete(identifier))

    def _identifier(self, text: str) -> str | None:
        return text if _IDENTIFIER.fullmatch(text) else None

    @abstractmethod
    def _found(self, identifier: str, now: datetime) -> tuple[bytes, datetime] | None:
        """Return what is under an identifier, and when it was written."""

    @abstractmethod
    def _delete(self, identifier: str) -> None: ...

    @abstractmethod
    def _read(self, payload: bytes, written: datetime) -> Inheritance | Refused: ...

    @abstractmethod
    def _failures(self) -> tuple[type[Exception], ...]:
        """Return what a driver raises."""

    def _answered(self, ask: Callable[[], Any]) -> Any:
        failures = self._failures()
        try:
            return ask()
        except failures as failure:
            what = f"the store of the sessions to adopt did not answer: {type(failure).__name__}"
        raise StoreUnavailableError(what)  # without the driver's words, which may hold keys


@frozen(kw_only=True, eq=False, slots=False)
class _FlaskSession(_Records):
    """What Flask-Session's stores have in common."""

    key_prefix: str = field(default="session:", converter=_text)
    _secret_key: object = field(default=None, converter=converters.optional(_key), repr=False)

    @override
    def _identifier(self, text: str) -> str | None:
        if self._secret_key is not None:
            signer = Signer(cast("str", self._secret_key), salt="flask-session", key_derivation="hmac")
            try:
                text = signer.unsign(text.encode("utf-8", "replace")).decode()
            except (BadSignature, UnicodeDecodeError):
                return None
        return super()._identifier(text)

    @override
    def _read(self, payload: bytes, written: datetime) -> Inheritance | Refused:
        for decode in (msgspec.msgpack.decode, msgspec.json.decode):
            try:
                return _inheritance(decode(payload), written, in_json=decode is msgspec.json.decode)
            except (msgspec.DecodeError, ValueError, TypeError, RecursionError):
                continue
        return Refused(Reason.UNREADABLE)  # pickle, perhaps


def _imported(module: str, hint: str) -> Any:
    """Return a module that only who moves needs."""
    try:
        return import_module(module)
    except ModuleNotFoundError as missing:
        raise ImportError(f"it takes {module} to adopt what is kept there: {hint}", name=missing.name) from missing


class HasPipelines(Protocol):
    """What is asked of a `redis.Redis`."""

    def pipeline(self, transaction: bool = ...) -> Any: ...  # noqa: FBT001 -- redis-py's
    def delete(self, *names: Any) -> Any: ...
    def get(self, name: Any) -> Any: ...
    def scan_iter(self, match: Any = ..., count: int | None = ..., _type: str | None = ...) -> Any: ...


def _client(given: HasPipelines | str) -> HasPipelines:
    redis = _imported("redis", "pip install 'typed_sessions[redis]'")
    if not isinstance(given, str):
        told: dict[str, Any] = getattr(given, "get_connection_kwargs", dict)()
        if not hasattr(given, "pipeline") or hasattr(given, "aclose") or told.get("decode_responses"):
            raise ConfigurationError("the sessions to adopt are read by a redis.Redis without decode_responses")
        return given
    try:
        return cast("HasPipelines", redis.Redis.from_url(given, **_TIMEOUTS))
    except ValueError:  # its text may hold a part of the password
        raise ConfigurationError("the URL of the Redis with the sessions to adopt is none") from None


@frozen(kw_only=True, eq=False, slots=False)
class _RedisRecords(_Records):
    _redis: HasPipelines = field(converter=_client, repr=False, alias="redis", kw_only=False)

    @abstractmethod
    def _name_of(self, identifier: str) -> str: ...

    def _got(self, identifier: str) -> tuple[bytes | None, int]:
        """Return a value, and in how many milliseconds it expires; -1 if it does not."""
        pipeline = self._redis.pipeline(transaction=False)
        name = self._name_of(identifier)
        pipeline.get(name)
        pipeline.pttl(name)
        value, expires_in = pipeline.execute(raise_on_error=False)
        if isinstance(value, Exception):
            if str(value).startswith("WRONGTYPE"):  # one of ours, perhaps, in the same database
                return None, 0
            raise value
        return value, expires_in

    @override
    def _delete(self, identifier: str) -> None:
        self._redis.delete(self._name_of(identifier))

    @override
    def _some(self, most: int) -> list[bytes]:
        escaped = re.sub(r"([\\*?\[\]])", r"\\\1", self._name_of(""))
        names = self._redis.scan_iter(f"{escaped}*", 1_000, "STRING")  # RedisStore has the same prefix, and hashes
        return [value for name in islice(names, most) if (value := self._redis.get(name)) is not None]

    @override
    def _failures(self) -> tuple[type[Exception], ...]:
        return import_module("redis").RedisError, OSError


@frozen(eq=False)
class FlaskSessionRedis(_RedisRecords, _FlaskSession):
    """What Flask-Session has kept in Redis or Valkey, as msgpack or JSON.

    Args:
        redis: a URL, or a `redis.Redis` without `decode_responses`, which is called in a thread.
        before: only records that were written before are adopted. Flask-Session does not note when that was: it is
            reckoned from when the record expires.
        cookie_name: if that was not the name of your cookie now.
        key_prefix: its `SESSION_KEY_PREFIX`.
        lifetime: its `PERMANENT_SESSION_LIFETIME`: 31 days.
        secret_key: the application's, if `SESSION_USE_SIGNER` was set.
    """

    @override
    def _name_of(self, identifier: str) -> str:
        return self.key_prefix + identifier

    @override
    def _found(self, identifier: str, now: datetime) -> tuple[bytes, datetime] | None:
        payload, expires_in = self._got(identifier)
        if payload is None:
            return None
        return payload, now if expires_in < 0 else now + timedelta(milliseconds=expires_in) - self.lifetime


class HasConnections(Protocol):
    """What is asked of an `Engine` of SQLAlchemy's."""

    def connect(self) -> AbstractContextManager[Any]: ...
    def begin(self) -> AbstractContextManager[Any]: ...


def _engine(given: HasConnections | str) -> HasConnections:
    if not isinstance(given, str):
        return given
    sa = _sqlalchemy()
    try:
        return cast("HasConnections", sa.create_engine(given))
    except sa.exc.ArgumentError:  # its text may hold the password
        raise ConfigurationError("the URL of the database with the sessions to adopt is none") from None


def _sqlalchemy() -> Any:
    return _imported("sqlalchemy", "pip install sqlalchemy")


@frozen(eq=False)
class FlaskSessionSQLAlchemy(_FlaskSession):
    """What Flask-Session has kept in a database, as msgpack or JSON.

    Args:
        engine: the URL of the database, or an `Engine`, which is asked in a thread.
        before: only records that were written before are adopted, as reckoned from when they expire.
        cookie_name: if that was not the name of your cookie now.
        table: its `SESSION_SQLALCHEMY_TABLE`; `schema` is its `SESSION_SQLALCHEMY_SCHEMA`.
        key_prefix: its `SESSION_KEY_PREFIX`.
        lifetime: its `PERMANENT_SESSION_LIFETIME`: 31 days.
        secret_key: the application's, if `SESSION_USE_SIGNER` was set.
    """

    _engine: HasConnections = field(converter=_engine, repr=False, alias="engine")
    table: str = field(default="sessions", converter=_text, kw_only=True)
    schema: str | None = field(default=None, converter=converters.optional(_text), kw_only=True)

    def _table(self) -> Any:
        sa = _sqlalchemy()
        columns = sa.column("session_id", sa.String()), sa.column("data"), sa.column("expiry", sa.DateTime())
        return sa.table(self.table, *columns, schema=self.schema)

    @override
    def _found(self, identifier: str, now: datetime) -> tuple[bytes, datetime] | None:
        sa = _sqlalchemy()
        table = self._table()
        asked = sa.select(table.c.data, table.c.expiry).where(table.c.session_id == self.key_prefix + identifier)
        with self._engine.connect() as connection:
            row = connection.execute(asked).first()
        if row is None or row.expiry is None or row.data is None:
            return None
        expires_at = row.expiry.replace(tzinfo=UTC)
        return None if expires_at <= now else (row.data, expires_at - self.lifetime)

    @override
    def _some(self, most: int) -> list[bytes]:
        table = self._table()
        named = table.c.session_id.startswith(self.key_prefix, autoescape=True)
        asked = _sqlalchemy().select(table.c.data).where(named, table.c.data.is_not(None)).limit(most)
        with self._engine.connect() as connection:
            return [row.data for row in connection.execute(asked)]

    @override
    def _delete(self, identifier: str) -> None:
        sa = _sqlalchemy()
        table = self._table()
        with self._engine.begin() as connection:
            connection.execute(sa.delete(table).where(table.c.session_id == self.key_prefix + identifier))

    @override
    def _failures(self) -> tuple[type[Exception], ...]:
        return _sqlalchemy().exc.SQLAlchemyError, OSError


@frozen(eq=False)
class StarsessionsRedis(_RedisRecords):
    """What starsessions has kept in Redis or Valkey, as JSON.

    Args:
        redis: a URL, or a `redis.Redis` without `decode_responses`, which is called in a thread.
        before: only records that were written before are adopted.
        cookie_name: if that was not the name of your cookie now.
        prefix: its store's.
        lifetime: that of its middleware; where that was 0, its store's `gc_ttl`. 31 days.
    """

    prefix: str = field(default="starsessions.", converter=_text, kw_only=True)

    @override
    def _name_of(self, identifier: str) -> str:
        return self.prefix + identifier

    @override
    def _found(self, identifier: str, now: datetime) -> tuple[bytes, datetime] | None:
        payload, _ = self._got(identifier)
        return None if payload is None else (payload, now)

    @override
    def _read(self, payload: bytes, written: datetime) -> Inheritance | Refused:
        try:
            values = json.loads(payload)
            accessed = values.pop("__metadata__", {}).get("last_access")
            if accessed is not None:
                written = datetime.fromtimestamp(accessed, UTC)
            return _inheritance(values, written, in_json=True)
        except (ValueError, TypeError, AttributeError, OverflowError, OSError, RecursionError):
            return Refused(Reason.UNREADABLE)


def _digest(of: bytes) -> str:
    return sha256(of).hexdigest()


def _inheritance(values: object, written: datetime, *, in_json: bool) -> Inheritance:
    """Return what was read. Raises ValueError if it is no session."""
    if not isinstance(values, Mapping) or not all(
        isinstance(key, str) for key in cast("Mapping[object, object]", values)
    ):
        raise ValueError("a session is a dict with texts as keys")
    return Inheritance(cast("Mapping[str, object]", values), written, in_json)
