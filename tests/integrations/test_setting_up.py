"""What a first user gets wrong when setting up: each mistake is told by name, before the application serves."""

from __future__ import annotations

import gc
import logging
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from attrs import define
from freezegun import freeze_time
from quart import Quart, Response

from typed_sessions import ConfigurationError, SecureCookieSessionInterface
from typed_sessions.core.settings import read_settings
from typed_sessions.quart import Sessions
from typed_sessions.stores import MemoryStore

KEY = "k" * 32


@define
class Visitor:
    visits: int = 0


class Struct(msgspec.Struct):
    visits: int = 0


def site(*, name: str = "site", **config: Any) -> tuple[Quart, Sessions[Visitor]]:
    app = Quart(name)
    app.config.update({"SECRET_KEY": KEY} | config)
    sessions = Sessions(Visitor, app)

    @app.get("/visit")
    async def visit() -> str:
        sessions.data.visits += 1
        return str(sessions.data.visits)

    @app.get("/stay")
    async def stay() -> str:
        sessions.current.permanent = True
        return ""

    return app, sessions


async def text(response: Response) -> str:
    return str(await response.get_data(as_text=True))


# What the first lines of a program get wrong


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((Quart("a"),), r"Sessions\(app=app\)"),
        ((Quart("a"), Visitor), r"Sessions\(Visitor, app\)"),
        ((Visitor, Visitor), "takes a Quart application as app, not type"),
        ((Visitor(),), "write Visitor, not Visitor()"),
        ((Struct(),), "write Struct, not Struct()"),
        ((Visitor(), Quart("a")), "write Visitor, not Visitor()"),
    ],
    ids=[
        "the app alone",
        "the app first",
        "no app",
        "an instance",
        "an instance of a Struct",
        "an instance and an app",
    ],
)
def test_what_one_tries_first_is_told_what_to_write_instead(arguments: tuple[Any, ...], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message.replace("()", r"\(\)")):
        Sessions(*arguments)


@pytest.mark.parametrize("missing", ["quart", "blinker", "werkzeug"])
def test_without_the_extra_the_import_names_it(missing: str) -> None:
    program = f"import sys; sys.modules[{missing!r}] = None; import typed_sessions.quart"
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)  # noqa: S603 -- our own
    assert ended.returncode == 1
    assert "pip install 'typed_sessions[quart]'" in ended.stderr.splitlines()[-1]


async def test_a_second_init_app_registers_nothing_more() -> None:
    app, sessions = site()
    before = [list(app.before_serving_funcs), list(app.after_serving_funcs), dict(app.error_handler_spec[None][None])]
    sessions.init_app(app)
    assert [app.before_serving_funcs, app.after_serving_funcs, app.error_handler_spec[None][None]] == before
    assert sessions.cookie_for(Visitor())


# Settings


@pytest.mark.parametrize("setting", ["SESSION_COOKIE_PATH", "APPLICATION_ROOT"])
@pytest.mark.parametrize("path", ["app", "https://example.com/app", "./", "a/b", " /"])
async def test_a_path_that_does_not_begin_with_a_slash_is_refused(setting: str, path: str) -> None:
    app, _ = site(**{setting: path})
    with pytest.raises(ConfigurationError, match=setting):
        await app.startup()


@pytest.mark.parametrize("domain", ["-", "example.com.", "a..b", ".", "-a.com", "a-.com", "exa mple.com", "a.com;x"])
async def test_a_domain_that_is_none_is_refused(domain: str) -> None:
    app, _ = site(SESSION_COOKIE_DOMAIN=domain)
    with pytest.raises(ConfigurationError, match="SESSION_COOKIE_DOMAIN"):
        await app.startup()


@pytest.mark.parametrize("domain", ["localhost", "intranet", ".local"])
async def test_a_domain_without_a_dot_is_warned_of_once(domain: str, caplog: pytest.LogCaptureFixture) -> None:
    app, _ = site(SESSION_COOKIE_DOMAIN=domain)
    for _ in range(2):
        app.config["MAX_COOKIE_SIZE"] -= 1
        await app.test_client().get("/visit")
    assert caplog.text.count("SESSION_COOKIE_DOMAIN has no dot") == 1


