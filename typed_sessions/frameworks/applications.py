"""`Applications`: those that one interface serves, each with its rules, its stores, and what was reported of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from functools import partial
from typing import Any, Final, Generic, cast
from weakref import WeakKeyDictionary

from attrs import define, evolve, field, frozen
from typing_extensions import TypeVar

from typed_sessions.codec.codec import MAX_COOKIE_PAYLOAD, MAX_PAYLOAD
from typed_sessions.core.cookies import is_sent_to
from typed_sessions.core.framework import ConfiguredApp, CookieRequest
from typed_sessions.core.lasting import CREATED_KEY
from typed_sessions.core.predecessors import Succession, succession_of
from typed_sessions.core.rules import Format, Rules, formats_of, record_keys_of
from typed_sessions.core.session import SecureCookieSession
from typed_sessions.core.settings import SETTING_NAMES, Encryption, Settings, advice_on, copied, read_settings
from typed_sessions.core.templates import teach_tojson
from typed_sessions.errors import ConfigurationError
from typed_sessions.frameworks.overrides import Overridable
from typed_sessions.reports import (
    ForeignDomain,
    KeyFileUnusable,
    Report,
    ShortSecretKey,
    SingleLabelDomain,
    UndeclaredLossy,
    UnknownSetting,
)
from typed_sessions.schema.schema import Schema
from typed_sessions.sealing.base import Clock
from typed_sessions.sealing.key_file import FileKey, KeyFile, path_of
from typed_sessions.server import RecordData, Repository, Runtime, ServerSide, record_data_of
from typed_sessions.stores import Lifetime, SessionStore, namespace_in, open_store
from typed_sessions.stores.identifiers import Namespace

__all__ = ["AppRules", "Applications"]

S = TypeVar("S", default=dict[str, object])


@frozen(eq=False, kw_only=True)
class AppRules(Rules[S]):
    """The rules of an application, and what they were made of."""

    config: Mapping[str, object] = field(repr=False)
    """As it was when it was looked at."""
    seen: tuple[object, ...] = field(repr=False)
    """The settings in there, and what the interface says beside them."""
    new_session: Callable[[], SecureCookieSession[Any]] = field(repr=False)
    """Makes a session, which has to be given all that it holds."""
    store_in_memory: SessionStore | None = field(repr=False)
    """That of the application; None if its config would mean the same in every application."""
    server_side: ServerSide[S] | None = field(repr=False)
    """None if the contents are kept in the cookie."""
    key_file: KeyFile | None = field(repr=False)
    """Where the keys came from; None if they are set."""

    may_change: bool = field(init=False)
    """True if the same config may come to mean something else."""
    is_plain: bool = field(init=False)
    """True if a request's session needs nothing but its cookie, and there is no domain to compare with its host."""
    record_data: RecordData[S] | None = field(init=False, repr=False)
    """Loads and saves the data of records; None if there are none, or there is always more to know than the data."""

    def __attrs_post_init__(self) -> None:
        side, settings = self.server_side, self.settings
        has_cookie_alone = self.is_stock and side is None and settings.keys is not None
        data = None if side is None else record_data_of(self, side.repository, side.runtime)
        made: dict[str, object] = {
            "may_change": self.store_in_memory is not None or self.key_file is not None,
            "is_plain": has_cookie_alone and settings.cookie.domain is None,
            "record_data": data,
        }
        if data is not None:
            made |= {"load_data": data.load_data, "header_of": data.header_of, "is_due": data.is_due}
        for name, value in made.items():
            object.__setattr__(self, name, value)

    @property
    def required_server_side(self) -> ServerSide[S]:
        """What keeps the contents on the server. Raises ConfigurationError if they are kept in the cookie."""
        if self.server_side is None:
            raise ConfigurationError(
                "sessions are kept in cookies here; that takes a store: Sessions(..., store=...) or SESSION_STORE"
            )
        return self.server_side


def _maker_of(session_class: type[SecureCookieSession[S]]) -> Callable[[], SecureCookieSession[Any]]:
    """Return what makes sessions of a class: those of the library's own without running Python."""
    of_users: Any = session_class  # called without a schema, which the rules know
    return partial(object.__new__, session_class) if session_class is SecureCookieSession else of_users


@define(eq=False)
class _OfApp:
    """What an interface keeps of one application, as long as that lives."""

    stores: dict[str, SessionStore] = field(factory=dict[str, SessionStore])
    """Those in memory, by URL: a test has one of its own, and sees nobody else's visitors."""
    reported: set[Report] = field(factory=set["Report"])
    key_file: KeyFile | None = None


