"""`SessionInterface`, the seam between a framework and its sessions, and the one that keeps sessions in cookies."""

from __future__ import annotations

import hashlib
import sys
import time
from abc import abstractmethod
from collections.abc import Awaitable, Callable, Iterator, Mapping, MutableMapping
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from functools import partial
from inspect import getattr_static
from typing import Any, Final, Generic, Protocol, TypeAlias, cast, overload
from weakref import WeakKeyDictionary

from attrs import define, evolve, field, frozen
from cattrs import Converter
from itsdangerous import URLSafeTimedSerializer
from typing_extensions import TypeIs, TypeVar, override

from typed_sessions.core import lifecycle
from typed_sessions.core.caching import private
from typed_sessions.core.cookies import checked_attributes, is_sent_to, varying_by_cookie
from typed_sessions.core.loading import RequestContext
from typed_sessions.core.rules import Rules, Signing, formats_of
from typed_sessions.core.session import (
    NullSession,
    SecureCookieSession,
    SessionMixin,
    is_left_alone,
    note_saved,
    note_streaming,
    rules_of,
    session_from,
    session_of_request,
    state_of,
)
from typed_sessions.core.settings import (
    DEFAULT_LIFETIME,
    SETTING_NAMES,
    Settings,
    checked_store,
    copied,
    flag_of,
    lifetime_of,
    present,
    read_settings,
    snapshot,
)
from typed_sessions.core.state import Progress
from typed_sessions.core.templates import teach_tojson
from typed_sessions.core.unknown_settings import advice_on
from typed_sessions.errors import ConfigurationError, StoreUnavailableError, without_frames
from typed_sessions.reports import (
    ForeignDomain,
    Report,
    SharedCookie,
    ShortSecretKey,
    SingleLabelDomain,
    UndeclaredAltered,
    UnknownSetting,
    log_report,
)
from typed_sessions.schema.schema import Schema
from typed_sessions.sealing.base import Clock
from typed_sessions.sealing.keys import DigestMethod
from typed_sessions.sealing.set_cookie import CookieAttributes
from typed_sessions.serializers.base import AnySerializer, SerializerName, resolve_serializer, salt_of
from typed_sessions.serializers.tagged_json import TaggedJSONSerializer
from typed_sessions.server import ServerSide, StoredArrival
from typed_sessions.stores import Lifetime, SessionStore, namespace_in, open_store
from typed_sessions.stores.identifiers import Namespace

__all__ = [
    "ConfiguredApp",
    "CookieRequest",
    "CookieResponse",
    "ReportHandler",
    "SecureCookieSessionInterface",
    "SessionInterface",
    "answered",
]

S = TypeVar("S", default=dict[str, object])
T = TypeVar("T")


class ConfiguredApp(Protocol):
    """What a session needs of an application. Quart's and Flask's applications fill it."""

    @property
    def config(self) -> Mapping[str, Any]: ...


class CookieRequest(Protocol):
    """What a session needs of a request or a websocket."""

    @property
    def cookies(self) -> Mapping[str, str]: ...


class ResponseHeaders(Protocol):
    """Headers, several of one name, whose names are found in any case."""

    def __iter__(self) -> Iterator[tuple[str, str]]: ...
    def add(self, key: str, value: str, /) -> object: ...
    def getlist(self, key: str, /) -> list[str]: ...
    def set(self, key: str, value: str, /) -> object: ...


class CookieResponse(Protocol):
    """What a session needs of a response."""

    @property
    def headers(self) -> ResponseHeaders: ...


AppT_contra = TypeVar("AppT_contra", bound=ConfiguredApp, contravariant=True)
RequestT_contra = TypeVar("RequestT_contra", contravariant=True)
ResponseT_contra = TypeVar("ResponseT_contra", contravariant=True)
SessionT = TypeVar("SessionT", bound="FlaggedSession")


class FlaggedSession(Protocol):
    """What decides whether a session is written, and for how long."""

    @property
    def modified(self) -> bool: ...
    @property
    def permanent(self) -> bool: ...


