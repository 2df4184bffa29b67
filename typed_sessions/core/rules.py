"""`Rules`: the settings of an application, made ready for its requests."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Generic, Protocol, TypeAlias, cast

from attrs import Factory, field, frozen
from typing_extensions import TypeVar

from typed_sessions.codec.codec import MAX_COOKIE_PAYLOAD, MAX_PAYLOAD, Codec, Encoded, Snapshot, native_types
from typed_sessions.codec.contents import Contents
from typed_sessions.codec.generated import Generated
from typed_sessions.codec.loaded_data import LoadedData, LoadedKeys
from typed_sessions.core.cookies import BROWSERS_LIMIT
from typed_sessions.core.lasting import if_goes_on, if_young
from typed_sessions.core.predecessors import Claim, Succession
from typed_sessions.core.settings import Settings
from typed_sessions.errors import ConfigurationError, SerializationError
from typed_sessions.reports import Refused, Report
from typed_sessions.schema.sameness import same
from typed_sessions.schema.schema import Schema
from typed_sessions.sealing.base import Clock, KeylessSealer, SealedSince, Sealer, as_datetime, newest
from typed_sessions.sealing.keys import KEY_DERIVATIONS, DigestMethod, SecretKeys
from typed_sessions.sealing.set_cookie import CookieAttributes, SessionCookie
from typed_sessions.sealing.signed import SignedSealer
from typed_sessions.serializers.base import BUILT_IN, AnySerializer, salt_of, serializer_name
from typed_sessions.serializers.tagged_json import TaggedJSONSerializer

if TYPE_CHECKING:
    from typed_sessions.sealing.encrypted import DailyKeys

__all__ = ["Adapter", "DataLoader", "Format", "Rules", "Signing", "data_path", "formats_of", "record_keys_of"]

S = TypeVar("S", default=dict[str, object])
T = TypeVar("T")


@frozen
class Format(Generic[S]):
    """One way in which sessions are written: how the payload is made, and how it is sealed."""

    codec: Codec[S]
    sealer: Sealer


DataLoader: TypeAlias = Callable[[object, list[Any]], LoadedData[S] | LoadedKeys[S] | None]
"""Appends the data in the session cookie of a request to a list, if that is all there is to know of it.

Returns the first item of the list then, which another thread may have appended; else None."""


class Adapter(Protocol):
    """What a framework's side of the library does for its sessions."""

    def cookie_values(self, request: Any, name: str, /) -> tuple[str, ...]:
        """Return all values that a cookie has in a request."""
        ...

    def report(self, app: Any, report: Report, /) -> None:
        """Take what there is to say of a session of an application."""

    def report_lossy(self, app: Any, keys: tuple[str, ...], /) -> None:
        """Say once of each undeclared key that its values do not come back as they were."""

    # What a subclass may have its own word on. It is asked for when a session is saved, by rules that are not stock.

    def should_set_cookie(self, app: Any, session: Any, /) -> bool:
        """Return True if the session is to be written."""
        ...

    def get_expiration_time(self, app: Any, session: Any, /) -> datetime | None:
        """Return when the browser drops the cookie; None when it ends."""

    def cookie_attributes(self, app: Any, /) -> CookieAttributes:
        """Return where and how the browser keeps the cookie."""
        ...


def _due_question(rules: Rules[Any]) -> Callable[[object], bool]:
    """Return `Rules.is_due`, with all that it needs at hand."""
    sealer = rules.formats[0].sealer if rules.formats else KeylessSealer()
    cookie_values, written_at, clock = rules.adapter.cookie_values, sealer.claimed_time, rules.clock
    name, refresh_seconds = rules.name, rules.refresh_seconds

    def is_due(request: object) -> bool:
        for text in cookie_values(request, name):
            sealed_at = written_at(text)
            if sealed_at is None:  # perhaps in another format
                sealed_at = rules.claimed_time(text)
            if sealed_at is not None and clock() - sealed_at >= refresh_seconds:
                return True
        return False

    return is_due


def data_path(rules: Rules[S]) -> Generated | None:
    """Return what reads and writes data alone in the configured format; None where a subclass has a word on that."""
    is_stock = rules.is_stock and not rules.has_own_sessions
    return rules.formats[0].codec.data_path if is_stock and rules.formats else None


def _seconds(span: timedelta | None) -> float | None:
    return None if span is None else span.total_seconds()


