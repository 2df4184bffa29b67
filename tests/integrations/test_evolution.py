"""Releases that change a schema, and are rolled back, while a visitor keeps coming."""

from __future__ import annotations

from typing import Annotated, Any

from attrs import define
from quart import Quart

from typed_sessions import Formerly
from typed_sessions.quart import Sessions

SECRET = "a secret key that is long enough"


@define
class First:
    uid: int | None = None
    theme: str = "light"
    visits: int = 0


@define
class Second:
    """`uid` is renamed, `theme` is gone, `visits` is text, `locale` is new."""

    user_id: Annotated[int | None, Formerly("uid")] = None
    visits: str = ""
    locale: str = "en"


def release(schema: Any) -> tuple[Quart, Sessions[Any]]:
    app = Quart(__name__)
    app.secret_key = SECRET
    return app, Sessions(schema, app)


async def visit(schema: Any, cookie: str, **changes: object) -> tuple[dict[str, object], str]:
    """Return what is stored, and the cookie that the browser has afterwards."""
    app, sessions = release(schema)
    stored: dict[str, object] = {}

    @app.get("/")
    async def page() -> str:
        sessions.current.update(changes)
        stored.update(sessions.current)
        return ""

    response = await app.test_client().get("/", headers={"Cookie": f"session={cookie}"})
    sent = response.headers.get("Set-Cookie")
    return stored, cookie if sent is None else sent.partition("=")[2].partition(";")[0]


def first_cookie() -> str:
    return release(First)[1].cookie_for(First(uid=7, theme="dark", visits=3))


async def test_a_new_release_reads_what_it_can_and_keeps_the_rest() -> None:
    before = first_cookie()
    stored, after = await visit(Second, before)
    assert stored == {"user_id": 7, "theme": "dark"}
    assert after == before


async def test_a_rollback_after_reads_finds_everything() -> None:
    _, cookie = await visit(Second, first_cookie())
    stored, _ = await visit(First, cookie)
    assert stored == {"uid": 7, "theme": "dark", "visits": 3}


async def test_a_rollback_after_a_change_finds_what_is_gone_in_between() -> None:
    _, cookie = await visit(Second, first_cookie(), locale="pt")
    stored, _ = await visit(First, cookie)
    assert stored["theme"] == "dark"
    stored, _ = await visit(Second, cookie)
    assert stored == {"user_id": 7, "theme": "dark", "locale": "pt"}
