"""Let two processes race for one record after another, and print what was lost: run it by hand.

    python -m tests.faults.races sqlite --races 1000
    python -m tests.faults.races redis://localhost/7

Each race is for a record of its own, and begins at a barrier.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import secrets
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from datetime import datetime, timedelta
from multiprocessing.synchronize import Barrier
from random import Random
from typing import ClassVar, Final

import msgspec
from attrs import frozen
from typing_extensions import override

from tests.faults.running import STORES, running
from tests.faults.visits import NAMESPACE, begin_session, visit
from typed_sessions.stores import (
    Conflict,
    Found,
    Gone,
    Lifetime,
    Moved,
    PlacedStore,
    Record,
    SessionStore,
    WriteRequest,
    open_store,
)
from typed_sessions.stores.identifiers import Identifier

__all__ = ["MOVES", "RACES", "Outcome", "now_of", "placed", "run_races"]

_HOUR: Final = Lifetime(timedelta(hours=1))
_PATIENCE: Final = 60


@frozen
class Outcome:
    """What came of all races of one kind."""

    races: int
    at_once: int
    """In so many each of the two began before the other one was through."""
    met: tuple[int, int]
    """In so many an answer has told the first one that the other one was before it, and the other way round."""
    lost: int
    """In so many something was lost, or came back."""


class Race(ABC):
    """One kind of race: what two processes do to one record at once."""

    name: ClassVar[str]

    delays: ClassVar[tuple[float, float]] = (0.001, 0.001)
    """How many seconds each side begins late at most, so that either may be first."""

    def key_of(self, store: SessionStore, key: str) -> str:  # noqa: ARG002 - some need it
        """Return the key of the record, where the store has a say in that."""
        return key

    @abstractmethod
    async def prepare(self, store: SessionStore, key: str) -> None:
        """Make the record. In the first process."""

    @abstractmethod
    async def run(self, store: SessionStore, key: str, side: int, record: Found) -> bool:
        """Do what this side does, and return True if the other one was in its way.

        Args:
            store: a client of this process.
            key: of the record.
            side: 0 or 1.
            record: what was loaded before the race.
        """

    @abstractmethod
    async def is_lost(self, store: SessionStore, key: str) -> bool:
        """Return True if the record is not as it has to be after the race."""


class DifferentFields(Race):
    """Both change a field of their own, by compare-and-swap."""

    name = "two changes"

    @override
    async def prepare(self, store: SessionStore, key: str) -> None:
        await store.create(key, WriteRequest(msgspec.json.encode({}), _HOUR))

    @override
    async def run(self, store: SessionStore, key: str, side: int, record: Found) -> bool:
        assert isinstance(record, Record)
        conflicts = 0
        while True:
            fields = {**msgspec.json.decode(record.payload), str(side): True}
            match await store.update(key, record.version, WriteRequest(msgspec.json.encode(fields), _HOUR)):
                case Conflict(present):
                    conflicts += 1
                    record = present
                case Record():
                    return conflicts > 0
                case answer:
                    raise AssertionError(answer)

    @override
    async def is_lost(self, store: SessionStore, key: str) -> bool:
        record = await store.load(key)
        return not isinstance(record, Record) or msgspec.json.decode(record.payload) != {"0": True, "1": True}


class Logout(Race):
    """One deletes what the other one changes, touches and moves."""

    name = "logout and a writer"
    delays = (0.001, 0.0)

    @override
    def key_of(self, store: SessionStore, key: str) -> str:
        return placed(store, key, "7")

    @override
    async def prepare(self, store: SessionStore, key: str) -> None:
        await store.create(key, WriteRequest(b"", _HOUR, "7", await store.now()))

    @override
    async def run(self, store: SessionStore, key: str, side: int, record: Found) -> bool:
        assert isinstance(record, Record)
        if side == 0:
            return not await store.delete(key)
        await store.touch(key, _HOUR)
        updated = await store.update(key, record.version, WriteRequest(b"late", _HOUR, "7"))
        return updated == Gone() or await store.touch(key, _HOUR) is None

    @override
    async def is_lost(self, store: SessionStore, key: str) -> bool:
        return await store.load(key) is not None or any(key == listed.key for listed in await store.ids_of("7"))


class Revocation(Race):
    """One ends the sessions of a subject while the other one logs in with what it learned before."""

    name = "revocation and a login"
    delays = (0.0005, 0.001)

    @override
    def key_of(self, store: SessionStore, key: str) -> str:
        return placed(store, key, _subject_of(key))

    @override
    async def prepare(self, store: SessionStore, key: str) -> None:
        await store.create(key, WriteRequest(b"", _HOUR, _subject_of(key), await store.now()))

    @override
    async def run(self, store: SessionStore, key: str, side: int, record: Found) -> bool:
        assert isinstance(record, Record)
        if side == 0:
            await store.delete_subject(_subject_of(key))
            return False
        answer = await store.create(self._new(key), WriteRequest(b"", _HOUR, _subject_of(key), record.as_of))
        return not isinstance(answer, Record)

    @override
    async def is_lost(self, store: SessionStore, key: str) -> bool:
        return bool(await store.ids_of(_subject_of(key)) or await store.load(key) or await store.load(self._new(key)))

    def _new(self, key: str) -> str:
        return key[:4] + _other(key)[4:]


class Rotation(Race):
    """One gives the record another key while the other one changes it: it is there once, and has the last change."""

    name = "rotation and a writer"

    @override
    async def prepare(self, store: SessionStore, key: str) -> None:
        await store.create(key, WriteRequest(b"", _HOUR))

    @override
    async def run(self, store: SessionStore, key: str, side: int, record: Found) -> bool:
        assert isinstance(record, Record)
        if side == 1:
            return not isinstance(await store.update(key, record.version, WriteRequest(b"changed", _HOUR)), Record)
        answer = await store.update(key, record.version, WriteRequest(record.payload, _HOUR), move_to=_other(key))
        if not isinstance(answer, Conflict):
            return False
        present = answer.present
        await store.update(key, present.version, WriteRequest(present.payload, _HOUR), move_to=_other(key))
        return True

    @override
    async def is_lost(self, store: SessionStore, key: str) -> bool:
        former, record = await store.load(key), await store.load(_other(key))
        if not isinstance(former, Moved) or not isinstance(record, Record):
            return True
        return former.target != _other(key) or record.issued != former.moved_at


class OneSession(Race):
    """Two requests of one visitor, with the session that an earlier one began."""

    @override
    async def prepare(self, store: SessionStore, key: str) -> None:
        await begin_session(store, _identifier(key))


class Requests(OneSession):
    """They change different fields of the session."""

    name = "two requests"

    @override
    async def run(self, store: SessionStore, key: str, side: int, record: Found) -> bool:
        async with visit(store, _identifier(key)) as session:
            await asyncio.sleep(0)
            session["one" if side == 0 else "other"] = True
        return len(session) > 2

    @override
    async def is_lost(self, store: SessionStore, key: str) -> bool:
        async with visit(store, _identifier(key)) as session:
            return dict(session) != {"begun": True, "one": True, "other": True}


class LogoutRequest(OneSession):
    """One ends the session that the other one changes."""

    name = "a logout and a request"

    @override
    async def run(self, store: SessionStore, key: str, side: int, record: Found) -> bool:
        async with visit(store, _identifier(key)) as session:
            await asyncio.sleep(0)
            if side == 0:
                session.invalidate()
            elif session:
                session["one"] = True
                return await store.load(NAMESPACE.key_of(_identifier(key))) is None
        return False

    @override
    async def is_lost(self, store: SessionStore, key: str) -> bool:
        return await store.load(NAMESPACE.key_of(_identifier(key))) is not None


class LogoutRotation(OneSession):
    """One ends the session that the other one gives another identifier: it is nowhere afterwards."""

    name = "a logout and a rotation"

    @override
    async def run(self, store: SessionStore, key: str, side: int, record: Found) -> bool:
        async with visit(store, _identifier(key)) as session:
            await asyncio.sleep(0)
            if side == 0:
                session.invalidate()
            elif session:
                session.regenerate()
                return await store.load(NAMESPACE.key_of(_identifier(key))) is None
        return side == 0 and isinstance(await store.load(NAMESPACE.key_of(_identifier(key))), Moved)

    @override
    async def is_lost(self, store: SessionStore, key: str) -> bool:
        found = await store.load(NAMESPACE.key_of(_identifier(key)))
        while isinstance(found, Moved):
            found = await store.load(found.target)
        return found is not None


class Move(Race):
    """One logs in with an anonymous session, which moves, while the other one does something else to it."""

    @override
    async def prepare(self, store: SessionStore, key: str) -> None:
        await store.create(key, WriteRequest(b"0", _HOUR))

    async def log_in(self, store: SessionStore, key: str, record: Record, whose: str) -> bool:
        """Log in as someone, with whatever the other side writes, and return True if it went through."""
        since = await now_of(store, whose)
        while True:
            write = WriteRequest(record.payload + b".", _HOUR, whose, since)
            answer = await store.update(key, record.version, write, move_to=_target(store, key, whose))
            if not isinstance(answer, Conflict):
                return isinstance(answer, Record)
            record = answer.present

    async def is_once(self, store: SessionStore, key: str, *subjects: str) -> bool:
        """Return True if there is one record, listed where it belongs, or none that is listed."""
        keys = [key, *(_target(store, key, subject) for subject in subjects)]
        found = [each for each in keys if isinstance(await store.load(each), Record)]
        listed = [one.key for subject in subjects for one in await store.ids_of(subject)]
        return len(found) <= 1 and listed == [each for each in found if each != key]


class LoginWriter(Move):
    """The other one changes it: what was acknowledged is there afterwards."""

    name = "a login and a writer"
    delays = (0.0, 0.001)

    @override
    async def run(self, store: SessionStore, key: str, side: int, record: Found) -> bool:
        assert isinstance(record, Record)
        if side == 0:
            assert await self.log_in(store, key, record, _subject_of(key))
            return False
        answer = await store.update(key, record.version, WriteRequest(b"1", _HOUR))
        if isinstance(answer, Record):
            await store.create(self._word(key), WriteRequest(b"", _HOUR))
        return not isinstance(answer, Record)

    @override
    async def is_lost(self, store: SessionStore, key: str) -> bool:
        record = await store.load(_target(store, key, _subject_of(key)))
        was_written = await store.load(self._word(key)) is not None
        return (
            not isinstance(record, Record)
            or record.payload != (b"1." if was_written else b"0.")
            or not await self.is_once(store, key, _subject_of(key))
        )

    def _word(self, key: str) -> str:
        """Return the key of the word that a change was acknowledged."""
        return key[32:] + key[:32]


class LoginLogout(Move):
    """The other one ends it: who is told that it has ended it finds nothing there."""

    name = "a login and a logout"
    delays = (0.0, 0.001)

    @override
    async def run(self, store: SessionStore, key: str, side: int, record: Found) -> bool:
        assert isinstance(record, Record)
        if side == 0:
            return not await self.log_in(store, key, record, _subject_of(key))
        return not await store.delete(key)

    @override
    async def is_lost(self, store: SessionStore, key: str) -> bool:
        former = await store.load(key)
        record = await store.load(_target(store, key, _subject_of(key)))
        return isinstance(record, Record) != isinstance(former, Moved) or not await self.is_once(
            store, key, _subject_of(key)
        )


class LoginRevocation(Move):
    """The other one ends the sessions of whom it becomes: the login began before."""

    name = "a login and a revocation"
    delays = (0.0, 0.001)

    @override
    async def run(self, store: SessionStore, key: str, side: int, record: Found) -> bool:
        assert isinstance(record, Record)
        if side == 0:
            await asyncio.sleep(0)
            write = WriteRequest(b"", _HOUR, _subject_of(key), record.as_of)
            target = _target(store, key, _subject_of(key))
            return not isinstance(await store.update(key, record.version, write, move_to=target), Record)
        await store.delete_subject(_subject_of(key))
        return False

    @override
    async def is_lost(self, store: SessionStore, key: str) -> bool:
        target = _target(store, key, _subject_of(key))
        return isinstance(await store.load(target), Record) or bool(await store.ids_of(_subject_of(key)))


class TwoLogins(Move):
    """Both log in, as different users: it is one's afterwards."""

    name = "two logins"

    @override
    async def run(self, store: SessionStore, key: str, side: int, record: Found) -> bool:
        assert isinstance(record, Record)
        return not await self.log_in(store, key, record, f"{_subject_of(key)}{side}")

    @override
    async def is_lost(self, store: SessionStore, key: str) -> bool:
        subjects = f"{_subject_of(key)}0", f"{_subject_of(key)}1"
        listed = [one for subject in subjects for one in await store.ids_of(subject)]
        return len(listed) != 1 or not await self.is_once(store, key, *subjects)