class SessionInterface(Protocol[AppT_contra, RequestT_contra, ResponseT_contra, SessionT]):
    """What a framework asks of whatever keeps its sessions; `quart.sessions.SessionInterface` fills it, too.

    A class that inherits from it gets the cookie helpers, and has to say how a session is opened and saved.
    """

    @property
    def null_session_class(self) -> type[MutableMapping[str, object]]:
        """The class of the session of an application that cannot have one."""
        return NullSession

    @property
    def pickle_based(self) -> bool:
        """Always False: no session of this library is pickled."""
        return False

    async def make_null_session(self, app: AppT_contra) -> MutableMapping[str, object]:  # noqa: ARG002 -- Quart's
        """Return the session of an application that cannot have one: `open_session` returned None."""
        return self.null_session_class()

    def is_null_session(self, instance: object) -> bool:
        """Return True if an object is such a session. It is not saved."""
        return isinstance(instance, self.null_session_class)

    def get_cookie_name(self, app: AppT_contra) -> str:
        """Return the name of the cookie: `SESSION_COOKIE_NAME`."""
        name: str | bool | None = app.config.get("SESSION_COOKIE_NAME")
        return name if isinstance(name, str) else "session"

    def get_cookie_domain(self, app: AppT_contra) -> str | None:
        """Return the domain of the cookie, None for the host alone: `SESSION_COOKIE_DOMAIN`."""
        domain: str | None = app.config.get("SESSION_COOKIE_DOMAIN")
        return domain or None

    def get_cookie_path(self, app: AppT_contra) -> str:
        """Return the path of the cookie: `SESSION_COOKIE_PATH`, or `APPLICATION_ROOT`."""
        path: str = app.config.get("SESSION_COOKIE_PATH") or app.config.get("APPLICATION_ROOT") or "/"
        return path

    def get_cookie_httponly(self, app: AppT_contra) -> bool:
        """Return True if scripts cannot read the cookie: `SESSION_COOKIE_HTTPONLY`."""
        return flag_of("SESSION_COOKIE_HTTPONLY", app.config.get("SESSION_COOKIE_HTTPONLY", True))

    def get_cookie_secure(self, app: AppT_contra) -> bool:
        """Return True if the cookie goes over HTTPS only: `SESSION_COOKIE_SECURE`."""
        return flag_of("SESSION_COOKIE_SECURE", app.config.get("SESSION_COOKIE_SECURE", False))

    def get_cookie_samesite(self, app: AppT_contra) -> str | None:
        """Return which requests of other sites carry the cookie: `SESSION_COOKIE_SAMESITE`."""
        samesite: str | None = app.config.get("SESSION_COOKIE_SAMESITE")
        return samesite or None

    def get_cookie_partitioned(self, app: AppT_contra) -> bool:
        """Return True if the cookie is kept apart for each embedding site: `SESSION_COOKIE_PARTITIONED`."""
        partitioned: object = app.config.get("SESSION_COOKIE_PARTITIONED", False)  # Quart knows it from 0.21 on
        return flag_of("SESSION_COOKIE_PARTITIONED", partitioned)

    def get_expiration_time(self, app: AppT_contra, session: SessionT) -> datetime | None:
        """Return when the browser drops the cookie of a permanent session, as an aware time; else None."""
        if not session.permanent:
            return None
        return datetime.now(UTC) + lifetime_of(app.config.get("PERMANENT_SESSION_LIFETIME", DEFAULT_LIFETIME))

    def should_set_cookie(self, app: AppT_contra, session: SessionT) -> bool:
        """Return True if the session is to be written: it changed, or it is permanent and refreshed each time."""
        refreshes = flag_of("SESSION_REFRESH_EACH_REQUEST", app.config.get("SESSION_REFRESH_EACH_REQUEST", True))
        return session.modified or (refreshes and session.permanent)

    @abstractmethod
    async def open_session(self, app: AppT_contra, request: RequestT_contra) -> SessionT | None:
        """Return the session of a request, or None if the application cannot have one."""
        ...

    @abstractmethod
    async def save_session(self, app: AppT_contra, session: SessionT, response: ResponseT_contra | None) -> None:
        """Put the session on the response, which is None after a websocket has been served."""
        ...


ReportHandler: TypeAlias = Callable[[ConfiguredApp, Report], None]
"""Takes what there is to say of a session of an application."""


def system_clock() -> float:
    """Return the system's time. It is looked up at each call, for whoever replaces it in tests."""
    return time.time()


def log_report_of(app: ConfiguredApp, report: Report) -> None:  # noqa: ARG001 -- a ReportHandler
    """Write a report to the log."""
    log_report(report)


@frozen(eq=False)
class AppRules(Rules[S]):
    """The rules of an application, and what they were made of."""

    config: Mapping[str, object] = field(repr=False)
    """As it was when it was looked at."""
    seen: tuple[object, ...] = field(repr=False)
    """The settings in there, and what the interface says beside them."""
    store_in_memory: SessionStore | None = field(repr=False)
    """That of the application; None if its config would mean the same in every application."""
    server_side: ServerSide[S] | None = field(repr=False)
    """None if the contents are kept in the cookie."""

    is_plain: bool = field(init=False)
    """True if a request's session needs nothing but its cookie, and there is no domain to compare with its host."""

    @override
    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        settings = self.settings
        is_plain = self.is_stock and self.server_side is None and settings.keys and settings.cookie.domain is None
        object.__setattr__(self, "is_plain", bool(is_plain))


