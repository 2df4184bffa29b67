"""`SECRET_KEY_FILE`: keys in a file, which change while an application runs, in each framework."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from attrs import define, field
from flask import Flask
from litestar import Litestar, get
from quart import Quart
from starlette.testclient import TestClient

from tests.bare_framework import App
from tests.integrations.test_secrets_in_frames import assert_silent
from typed_sessions import ConfigurationError, asgi, flask, litestar, quart
from typed_sessions.asgi import Sessions as ASGISessions
from typed_sessions.sealing.key_file import FileKey, KeyFile
from typed_sessions.sealing.keys import key_id
from typed_sessions.testing import ManualClock

OLD, NEW, NEWEST = (f"{name}: a key that is long enough" for name in ("old", "new", "newest"))
SECOND = timedelta(seconds=1)


@define
class Visitor:
    user_id: int | None = None
    visits: int = 0


@define
class Site:
    """An application of one framework, whose keys are in a file."""

    path: Path
    clock: ManualClock
    config: Any
    visit: Callable[[str | None], tuple[str, str | None]]
    """Takes a cookie. Returns the count of visits with it, and the cookie that the response sets, if any."""
    sessions: Any = field(default=None)

    def write(self, *lines: str, end: str = "\n", after: timedelta = SECOND) -> None:
        self.path.write_text("\n".join(lines) + end, encoding="utf-8", newline="")
        self.clock.forward(after)

    @property
    def keys(self) -> tuple[str | None, list[str]]:
        return self.config["SECRET_KEY"], self.config["SECRET_KEY_FALLBACKS"]


def quart_site(path: Path, clock: ManualClock, store: str | None = None) -> Site:
    app = Quart("keys")
    app.config.update(SECRET_KEY_FILE=str(path), SESSION_STORE=store)
    sessions = quart.Sessions(Visitor, app)

    @app.get("/")
    async def count() -> str:
        sessions.data.visits += 1
        return str(sessions.data.visits)

    async def visit(cookie: str | None) -> tuple[str, str | None]:
        headers = {} if cookie is None else {"Cookie": f"session={cookie}"}
        response = await app.test_client(use_cookies=False).get("/", headers=headers)
        return await response.get_data(as_text=True), value_in(response.headers.get("Set-Cookie"))

    return Site(path, clock, app.config, lambda cookie: asyncio.run(visit(cookie)), sessions)


def flask_site(path: Path, clock: ManualClock, store: str | None = None) -> Site:
    app = Flask("keys")
    app.config.update(SECRET_KEY_FILE=path, SESSION_STORE=store)
    sessions = flask.Sessions(Visitor, app)

    @app.get("/")
    def count() -> str:
        sessions.data.visits += 1
        return str(sessions.data.visits)

    def visit(cookie: str | None) -> tuple[str, str | None]:
        headers = {} if cookie is None else {"Cookie": f"session={cookie}"}
        response = app.test_client(use_cookies=False).get("/", headers=headers)
        return response.text, value_in(response.headers.get("Set-Cookie"))

    return Site(path, clock, app.config, visit, sessions)


def asgi_site(path: Path, clock: ManualClock, store: str | None = None) -> Site:
    sessions = ASGISessions(Visitor, secret_key_file=path, store=store)

    async def count(_scope: Any, _receive: Any, send: Any) -> None:
        sessions.data.visits += 1
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
        await send({"type": "http.response.body", "body": str(sessions.data.visits).encode()})

    return site_of(sessions.middleware(count), path, clock, sessions)


def litestar_site(path: Path, clock: ManualClock, store: str | None = None) -> Site:
    sessions = litestar.Sessions(Visitor, secret_key_file=path, store=store)

    @get("/", media_type="text/plain")
    async def count() -> str:
        sessions.data.visits += 1
        return str(sessions.data.visits)

    return site_of(Litestar([count], plugins=[sessions], logging_config=None), path, clock, sessions)


def site_of(app: Any, path: Path, clock: ManualClock, sessions: Any) -> Site:
    """The site of an ASGI application."""

    def visit(cookie: str | None) -> tuple[str, str | None]:
        client = TestClient(app)
        response = client.get("/", headers={} if cookie is None else {"Cookie": f"session={cookie}"})
        return response.text, value_in(response.headers.get("set-cookie"))

    return Site(path, clock, sessions._application.config, visit, sessions)


def value_in(header: str | None) -> str | None:
    return None if header is None else header.partition(";")[0].removeprefix("session=")


@pytest.fixture(params=[quart_site, flask_site, asgi_site, litestar_site], ids=lambda each: each.__name__)
def site(request: pytest.FixtureRequest, tmp_path: Path, session_clock: ManualClock) -> Site:
    path = tmp_path / "keys"
    path.write_text(f"{OLD}\n", encoding="utf-8")
    made: Site = request.param(path, session_clock)
    return made


def test_a_line_that_is_appended_signs_and_logs_nobody_out(site: Site) -> None:
    count, first = site.visit(None)
    assert count == "1"
    assert site.keys == (OLD, [])
    site.write(OLD, NEW, "", "  ")
    count, second = site.visit(first)
    assert count == "2"
    assert site.keys == (NEW, [OLD])
    site.write(NEW)  # the old one is taken out
    assert site.visit(second)[0] == "3"
    assert site.visit(first)[0] == "1"
    assert site.keys == (NEW, [])


def test_the_config_has_the_keys_before_the_first_request(site: Site) -> None:
    assert site.keys == (OLD, [])


def test_the_file_is_looked_at_once_a_second(site: Site) -> None:
    site.visit(None)
    site.write(NEW, after=timedelta())
    assert site.visit(None)[0] == "1"
    assert site.keys == (OLD, [])
    site.clock.forward(SECOND)
    site.visit(None)
    assert site.keys == (NEW, [])
    site.write(OLD, after=-SECOND)  # also by a clock that was set back
    site.visit(None)
    assert site.keys == (OLD, [])


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "it is missing"),
        (b"", "it is empty"),
        (b"\n \r\n", "it is empty"),
        (b"\xef\xbb\xbf", "it is empty"),
        ("old key".encode("utf-16"), "it is not UTF-8 text"),
        ("old key".encode("utf-16-le"), "it has characters that are no text, as UTF-16 would have"),
        (b"a key\n**********\n", "a key in it is nothing but asterisks"),
        (b"k" * 70_000, "it has more than 65536 bytes"),
    ],
    ids=["missing", "empty", "blank", "BOM alone", "UTF-16", "UTF-16 without BOM", "asterisks", "large"],
)
def test_a_file_of_no_use_keeps_the_former_keys_with_one_report(
    site: Site, content: bytes | None, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    _, cookie = site.visit(None)
    if content is None:
        site.path.unlink()
    else:
        site.path.write_bytes(content)
    with caplog.at_level(logging.WARNING, "typed_sessions"):
        for _ in range(3):
            site.clock.forward(SECOND)
            assert site.visit(cookie)[0] == "2"
    assert said(caplog) == [f"SECRET_KEY_FILE cannot be used, and the keys of before stay: {reason}"]
    assert site.keys == (OLD, [])
    site.write(OLD, NEW)
    assert site.visit(cookie)[0] == "2"
    assert site.keys == (NEW, [OLD])
    site.path.unlink()
    site.clock.forward(SECOND)
    with caplog.at_level(logging.WARNING, "typed_sessions"):
        site.visit(cookie)
    assert len(said(caplog)) == 2  # it was of use in between


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What the library has logged: a test client may log, too."""
    return [record.getMessage() for record in caplog.records if record.name == "typed_sessions"]


