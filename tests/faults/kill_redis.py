"""Kill a Valkey server with an append-only file while sessions are saved: `python -m tests.faults.kill_redis`.

After each restart every record must be the one that was acknowledged last or the one that was under way, whole and
under one key, and the key that it had before must say where it has moved; and a revocation that was acknowledged must
be known.
"""

from __future__ import annotations

import argparse
import asyncio
import secrets
import sys
import tempfile
import time
from datetime import datetime, timedelta
from pathlib import Path
from random import Random
from typing import Final

from attrs import define, field

from tests.valkey_servers import valkey, valkey_url
from typed_sessions.errors import StoreUnavailableError
from typed_sessions.stores.base import Found, Lifetime, Moved, Record, Revoked, SessionStore, WriteRequest
from typed_sessions.stores.redis import RedisStore

VISITORS: Final = 16
LIFETIME: Final = Lifetime(timedelta(days=1))


@define
class Tally:
    """What was seen in all rounds."""

    rounds: int = 0
    acknowledged: int = 0
    """Saves, moves and revocations."""
    under_way: int = 0
    """Saves and moves that the server did not answer any more."""
    took_place: int = 0
    """Those of them that took place."""
    wrong: list[str] = field(factory=list[str])


@define
class Visitor:
    """A visitor who saves and moves a session, and knows what has to be there."""

    store: SessionStore
    random: Random
    subject: str
    key: str = ""
    record: Record | None = None
    former: str | None = None
    """The key that the record had before this one."""
    under_way: tuple[str, bytes] | None = None
    revoked: datetime | None = None

    async def come(self) -> None:
        """Start with a record, whatever was there."""
        self.key, self.former, self.under_way = secrets.token_hex(32), None, None
        written = WriteRequest(self.payload(), LIFETIME, self.subject, as_of=await self.store.now())
        record = await self.store.create(self.key, written)
        assert isinstance(record, Record)
        self.record = record

    def payload(self) -> bytes:
        return secrets.token_hex(4).encode() * self.random.randrange(1, 500)

    async def save_again_and_again(self, tally: Tally) -> None:
        """Save until the server is gone."""
        while True:
            await asyncio.sleep(self.random.random() * 0.002)
            assert self.record is not None
            target = self.random.choice((self.key, secrets.token_hex(32)))
            written = WriteRequest(self.payload(), LIFETIME, self.subject)
            self.under_way = target, written.payload
            try:
                moved = await self.store.update(self.key, self.record.version, written, move_to=target)
                assert isinstance(moved, Record)
                if target != self.key:
                    self.key, self.former = target, self.key
                self.record, self.under_way = moved, None
                revoked = await self.store.delete_subject(self.subject, spare=self.key)
            except StoreUnavailableError:
                return  # what was asked of a revocation matters only if it was acknowledged
            self.revoked = revoked
            tally.acknowledged += 2

    async def look(self, tally: Tally) -> None:
        """Compare what is there with what has to be."""
        assert self.record is not None
        key, expected = self.key, {self.key: _seen(self.record)}
        keys = {self.key}
        if self.former is not None:
            keys.add(self.former)
            expected[self.former] = self.key
        if self.under_way is not None:
            tally.under_way += 1
            target, payload = self.under_way
            keys.add(target)
            if _seen(await self.store.load(target)) == payload:
                tally.took_place += 1
                key, expected = target, {**expected, self.key: target, target: payload}
        found = {each: _seen(await self.store.load(each)) for each in keys}
        if {each: seen for each, seen in found.items() if seen is not None} != expected:
            tally.wrong.append("a record is neither the old one nor the new one, or a former key does not lead to it")
        if [listed.key for listed in await self.store.ids_of(self.subject)] != [key]:
            tally.wrong.append("a subject's list is not that of its records")
        if self.revoked is not None:
            late = WriteRequest(b"", LIFETIME, self.subject, as_of=self.revoked - timedelta(microseconds=1))
            if await self.store.create(secrets.token_hex(32), late) != Revoked():
                tally.wrong.append("a revocation is forgotten")


def _seen(found: Found) -> bytes | str | None:
    """Return the payload of a record, or where one has moved."""
    match found:
        case Record():
            return found.payload
        case Moved():
            return found.target
        case None:
            return None


async def one_round(directory: Path, random: Random, tally: Tally) -> None:
    """Save, kill, start again, look."""
    store = RedisStore(valkey_url(directory))
    visitors = [Visitor(store, random, secrets.token_hex(4)) for _ in range(VISITORS)]
    with valkey(directory, appendonly="yes", appendfsync="always") as server:
        await asyncio.gather(*(visitor.come() for visitor in visitors))
        saves = [asyncio.create_task(visitor.save_again_and_again(tally)) for visitor in visitors]
        before = tally.acknowledged
        while tally.acknowledged == before:  # noqa: ASYNC110 - they count, and signal nothing
            await asyncio.sleep(random.uniform(0.005, 0.1))
        server.terminate()
        await asyncio.gather(*saves)
    with valkey(directory, appendonly="yes", appendfsync="always"):
        await asyncio.gather(*(visitor.look(tally) for visitor in visitors))
        await asyncio.gather(*(store.delete_subject(visitor.subject) for visitor in visitors))
    tally.rounds += 1
    await store.close()


def kill(rounds: int, seed: int) -> Tally:
    """Return what was seen in so many rounds."""
    tally, random = Tally(), Random(seed)  # noqa: S311 - chance, not secrets
    with tempfile.TemporaryDirectory() as directory:
        for _ in range(rounds):
            asyncio.run(one_round(Path(directory), random, tally))
    return tally


def main() -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    options = parser.parse_args()
    tally = kill(options.rounds, options.seed)
    print(
        f"Valkey, SIGKILL, appendfsync always, seed {options.seed}: {tally.rounds} rounds, "
        f"{tally.acknowledged} changes acknowledged, {tally.under_way} under way ({tally.took_place} took place), "
        f"{len(tally.wrong)} wrong {sorted(set(tally.wrong))}"
    )
    return bool(tally.wrong)


if __name__ == "__main__":
    sys.exit(main())