@define(eq=False)
class _OfApp:
    """What an interface keeps of one application, as long as that lives."""

    stores_in_memory: dict[str, SessionStore] = field(factory=dict[str, SessionStore])
    """By URL: a test has one of its own, and sees nobody else's visitors."""
    reported: set[Report] = field(factory=set["Report"])
    """What was reported once and for all."""
    known_names: set[str] = field(factory=set[str])
    """Those of settings that were looked at."""


class SecureCookieSessionInterface(
    SessionInterface[ConfiguredApp, CookieRequest, CookieResponse, SecureCookieSession[S]], Generic[S]
):
    """Keeps sessions in signed cookies, in the format of Quart and Flask unless the settings name another.

    Without arguments it is a drop-in for `quart.sessions.SecureCookieSessionInterface`.

    Args:
        schema: the class that declares what a session holds.
        serializer: a built-in serializer's name, or a serializer. `SESSION_SERIALIZER` beats it.
        converter: a cattrs converter with hooks for types that the library does not know.
        store: keeps the contents on the server: a store, or the URL of one. `SESSION_STORE` beats it.
        refresh_fraction: how much of its lifetime the cookie of a permanent session has behind it when it is sent
            anew. `SESSION_REFRESH_AFTER` beats it.
        report: takes what there is to say of a session; the log by default.
        clock: the time; the system's by default.

    Raises:
        SchemaError: the class cannot be a schema.
        ConfigurationError: there is no such serializer.
    """

    salt: str | bytes = "cookie-session"
    """What sets these signatures apart from others under the same secret key."""

    digest_method: DigestMethod = staticmethod(hashlib.sha1)
    """The hash function of signatures. `SESSION_DIGEST` beats it."""

    key_derivation: str = "hmac"
    """How itsdangerous makes a signing key of a secret key and the salt. `"none"` leaves out the salt, which keeps
    formats apart: it takes tagged JSON, and reads no other format."""

    session_class: type[SecureCookieSession[S]] = cast("type[SecureCookieSession[S]]", SecureCookieSession)
    """The class of the sessions that are opened."""

    serializer: AnySerializer = TaggedJSONSerializer()
    """Writes the contents, where `SESSION_SERIALIZER` names nothing else."""

    @overload
    def __init__(
        self: SecureCookieSessionInterface[dict[str, object]],
        schema: None = None,
        *,
        serializer: SerializerName | AnySerializer | None = None,
        converter: Converter | None = None,
        store: str | SessionStore | None = None,
        refresh_fraction: float = 0.0,
        report: ReportHandler = ...,
        clock: Clock = ...,
    ) -> None: ...
    @overload
    def __init__(
        self,
        schema: Callable[[], S],
        *,
        serializer: SerializerName | AnySerializer | None = None,
        converter: Converter | None = None,
        store: str | SessionStore | None = None,
        refresh_fraction: float = 0.0,
        report: ReportHandler = ...,
        clock: Clock = ...,
    ) -> None: ...
    def __init__(
        self,
        schema: Callable[[], S] | None = None,
        *,
        serializer: SerializerName | AnySerializer | None = None,
        converter: Converter | None = None,
        store: str | SessionStore | None = None,
        refresh_fraction: float = 0.0,
        report: ReportHandler = log_report_of,
        clock: Clock = system_clock,
    ) -> None:
        self.schema: Schema[S] = Schema(cast("Callable[[], S]", schema), converter=converter)
        if serializer is not None:
            self.serializer = resolve_serializer(serializer)
        self._store = None if store is None else checked_store(store, "store")
        self._opened_stores: dict[str, SessionStore] = {}
        self._of_apps: WeakKeyDictionary[ConfiguredApp, _OfApp] = WeakKeyDictionary()
        self._of_others: Final = _OfApp(self._opened_stores)
        """What belongs to applications without a hash, or weak references: only Quart's are certain to have both."""
        self._refresh_fraction = refresh_fraction
        self.report_handler: Final = report
        """Is told what there is to say of a session."""
        self._clock = clock
        self._latest: AppRules[S] | None = None
        self._recent: tuple[AppRules[S], ...] = ()
        self._altered: set[str] = set()

    @property
    @override
    def null_session_class(self) -> type[NullSession[S]]:
        """The class of the session of an application without a secret key."""
        return cast("type[NullSession[S]]", NullSession)

    @override
    def is_null_session(self, instance: object) -> TypeIs[NullSession[S]]:
        """Return True if an object is the session of an application without a secret key. It is not saved."""
        # `isinstance` asks an ABC, which takes much longer. A proxy, as `quart.session` is one, has another `type`.
        return self.null_session_class in instance.__class__.__mro__

    @override
    async def make_null_session(self, app: ConfiguredApp) -> NullSession[S]:
        """Return the session of an application without a secret key."""
        return self.null_session_class(schema=self.schema)

    def get_signing_serializer(self, app: ConfiguredApp) -> URLSafeTimedSerializer | None:
        """Return itsdangerous' serializer of the same cookies, in the configured format; None without a secret key.

        It reads and writes plain values: those of a schema as the cookie has them.
        """
        settings = self._rules_of(app).settings
        if settings.keys is None:
            return None
        serializer = self._signing.writer_of(settings)
        return URLSafeTimedSerializer(
            settings.keys.oldest_first,
            salt=salt_of(self.salt, serializer),
            serializer=serializer,
            signer_kwargs={
                "key_derivation": self.key_derivation,
                "digest_method": settings.digest or self.digest_method,
            },
        )

    @override
    def get_expiration_time(self, app: ConfiguredApp, session: SecureCookieSession[S]) -> datetime | None:
        """Return when the browser drops the cookie of a permanent session, as an aware time; else None."""
        if not session.permanent:
            return None
        rules = self._rules_at_save(app, session)
        return rules.now() + rules.settings.lifetime

    @override
    def should_set_cookie(self, app: ConfiguredApp, session: SecureCookieSession[S]) -> bool:
        """Return True if the session is to be written: it changed, or a refresh is due."""
        owned = self._owned(session)  # Quart's own session comes here, too: by its type, Quart's interface takes it
        return owned.modified or lifecycle.refresh_is_due(owned, self._rules_at_save(app, owned))

    @override
    async def open_session(self, app: ConfiguredApp, request: CookieRequest) -> SecureCookieSession[S] | None:
        """Return the session of a request, which is opened at the first touch; None without a secret key.

        Raises:
            ConfigurationError: a setting is wrong.
        """
        rules = self._rules_of(app)
        if rules.is_plain:
            return session_of_request(rules, app, request, self.session_class)
        if rules.settings.keys or rules.server_side:
            self._compare_with_host(app, request, rules)
        if rules.server_side is not None:
            arrival = await self._stored_arrival(app, request, rules.server_side, rules)
            return session_from(arrival, self.session_class, rules, app)
        if rules.settings.keys is None:
            return None
        if rules.is_stock:
            return session_of_request(rules, app, request, self.session_class)
        name = self.get_cookie_name(app)  # at once: it may depend on the request that is being handled
        return session_from(
            RequestContext(rules, app, self.cookie_values(request, name)), self.session_class, rules, app
        )

    def _compare_with_host(self, app: ConfiguredApp, request: CookieRequest, rules: AppRules[S]) -> None:
        domain, host = rules.settings.cookie.domain, getattr(request, "host", None)
        if rules.is_stock and domain is not None and isinstance(host, str) and not is_sent_to(domain, host):
            self._report_once(app, ForeignDomain(domain))

    async def _stored_arrival(
        self, app: ConfiguredApp, request: CookieRequest | None, server_side: ServerSide[S], rules: Rules[S]
    ) -> StoredArrival[S]:
        name = self.get_cookie_name(app)
        arrival = await server_side.open(  # its texts are in no local of a frame that a debugging page shows
            () if request is None else self.cookie_values(request, name), rules, partial(self.report, app)
        )
        if arrival.failure is not None:
            without_frames(arrival.failure, until=sys.exception())
        return arrival

    @override
    async def save_session(self, app: ConfiguredApp, session: SessionMixin, response: CookieResponse | None) -> None:
        """Put the session's cookie on the response where one is due, and `Vary: Cookie` where it was used.

        Raises:
            SerializationError: the contents cannot be written so that they read back; no cookie is set.
            CookieTooLargeError: the browser would drop the cookie; no cookie is set.
            ConfigurationError: a setting is wrong; no cookie is set.
        """
        owned = session if type(session) is self.session_class else self._owned(session)
        if is_left_alone(owned):
            if self._is_streamed(response):
                note_streaming(owned)
            return
        rules = self._rules_at_save(app, owned)
        if type(state_of(owned).source) is StoredArrival or (owned is not session and rules.server_side is not None):
            await self._save_on_server(app, owned, response, rules)
        elif response is None:
            lifecycle.end(owned)
        else:
            accessed, headers = owned.accessed, response.headers
            if accessed:
                _vary_by_cookie(headers)
            streams = not accessed and self._is_streamed(response)
            self._put(app, lifecycle.save(owned, rules, app, streams=streams), headers, varies=accessed)

    def cookie_values(self, request: CookieRequest, name: str) -> tuple[str, ...]:
        """Return all values that a cookie has in a request."""
        return values_of(request.cookies, name)

    async def _save_on_server(
        self, app: ConfiguredApp, session: SecureCookieSession[S], response: CookieResponse | None, rules: AppRules[S]
    ) -> None:
        state, accessed, server_side = state_of(session), session.accessed, rules.server_side
        if response is None and isinstance(state.source, StoredArrival) and server_side is not None:
            state.source.deadline = server_side.new_deadline()  # the websocket may have been open for hours
        elif response is not None and accessed:
            _vary_by_cookie(response.headers)
        has_failed = state.has_failed
        try:
            if not has_failed:
                await self.store(app, session, answers=response is not None, rules=rules)
        finally:
            if response is not None:
                self.tell(app, session, response)
        if has_failed:
            state.progress = Progress.UNSAVED
        else:
            note_saved(session, streams=not accessed and self._is_streamed(response))

    def _is_streamed(self, response: CookieResponse | None) -> bool:
        """Return True unless it is known that no program makes the body of a response while it is sent."""
        return response is not None

    def is_kept(self, app: ConfiguredApp, session: SecureCookieSession[S], *, answers: bool) -> bool:
        """Return True if what is in a session in a cookie will be what the browser has. Otherwise say that it is lost.

        Args:
            app: the application.
            session: the session.
            answers: whether a response will carry a cookie.
        """
        return lifecycle.is_kept(session, self._rules_of(app), app, answers=answers)

    async def reload(self, app: ConfiguredApp, session: SecureCookieSession[S]) -> bool:
        """Bring into a session what is kept of it now. Unsaved changes are merged into that, as a save would.

        Returns:
            False if the session was ended, has got another identifier, or has expired: it stays as it is.

        Raises:
            StoreUnavailableError: the store did not answer.
            SessionConflictError: a change cannot be merged; nothing is changed.
        """
        arrival = state_of(session).source
        if not isinstance(arrival, StoredArrival):
            return lifecycle.is_valid(session, self._rules_of(app))
        return await answered(self.server_side(app).reload(session, arrival))

    async def store(
        self,
        app: ConfiguredApp,
        session: SecureCookieSession[S],
        *,
        answers: bool,
        verifies: bool = False,
        rules: AppRules[S] | None = None,
    ) -> bool:
        """Have the store keep a session as it is now. If it raises, the session has failed to be saved.

        Args:
            app: the application.
            session: what is to be kept.
            answers: whether a response will carry a cookie. What needs one is reported as lost otherwise.
            verifies: whether to ask the store, although nothing has changed, whether the session is still there.
            rules: how to save it; by default the present ones.

        Returns:
            False if a change was lost.

        Raises:
            StoreUnavailableError: the store did not answer.
            SessionConflictError: another request has changed the same field, which the schema does not allow.
            SerializationError: the contents cannot be written so that they read back.
            ConfigurationError: sessions of this application are not kept on the server, or a setting is wrong.
        """
        state, session_saved = state_of(session), False
        is_answered = not state.awaits_response
        try:
            rules = self._rules_of(app) if rules is None else rules
            server_side = _on_server(rules)
            arrival = state.source
            if not isinstance(arrival, StoredArrival):
                arrival = await self._stored_arrival(app, None, server_side, rules)
            decides = type(self).should_set_cookie is not SecureCookieSessionInterface.should_set_cookie
            wanted = self.should_set_cookie(app, session) if decides else None
            kept = await answered(server_side.save(session, arrival, wanted=wanted, answers=answers, verifies=verifies))
            self.report_altered(app, tuple(arrival.altered))
            session_saved = True
        finally:
            if not is_answered:
                state.progress = Progress.AWAITED if session_saved else Progress.FAILED
        return kept

    def tell(self, app: ConfiguredApp, session: SecureCookieSession[S], response: CookieResponse) -> None:
        """Put what the browser has to know of a session that is kept on the server on a response."""
        source = state_of(session).source
        if not isinstance(source, StoredArrival):
            return
        changes = lifecycle.header_changes(session, self._rules_at_save(app, session), app, source.tell())
        if changes.set_cookie:
            self._put(app, changes, response.headers, varies=False)

    async def close(self) -> None:
        """Close the stores that were opened by their URLs, in the event loop that runs; they open again when used."""
        async with AsyncExitStack() as closing:  # each of them, also if another one cannot be closed
            for store in tuple(self._opened_stores.values()):
                closing.push_async_callback(store.close)

    def server_side(self, app: ConfiguredApp) -> ServerSide[S]:
        """Return what keeps the sessions of an application on the server.

        Raises:
            ConfigurationError: they are kept in cookies, or a setting is wrong.
        """
        return _on_server(self._rules_of(app))

    def check(self, app: ConfiguredApp) -> None:
        """Refuse wrong settings before the first request.

        Raises:
            ConfigurationError: a setting is wrong; the message names it and says what it takes.
        """
        self._rules_of(app)

    def seal(self, app: ConfiguredApp, session: SecureCookieSession[S]) -> str:
        """Return the value of the cookie that a session would be kept in.

        Raises:
            ConfigurationError: there is no secret key.
            SerializationError: the contents cannot be written so that they read back.
        """
        rules = self._rules_of(app)
        if rules.server_side is not None:
            raise ConfigurationError("sessions are kept on the server here; make one with Sessions.transaction")
        writer = rules.writer
        return writer.sealer.seal(writer.codec.prove(state_of(session).open().contents.stored()).payload)

    def _put(
        self, app: ConfiguredApp, changes: lifecycle.HeaderChanges, headers: ResponseHeaders, *, varies: bool
    ) -> None:
        """Bring changes into the headers of a response. `varies` says that they have their Vary."""
        if changes.set_cookie:
            _add_cookies(headers, changes)
            changed = private(headers, self._clock())
            for name, value in changed.items():
                headers.set(name, value)
            if changed:
                self._report_once(app, SharedCookie())
        if changes.vary and not varies:
            _vary_by_cookie(headers)

    # What the core asks of its adapter.

    def report(self, app: ConfiguredApp, report: Report) -> None:
        """Tell the report handler what there is to say of a session."""
        self.report_handler(app, report)

    def report_altered(self, app: ConfiguredApp, keys: tuple[str, ...]) -> None:
        """Say once of each undeclared key that its values do not come back as they were."""
        for key in keys:
            if key not in self._altered and key not in _FRAMEWORKS and len(self._altered) < _MOST_KEYS:
                self._altered.add(key)
                self.report_handler(app, UndeclaredAltered(key))

    def cookie_attributes(self, app: ConfiguredApp) -> CookieAttributes:
        """Return the cookie's attributes as the helper methods say, which a subclass may override."""
        return checked_attributes(
            name=self.get_cookie_name(app),
            path=self.get_cookie_path(app),
            domain=self.get_cookie_domain(app),
            secure=self.get_cookie_secure(app),
            httponly=self.get_cookie_httponly(app),
            samesite=self.get_cookie_samesite(app),
            partitioned=self.get_cookie_partitioned(app),
        )

    def _owned(self, session: SessionMixin) -> SecureCookieSession[S]:
        """Return a session of this interface's own kind, with the contents and flags of one that may be another's."""
        if isinstance(session, SecureCookieSession):
            return cast("SecureCookieSession[S]", session)
        owned = SecureCookieSession(dict(session), schema=self.schema)
        owned.accessed, owned.modified = session.accessed, session.modified
        return owned

    def _rules_at_save(self, app: ConfiguredApp, session: SecureCookieSession[S]) -> AppRules[S]:
        """Return the rules that a session was opened with here; the present ones for one that a program has made."""
        rules = rules_of(session)
        return rules if isinstance(rules, AppRules) and rules.adapter is self else self._rules_of(app)

    def _rules_of(self, app: ConfiguredApp) -> AppRules[S]:
        """Return the present rules of an application.

        Raises:
            ConfigurationError: a setting is wrong. No frame of its traceback holds a secret, for debugging pages show
                locals.
            Exception: what else a store, a serializer or a report handler raises; the same holds for that.
        """
        latest = self._latest
        try:
            if latest is not None and app.config == latest.config:
                own_store = latest.store_in_memory
                if own_store is None or own_store is self._store_in_memory(app):
                    return latest
        except Exception:  # noqa: BLE001, S110 -- a config may hold what cannot be compared: it counts as changed
            pass
        try:
            rules = self._looked_up(app)
        except Exception as error:  # noqa: BLE001 -- code of the user's may raise anything
            refusal = error.with_traceback(None)
            refusal.__cause__ = refusal.__context__ = None
        else:
            self._look_at_names(app)
            teach_tojson(app)
            self._latest = None if self._is_dynamic else rules
            return rules
        raise refusal

    @override
    def __setattr__(self, name: str, value: object) -> None:
        super().__setattr__(name, value)
        self._forget_unless_own(name)

    @override
    def __delattr__(self, name: str) -> None:
        super().__delattr__(name)
        self._forget_unless_own(name)

    def _forget_unless_own(self, name: str) -> None:
        """Look at all settings anew: what was set may be one, such as the salt, or a method that says one."""
        if not name.startswith("_"):
            self._latest, self._recent = None, ()

    def _looked_up(self, app: ConfiguredApp) -> AppRules[S]:
        """Return the rules of an application; its settings are read again only when one has changed."""
        signing, store_in_memory = self._signing, self._store_in_memory(app)
        seen = (*present(app.config), signing, store_in_memory)
        for rules in self._recent:
            if rules.seen == seen:
                return rules if self._is_dynamic else evolve(rules, config=copied(app.config))
        self._check_overrides(signing)
        settings = read_settings(app.config)
        if self.schema.open and settings.extras.allowed is not None:
            raise ConfigurationError(
                'SESSION_EXTRAS needs a schema: without one there are no extras; leave it at "keep"'
            )
        is_on_server = settings.store is not None or self._store is not None
        formats = formats_of(self.schema, settings, signing, self._clock, is_on_server=is_on_server)
        fraction = settings.lifetime * self._refresh_fraction
        rules = AppRules(
            adapter=self,
            schema=formats[0].codec.schema if formats else self.schema,
            formats=formats,
            settings=settings,
            refresh_after=fraction if settings.refresh_after is None else settings.refresh_after,
            clock=self._clock,
            is_stock=self._is_stock,
            config=copied(app.config),
            seen=(*snapshot(app.config), signing, store_in_memory),
            store_in_memory=store_in_memory,
            server_side=self._kept_on_server(settings, store_in_memory),
        )
        self._recent = (rules, *self._recent[: _RECENT - 1])
        if settings.keys is not None and settings.keys.shortest < _SHORTEST_KEY:
            self.report_handler(app, ShortSecretKey(settings.keys.shortest))
        if settings.cookie.domain is not None and "." not in settings.cookie.domain:
            self._report_once(app, SingleLabelDomain())
        return rules

    def _look_at_names(self, app: ConfiguredApp) -> None:
        """Say once of each setting that is there and means nothing."""
        known = self._of(app).known_names
        names = app.config.keys() - known
        known |= names
        for name, advice in advice_on(names, (*SETTING_NAMES, "SESSION_PURGE_EVERY")):
            self._report_once(app, UnknownSetting(name, advice))

    def _report_once(self, app: ConfiguredApp, report: Report) -> None:
        reported = self._of(app).reported
        if report not in reported:
            reported.add(report)
            self.report_handler(app, report)

    def _of(self, app: ConfiguredApp) -> _OfApp:
        try:
            return self._of_apps.get(app) or self._of_apps.setdefault(app, _OfApp())
        except TypeError:
            return self._of_others

    @property
    def _is_stock(self) -> bool:
        """True if no subclass has its own word on when, or how, a cookie is written."""
        of_class = all(getattr(type(self), name) is getattr(SecureCookieSessionInterface, name) for name in _HELPERS)
        return of_class and vars(self).keys().isdisjoint(_HELPERS)

    @property
    def _is_dynamic(self) -> bool:
        """True if a subclass computes the salt or the like, perhaps anew for each request."""
        return any(isinstance(getattr_static(type(self), name, None), property) for name in _OWN)

    @property
    def _signing(self) -> Signing:
        return Signing(self.salt, self.key_derivation, self.digest_method, self.serializer)

    def _check_overrides(self, signing: Signing) -> None:
        """Refuse what a subclass of Quart's interface may do and this one could not honour."""
        signing.check()
        self.schema.migrations.check(self.schema.name, self.schema.fields)
        session_class: type = self.session_class
        if not issubclass(session_class, SecureCookieSession):
            raise ConfigurationError("session_class must be a subclass of typed_sessions.SecureCookieSession")
        if type(self).get_signing_serializer is not SecureCookieSessionInterface.get_signing_serializer:
            raise ConfigurationError(
                "get_signing_serializer only answers for the cookies here; override salt, digest_method, "
                "key_derivation or serializer to change them"
            )

    def _store_in_memory(self, app: ConfiguredApp) -> SessionStore | None:
        """Return the store of an application that keeps its sessions in memory; None if it keeps them elsewhere."""
        setting = app.config.get("SESSION_STORE")
        url = self._store if setting is None else setting
        if not isinstance(url, str) or not url.startswith("memory:"):
            return None
        stores = self._of(app).stores_in_memory
        if url not in stores:
            stores[url] = _opened_store(url)
        return stores[url]

    def _kept_on_server(self, settings: Settings, store_in_memory: SessionStore | None) -> ServerSide[S] | None:
        store = self._store if settings.store is None else settings.store
        if store is None:
            for setting, value in (
                ("SESSION_ABSOLUTE_LIFETIME", settings.absolute_lifetime),
                ("SESSION_ADOPT_SIGNED_BEFORE", settings.adopt_signed_before),
            ):
                if value is not None:
                    raise ConfigurationError(f"{setting} needs sessions that are kept on the server: SESSION_STORE")
            return None
        namespaces = _namespaces(settings, namespace_in(store) if isinstance(store, str) else None)
        if store_in_memory is not None:
            store = store_in_memory
        elif isinstance(store, str):
            if store not in self._opened_stores:
                self._opened_stores[store] = _opened_store(store)
            store = self._opened_stores[store]
        if settings.adopt_signed_before is not None and settings.keys is None:
            raise ConfigurationError(
                "SESSION_ADOPT_SIGNED_BEFORE needs the SECRET_KEY that the cookies were signed with"
            )
        return ServerSide(
            store=store,
            schema=self.schema,
            namespaces=namespaces,
            lifetime=Lifetime(settings.lifetime, settings.absolute_lifetime),
            timeout=settings.store_timeout,
            raises=settings.raise_on_store_error,
            adopt_signed_before=settings.adopt_signed_before,
        )