@pytest.mark.parametrize("store", [None, "memory://"])
@pytest.mark.parametrize(
    ("domain", "host", "fits"),
    [
        ("example.com", "example.com", True),
        ("example.com", "shop.example.com:8000", True),
        (".example.com", "Shop.Example.Com", True),
        ("example.com", "anexample.com", False),
        ("shop.example.com", "example.com", False),
        ("example.com", "localhost:5000", False),
        ("example.com", "127.0.0.1", False),
    ],
)
async def test_a_domain_that_a_request_does_not_come_to_is_reported_once(
    store: str | None, domain: str, host: str, fits: bool, caplog: pytest.LogCaptureFixture
) -> None:
    app, _ = site(SESSION_COOKIE_DOMAIN=domain, SESSION_STORE=store)
    for _ in range(3):
        await app.test_client().get("/visit", headers={"Host": host})
    assert caplog.text.count("outside of SESSION_COOKIE_DOMAIN") == (not fits)


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("SESSION_COOKIE_SAMSITE", "did you mean SESSION_COOKIE_SAMESITE"),
        ("SESSION_COOKIES_SECURE", "did you mean SESSION_COOKIE_SECURE"),
        ("SESSION_PURGE_EVRY", "did you mean SESSION_PURGE_EVERY"),
        ("SESSION_SERIALISER", "did you mean SESSION_SERIALIZER"),
        ("SESSION_TYPE", "SESSION_STORE"),
        ("SESSION_KEY_PREFIX", "SESSION_NAMESPACE"),
        ("SESSION_PERMANENT", "session.permanent = True"),
        ("SESSION_USE_SIGNER", "256 random bits"),
        ("SESSION_REDIS", "RedisStore"),
        ("SESSION_SQLALCHEMY_TABLE", r"?table="),
    ],
)
async def test_a_setting_that_means_nothing_is_logged_once_with_what_to_write(
    name: str, advice: str, caplog: pytest.LogCaptureFixture
) -> None:
    app, _ = site(**{name: "secret value"})
    await app.startup()
    for _ in range(2):
        await app.test_client().get("/visit")
        app.config["MAX_COOKIE_SIZE"] -= 1
    [record] = [record for record in caplog.records if name in record.getMessage()]
    assert record.levelno == logging.WARNING
    assert advice in record.getMessage()
    assert "secret value" not in caplog.text


@pytest.mark.parametrize("name", ["SESSION_PROTECTION", "SESSION_WHATEVER_ELSE", "SESSION_PURGE_EVERY", "TYPE"])
async def test_settings_of_others_are_left_alone(name: str, caplog: pytest.LogCaptureFixture) -> None:
    app, _ = site()
    app.config[name] = None
    await app.startup()
    assert name not in caplog.text


async def test_a_misspelt_setting_is_told_of_in_each_application_with_settings_of_its_own(
    caplog: pytest.LogCaptureFixture,
) -> None:
    sessions = Sessions(Visitor)
    apps = [Quart("first"), Quart("second")]
    for app in apps:
        app.config.update(SECRET_KEY=KEY, SESSION_COOKIE_NAME=app.name, SESSION_COOKIE_HTTPONY=True)
        sessions.init_app(app)
    for app in (*apps, *apps):
        await app.startup()
    assert caplog.text.count("SESSION_COOKIE_HTTPONY") == len(apps)


async def test_an_application_that_takes_the_place_of_one_that_is_gone_is_told_too(
    caplog: pytest.LogCaptureFixture,
) -> None:
    sessions, several = Sessions(Visitor), 20
    for number in range(several):
        app = Quart("one of many")
        app.config.update(SECRET_KEY=KEY, SESSION_COOKIE_NAME=f"session-{number}", SESSION_COOKIE_HTTPONY=True)
        sessions.init_app(app)
        await app.startup()
        del app
        gc.collect()
    assert caplog.text.count("SESSION_COOKIE_HTTPONY") == several


async def test_a_setting_that_comes_later_is_looked_at_then(caplog: pytest.LogCaptureFixture) -> None:
    app, _ = site()
    await app.test_client().get("/visit")
    app.config["SESSION_TYPE"] = "redis"
    await app.test_client().get("/visit")
    assert caplog.text.count("SESSION_TYPE") == 1


