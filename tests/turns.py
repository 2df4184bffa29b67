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
        Exception: what any of the works has raised.
    """
    files = frozenset(str(PACKAGE / f"{module}.py") for module in modules)
    random, gates = Random(seed), [Semaphore(0) for _ in works]
    waiting, results, errors = {*range(len(works))}, dict[int, object](), list[BaseException]()

    def next_turn() -> None:
        gates[random.choice(sorted(waiting))].release()

    def run(number: int) -> None:
        def within(frame: FrameType, event: str, __: object) -> Any:
            if event == "opcode" and frame.f_lasti in turns_of(frame.f_code) and random.random() < CHANCE:
                next_turn()
                assert gates[number].acquire(timeout=SECONDS)
            return within

        def trace(frame: FrameType, _: str, __: object) -> Any:
            if frame.f_code.co_filename not in files:
                return None
            frame.f_trace_opcodes = True
            return within

        assert gates[number].acquire(timeout=SECONDS)
        sys.settrace(trace)
        try:
            results[number] = works[number]()
        except BaseException as error:  # noqa: BLE001 -- raised by the thread that waits for it
            errors.append(error)
        finally:
            sys.settrace(None)
            waiting.discard(number)
            if waiting:
                next_turn()

    threads = [Thread(target=run, args=(number,), daemon=True) for number in range(len(works))]
    for thread in threads:
        thread.start()
    next_turn()
    for thread in threads:
        thread.join(2 * SECONDS)
    for error in errors:
        raise error
    return [results[number] for number in range(len(works))]


@cache
def turns_of(code: CodeType) -> frozenset[int]:
    """Return the places in bytecode before which another thread may get its turn."""
    return frozenset(
        following.offset
        for instruction, following in pairwise(dis.get_instructions(code))
        if instruction.opname.startswith(("CALL", "JUMP_BACKWARD", "RESUME"))
    )
