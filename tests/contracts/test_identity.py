"""Who may have a session: on every store, through the whole of an interface."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from tests.faults.running import STORES, running
from tests.faults.visits import NAMESPACE, begin_session, visit
from typed_sessions.stores import open_store
from typed_sessions.stores.identifiers import Identifier

GUESSES = 1_000
AT_ONCE = 50


@pytest.fixture(scope="module", params=["memory", *STORES])
def url(request: pytest.FixtureRequest) -> Iterator[str]:
    if request.param == "memory":
        yield "memory://"
        return
    with running(request.param) as store:
        yield store.url


async def test_a_thousand_guessed_identifiers_open_and_leave_nothing(url: str) -> None:
    store = open_store(url)
    guesses = [Identifier.new() for _ in range(GUESSES)]

    async def guess(identifier: Identifier) -> bool:
        async with visit(store, identifier) as session:
            return len(session) > 0

    for first in range(0, GUESSES, AT_ONCE):
        opened = await asyncio.gather(*map(guess, guesses[first : first + AT_ONCE]))
        assert not any(opened)
    assert [await store.load(NAMESPACE.key_of(identifier)) for identifier in guesses] == [None] * GUESSES
    await store.close()


async def test_an_identifier_that_was_ended_is_refused(url: str) -> None:
    store, identifier = open_store(url), Identifier.new()
    await begin_session(store, identifier)
    async with visit(store, identifier) as session:
        assert dict(session) == {"begun": True}
        session.invalidate()
    async with visit(store, identifier) as session:
        assert not session
        session["again"] = True
    assert await store.load(NAMESPACE.key_of(identifier)) is None
    await store.close()
