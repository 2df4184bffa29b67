"""What a debugging page would show: no frame of the library holds a secret, or the cookie of a visitor."""

from __future__ import annotations

import asyncio
import secrets
import sys
from collections.abc import Awaitable, Callable, Iterator
from datetime import timedelta
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any

import pytest
from attrs import define
from quart import Quart
from typing_extensions import override

import typed_sessions
from typed_sessions import CookieTooLargeError, SerializationError, SessionInterface, stores
from typed_sessions.errors import ConfigurationError
from typed_sessions.frameworks.quart_interface import QuartSessionInterface
from typed_sessions.quart import Sessions

SECRET = "hush: the secret key of these tests"
OLD = "hush: the key of last year, which still verifies"
PASSWORD = "hush-the-password"
LIBRARY = str(Path(typed_sessions.__file__).parent)


@define
class Visitor:
    user_id: int | None = None
    name: str = ""


def chain_of(error: BaseException) -> Iterator[BaseException]:
    """Walk over an error, and what it came of."""
    seen: list[BaseException] = []
    rest: list[BaseException | None] = [error]
    while rest:
        each = rest.pop()
        if each is not None and each not in seen:
            seen.append(each)
            rest += [each.__cause__, each.__context__]
    return iter(seen)


def frames_of(error: BaseException) -> Iterator[FrameType]:
    for each in chain_of(error):
        trace = each.__traceback__
        while trace is not None:
            yield trace.tb_frame
            trace = trace.tb_next


def assert_silent(error: BaseException, *hidden: str) -> None:
    """Check that neither an error nor a frame of ours, on the way to it, holds a secret."""
    for each in chain_of(error):
        assert not [secret for secret in hidden if secret in f"{each!r} {each}"]
    ours = [frame for frame in frames_of(error) if frame.f_code.co_filename.startswith(LIBRARY)]
    assert ours
    for frame in ours:
        shown = repr(frame.f_locals)
        assert not [secret for secret in hidden if secret in shown], frame.f_code.co_qualname


def application(interface: QuartSessionInterface[Any] | None = None, **config: object) -> Quart:
    app = Quart(__name__)
    app.config.update({"SECRET_KEY": SECRET, "SECRET_KEY_FALLBACKS": [OLD], **config})
    Sessions(Visitor, app)
    if interface is not None:
        setattr(app, "session_interface", interface)  # noqa: B010 -- Quart's attribute admits only Quart's class
    return app


async def refused(start: Callable[[], Awaitable[object]], expected: type[Exception]) -> Exception:
    with pytest.raises(expected) as caught:
        await start()
    return caught.value


def failing(error: Exception) -> Callable[..., Any]:
    def fail(*_: object, **__: object) -> Any:
        raise error

    return fail


RAISED = [
    OSError(13, "Permission denied", "/var/lib/sessions.db"),
    ImportError("no driver", name="driver"),
    ValueError(f"a part of the URL: {PASSWORD}"),
    RuntimeError(f"cannot log in with {PASSWORD}"),
    KeyError(PASSWORD),
    ConfigurationError("a setting of the store is wrong"),
]


@pytest.mark.parametrize("error", RAISED, ids=lambda error: type(error).__name__)
async def test_what_the_constructor_of_a_store_raises_shows_nothing(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stores, "RedisStore", failing(error))
    app = application(SESSION_STORE=f"redis://:{PASSWORD}@localhost")
    expected = type(error) if isinstance(error, (OSError, ImportError)) else ConfigurationError
    assert_silent(await refused(app.startup, expected), SECRET, OLD, PASSWORD)


