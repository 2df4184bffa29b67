"""The data of a record is loaded and saved without a session's whole state, and nobody can tell.

What comes of requests with a store, by whichever way, is in tests/integrations/test_server_side.py and tests/oracle.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Annotated, Any, TypedDict

import pytest
from attrs import Factory, define
from typing_extensions import override

from tests.bare_framework import App, Request, Response, finished
from tests.failing_store import Failing
from typed_sessions import (
    CookieTooLargeError,
    Merge,
    Secret,
    SecureCookieSession,
    SecureCookieSessionInterface,
    StoreUnavailableError,
    Subject,
)
from typed_sessions.core.session_request import data_of
from typed_sessions.reports import ChangeLost, Report
from typed_sessions.server import THREAD, RecordData, Runtime
from typed_sessions.stores import Found, Lifetime, MemoryStore, Record, Updated, WriteRequest

MINUTES = timedelta(minutes=30)


@define
class Visitor:
    user_id: Annotated[int | None, Subject] = None
    cart: list[str] = Factory(list[str])
    visits: Annotated[int, Merge("add")] = 0


class Cart(TypedDict, total=False):
    user_id: Annotated[int, Subject]
    visits: Annotated[int, Merge("add")]


class Watched(MemoryStore):
    """Notes what it is asked, and lets another request come in between."""

    def __init__(self, clock: Callable[[], float]) -> None:
        super().__init__(clock=clock)
        self.asked: list[str] = []
        self.before_update: Callable[[], object] | None = None

    @override
    async def load(self, key: str) -> Found:
        self.asked.append("load")
        return await super().load(key)

    @override
    async def touch(self, key: str, lifetime: Lifetime) -> Record | None:
        self.asked.append("touch")
        return await super().touch(key, lifetime)

    @override
    async def update(self, key: str, version: int, write: WriteRequest, *, move_to: str | None = None) -> Updated:
        self.asked.append("move" if move_to else "update")
        between, self.before_update = self.before_update, None
        if between is not None:
            between()
            self.asked.append("again")
        return await super().update(key, version, write, move_to=move_to)


class InThreads(SecureCookieSessionInterface[Any]):
    runtime: Runtime = THREAD


class Site:
    """An application, and a visitor whose session holds something."""

    def __init__(self, schema: Any = Visitor, store: MemoryStore | None = None, **config: Any) -> None:
        self.now = 1_790_000_000.0
        self.reports: list[Report] = []
        self.store = store or Watched(lambda: self.now)
        self.interface = InThreads(
            schema, store=self.store, report=lambda _, report: self.reports.append(report), clock=lambda: self.now
        )
        self.app = App({"SECRET_KEY": "k" * 32, "SESSION_REFRESH_AFTER": MINUTES, "SESSION_COOKIE_NAME": "session"})
        defaults = ("DOMAIN", "PATH", "HTTPONLY", "SECURE", "SAMESITE", "PARTITIONED")
        self.app.config.update({f"SESSION_COOKIE_{name}": None for name in defaults})
        self.app.config.update(
            {"PERMANENT_SESSION_LIFETIME": timedelta(days=1), "SESSION_REFRESH_EACH_REQUEST": True} | config
        )
        self.cookie = ""
        self.visit(self.fill)
        self.asked.clear()
        self.reports.clear()

    @staticmethod
    def fill(session: SecureCookieSession[Any]) -> None:
        session["visits"] = 1
        session["user_id"] = 7
        session.permanent = True

    @property
    def asked(self) -> list[str]:
        return self.store.asked if isinstance(self.store, Watched) else []

    def opened(self) -> SecureCookieSession[Any]:
        session = finished(self.interface.open_session(self.app, Request({"session": self.cookie})))
        assert session is not None
        return session

    def saved(self, session: SecureCookieSession[Any]) -> Response:
        response = Response()
        finished(self.interface.save_session(self.app, session, response))
        sent = response.headers.get("Set-Cookie")
        if sent is not None:
            self.cookie = sent.partition(";")[0].partition("=")[2]
        return response

    def visit(self, use: Callable[[SecureCookieSession[Any]], object]) -> SecureCookieSession[Any]:
        session = self.opened()
        use(session)
        self.saved(session)
        return session

    def seen(self) -> dict[str, object]:
        return self.opened().copy()


def buy(session: SecureCookieSession[Any]) -> None:
    session.data.cart.append("tea")


@pytest.fixture
def data_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fails a test in which a session is more than its data while it is saved."""
    saved = RecordData._saved

    async def watched(self: Any, loaded: Any, context: Any) -> str | None:
        text: str | None = await saved(self, loaded, context)
        assert text is not None
        return text

    monkeypatch.setattr(RecordData, "_saved", watched)


