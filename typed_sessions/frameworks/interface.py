"""`SessionInterface`, the seam between a framework and its sessions, and the one that keeps sessions in cookies."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial
from typing import Final, Generic, TypeAlias, cast, overload

from cattrs import Converter
from itsdangerous import URLSafeTimedSerializer
from typing_extensions import TypeIs, TypeVar, override

from typed_sessions.core import lifecycle
from typed_sessions.core.cookies import checked_attributes
from typed_sessions.core.framework import (
    ConfiguredApp,
    CookieRequest,
    CookieResponse,
    ResponseHeaders,
    SessionInterface,
    make_private,
    values_of,
    vary_by_cookie,
)
from typed_sessions.core.loading import RequestContext
from typed_sessions.core.mixin import SessionMixin
from typed_sessions.core.null_session import NullSession
from typed_sessions.core.rules import Rules
from typed_sessions.core.session import STREAMING, SecureCookieSession, state_of
from typed_sessions.core.session_request import (
    is_left_alone,
    note_saved,
    rules_of,
    save_data,
    session_from,
    session_of_request,
)
from typed_sessions.core.settings import Encryption, checked_encryption, checked_store
from typed_sessions.core.state import Progress
from typed_sessions.errors import ConfigurationError, answered, without_frames, without_values
from typed_sessions.frameworks.applications import Applications, AppRules
from typed_sessions.frameworks.overrides import Overridable
from typed_sessions.reports import Report, SharedCookie, log_report
from typed_sessions.schema.schema import Schema
from typed_sessions.sealing.base import Clock, system_clock
from typed_sessions.sealing.set_cookie import CookieAttributes
from typed_sessions.serializers.base import AnySerializer, SerializerName, resolve_serializer, salt_of
from typed_sessions.server import EVENT_LOOP, Runtime, ServerSide, StoredContext
from typed_sessions.stores import SessionStore

__all__ = [
    "ConfiguredApp",
    "CookieRequest",
    "CookieResponse",
    "ReportHandler",
    "SecureCookieSessionInterface",
    "SessionInterface",
]

S = TypeVar("S", default=dict[str, object])


ReportHandler: TypeAlias = Callable[[ConfiguredApp, Report], None]
"""Takes what there is to say of a session of an application."""


def log_report_of(app: ConfiguredApp, report: Report) -> None:  # noqa: ARG001 -- a ReportHandler
    """Write a report to the log."""
    log_report(report)


class SecureCookieSessionInterface(
    Overridable[S], SessionInterface[ConfiguredApp, CookieRequest, CookieResponse, SecureCookieSession[S]], Generic[S]
):
    """Keeps sessions in signed cookies, in the format of Quart and Flask unless the settings name another.

    Without arguments it is a drop-in for `quart.sessions.SecureCookieSessionInterface`.

    Args:
        schema: the class that declares what a session holds.
        serializer: a built-in serializer's name, or a serializer. `SESSION_SERIALIZER` beats it.
        converter: a cattrs converter with hooks for types that the library does not know.
        store: keeps the contents on the server: a store, or the URL of one. `SESSION_STORE` beats it.
        encryption: whether sessions are encrypted. `SESSION_ENCRYPTION` beats it.
        refresh_fraction: how much of its lifetime the cookie of a permanent session has behind it when it is sent
            anew. `SESSION_REFRESH_AFTER` beats it.
        report: takes what there is to say of a session; the log by default.
        clock: the time; the system's by default.

    Raises:
        SchemaError: the class cannot be a schema.
        ConfigurationError: there is no such serializer, or what encrypts is not installed.
    """

    runtime: Runtime = EVENT_LOOP
    """Where what is asked of a store waits."""

    @overload
    def __init__(
        self: SecureCookieSessionInterface[dict[str, object]],
        schema: None = None,
        *,
        serializer: SerializerName | AnySerializer | None = None,
        converter: Converter | None = None,
        store: str | SessionStore | None = None,
        encryption: Encryption | None = None,
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
        encryption: Encryption | None = None,
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
        encryption: Encryption | None = None,
        refresh_fraction: float = 0.0,
        report: ReportHandler = log_report_of,
        clock: Clock = system_clock,
    ) -> None:
        self.schema: Schema[S] = Schema(cast("Callable[[], S]", schema), converter=converter)
        if serializer is not None:
            self.serializer: AnySerializer = resolve_serializer(serializer)
        self.report_handler: Final = report
        store = None if store is None else checked_store("store", store)
        encryption = checked_encryption("encryption", "off" if encryption is None else encryption)
        self._applications: Final = Applications(
            self, self.schema, store, refresh_fraction, clock, encryption, self.runtime
        )

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

        It reads and writes plain values: those of a schema as the cookie has them. It knows no encryption: what it
        writes is read here, and what is encrypted here it cannot read.
        """
        settings = self._applications.rules_of(app).settings
        if settings.keys is None:
            return None
        serializer = self.signing.writer_of(settings)
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
        latest = self._applications.latest
        if latest is not None and latest.is_plain and not latest.may_change:
            try:  # as `rules_of` does: in nearly all requests this is all
                is_same = app.config is self._applications.latest_config and app.config == latest.config
            except Exception:  # noqa: BLE001 -- a config may hold what cannot be compared: it counts as changed
                is_same = False
            if is_same:
                return session_of_request(latest, app, request, latest.new_session)
        rules = self._applications.rules_of(app)
        if not rules.is_plain:
            if rules.settings.keys is None and rules.server_side is None:
                return None
            self._applications.compare_with_host(app, request, rules)
            if rules.server_side is not None:
                stored = await self._stored_context(app, request, rules.server_side, rules)
                if stored.is_plain and rules.record_data is not None:
                    return session_of_request(rules, app, stored, rules.new_session)
                return session_from(stored, rules.new_session, rules, app)
            if not rules.is_stock:
                name = self.get_cookie_name(app)  # at once: it may depend on the request that is being handled
                context = RequestContext(rules, app, self.cookie_values(request, name))
                return session_from(context, rules.new_session, rules, app)
        return session_of_request(rules, app, request, rules.new_session)

    async def _stored_context(
        self, app: ConfiguredApp, request: CookieRequest | None, server_side: ServerSide[S], rules: Rules[S]
    ) -> StoredContext[S]:
        name = rules.name if rules.is_stock else self.get_cookie_name(app)
        context = await server_side.open(  # its texts are in no local of a frame that a debugging page shows
            () if request is None else self.cookie_values(request, name),
            rules,
            partial(self.report, app),
            () if request is None else rules.claims_in(partial(self.cookie_values, request), name),
        )
        if context.failure is not None:
            without_frames(context.failure, until=sys.exception())
        return context

    @override
    async def save_session(self, app: ConfiguredApp, session: SessionMixin, response: CookieResponse | None) -> None:
        """Put the session's cookie on the response where one is due, and `Vary: Cookie` where it was used.

        Raises:
            SerializationError: the contents cannot be written so that they read back; no cookie is set.
            CookieTooLargeError: the browser would drop the cookie; no cookie is set.
            ConfigurationError: a setting is wrong; no cookie is set.
        """
        owned: SecureCookieSession[S] = session if type(session) is SecureCookieSession else self._owned(session)  # pyright: ignore[reportAssignmentType]  # it takes the comparison for a proof that there is no schema
        if is_left_alone(owned):
            if self._is_streamed(response):
                STREAMING.set(owned)
        elif not self._save_data(app, owned, response):
            await self._save_contents(app, owned, response)

    def _save_data(self, app: ConfiguredApp, session: SecureCookieSession[S], response: CookieResponse | None) -> bool:
        """Save a session of which there is no more to know than its data. False where there is; `Vary` is set then."""
        if response is None or not session.accessed:
            return False
        headers = response.headers
        is_usual = self._vary_by_cookie(headers)  # first: what follows may raise
        text = save_data(session, self)
        if text:
            self._add_cookie(headers, text)
            if not is_usual:
                self._make_private(app, headers)
        return text is not None

    async def _save_contents(
        self, app: ConfiguredApp, session: SecureCookieSession[S], response: CookieResponse | None
    ) -> None:
        """Save a session of which there is more to know than its data. `Vary` names Cookie already, if it was used."""
        rules = self._rules_at_save(app, session)
        if rules.server_side is not None:
            await self._save_on_server(app, session, response, rules)
        elif response is None:
            lifecycle.end(session)
        else:
            streams = not session.accessed and self._is_streamed(response)
            try:
                self._put(app, lifecycle.save(session, rules, app, streams=streams), response.headers)
            except Exception as error:
                if not self.schema.secrets:
                    raise
                raise without_values(error)  # noqa: B904 -- it is the same

    @override
    def cookie_values(self, request: CookieRequest, name: str) -> tuple[str, ...]:
        return values_of(request.cookies, name)

    async def _save_on_server(
        self, app: ConfiguredApp, session: SecureCookieSession[S], response: CookieResponse | None, rules: AppRules[S]
    ) -> None:
        if response is not None and rules.record_data is not None:
            text = await answered(rules.record_data.save(session))
            if text:
                self._add_cookie(response.headers, text)
                self._make_private(app, response.headers)
            if text is not None:
                return
        state, accessed, server_side = state_of(session), session.accessed, rules.server_side
        if response is None and isinstance(state.source, StoredContext) and server_side is not None:
            state.source.deadline = server_side.new_deadline()  # the websocket may have been open for hours
        has_failed = state.has_failed
        try:
            if not has_failed:
                await self.store(app, session, answers=response is not None, rules=rules)
        finally:
            if response is not None:
                self.add_stored_cookie(app, session, response)
        if has_failed:
            state.progress = Progress.UNSAVED
        else:
            note_saved(session, streams=not accessed and self._is_streamed(response))

    def _is_streamed(self, response: CookieResponse | None) -> bool:
        """Return True unless it is known that no program makes the body of a response while it is sent."""
        return response is not None

    def is_kept(self, app: ConfiguredApp, session: SecureCookieSession[S], *, answers: bool) -> bool:
        """Return True if what is in a session in a cookie will be what the browser has; see `lifecycle.is_kept`."""
        return lifecycle.is_kept(session, self._applications.rules_of(app), app, answers=answers)

    async def reload(self, app: ConfiguredApp, session: SecureCookieSession[S]) -> bool:
        """Bring into a session what is kept of it now. Unsaved changes are merged into that, as a save would.

        Returns:
            False if the session was ended, has got another identifier, or has expired: it stays as it is.

        Raises:
            StoreUnavailableError: the store did not answer.
            SessionConflictError: a change cannot be merged; nothing is changed.
        """
        context = state_of(session).source
        if not isinstance(context, StoredContext):
            return lifecycle.is_valid(session, self._applications.rules_of(app))
        reloading = self.server_side(app).reload(session, context)
        return await answered(reloading, has_secrets=bool(self.schema.secrets))

    async def store(
        self,
        app: ConfiguredApp,
        session: SecureCookieSession[S],
        *,
        answers: bool,
        verifies: bool = False,
        rules: AppRules[S] | None = None,
    ) -> bool:
        """Have the store keep a session as it is now, by the present rules if there are no others.

        See `ServerSide.save`. If it raises, the session has failed to be saved.
        """
        state, session_saved = state_of(session), False
        is_answered = not state.awaits_response
        try:
            rules = rules or self._applications.rules_of(app)
            server_side, context = rules.required_server_side, state.source
            if not isinstance(context, StoredContext):
                context = state.source = await self._stored_context(app, None, server_side, rules)
            decides = type(self).should_set_cookie is not SecureCookieSessionInterface.should_set_cookie
            wanted = self.should_set_cookie(app, session) if decides else None
            saving = server_side.save(session, context, wanted=wanted, answers=answers, verifies=verifies)
            kept = await answered(saving, has_secrets=bool(self.schema.secrets))
            self.report_lossy(app, tuple(context.lossy_keys))
            session_saved = True
        finally:
            if not is_answered:
                state.progress = Progress.AWAITED if session_saved else Progress.FAILED
        return kept

    def add_stored_cookie(self, app: ConfiguredApp, session: SecureCookieSession[S], response: CookieResponse) -> None:
        """Put the cookie that is due of a session that is kept on the server on a response, if any is."""
        source = state_of(session).source
        if isinstance(source, StoredContext):
            changes = lifecycle.header_changes(session, self._rules_at_save(app, session), app, source.decision())
            self._put(app, changes, response.headers)

    def _put(self, app: ConfiguredApp, changes: lifecycle.HeaderChanges, headers: ResponseHeaders) -> None:
        """Bring new cookies, if there are any, into the headers of a response, and what caches have to know of them."""
        for text in changes.set_cookie:
            self._add_cookie(headers, text)
        if changes.set_cookie:
            self._make_private(app, headers)
            vary_by_cookie(headers)

    def _vary_by_cookie(self, headers: ResponseHeaders) -> bool:
        return vary_by_cookie(headers)

    def _add_cookie(self, headers: ResponseHeaders, text: str) -> None:
        """Add a `Set-Cookie` header. Its text has no line breaks, whatever the cookie's attributes are."""
        headers.add("Set-Cookie", text)

    def _make_private(self, app: ConfiguredApp, headers: ResponseHeaders) -> None:
        if make_private(headers, self._applications.clock):
            self._applications.report_once(app, SharedCookie())

    async def close(self) -> None:
        """Close the stores that were opened by their URLs, in the event loop that runs; they open again when used."""
        await self._applications.close()

    def server_side(self, app: ConfiguredApp) -> ServerSide[S]:
        """Return what keeps the sessions of an application on the server.

        Raises:
            ConfigurationError: they are kept in cookies, or a setting is wrong.
        """
        return self._applications.rules_of(app).required_server_side

    def purge_interval(self, app: ConfiguredApp) -> timedelta | None:
        """Return how often expired sessions of an application are deleted; None for never."""
        return self._applications.rules_of(app).settings.purge_every

    def take_keys(self, app: ConfiguredApp) -> None:
        """Bring the keys of `SECRET_KEY_FILE` into an application's config. What is wrong with it, `check` says."""
        with suppress(ConfigurationError):
            self._applications.take_keys(app)

    def check(self, app: ConfiguredApp) -> None:
        """Refuse wrong settings before the first request.

        Raises:
            ConfigurationError: a setting is wrong; the message names it and says what it takes.
        """
        self._applications.rules_of(app)

    def seal(self, app: ConfiguredApp, session: SecureCookieSession[S]) -> str:
        """Return the value of the cookie that a session would be kept in.

        Raises:
            ConfigurationError: there is no secret key.
            SerializationError: the contents cannot be written so that they read back.
        """
        rules = self._applications.rules_of(app)
        if rules.server_side is not None:
            raise ConfigurationError("sessions are kept on the server here; make one with Sessions.transaction")
        writer = rules.writer
        return writer.sealer.seal(writer.codec.write(state_of(session).open().contents).payload)

    @override
    def report(self, app: ConfiguredApp, report: Report) -> None:
        self.report_handler(app, report)

    @override
    def report_lossy(self, app: ConfiguredApp, keys: tuple[str, ...]) -> None:
        self._applications.report_lossy(app, keys)

    @override
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
        return rules if isinstance(rules, AppRules) and rules.adapter is self else self._applications.rules_of(app)

    @staticmethod
    @override
    def _stock() -> type:
        return SecureCookieSessionInterface

    @override
    def _forget(self) -> None:
        if "_applications" in vars(self):
            self._applications.forget()