def _data_loader(rules: Rules[S]) -> DataLoader[S]:
    """Return `Rules.load_data`, with all that it needs at hand."""
    path = data_path(rules)
    if path is None:
        return lambda _request, _made: None  # there is always more to know than the data
    cookie_values, name, limit = rules.adapter.cookie_values, rules.name, rules.absolute_seconds
    keeps_undeclared = rules.settings.extras.allowed is None
    data_in = path.data_in if limit is None else if_young(path.data_in, rules.clock, limit)
    unseal = rules.formats[0].sealer.open

    def load_data(request: object, made: list[Any]) -> Any:
        if request is None:
            return None
        texts = cookie_values(request, name)
        if len(texts) != 1:
            return None
        unsealed = unseal(texts[0])
        if type(unsealed) is not tuple:
            return None
        loaded = data_in(unsealed[0], texts[0])
        if loaded is None or (loaded.raws is not None and not keeps_undeclared):
            return None
        loaded.age = unsealed[1]
        made.append(loaded)
        return made[0]

    return load_data


def _data_sealer(rules: Rules[S]) -> Callable[[LoadedData[S] | LoadedKeys[S]], str | None]:
    """Return `Rules.header_of`, with all that it needs at hand."""
    path = data_path(rules)
    if path is None:
        return lambda _loaded: None
    payload_of, seal, written, clock = path.payload_of, rules.formats[0].sealer.seal, rules.cookie.written, rules.clock
    lifetime, refreshes, longest = rules.lifetime_seconds, rules.refresh_each_request, rules.max_cookie_size
    most, old = _longest_in_cookie(rules.settings), math.floor(rules.refresh_seconds)

    def header_of(loaded: LoadedData[S] | LoadedKeys[S]) -> str | None:
        payload = payload_of(loaded)
        if payload is loaded.source:
            return None if refreshes and loaded.age >= old and loaded.permanent else ""  # where it is just due, too
        if payload is None or len(payload) > most:
            return None
        sealed = seal(payload)
        header = written(sealed, clock() + lifetime if loaded.permanent else None)
        if len(header) > longest:
            return None
        loaded.written, loaded.sent = payload, sealed
        return header

    return header_of if rules.absolute_seconds is None else if_goes_on(header_of, rules.schema)


def _made(make: Callable[[Rules[Any]], T]) -> T:
    """Return the default of a field that is made of the others, once: each request will ask for it."""
    return Factory(make, takes_self=True)