def test_a_last_line_without_an_end_counts_once_it_stays_the_same(site: Site) -> None:
    site.visit(None)
    for half in (NEW[:7], NEW[:20], NEW):
        site.write(OLD, half, end="")
        site.visit(None)
        assert site.keys == (OLD, []), half
    site.clock.forward(SECOND)
    site.visit(None)
    assert site.keys == (NEW, [OLD])


def test_kubernetes_replaces_a_link(site: Site, tmp_path: Path) -> None:
    site.path.unlink()
    for number, lines in enumerate(([OLD], [OLD, NEW])):
        folder = tmp_path / f"..{number}"
        folder.mkdir()
        (folder / "keys").write_text("\n".join(lines), encoding="utf-8")
    (tmp_path / "..data").symlink_to("..0")
    site.path.symlink_to("..data/keys")
    site.visit(None)
    assert site.keys == (OLD, [])
    (tmp_path / "..next").symlink_to("..1")
    (tmp_path / "..next").replace(tmp_path / "..data")
    for _ in range(2):  # its files have no line ends, as a rule
        site.clock.forward(SECOND)
        site.visit(None)
    assert site.keys == (NEW, [OLD])


@pytest.mark.parametrize("maker", [quart_site, flask_site, asgi_site, litestar_site])
def test_sessions_in_a_store_follow_the_keys(
    maker: Callable[..., Site], tmp_path: Path, session_clock: ManualClock
) -> None:
    (tmp_path / "keys").write_text(f"{OLD}\n", encoding="utf-8")
    site = maker(tmp_path / "keys", session_clock, f"sqlite:///{tmp_path}/sessions.db")
    _, cookie = site.visit(None)
    site.write(OLD, NEW)
    assert site.visit(cookie)[0] == "2"
    assert site.keys == (NEW, [OLD])
    site.write(NEW)
    assert site.visit(cookie)[0] == "3"  # it has moved to the namespace of the new key


