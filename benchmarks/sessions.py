"""The main part: sessions opened and saved, by every contender."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from statistics import quantiles
from typing import Final, TypeAlias

from benchmarks.contenders import FLOOR, PEERS, SERIALIZERS, local_contenders, prove, stock
from benchmarks.measure import Comparison, compare
from benchmarks.payloads import SIZES, Size, values
from benchmarks.peers import peers
from benchmarks.rows import NESTED, ROWS, does, timed
from benchmarks.table import Table

__all__ = ["FAMILIES", "Column", "Findings", "find", "noise", "tables"]

Column: TypeAlias = tuple[str, str]
"""A contender's family and name."""

Findings: TypeAlias = Mapping[tuple[str, Size], Comparison[Column]]
"""What was found, by row and size."""

FAMILIES: Final[tuple[str, ...]] = (PEERS, *SERIALIZERS)

_NOTHING: Final = "-"


def find(*, seconds: float, refresh: bool, missing: Callable[[str], object]) -> Findings:
    """Return how many times faster than Quart's interface each contender is, at each row and size.

    Args:
        seconds: how long to measure, in all.
        refresh: whether each response sends the cookie of a session anew. The peers know no such thing: they are left
            out then.
        missing: called with a line for each contender that is not installed.

    Raises:
        BrokenContender: one does not do its work.
    """
    findings: dict[tuple[str, Size], Comparison[Column]] = {}
    blocks = [(row, size) for size in SIZES for row in ROWS if row != NESTED or "cart" in values(size)]
    for size in SIZES:
        base = stock(size, refresh=refresh)
        present, lines = ([], []) if refresh else peers(size)
        contenders = [*present, *local_contenders(size, refresh=refresh)]
        for contender in (base, *contenders):
            prove(contender)
        for line in lines if size == SIZES[0] else ():
            missing(line)
        for row in (row for row, of_size in blocks if of_size == size):
            candidates = {(each.family, each.name): timed(each, row) for each in contenders if does(each, row)}
            findings[row, size] = compare(timed(base, row), candidates, seconds=seconds / len(blocks))
    return findings


def tables(findings: Findings) -> list[Table]:
    """Return a table of the peers, and one for each of our formats, all beside the stock time and the floor."""
    return [_table(findings, family) for family in FAMILIES]


def noise(findings: Findings) -> float:
    """Return how far a figure may be off, as a fraction, in nine figures out of ten."""
    errors = [ratio.error for found in findings.values() for ratio in found.ratios.values()]
    return quantiles(errors, n=10)[-1]


def _table(findings: Findings, family: str) -> Table:
    columns = [column for column in _columns(findings) if column[0] in (family, FLOOR)]
    rows = [
        (f"{row}, {size}", f"{findings[row, size].base_microseconds:.0f}", *_figures(findings[row, size], columns))
        for row in ROWS
        for size in SIZES
        if (row, size) in findings
    ]
    title = "Other libraries" if family == PEERS else f"typed_sessions, {family}"
    return Table(title, ("times as fast as Quart", "Quart, us", *(name for _, name in columns)), tuple(rows))


def _columns(findings: Findings) -> list[Column]:
    """Return every column once, the floor last."""
    columns = dict.fromkeys(column for found in findings.values() for column in found.ratios)
    return sorted(columns, key=lambda column: column[0] == FLOOR)


def _figures(found: Comparison[Column], columns: list[Column]) -> list[str]:
    return [f"{found.ratios[column].median:.2f}" if column in found.ratios else _NOTHING for column in columns]
