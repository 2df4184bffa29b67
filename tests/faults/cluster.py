"""Do to a cluster what happens to one while sessions are saved, and print what came of it: run it by hand.

    python -m tests.faults.cluster kill --rounds 20            # SIGKILL of a master that has a replica
    python -m tests.faults.cluster kill --rounds 20 --wait 1   # of one with two, where one has what is acknowledged
    python -m tests.faults.cluster hang                        # SIGSTOP: it keeps its connections
    python -m tests.faults.cluster reshard                     # slots move, key by key
    python -m tests.faults.cluster migrate                     # and as Valkey 9 does it, all at once
    python -m tests.faults.cluster races --rounds 300
    python -m tests.faults.cluster spread

Sixty-four visitors load and save; one save in twenty is a log-in as somebody else, which moves the session to another
place. Each of them knows what was acknowledged, and what was on its way when the answer failed to come.
"""

from __future__ import annotations

import argparse
import asyncio
import secrets
import signal
import sys
import tempfile
import time
from collections import Counter
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Final

from attrs import define, field

from tests.faults.races import MOVES, RACES, run_races
from tests.valkey_clusters import Cluster, cluster, until
from typed_sessions import StoreUnavailableError
from typed_sessions.stores import ClusterRedisStore, Found, Lifetime, Record, WriteRequest

__all__ = ["Tally", "hang", "kill", "migrate", "reshard"]

_HOUR: Final = Lifetime(timedelta(hours=1))
_VISITORS: Final = 64
_PATIENCE: Final = 2.0
"""Seconds that a request has for the store."""


@define
class Tally:
    """What was seen in all rounds."""

    answered: int = 0
    failed: int = 0
    elsewhere: int = 0
    """So many calls failed in shards to which nothing was done."""
    lost: int = 0
    """Changes that were acknowledged, and are not there."""
    wrong: list[str] = field(factory=list[str])
    longest: float = 0.0
    """In seconds, that an answer took."""
    promoted: float = 0.0
    """In how many seconds a replica had taken over at the latest."""
    last_failure: float = 0.0
    """In seconds after it began."""


@define
class Visitor:
    """Who loads and saves a session, and knows what has to be there."""

    store: ClusterRedisStore
    cluster: Cluster
    random: Random
    tally: Tally
    began: float = 0.0
    subject: str = ""
    key: str = ""
    number: int = 0
    acknowledged: int = 0
    on_its_way: set[int] = field(factory=set[int])
    asked: set[int] = field(factory=set[int])
    """The shards that have a part in the visit."""

    async def come(self) -> None:
        """Begin a session, once it can be."""
        while True:
            self.subject = secrets.token_hex(6)
            self.key, self.number, self.on_its_way = self._key(self.subject), self.number + 1, set()
            self.asked.add(self.cluster.shard_of(self.key))
            try:
                since = await self.store.now(self.subject)
                await self.store.create(self.key, WriteRequest(b"%d" % self.number, _HOUR, self.subject, since))
            except StoreUnavailableError:
                continue
            self.acknowledged = self.number
            return

    async def save_until(self, end: asyncio.Event) -> None:
        """Load and save again and again."""
        await self.come()
        while not end.is_set():
            await asyncio.sleep(self.random.random() * 0.02)
            try:
                self.asked = {self.cluster.shard_of(self.key)}
                async with asyncio.timeout(_PATIENCE):
                    start = time.monotonic()
                    await self._visit()
                    self.tally.answered += 1
                    self.tally.longest = max(self.tally.longest, time.monotonic() - start)
            except (TimeoutError, StoreUnavailableError):
                self.tally.failed += 1
                self.tally.last_failure = max(self.tally.last_failure, time.monotonic() - self.began)
                self.tally.elsewhere += 0 not in self.asked

    async def look(self) -> None:
        """Compare what is there in the end with what has to be."""
        for _ in range(100):
            try:
                found = await self.store.load(self.key)
                if self._is_right(found) and [one.key for one in await self.store.ids_of(self.subject)] != [self.key]:
                    self.tally.wrong.append("a subject's list is not that of its records")
            except StoreUnavailableError:
                await asyncio.sleep(0.1)
                continue
            return
        self.tally.wrong.append("a session cannot be loaded")

    async def _visit(self) -> None:
        found = await self.store.load(self.key)
        if not self._is_right(found) or not isinstance(found, Record):
            await self.come()
            return
        self.number += 1
        if self.random.random() < 0.05:
            await self._log_in(found)
            return
        self.on_its_way.add(self.number)
        answer = await self.store.update(
            self.key, found.version, WriteRequest(b"%d" % self.number, _HOUR, self.subject)
        )
        self._note(answer)

    async def _log_in(self, record: Record) -> None:
        """Become somebody else. Who gets no answer begins anew, as a visitor does that has no cookie."""
        former, subject = self.key, secrets.token_hex(6)
        target = self._key(subject)
        self.asked.add(self.cluster.shard_of(target))
        write = WriteRequest(b"%d" % self.number, _HOUR, subject, await self.store.now(subject))
        self.subject, self.key = subject, target
        try:
            answer = await self.store.update(former, record.version, write, move_to=target)
        except (StoreUnavailableError, asyncio.CancelledError):
            self.key = former
            self.subject = record.subject or ""
            self.on_its_way.add(-1)  # it may have moved
            raise
        self._note(answer)

    def _note(self, answer: object) -> None:
        if isinstance(answer, Record):
            self.acknowledged, self.on_its_way = self.number, set()
        else:
            self.tally.wrong.append(f"{type(answer).__name__} for a change that nobody was in the way of")

    def _is_right(self, found: Found) -> bool:
        """Return True if there is a record, and count what was acknowledged and is not there."""
        number = int(found.payload) if isinstance(found, Record) else -1
        if number not in {self.acknowledged, *self.on_its_way}:
            self.tally.lost += 1
        self.acknowledged, self.on_its_way = number, set()
        return isinstance(found, Record)

    def _key(self, subject: str) -> str:
        return self.store.place_of(subject) + secrets.token_hex(30)


