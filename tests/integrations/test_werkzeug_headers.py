"""Headers that are added past werkzeug's own methods, which look through each value for line breaks."""

from __future__ import annotations

import pytest
from quart import Quart, Response
from typing_extensions import override
from werkzeug.datastructures import Headers

from typed_sessions import ConfigurationError
from typed_sessions.frameworks import werkzeug_interface
from typed_sessions.frameworks.interface import ConfiguredApp, CookieResponse
from typed_sessions.frameworks.quart_interface import QuartSessionInterface
from typed_sessions.sealing.base import system_clock

NOW = system_clock()


class Watched(Headers):
    """Headers of a user's, who wants to know of each."""

    @override
    def add(self, _key: str, _value: object, /, **options: object) -> None:
        self.added = [*getattr(self, "added", []), _key]
        super().add(_key, str(_value))


async def saved(
    interface: QuartSessionInterface, response: CookieResponse, *, is_changed: bool = True
) -> list[tuple[str, str]]:
    """Return the headers of a response with the session of a request that brings a cookie."""
    app = Quart(__name__)
    app.secret_key = "a secret key that is long enough"
    first = Response("")
    async with app.app_context():
        for answer, change in (first, True), (response, is_changed):
            cookie = first.headers.get("Set-Cookie", "").partition(";")[0]
            async with app.test_request_context("/", headers={"Cookie": cookie} if cookie else {}) as context:
                session = await interface.open_session(app, context.request)
                assert session is not None
                _ = session.get("n")
                if change:
                    session["n"] = (session.get("n", 0), "more")
                await interface.save_session(app, session, answer)
    return [*response.headers]


@pytest.mark.parametrize("is_changed", [True, False])
async def test_what_werkzeug_adds_is_added(monkeypatch: pytest.MonkeyPatch, *, is_changed: bool) -> None:
    interface = QuartSessionInterface(clock=lambda: NOW)
    ours = await saved(interface, Response("", headers={"X-Page": "a"}), is_changed=is_changed)
    bare = await saved(interface, Response(""), is_changed=is_changed)
    monkeypatch.setattr(werkzeug_interface, "_KNOWS_LIST", False)
    assert await saved(interface, Response("", headers={"X-Page": "a"}), is_changed=is_changed) == ours
    assert await saved(interface, Response(""), is_changed=is_changed) == bare
    assert [name for name, _ in bare if name in {"Vary", "Set-Cookie"}] == ["Vary", "Set-Cookie"][: 1 + is_changed]


def test_this_werkzeug_is_known() -> None:
    assert werkzeug_interface._KNOWS_LIST


async def test_headers_of_a_class_of_ones_own_are_asked() -> None:
    response = Response("")
    response.headers = headers = Watched(response.headers)
    await saved(QuartSessionInterface(), response)
    assert headers.added[-2:] == ["Vary", "Set-Cookie"]


@pytest.mark.parametrize("helper", ["name", "domain", "path", "samesite"])
async def test_no_helper_brings_a_line_break_into_a_header(helper: str) -> None:
    def broken(_interface: QuartSessionInterface, _app: ConfiguredApp) -> str:
        return "/a\r\nX-Evil: 1"

    interface: type[QuartSessionInterface] = type("Own", (QuartSessionInterface,), {f"get_cookie_{helper}": broken})
    response = Response("")
    with pytest.raises(ConfigurationError):
        await saved(interface(), response)
    assert "Set-Cookie" not in response.headers
