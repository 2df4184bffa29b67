"""Kill a server, or an application without one, while it saves, and see what is stored then: run it by hand.

    python -m tests.faults.kill sqlite --rounds 200

In each round a process creates, changes, moves and deletes records, all at once, and says through a pipe what it is
going to do, and what has been answered. At some moment SIGKILL comes. Afterwards every record has to be as the last
answer said, or as the call that was not answered any more would have made it; nothing else may be there. Each key that
it had before says where it has moved.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import os
import secrets
import signal
import sys
from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime, timedelta
from random import Random
from typing import Final, TypeAlias

import msgspec
from attrs import Factory, asdict, define, frozen

from tests.faults.running import STORES, Running, running
from typed_sessions.stores import Lifetime, Moved, Record, SessionStore, WriteRequest, open_store

__all__ = ["Outcome", "run_rounds"]

_SLOTS: Final = 16
"""So many records are written at once."""
_MOST_ANSWERS: Final = 400
"""SIGKILL comes after at most so many."""
_LARGEST: Final = 8000
"""In bytes: some payloads take several pages."""
_NUMBER_SIZE: Final = 8
_STRIDE: Final = 2_654_435_761
_HOUR: Final = Lifetime(timedelta(hours=1))

State: TypeAlias = tuple[str, int] | None
"""The key and the number of what is stored in a slot; None if nothing is."""


class _Step(msgspec.Struct, array_like=True):
    """What is going to be the state of a slot, or, as an answer, what is."""

    slot: int
    is_answered: bool
    state: State


@define
class _Slot:
    """What is known of a slot."""

    answered: State = None
    intended: State = None
    keys: set[str] = Factory(set[str])
    moves: dict[str, str] = Factory(dict[str, str])
    """Where to each key has moved, or was about to."""

    def intend(self, state: State) -> None:
        """Note what is going to be the state, or what is."""
        self.intended = state
        if state is None:
            return
        key, _ = state
        self.keys.add(key)
        if self.answered is not None and self.answered[0] != key:
            self.moves[self.answered[0]] = key

    def moves_in(self, state: State) -> dict[str, str]:
        """Return the moves that led to a state: the last one may not have taken place."""
        return {former: key for former, key in self.moves.items() if state is None or former != state[0]}


@frozen
class Outcome:
    """What came of all rounds."""

    rounds: int
    answered: int
    """So many changes were answered before SIGKILL came."""
    unanswered: int
    """So many were in flight then."""
    took_place: int
    """Of those, so many did take place."""
    wrong: int
    """So many slots were as nothing could have made them."""


def run_rounds(store: Running, rounds: int, seed: int = 0) -> Outcome:
    """Return what came of so many rounds on a store."""
    random = Random(seed)  # noqa: S311 -- the same rounds again
    outcomes = [_run_round(store, random) for _ in range(rounds)]
    answered, unanswered, took_place, wrong = (sum(column) for column in zip(*outcomes, strict=True))
    return Outcome(rounds, answered, unanswered, took_place, wrong)


def _run_round(store: Running, random: Random) -> tuple[int, int, int, int]:
    reader, writer = os.pipe()
    subjects = [secrets.token_hex(8) for _ in range(_SLOTS)]
    process = os.fork()
    if process == 0:
        os.close(reader)
        with suppress(BaseException):
            asyncio.run(_save_without_end(open_store(store.url), subjects, writer))
        os._exit(0)
    os.close(writer)
    slots, answered = _watched(reader, process, store, random.randint(1, _MOST_ANSWERS))
    os.waitpid(process, 0)
    wrong, took_place = asyncio.run(_compared(open_store(store.url), subjects, slots))
    unanswered = sum(slot.answered != slot.intended for slot in slots.values())
    return answered, unanswered, took_place, wrong


def _watched(reader: int, process: int, store: Running, last: int) -> tuple[dict[int, _Slot], int]:
    """Send SIGKILL after so many answers, and return what the process has said by then, and the number of answers."""
    slots = defaultdict[int, _Slot](_Slot)
    answered = 0
    for step in _steps(reader):
        slot = slots[step.slot]
        slot.intend(step.state)
        if not step.is_answered:
            continue
        slot.answered = step.state
        answered += 1
        if answered == last:
            if store.crash:
                store.crash()
            os.kill(process, signal.SIGKILL)
    return slots, answered


def _steps(reader: int) -> Iterator[_Step]:
    """Yield what a process says, to the end. A last line that was cut off tells of nothing that was begun."""
    decoder = msgspec.json.Decoder(_Step)
    with os.fdopen(reader, "rb") as lines:
        for line in lines:
            if line.endswith(b"\n"):
                yield decoder.decode(line)


async def _compared(store: SessionStore, subjects: list[str], slots: dict[int, _Slot]) -> tuple[int, int]:
    """Return how many slots are wrong, and how many are as a call made them that was not answered."""
    wrong = took_place = 0
    for number, slot in slots.items():
        found = {key: await store.load(key) for key in slot.keys}
        records = {key: _number_in(record.payload) for key, record in found.items() if isinstance(record, Record)}
        moves = {key: note.target for key, note in found.items() if isinstance(note, Moved)}
        listed = {one.key for one in await store.ids_of(subjects[number])}
        state = next(iter(records.items()), None)
        is_known = len(records) <= 1 and state in (slot.answered, slot.intended)
        if not is_known or listed != set(records) or moves != slot.moves_in(state):
            wrong += 1
        elif state != slot.answered:
            took_place += 1
    await store.close()
    return wrong, took_place


async def _save_without_end(store: SessionStore, subjects: list[str], writer: int) -> None:
    await asyncio.gather(*(_Saving(store, slot, subject, writer).run() for slot, subject in enumerate(subjects)))


@define
class _Saving:
    """What one of the tasks of the process does to its slot."""

    store: SessionStore
    slot: int
    subject: str
    writer: int
    number: int = Factory(lambda: secrets.randbits(32))

    async def run(self) -> None:
        while True:
            key, record = await self._create()
            while secrets.randbelow(10):
                key, record = await self._update(key, record)
            await self._delete(key)

    async def _create(self) -> tuple[str, Record]:
        key = secrets.token_hex(32)
        state = self._next(key)
        answer = await self.store.create(key, self._written(await self.store.now()))
        return key, self._answered(answer, state)

    async def _update(self, key: str, record: Record) -> tuple[str, Record]:
        moved = key if secrets.randbelow(4) else secrets.token_hex(32)
        state = self._next(moved)
        written = self._written(record.as_of)
        answer = await self.store.update(key, record.version, written, move_to=None if moved == key else moved)
        return moved, self._answered(answer, state)

    async def _delete(self, key: str) -> None:
        self._say(_Step(self.slot, is_answered=False, state=None))
        assert await self.store.delete(key)
        self._say(_Step(self.slot, is_answered=True, state=None))

    def _next(self, key: str) -> State:
        self.number += 1
        state = (key, self.number)
        self._say(_Step(self.slot, is_answered=False, state=state))
        return state

    def _written(self, as_of: datetime) -> WriteRequest:
        return WriteRequest(_payload(self.number), _HOUR, self.subject, as_of)

    def _answered(self, answer: object, state: State) -> Record:
        assert isinstance(answer, Record)
        self._say(_Step(self.slot, is_answered=True, state=state))
        return answer

    def _say(self, step: _Step) -> None:
        os.write(self.writer, msgspec.json.encode(step) + b"\n")


def _payload(number: int) -> bytes:
    """Return what is told from all others, and from a part of it."""
    start = number.to_bytes(_NUMBER_SIZE)
    return start + hashlib.shake_256(start).digest(number * _STRIDE % _LARGEST)


def _number_in(payload: bytes) -> int:
    """Return the number of a payload, or -1 if it is not whole."""
    number = int.from_bytes(payload[:_NUMBER_SIZE])
    return number if payload == _payload(number) else -1


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("store", choices=STORES)
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    with running(arguments.store) as store:
        outcome = run_rounds(store, arguments.rounds, arguments.seed)
    print(arguments.store)
    for name, number in asdict(outcome).items():
        print(f"{name.replace('_', ' '):12} {number:8}")
    return 1 if outcome.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
