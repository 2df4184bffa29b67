"""`SessionInterface`, the seam between a framework and its sessions, and the one that keeps sessions in cookies."""

from __future__ import annotations

import hashlib
import sys
import time
from abc import abstractmethod
from collections.abc import Awaitable, Callable, Iterator, Mapping, MutableMapping
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from inspect import getattr_static
from typing import Any, Final, Generic, Protocol, TypeAlias, cast, overload
from weakref import WeakKeyDictionary

from attrs import define, field, frozen
from cattrs import Converter
from itsdangerous import URLSafeTimedSerializer
from typing_extensions import TypeIs, TypeVar, override

from typed_sessions.codec.codec import MAX_COOKIE_PAYLOAD, MAX_PAYLOAD, Codec, native_types
from typed_sessions.core import engine
from typed_sessions.core.caching import private
from typed_sessions.core.cookies import (
    BROWSERS_LIMIT,
    checked_attributes,
    is_sent_to,
    rivals_of,
    varying_by_cookie,
)
from typed_sessions.core.session import (
    NullSession,
    SecureCookieSession,
    SessionMixin,
    is_permanent,
    session_from,
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
from typed_sessions.core.state import MADE_LATE, SUPPRESSED, ExtrasRule, Opened, Progress
from typed_sessions.core.templates import teach_tojson
from typed_sessions.core.unknown_settings import advice_on
from typed_sessions.errors import ConfigurationError, CookieTooLargeError, StoreUnavailableError, without_frames
from typed_sessions.reports import (
    ChangeLost,
    CookieOversize,
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
from typed_sessions.schema.values import Value
from typed_sessions.sealing.base import Clock, KeylessSealer, Sealer
from typed_sessions.sealing.keys import KEY_DERIVATIONS, DigestMethod
from typed_sessions.sealing.set_cookie import CookieAttributes, SessionCookie
from typed_sessions.sealing.signed import SignedSealer
from typed_sessions.serializers.base import (
    BUILT_IN,
    AnySerializer,
    SerializerName,
    resolve_serializer,
    salt_of,
    serializer_name,
)
from typed_sessions.serializers.tagged_json import TaggedJSONSerializer
from typed_sessions.server import EVENT_LOOP, RequestContext, Runtime, ServerSide
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


@frozen
class _Configured(Generic[S]):
    """What an interface made of settings that it saw."""

    seen: tuple[object, ...] = field(repr=False)
    settings: Settings
    policy: engine.Policy[S]
    server_side: ServerSide[S] | None = field(repr=False)
    """None if the contents are kept in the cookie."""
    is_stock: bool
    """True if the cookie is as the settings say, and no subclass has its own word on it."""
    cookie: SessionCookie = field(init=False)
    lifetime_seconds: float = field(init=False)
    leaves_untouched: bool = field(init=False)
    """True if a session that nobody touched is left alone: no refresh can be due."""
    domain: str | None = field(init=False)
    """The cookie's domain, to compare with the hosts of requests; None if there is none, or a subclass says it."""
    stock_name: str | None = field(init=False)
    """The cookie's name; None where there are no cookies that hold a session, or a subclass may name them otherwise."""

    def __attrs_post_init__(self) -> None:
        object.__setattr__(self, "domain", self.settings.cookie.domain if self.is_stock else None)
        object.__setattr__(self, "leaves_untouched", self.is_stock and not self.settings.refresh_each_request)
        is_kept_in_stock_cookie = self.is_stock and self.server_side is None and self.settings.keys is not None
        object.__setattr__(self, "stock_name", self.settings.cookie.name if is_kept_in_stock_cookie else None)
        object.__setattr__(self, "cookie", SessionCookie(self.settings.cookie))
        object.__setattr__(self, "lifetime_seconds", self.settings.lifetime.total_seconds())


@frozen
class _Latest(Generic[S]):
    """A config as it was when it was last looked at, and what it meant."""

    config: Mapping[str, object] = field(repr=False)
    configured: _Configured[S]
    store_in_memory: SessionStore | None
    """That of the application; None if the config would mean the same in every application."""


@define(eq=False)
class _OfApp:
    """What an interface keeps of one application, as long as that lives."""

    stores_in_memory: dict[str, SessionStore] = field(factory=dict[str, SessionStore])
    """By URL: a test has one of its own, and sees nobody else's visitors."""
    reported: set[Report] = field(factory=set["Report"])
    """What was reported once and for all."""
    known_names: set[str] = field(factory=set[str])
    """Those of settings that were looked at."""


class _Arrival(Value, Generic[S]):
    """A request as a session's source: its cookies are looked at when its session is.

    What is needed for that is kept as it is now.
    """

    _interface: SecureCookieSessionInterface[S]
    _app: ConfiguredApp
    _configured: _Configured[S]
    _name: str
    """Of the cookie."""
    _request: CookieRequest | None
    """None once its cookies were looked at."""
    leaves_untouched: bool
    _texts: tuple[str, ...] = ()
    has_rivals: bool = False

    @property
    def sealed(self) -> tuple[str, ...]:
        request = self._request  # once: another thread may be the first to ask
        if request is not None:
            self._texts = self._interface.cookie_values(request, self._name)
            self._request = None
        return self._texts

    @property
    def rule(self) -> ExtrasRule:
        return self._configured.policy.extras

    @property
    def late_change(self) -> Report:
        return MADE_LATE

    def open(self) -> Opened[S]:
        opened = engine.opened(self.sealed, self._configured.policy)
        self.has_rivals = opened.has_rivals
        return opened

    def report(self, report: Report) -> None:
        self._interface.report_handler(self._app, report)


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

    _runtime: Runtime = EVENT_LOOP

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
        self._latest: _Latest[S] | None = None
        self._recent: tuple[_Configured[S], ...] = ()
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
        settings = self._configuration(app).settings
        if settings.keys is None:
            return None
        serializer = self._serializer(settings)
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
        configured = self._configuration(app)
        return configured.policy.now() + configured.settings.lifetime

    @override
    def should_set_cookie(self, app: ConfiguredApp, session: SecureCookieSession[S]) -> bool:
        """Return True if the session is to be written: it changed, or a refresh is due."""
        owned = self._owned(session)  # Quart's own session comes here, too: by its type, Quart's interface takes it
        return owned.modified or engine.refresh_is_due(owned, self._configuration(app).policy)

    @override
    async def open_session(self, app: ConfiguredApp, request: CookieRequest) -> SecureCookieSession[S] | None:
        """Return the session of a request, which is opened at the first touch; None without a secret key.

        Raises:
            ConfigurationError: a setting is wrong.
        """
        configured = self._configuration(app)
        name = configured.stock_name
        if name is None:
            if configured.server_side is not None:
                if configured.domain is not None:
                    self._compare_with_host(app, request, configured.domain)
                arrival = await self._stored_arrival(app, request, configured.server_side)
                return session_from(arrival, self.session_class)
            if configured.settings.keys is None:
                return None
            name = self.get_cookie_name(app)  # at once: it may depend on the request that is being handled
        if configured.domain is not None:
            self._compare_with_host(app, request, configured.domain)
        cookies = _Arrival(self, app, configured, name, request, configured.leaves_untouched)
        return session_from(cookies, self.session_class)

    def _compare_with_host(self, app: ConfiguredApp, request: CookieRequest, domain: str) -> None:
        host: object = getattr(request, "host", None)
        if isinstance(host, str) and not is_sent_to(domain, host):
            self._report_once(app, ForeignDomain(domain))

    async def _stored_arrival(
        self, app: ConfiguredApp, request: CookieRequest | None, server_side: ServerSide[S]
    ) -> RequestContext[S]:
        def report(report: Report) -> None:
            self.report_handler(app, report)

        name, policy = self.get_cookie_name(app), self._configuration(app).policy
        arrival = await server_side.open(  # its texts are in no local of a frame that a debugging page shows
            () if request is None else self.cookie_values(request, name), policy, report
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
        accessed, state = owned.accessed, state_of(owned)
        source = state.source
        if not accessed and state.is_untouched:
            state.note_saved(streams=self._is_streamed(response))
        elif type(source) is RequestContext or (owned is not session and self._is_on_server(app)):
            await self._save_on_server(app, owned, response)
        elif response is None:
            if state.judged()[0]:
                state.report_loss(_LOSSES[Progress.AWAITED])
            state.note_saved(streams=False)
        else:
            headers = response.headers
            if accessed:
                _vary_by_cookie(headers)
            if state.has_failed:
                state.progress = Progress.UNSAVED
                return
            state.progress = Progress.FAILED  # until it has not
            cookie = self._due_cookie(app, owned)
            if cookie is not None:
                self._set_cookie(app, owned, headers, cookie)
                if not accessed:
                    _vary_by_cookie(headers)
            state.note_saved(streams=not accessed and self._is_streamed(response))

    def cookie_values(self, request: CookieRequest, name: str) -> tuple[str, ...]:
        """Return all values that a cookie has in a request."""
        return _values_of(request.cookies, name)

    def _is_on_server(self, app: ConfiguredApp) -> bool:
        return self._configuration(app).server_side is not None

    async def _save_on_server(
        self, app: ConfiguredApp, session: SecureCookieSession[S], response: CookieResponse | None
    ) -> None:
        state, accessed = state_of(session), session.accessed
        if response is None and isinstance(state.source, RequestContext):
            state.source.deadline = self.server_side(app).new_deadline()  # the websocket may have been open for hours
        elif response is not None and accessed:
            _vary_by_cookie(response.headers)
        has_failed = state.has_failed
        try:
            if not has_failed:
                await self.store(app, session, answers=response is not None)
        finally:
            if response is not None:
                self.tell(app, session, response)
        if has_failed:
            state.progress = Progress.UNSAVED
        else:
            state.note_saved(streams=not accessed and self._is_streamed(response))

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
        state, configured = state_of(session), self._configuration(app)
        loss: Report
        if answers and state.progress is Progress.AWAITED:
            wanted = None if configured.is_stock else self._is_wanted(app, session)
            kept, loss = not engine.is_suppressed(session, wanted), SUPPRESSED
        else:
            kept = engine.is_kept(session, configured.policy)
            loss = state.source.late_change if state.progress is Progress.SAVED else _LOSSES[state.progress]
        if not kept:
            state.report_loss(loss)
        return kept

    async def reload(self, app: ConfiguredApp, session: SecureCookieSession[S]) -> bool:
        """Bring into a session what is kept of it now. Unsaved changes are merged into that, as a save would.

        Returns:
            False if the session was ended, has got another identifier, or has expired: it stays as it is.

        Raises:
            StoreUnavailableError: the store did not answer.
            SessionConflictError: a change cannot be merged; nothing is changed.
        """
        arrival = state_of(session).source
        if not isinstance(arrival, RequestContext):
            return engine.is_valid(session, self._configuration(app).policy)
        return await answered(self.server_side(app).reload(session, arrival))

    async def store(
        self, app: ConfiguredApp, session: SecureCookieSession[S], *, answers: bool, verifies: bool = False
    ) -> bool:
        """Have the store keep a session as it is now. If it raises, the session has failed to be saved.

        Args:
            app: the application.
            session: what is to be kept.
            answers: whether a response will carry a cookie. What needs one is reported as lost otherwise.
            verifies: whether to ask the store, although nothing has changed, whether the session is still there.

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
            server_side = self.server_side(app)
            arrival = state.source
            if not isinstance(arrival, RequestContext):
                arrival = await self._stored_arrival(app, None, server_side)
            decides = type(self).should_set_cookie is not SecureCookieSessionInterface.should_set_cookie
            wanted = self.should_set_cookie(app, session) if decides else None
            kept = await answered(server_side.save(session, arrival, wanted=wanted, answers=answers, verifies=verifies))
            self._report_altered(app, tuple(arrival.lossy_keys))
            session_saved = True
        finally:
            if not is_answered:
                state.progress = Progress.AWAITED if session_saved else Progress.FAILED
        return kept

    def tell(self, app: ConfiguredApp, session: SecureCookieSession[S], response: CookieResponse) -> None:
        """Put what the browser has to know of a session that is kept on the server on a response."""
        source = state_of(session).source
        if not isinstance(source, RequestContext):
            return
        decision = source.decision()
        header = (
            None
            if isinstance(decision, engine.Keep)
            else self._cookie(app, session, decision, self._configuration(app))
        )
        if header is not None:
            self._set_cookie(app, session, response.headers, header)
            _vary_by_cookie(response.headers)

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
        configured = self._configuration(app)
        if configured.server_side is None:
            raise ConfigurationError(
                "sessions are kept in cookies here; that takes a store: Sessions(..., store=...) or SESSION_STORE"
            )
        return configured.server_side

    def check(self, app: ConfiguredApp) -> None:
        """Refuse wrong settings before the first request.

        Raises:
            ConfigurationError: a setting is wrong; the message names it and says what it takes.
        """
        self._configuration(app)

    def seal(self, app: ConfiguredApp, session: SecureCookieSession[S]) -> str:
        """Return the value of the cookie that a session would be kept in.

        Raises:
            ConfigurationError: there is no secret key.
            SerializationError: the contents cannot be written so that they read back.
        """
        configured = self._configuration(app)
        if configured.server_side is not None:
            raise ConfigurationError("sessions are kept on the server here; make one with Sessions.transaction")
        return configured.policy.writer.write(state_of(session).open().contents).value

    def _set_cookie(
        self, app: ConfiguredApp, session: SecureCookieSession[S], headers: ResponseHeaders, cookie: str
    ) -> None:
        """Put a session's cookie on a response, expire its rivals, and keep shared caches from giving it to others.

        Its own header is the last one: what tells the places of cookies less well apart than browsers keeps it.
        """
        if state_of(session).source.has_rivals:
            for rival in rivals_of(self._attributes(app), app.config.get("APPLICATION_ROOT")):
                headers.add("Set-Cookie", SessionCookie(rival).deleting())
        headers.add("Set-Cookie", cookie)
        changed = private(headers, self._clock())
        for name, value in changed.items():
            headers.set(name, value)
        if changed:
            self._report_once(app, SharedCookie())

    def _due_cookie(self, app: ConfiguredApp, session: SecureCookieSession[S]) -> str | None:
        """Return the text of the `Set-Cookie` header that is due, if one is."""
        configured = self._configuration(app)
        wanted = None if configured.is_stock else self._is_wanted(app, session)
        decision = engine.save_session(session, configured.policy, wanted=wanted)
        cookie = None if type(decision) is engine.Keep else self._cookie(app, session, decision, configured)
        if cookie is not None:
            state_of(session).sent = decision.value if type(decision) is engine.Write else ""
        return cookie

    def _is_wanted(self, app: ConfiguredApp, session: SecureCookieSession[S]) -> bool:
        """Return what a subclass says, which may change the session meanwhile."""
        state = state_of(session)
        before, state.progress = state.progress, Progress.AWAITED
        try:
            return self.should_set_cookie(app, session)
        finally:
            state.progress = before

    def _cookie(
        self,
        app: ConfiguredApp,
        session: SecureCookieSession[S],
        decision: engine.Write | engine.Delete,
        configured: _Configured[S],
    ) -> str | None:
        """Return the text of the `Set-Cookie` header that a decision asks for; None if no browser would keep it."""
        if type(decision) is not engine.Write:
            return SessionCookie(self._attributes(app)).deleting()
        if decision.altered:
            self._report_altered(app, decision.altered)
        if configured.is_stock:
            expires = self._clock() + configured.lifetime_seconds if is_permanent(session) else None
            header = configured.cookie.written(decision.value, expires=expires)
        else:
            expiry = self.get_expiration_time(app, session)
            cookie = SessionCookie(self._attributes(app))
            header = cookie.expiring(decision.value, expiry)
        size = len(header)
        if size <= configured.settings.max_cookie_size:
            return header
        settings = configured.settings
        if not settings.max_cookie_size:
            return header
        if decision.refresh or not settings.raise_on_oversize:  # a request that changed nothing is not to fail
            is_sent = not settings.raise_on_oversize
            self.report_handler(app, CookieOversize(size, settings.max_cookie_size, sent=is_sent))
            return header if is_sent else None
        del header  # debugging pages show locals
        raise CookieTooLargeError(size, settings.max_cookie_size)

    def _report_altered(self, app: ConfiguredApp, keys: tuple[str, ...]) -> None:
        """Say once of each undeclared key that its values do not come back as they were."""
        for key in keys:
            if key not in self._altered and key not in _FRAMEWORKS and len(self._altered) < _MOST_KEYS:
                self._altered.add(key)
                self.report_handler(app, UndeclaredAltered(key))

    def _attributes(self, app: ConfiguredApp) -> CookieAttributes:
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

    def _configuration(self, app: ConfiguredApp) -> _Configured[S]:
        """Return the settings of an application.

        Raises:
            ConfigurationError: one is wrong. No frame of its traceback holds a secret, for debugging pages show locals.
            Exception: what else a store, a serializer or a report handler raises; the same holds for that.
        """
        latest = self._latest
        try:
            if latest is not None and app.config == latest.config:
                own_store = latest.store_in_memory
                if own_store is None or own_store is self._store_in_memory(app):
                    return latest.configured
        except Exception:  # noqa: BLE001, S110 -- a config may hold what cannot be compared: it counts as changed
            pass
        try:
            configured = self._configured(app)
        except Exception as error:  # noqa: BLE001 -- code of the user's may raise anything
            refusal = error.with_traceback(None)
            refusal.__cause__ = refusal.__context__ = None
        else:
            self._look_at_names(app)
            teach_tojson(app)
            own_store = self._store_in_memory(app)
            self._latest = None if self._is_dynamic else _Latest(copied(app.config), configured, own_store)
            return configured
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

    def _configured(self, app: ConfiguredApp) -> _Configured[S]:
        """Return the settings of an application; they are read again only when one has changed."""
        store_in_memory = self._store_in_memory(app)
        own = (*(getattr(self, name) for name in _OWN), store_in_memory)
        seen = (*present(app.config), *own)
        for configured in self._recent:
            if configured.seen == seen:
                return configured
        seen = (*snapshot(app.config), *own)
        settings = read_settings(app.config)
        policy = self._policy(settings)
        server_side = self._kept_on_server(settings, store_in_memory)
        configured = _Configured(seen, settings, policy, server_side, self._is_stock)
        self._recent = (configured, *self._recent[: _RECENT - 1])
        if settings.keys is not None and settings.keys.shortest < _SHORTEST_KEY:
            self.report_handler(app, ShortSecretKey(settings.keys.shortest))
        if settings.cookie.domain is not None and "." not in settings.cookie.domain:
            self._report_once(app, SingleLabelDomain())
        return configured

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

    def _policy(self, settings: Settings) -> engine.Policy[S]:
        self._check_overrides()
        self.schema.migrations.check(self.schema.name, self.schema.fields)
        if self.schema.open and settings.extras.allowed is not None:
            raise ConfigurationError(
                'SESSION_EXTRAS needs a schema: without one there are no extras; leave it at "keep"'
            )
        formats = self._formats(settings)
        return engine.Policy(
            schema=formats[0].codec.schema if formats else self.schema,
            formats=formats,
            extras=settings.extras,
            on_bad_field=settings.on_bad_field,
            refresh_each_request=settings.refresh_each_request,
            refresh_after=(
                settings.lifetime * self._refresh_fraction if settings.refresh_after is None else settings.refresh_after
            ),
            clock=self._clock,
        )

    def _check_overrides(self) -> None:
        """Refuse what a subclass of Quart's interface may do and this one could not honour."""
        if self.key_derivation not in KEY_DERIVATIONS:
            known = ", ".join(f'"{name}"' for name in KEY_DERIVATIONS)
            raise ConfigurationError(f"key_derivation must be one of {known}")
        salt = cast("object", self.salt)
        if not isinstance(salt, (str, bytes)):
            raise ConfigurationError(f"salt must be text or bytes, not {type(salt).__name__}")
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
            runtime=self._runtime,
        )

    def _formats(self, settings: Settings) -> tuple[engine.Format[S], ...]:
        """Return the configured format, which writes, then the other built-in ones and the fallbacks, which read."""
        is_on_server = settings.store is not None or self._store is not None
        if settings.keys is None and not is_on_server:
            return ()
        configured = self._serializer(settings)
        if not is_on_server and not all(map(self._is_kept_apart, (configured, *settings.serializer_fallbacks))):
            raise ConfigurationError(
                'key_derivation = "none" leaves out the salt that keeps a format apart from others; take "hmac", or '
                'leave SESSION_SERIALIZER at "tagged-json" and SESSION_SERIALIZER_FALLBACKS empty'
            )
        known = {serializer_name(each): each for each in (self.serializer, *settings.serializer_fallbacks[::-1])}
        built_in = (known.get(serializer_name(each), each) for each in _BUILT_IN)  # perhaps with tags of the user's
        serializers = [configured]
        for other in (*built_in, *settings.serializer_fallbacks):
            if serializer_name(other) is None or serializer_name(other) not in map(serializer_name, serializers):
                serializers.append(other)
        most = settings.max_payload or (MAX_PAYLOAD if is_on_server else MAX_COOKIE_PAYLOAD)
        schema = self.schema.written_as(native_types(configured))
        return tuple(
            engine.Format(Codec(schema, serializer, max_payload=most), self._sealer(settings, serializer))
            for serializer in serializers
        )

    def _is_kept_apart(self, serializer: AnySerializer) -> bool:
        """Return True if no payload of another salt is taken for one of a serializer's."""
        return self.key_derivation != "none" or salt_of(self.salt, serializer) == self.salt

    def _sealer(self, settings: Settings, serializer: AnySerializer) -> Sealer:
        if settings.keys is None or not self._is_kept_apart(serializer):
            return KeylessSealer()
        try:
            return SignedSealer(
                settings.keys,
                salt=salt_of(self.salt, serializer),
                lifetime=settings.lifetime,
                leeway=settings.leeway,
                clock=self._clock,
                key_derivation=self.key_derivation,
                digests=(settings.digest or self.digest_method, *settings.digest_fallbacks),
                max_payload=settings.max_payload or MAX_COOKIE_PAYLOAD,
                room=_room(settings) if serializer_name(serializer) in _NEVER_QUARTS else 0,
            )
        except Exception as error:  # what a digest says may hold the key, which it was given
            raise ConfigurationError(
                f"a digest of SESSION_DIGEST, SESSION_DIGEST_FALLBACKS or digest_method fails: {type(error).__name__}"
            ) from error

    def _serializer(self, settings: Settings) -> AnySerializer:
        """Return the configured serializer; the interface's own, with its tags, where the setting only names it."""
        named, own = settings.serializer, serializer_name(self.serializer)
        if named is None or (own is not None and own == serializer_name(named) and _is_stock_format(named)):
            return self.serializer
        return named


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


_BUILT_IN: Final = tuple(make() for make in BUILT_IN.values())

_NEVER_QUARTS: Final = frozenset(BUILT_IN) - {TaggedJSONSerializer.name}
"""The built-in formats that nobody else writes, so that a cookie need not be compressed as Quart does it."""


def _room(settings: Settings) -> int:
    """Return how long the value of a cookie may be that browsers keep."""
    header = SessionCookie(settings.cookie).written("", expires=0)
    return (settings.max_cookie_size or BROWSERS_LIMIT) - len(header)


def _is_stock_format(serializer: AnySerializer) -> bool:
    """Return True for a built-in serializer without tags of the user's: what a setting that is a mere name gives."""
    if isinstance(serializer, TaggedJSONSerializer):
        return serializer.is_stock and not serializer.sort_keys
    return type(serializer) in map(type, _BUILT_IN)


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

_UNSAVED: Final = ChangeLost("it could not be saved with its response, and the error response does not try again")
_LOSSES: Final = {
    Progress.AWAITED: ChangeLost(
        "a websocket that was accepted has no response to carry a cookie; change the session in a request, before the "
        "websocket opens or after it has told the page to make one"
    ),
    Progress.FAILED: _UNSAVED,
    Progress.UNSAVED: _UNSAVED,
}
"""What there is to say of a change of a session in a cookie that no response will carry, if it was made in time."""

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


def _values_of(cookies: Mapping[str, str], name: str) -> tuple[str, ...]:
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