def test_a_path_is_that_of_the_beginning(
    tmp_path: Path, session_clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "keys").write_text(f"{OLD}\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    site = flask_site(Path("keys"), session_clock)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir("elsewhere")
    (tmp_path / "keys").write_text(f"{OLD}\n{NEW}\n", encoding="utf-8")
    session_clock.forward(SECOND)
    site.visit(None)
    assert site.keys == (NEW, [OLD])


# At set-up


def refused_quart(**config: Any) -> None:
    app = Quart("keys")
    app.config.update(config)
    interface: Any = quart.Sessions(Visitor, app)._interface
    interface.check(app)


def refused_flask(**config: Any) -> None:
    app = Flask("keys")
    app.config.update(config)
    flask.Sessions(Visitor, app)._interface.check(app)


def refused_asgi(**config: Any) -> None:
    ASGISessions.from_config(Visitor, config)


def refused_litestar(**config: Any) -> None:
    litestar.Sessions.from_config(Visitor, config)


SET_UP = pytest.mark.parametrize("set_up", [refused_quart, refused_flask, refused_asgi, refused_litestar])


@SET_UP
def test_a_file_of_no_use_is_refused_at_set_up(set_up: Callable[..., None], tmp_path: Path) -> None:
    path = tmp_path / "keys"
    for content, reason in [(None, "it is missing"), (b"\n", "it is empty"), (b"\xff", "it is not UTF-8")]:
        if content is not None:
            path.write_bytes(content)
        with pytest.raises(ConfigurationError, match=f"SECRET_KEY_FILE.* cannot be used: {reason}") as caught:
            set_up(SECRET_KEY_FILE=str(path))
        assert str(path) not in str(caught.value)  # which may be the key, by mistake
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for other, reason in [(tmp_path, "no file"), (pipe, "no file"), (path / "x", "cannot be read: NotADirectory")]:
        with pytest.raises(ConfigurationError, match=reason):
            set_up(SECRET_KEY_FILE=other)
    with pytest.raises(ConfigurationError, match="cannot be read: ValueError"):
        set_up(SECRET_KEY_FILE="a\0b")
    for wrong in (7, b"keys"):
        with pytest.raises(ConfigurationError, match="must be the path of a file, as text"):
            set_up(SECRET_KEY_FILE=wrong)


@SET_UP
@pytest.mark.parametrize(
    "others",
    [
        {"SECRET_KEY": NEW},
        {"SECRET_KEY": OLD},
        {"SECRET_KEY": NEW.encode()},
        {"SECRET_KEY_FALLBACKS": [NEW]},
        {"SECRET_KEY_FALLBACKS": NEW},
    ],
    ids=repr,
)
def test_keys_beside_a_file_are_refused(set_up: Callable[..., None], others: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "keys"
    path.write_text(OLD, encoding="utf-8")
    with pytest.raises(ConfigurationError, match=r"leave out .*SECRET_KEY"):
        set_up(SECRET_KEY_FILE=str(path), **others)
    set_up(SECRET_KEY_FILE="", SECRET_KEY=NEW)  # as an environment says that there is none


def test_a_key_that_is_set_later_is_refused(site: Site) -> None:
    site.visit(None)
    site.config["SECRET_KEY"] = NEW
    if isinstance(site.sessions, ASGISessions | litestar.Sessions):
        return  # whose config nobody has
    with pytest.raises(ConfigurationError, match="leave out SECRET_KEY"):
        site.sessions._interface.check(App(site.config))


def test_another_interface_takes_the_keys_that_the_first_has_brought(site: Site) -> None:
    config = {**site.config}
    other = asgi.Sessions.from_config(Visitor, config)
    assert other.cookie_for(Visitor(user_id=7))
    site.write(OLD, NEW)
    other.cookie_for(Visitor(user_id=7))
    site.visit(None)
    assert site.keys == (NEW, [OLD])


def test_windows_writes_other_line_ends_and_a_mark(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    path.write_bytes(b"\xef\xbb\xbf" + f"{OLD}\r\n\r\n  {NEW}\t\r\n{OLD}\r{NEWEST} \r\n".encode())
    file = KeyFile(str(path))
    assert file.look(0) is None
    assert file.keys == (NEW, OLD, NEWEST)  # one that is there twice counts where it comes last
    assert all(type(key) is FileKey for key in file.keys)


def test_keys_of_one_id_are_refused_where_ids_count(tmp_path: Path) -> None:
    one, other = colliding_keys()
    path = tmp_path / "keys"
    path.write_text(f"{one}\n{other}\n", encoding="utf-8")
    for set_up in (refused_quart, refused_flask, refused_asgi):
        set_up(SECRET_KEY_FILE=str(path))  # a signature is looked for under each key
        for encryption in ("read", "on"):
            with pytest.raises(ConfigurationError, match="have the id") as caught:
                set_up(SECRET_KEY_FILE=str(path), SESSION_ENCRYPTION=encryption)
            assert one not in str(caught.value)
            with pytest.raises(ConfigurationError, match="have the id"):
                set_up(SECRET_KEY=one, SECRET_KEY_FALLBACKS=[other], SESSION_ENCRYPTION=encryption)
            with pytest.raises(ConfigurationError, match="have the id"):
                set_up(SECRET_KEY=one, SECRET_KEY_FALLBACKS=[one.encode()], SESSION_ENCRYPTION=encryption)
    path.write_text(f"{one}\n", encoding="utf-8")
    file = KeyFile(str(path))
    file.look(0, with_ids=True)
    path.write_text(f"{one}\n{other}\n", encoding="utf-8")
    assert "have the id" in (file.look(1, with_ids=True) or "")
    assert file.keys == (one,)


def colliding_keys() -> tuple[str, str]:
    seen: dict[str, str] = {}
    for number in range(1_000_000):
        key = f"a key that is long enough {number}"
        other = seen.setdefault(key_id(key.encode()), key)
        if other != key:
            return other, key
    raise AssertionError("no two have the same id")


def test_an_application_that_is_only_looked_at_costs_no_look_at_the_file(
    tmp_path: Path, session_clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "keys"
    path.write_text(f"{OLD}\n", encoding="utf-8")
    site = flask_site(path, session_clock)
    site.visit(None)
    looks: list[float] = []
    look = KeyFile.look

    def noted(self: KeyFile, now: float, *, with_ids: bool = False) -> str | None:
        looks.append(now)
        return look(self, now, with_ids=with_ids)

    monkeypatch.setattr(KeyFile, "look", noted)
    for _ in range(10):
        site.visit(None)
    assert not looks
    for _ in range(3):
        session_clock.forward(SECOND)
        site.visit(None)
        site.visit(None)
    assert len(looks) == 3


def test_a_file_that_only_looks_another_way_makes_no_new_rules(tmp_path: Path, session_clock: ManualClock) -> None:
    path = tmp_path / "keys"
    path.write_text(f"{OLD}\n", encoding="utf-8")
    site = flask_site(path, session_clock)
    site.visit(None)
    before = site.sessions._interface._applications.rules_of(App(site.config))
    site.write("", OLD, "")
    assert site.sessions._interface._applications.rules_of(App(site.config)) is before


def test_no_frame_shows_a_key(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    one, other = colliding_keys()
    path.write_text(f"{one}\n{other}\n", encoding="utf-8")
    app = Quart("keys")
    app.config.update(SECRET_KEY_FILE=str(path), SESSION_ENCRYPTION="on")
    interface: Any = quart.Sessions(Visitor, app)._interface
    with pytest.raises(ConfigurationError) as caught:
        interface.check(app)
    assert_silent(caught.value, one, other)