async def _while_saving(running: Cluster, wait: int, tally: Tally, seed: int, what: object) -> None:
    """Have visitors save before, during and after something is done to the cluster, in another thread."""
    store = ClusterRedisStore(f"{running.url}?wait={wait}" if wait else running.url)
    visitors = [Visitor(store, running, Random(seed + number), tally) for number in range(_VISITORS)]  # noqa: S311
    end = asyncio.Event()
    saving = [asyncio.create_task(visitor.save_until(end)) for visitor in visitors]
    await asyncio.sleep(0.5)
    for visitor in visitors:
        visitor.began = time.monotonic()
    await asyncio.to_thread(what)  # type: ignore[arg-type]  # a function without arguments
    end.set()
    await asyncio.gather(*saving)
    await asyncio.gather(*(visitor.look() for visitor in visitors))
    await store.close()


def kill(rounds: int, *, wait: int = 0, replicas: int | None = None, node_timeout: float = 2.0, seed: int = 0) -> Tally:
    """Return what came of it to kill a master, while sessions are saved.

    A replica that has taken over needs another one, where replicas are waited for: each master has one more than that.
    """
    tally = Tally()
    replicas = 3 * (wait + 1 if replicas is None else replicas)
    for number in range(rounds):
        with (
            tempfile.TemporaryDirectory() as name,
            cluster(Path(name), replicas=replicas, node_timeout=node_timeout) as running,
        ):

            def end_one(running: Cluster = running) -> None:
                start = time.monotonic()
                running.masters[0].kill()
                until(lambda: any(node.say("ROLE")[0] == "master" for node in running.replicas[::3]))
                tally.promoted = max(tally.promoted, time.monotonic() - start)
                time.sleep(start + 2 * node_timeout + 2 - time.monotonic())

            asyncio.run(_while_saving(running, wait, tally, seed + 1000 * number, end_one))
    return tally


def hang(*, node_timeout: float = 2.0, seed: int = 0) -> Tally:
    """Return what came of it to stop a master, which keeps its connections open, and has it go on again later."""
    tally = Tally()
    with tempfile.TemporaryDirectory() as name, cluster(Path(name), node_timeout=node_timeout) as running:

        def stop_one() -> None:
            process = running.masters[0].process
            assert process is not None
            process.send_signal(signal.SIGSTOP)
            time.sleep(3 * node_timeout + 3)
            process.send_signal(signal.SIGCONT)
            time.sleep(1)

        asyncio.run(_while_saving(running, 0, tally, seed, stop_one))
    return tally