@pytest.mark.parametrize(
    ("setting", "as_text", "meant"),
    [
        ("PERMANENT_SESSION_LIFETIME", "3600", timedelta(hours=1)),
        ("PERMANENT_SESSION_LIFETIME", "P14D", timedelta(days=14)),
        ("SESSION_CLOCK_LEEWAY", "PT1M30S", timedelta(seconds=90)),
        ("SESSION_STORE_TIMEOUT", "0.5", timedelta(seconds=0.5)),
        ("SESSION_COOKIE_SECURE", "true", True),
        ("SESSION_COOKIE_HTTPONLY", "False", False),
        ("SESSION_REFRESH_EACH_REQUEST", "false", False),
        ("SESSION_ADOPT_SIGNED_BEFORE", "2026-12-01T00:00:00Z", datetime(2026, 12, 1, tzinfo=UTC)),
        ("SESSION_ADOPT_SIGNED_BEFORE", "2026-12-01 01:00:00+01:00", datetime(2026, 12, 1, tzinfo=UTC)),
    ],
)
def test_settings_of_an_environment_mean_what_they_say(setting: str, as_text: str, meant: object) -> None:
    assert read_settings({setting: as_text}) == read_settings({setting: meant})


@pytest.mark.parametrize(
    ("setting", "as_text"),
    [
        ("PERMANENT_SESSION_LIFETIME", "two weeks"),
        ("PERMANENT_SESSION_LIFETIME", ""),
        ("PERMANENT_SESSION_LIFETIME", "-PT1S"),
        ("SESSION_COOKIE_SECURE", "on"),
        ("SESSION_ADOPT_SIGNED_BEFORE", "2026-12-01T00:00:00"),
        ("SESSION_ADOPT_SIGNED_BEFORE", "tomorrow"),
        ("SECRET_KEY_FALLBACKS", "older,old"),
    ],
)
def test_other_texts_are_refused_by_the_name_of_the_setting(setting: str, as_text: str) -> None:
    with pytest.raises(ConfigurationError, match=setting) as refusal:
        read_settings({"SECRET_KEY": KEY, setting: as_text})
    assert "older" not in str(refusal.value).replace('["older", "old"]', "")


@pytest.mark.parametrize(("secure", "expected"), [("true", True), ("false", False)])
async def test_the_cookie_is_as_the_environment_says_also_when_it_is_deleted(secure: str, expected: bool) -> None:
    app, sessions = site(SESSION_COOKIE_SECURE=secure)

    @app.get("/clear")
    async def clear() -> str:
        sessions.current.clear()
        return ""

    client = app.test_client(use_cookies=False)
    set_cookie = (await client.get("/visit")).headers["Set-Cookie"]
    deleted = (await client.get("/clear", headers={"Cookie": set_cookie.partition(";")[0]})).headers["Set-Cookie"]
    assert ["Secure" in header for header in (set_cookie, deleted)] == [expected] * 2


# Time


@pytest.mark.parametrize("kept", ["cookie", "memory", "interface"])
async def test_time_that_a_test_freezes_is_the_time_of_sessions(kept: str) -> None:
    with freeze_time("2027-03-01", real_asyncio=True) as frozen:
        app, sessions = site(PERMANENT_SESSION_LIFETIME=timedelta(hours=1))
        if kept == "memory":
            app.config["SESSION_STORE"] = MemoryStore()
        if kept == "interface":
            setattr(app, "session_interface", SecureCookieSessionInterface(Visitor))  # noqa: B010 -- Quart's is typed
        client = app.test_client()
        assert (await client.get("/stay")).headers["Set-Cookie"].count("Expires=Mon, 01 Mar 2027 01:00:00 GMT") == 1
        await client.get("/visit")
        frozen.tick(timedelta(minutes=59))
        assert await text(await client.get("/visit")) == "2"
        frozen.tick(timedelta(minutes=61))
        assert await text(await client.get("/visit")) == "1"
    assert sessions.schema.name == "Visitor"


async def test_what_was_set_up_before_time_was_frozen_goes_by_the_frozen_time() -> None:
    app, _ = site()
    client = app.test_client()
    await client.get("/visit")
    with freeze_time(datetime.now(UTC) + timedelta(days=32), real_asyncio=True):
        assert await text(await client.get("/visit")) == "1"
