"""What a load and a save cost in a cluster, next to one server: `python -m benchmarks.stores_cluster`.

Sixty-four tasks load and save at once, logged in and not, over `RedisStore` on one server and over `ClusterRedisStore`
on that server, and on clusters of more and more masters. Counted is the CPU time of this process and of each server,
and the bytes that go in and out of the servers; the best of several rounds in turns. Then what a read would gain by
not asking at all: the upper bound for a cache of records in the process.
"""

from __future__ import annotations

import argparse
import asyncio
import secrets
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from attrs import frozen

from tests.valkey_clusters import Node, cluster, free_ports, until
from typed_sessions.stores import ClusterRedisStore, Lifetime, Record, RedisStore, SessionStore, WriteRequest
from typed_sessions.stores.identifiers import Identifier, Namespace

CONCURRENT: Final = 64
PAYLOAD: Final = 400
LIFETIME: Final = Lifetime(timedelta(hours=1), timedelta(days=31))


@frozen
class Case:
    """A store, and the servers that it is on."""

    name: str
    make: Callable[[], SessionStore]
    servers: Sequence[Node]


@frozen
class Cost:
    """In microseconds and bytes of one visit."""

    client: float
    server: float
    """Of the one with the most."""
    network: float


async def visit_often(case: Case, visits: int, *, saves: bool = True) -> Cost:
    """Return what a visit costs that loads a session and, if that is asked for, saves it."""
    store = case.make()
    keys: list[str] = []
    for number in range(CONCURRENT):
        subject = f"shop:{secrets.token_hex(4)}" if number % 2 else None
        place = store.place_of(subject) if subject and isinstance(store, ClusterRedisStore) else ""
        keys.append(Namespace("shop").key_of(Identifier.new(place)))
        since = await (store.now(subject) if isinstance(store, ClusterRedisStore) else store.now())
        await store.create(keys[-1], WriteRequest(secrets.token_bytes(PAYLOAD), LIFETIME, subject, since))

    async def visitor(key: str) -> None:
        for _ in range(visits):
            record = await store.load(key)
            assert isinstance(record, Record)  # noqa: S101 - a benchmark
            if saves:
                write = WriteRequest(record.payload[1:] + b"x", LIFETIME, record.subject)
                answer = await store.update(key, record.version, write)
                assert isinstance(answer, Record)  # noqa: S101

    await asyncio.gather(*map(visitor, keys))  # warm
    before = [stats_of(server) for server in case.servers]
    start = time.process_time()
    await asyncio.gather(*map(visitor, keys))
    client = time.process_time() - start
    after = [stats_of(server) for server in case.servers]
    await store.close()
    each = 1 / (visits * CONCURRENT)
    servers = [then[0] - now[0] for now, then in zip(before, after, strict=True)]
    network = sum(then[1] - now[1] for now, then in zip(before, after, strict=True))
    return Cost(client * 1e6 * each, max(servers) * 1e6 * each, network * each)


def stats_of(server: Node) -> tuple[float, int]:
    """Return the seconds of CPU time that a server has had, and the bytes that went in and out for clients."""
    info: Any = server.client.info("all")
    seconds = info["used_cpu_user_main_thread"] + info["used_cpu_sys_main_thread"]
    network = info["total_net_input_bytes"] + info["total_net_output_bytes"]
    return float(seconds), int(network)


def main() -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--visits", type=int, default=100, help="of each of 64 visitors in a round")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    with ExitStack() as running, tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        [port] = free_ports(1)
        lone = Node(directory / "lone", port, {"port": str(port), "bind": "127.0.0.1", "save": ""})
        running.callback(lone.stop)
        lone.start()
        until(lone.is_up)
        cases = [
            Case("RedisStore, one server", lambda: RedisStore(f"redis://127.0.0.1:{port}"), [lone]),
            Case(
                "ClusterRedisStore, one server", lambda: ClusterRedisStore(f"redis+cluster://127.0.0.1:{port}"), [lone]
            ),
        ]
        for masters in (3, 6):
            it = running.enter_context(cluster(directory / f"of {masters}", masters=masters, replicas=0))
            cases.append(Case(f"cluster of {masters}", lambda url=it.url: ClusterRedisStore(url), it.masters))  # type: ignore[misc]  # mypy infers no lambda with defaults
        print(f"{'us and bytes of a load and a save':36} {'client':>8} {'fullest server':>16} {'network':>8}")
        best: dict[str, list[Cost]] = {case.name: [] for case in cases}
        for _ in range(options.rounds):
            for case in cases:
                best[case.name].append(asyncio.run(visit_often(case, options.visits)))
        for case in cases:
            costs = best[case.name]
            client, server = min(cost.client for cost in costs), min(cost.server for cost in costs)
            print(f"{case.name:36} {client:8.1f} {server:16.1f} {costs[0].network:8.0f}")
        first, _, third, _ = (min(cost.client for cost in best[case.name]) for case in cases)
        print(f"client's CPU, cluster of 3 over RedisStore: {third / first:.2f}")
        reads = min(
            asyncio.run(visit_often(cases[0], options.visits, saves=False)).client for _ in range(options.rounds)
        )
        print(f"a load alone by RedisStore: {reads:.1f} us of the client's CPU")
    return 0


if __name__ == "__main__":
    sys.exit(main())
