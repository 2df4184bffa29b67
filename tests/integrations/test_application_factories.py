"""Applications that are made anew for each test, by a factory, around one `Sessions` of a module."""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import Annotated
from weakref import ref

import pytest
from attrs import define
from quart import Quart

from typed_sessions import ConfigurationError, Subject
from typed_sessions.quart import Sessions


@define
class Visitor:
    user_id: Annotated[int | None, Subject] = None


sessions = Sessions(Visitor)


def make_app(**config: object) -> Quart:
    app = Quart(__name__)
    app.secret_key = "the key of every application here"
    app.config.update(config)
    sessions.init_app(app)

    @app.post("/login/<int:user>")
    async def log_in(user: int) -> str:
        sessions.current.promote(user_id=user)
        return ""

    @app.get("/")
    async def read() -> str:
        return str(sessions.data.user_id)

    return app


def with_setting() -> Quart:
    return make_app(SESSION_STORE="memory://")


def with_namespace() -> Quart:
    return make_app(SESSION_STORE="memory://?namespace=shop")


IN_MEMORY = pytest.mark.parametrize("make", [with_setting, with_namespace])


@IN_MEMORY
async def test_each_application_has_a_memory_of_its_own(make: Callable[[], Quart]) -> None:
    first, second = make(), make()
    client = first.test_client()
    await client.post("/login/7")
    async with first.app_context():
        assert len(await sessions.of(7)) == 1
    async with second.app_context():
        assert await sessions.of(7) == []
    cookie = next(each.value for each in client.cookie_jar or ())
    for app, user in ((first, "7"), (second, "None"), (first, "7")):
        response = await app.test_client().get("/", headers={"Cookie": f"session={cookie}"})
        assert await response.get_data(as_text=True) == user
    async with second.app_context():
        await sessions.revoke(7)
    assert await (await client.get("/")).get_data(as_text=True) == "7"


@IN_MEMORY
async def test_an_application_keeps_its_memory_while_it_stops_and_serves_again(make: Callable[[], Quart]) -> None:
    app = make()
    client = app.test_client()
    async with app.test_app():
        await client.post("/login/7")
    async with app.test_app():
        app.config["PERMANENT_SESSION_LIFETIME"] = 60  # its settings are read anew
        assert await (await client.get("/")).get_data(as_text=True) == "7"


@pytest.mark.parametrize("make", [make_app, with_setting])
async def test_an_application_that_nobody_has_any_more_is_forgotten(make: Callable[[], Quart]) -> None:
    app = make()
    async with app.test_app():
        await app.test_client().post("/login/7")
    known = ref(app)
    del app
    gc.collect()
    assert known() is None


async def test_an_application_that_began_to_serve_and_never_stopped_is_forgotten() -> None:
    app = with_setting()
    await app.startup()
    known = ref(app)
    del app
    gc.collect()
    assert known() is None


async def test_the_application_that_sessions_were_made_for_lives_as_long_as_they_do() -> None:
    def make() -> Sessions[Visitor]:
        app = Quart(__name__)
        app.secret_key = "the key of this application"
        return Sessions(Visitor, app)

    only = make()
    gc.collect()
    known = only._apps[0]
    assert only.cookie_for(Visitor(7))
    del only
    gc.collect()
    assert known() is None


async def test_outside_of_an_application_the_latest_one_that_there_is_counts() -> None:
    only = Sessions(Visitor)
    with pytest.raises(ConfigurationError, match="which application"):
        only.cookie_for(Visitor())
    first, second = Quart("first"), Quart("second")
    first.secret_key, second.secret_key = "the key of the first", "the key of the second"
    for app in (first, second):
        only.init_app(app)
    assert await opened(only, second, only.cookie_for(Visitor(7))) == 7
    assert await opened(only, first, only.cookie_for(Visitor(8), app=first)) == 8
    async with first.app_context():
        assert await opened(only, first, only.cookie_for(Visitor(9))) == 9
    only.init_app(first)  # for the second time: it is no later one
    assert await opened(only, second, only.cookie_for(Visitor(7))) == 7
    del app, second
    gc.collect()
    assert await opened(only, first, only.cookie_for(Visitor(7))) == 7


async def opened(only: Sessions[Visitor], app: Quart, cookie: str) -> int | None:
    async with app.test_request_context("/", headers={"Cookie": f"session={cookie}"}):
        return only.data.user_id


async def test_what_one_application_has_ended_is_known_in_its_memory_only() -> None:
    first, second = with_setting(), with_setting()
    clients = [app.test_client() for app in (first, second)]
    for client in clients:
        await client.post("/login/7")
    await sessions.revoke(7)  # of the latest
    assert [await (await client.get("/")).get_data(as_text=True) for client in clients] == ["7", "None"]
