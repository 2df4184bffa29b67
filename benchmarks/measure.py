"""Pairing: how many times faster one thing is than another, measured so that a busy machine does not decide it."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Generator, Hashable, Mapping
from contextlib import contextmanager
from math import sqrt
from random import Random
from statistics import median, quantiles
from typing import Final, Generic, TypeAlias, TypeVar

from attrs import frozen

__all__ = ["Comparison", "Ratio", "Timed", "compare"]

K = TypeVar("K", bound=Hashable)

Timed: TypeAlias = Callable[[int], int]
"""Does its work so many times, and returns the CPU time of this thread that it took, in nanoseconds."""

BATCH: Final = 300_000
"""In nanoseconds: short enough that both of a pair meet the same machine, long enough for the clock."""

_MOST_IN_BATCH: Final = 64
"""Each operation has a response of its own, which is made before and not timed, but takes its time."""

_WARMING: Final = 1

_TRIALS: Final = 5

_FEWEST_ROUNDS: Final = 2


@frozen
class Ratio:
    """How many times faster than the base: 2.0 takes half the time."""

    median: float
    low: float
    """A quarter of the rounds gave less."""
    high: float
    """A quarter of the rounds gave more."""
    rounds: int

    @property
    def error(self) -> float:
        """How far the median may be off, as a fraction of it: a notch of a box plot.

        Source: McGill, Tukey and Larsen, "Variations of Box Plots", 1978: medians that differ by more than both their
        notches differ with 95 percent confidence.
        """
        return 1.57 * (self.high - self.low) / sqrt(self.rounds) / self.median


@frozen
class Comparison(Generic[K]):
    """What one base and all its candidates gave."""

    base_microseconds: float
    """What the base takes, in this process on this machine: context, and no result."""
    ratios: Mapping[K, Ratio]


def compare(base: Timed, candidates: Mapping[K, Timed], *, seconds: float) -> Comparison[K]:
    """Return how many times faster than the base each candidate is.

    In each round every candidate is one of a pair with the base, and the pairs, and the two of a pair, come in another
    order each time. A ratio is that of a pair, and the result the median of all rounds. So what slows the machine for
    a while slows both of a pair, and what slows one of a few pairs is not in the median. (With the mean of two runs of
    the base, one before and one after, the base is 3 percent faster than itself: the mean has two chances to be slow.)

    Args:
        base: what the candidates are compared with.
        candidates: by name.
        seconds: how long to go on, by the wall clock. Two rounds are made however long they take.
    """
    ends = time.monotonic() + seconds
    base_batch = _batch(base)
    batches = {name: _batch(timed) for name, timed in candidates.items()}
    order = Random(0)  # noqa: S311 -- the same order in each process, and nothing secret
    base_times: list[float] = []
    ratios: dict[K, list[float]] = {name: [] for name in candidates}
    with _without_collection():
        rounds = 0
        while rounds < _FEWEST_ROUNDS or time.monotonic() < ends:
            rounds += 1
            names = list(candidates)
            order.shuffle(names)
            for name in names:
                pair = [(base, base_batch), (candidates[name], batches[name])]
                is_swapped = order.random() < 0.5  # noqa: PLR2004 -- a coin
                times = [_once(*one) for one in (reversed(pair) if is_swapped else pair)]
                base_time, own_time = reversed(times) if is_swapped else times
                base_times.append(base_time)
                ratios[name].append(base_time / own_time)
            gc.collect()
    return Comparison(median(base_times) / 1_000, {name: _ratio(found) for name, found in ratios.items()})


def _once(timed: Timed, batch: int) -> float:
    """Return what one operation takes, in nanoseconds.

    One goes before and does not count: it finds the processor's caches full of what ran before, which is not always
    the same.
    """
    timed(_WARMING)
    return timed(batch) / batch


def _ratio(found: list[float]) -> Ratio:
    low, middle, high = quantiles(found, n=4, method="inclusive")
    return Ratio(middle, low, high, len(found))


def _batch(timed: Timed) -> int:
    """Return how many operations make a batch: as many for what takes as long, so by the fastest of several trials."""
    once = max(1, min(timed(2) for _ in range(_TRIALS)) // 2)
    return max(1, min(_MOST_IN_BATCH, BATCH // once))


@contextmanager
def _without_collection() -> Generator[None, None, None]:
    """Keep the collector from charging one side of a pair with what the other side left behind."""
    was_enabled = gc.isenabled()
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        yield
    finally:
        gc.unfreeze()
        if was_enabled:
            gc.enable()
