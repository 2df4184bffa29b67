"""Sessions in templates, and for a person at a prompt: what is documented of them, and nothing else."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, TypedDict

import attrs
import msgspec
import pytest
from pydantic import BaseModel
from quart import Quart, render_template_string, websocket
from quart import session as quart_session
from quart.json.provider import JSONProvider
from typing_extensions import override

from typed_sessions import NullSession, SecureCookieSession, SecureCookieSessionInterface
from typed_sessions.quart import Sessions
from typed_sessions.stores import MemoryStore

MAPPING = {"clear", "get", "items", "keys", "pop", "popitem", "setdefault", "update", "values"}
OURS = {"data", "extras", "new", "modified", "accessed", "permanent", "copy", "replace"}
IDENTITY = {"regenerate", "invalidate", "promote"}
INSIDES = (
    *("source", "state", "open", "opened", "settle", "saved", "was_saved", "save_failed", "judged", "decision"),
    *("from_source", "deferred", "take_intent", "give_back", "wants_writing", "rebase", "is_left_alone"),
    *("permanent_unaccessed", "report_loss", "was_used_late"),
)
"""What it was called, or might be."""


@attrs.define
class Visitor:
    user_id: int | None = None
    cart: list[str] = attrs.Factory(list[str])


@attrs.frozen
class Frozen:
    user_id: int | None = None


class Struct(msgspec.Struct):
    user_id: int | None = None


class Model(BaseModel):
    user_id: int | None = None


class Keyed(TypedDict, total=False):
    user_id: int


class Terse(JSONProvider):
    """A provider that knows plain values only."""

    @override
    def dumps(self, obj: Any, **kwargs: Any) -> str:
        return msgspec.json.encode(obj).decode()

    @override
    def loads(self, s: str | bytes, **kwargs: Any) -> Any:
        return msgspec.json.decode(s)


def sessions_of(app: Quart, schema: Any, store: Any) -> None:
    Sessions[Any](schema, app, store=store)


def bare(app: Quart, schema: Any, store: Any) -> None:
    interface = SecureCookieSessionInterface[Any](schema, store=store)
    setattr(app, "session_interface", interface)  # noqa: B010 -- Quart's attribute admits only Quart's class


def app_of(
    template: str, schema: Any = Visitor, store: Any = None, set_up: Callable[[Quart, Any, Any], None] = sessions_of
) -> Quart:
    app = Quart("templates")
    app.secret_key = "k" * 32
    set_up(app, schema, store)

    @app.get("/")
    async def show() -> str:
        quart_session["user_id"] = 7
        quart_session["csrf_token"] = "<t>"
        return await render_template_string(template, handed=quart_session, same=dict(quart_session))

    return app


async def shown(app: Quart) -> str:
    response = await app.test_client().get("/")
    assert response.status_code == 200
    text = await response.get_data(as_text=True)
    assert isinstance(text, str)
    return text


@pytest.mark.parametrize("session", [SecureCookieSession(), NullSession(), SecureCookieSession(schema=Visitor)])
def test_a_prompt_shows_what_is_documented(session: Any) -> None:
    assert {name for name in dir(session) if not name.startswith("_")} == MAPPING | OURS | IDENTITY


@pytest.mark.parametrize("store", [None, MemoryStore()])
@pytest.mark.parametrize("set_up", [sessions_of, bare])
async def test_a_template_shows_nothing_of_the_inside(store: Any, set_up: Any) -> None:
    template = "".join("{{ session.%s }}" % name for name in INSIDES)  # noqa: UP031 -- braces are Jinja's
    assert await shown(app_of(template, store=store, set_up=set_up)) == ""


async def test_a_key_of_any_name_is_shown_by_its_attribute_unless_the_session_has_that() -> None:
    app = app_of("{{ session.source }}|{{ session['data'] }}|{{ session.user_id }}|{{ session.data.user_id }}")

    @app.before_request
    async def fill() -> None:
        quart_session["source"] = "newsletter"
        quart_session["data"] = "mine"

    assert await shown(app) == "newsletter|mine|7|7"


@pytest.mark.parametrize("schema", [Visitor, Frozen, Struct, Model, Keyed, None])
@pytest.mark.parametrize("store", [None, MemoryStore()])
@pytest.mark.parametrize("provider", [None, Terse])
@pytest.mark.parametrize("set_up", [sessions_of, bare])
async def test_a_template_writes_a_session_as_json(schema: Any, store: Any, provider: Any, set_up: Any) -> None:
    template = "{{ session|tojson }}\n{{ session.copy()|tojson }}\n{{ handed|tojson }}\n{{ same|tojson }}"
    app = app_of(template, schema, store, set_up)
    if provider is not None:
        app.json = provider(app)
    lines = (await shown(app)).split("\n")
    assert lines == lines[:1] * 4
    assert json.loads(lines[0]) == {"user_id": 7, "csrf_token": "<t>"}
    assert "<" not in lines[0]


async def test_a_template_writes_a_session_as_json_with_an_indent() -> None:
    assert (await shown(app_of("{{ session|tojson(indent=1) }}"))).startswith("{\n ")


async def test_all_else_is_written_as_before() -> None:
    assert await shown(app_of("{{ [1, {'a': None}]|tojson }}")) == '[1, {"a": null}]'


async def test_settings_of_templates_hold_that_are_made_after_init_app() -> None:
    app = app_of("<< session|tojson >>")
    app.jinja_options = {"variable_start_string": "<<", "variable_end_string": ">>"}
    assert await shown(app) == '{"csrf_token": "\\u003ct\\u003e", "user_id": 7}'


async def test_each_application_of_a_factory_writes_sessions_as_json() -> None:
    sessions = Sessions(Visitor)
    for _ in range(2):  # their settings are equal
        app = Quart("made")
        app.secret_key = "k" * 32
        sessions.init_app(app)

        @app.get("/")
        async def show() -> str:
            return await render_template_string("{{ session|tojson }}")

        assert await shown(app) == "{}"


async def test_a_session_without_a_key_is_written_as_an_empty_one() -> None:
    app = Quart("keyless")
    Sessions(Visitor, app)

    @app.get("/")
    async def show() -> str:
        return await render_template_string("{{ session|tojson }}")

    assert await shown(app) == "{}"


async def test_a_websocket_renders_a_session() -> None:
    app = app_of("")

    @app.websocket("/ws")
    async def serve() -> None:
        await websocket.send(await render_template_string("{{ session|tojson }}"))

    async with app.test_client().websocket("/ws") as socket:
        assert await socket.receive() == "{}"


async def test_a_session_in_a_template_is_a_use_of_it() -> None:
    app = Quart("used")
    app.secret_key = "k" * 32
    Sessions(Visitor, app)

    @app.get("/")
    async def show() -> str:
        return await render_template_string("{{ session|tojson }}")

    response = await app.test_client().get("/")
    assert response.headers["Vary"] == "Cookie"