@pytest.mark.parametrize(
    "url",
    [
        f"redis://:{PASSWORD}/x@localhost:1",
        f"redis://user:{PASSWORD}#1@localhost",
        f"postgresql://user:{PASSWORD}@localhost:port/x",
        f"mysql://user:{PASSWORD}@localhost",
        f"memory://{PASSWORD}",
        f"sqlite://{PASSWORD}",
    ],
)
async def test_a_wrong_url_of_a_store_shows_no_password(url: str) -> None:
    app = application(SESSION_STORE=url)
    try:
        await app.startup()
    except Exception as error:  # noqa: BLE001 -- whatever it is; some are found at the first use alone
        assert_silent(error, SECRET, OLD, PASSWORD)
    finally:
        await app.shutdown()


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        pytest.param("x" * 5_000, OSError, id="too long"),
        pytest.param("/nowhere/at/all/sessions.db", ConfigurationError, id="nowhere"),
    ],
)
async def test_a_path_that_cannot_be_opened_shows_no_secret(path: str, expected: type[Exception]) -> None:
    app = application(SESSION_STORE=f"sqlite:///{path}")
    assert_silent(await refused(app.startup, expected), SECRET, OLD)


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """A module that the settings can name."""
    made = ModuleType("of_these_tests")
    monkeypatch.setitem(sys.modules, "of_these_tests", made)
    return made


class Refusing:
    """A serializer that fails."""

    def __init__(self) -> None:
        raise LookupError("no such thing")

    def dumps(self, _: object, /) -> str:
        raise LookupError("no such thing")

    def loads(self, payload: str, /) -> object:
        return payload


class Mute(Refusing):
    """A serializer that fails to write."""

    def __init__(self) -> None: ...


@pytest.mark.parametrize(
    "setting",
    [
        "of_these_tests:nothing",
        "of_these_tests:Refusing",
        "of_these_tests:Mute",
        "no_such_module:x",
        ":",
        "of_these_tests:",
    ],
)
@pytest.mark.parametrize("name", ["SESSION_SERIALIZER", "SESSION_SERIALIZER_FALLBACKS"])
async def test_a_serializer_that_cannot_be_imported_shows_no_secret(
    module: ModuleType, name: str, setting: str
) -> None:
    setattr(module, "Refusing", Refusing)  # noqa: B010 -- a module made here
    setattr(module, "Mute", Mute)  # noqa: B010
    app = application()
    app.config[name] = setting if name == "SESSION_SERIALIZER" else [setting]
    expected = LookupError if setting.endswith("Refusing") else ConfigurationError
    assert_silent(await refused(app.startup, expected), SECRET, OLD)


def telling(data: bytes = b"") -> Any:
    raise ValueError(f"cannot take {data!r}")


@pytest.mark.parametrize("error", [ValueError("no"), TypeError("no"), OSError("no"), RecursionError("no")], ids=repr)
async def test_a_digest_that_fails_shows_no_key(error: Exception) -> None:
    for digest in (failing(error), telling):
        interface = QuartSessionInterface(Visitor)
        interface.digest_method = digest
        app = application(interface)
        app.before_serving(lambda: interface.check(app))  # noqa: B023 -- called in this turn
        found = await refused(app.startup, ConfigurationError)
        assert_silent(found, SECRET, OLD)
        assert "SESSION_DIGEST" in str(found)


async def test_what_a_report_handler_raises_at_set_up_shows_no_key() -> None:
    interface = QuartSessionInterface(Visitor, report=failing(RuntimeError("the log is full")))
    app = application(interface, SECRET_KEY="short")
    assert_silent(await refused(lambda: asyncio.to_thread(interface.check, app), RuntimeError), "short", OLD)


class Everywhere(SessionInterface[Any, Any, Any, Any]):
    """An interface of another kind."""

    @override
    async def open_session(self, app: Any, request: Any) -> Any: ...
    @override
    async def save_session(self, app: Any, session: Any, response: Any) -> None: ...


@define
class Lasting:
    modified: bool = True
    permanent: bool = True


