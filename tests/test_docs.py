"""The pages of the documentation: their code runs, and what it shows happens."""

from __future__ import annotations

import argparse
import asyncio
import logging
import re
import secrets
import sys
import time
import tomllib
from ast import literal_eval
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, get_args
from urllib.parse import quote, urlencode

import psycopg
import pytest
import time_machine
from attrs import NOTHING, define, fields
from itsdangerous import BadSignature, URLSafeTimedSerializer
from litestar import Request as LitestarsRequest
from litestar.middleware.session.client_side import CookieBackendConfig
from litestar.testing import TestClient as LitestarsClient
from psycopg.conninfo import conninfo_to_dict
from psycopg.sql import SQL
from psycopg.sql import Identifier as Name
from pydantic import ValidationError
from quart import Quart
from quart import session as quart_session
from quart.sessions import SecureCookieSessionInterface as StockInterface
from quart.testing.connections import WebsocketDisconnectError
from redis.asyncio import Redis
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.sessions import SessionMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from tests.checkers import run_checker
from tests.pages import DOCS, blocks_of, rows_of
from tests.postgresql_servers import postgresql_schema
from typed_sessions import (
    ConfigurationError,
    FieldTypeError,
    FieldValueError,
    SecureCookieSession,
    StoreUnavailableError,
)
from typed_sessions.asgi import Sessions as ASGISessions
from typed_sessions.core.settings import SETTING_NAMES, read_settings
from typed_sessions.frameworks.session_settings import SessionSettings, settings_of
from typed_sessions.reports import ChangedLate, Reason, Refused, Report
from typed_sessions.tools.cli import _parser, main


@define
class Named:
    user_id: int | None = None


TUTORIAL = "tutorial/index.md"
RUN_BY_THE_TESTS_OF_THE_KIT = "how-to/test-your-app.md"


def signing_as_stock(app: Quart) -> URLSafeTimedSerializer:
    signing = StockInterface().get_signing_serializer(app)
    assert signing is not None
    return signing


