"""What encryption costs: the same session in an encrypted cookie and in a signed one."""

from __future__ import annotations

from benchmarks.contenders import SERIALIZERS, OursWithClass, prove, quart_config, with_attrs_class
from benchmarks.measure import compare
from benchmarks.payloads import SIZES, Size
from benchmarks.rows import NESTED, ONE_CHANGE, READ_ONLY, does, timed
from benchmarks.table import Table

__all__ = ["encryption_table"]


def encryption_table(*, seconds: float, sizes: tuple[Size, ...] = SIZES) -> Table:
    """Return how many times as long a request takes whose cookie is encrypted as one whose cookie is signed.

    Args:
        seconds: how long to measure, in all.
        sizes: of what the sessions hold.

    Raises:
        BrokenContender: a session does not do its work.
    """
    contenders = {size: (_ours(size, "off"), _ours(size, "on")) for size in sizes}
    blocks = [
        (row, size) for row in (ONE_CHANGE, READ_ONLY, NESTED) for size in sizes if does(contenders[size][0][0], row)
    ]
    share = seconds / len(blocks) / len(SERIALIZERS)
    rows = [
        (f"{row}, {size}", *(_ratio(*pair, row, share) for pair in zip(*contenders[size], strict=True)))
        for row, size in blocks
    ]
    return Table("Encrypted, beside signed: times as long", ("attrs", *SERIALIZERS), tuple(rows))


def _ours(size: Size, encryption: str) -> list[OursWithClass]:
    return with_attrs_class(size, {**quart_config(refresh=False), "SESSION_ENCRYPTION": encryption})


def _ratio(signed: OursWithClass, encrypted: OursWithClass, row: str, seconds: float) -> str:
    for contender in (signed, encrypted):
        prove(contender)
    found = compare(timed(signed, row), {"encrypted": timed(encrypted, row)}, seconds=seconds)
    return f"{1 / found.ratios['encrypted'].median:.2f}"