@pytest.mark.parametrize(
    "config",
    [
        {"SESSION_PURGE_EVERY": "an hour"},
        {"SESSION_PURGE_EVERY": timedelta(0)},
        {"SESSION_PURGE_EVERY": timedelta(hours=1)},
        {"PERMANENT_SESSION_LIFETIME": "a month"},
        {"SESSION_MAX_PAYLOAD": "64 KiB"},
        {"SESSION_COOKIE_DOMAIN": "a b"},
        {"SESSION_EXTRAS": 7},
    ],
    ids=str,
)
async def test_a_wrong_setting_shows_no_secret(config: dict[str, Any]) -> None:
    app = application(**config)
    assert_silent(await refused(app.startup, ConfigurationError), SECRET, OLD)


async def test_an_interface_of_another_kind_shows_no_secret_either() -> None:
    app = application(PERMANENT_SESSION_LIFETIME="a month")

    async def ask() -> object:
        return Everywhere().get_expiration_time(app, Lasting())

    assert_silent(await refused(ask, ConfigurationError), SECRET, OLD)


async def test_a_setting_that_has_become_wrong_fails_the_next_request_and_shows_neither_key_nor_cookie() -> None:
    app = application()
    sessions: Sessions[Visitor] = app.extensions["typed_sessions"]

    @app.get("/")
    async def page() -> str:
        sessions.data.name += "!"
        app.config["SESSION_EXTRAS"] = 7
        return ""

    text = sessions.cookie_for(Visitor(7, "the visitor's name"), app=app)
    client = app.test_client(use_cookies=False)

    async def visit() -> Any:
        return await client.get("/", headers={"Cookie": f"session={text}"})

    response = await visit()
    assert (response.status_code, len(response.headers.getlist("Set-Cookie"))) == (200, 1)
    assert_silent(await refused(visit, ConfigurationError), SECRET, OLD, text, text.partition(".")[0])


class Changing(QuartSessionInterface[Any]):
    """Has its own word on where the cookie is, which is wrong."""

    @override
    def get_cookie_domain(self, app: Any) -> str | None:
        return "a b"


FAILURES: dict[str, tuple[type[Exception], str, object]] = {
    "a value that cannot be written": (SerializationError, "/wrong", None),
    "a value that cannot be written beside the schema": (SerializationError, "/object", None),
    "too large": (CookieTooLargeError, "/large", None),
    "a subclass that is wrong": (ConfigurationError, "/write", Changing),
    "a subclass that is wrong, and a log-out": (ConfigurationError, "/clear", Changing),
}


@pytest.mark.parametrize(("expected", "path", "interface"), FAILURES.values(), ids=FAILURES)
@pytest.mark.parametrize("cookies", [1, 2])
async def test_an_error_of_a_request_shows_neither_key_nor_cookie(
    expected: type[Exception], path: str, interface: type[QuartSessionInterface[Any]] | None, cookies: int
) -> None:
    app = application(None if interface is None else interface(Visitor), SESSION_COOKIE_PATH="/shop")
    sessions: Sessions[Visitor] = app.extensions["typed_sessions"]
    errors: list[BaseException] = []

    @app.get(path)
    async def page() -> str:
        session = sessions.current
        session["name"] = "another"
        match path:
            case "/wrong":
                session.data.user_id = "seven"  # type: ignore[assignment]  # the misuse
            case "/object":
                session["extra"] = object()
            case "/large":
                session["name"] = secrets.token_hex(5_000)
            case "/clear":
                session.clear()
            case _:
                pass
        return ""

    @app.errorhandler(500)
    async def failed(error: Any) -> tuple[str, int]:
        errors.append(error.original_exception)
        return "", 500

    texts = [sessions.cookie_for(Visitor(number, "the visitor's name"), app=app) for number in range(cookies)]
    header = "; ".join(f"session={text}" for text in texts)
    response = await app.test_client(use_cookies=False).get(path, headers={"Cookie": header})
    assert (response.status_code, response.headers.getlist("Set-Cookie")) == (500, [])
    (error,) = errors
    assert isinstance(error, expected)
    assert_silent(error, SECRET, OLD, *texts, *(text.partition(".")[0] for text in texts), "Set-Cookie", "HttpOnly")
