"""How much memory one request takes for its session, at its peak."""

from __future__ import annotations

import gc
import tracemalloc
from statistics import median
from typing import Final

from benchmarks.contenders import Contender, finished, local_contenders, prove, stock
from benchmarks.payloads import SIZES
from benchmarks.peers import peers
from benchmarks.table import Table

__all__ = ["memory_table"]

_REPEATS: Final = 7


def memory_table() -> Table:
    """Return what Python allocates for a session that is opened, changed and saved, in KiB.

    First what is held while the handler runs, which counts once for each request at work; then the peak.
    """
    figures: dict[tuple[str, str], list[str]] = {}
    for size in SIZES:
        for contender in (stock(size), *peers(size)[0], *local_contenders(size)):
            prove(contender)
            held, peak = _kibibytes(contender)
            figures.setdefault((contender.family, contender.name), []).extend((f"{held:.1f}", f"{peak:.1f}"))
    rows = [(f"{name}, {family}", *found) for (family, name), found in figures.items()]
    headings = tuple(f"{size}, {when}" for size in SIZES for when in ("held", "peak"))
    return Table("Memory of open + save, one change, KiB", ("", *headings), tuple(rows))


def _kibibytes(contender: Contender) -> tuple[float, float]:
    gc.collect()
    gc.disable()
    tracemalloc.start()
    try:
        with contender.context():
            found = [finished(_request(contender)) for _ in range(_REPEATS)]
    finally:
        tracemalloc.stop()
        gc.enable()
    held, peak = (median(figures) / 1024 for figures in zip(*found, strict=True))
    return held, peak


async def _request(contender: Contender) -> tuple[int, int]:
    """Return the bytes that are held once a session is changed, and the most that there were until it is saved."""
    response = contender.response()
    before, _ = tracemalloc.get_traced_memory()
    tracemalloc.reset_peak()
    session = await contender.open()
    contender.change(session)
    held, _ = tracemalloc.get_traced_memory()
    await contender.save(session, response)
    _, peak = tracemalloc.get_traced_memory()
    return held - before, peak - before
