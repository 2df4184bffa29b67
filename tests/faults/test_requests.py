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
from tests.valkey_servers import connect_to_valkey, valkey
from typed_sessions.quart import Sessions

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