@pytest.mark.usefixtures("data_alone")
@pytest.mark.parametrize("permanent", [True, False])
def test_a_change_of_data_is_one_update_and_the_session_stays_what_it_is(permanent: bool) -> None:
    site = Site()
    if not permanent:
        site.visit(lambda session: setattr(session, "permanent", False))
        site.asked.clear()
    session = site.opened()
    buy(session)
    assert data_of(session) is not None
    response = site.saved(session)
    assert site.asked == ["load", "update"]
    assert response.headers["Vary"] == "Cookie"
    assert ("Set-Cookie" in response.headers) is permanent
    assert site.seen()["cart"] == ["tea"]


@pytest.mark.usefixtures("data_alone")
@pytest.mark.parametrize("use", [lambda session: session.data.visits, lambda session: session["visits"]])
def test_a_read_asks_once_and_sends_nothing(use: Callable[[Any], object]) -> None:
    site = Site()
    session = site.opened()
    assert use(session) == 1
    assert [*site.saved(session).headers] == [("Vary", "Cookie")]
    assert site.asked == ["load"]


@define
class Holder(Visitor):
    token: Annotated[str, Secret] = ""


@pytest.mark.parametrize(
    ("schema", "config"),
    [(Holder, {}), (Visitor, {"SESSION_ENCRYPTION": "read"}), (Visitor, {"SESSION_ENCRYPTION": "on"})],
    ids=["Secret", "read", "on"],
)
def test_what_is_secret_or_encrypted_takes_more_care(schema: Any, config: dict[str, Any]) -> None:
    session = Site(schema, **config).opened()
    buy(session)
    assert data_of(session) is None


def test_a_session_that_nobody_uses_is_loaded_and_left_alone() -> None:
    site = Site()
    assert [*site.saved(site.opened()).headers] == []
    assert site.asked == ["load"]


@pytest.mark.usefixtures("data_alone")
def test_a_dict_is_saved_so_too() -> None:
    site = Site(Cart)
    site.visit(lambda session: session.data.update(visits=5))
    assert site.asked == ["load", "update"]
    assert site.seen() == {"visits": 5, "user_id": 7, "_permanent": True}


def test_what_others_have_written_meanwhile_is_merged_without_asking_anew() -> None:
    site = Site()

    def add(session: SecureCookieSession[Any]) -> None:
        session.data.visits += 1

    assert isinstance(site.store, Watched)
    other = site.opened()
    add(other)
    session = site.opened()
    add(session)
    buy(session)
    between: list[object] = []
    # In another process, which takes no turn here: what is written is as good as what another request writes.
    site.store.before_update = lambda: between.append(finished(_write_past(site, 10)))
    site.saved(session)
    assert site.asked == ["load", "load", "update", "load", "update", "again", "update"]
    assert site.seen() == {"visits": 11, "user_id": 7, "cart": ["tea"], "_permanent": True}
    site.saved(other)
    assert site.seen()["visits"] == 12


async def _write_past(site: Site, visits: int) -> None:
    """Write what another process writes of the session."""
    [(key, row)] = [(key, row) for key, row in site.store._records.items() if row.target is None]
    found = await site.store.load(key)
    assert isinstance(found, Record)
    payload = found.payload.replace(b'"visits":1', b'"visits":%d' % visits)
    assert payload != found.payload
    await site.store.update(key, found.version, WriteRequest(payload, Lifetime(timedelta(days=1)), found.subject))
    assert row.version == found.version


