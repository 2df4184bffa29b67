"""Threads that take turns within the library, as a seed says: what a race may do, it does again."""

from __future__ import annotations

import dis
import sys
from collections.abc import Callable, Sequence
from functools import cache
from itertools import pairwise
from pathlib import Path
from random import Random
from threading import Semaphore, Thread
from types import CodeType, FrameType
from typing import Any, Final

import typed_sessions

__all__ = ["in_turns"]

PACKAGE: Final = Path(typed_sessions.__file__).parent
SECONDS: Final = 30
"""How long a turn may take."""
CHANCE: Final = 0.2
"""How often a thread that might get its turn does."""


def in_turns(seed: int, modules: Sequence[str], works: Sequence[Callable[[], object]]) -> list[object]:
    """Do each work in a thread of its own, and return what they return.

    One thread runs at a time. Another one gets its turn where CPython may give it one: after calls, at the begin of
    functions, and where loops begin again.

    Args:
        seed: what decides whose turn it is.
        modules: where turns are taken, such as `core/session`. No code in there may hold a lock.
        works: what the threads do.

    Raises:
        BaseException: what any of the works has raised.
    """
    files = frozenset(str(PACKAGE / f"{module}.py") for module in modules)
    turns = Turns(Random(seed), files, len(works))  # noqa: S311 -- a schedule is no secret
    threads = [Thread(target=turns.work, args=each, daemon=True) for each in enumerate(works)]
    for thread in threads:
        thread.start()
    turns.give()
    for thread in threads:
        thread.join(len(works) * SECONDS)
    for error in turns.errors:
        raise error
    return [turns.results[number] for number in range(len(works))]


class Turns:
    """Whose turn it is, of threads that are known by their numbers."""

    def __init__(self, random: Random, files: frozenset[str], count: int) -> None:
        self._random = random
        self._files = files
        self._gates = [Semaphore(0) for _ in range(count)]
        self._unfinished = {*range(count)}
        self.results: dict[int, object] = {}
        self.errors: list[BaseException] = []

    def give(self) -> None:
        """Let some thread go on, perhaps the one that asks, which has to wait for its turn."""
        self._gates[self._random.choice(sorted(self._unfinished))].release()

    def await_own(self, number: int) -> None:
        assert self._gates[number].acquire(timeout=SECONDS), "a thread waits for another one's lock"

    def work(self, number: int, act: Callable[[], object]) -> None:
        """Do the work of a thread, in turns."""

        def within(frame: FrameType, event: str, _: object) -> Any:
            if event == "opcode" and frame.f_lasti in places_of(frame.f_code) and self._random.random() < CHANCE:
                self.give()
                self.await_own(number)
            return within

        def trace(frame: FrameType, _: str, __: object) -> Any:
            frame.f_trace_opcodes = frame.f_code.co_filename in self._files
            return within if frame.f_trace_opcodes else None

        self.await_own(number)
        sys.settrace(trace)
        try:
            self.results[number] = act()
        except BaseException as error:  # noqa: BLE001 -- raised by the thread that waits for all
            self.errors.append(error)
        finally:
            sys.settrace(None)
            self._unfinished.discard(number)
            if self._unfinished:
                self.give()


@cache
def places_of(code: CodeType) -> frozenset[int]:
    """Return the places in bytecode before which another thread may get its turn."""
    return frozenset(
        following.offset
        for instruction, following in pairwise(dis.get_instructions(code))
        if instruction.opname.startswith(("CALL", "JUMP_BACKWARD", "RESUME"))
    )
