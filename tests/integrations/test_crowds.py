"""Many requests of one session at once: each merges once, none is lost, and none waits for a store that hangs."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Annotated, Any

import pytest
from attrs import Factory, define
from quart import Quart
from typing_extensions import override

from typed_sessions import Merge, Subject
from typed_sessions.quart import Sessions
from typed_sessions.stores import Conflict, MemoryStore, Updated, WriteRequest

AT_ONCE = 40


@define
class Visitor:
    visits: Annotated[int, Merge("add")] = 0
    items: list[str] = Factory(list[str])


class Watched(MemoryStore):
    """Counts updates, and may hang."""

    def __init__(self) -> None:
        super().__init__()
        self.updates: list[Updated] = []
        self.hangs = False

    @override
    async def update(self, key: str, version: int, write: WriteRequest, *, move_to: str | None = None) -> Updated:
        await asyncio.sleep(0)  # as a store does that is elsewhere
        if self.hangs:
            await asyncio.Event().wait()
        updated = await super().update(key, version, write, move_to=move_to)
        self.updates.append(updated)
        return updated


class Crowd:
    """An application, and one visitor whose requests all come at once."""

    def __init__(self, **config: Any) -> None:
        self.store, self.ready = Watched(), asyncio.Event()
        self.app = Quart("site")
        self.app.config.update({"SECRET_KEY": "k" * 32} | config)
        self.sessions = sessions = Sessions(Visitor, self.app, store=self.store)

        @self.app.get("/begin/<int:size>")
        async def begin(size: int) -> str:
            sessions.data.items = [f"item {number}" for number in range(size)]
            return ""

        @self.app.get("/visit/<int:number>")
        async def visit(number: int) -> str:
            sessions.data.visits += 1
            sessions.current[f"visitor {number}"] = number
            await self.ready.wait()
            return ""

        @self.app.get("/renew")
        async def renew() -> str:
            sessions.current.regenerate()
            await self.ready.wait()
            return ""

        @self.app.get("/read")
        async def read() -> str:
            return f"{sessions.data.visits} {len(sessions.current.extras)}"

    async def begin(self, size: int) -> dict[str, str]:
        response = await self.app.test_client().get(f"/begin/{size}")
        return {"Cookie": response.headers["Set-Cookie"].partition(";")[0]}

    async def come(self, paths: list[str], headers: dict[str, str]) -> list[int]:
        """Return the status of each request, all of which have loaded the session before any saves it."""
        client = self.app.test_client(use_cookies=False)
        requests = [asyncio.create_task(client.get(path, headers=headers)) for path in paths]
        for _ in range(20):
            await asyncio.sleep(0)
        self.ready.set()
        return [response.status_code for response in await asyncio.gather(*requests)]

    async def read(self, headers: dict[str, str]) -> str:
        response = await self.app.test_client(use_cookies=False).get("/read", headers=headers)
        return str(await response.get_data(as_text=True))


@pytest.mark.parametrize("serializer", ["tagged-json", "msgspec-json", "msgspec-msgpack"])
async def test_each_of_many_requests_at_once_merges_once(serializer: str) -> None:
    crowd = Crowd(SESSION_SERIALIZER=serializer, SESSION_STORE_TIMEOUT=timedelta(seconds=60))
    headers = await crowd.begin(300)
    statuses = await crowd.come([f"/visit/{number}" for number in range(AT_ONCE)], headers)
    assert statuses == [200] * AT_ONCE
    assert await crowd.read(headers) == f"{AT_ONCE} {AT_ONCE}"
    assert len(crowd.store.updates) == AT_ONCE
    assert not any(isinstance(updated, Conflict) for updated in crowd.store.updates)


async def test_those_who_wait_give_up_when_the_store_hangs() -> None:
    crowd = Crowd(SESSION_STORE_TIMEOUT=timedelta(milliseconds=50))
    headers = await crowd.begin(1)
    crowd.store.hangs = True
    async with asyncio.timeout(10):
        statuses = await crowd.come([f"/visit/{number}" for number in range(AT_ONCE)], headers)
    assert statuses == [503] * AT_ONCE
    crowd.store.hangs = False
    assert await crowd.read(headers) == "0 0"


async def test_those_who_wait_for_a_session_that_is_renewed_change_nothing(caplog: pytest.LogCaptureFixture) -> None:
    crowd = Crowd()
    headers = await crowd.begin(1)
    assert await crowd.come(["/renew", *(f"/visit/{number}" for number in range(5))], headers) == [200] * 6
    assert caplog.text.count("a session change is lost") == 5


@define
class Guarded:
    once: Annotated[int, Merge("fail")] = 0
    other: int = 0


async def test_who_waits_keeps_what_another_process_has_written_since_its_turn_began() -> None:
    store, waits, goes_on = Watched(), asyncio.Event(), asyncio.Event()
    processes = [Quart("site"), Quart("site")]
    for app in processes:
        app.secret_key = "k" * 32
        sessions = Sessions(Guarded, app, store=store)

        def count(name: str, sessions: Sessions[Guarded] = sessions) -> str:
            setattr(sessions.data, name, getattr(sessions.data, name) + 1)
            return f"{sessions.data.once} {sessions.data.other}"

        app.add_url_rule("/<name>", "count", count)

    update = store.update

    async def slow(key: str, version: int, write: WriteRequest, *, move_to: str | None = None) -> Updated:
        updated = await update(key, version, write, move_to=move_to)
        store.update = update  # type: ignore[method-assign]  # the next ones are fast
        waits.set()
        await goes_on.wait()
        return updated

    one, another = (app.test_client(use_cookies=False) for app in processes)
    response = await one.get("/other")
    headers = {"Cookie": response.headers["Set-Cookie"].partition(";")[0]}
    store.update = slow  # type: ignore[method-assign]
    in_its_turn = asyncio.create_task(one.get("/other", headers=headers))
    await waits.wait()
    assert (await another.get("/once", headers=headers)).status_code == 200
    waiting = asyncio.create_task(one.get("/once", headers=headers))
    for _ in range(20):
        await asyncio.sleep(0)
    goes_on.set()
    assert [each.status_code for each in await asyncio.gather(in_its_turn, waiting)] == [200, 200]
    assert await (await one.get("/once", headers=headers)).get_data(as_text=True) == "3 2"


async def test_what_a_request_asks_at_once_takes_its_time_once() -> None:
    class Visited(Watched):
        @override
        async def ids_of(self, subject: str) -> Any:
            await asyncio.sleep(0.01)
            return await super().ids_of(subject)

    @define
    class Account:
        user_id: Annotated[int | None, Subject] = None

    app = Quart("site")
    app.config.update(SECRET_KEY="k" * 32, SESSION_STORE_TIMEOUT=timedelta(milliseconds=500))
    sessions = Sessions(Account, app, store=Visited())

    @app.get("/<int:number>")
    async def look(number: int) -> str:
        sessions.data.user_id = number
        return str(len(await asyncio.gather(*(sessions.of(each) for each in range(200)))))

    client = app.test_client()
    assert [(await client.get(f"/{number}")).status_code for number in (1, 2)] == [200, 200]


def test_sessions_may_be_saved_in_several_event_loops() -> None:
    crowd = Crowd()
    headers = asyncio.run(crowd.begin(1))
    for _ in range(2):
        crowd.ready = asyncio.Event()
        assert asyncio.run(crowd.come([f"/visit/{number}" for number in range(5)], headers)) == [200] * 5
    assert asyncio.run(crowd.read(headers)) == "10 5"