@pytest.fixture
def run_page(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A function that runs the code of a page in a module of its own, and returns its names. It is `shop`, too."""

    def run(page: str, *, blocks: int | None = None) -> Any:
        module = ModuleType(f"page_{re.sub('[^a-z]', '_', page)}")
        for name in (module.__name__, "shop"):
            monkeypatch.setitem(sys.modules, name, module)
        for block in blocks_of(page)[:blocks]:
            if named := re.match(r"# (\w+)\.py\n", block):
                monkeypatch.setitem(sys.modules, named[1], module)
            exec(block, module.__dict__)  # noqa: S102 -- the page's own code
        return module

    return run


def test_the_code_of_every_page_is_run() -> None:
    pages = {path.relative_to(DOCS).as_posix() for path in DOCS.glob("*/*.md")} | {"index.md"}
    with_code = {page for page in pages if blocks_of(page)}
    here = Path(__file__).read_text(encoding="utf-8")
    assert with_code == {page for page in with_code if f'"{page}"' in here}


def test_the_page_on_schemas_shows_secret_fields(run_page: Any) -> None:
    page = run_page("reference/schemas.md")
    assert page.shoppers.schema.secrets == {"access_token"}
    with pytest.raises(ConfigurationError, match=r"Shopper\.access_token"):
        ASGISessions(page.Shopper, secret_key="a long random text, kept secret")


async def test_the_page_on_schemas_shows_two_views(run_page: Any) -> None:
    response = await run_page("reference/schemas.md").app.test_client().get("/look")
    assert await response.get_json() == {"before": False, "after": True, "items": 1, "keys": ["user_id", "cart"]}


def test_the_page_on_schemas_shows_models_of_pydantic(run_page: Any) -> None:
    page = run_page("reference/schemas.md")
    session = SecureCookieSession(schema=page.Customer)
    with pytest.raises(FieldValueError) as refused:
        session["nickname"] = "x" * 41
    assert isinstance(refused.value.__cause__, ValidationError)
    with pytest.raises(FieldTypeError):
        session["user_id"] = "7"
    session.update(user_id=7, nickname=" ada ")
    session.data.lines.append(page.Line(sku="tea"))
    assert dict(session) == {"user_id": 7, "nickname": "ada", "lines": [page.Line(sku="tea")]}


async def test_the_page_on_serializers_shows_one_of_your_own(run_page: Any) -> None:
    page = run_page("reference/serializers.md")
    assert page.with_paths.schema.create() == page.Visitor()
    text = page.sessions.cookie_for({"user_id": 7})
    async with page.sessions.transaction(page.app.test_client()) as session:
        session["user_id"] = 7
    assert text.count(".") == 2


async def test_the_page_on_streams_shows_save_and_reload(run_page: Any) -> None:
    page = run_page("how-to/streams-and-websockets.md")
    client = page.app.test_client()
    await client.post("/login")
    async with client.websocket("/news") as socket:
        assert await socket.receive() == "user 7: 0 downloads"
        assert await (await client.get("/download")).get_data(as_text=True) == "for user 7\ncounted\n"
        await client.post("/report")
        await asyncio.gather(*page.app.background_tasks)
        await socket.send("more")
        assert await socket.receive() == "user 7: 2 downloads"
        await client.post("/logout")
        await socket.send("more")
        with pytest.raises(WebsocketDisconnectError):
            await socket.receive()


async def test_the_page_on_templates_shows_what_they_see(run_page: Any) -> None:
    response = await run_page("how-to/templates.md").app.test_client().get("/")
    shown = await response.get_data(as_text=True)
    assert [f"{shown.strip()}\n"] == blocks_of("how-to/templates.md", "html")


def test_the_page_on_flask_shows_its_sessions(run_page: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    page = run_page("how-to/flask.md")
    client, other = page.app.test_client(), page.app.test_client()
    for each in (client, other):
        assert each.post("/cart/tea").get_json() == ["tea"]
        each.post("/login")
    assert client.post("/logout-elsewhere").text == "1 session is left"
    assert other.post("/cart/cup").get_json() == ["cup"]
    with page.app.test_request_context():
        page.user_logged_in.send(page.app, user=SimpleNamespace(get_id=lambda: "8"))
        assert page.sessions.data.user_id == 8
    monkeypatch.setattr(page.sessions._interface.server_side(page.app).store, "load", down)
    response = client.post("/cart/pot")
    assert (response.status_code, response.text) == (503, "We will be back in a moment.")
    assert isinstance(page.app_without_a_schema.session_interface, page.SecureCookieSessionInterface)


def test_the_page_on_asgi_shows_its_sessions(run_page: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    page = run_page("how-to/asgi.md")
    visitor = TestClient(page.app)
    assert visitor.get("/me").status_code == 401
    visitor.post("/cart/tea")
    visitor.post("/login")
    assert visitor.get("/me").json() == 7
    assert visitor.post("/cart/milk").json() == ["tea", "milk"]
    page.test_the_cart()
    page.test_without_a_session()
    starlette = TestClient(page.starlette_app, cookies=dict(visitor.cookies))
    assert starlette.get("/cart").json() == ["tea", "milk"]
    assert starlette.get("/greet").json() == {"visits": 1, "cart": ["tea", "milk"]}
    staff = TestClient(page.staff_app)
    assert staff.get("/admin/").url.path == "/admin/login"
    assert staff.post("/admin/login", data={"username": "Ada", "password": "x"}).url.path == "/admin/"
    assert staff.get("/admin/logout").url.path == "/admin/login"
    clients = [TestClient(page.stored_app) for _ in range(2)]
    for each in clients:
        each.post("/login")
    assert clients[0].post("/logout-elsewhere").json() == "1 session is left"
    monkeypatch.setattr(page.stored._interface.server_side(page.stored._application).store, "load", down)
    response = clients[0].post("/login")
    assert (response.status_code, response.text) == (503, "We will be back in a moment.")


def test_the_page_on_litestar_shows_its_sessions(run_page: Any) -> None:
    page = run_page("how-to/litestar.md")
    page.test_the_cart()
    page.test_the_data()
    visitor = LitestarsClient(page.app)
    assert visitor.get("/me").status_code == 401
    assert [visitor.post(f"/cart/{item}").json() for item in ("tea", "milk")] == [["tea"], ["tea", "milk"]]
    visitor.post("/login")
    assert visitor.get("/me").json() == 7
    visitor.post("/logout")
    assert visitor.get("/me").status_code == 401
    assert [visitor.get("/greet").json() for _ in range(2)] == [{"visits": 1}, {"visits": 2}]
    visitor.post("/forget")
    assert visitor.get("/greet").json() == {"visits": 1}
    member = LitestarsClient(page.members)
    assert member.get("/me").status_code == 401
    member.post("/login")
    assert member.get("/me").json() == 7
    clients = [LitestarsClient(page.stored_app) for _ in range(2)]
    for each in clients:
        each.post("/login")
    assert clients[0].post("/logout-elsewhere").text == "1 session is left"


async def down(_key: str) -> None:
    raise StoreUnavailableError("down")


def test_the_page_on_changes_shows_a_migration(run_page: Any) -> None:
    page = run_page("how-to/changing-a-schema.md")
    assert page.split_name({"name": "Ada Lovelace", "n": 1}) == {"first_name": "Ada", "last_name": "Lovelace", "n": 1}
    assert page.split_name({}) == {}


def test_the_page_on_types_shows_a_function_over_sessions(run_page: Any) -> None:
    page, session = run_page("how-to/types.md"), SecureCookieSession({"user_id": 7}, schema=Named)
    assert page.is_logged_in(SecureCookieSession({}, schema=Named)) is False
    assert page.user_of(SimpleNamespace(current=session, data=session.data)) == 7


def test_the_page_on_changes_shows_what_check_prints(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    declared = "from attrs import define\n@define\nclass Visitor:\n    visits: {} = {}()\n"
    for cls in ("int", "str"):
        module = ModuleType("shop")
        exec(declared.format(cls, cls), module.__dict__)  # noqa: S102 -- a test's own code
        monkeypatch.setitem(sys.modules, "shop", module)
        if cls == "int":
            main(["lock", "shop:Visitor"])
            capsys.readouterr()
    main(["check"])
    assert [capsys.readouterr().out] == blocks_of("how-to/changing-a-schema.md", "text")


@pytest.mark.checker
def test_the_code_of_every_page_is_right_to_mypy(tmp_path: Path, mypy_cache: Path) -> None:
    """A block that begins with a comment such as `# test_carts.py` is that file. The others are the page's `shop.py`.

    One that begins with `# shop.py, ` and a reason takes the place of what was in the file before.
    """
    for path in [*DOCS.glob("*/*.md"), DOCS / "index.md"]:
        page = path.relative_to(DOCS).as_posix()
        shop = f"page_{re.sub('[^a-z]', '_', page)}"
        for block in blocks_of(page):
            shop += "_anew" if block.startswith("# shop.py, ") else ""
            named = re.match(r"# (\w+\.py)\n", block)
            name = named[1] if named else f"test_{shop}.py" if "from shop import" in block else f"{shop}.py"
            with (tmp_path / name).open("a", encoding="utf-8") as file:
                file.write(f"{block}\n".replace("from shop import", f"from {shop} import"))
    config = tmp_path / "mypy.ini"
    config.write_text("[mypy]\nstrict = True\n[mypy-flask_login]\nignore_missing_imports = True\n", encoding="utf-8")
    command = [sys.executable, "-m", "mypy", f"--config-file={config}", f"--cache-dir={mypy_cache}", "."]
    checked = run_checker(command, cwd=tmp_path)
    assert checked.returncode == 0, checked.stdout
    assert len(list(tmp_path.glob("*.py"))) > 20


async def test_the_first_page_fills_a_cart(run_page: Any) -> None:
    client = run_page("index.md").app.test_client()
    assert await (await client.post("/cart/tea")).get_json() == {"cart": ["tea"]}


async def test_the_page_on_logging_in_logs_in_and_out(run_page: Any) -> None:
    page = run_page("how-to/log-in-and-out.md")
    client = page.app.test_client()
    assert (await client.get("/account")).status_code == 401
    refused = await client.post("/login", form={"user_id": "7", "password": "battery staple"})
    assert refused.status_code == 403
    async with page.sessions.transaction(client) as session:
        session.data.cart.append("tea")
    await client.post("/login", form={"user_id": "7", "password": "correct horse"})
    assert await (await client.get("/account")).get_data(as_text=True) == "You are user 7."
    assert "Expires" in (await client.post("/remember")).headers["Set-Cookie"]
    async with page.sessions.transaction(client) as session:
        assert session.data.cart == ["tea"]
    await client.post("/logout")
    assert (await client.get("/account")).status_code == 401


async def test_the_page_on_logging_out_elsewhere_ends_the_other_session(run_page: Any) -> None:
    app = run_page("how-to/log-out-everywhere-else.md").app
    one, other = app.test_client(), app.test_client()
    assert (await one.get("/devices")).status_code == 401
    for client in (one, other):
        await client.post("/login")
    devices = await (await one.get("/devices")).get_json()
    assert sorted(each["this one"] for each in devices) == [False, True]
    await one.post("/logout-elsewhere")
    assert (await one.get("/devices")).status_code == 200
    assert (await other.get("/devices")).status_code == 401


async def test_the_page_on_quart_shows_its_sessions(run_page: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    page = run_page("how-to/quart.md")
    client = page.app.test_client()
    assert (await client.get("/account")).status_code == 401
    assert await (await client.post("/cart/tea")).get_json() == ["tea"]
    await client.post("/login")
    assert await (await client.get("/account")).get_data(as_text=True) == "You are user 7."
    await client.post("/logout")
    assert (await client.get("/account")).status_code == 401
    assert page.create_app() is not page.create_app()
    async with page.stored_app.test_app() as serving:
        one, other = serving.test_client(), serving.test_client()
        for each in (one, other):
            await each.post("/login")
        response = await one.post("/logout-elsewhere")
        assert await response.get_data(as_text=True) == "1 session is left"
        monkeypatch.setattr(page.stored._interface.server_side(page.stored_app).store, "load", down)
        response = await one.post("/login")
        assert (response.status_code, await response.get_data(as_text=True)) == (503, "We will be back in a moment.")


async def count(app: Quart) -> list[dict[str, int]]:
    """Return what two visits of one visitor show."""
    async with app.test_app() as serving:
        client = serving.test_client()
        return [await (await client.get("/")).get_json() for _ in range(2)]


COUNTED = [{"visits": 1}, {"visits": 2}]


async def test_the_page_on_stores_takes_one_from_the_environment(
    run_page: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHOP_SESSION_STORE", "memory://")
    page = run_page("how-to/choose-a-store.md")
    assert page.app.config["SESSION_STORE"] == "memory://"
    assert await count(page.app) == COUNTED


async def test_the_page_on_sqlite_keeps_sessions_in_a_file(
    run_page: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert await count(run_page("how-to/run-on-sqlite.md").app) == COUNTED
    assert (tmp_path / "sessions.db").stat().st_mode & 0o777 == 0o600


async def test_the_page_on_redis_keeps_sessions_there(
    run_page: Any, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHOP_STORE", redis_url)
    for page in (run_page("how-to/run-on-redis.md", blocks=1), run_page("how-to/run-on-redis.md")):
        assert await count(page.app) == COUNTED
    async with Redis.from_url(redis_url) as client:
        assert [key async for key in client.scan_iter("session:*")]


async def test_the_page_on_postgresql_keeps_sessions_there(
    run_page: Any, postgresql_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As its page says for an application that may not make tables, another role makes them, and grants."""
    role, page = f"app_{secrets.token_hex(4)}", "how-to/run-on-postgresql.md"
    (grants,) = blocks_of(page, "sql")
    with postgresql_schema(postgresql_url) as schema, psycopg.connect(postgresql_url, autocommit=True) as owner:
        await asyncio.to_thread(main, ["purge", postgresql_url, "--table", f"{schema}.sessions"])
        owner.execute(SQL("CREATE ROLE {}").format(Name(role)))
        try:
            owner.execute(grants.replace("web", schema).replace("app", role))
            parameters = conninfo_to_dict(postgresql_url, options=f"-c role={role}")
            url = f"postgresql:///?{urlencode(parameters, quote_via=quote)}"
            monkeypatch.setenv("SHOP_STORE", f"{url}&table={schema}.sessions")
            assert await count(run_page(page, blocks=1).app) == COUNTED
            parameters = conninfo_to_dict(postgresql_url, options=f"-c search_path={schema}")
            monkeypatch.setenv("SHOP_DATABASE", f"postgresql:///?{urlencode(parameters, quote_via=quote)}")
            assert await count(run_page(page).app) == COUNTED
            assert owner.execute("SELECT to_regclass(%s)", [f"{schema}.typed_sessions"]).fetchone() != (None,)
        finally:
            owner.execute(SQL("DROP OWNED BY {}").format(Name(role)))
            owner.execute(SQL("DROP ROLE {}").format(Name(role)))


@pytest.mark.parametrize("store", ["", "sqlite:///sessions.db"], ids=["cookies", "a store"])
async def test_the_page_on_machines_counts_on_on_each(
    store: str, run_page: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SHOP_SECRET_KEY", "a long random text, kept secret")
    if store:
        monkeypatch.setenv("SHOP_STORE", store)
    page, cookie = run_page("how-to/run-on-several-machines.md"), ""
    one, other = page.create_app(), page.create_app()
    async with one.test_app(), other.test_app():
        for visits, machine in enumerate([one, other, one, other], 1):
            response = await machine.test_client(use_cookies=False).get("/", headers={"Cookie": cookie})
            assert await response.get_json() == {"visits": visits}
            cookie = response.headers["Set-Cookie"].partition(";")[0] if "Set-Cookie" in response.headers else cookie


async def test_the_page_on_formats_reads_what_was_written_before(run_page: Any) -> None:
    page = run_page("how-to/switch-formats.md")
    before = Quart("before")
    before.secret_key = page.app.secret_key
    text = page.Sessions(page.Visitor, before).cookie_for(page.Visitor(visits=1))
    client = page.app.test_client(use_cookies=False)
    first = await client.get("/", headers={"Cookie": f"session={text}"})
    assert await first.get_json() == {"visits": 2}
    sealed = first.headers["Set-Cookie"].partition(";")[0]
    second = await client.get("/", headers={"Cookie": sealed})
    assert await second.get_json() == {"visits": 3}
    with pytest.raises(BadSignature):
        signing_as_stock(page.app).loads(sealed.removeprefix("session="))


async def test_the_page_on_keys_logs_nobody_out(run_page: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    page, old, new = "how-to/rotate-keys.md", "the old key: a long random text", "the new key: another long random text"

    def shop_with(**settings: str) -> Any:
        for name in ("SECRET_KEY", "SECRET_KEY_FALLBACKS", "SECRET_KEY_FILE"):
            monkeypatch.delenv(f"SHOP_{name}", raising=False)
        for name, value in settings.items():
            monkeypatch.setenv(f"SHOP_{name}", value)
        return run_page(page)

    before = shop_with(SECRET_KEY=old).app
    cookie = (await before.test_client().get("/")).headers["Set-Cookie"].partition(";")[0]
    after = shop_with(SECRET_KEY=new, SECRET_KEY_FALLBACKS=f'["{old}"]').app
    stranger = shop_with(SECRET_KEY=new).app
    for app, visits in [(before, 2), (after, 2), (stranger, 1)]:
        response = await app.test_client(use_cookies=False).get("/", headers={"Cookie": cookie})
        assert await response.get_json() == {"visits": visits}
    (tmp_path / "keys.txt").write_text(f"{old}\n")
    shop = shop_with(SECRET_KEY_FILE="keys.txt")
    assert shop.app.secret_key == old
    with (tmp_path / "keys.txt").open("a") as keys:
        keys.write(f"{new}\n")
    monkeypatch.setattr(time, "time", lambda: datetime(2050, 1, 1, tzinfo=UTC).timestamp())
    shop.sessions.cookie_for(shop.Visitor())
    assert shop.app.secret_key == new
    assert shop.app.config["SECRET_KEY_FALLBACKS"] == [old]


async def test_the_page_on_encryption_turns_it_on_in_a_fleet(run_page: Any) -> None:
    page = run_page("how-to/encrypt-cookies.md")
    assert page.app.config["SESSION_ENCRYPTION"] == "on"
    rows = [row[1].split(",")[0].strip('`"') for row in rows_of("how-to/encrypt-cookies.md")[2:]]
    off, read, on = (page.create_app(encryption) for encryption in rows)
    assert [app.config["SESSION_ENCRYPTION"] for app in (off, read, on)] == ["off", "read", "on"]
    for writer, readers in ((off, (off, read, on)), (read, (off, read, on)), (on, (read, on))):
        cookie = (await writer.test_client().post("/login")).headers["Set-Cookie"].partition(";")[0]
        reads_as_signed, _ = signing_as_stock(off).loads_unsafe(cookie.partition("=")[2])
        assert reads_as_signed is (writer is not on)
        for reader in readers:
            response = await reader.test_client(use_cookies=False).get("/", headers={"Cookie": cookie})
            assert await response.get_json() == {"user_id": 7}


def test_the_page_on_scripts_closes_an_account(
    run_page: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    page = run_page("how-to/admin-scripts.md")
    cookie = capsys.readouterr().out.strip()
    assert signing_as_stock(page.without_store).loads(cookie) == {"user_id": 7}
    monkeypatch.setattr(sys, "argv", ["close_account.py", "7"])

    async def visit(client: Any) -> None:
        async with page.app.test_app():
            await client.post("/login")
            assert "user 7" in await (await client.get("/")).get_data(as_text=True)

    async def look(client: Any) -> None:
        async with page.app.test_app():
            assert "user None" in await (await client.get("/")).get_data(as_text=True)

    client = page.app.test_client()
    asyncio.run(visit(client))
    page.main()
    page.main()
    assert capsys.readouterr().out == "sessions ended: 1\nsessions ended: 0\n"
    asyncio.run(look(client))


async def test_the_page_on_moving_from_quart_keeps_visitors(run_page: Any) -> None:
    page = "how-to/move-from-quart-and-flask.md"
    typed = run_page(page)
    untyped: dict[str, Any] = {"__name__": typed.__name__}
    exec(blocks_of(page)[0], untyped)  # noqa: S102 -- the page's own code
    stock = Quart("stock")
    stock.secret_key = typed.app.secret_key

    @stock.get("/")
    async def visit() -> str:
        quart_session["visits"] = quart_session.get("visits", 0) + 1
        return str(quart_session["visits"])

    cookie = {"Cookie": (await stock.test_client().get("/")).headers["Set-Cookie"].partition(";")[0]}
    shown = await untyped["app"].test_client(use_cookies=False).get("/", headers=cookie)
    assert await shown.get_json() == {"visits": 2}
    shown = await typed.app.test_client(use_cookies=False).get("/", headers=cookie)
    assert await shown.get_json() == {"visits": 2, "by key": 2}
    back = {"Cookie": shown.headers["Set-Cookie"].partition(";")[0]}
    assert await (await stock.test_client(use_cookies=False).get("/", headers=back)).get_data(as_text=True) == "3"


def test_the_page_on_moving_from_flask_session_counts(
    run_page: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    page = run_page("how-to/move-from-flask-session.md")
    client = page.app.test_client()
    assert [client.get("/").get_json() for _ in range(2)] == [{"visits": 1}, {"visits": 2}]
    assert page.app.config["SESSION_ADOPT"] == [page.old]
    page.sessions.close()


@pytest.mark.parametrize("program", [0, 1], ids=["Starlette", "starsessions"])
def test_the_page_on_moving_from_starlette_counts(program: int, monkeypatch: pytest.MonkeyPatch) -> None:
    client = TestClient(moved_from_starlette(program, monkeypatch))
    assert [client.get("/").json() for _ in range(2)] == [{"visits": 1}, {"visits": 2}]


def test_the_page_on_moving_from_starlette_keeps_visitors(monkeypatch: pytest.MonkeyPatch) -> None:
    async def visit(request: Request) -> JSONResponse:
        request.session["visits"] = 1
        return JSONResponse({})

    stock_sessions = Middleware(SessionMiddleware, secret_key="the key of SessionMiddleware")
    stock = Starlette(routes=[Route("/", visit)], middleware=[stock_sessions])
    with time_machine.travel(datetime(2026, 11, 30, tzinfo=UTC)), TestClient(stock) as before:
        before.get("/")
        after = TestClient(moved_from_starlette(0, monkeypatch), cookies=before.cookies)
        assert after.get("/").json() == {"visits": 2}


def moved_from_starlette(program: int, monkeypatch: pytest.MonkeyPatch) -> Starlette:
    """Return the application of one of the page's two files."""
    monkeypatch.setenv("SHOP_STORE", "memory://")
    shop = ModuleType("shop")
    monkeypatch.setitem(sys.modules, "shop", shop)
    exec(blocks_of("how-to/move-from-starlette.md")[program], shop.__dict__)  # noqa: S102 -- the page's own code
    assert isinstance(shop.app, Starlette)
    return shop.app


def test_the_page_on_moving_from_litestar_keeps_visitors(run_page: Any) -> None:
    page = run_page("how-to/move-from-litestar.md")
    stock_sessions = CookieBackendConfig(secret=b"the old secret..")
    stock = page.Litestar([page.get("/")(visited)], middleware=[stock_sessions.middleware])
    with time_machine.travel(datetime(2026, 11, 30, tzinfo=UTC)), LitestarsClient(stock) as before:
        before.get("/")
        after = LitestarsClient(page.app)
        after.cookies.update(before.cookies)
        assert [after.get("/").json() for _ in range(2)] == [{"visits": 2}, {"visits": 3}]


async def visited(request: LitestarsRequest[Any, Any, Any]) -> None:
    request.session["visits"] = 1


async def test_the_page_on_writing_a_serializer_writes_in_it(
    run_page: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    page = run_page("how-to/write-a-serializer.md")
    assert await (await page.app.test_client().get("/")).get_json() == {"user_id": 7}
    monkeypatch.setenv("SECRET_KEY", page.app.secret_key)
    serializer = f"{page.__name__}:Readable"
    main(["inspect", page.sessions.cookie_for(page.Visitor(7)), "--serializer", serializer])
    assert "readable" in capsys.readouterr().out


async def test_the_page_on_writing_a_store_uses_it(run_page: Any) -> None:
    client = run_page("how-to/write-a-store.md").app.test_client()
    assert [await (await client.get("/")).get_json() for _ in range(2)] == [{"visits": 1}, {"visits": 2}]


def test_the_store_of_that_page_passes_the_tests_of_stores(run_page: Any) -> None:
    contract = run_page("how-to/write-a-store.md").TestDictStore()
    tests = [name for name in dir(contract) if name.startswith("test_")]
    assert len(tests) > 50
    for name in tests:
        getattr(contract, name)()


async def test_the_page_on_reports_counts_them(run_page: Any) -> None:
    page = run_page("reference/reports.md")
    text = signing_as_stock(page.app).dumps({"visits": "many"})
    client = page.app.test_client(use_cookies=False)
    assert await (await client.get("/", headers={"Cookie": f"session={text}"})).get_json() == {"visits": 0}
    assert page.resets == ["session field reset to its default: visits is not int"]


def test_the_page_on_settings_reads_the_environment(run_page: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SHOP_SECRET_KEY", "SHOP_PERMANENT_SESSION_LIFETIME"):
        monkeypatch.setenv(name, "unset afterwards")
    page = run_page("reference/settings.md")
    assert page.sessions.cookie_for({"user_id": 7}).count(".") == 2
    assert read_settings(page.app.config).lifetime == timedelta(days=14)


async def test_the_page_on_security_ends_the_sessions_of_an_account(
    run_page: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("APP_SECRET_KEY", "a long random text, kept secret")
    page = run_page("explanation/security.md")
    one, other = page.app.test_client(), page.app.test_client()
    for client in (one, other):
        assert (await client.get("/account")).status_code == 401
        await client.post("/login")
        assert await (await client.get("/account")).get_data(as_text=True) == "You are user 7."
    await one.post("/logout-everywhere")
    assert [(await client.get("/account")).status_code for client in (one, other)] == [401, 401]
    cookie = page.production_sessions.cookie_for(page.Visitor(7), app=page.production)
    assert cookie.count(".") == 2


async def test_the_page_on_stores_ends_and_adopts_sessions(
    run_page: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    page = await asyncio.to_thread(run_page, "reference/stores.md")
    assert page.ended == 0
    before = Quart("before")
    before.secret_key = page.shop.secret_key
    cookie = {"Cookie": f"session={page.Sessions(page.Visitor, before).cookie_for(page.Visitor(7))}"}
    page.shop.config["SESSION_ADOPT_SIGNED_BEFORE"] = datetime.now(UTC) + timedelta(minutes=1)
    async with page.shop.test_app():
        response = await page.shop.test_client(use_cookies=False).get("/", headers=cookie)
        assert await response.get_json() == {"user_id": 7}


def test_the_page_on_what_is_stored_shows_it(run_page: Any) -> None:
    shown = run_page("explanation/what-is-stored.md").shown
    printed = [[f"`{value!r}`" for value in each] for each in shown]
    assert [row[1:] for row in rows_of("explanation/what-is-stored.md")[2:]] == printed


@pytest.fixture
def shop_after(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """A function that returns the `shop.py` of somebody who has followed the tutorial so far."""
    monkeypatch.chdir(tmp_path)

    def follow(step: int) -> Any:
        text = (DOCS / TUTORIAL).read_text(encoding="utf-8")
        blocks = re.split(r"^## \d\. ", text, flags=re.MULTILINE)
        shop = ModuleType("shop")
        monkeypatch.setitem(sys.modules, "shop", shop)
        for text in blocks[1 : step + 1]:
            for block in re.findall(r"^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE):
                exec(block, shop.__dict__)  # noqa: S102 -- the page's own code
        return shop

    return follow


def test_step_1_of_the_tutorial_declares_a_visitor(shop_after: Any) -> None:
    assert list(shop_after(1).sessions.schema.fields) == ["user", "cart"]


async def test_step_2_of_the_tutorial_shows_a_page_and_sets_no_cookie(shop_after: Any) -> None:
    response = await shop_after(2).app.test_client().get("/")
    assert "Sencha, 11.50 EUR" in await response.get_data(as_text=True)
    assert "Set-Cookie" not in response.headers


async def test_step_3_of_the_tutorial_saves_a_change_inside_of_a_list(shop_after: Any) -> None:
    client = shop_after(3).app.test_client()
    for _ in range(2):
        await client.post("/cart/Sencha")
    assert "<li>2 x Sencha</li>" in await (await client.get("/")).get_data(as_text=True)
    assert (await client.post("/cart/coffee")).status_code == 404


async def test_step_4_of_the_tutorial_keeps_the_cart_at_login(shop_after: Any) -> None:
    client = shop_after(4).app.test_client()
    assert "<form method=post>" in await (await client.get("/login")).get_data(as_text=True)
    await client.post("/cart/Assam")
    await client.post("/login", form={"user": "<ada>"})
    page = await (await client.get("/")).get_data(as_text=True)
    assert "You are &lt;ada&gt;." in page
    assert "<li>1 x Assam</li>" in page
    await client.post("/logout")
    assert "You are a guest." in await (await client.get("/")).get_data(as_text=True)


@pytest.mark.checker
def test_step_5_of_the_tutorial_shows_what_mypy_says(tmp_path: Path, mypy_cache: Path) -> None:
    steps, (mistakes,) = blocks_of(TUTORIAL), blocks_of(TUTORIAL, "py")
    program = "".join(steps[:4])
    (tmp_path / "shop.py").write_text(program + mistakes, encoding="utf-8")
    command = [sys.executable, "-m", "mypy", "--strict", "--config-file=", f"--cache-dir={mypy_cache}", "shop.py"]
    checked = run_checker(command, cwd=tmp_path)
    found = dict(re.findall(r"^shop\.py:(\d+): (error: .*)$", checked.stdout, re.MULTILINE))
    first = len(program.splitlines()) + 1
    promised = {
        str(first + at): line.partition("# ")[2] for at, line in enumerate(mistakes.splitlines()) if "# error" in line
    }
    assert found.keys() == promised.keys(), checked.stdout
    assert all(found[line].startswith(promised[line]) for line in promised), checked.stdout


async def test_step_5_of_the_tutorial_finds_a_wrong_type_at_its_line(shop_after: Any) -> None:
    shop = shop_after(5)
    async with shop.app.test_request_context("/"):
        with pytest.raises(FieldTypeError):
            shop.sessions.current["user"] = 7


async def test_step_6_of_the_tutorial_logs_out_elsewhere(shop_after: Any, tmp_path: Path) -> None:
    shop = shop_after(6)
    async with shop.app.test_app() as serving:
        one, other = serving.test_client(), serving.test_client()
        assert "action=/logout-elsewhere" in await (await one.get("/account")).get_data(as_text=True)
        for client in (one, other):
            await client.post("/login", form={"user": "ada"})
        await one.post("/logout-elsewhere")
        for client, who in [(one, "ada"), (other, "a guest")]:
            assert f"You are {who}." in await (await client.get("/")).get_data(as_text=True)
    assert (tmp_path / "shop.db").exists()


async def test_step_7_of_the_tutorial_tests_the_shop(shop_after: Any) -> None:
    shop = shop_after(6)
    test: dict[str, Any] = {}
    exec(blocks_of(TUTORIAL)[-1], test)  # noqa: S102 -- the page's own code
    async with shop.app.test_app():
        await test["test_the_cart_outlives_the_login"]()


async def test_the_examples_of_public_names_hold(
    run_page: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    page = await asyncio.to_thread(run_page, "reference/api.md")
    response = await page.app.test_client().post("/coupon")
    assert response.status_code == 400
    assert "coupn" in await response.get_data(as_text=True)
    assert page.is_of_set_up(page.SchemaError(""))
    assert page.in_cart(SimpleNamespace(data=page.Visitor(cart=["tea"]))) == 1
    assert page.is_fresh(page.session)
    assert page.is_lost(ChangedLate())

    async def show(_: Request) -> JSONResponse:
        return JSONResponse(page.adopting.data.user_id)

    app = Starlette(routes=[Route("/", show)], middleware=[Middleware(page.adopting.middleware)])
    with time_machine.travel(page.replaced), TestClient(app, cookies={"old_session": "an-identifier"}) as client:
        assert [client.get("/").json() for _ in range(2)] == [7, 7]
    assert page.RECORDS == {}


def test_the_table_of_settings_is_complete() -> None:
    rows = [row for row in rows_of("reference/settings.md") if row[0].startswith("`") and len(row) == 4]
    assert sorted(row[0].strip("`") for row in rows) == sorted(SETTING_NAMES)
    arguments = {row[1].strip("`") for row in rows} - {"-"}
    assert arguments == set(SessionSettings.__annotations__)
    for key, argument, *_ in rows:
        if argument != "-":
            assert argument.strip("`") in settings_of({key.strip("`"): None})


LEFT_TO_THE_INTERFACE = {"SESSION_SERIALIZER", "SESSION_DIGEST"}
"""Settings that are None by default; the table says what that comes to."""


def documented_default(cell: str) -> object:
    """Return the value that a cell of the table names. Raises ValueError if it is said in words."""
    if span := re.fullmatch(r"(\d+) (days|seconds)", cell):
        return timedelta(**{span[2]: int(span[1])})
    try:
        return None if cell == "none" else literal_eval(cell.strip("`"))
    except SyntaxError:
        raise ValueError(cell) from None


def test_the_defaults_of_that_table_are_those_of_the_settings() -> None:
    rows = [row for row in rows_of("reference/settings.md") if row[0].startswith("`") and len(row) == 4]
    named: dict[str, object] = {}
    for key, _, cell, _ in rows:
        with suppress(ValueError):
            named[key.strip("`")] = documented_default(cell)
    assert len(named) > 20
    for key in named.keys() - LEFT_TO_THE_INTERFACE:
        assert read_settings({key: named[key]}) == read_settings({}), key


def test_the_page_on_commands_is_complete() -> None:
    parser = _parser()
    (commands,) = (action for action in parser._actions if isinstance(action, argparse._SubParsersAction))
    text = (DOCS / "reference" / "commands.md").read_text(encoding="utf-8")
    sections = dict(re.findall(r"^## typed-sessions (\w+)\n(.*?)(?=^## |\Z)", text, re.DOTALL | re.MULTILINE))
    assert sections.keys() == commands.choices.keys()
    for name, command in commands.choices.items():
        options = options_of(command) - {"-h", "--help"}
        assert set(re.findall(r"^\| `(--[\w-]+)", sections[name], re.MULTILINE)) == options, name


def options_of(command: argparse.ArgumentParser) -> set[str]:
    options = {option for action in command._actions for option in action.option_strings}
    for action in command._actions:
        if isinstance(action, argparse._SubParsersAction):
            options = options.union(*map(options_of, action.choices.values()))
    return options


def test_the_page_on_reports_is_complete() -> None:
    rows = rows_of("reference/reports.md")
    first = [row[0].strip("`") for row in rows]
    assert {report.__name__ for report in get_args(Report)} <= set(first)
    said = {(row[0], row[1], row[2]) for row in rows if len(row) == 3}
    for reason in Reason:
        level = logging.getLevelName(Refused(reason).level)
        assert (f"`{reason.name}`", f"`{level}`", reason.value) in said


FOR_MAINTAINERS = {"speed", "demo", "docs", "dev", "bench"}
"""Extras of whose versions a user need not know."""


def test_the_page_on_versions_has_the_lower_bounds() -> None:
    project = tomllib.loads((DOCS.parent / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    asked = [each for name, extra in extras.items() if name not in FOR_MAINTAINERS for each in extra]
    asked += [f"python{project['requires-python']}", *(each for each in extras["dev"] if each.startswith("mypy"))]
    bounds = dict(re.findall(r"^([\w-]+)(?:\[.*?\])?>=([\d.]+)", "\n".join(asked), re.MULTILINE))
    rows = [row for row in rows_of("reference/versions.md") if re.fullmatch(r"[\d.]+", row[1])]
    assert {re.split(r"[ ,]", row[0])[0].lower(): row[1] for row in rows} == bounds


SAMPLES = {"reason": Reason.FIELD, "count": 2, "size": 4200, "limit": 4093, "owner": "Item"}


@pytest.mark.parametrize("report", get_args(Report), ids=lambda report: report.__name__)
def test_the_page_on_reports_has_the_text_of_each(report: Any) -> None:
    """Dots stand for what differs, and so do numbers."""
    (text,) = (row[1] for row in rows_of("reference/reports.md") if row[0] == f"`{report.__name__}`")
    needed = {field.name: SAMPLES.get(field.name, "...") for field in fields(report) if field.default is NOTHING}
    pattern = re.sub(r"\d+", r"\\d+", re.escape(text).replace(re.escape("..."), ".*"))
    assert re.fullmatch(pattern, str(report(**needed)))


def test_every_test_that_the_checks_of_security_name_is_there() -> None:
    page = DOCS / "maintainers" / "security-checks.md"
    named = re.findall(r"`([\w/]+\.py)::(\w+)`", page.read_text(encoding="utf-8"))
    missing = [
        f"{path}::{name}"
        for path, name in named
        if not re.search(
            rf"^(?:async )?def {name}\(", (DOCS.parent / "tests" / path).read_text(encoding="utf-8"), re.MULTILINE
        )
    ]
    assert len(named) > 90
    assert missing == []