RACES: Final[tuple[Race, ...]] = (
    DifferentFields(),
    Logout(),
    Revocation(),
    Rotation(),
    Requests(),
    LogoutRequest(),
    LogoutRotation(),
)

MOVES: Final[tuple[Race, ...]] = (LoginWriter(), LoginLogout(), LoginRevocation(), TwoLogins())
"""In a store that keeps the records of a subject together, between two places."""


def run_races(url: str, race: Race, count: int) -> Outcome:
    """Return what came of so many races on the store of a URL."""
    context = multiprocessing.get_context("fork")
    barrier = context.Barrier(2)
    keys = [secrets.token_hex(32) for _ in range(count)]
    receivers, processes = [], []
    for side in (0, 1):
        receiver, sender = context.Pipe(duplex=False)
        process = context.Process(
            target=lambda side=side, sender=sender: sender.send(
                asyncio.run(_run_side(open_store(url), race, keys, side, barrier))
            )
        )
        process.start()
        sender.close()
        receivers.append(receiver)
        processes.append(process)
    (spans, met, lost), (other_spans, other_met, _) = (receiver.recv() for receiver in receivers)
    for process in processes:
        process.join(_PATIENCE)
    pairs = zip(spans, other_spans, strict=True)
    at_once = sum(max(one[0], other[0]) < min(one[1], other[1]) for one, other in pairs)
    return Outcome(count, at_once, (met, other_met), lost)


