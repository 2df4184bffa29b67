"""What each contender is timed at."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from time import thread_time_ns
from typing import Any, Final, TypeAlias

from benchmarks.contenders import Contender, finished
from benchmarks.measure import Timed

__all__ = ["NESTED", "ONE_CHANGE", "READ_ONLY", "ROWS", "UNTOUCHED", "Row", "does", "timed"]

Row: TypeAlias = Callable[[Contender, int], Coroutine[Any, Any, int]]
"""Does something so many times, and returns the nanoseconds that it took. What is made before is not timed."""

ONE_CHANGE: Final = "open + save, one change"
READ_ONLY: Final = "read only"
NESTED: Final = "nested change"
UNTOUCHED: Final = "untouched"


async def _open(contender: Contender, count: int) -> int:
    started = thread_time_ns()
    for _ in range(count):
        contender.read(await contender.open())
    return thread_time_ns() - started


async def _save(contender: Contender, count: int) -> int:
    changed: list[tuple[Any, Any]] = []
    for _ in range(count):
        session = await contender.open()
        contender.change(session)
        changed.append((session, contender.response()))
    started = thread_time_ns()
    for session, response in changed:
        await contender.save(session, response)
    return thread_time_ns() - started


def _request(used_by: Callable[[Contender], Callable[[Any], object]]) -> Row:
    """Return a row that opens a session, has a method of the contender's use it, and saves it."""

    async def run(contender: Contender, count: int) -> int:
        responses = [contender.response() for _ in range(count)]
        use = used_by(contender)
        started = thread_time_ns()
        for response in responses:
            session = await contender.open()
            use(session)
            await contender.save(session, response)
        return thread_time_ns() - started

    return run


def _leave(session: object) -> None:
    """Do nothing with a session."""


ROWS: Final[Mapping[str, Row]] = {
    "open": _open,
    "save": _save,
    ONE_CHANGE: _request(lambda contender: contender.change),
    READ_ONLY: _request(lambda contender: contender.read),
    UNTOUCHED: _request(lambda _: _leave),
    NESTED: _request(lambda contender: contender.change_nested),
}
"""By name, in the order of the table."""


def does(contender: Contender, row: str) -> bool:
    """Return True if a row means something for a contender and its contents."""
    if row == NESTED:
        return contender.is_nested
    return row != UNTOUCHED or not contender.opens_untouched


def timed(contender: Contender, row: str) -> Timed:
    """Return a contender's work in a row, for `compare`."""
    run = ROWS[row]

    def timed_run(count: int) -> int:
        with contender.context():
            return finished(run(contender, count))

    return timed_run
