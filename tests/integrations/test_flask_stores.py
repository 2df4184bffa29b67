"""Sessions that are kept on the server, through a Flask application."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import timedelta
from io import BytesIO
from pathlib import Path
from threading import Barrier, Event
from typing import Annotated, Any, Final, cast

import flask
import pytest
from attrs import Factory, define
from flask import Flask
from flask import session as flask_session
from flask.cli import FlaskGroup
from flask.testing import FlaskClient
from typing_extensions import override

from tests.integrations.test_secrets_in_frames import assert_silent
from tests.postgresql_servers import postgresql_schema
from typed_sessions import ConfigurationError, Merge, StoreUnavailableError, Subject
from typed_sessions.flask import SecureCookieSessionInterface, Sessions
from typed_sessions.stores import (
    Created,
    Found,
    Lifetime,
    MemoryStore,
    Record,
    SessionStore,
    SQLiteStore,
    Updated,
    WriteRequest,
    with_table,
)


@define
class Visitor:
    user_id: Annotated[int | None, Subject] = None
    cart: list[str] = Factory(list[str])
    visits: Annotated[int, Merge("add")] = 0


class Moody(MemoryStore):
    """A store in memory some of whose methods do not answer.

    Attributes:
        down: their names.
        now_is: the time.
    """

    def __init__(self) -> None:
        self.down: set[str] = set()
        self.now_is = 1_790_000_000.0
        super().__init__(clock=lambda: self.now_is)

    def _ask(self, method: str) -> None:
        if method in self.down:
            raise StoreUnavailableError("down")

    @override
    async def create(self, key: str, write: WriteRequest) -> Created:
        self._ask("create")
        return await super().create(key, write)

    @override
    async def load(self, key: str) -> Found:
        self._ask("load")
        return await super().load(key)

    @override
    async def update(self, key: str, version: int, write: WriteRequest, *, move_to: str | None = None) -> Updated:
        self._ask("update")
        return await super().update(key, version, write, move_to=move_to)

    @override
    async def touch(self, key: str, lifetime: Lifetime) -> Record | None:
        self._ask("touch")
        return await super().touch(key, lifetime)


class Site:
    """An application whose view is given by the test, its sessions, and a client."""

    def __init__(self, store: SessionStore | str | None, **config: Any) -> None:
        self.app = Flask("site")
        self.app.config.update({"SECRET_KEY": "k" * 32, "TESTING": True} | config)
        self.sessions = Sessions(Visitor, self.app, store=store)
        self.client = self.app.test_client()
        self.app.add_url_rule("/", "view", methods=["GET", "POST"])
        self.app.add_url_rule("/plain", "plain", lambda: "plain")

    def does(self, view: Callable[[], object], client: FlaskClient | None = None) -> Any:
        """Return the response to a request that a view handles."""
        self.app.view_functions["view"] = lambda: cast("Any", view() or "")
        return (client or self.client).get("/")

    def visit(self) -> str:
        """Count a visit: a view."""
        self.sessions.data.visits += 1
        return str(self.sessions.data.visits)


@pytest.fixture
def moody() -> Moody:
    return Moody()


@pytest.fixture
def site(moody: Moody) -> Site:
    return Site(moody)


@pytest.fixture(params=["memory", "sqlite", "redis", "postgresql", "of a loop thread"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str | SessionStore]:
    """Return the URL of a store, or a store that waits for an event loop."""
    with ExitStack() as schemas:
        match request.param:
            case "memory":
                yield "memory://"
            case "sqlite":
                yield f"sqlite:///{tmp_path}/sessions.db"
            case "redis":
                yield request.getfixturevalue("redis_url")
            case "postgresql":
                server = request.getfixturevalue("postgresql_url")
                yield with_table(server, f"{schemas.enter_context(postgresql_schema(server))}.sessions")
            case _:
                yield SQLiteStore(tmp_path / "sessions.db")


# Each store


def test_a_visitor_is_known_changes_and_is_forgotten(url: str) -> None:
    site = Site(url, SESSION_NAMESPACE="flask")
    with site.sessions:
        site.does(lambda: site.sessions.current.promote(user_id=7))
        site.does(lambda: site.sessions.data.cart.append("apple"))
        assert site.does(lambda: str(site.sessions.data.cart)).text == "['apple']"
        [info] = site.sessions.of(7)
        assert not info.current
        site.sessions.revoke(7)
        assert site.sessions.of(7) == []
        assert site.does(lambda: str(site.sessions.data.cart)).text == "[]"


def test_threads_that_change_one_session_lose_nothing(url: str) -> None:
    site, threads, rounds = Site(url, SESSION_STORE_TIMEOUT=timedelta(seconds=60)), 6, 5
    with site.sessions:
        site.does(site.visit)
        cookie = site.client.get_cookie("session")
        assert cookie is not None
        begin = Barrier(threads)
        site.app.view_functions["view"] = site.visit

        def work(_: int) -> None:
            client = site.app.test_client()
            client.set_cookie("session", cookie.value)
            begin.wait()
            for _ in range(rounds):
                assert client.get("/").status_code == 200

        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(work, range(threads)))
        assert site.does(site.visit).text == str(2 + threads * rounds)


FORKING: Final = """
import asyncio, os, sys, time
from typing import Annotated
from attrs import define
from flask import Flask
from typed_sessions import Merge
from typed_sessions.flask import Sessions
from typed_sessions.stores import open_store

