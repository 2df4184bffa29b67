"""`Applications`: those that one interface serves, each with its rules, its stores, and what was reported of it."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AsyncExitStack
from typing import Final, Generic, Protocol
from weakref import WeakKeyDictionary

from attrs import define, evolve, field, frozen
from typing_extensions import TypeVar, override

from typed_sessions.core.cookies import is_sent_to
from typed_sessions.core.framework import ConfiguredApp, CookieRequest
from typed_sessions.core.rules import Adapter, Rules, Signing, formats_of
from typed_sessions.core.settings import (
    Settings,
    checked_store,
    copied,
    read_settings,
    snapshot,
)
from typed_sessions.core.templates import teach_tojson
from typed_sessions.core.unknown_settings import advice_on
from typed_sessions.errors import ConfigurationError
from typed_sessions.reports import (
    ForeignDomain,
    Report,
    ShortSecretKey,
    SingleLabelDomain,
    UndeclaredLossy,
    UnknownSetting,
)
from typed_sessions.schema.schema import Schema
from typed_sessions.sealing.base import Clock
from typed_sessions.server import EVENT_LOOP, RecordData, Repository, Runtime, ServerSide, record_data_of
from typed_sessions.stores import Lifetime, SessionStore, namespace_in, open_store
from typed_sessions.stores.identifiers import Namespace

__all__ = ["AppRules", "Applications", "Customised"]

S = TypeVar("S", default=dict[str, object])


class Customised(Adapter, Protocol):
    """An adapter whose class, or whoever has it, may say other things than the settings."""

    @property
    def signing(self) -> Signing: ...

    @property
    def is_stock(self) -> bool: ...

    @property
    def is_dynamic(self) -> bool: ...

    @property
    def makes_permanent(self) -> bool: ...

    def check_overrides(self) -> None: ...


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
    record_data: RecordData[S] | None = field(init=False, repr=False)
    """Loads and saves the data of records; None if there are none, or there is always more to know than the data."""

    @override
    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        has_keys, has_domain = self.settings.keys is not None, self.settings.cookie.domain is not None
        is_plain = self.is_stock and self.server_side is None and has_keys and not has_domain
        object.__setattr__(self, "is_plain", is_plain)
        record_data = None
        if self.server_side is not None:
            record_data = record_data_of(self, self.server_side.repository, self.server_side.runtime)
        object.__setattr__(self, "record_data", record_data)
        if record_data is not None:
            object.__setattr__(self, "load_data", record_data.load)
            object.__setattr__(self, "is_due", record_data.is_due)
            object.__setattr__(self, "header_of", _send_nothing)

    @property
    def required_server_side(self) -> ServerSide[S]:
        """What keeps the contents on the server. Raises ConfigurationError if they are kept in the cookie."""
        if self.server_side is None:
            raise ConfigurationError(
                "sessions are kept in cookies here; that takes a store: Sessions(..., store=...) or SESSION_STORE"
            )
        return self.server_side


@define(eq=False)
class _OfApp:
    """What an interface keeps of one application, as long as that lives."""

    stores_in_memory: dict[str, SessionStore] = field(factory=dict[str, SessionStore])
    """By URL: a test has one of its own, and sees nobody else's visitors."""
    reported: set[Report] = field(factory=set["Report"])
    """What was reported once and for all."""


