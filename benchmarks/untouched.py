"""A request that leaves its session alone, under default settings, beside what Quart takes to open one."""

from __future__ import annotations

from time import thread_time_ns
from typing import Final

from benchmarks.contenders import SECRET_KEY, SERIALIZERS, Contender, finished, prove, stock, with_attrs_class
from benchmarks.measure import Timed, compare
from benchmarks.payloads import SIZES, Size
from benchmarks.rows import UNTOUCHED, timed
from benchmarks.table import Table

__all__ = ["untouched_table"]

_DEFAULTS: Final = {"SECRET_KEY": SECRET_KEY}


def untouched_table(*, seconds: float, sizes: tuple[Size, ...] = SIZES) -> Table:
    """Return how many times as fast as Quart's opening alone a session is that is opened, left alone and saved.

    All settings are as they are by default: a permanent session is refreshed when a tenth of its lifetime is over, and
    none is due. Quart's interface would send the cookie anew with each response; that is not counted.

    Args:
        seconds: how long to measure, in all.
        sizes: of what the sessions hold.

    Raises:
        BrokenContender: a session does not do its work.
    """
    rows: list[tuple[str, ...]] = []
    for size in sizes:
        base = stock(size, refresh=True)
        ours = with_attrs_class(size, _DEFAULTS)
        for contender in (base, *ours):
            contender.writes_unchanged = contender is base
            prove(contender)
        candidates = {each.name: timed(each, UNTOUCHED) for each in ours}
        found = compare(_opening(base), candidates, seconds=seconds / len(sizes))
        figures = (f"{found.ratios[name].median:.2f}" for name in candidates)
        rows.append((f"untouched, {size}", f"{found.base_microseconds:.0f}", *figures))
    names = (f"attrs, {serializer}" for serializer in SERIALIZERS)
    return Table("Untouched, default settings", ("times as fast as Quart opens", "Quart, us", *names), tuple(rows))


def _opening(contender: Contender) -> Timed:
    """Return what opens a session and does no more."""

    async def run(count: int) -> int:
        started = thread_time_ns()
        for _ in range(count):
            await contender.open()
        return thread_time_ns() - started

    def timed_run(count: int) -> int:
        with contender.context():
            return finished(run(count))

    return timed_run