@define
class Visitor:
    visits: Annotated[int, Merge("add")] = 0

app = Flask("site")
app.config.update(SECRET_KEY="k" * 32, SESSION_STORE_TIMEOUT=60, PROPAGATE_EXCEPTIONS=True)
url, kind = sys.argv[1:]
sessions = Sessions(Visitor, app, store=url if kind == "native" else open_store(url))

@app.get("/")
def view():
    sessions.data.visits += 1
    return str(sessions.data.visits)

client = app.test_client()
assert client.get("/").text == "1"
children = []
for _ in range(3):
    child = os.fork()
    if not child:
        for _ in range(4):
            assert client.get("/").status_code == 200
        os._exit(0)
    children.append(child)
for _ in range(4):
    client.get("/")
assert [os.waitpid(child, 0)[1] for child in children] == [0, 0, 0]
print(client.get("/").text)
"""


@pytest.mark.parametrize("kind", ["native", "of a loop thread"])
@pytest.mark.parametrize("store", ["sqlite", "redis", "postgresql"])
def test_forked_workers_share_sessions(
    store: str, kind: str, request: pytest.FixtureRequest, tmp_path: Path, postgresql_table: str
) -> None:
    """Also those that the parent has opened its store before."""
    match store:
        case "sqlite":
            url = f"sqlite:///{tmp_path}/sessions.db"
        case "redis":
            url = request.getfixturevalue("redis_url")
        case _:
            url = with_table(request.getfixturevalue("postgresql_url"), postgresql_table)
    command = [sys.executable, "-c", FORKING, url, kind]
    run = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)  # noqa: S603 -- our own
    assert run.stdout.strip() == "18", run.stderr


def test_the_file_of_quart_is_that_of_flask_at_the_same_time(tmp_path: Path) -> None:
    async def asked() -> Found:
        other = SQLiteStore(tmp_path / "sessions.db")
        try:
            return await other.load("0" * 64)
        finally:
            await other.close()

    site = Site(f"sqlite:///{tmp_path}/sessions.db")
    with site.sessions:
        site.does(site.visit)
        assert asyncio.run(asked()) is None
        assert site.does(site.visit).text == "2"


# What a request asks of its store


def test_a_page_that_does_not_use_the_session_needs_no_store(moody: Moody, site: Site) -> None:
    site.does(site.visit)
    moody.down = {"load"}
    assert site.client.get("/plain").text == "plain"


def test_a_long_request_saves_and_reloads(site: Site) -> None:
    site.does(site.visit)
    cookie = site.client.get_cookie("session")
    assert cookie is not None
    other = site.app.test_client()
    other.set_cookie("session", cookie.value)

    def view() -> str:
        site.sessions.data.cart.append("early")
        assert site.sessions.save()
        with ThreadPoolExecutor(1) as threads:  # another request
            with site.sessions.transaction(other) as session:
                session.data.cart.append("late")
            threads.submit(lambda: None).result()
        assert site.sessions.reload()
        return str(site.sessions.data.cart)

    assert site.does(view).text == "['early', 'late']"


def test_a_stream_saves_what_it_changes(site: Site) -> None:
    site.does(site.visit)

    def view() -> flask.Response:
        data = site.sessions.data

        def body() -> Iterator[str]:
            data.cart.append("streamed")
            yield str(site.sessions.save())

        return flask.Response(flask.stream_with_context(body()))

    assert site.does(view).text == "True"
    assert site.does(lambda: str(site.sessions.data.cart)).text == "['streamed']"


def test_revoking_spares_the_current_session(site: Site) -> None:
    other = site.app.test_client()
    for client in (site.client, other):
        site.does(lambda: site.sessions.current.promote(user_id=7), client)

    def view() -> str:
        site.sessions.revoke(7, except_current=True)
        return str([info.current for info in site.sessions.of(7)])

    assert site.does(view).text == "[True]"
    assert site.does(lambda: str(site.sessions.data.user_id), other).text == "None"


def test_sessions_in_cookies_cannot_be_listed_or_ended() -> None:
    site = Site(None)
    for call in (site.sessions.of, site.sessions.revoke):
        with pytest.raises(ConfigurationError, match="that takes a store"):
            call(7)


def test_expired_sessions_are_purged_in_a_thread_now_and_then(moody: Moody, site: Site) -> None:
    site.app.config["SESSION_PURGE_EVERY"] = timedelta(hours=1)
    purged = Event()

    async def delete_expired(limit: int = 1000) -> int:
        deleted = await MemoryStore.delete_expired(moody, limit)
        purged.set()
        return deleted

    moody.delete_expired = delete_expired  # type: ignore[method-assign]  # to know when
    for is_due in (True, False):
        purged.clear()
        site.does(site.visit, site.app.test_client())
        assert purged.wait(5 if is_due else 0.05) is is_due
    moody.now_is += timedelta(days=32).total_seconds()
    site.sessions._purge_at.clear()
    purged.clear()
    site.client.get("/plain")
    assert purged.wait(5)
    for _ in range(100):
        if not moody._records:
            break
        time.sleep(0.01)
    assert not moody._records


# A store that does not answer


def test_at_the_first_use_it_is_a_503(moody: Moody, site: Site, caplog: pytest.LogCaptureFixture) -> None:
    site.does(site.visit)
    moody.down = {"load"}
    response = site.does(site.visit)
    assert response.status_code == 503
    assert response.headers["Retry-After"] == "5"
    assert response.headers["Cache-Control"] == "no-store"
    assert caplog.text.count("the session store is unavailable") == 1
    moody.down = set()
    assert site.does(site.visit).text == "2"


def test_at_the_save_nothing_of_the_page_goes_out_but_what_protects_it(moody: Moody, site: Site) -> None:
    site.does(site.visit)
    moody.down = {"update"}

    def view() -> flask.Response:
        response = flask.make_response(site.visit())
        response.headers.update({"Content-Security-Policy": "default-src 'self'", "Location": "/x", "ETag": '"2"'})
        return response

    response = site.does(view)
    assert response.status_code == 503
    assert "2" not in response.text
    assert response.headers["Content-Security-Policy"] == "default-src 'self'"
    assert response.headers["Vary"] == "Cookie"
    assert not {"Location", "ETag", "Set-Cookie"} & set(response.headers.keys())
    moody.down = set()
    assert site.does(site.visit).text == "2"


@pytest.mark.parametrize("down", ["load", "update"])
@pytest.mark.parametrize("asynchronous", [False, True])
def test_the_application_has_its_own_answer(moody: Moody, site: Site, down: str, *, asynchronous: bool) -> None:
    def answer(_error: StoreUnavailableError) -> tuple[str, int]:
        return "one moment", 503

    async def answer_later(error: StoreUnavailableError) -> tuple[str, int]:
        return answer(error)

    site.app.register_error_handler(StoreUnavailableError, answer_later if asynchronous else answer)
    site.does(site.visit)
    moody.down = {down}
    response = site.does(site.visit)
    assert (response.status_code, response.text) == (503, "one moment")


def test_its_own_page_of_503_counts_and_its_headers(moody: Moody, site: Site) -> None:
    site.app.register_error_handler(503, lambda _error: ("busy", 503, {"Retry-After": "60"}))
    site.does(site.visit)
    moody.down = {"update"}
    response = site.does(site.visit)
    assert (response.text, response.headers["Retry-After"]) == ("busy", "60")


@pytest.mark.parametrize("kind", ["stream", "file", "redirect"])
def test_a_body_that_is_not_sent_is_closed(moody: Moody, site: Site, kind: str) -> None:
    site.does(site.visit)
    moody.down, closed = {"update"}, list[str]()

    class File(BytesIO):
        @override
        def close(self) -> None:
            closed.append("file")
            super().close()

    def body() -> Iterator[str]:
        try:
            yield "never sent"
        finally:
            closed.append("stream")

    def view() -> Any:
        site.visit()
        match kind:
            case "stream":
                chunks = body()
                next(chunks)
                return flask.Response(chunks)
            case "file":
                return flask.send_file(File(b"never sent"), download_name="x")
            case _:
                return flask.redirect("/elsewhere")

    response = site.does(view)
    assert response.status_code == 503
    assert "never sent" not in response.text
    assert closed == [kind] * (kind != "redirect")


@pytest.mark.parametrize("url", ["redis://127.0.0.1:{}", "postgresql://127.0.0.1:{}/web"])
def test_a_server_that_is_mute_is_given_up_in_time(url: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        site = Site(url.format(mute.getsockname()[1]), SESSION_STORE_TIMEOUT=timedelta(seconds=0.2))
        begun = time.monotonic()
        assert site.does(site.visit).status_code == 503
        assert time.monotonic() - begun < 4  # psycopg connects for two seconds at least
        site.sessions.close()


def test_a_shell_lists_and_ends_sessions(site: Site) -> None:
    @site.app.shell_context_processor
    def context() -> dict[str, object]:
        return {"sessions": site.sessions}

    site.does(lambda: site.sessions.current.promote(user_id=7))
    program = "print(len(sessions.of(7)), sessions.revoke(7), len(sessions.of(7)))\n"
    shell = FlaskGroup(create_app=lambda: site.app)
    assert "1 None 0" in site.app.test_cli_runner().invoke(shell, ["shell"], input=program).output


def test_visitors_are_anonymous_meanwhile_if_that_is_wanted(moody: Moody) -> None:
    site = Site(moody, SESSION_ON_STORE_ERROR="anonymous")
    site.does(site.visit)
    moody.down = {"load"}
    assert site.does(lambda: str(site.sessions.data.visits)).text == "0"


def test_the_drop_in_leaves_the_error_to_the_application(moody: Moody) -> None:
    site = Site(None)
    site.app.session_interface = SecureCookieSessionInterface(Visitor, store=moody)
    del site.app.error_handler_spec[None][None][StoreUnavailableError]
    moody.down = {"create"}

    def view() -> None:
        flask_session["visits"] = 1

    with pytest.raises(StoreUnavailableError):
        site.does(view)


@pytest.mark.parametrize("never_waits", [True, False], ids=["blocking", "of a loop thread"])
@pytest.mark.parametrize("down", ["load", "update"])
def test_its_error_shows_neither_the_cookie_nor_the_key_of_the_session(
    moody: Moody, down: str, *, never_waits: bool
) -> None:
    setattr(moody, "never_waits", never_waits)  # noqa: B010 -- of the class, it is final
    site, errors = Site(moody), list[BaseException]()

    @site.app.errorhandler(StoreUnavailableError)
    def unavailable(error: StoreUnavailableError) -> tuple[str, int]:
        errors.append(error)
        return "", 503

    site.does(lambda: site.sessions.current.promote(user_id=7))
    moody.down = {down}
    assert site.does(site.visit).status_code == 503
    cookie = site.client.get_cookie("session")
    assert cookie is not None
    assert_silent(errors[0], "k" * 32, cookie.value, *moody._records)


def test_what_a_store_raises_besides_reaches_the_application(moody: Moody, site: Site) -> None:
    setattr(moody, "never_waits", False)  # noqa: B010 -- as above
    site.app.extensions["typed_sessions"]._interface._applications.forget()

    def broken(method: str) -> None:
        raise ZeroDivisionError(method)

    moody._ask = broken  # type: ignore[method-assign]  # a store of the user's may raise anything
    with pytest.raises(ZeroDivisionError):
        site.does(site.visit)


# Stores that wait for an event loop


class Waiting:
    """Any store, which waits for an event loop first.

    Attributes:
        seconds: how long.
        never_waits: what it says of itself.
    """

    def __init__(self, seconds: float = 0.001, *, never_waits: bool = False) -> None:
        self.seconds = seconds
        self.never_waits = never_waits
        self._store = MemoryStore()

    def __getattr__(self, name: str) -> Any:
        async def method(*arguments: Any, **named: Any) -> object:
            await asyncio.sleep(self.seconds)
            return await getattr(self._store, name)(*arguments, **named)

        if name not in vars(SessionStore):
            raise AttributeError(name)
        return method


def test_a_store_that_waits_is_asked_in_a_thread_with_an_event_loop() -> None:
    site = Site(cast("SessionStore", Waiting()))
    assert [site.does(site.visit).text for _ in range(3)] == ["1", "2", "3"]


def test_a_store_that_waits_for_too_long_does_not_answer() -> None:
    store = Waiting()
    site = Site(cast("SessionStore", store), SESSION_STORE_TIMEOUT=timedelta(seconds=0.1))
    site.does(site.visit)
    store.seconds, begun = 30.0, time.monotonic()
    assert site.does(site.visit).status_code == 503
    assert time.monotonic() - begun < 5


@pytest.mark.parametrize("seconds", [0.0, 0.001], ids=["its turn", "a while"])
def test_a_store_that_says_that_it_never_waits_and_does_is_named(seconds: float) -> None:
    site = Site(cast("SessionStore", Waiting(seconds, never_waits=True)))
    with pytest.raises(RuntimeError, match="Waiting waits for an event loop"):
        site.does(site.visit)
    with pytest.raises(RuntimeError, match="Waiting waits for an event loop"):
        site.sessions.of(7)


def test_what_a_url_names_is_opened_once_by_threads_that_come_first_at_once() -> None:
    """Two stores in memory would each know half of the visitors."""
    threads = 8
    for _ in range(20):
        site = Site("memory://")
        site.app.view_functions["view"] = site.visit
        begin, clients = Barrier(threads), [site.app.test_client() for _ in range(threads)]

        def work(client: FlaskClient, begin: Barrier = begin) -> str:
            begin.wait()
            client.get("/")
            return client.get("/").text

        with ThreadPoolExecutor(threads) as pool:
            assert list(pool.map(work, clients)) == ["2"] * threads


def test_a_store_from_a_url_is_closed_with_the_sessions_and_opens_again(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/sessions.db"
    site = Site(url)
    with site.sessions:
        site.does(site.visit)
    assert not (tmp_path / "sessions.db-wal").exists()
    assert site.does(site.visit).text == "2"
    site.sessions.close()
