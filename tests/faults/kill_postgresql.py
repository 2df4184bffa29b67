"""Kill a PostgreSQL server while sessions are saved: `python -m tests.faults.kill_postgresql`.

In turn all its processes are killed, it is told to shut down immediately, and one process of it is killed, after which
it starts again by itself. The store stays open, and has to find the server again without being told. What must be there
is the same as for Valkey: see `kill_redis`.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import sys
import time
from collections.abc import Callable
from itertools import cycle, islice
from random import Random
from typing import Final

from tests.faults.kill_redis import VISITORS, Tally, Visitor
from tests.postgresql_servers import PostgreSQLServer
from typed_sessions.errors import StoreUnavailableError
from typed_sessions.stores import PostgreSQLStore

DEADLINE: Final = 0.3

PATIENCE: Final = 20.0
"""Seconds for which the server may recover from its log, and then the store."""


async def one_round(server: PostgreSQLServer, store: PostgreSQLStore, crash: Callable[[], bool], tally: Tally) -> float:
    """Save, crash, start again, look; return how long it took from the server's start to the first answer."""
    random = Random(tally.rounds)  # noqa: S311 - chance, not secrets
    visitors = [Visitor(store, random, f"{tally.rounds} {number}") for number in range(VISITORS)]
    await asyncio.gather(*(visitor.come() for visitor in visitors))
    saves = [asyncio.create_task(visitor.save_again_and_again(tally)) for visitor in visitors]
    await asyncio.sleep(random.uniform(0.05, 0.4))
    is_down = await asyncio.to_thread(crash)
    await _end(saves)
    if is_down:
        await asyncio.to_thread(server.start)
    started = time.monotonic()
    await _until_it_answers(store)
    took = time.monotonic() - started
    await asyncio.gather(*(visitor.look(tally) for visitor in visitors))
    await asyncio.gather(*(store.delete_subject(visitor.subject) for visitor in visitors))
    tally.rounds += 1
    return took


async def _end(saves: list[asyncio.Task[None]]) -> None:
    """Cancel what does not fail by itself: it waits for a connection, or has got a new one already."""
    await asyncio.wait(saves, timeout=DEADLINE)
    for save in saves:
        save.cancel()
    for answer in await asyncio.gather(*saves, return_exceptions=True):
        if isinstance(answer, Exception):
            raise answer


async def _until_it_answers(store: PostgreSQLStore) -> None:
    async with asyncio.timeout(PATIENCE):
        while True:
            try:
                async with asyncio.timeout(2):
                    await store.now()
            except (StoreUnavailableError, TimeoutError):
                continue
            return


async def kill(rounds: int, *, fsync: bool) -> tuple[Tally, list[float]]:
    """Return what was seen in so many rounds, and how long the store took to find the server in each."""
    server, tally, took = PostgreSQLServer(fsync=fsync), Tally(), list[float]()
    store = PostgreSQLStore(server.url, connections=VISITORS)

    def kill_all() -> bool:
        server.kill()
        return True

    def shut_down() -> bool:
        server.shut_down()
        return True

    def kill_one() -> bool:
        server.kill_a_backend()
        return False

    try:
        server.start()
        for crash in islice(cycle([kill_all, shut_down, kill_one]), rounds):
            took.append(await one_round(server, store, crash, tally))
        await store.close()
    finally:
        server.remove()
    return tally, took


def main() -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=200)
    options = parser.parse_args()
    logging.disable(logging.WARNING)  # of connections that broke
    tally, took = asyncio.run(kill(options.rounds, fsync=True))
    print(
        f"PostgreSQL, SIGKILL and immediate shutdown, fsync on: {tally.rounds} rounds, "
        f"{tally.acknowledged} changes acknowledged, {tally.under_way} under way ({tally.took_place} took place), "
        f"answers again after {max(took):.1f} s at most, {len(tally.wrong)} wrong {sorted(set(tally.wrong))}"
    )
    return bool(tally.wrong)


if __name__ == "__main__":
    sys.exit(main())