def _on_server(rules: AppRules[S]) -> ServerSide[S]:
    if rules.server_side is None:
        raise ConfigurationError(
            "sessions are kept in cookies here; that takes a store: Sessions(..., store=...) or SESSION_STORE"
        )
    return rules.server_side


def _namespaces(settings: Settings, in_url: str | None) -> tuple[Namespace, ...]:
    """Return what keeps the sessions of an application apart from others in its store, the present namespace first.

    Raises:
        ConfigurationError: two have been named, or none, where there is no key to derive one from.
    """
    named = in_url if settings.namespace is None else settings.namespace
    if named is not None:
        if in_url not in (None, named):
            raise ConfigurationError("SESSION_NAMESPACE is another one than the URL of the store has: leave one out")
        return (Namespace.named(named),)
    if settings.keys is None:
        raise ConfigurationError(
            "a session store without a SECRET_KEY needs SESSION_NAMESPACE, which keeps the sessions of this "
            'application apart from those of others in the same store: "shop"'
        )
    return tuple(Namespace.derived(key, settings.cookie.name) for key in settings.keys.oldest_first[::-1])


def _opened_store(url: str) -> SessionStore:
    try:
        return open_store(url)
    except (ConfigurationError, OSError, ImportError):
        raise
    except Exception as error:  # what a driver says of a URL may hold the password in it
        raise ConfigurationError(f"the store of SESSION_STORE cannot be opened: {type(error).__name__}") from error