@frozen(eq=False)
class Rules(Generic[S]):
    """How the sessions of an application are opened and saved: a session is saved by those that it was opened with."""

    adapter: Adapter = field(repr=False)
    schema: Schema[S]
    formats: tuple[Format[S], ...] = field(repr=False)
    """The first one writes; all read, in this order. None without a secret key."""
    settings: Settings
    refresh_after: timedelta
    """How old the cookie of a permanent session must be for a refresh."""
    clock: Clock
    is_stock: bool
    """True if the cookie is as the settings say, and no subclass has its own word on it."""
    has_own_sessions: bool = field(default=False, kw_only=True)
    """True if sessions are of a class of the program's."""
    record_keys: DailyKeys | None = field(default=None, kw_only=True, repr=False)
    """What encrypts the records of a store; None if none is opened that is encrypted."""
    makes_permanent: bool = field(default=False, kw_only=True)
    """True if a session is permanent from its first content on, unless the program says otherwise."""
    succession: Succession[S] | None = field(default=None, kw_only=True, repr=False)
    """How what other libraries have written is read; None if nothing of it is."""
    is_on_server: bool = field(default=False, kw_only=True)
    """True if the contents are in a store: what a session takes for its request is the source of its state then."""
    name: str = field(init=False, default=_made(lambda rules: rules.settings.cookie.name))
    cookie: SessionCookie = field(init=False, default=_made(lambda rules: SessionCookie(rules.settings.cookie)))
    refresh_each_request: bool = field(init=False, default=_made(lambda rules: rules.settings.refresh_each_request))
    refresh_seconds: float = field(init=False, default=_made(lambda rules: rules.refresh_after.total_seconds()))
    lifetime_seconds: float = field(init=False, default=_made(lambda rules: rules.settings.lifetime.total_seconds()))
    absolute_seconds: float | None = field(
        init=False, default=_made(lambda rules: _seconds(rules.settings.absolute_lifetime))
    )
    """How long a session lives at most; None if there is no such end."""
    max_cookie_size: float = field(init=False, default=_made(lambda rules: rules.settings.max_cookie_size or math.inf))
    """In characters of the whole header; infinite if the settings set no limit."""
    load_data: DataLoader[S] = field(init=False, repr=False, default=_made(_data_loader))
    header_of: Callable[[LoadedData[S] | LoadedKeys[S]], str | None] = field(
        init=False, repr=False, default=_made(_data_sealer)
    )
    """Returns the `Set-Cookie` text of data as it is now, empty if none is due; None where that takes more to tell."""
    is_due: Callable[[object], bool] = field(init=False, repr=False, default=_made(_due_question))
    """Returns True if any session cookie of a request is old, as `is_old` says. It is a question of each request."""

    def is_old(self, text: str) -> bool:
        """Return True if a sealed text says that it is old enough for a refresh. Nobody has verified that."""
        sealed_at = self.claimed_time(text)
        return sealed_at is not None and self.clock() - sealed_at >= self.refresh_seconds

    def claimed_time(self, text: str) -> int | None:
        """Return when a text says that it was sealed, as `Sealer.claimed_time` does, in whichever format it is."""
        for format_ in self.formats:
            sealed_at = format_.sealer.claimed_time(text)
            if sealed_at is not None:
                return sealed_at
        return None

    def sealed_at(self, text: str) -> datetime | None:
        return as_datetime(self.claimed_time(text))

    @property
    def writer(self) -> Format[S]:
        """The configured format.

        Raises:
            ConfigurationError: there is no secret key to write with.
        """
        if not self.formats:
            raise ConfigurationError("a session cookie needs a SECRET_KEY (app.secret_key)")
        return self.formats[0]

    def format_of(self, snapshot: Snapshot[S]) -> Format[S] | None:
        """Return the format that a session came in; None if it is no longer read, or was never in a cookie."""
        return next((format_ for format_ in self.formats if format_.codec.reads_as(snapshot.codec)), None)

    def encode(self, contents: Contents[S], snapshot: Snapshot[S] | None, version: int) -> tuple[Format[S], Encoded]:
        """Return the payload of all that is stored, proven to read back, and its format: the configured one.

        What came in another format, and the configured one cannot hold, stays in the format that it came in. What has
        changed since must fit the configured one all the same.

        Raises:
            SerializationError: it would not read back; the message names the field.
            ConfigurationError: there is no secret key to write with.
        """
        writer = self.writer
        try:
            return writer, writer.codec.write(contents, version)
        except SerializationError:
            came_in = None if snapshot is None else self.format_of(snapshot)
            if snapshot is None or came_in is None or came_in is writer:
                raise
            loaded, stored = snapshot.stored, contents.stored()
            writer.codec.check(
                {key: value for key, value in stored.items() if key not in loaded or not same(value, loaded[key])}
            )
            return came_in, came_in.codec.write(contents, version)

    def claims_in(self, cookies: Callable[[str], tuple[str, ...]], own_name: str) -> tuple[Claim, ...]:
        """Return what of a request's cookies may lead to another library's session; see `Succession.claims`."""
        return () if self.succession is None else self.succession.claims(cookies, own_name)

    def newest(self, texts: tuple[str, ...]) -> tuple[str | Refused, int]:
        """Return which of several texts counts, and how many are genuine, as `newest` of the sealers does."""
        return newest(texts, [format_.sealer for format_ in self.formats])

    def is_genuine(self, text: str) -> bool:
        """Return True if a text was sealed under one of the keys and is of the right age, whatever is in it."""
        return isinstance(self.newest((text,))[0], str)

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.clock(), UTC)


@frozen
class Signing:
    """What an interface says of its signatures, and of what it writes, beside the settings."""

    salt: str | bytes
    key_derivation: str
    digest_method: DigestMethod
    serializer: AnySerializer
    """Writes the contents, where `SESSION_SERIALIZER` names nothing else."""

    def check(self) -> None:
        """Refuse what is none of it. Raises ConfigurationError."""
        if self.key_derivation not in KEY_DERIVATIONS:
            known = ", ".join(f'"{name}"' for name in KEY_DERIVATIONS)
            raise ConfigurationError(f"key_derivation must be one of {known}")
        salt = cast("object", self.salt)
        if not isinstance(salt, (str, bytes)):
            raise ConfigurationError(f"salt must be text or bytes, not {type(salt).__name__}")

    def keeps_apart(self, serializer: AnySerializer) -> bool:
        """Return True if no payload of another salt is taken for one of a serializer's."""
        return self.key_derivation != "none" or salt_of(self.salt, serializer) == self.salt

    def writer_of(self, settings: Settings) -> AnySerializer:
        """Return the configured serializer; the interface's own, with its tags, where the setting only names it."""
        named, own = settings.serializer, serializer_name(self.serializer)
        if named is None or (own is not None and own == serializer_name(named) and _is_stock_format(named)):
            return self.serializer
        return named

    def serializers_of(self, settings: Settings) -> list[AnySerializer]:
        """Return the configured serializer, which writes, then the other built-in ones and the fallbacks."""
        configured = self.writer_of(settings)
        known = {serializer_name(each): each for each in (self.serializer, *settings.serializer_fallbacks[::-1])}
        built_in = (known.get(serializer_name(each), each) for each in _BUILT_IN)  # perhaps with tags of the user's
        serializers = [configured]
        for other in (*built_in, *settings.serializer_fallbacks):
            if serializer_name(other) is None or serializer_name(other) not in map(serializer_name, serializers):
                serializers.append(other)
        return serializers