class Applications(Generic[S]):
    """What an interface makes of the settings of the applications that it serves.

    Args:
        adapter: the interface.
        schema: the class that declares what a session holds.
        store: keeps the contents on the server: a store, or the URL of one. `SESSION_STORE` beats it.
        refresh_fraction: how much of its lifetime a cookie has behind it when it is refreshed.
        clock: the time.
        runtime: where what is asked of a store waits.
    """

    def __init__(
        self,
        adapter: Customised,
        schema: Schema[S],
        store: str | SessionStore | None,
        refresh_fraction: float,
        clock: Clock,
        *,
        runtime: Runtime = EVENT_LOOP,
    ) -> None:
        self.runtime: Runtime = runtime
        self._adapter: Final = adapter
        self._schema: Final = schema
        self._store: Final = None if store is None else checked_store("store", store)
        self._refresh_fraction: Final = refresh_fraction
        self.clock: Clock = clock
        self._latest: AppRules[S] | None = None
        self._recent: tuple[AppRules[S], ...] = ()
        self._lossy: set[str] = set()
        self._opened_stores: dict[str, SessionStore] = {}
        self._of_apps: WeakKeyDictionary[ConfiguredApp, _OfApp] = WeakKeyDictionary()
        self._of_others: Final = _OfApp(self._opened_stores)
        """What belongs to applications without a hash, or weak references: only Quart's are certain to have both."""

    def forget(self) -> None:
        """Look at all settings anew: one was changed that is no setting of an application, such as the salt."""
        self._latest, self._recent = None, ()

    async def close(self) -> None:
        """Close the stores that were opened by their URLs, in the event loop that runs; they open again when used."""
        async with AsyncExitStack() as closing:  # each of them, also if another one cannot be closed
            for store in tuple(self._opened_stores.values()):
                closing.push_async_callback(store.close)

    def rules_of(self, app: ConfiguredApp) -> AppRules[S]:
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
            for name in tuple(app.config):
                advice = advice_on(name)
                if advice is not None:
                    self.report_once(app, UnknownSetting(name, advice))
            teach_tojson(app)
            self._latest = None if self._adapter.is_dynamic else rules
            return rules
        raise refusal

    def _looked_up(self, app: ConfiguredApp) -> AppRules[S]:
        """Return the rules of an application; its settings are read again only when one has changed."""
        signing, store_in_memory = self._adapter.signing, self._store_in_memory(app)
        seen = (*snapshot(app.config), signing, store_in_memory)
        for rules in self._recent:
            if rules.seen == seen:
                return rules if self._adapter.is_dynamic else evolve(rules, config=copied(app.config))
        self._adapter.check_overrides()
        signing.check()
        self._schema.migrations.check(self._schema.name, self._schema.fields)
        settings = read_settings(app.config)
        if self._schema.open and settings.extras.allowed is not None:
            raise ConfigurationError(
                'SESSION_EXTRAS needs a schema: without one there are no extras; leave it at "keep"'
            )
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
            is_stock=self._adapter.is_stock,
            makes_permanent=self._adapter.makes_permanent,
            config=copied(app.config),
            seen=seen,
            store_in_memory=store_in_memory,
            server_side=server_side,
            is_on_server=server_side is not None,
        )
        self._recent = (rules, *self._recent[: _RECENT - 1])
        if settings.keys is not None and settings.keys.shortest < _SHORTEST_KEY:
            self._adapter.report(app, ShortSecretKey(settings.keys.shortest))
        if settings.cookie.domain is not None and "." not in settings.cookie.domain:
            self.report_once(app, SingleLabelDomain())
        return rules

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
        return self._opened_once(self._of(app).stores_in_memory, url)

    def _kept_on_server(self, settings: Settings, store_in_memory: SessionStore | None) -> ServerSide[S] | None:
        store = self._store if settings.store is None else settings.store
        if store is None:
            for setting, value in (
                ("SESSION_ABSOLUTE_LIFETIME", settings.absolute_lifetime),
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
            store = self._opened_once(self._opened_stores, store)
        if settings.adopt_signed_before is not None and settings.keys is None:
            raise ConfigurationError(
                "SESSION_ADOPT_SIGNED_BEFORE needs the SECRET_KEY that the cookies were signed with"
            )
        return ServerSide(
            Repository(self.runtime.store(store), namespaces, Lifetime(settings.lifetime, settings.absolute_lifetime)),
            self._schema,
            settings,
            self.runtime,
        )

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


def _send_nothing(_loaded: object) -> None:
    """Take the place of `Rules.header_of` where the data is not in the cookie."""


_SHORTEST_KEY = 16
"""In bytes. Whoever has a cookie can try keys at home: 128 bits is what nobody can try (OWASP ASVS 5, 11.2.3)."""

_RECENT = 8
"""How many different settings an interface keeps ready: it may serve several applications."""

_FRAMEWORKS: Final = frozenset({"_flashes"})
"""The keys of frameworks that do not mind whether a pair comes back as a tuple or a list."""

_MOST_KEYS = 1_000
"""How many undeclared keys are remembered as reported: a program may make them up."""