_SHORTEST_KEY = 16
"""In bytes. Whoever has a cookie can try keys at home: 128 bits is what nobody can try (OWASP ASVS 5, 11.2.3)."""

_RECENT = 8
"""How many different settings an interface keeps ready: it may serve several applications."""

_OWN: Final = ("salt", "key_derivation", "digest_method", "serializer")
"""The attributes that are settings, too."""

_HELPERS: Final = (
    "get_cookie_domain",
    "get_cookie_httponly",
    "get_cookie_name",
    "get_cookie_partitioned",
    "get_cookie_path",
    "get_cookie_samesite",
    "get_cookie_secure",
    "get_expiration_time",
    "should_set_cookie",
)
"""The methods that a subclass may override to change the cookie."""

_FRAMEWORKS: Final = frozenset({"_flashes"})
"""The keys of frameworks that do not mind whether a pair comes back as a tuple or a list."""

_MOST_KEYS = 1_000
"""How many undeclared keys are remembered as reported: a program may make them up."""


async def answered(answer: Awaitable[T]) -> T:
    """Return what the store answers. If it does not, what shows what it was asked is taken from the error.

    Raises:
        StoreUnavailableError: it did not.
    """
    handled = sys.exception()
    try:
        return await answer
    except StoreUnavailableError as error:
        raise without_frames(error, until=handled)  # noqa: B904 -- it is the same


def values_of(cookies: Mapping[str, str], name: str) -> tuple[str, ...]:
    """Return all values of a cookie; browsers send several where paths or domains overlap (RFC 6265, 5.4)."""
    getlist = getattr(cookies, "getlist", None)
    if getlist is not None:
        return tuple(getlist(name))
    return (cookies[name],) if name in cookies else ()


def _vary_by_cookie(headers: ResponseHeaders) -> None:
    """Keep shared caches from answering one visitor with another's page (RFC 9110, section 12.5.5)."""
    present = headers.getlist("Vary")
    if present:
        headers.set("Vary", varying_by_cookie(present))
    else:
        headers.add("Vary", "Cookie")


def _add_cookies(headers: ResponseHeaders, changes: lifecycle.HeaderChanges) -> None:
    for text in changes.set_cookie:
        headers.add("Set-Cookie", text)