def reshard(running: Cluster, slots: int, *, pause: float = 0.005, seed: int = 0) -> Tally:
    """Return what came of it to move slots from the first master to the second, and back, key by key."""
    tally = Tally()
    first, second = running.masters[:2]

    def move() -> None:
        counts = {slot: int(first.say("CLUSTER", "COUNTKEYSINSLOT", slot)) for slot in range(running.first_slot(1))}
        most = sorted(counts, key=lambda slot: -counts[slot])[:slots]
        for source, target in ((first, second), (second, first)):
            for slot in most:
                running.move_slot(slot, source, target, pause)

    asyncio.run(_while_saving(running, 0, tally, seed, move))
    return tally


def migrate(running: Cluster, *, seed: int = 0) -> Tally:
    """Return what came of it to move many slots as Valkey 9 does it by itself."""
    tally = Tally()
    first, second = running.masters[:2]

    def move() -> None:
        first.say("CLUSTER", "MIGRATESLOTS", "SLOTSRANGE", 0, 2000, "NODE", running.ids[second.port])
        for _ in range(300):
            if "success" in str(first.say("CLUSTER", "GETSLOTMIGRATIONS")):
                break
            time.sleep(0.1)
        time.sleep(1)

    asyncio.run(_while_saving(running, 0, tally, seed, move))
    return tally


def _print_races(rounds: int) -> int:
    lost, raced = 0, True
    with tempfile.TemporaryDirectory() as name, cluster(Path(name)) as running:
        for race in (*RACES, *MOVES):
            outcome = run_races(running.url, race, rounds)
            lost += outcome.lost
            raced &= 10 * outcome.at_once >= outcome.races
            one, other = outcome.met
            print(
                f"{race.name:24} {outcome.races:4} races, {outcome.at_once:4} at once; the other one was first for the "
                f"one in {one:4}, for the other in {other:4}; lost or brought back {outcome.lost}"
            )
    return lost or not raced


async def _spread(url: str, sessions: int) -> None:
    store = ClusterRedisStore(url)
    for _ in range(0, sessions, 500):
        keys = [secrets.token_hex(32) for _ in range(500)]
        await asyncio.gather(*(store.create(key, WriteRequest(b"x" * 300, _HOUR)) for key in keys))
    await store.close()


def _print_spread(sessions: int) -> int:
    with tempfile.TemporaryDirectory() as name, cluster(Path(name)) as running:
        empty = [int(node.client.info("memory")["used_memory"]) for node in running.masters]
        asyncio.run(_spread(running.url, sessions))
        counts = [int(node.say("DBSIZE")) for node in running.masters]
        full = [int(node.client.info("memory")["used_memory"]) for node in running.masters]
    bytes_each = (sum(full) - sum(empty)) / sessions
    print(f"{sessions} sessions on three masters: {counts}; {bytes_each:.0f} bytes each, with 300 bytes of contents")
    return min(counts) < sessions // 4


def _print_tally(name: str, tally: Tally) -> int:
    print(
        f"{name}: {tally.answered} visits answered, {tally.failed} not ({tally.elsewhere} of them on other shards, the "
        f"last one {tally.last_failure:.1f} s after), the longest took {tally.longest:.2f} s; acknowledged and lost: "
        f"{tally.lost}; wrong: {dict(Counter(tally.wrong))}"
        + (f"; a replica had taken over {tally.promoted:.1f} s after" if tally.promoted else "")
    )
    return len(tally.wrong)


def main() -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["kill", "hang", "reshard", "migrate", "races", "spread"])
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--wait", type=int, default=0)
    parser.add_argument("--replicas", type=int, help="of each master: one more than are waited for")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    match options.what:
        case "races":
            return _print_races(options.rounds)
        case "spread":
            return _print_spread(20_000)
        case "kill":
            tally = kill(options.rounds, wait=options.wait, replicas=options.replicas, seed=options.seed)
            return _print_tally(f"SIGKILL, {options.rounds} rounds, wait {options.wait}", tally)
        case "hang":
            return _print_tally("SIGSTOP", hang(seed=options.seed))
        case what:
            with tempfile.TemporaryDirectory() as name, cluster(Path(name)) as running:
                seed = options.seed
                tally = reshard(running, 300, seed=seed) if what == "reshard" else migrate(running, seed=seed)
            return _print_tally(what, tally) + tally.failed + tally.lost


if __name__ == "__main__":
    sys.exit(main())