@pytest.mark.parametrize("schema", [None, Cart, Visitor])
def test_a_session_that_is_permanent_no_more_has_a_cookie_that_ends_with_the_browser(schema: Any) -> None:
    site = Site(schema)
    for permanent in (False, True):
        session = site.opened()
        session["visits"] = 5 + permanent
        session.permanent = permanent
        assert ("Expires=" in site.saved(session).headers["Set-Cookie"]) is permanent


def test_a_cookie_that_no_browser_would_keep_is_an_error() -> None:
    site = Site()
    site.app.config["MAX_COOKIE_SIZE"] = 60
    session = site.opened()
    buy(session)
    with pytest.raises(CookieTooLargeError):
        site.saved(session)


def test_another_subject_gets_another_identifier() -> None:
    site = Site()
    before = site.cookie
    site.visit(lambda session: setattr(session.data, "user_id", 8))
    assert site.asked == ["load", "move"]
    assert site.cookie != before
    site.visit(lambda session: setattr(session.data, "user_id", None))
    assert site.asked[2:] == ["load", "move"]
    assert site.seen() == {"visits": 1, "_permanent": True}


def test_a_due_session_is_counted_as_seen() -> None:
    site = Site()
    site.now += MINUTES.total_seconds()
    response = site.saved(site.opened())
    assert site.asked == ["load", "touch"]
    assert "Set-Cookie" in response.headers
    site.asked.clear()
    site.now += MINUTES.total_seconds()
    site.visit(lambda session: session.data)
    assert site.asked == ["load", "touch"]


def test_a_record_of_an_earlier_key_moves_with_its_next_change() -> None:
    site = Site()
    site.app.config.update({"SECRET_KEY": "n" * 32, "SECRET_KEY_FALLBACKS": ["k" * 32]})
    site.visit(buy)
    assert site.asked == ["load", "load", "move"]
    assert site.seen()["cart"] == ["tea"]


def test_what_was_saved_with_the_response_is_known_to_be() -> None:
    site = Site()
    session = site.visit(buy)
    site.asked.clear()
    assert finished(site.interface.store(site.app, session, answers=False))
    assert site.asked == []
    assert not session.modified
    buy(session)
    assert finished(site.interface.store(site.app, session, answers=False))
    assert site.asked == ["update"]
    assert site.seen()["cart"] == ["tea", "tea"]


def test_a_second_response_has_the_cookie_too() -> None:
    site = Site()
    session = site.visit(buy)
    assert "Expires=" in site.saved(session).headers["Set-Cookie"]
    assert site.asked == ["load", "update"]


def test_a_change_after_the_response_is_reported() -> None:
    site = Site()
    session = site.visit(buy)
    session["visits"] = 9
    assert [type(report).__name__ for report in site.reports] == ["ChangedLate"]
    assert site.seen()["visits"] == 1


def test_a_store_that_fails_is_told_of_once() -> None:
    store = Failing()
    site = Site(store=store)
    store.broken = frozenset({"update"})
    session = site.opened()
    buy(session)
    with pytest.raises(StoreUnavailableError):
        site.saved(session)
    assert [*site.saved(session).headers] == [("Vary", "Cookie")]  # the error page does not try again
    store.broken = frozenset()
    assert "cart" not in site.seen()


def test_a_store_that_fails_may_be_done_without() -> None:
    store = Failing()
    site = Site(store=store, SESSION_ON_STORE_ERROR="anonymous")
    store.broken = frozenset({"update"})
    site.visit(buy)
    assert [type(report) for report in site.reports] == [ChangeLost]


def test_a_subclass_that_decides_is_asked() -> None:
    class Decides(InThreads):
        @override
        def should_set_cookie(self, app: Any, session: Any) -> bool:
            return False

    site = Site()
    site.interface = Decides(Visitor, store=site.store, clock=lambda: site.now)
    site.visit(buy)
    assert site.asked == ["load"]


def test_one_cookie_that_opens_no_session_is_looked_up_once() -> None:
    site = Site()
    site.cookie = "A" * 43
    assert site.seen() == {}
    assert site.asked == ["load"]