async def _run_side(
    store: SessionStore, race: Race, keys: Sequence[str], side: int, barrier: Barrier
) -> tuple[list[tuple[float, float]], int, int]:
    """Return when each race began and ended, in how many the other side was first, and in how many there was a loss."""
    spans, met, lost = list[tuple[float, float]](), 0, 0
    random = Random(side)  # noqa: S311 -- only for variety
    for each in keys:
        key = race.key_of(store, each)
        if side == 0:
            await race.prepare(store, key)
        barrier.wait(_PATIENCE)
        record = await store.load(key)
        barrier.wait(_PATIENCE)
        time.sleep(random.random() * race.delays[side])  # noqa: ASYNC251 - an event loop's goes by milliseconds
        began = time.monotonic()
        met += await race.run(store, key, side, record)
        spans.append((began, time.monotonic()))
        barrier.wait(_PATIENCE)
        if side == 0:
            lost += await race.is_lost(store, key)
    await store.close()
    return spans, met, lost


def _identifier(key: str) -> Identifier:
    return Identifier(key[:43])


def _other(key: str) -> str:
    return key[::-1]


def _subject_of(key: str) -> str:
    return f"u{key[4:]}"


def placed(store: SessionStore, key: str, subject: str) -> str:
    """Return a key for a record of a subject."""
    return store.place_of(subject) + key[4:] if isinstance(store, PlacedStore) else key


def _target(store: SessionStore, key: str, subject: str) -> str:
    """Return the key that a record gets with a log-in: no two are the same, also where the places are."""
    return placed(store, _other(key)[:-1] + subject[-1], subject)


async def now_of(store: SessionStore, subject: str) -> datetime:
    """Return the time by which the revocations of a subject go."""
    return await (store.now(subject) if isinstance(store, PlacedStore) else store.now())


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("store", help=f"the URL of a store, or one of: {', '.join(STORES)}")
    parser.add_argument("--races", type=int, default=1000)
    arguments = parser.parse_args()
    lost = 0
    print(f"{arguments.store}\n{'':24} {'races':>8} {'at once':>8} {'met':>8} {'lost':>8}")
    for race in (*RACES, *MOVES):
        with running(arguments.store) as store:
            outcome = run_races(store.url, race, arguments.races)
        met = " + ".join(map(str, outcome.met))
        print(f"{race.name:24} {outcome.races:8} {outcome.at_once:8} {met:>8} {outcome.lost:8}")
        lost += outcome.lost
    return 1 if lost else 0


if __name__ == "__main__":
    sys.exit(main())
