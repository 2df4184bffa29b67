"""The settings of sessions as arguments, and as config keys where there are some."""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from subprocess import run
from typing import Any

import pytest
from attrs import define
from pydantic import SecretBytes, SecretStr
from starlette.datastructures import Secret

import typed_sessions
from typed_sessions import ConfigurationError, SchemaError
from typed_sessions.asgi import Sessions
from typed_sessions.core.settings import SETTING_NAMES
from typed_sessions.frameworks.session_settings import SessionSettings, config_of

SECRET = "hush: a secret key that is long enough"


@define
class Visitor:
    user_id: int | None = None


@define
class Needy:
    user_id: int


def cookie(**settings: Any) -> str:
    return Sessions(Visitor, **settings).cookie_for(Visitor(user_id=7))


def test_every_config_key_has_an_argument() -> None:
    every: Any = dict.fromkeys(SessionSettings.__annotations__)
    assert set(SETTING_NAMES) - set(config_of(every)) == {"APPLICATION_ROOT"}
    assert set(config_of(every)) <= set(SETTING_NAMES)


@pytest.mark.parametrize(
    "key", [SECRET, SECRET.encode(), SecretStr(SECRET), SecretBytes(SECRET.encode()), Secret(SECRET)], ids=type
)
def test_a_key_may_hide_its_text(key: Any) -> None:
    body = cookie(secret_key=SECRET).rpartition(".")[0].partition(".")[0]
    assert cookie(secret_key=key).startswith(f"{body}.")
    older = Sessions(Visitor, secret_key="a newer key that is long enough", secret_key_fallbacks=[key])
    app = older._application
    assert older._interface.get_signing_serializer(app) is not None
    loads = older._interface.get_signing_serializer(app)
    assert loads is not None
    assert loads.loads(cookie(secret_key=SECRET))["user_id"] == 7


@pytest.mark.parametrize("key", ["**********", b"****", SecretStr("*****"), str(SecretStr(SECRET))], ids=repr)
def test_a_key_of_asterisks_is_refused(key: Any) -> None:
    for settings in ({"secret_key": key}, {"secret_key": SECRET, "secret_key_fallbacks": [key]}):
        with pytest.raises(ConfigurationError, match="nothing but asterisks"):
            Sessions(Visitor, **settings)


NOW = datetime.now(UTC)
WRONG: list[tuple[Mapping[str, object], str]] = [
    ({}, r"secret_key \(SECRET_KEY\) is missing"),
    ({"secret_key": ""}, r"secret_key \(SECRET_KEY\) is missing"),
    ({"secret_key": 7}, r"secret_key \(SECRET_KEY\) must be text or bytes, not int"),
    ({"secret_key": SECRET, "samesite": "laxx"}, r"samesite \(SESSION_COOKIE_SAMESITE\) must be"),
    ({"secret_key": SECRET, "samesite": "none"}, r"needs secure \(SESSION_COOKIE_SECURE\) = True"),
    ({"secret_key": SECRET, "path": "shop"}, r"path \(SESSION_COOKIE_PATH\)"),
    ({"secret_key": SECRET, "lifetime": "soon"}, r"lifetime \(PERMANENT_SESSION_LIFETIME\) must be a timedelta"),
    ({"secret_key": SECRET, "cookie_name": "a b"}, r"cookie_name \(SESSION_COOKIE_NAME\)"),
    ({"secret_key": SECRET, "serializer": "pickle"}, r"serializer \(SESSION_SERIALIZER\)"),
    ({"secret_key": SECRET, "purge_every": timedelta(hours=1)}, r"purge_every \(SESSION_PURGE_EVERY\) needs"),
    ({"secret_key": SECRET, "adopt_signed_before": NOW}, r"adopt_signed_before \(SESSION_ADOPT_SIGNED_BEFORE\) needs"),
    ({"secret_key": SECRET, "not_before": NOW + timedelta(days=1)}, r"not_before \(SESSION_NOT_BEFORE\) is in the"),
    ({"secret_key": SECRET, "not_before": "2026-01-01T00:00:00"}, r"not_before \(SESSION_NOT_BEFORE\) must be .* zone"),
    ({"store": "memory://"}, r"needs namespace \(SESSION_NAMESPACE\)"),
    ({"secret_key": SECRET, "store": 7}, r"store \(SESSION_STORE\) must be a URL or a store"),
]


@pytest.mark.parametrize(("settings", "message"), WRONG, ids=[message for _, message in WRONG])
def test_wrong_settings_are_refused_at_construction(settings: Mapping[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message) as caught:
        Sessions(Visitor, **settings)
    trace = caught.value.__traceback__
    library = str(Path(typed_sessions.__file__).parent)
    while trace is not None:
        if trace.tb_frame.f_code.co_filename.startswith(library):
            assert SECRET not in repr(trace.tb_frame.f_locals)
        trace = trace.tb_next
    with pytest.raises(ConfigurationError, match=message):
        Sessions.from_config(Visitor, config_of_all(settings))


def config_of_all(settings: Mapping[str, Any]) -> dict[str, Any]:
    given: Any = settings
    return config_of(given)


def test_an_argument_that_does_not_exist_is_refused_with_the_one_that_is_meant() -> None:
    settings: Any = {"secret_key": SECRET, "lifetme": 7}
    with pytest.raises(TypeError, match="unexpected keyword argument 'lifetme'; did you mean 'lifetime'") as caught:
        Sessions(Visitor, **settings)
    assert SECRET not in repr(caught.traceback[-1].locals)


def test_an_application_is_no_schema() -> None:
    app: Any = type("FastAPI", (), {"add_middleware": None})()
    with pytest.raises(ConfigurationError, match=r"app\.add_middleware"):
        Sessions(app, secret_key=SECRET)


def test_a_class_that_cannot_be_a_schema_is_refused() -> None:
    needy: Any = Needy
    with pytest.raises(SchemaError, match="user_id"):
        Sessions(needy, secret_key=SECRET)


def test_a_store_with_a_namespace_needs_no_key() -> None:
    assert Sessions(Visitor, store="memory://", namespace="shop").schema.name == "Visitor"


def test_a_config_may_be_given(caplog: pytest.LogCaptureFixture) -> None:
    config = {
        "SECRET_KEY": SECRET,
        "SESSION_COOKIE_NAME": "shop",
        "PERMANENT_SESSION_LIFETIME": 3600,
        "SESSION_COOKIE_SECUR": True,
        "SESSION_TYPE": "redis",
        "DEBUG": True,
    }
    sessions = Sessions.from_config(Visitor, config, permanent=False)
    settings = sessions._application.config
    assert settings["SESSION_COOKIE_NAME"] == "shop"
    assert settings["SESSION_COOKIE_SAMESITE"] == "Lax"
    assert "DEBUG" not in settings
    said = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert len(said) == 2
    assert "did you mean SESSION_COOKIE_SECURE" in said[0]
    assert "SESSION_STORE" in said[1]
    assert Sessions.from_config(None, config | {"SESSION_COOKIE_SAMESITE": None}).schema.open


def test_no_framework_is_imported() -> None:
    frameworks = ("starlette", "fastapi", "quart", "flask", "werkzeug", "pydantic")
    program = f"import sys, typed_sessions.asgi; print([name for name in {frameworks} if name in sys.modules])"
    ended = run([sys.executable, "-c", program], capture_output=True, text=True, check=True)  # noqa: S603 -- ours
    assert ended.stdout == "[]\n"