def formats_of(
    schema: Schema[S], settings: Settings, signing: Signing, clock: Clock, *, is_on_server: bool
) -> tuple[Format[S], ...]:
    """Return the formats of an application's sessions, the configured one first; none if there can be no sessions.

    Raises:
        ConfigurationError: formats would be taken for each other, or a digest fails.
    """
    if settings.keys is None and not is_on_server:
        return ()
    configured = signing.writer_of(settings)
    if not is_on_server and not all(map(signing.keeps_apart, (configured, *settings.serializer_fallbacks))):
        raise ConfigurationError(
            'key_derivation = "none" leaves out the salt that keeps a format apart from others; take "hmac", or '
            'leave SESSION_SERIALIZER at "tagged-json" and SESSION_SERIALIZER_FALLBACKS empty'
        )
    most = (settings.max_payload or MAX_PAYLOAD) if is_on_server else _longest_in_cookie(settings)
    written = schema.written_as(native_types(configured))
    signed = tuple(
        Format(Codec(written, each, max_payload=most), _sealer(settings, signing, each, clock))
        for each in signing.serializers_of(settings)
    )
    formats = signed
    if settings.encryption != "off":
        if settings.keys is None:
            raise ConfigurationError(f'SESSION_ENCRYPTION = "{settings.encryption}" needs a SECRET_KEY')
        encrypted = _encrypted(signed, settings, settings.keys, signing, clock)
        formats = (*encrypted, *signed) if settings.encryption == "on" else (*signed, *encrypted)
    if settings.not_before is None:
        return formats
    return tuple(Format(each.codec, SealedSince(each.sealer, settings.not_before)) for each in formats)


def record_keys_of(settings: Settings) -> DailyKeys | None:
    """Return what encrypts the records of a store, or only decrypts them; None if neither is asked for."""
    if settings.encryption == "off" or settings.keys is None:
        return None
    from typed_sessions.sealing.encrypted import DailyKeys  # noqa: PLC0415 -- it imports what is an extra

    return DailyKeys(settings.keys, b"record")


def _encrypted(
    formats: tuple[Format[S], ...], settings: Settings, keys: SecretKeys, signing: Signing, clock: Clock
) -> tuple[Format[S], ...]:
    from typed_sessions.sealing.encrypted import EncryptedSealer  # noqa: PLC0415 -- it imports what is an extra

    return tuple(
        Format(
            format_.codec,
            EncryptedSealer(
                keys,
                salt=salt_of(signing.salt, format_.codec.serializer),
                cookie_name=settings.cookie.name,
                lifetime=settings.lifetime,
                leeway=settings.leeway,
                clock=clock,
                room=_room(settings),
                max_payload=_longest_in_cookie(settings),
            ),
        )
        for format_ in formats
    )


def _sealer(settings: Settings, signing: Signing, serializer: AnySerializer, clock: Clock) -> Sealer:
    if settings.keys is None or not signing.keeps_apart(serializer):
        return KeylessSealer()
    try:
        return SignedSealer(
            settings.keys,
            salt=salt_of(signing.salt, serializer),
            lifetime=settings.lifetime,
            leeway=settings.leeway,
            clock=clock,
            key_derivation=signing.key_derivation,
            digests=(settings.digest or signing.digest_method, *settings.digest_fallbacks),
            max_payload=_longest_in_cookie(settings),
            room=_room(settings) if serializer_name(serializer) in _NEVER_QUARTS else 0,
        )
    except Exception as error:  # what a digest says may hold the key, which it was given
        raise ConfigurationError(
            f"a digest of SESSION_DIGEST, SESSION_DIGEST_FALLBACKS or digest_method fails: {type(error).__name__}"
        ) from error


_BUILT_IN: Final = tuple(make() for make in BUILT_IN.values())

_NEVER_QUARTS: Final = frozenset(BUILT_IN) - {TaggedJSONSerializer.name}
"""The built-in formats that nobody else writes, so that a cookie need not be compressed as Quart does it."""


def _longest_in_cookie(settings: Settings) -> int:
    """Return how long a payload in a cookie may be, in bytes."""
    return settings.max_payload or MAX_COOKIE_PAYLOAD


def _room(settings: Settings) -> int:
    """Return how long the value of a cookie may be that browsers keep."""
    header = SessionCookie(settings.cookie).written("", 0)
    return (settings.max_cookie_size or BROWSERS_LIMIT) - len(header)


def _is_stock_format(serializer: AnySerializer) -> bool:
    """Return True for a built-in serializer without tags of the user's: what a setting that is a mere name gives."""
    if isinstance(serializer, TaggedJSONSerializer):
        return serializer.is_stock and not serializer.sort_keys
    return type(serializer) in map(type, _BUILT_IN)