@define(eq=False)
class Applications(Generic[S]):
    """What an interface makes of the settings of the applications that it serves."""

    _adapter: Overridable[S]
    _schema: Schema[S]
    _store: str | SessionStore | None
    """Keeps the contents on the server. `SESSION_STORE` beats it."""
    _refresh_fraction: float
    """How much of its lifetime a cookie has behind it when it is refreshed."""
    clock: Clock
    _encryption: Encryption
    """`SESSION_ENCRYPTION` beats it."""
    runtime: Runtime
    """Where what is asked of a store waits."""
    latest: AppRules[S] | None = field(default=None, init=False)
    """The rules that were asked for last; None if each request has to look at all settings."""
    latest_config: object = field(default=None, init=False, repr=False)
    """That of the application that came last: each is told of its unknown settings, and taught to write sessions."""
    _recent: tuple[AppRules[S], ...] = field(default=(), init=False)
    _lossy: set[str] = field(factory=set[str], init=False)
    _of_apps: WeakKeyDictionary[ConfiguredApp, _OfApp] = field(
        factory=WeakKeyDictionary["ConfiguredApp", "_OfApp"], init=False
    )
    _of_others: _OfApp = field(factory=_OfApp, init=False)
    """What belongs to all, and to applications without a hash or weak references: Quart's are certain to have both."""

    def forget(self) -> None:
        """Look at all settings anew: one was changed that is no setting of an application, such as the salt."""
        self.latest, self._recent = None, ()

    async def close(self) -> None:
        """Close the stores that were opened by their URLs, in the event loop that runs; they open again when used."""
        async with AsyncExitStack() as closing:  # each of them, also if another one cannot be closed
            for store in tuple(self._of_others.stores.values()):
                closing.push_async_callback(store.close)

    def rules_of(self, app: ConfiguredApp) -> AppRules[S]:
        """Return the present rules of an application.

        Raises:
            ConfigurationError: a setting is wrong. No frame of its traceback holds a secret, for debugging pages show
                locals.
            Exception: what else a store, a serializer or a report handler raises; the same holds for that.
        """
        latest = self.latest
        try:
            if latest is not None and app.config is self.latest_config and app.config == latest.config:  # noqa: SIM102 -- one line each
                if not latest.may_change or self._holds(latest, app):
                    return latest
        except Exception:  # noqa: BLE001, S110 -- a config may hold what cannot be compared: it counts as changed
            pass
        try:
            rules = self._looked_up(app)
        except Exception as error:  # noqa: BLE001 -- code of the user's may raise anything
            refusal = error.with_traceback(None)
            refusal.__cause__ = refusal.__context__ = None
        else:
            for name in tuple(app.config):
                advice = advice_on(name)
                if advice is not None:
                    self.report_once(app, UnknownSetting(name, advice))
            teach_tojson(app)
            self.latest, self.latest_config = None if self._adapter.is_dynamic else rules, app.config
            return rules
        raise refusal

    def _holds(self, rules: AppRules[S], app: ConfiguredApp) -> bool:
        """Return True if the config of an application, which is the same, still means these rules."""
        own_store, key_file = rules.store_in_memory, rules.key_file
        if own_store is not None and own_store is not self._store_in_memory(app):
            return False
        if key_file is None or not key_file.is_due(self.clock()):
            return True
        self.take_keys(app)
        return app.config == rules.config

    def take_keys(self, app: ConfiguredApp) -> None:
        """Bring the keys in the file of an application, if it has one, into its config, where others look for them.

        Raises:
            ConfigurationError: there are no keys in it, and none were; or the config has keys of its own.
        """
        config = app.config
        path = path_of("SECRET_KEY_FILE", config.get("SECRET_KEY_FILE"))
        if path is None:
            return
        current, fallbacks = config.get("SECRET_KEY"), config.get("SECRET_KEY_FALLBACKS") or ()
        came_from_file = isinstance(current, FileKey) and all(isinstance(key, FileKey) for key in fallbacks)
        if (current or fallbacks) and not came_from_file:
            raise ConfigurationError("SECRET_KEY_FILE has all keys: leave out SECRET_KEY and SECRET_KEY_FALLBACKS")
        of_app, now = self._of(app), self.clock()
        if of_app.key_file is None or of_app.key_file.path != path:
            of_app.key_file = KeyFile(path)
        key_file = of_app.key_file
        before = key_file.keys
        if not before or key_file.is_due(now):
            reason = key_file.look(now, with_ids=config.get("SESSION_ENCRYPTION", self._encryption) in ("read", "on"))
            if reason is not None:
                self._adapter.report(app, KeyFileUnusable(reason))
        if before != key_file.keys or not came_from_file:  # all at once: threads read them
            *earlier, signing = key_file.keys
            cast("dict[str, object]", config).update(SECRET_KEY=signing, SECRET_KEY_FALLBACKS=earlier)

    def _looked_up(self, app: ConfiguredApp) -> AppRules[S]:
        """Return the rules of an application; its settings are read again only when one has changed."""
        self.take_keys(app)
        config = copied({**app.config})
        signing, session_class = self._adapter.signing, self._adapter.session_class
        store_in_memory = self._store_in_memory(app)
        seen = (*map(config.get, SETTING_NAMES), signing, session_class, store_in_memory)
        for rules in self._recent:
            if rules.seen == seen:
                return rules if self._adapter.is_dynamic else evolve(rules, config=config)
        self._adapter.check_overrides()
        signing.check()
        self._schema.migrations.check(self._schema.name, self._schema.fields)
        settings = read_settings(config, encryption=self._encryption)
        if self._schema.open and settings.extras.allowed is not None:
            raise ConfigurationError(
                'SESSION_EXTRAS needs a schema: without one there are no extras; leave it at "keep"'
            )
        if settings.not_before is not None and settings.not_before > self.clock():
            raise ConfigurationError("SESSION_NOT_BEFORE is in the future; what it ends must have been there")
        if settings.absolute_lifetime is not None and CREATED_KEY in self._schema.fields:
            raise ConfigurationError(
                f"{self._schema.name}.{CREATED_KEY}: under this key SESSION_ABSOLUTE_LIFETIME keeps when a session was "
                f"created; give the field another name"
            )
        self._refuse_readable_secrets(settings)
        is_on_server = settings.store is not None or self._store is not None
        formats = formats_of(self._schema, settings, signing, self.clock, is_on_server=is_on_server)
        fraction = settings.lifetime * self._refresh_fraction
        server_side = self._kept_on_server(settings, store_in_memory)
        rules = AppRules(
            adapter=self._adapter,
            schema=formats[0].codec.schema if formats else self._schema,
            formats=formats,
            settings=settings,
            refresh_after=fraction if settings.refresh_after is None else settings.refresh_after,
            clock=self.clock,
            record_keys=record_keys_of(settings) if is_on_server else None,
            is_stock=self._adapter.is_stock,
            makes_permanent=self._adapter.makes_permanent,
            new_session=_maker_of(session_class),
            has_own_sessions=session_class is not SecureCookieSession,
            succession=self._succession(settings, formats, is_on_server=is_on_server),
            config=config,
            seen=seen,
            store_in_memory=store_in_memory,
            server_side=server_side,
            is_on_server=server_side is not None,
            key_file=None if settings.key_file is None else self._of(app).key_file,
        )
        self._recent = (rules, *self._recent[: _RECENT - 1])
        if settings.keys is not None and settings.keys.shortest < _SHORTEST_KEY:
            self._adapter.report(app, ShortSecretKey(settings.keys.shortest))
        if settings.cookie.domain is not None and "." not in settings.cookie.domain:
            self.report_once(app, SingleLabelDomain())
        return rules

    def _refuse_readable_secrets(self, settings: Settings) -> None:
        """Refuse fields that are marked as `Secret` where visitors can read cookies. Raises ConfigurationError."""
        if settings.encryption == "on" or settings.keys is None or (settings.store or self._store) is not None:
            return
        for declared in self._schema.fields.values():
            if declared.secret is not None:
                raise ConfigurationError(
                    f"{self._schema.name}.{declared.name}{declared.secret} is a Secret, and whoever has a signed "
                    f'cookie can read it: set SESSION_ENCRYPTION = "on", or SESSION_STORE'
                )

    def _succession(
        self, settings: Settings, formats: tuple[Format[S], ...], *, is_on_server: bool
    ) -> Succession[S] | None:
        if not settings.adopt:
            return None
        if not is_on_server and any(predecessor.needs_store for predecessor in settings.adopt):
            raise ConfigurationError(
                "what SESSION_ADOPT names is kept on a server, which needs sessions that are, too: SESSION_STORE"
            )
        names = {getattr(predecessor, "cookie_name", None) for predecessor in settings.adopt}
        if not is_on_server and not names <= {None, settings.cookie.name}:
            raise ConfigurationError(
                "what SESSION_ADOPT names has another cookie_name than your cookie, which needs a SESSION_STORE"
            )
        max_payload = settings.max_payload or (MAX_PAYLOAD if is_on_server else MAX_COOKIE_PAYLOAD)
        schema = formats[0].codec.schema if formats else self._schema
        return succession_of(settings.adopt, schema, max_payload, in_cookies=not is_on_server)

    def report_lossy(self, app: ConfiguredApp, keys: tuple[str, ...]) -> None:
        """Say once of each undeclared key, in whatever application, that its values do not come back as they were."""
        for key in keys:
            if key not in self._lossy and key not in _FRAMEWORKS and len(self._lossy) < _MOST_KEYS:
                self._lossy.add(key)
                self._adapter.report(app, UndeclaredLossy(key))

    def report_once(self, app: ConfiguredApp, report: Report) -> None:
        """Say something of an application once and for all."""
        reported = self._of(app).reported
        if report not in reported:
            reported.add(report)
            self._adapter.report(app, report)

    def compare_with_host(self, app: ConfiguredApp, request: CookieRequest, rules: AppRules[S]) -> None:
        """Say once that a request came to a host to which browsers send no cookie of the configured domain."""
        domain = rules.settings.cookie.domain
        if domain is None or not rules.is_stock:
            return
        host = getattr(request, "host", None)
        if isinstance(host, str) and not is_sent_to(domain, host):
            self.report_once(app, ForeignDomain(domain))

    def _of(self, app: ConfiguredApp) -> _OfApp:
        try:
            return self._of_apps.get(app) or self._of_apps.setdefault(app, _OfApp())
        except TypeError:
            return self._of_others

    def _store_in_memory(self, app: ConfiguredApp) -> SessionStore | None:
        """Return the store of an application that keeps its sessions in memory; None if it keeps them elsewhere."""
        setting = app.config.get("SESSION_STORE")
        url = self._store if setting is None else setting
        if not isinstance(url, str) or not url.startswith("memory:"):
            return None
        return self._opened_once(self._of(app).stores, url)

    def _kept_on_server(self, settings: Settings, store_in_memory: SessionStore | None) -> ServerSide[S] | None:
        store = self._store if settings.store is None else settings.store
        if store is None:
            for setting, value in (
                ("SESSION_ADOPT_SIGNED_BEFORE", settings.adopt_signed_before),
                ("SESSION_PURGE_EVERY", settings.purge_every),
            ):
                if value is not None:
                    raise ConfigurationError(f"{setting} needs sessions that are kept on the server: SESSION_STORE")
            return None
        namespaces = _namespaces(settings, namespace_in(store) if isinstance(store, str) else None)
        if store_in_memory is not None:
            store = store_in_memory
        elif isinstance(store, str):
            store = self._opened_once(self._of_others.stores, store)
        if settings.adopt_signed_before is not None and settings.keys is None:
            raise ConfigurationError(
                "SESSION_ADOPT_SIGNED_BEFORE needs the SECRET_KEY that the cookies were signed with"
            )
        lifetime = Lifetime(settings.lifetime, settings.absolute_lifetime)
        repository = Repository(self.runtime.store(store), namespaces, lifetime, settings.not_before)
        return ServerSide(repository, self._schema, settings, self.runtime)

    def _opened_once(self, stores: dict[str, SessionStore], url: str) -> SessionStore:
        if url in stores:
            return stores[url]
        try:
            opened = open_store(url, blocking=self.runtime.blocks)
        except (ConfigurationError, OSError, ImportError):
            raise
        except Exception as error:  # what a driver says of a URL may hold the password in it
            raise ConfigurationError(f"the store of SESSION_STORE cannot be opened: {type(error).__name__}") from error
        return stores.setdefault(url, opened)  # another thread may have been faster


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


_SHORTEST_KEY = 16
"""In bytes. Whoever has a cookie can try keys at home: 128 bits is what nobody can try (OWASP ASVS 5, 11.2.3)."""

_RECENT = 8
"""How many different settings an interface keeps ready: it may serve several applications."""

_FRAMEWORKS: Final = frozenset({"_flashes"})
"""The keys of frameworks that do not mind whether a pair comes back as a tuple or a list."""

_MOST_KEYS = 1_000
"""How many undeclared keys are remembered as reported: a program may make them up."""
