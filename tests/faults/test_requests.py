"""Requests to an application whose store is behind a network that fails: each ends in time, as the policy says."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Final

import pytest
from attrs import Factory, define
from quart import Quart

from tests.faults.proxy import Fault, Proxy, proxied
from tests.valkey_servers import connect_to_valkey, valkey, valkey_url
from typed_sessions.quart import Sessions
from typed_sessions.stores import Moved, Record, RedisStore
from typed_sessions.stores.identifiers import Identifier, Namespace

TIMEOUT: Final = timedelta(milliseconds=300)
PATIENCE: Final = 5.0
"""In seconds: much longer than a request may take, for a machine that is busy."""
FAULTS: Final = [fault for fault in Fault if fault is not Fault.NONE]


@define
class Visitor:
    cart: list[str] = Factory(list[str])


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    directory = tmp_path_factory.mktemp("requests")
    with valkey(directory):
        yield directory


@pytest.fixture
async def proxy(server: Path) -> AsyncIterator[Proxy]:
    async with proxied(partial(connect_to_valkey, server), delay=2 * TIMEOUT.total_seconds()) as proxy:
        yield proxy


@pytest.fixture
async def app(proxy: Proxy) -> AsyncIterator[Quart]:
    app = Quart("shop")
    app.config.update(SESSION_STORE_TIMEOUT=TIMEOUT, SESSION_NAMESPACE="shop")
    sessions = Sessions(Visitor, app, store=f"redis://127.0.0.1:{proxy.port}")

    @app.get("/")
    async def cart() -> str:
        return ",".join(sessions.data.cart)

    @app.post("/<item>")
    async def add(item: str) -> str:
        sessions.data.cart.append(item)
        return ",".join(sessions.data.cart)

    async with app.test_app():
        yield app
        await proxy.switch(Fault.NONE)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
@pytest.mark.parametrize("policy", ["raise", "anonymous"])
async def test_each_request_ends_in_time_and_nothing_is_half_written(
    app: Quart, proxy: Proxy, fault: Fault, policy: str
) -> None:
    app.config["SESSION_ON_STORE_ERROR"] = policy
    client = app.test_client()
    await client.post("/book")
    await proxy.switch(fault)
    for response in (
        await asyncio.wait_for(client.get("/"), PATIENCE),
        await asyncio.wait_for(client.post("/pen"), PATIENCE),
    ):
        assert response.status_code == (503 if policy == "raise" else 200)
        assert ("Retry-After" in response.headers) == (policy == "raise")
        assert "Set-Cookie" not in response.headers
    await proxy.switch(Fault.NONE)
    response = await asyncio.wait_for(client.get("/"), PATIENCE)
    assert response.status_code == 200
    assert await response.get_data(as_text=True) in ("book", "book,pen")


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
async def test_a_move_that_fails_leaves_the_session_or_a_key_that_leads_to_it(
    app: Quart, proxy: Proxy, server: Path, fault: Fault
) -> None:
    loaded, release = asyncio.Event(), asyncio.Event()

    @app.put("/")
    async def regenerate() -> str:
        app.extensions["typed_sessions"].current.regenerate()
        loaded.set()
        await release.wait()
        return ""

    @app.delete("/")
    async def logout() -> str:
        app.extensions["typed_sessions"].current.invalidate()
        return ""

    client = app.test_client()
    response = await client.post("/book")
    key = Namespace("shop").key_of(Identifier(response.headers["Set-Cookie"].partition(";")[0].partition("=")[2]))
    request = asyncio.create_task(client.put("/"))
    await loaded.wait()
    await proxy.switch(fault)
    release.set()
    response = await asyncio.wait_for(request, PATIENCE)
    assert response.status_code == 503
    assert "Set-Cookie" not in response.headers
    await proxy.switch(Fault.REFUSES)  # what hangs or is late comes now, or never
    await proxy.switch(Fault.NONE)

    store = RedisStore(valkey_url(server))
    found = await store.load(key)
    has_moved = isinstance(found, Moved)
    if fault not in (Fault.HANGS, Fault.DELAYS):  # what was on its way may have come
        assert has_moved is (fault in (Fault.CUTS_ANSWERS, Fault.SWALLOWS_ANSWERS))
    assert await (await client.get("/")).get_data(as_text=True) == ("" if has_moved else "book")
    response = await client.post("/pen")
    assert response.status_code == 200
    assert "Set-Cookie" not in response.headers
    place = found.target if isinstance(found, Moved) else key
    assert isinstance(await store.load(place), Record)
    response = await client.delete("/")
    assert "Max-Age=0" in response.headers["Set-Cookie"]
    assert await store.load(place) is None
    await store.close()


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
async def test_a_save_that_fails_is_whole_or_not_at_all(app: Quart, proxy: Proxy, fault: Fault) -> None:
    loaded, release = asyncio.Event(), asyncio.Event()

    @app.put("/<item>")
    async def slowly(item: str) -> str:
        sessions = app.extensions["typed_sessions"]
        sessions.data.cart.append(item)
        loaded.set()
        await release.wait()
        return ""

    client = app.test_client()
    await client.post("/book")
    request = asyncio.create_task(client.put("/pen"))
    await loaded.wait()
    await proxy.switch(fault)
    release.set()
    assert (await asyncio.wait_for(request, PATIENCE)).status_code == 503
    await proxy.switch(Fault.NONE)
    response = await asyncio.wait_for(client.get("/"), PATIENCE)
    assert await response.get_data(as_text=True) in ("book", "book,pen")
