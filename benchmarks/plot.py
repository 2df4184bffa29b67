"""The figure of the documentation: an SVG, written by hand."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from html import escape
from math import ceil, floor, log2
from typing import Final

from benchmarks.measure import Comparison
from benchmarks.payloads import SIZES
from benchmarks.rows import ONE_CHANGE
from benchmarks.sessions import FAMILIES, Column, Findings

__all__ = ["drawn"]

_LABELS: Final = 210
_PANEL: Final = 230
_GAP: Final = 44
_TOP: Final = 62
_BAR: Final = 12
_LINE: Final = 18
_BETWEEN: Final = 12
_MARGIN: Final = 34
"""In pixels, all of them."""

_STYLE: Final = """
svg { font: 12px system-ui, sans-serif; --ink: #1f2328; --soft: #59636e; --rule: #d1d9e0; --paper: #ffffff;
  --peers: #8c959f; --ours: #0969da; --floor: #57606a; }
@media (prefers-color-scheme: dark) {
  svg { --ink: #f0f6fc; --soft: #9198a1; --rule: #3d444d; --paper: #0d1117; --peers: #656c76; --ours: #4493f8;
    --floor: #9198a1; } }
text { fill: var(--ink); } .soft { fill: var(--soft); } .title { font-weight: 600; } .figure { font-size: 11px; }
.paper { fill: var(--paper); } .rule { stroke: var(--rule); } .one { stroke: var(--ink); }
.peers { fill: var(--peers); } .ours { fill: var(--ours); } .floor { fill: var(--floor); }
"""


def drawn(findings: Findings, row: str = ONE_CHANGE) -> str:
    """Return an SVG of one row: a panel for each size, a bar for each contender, from 1 to its figure.

    The axis is logarithmic: half as fast reaches as far to the left as twice as fast to the right.
    """
    found = {size: findings[row, size] for size in SIZES if (row, size) in findings}
    columns = _grouped({column: None for each in found.values() for column in each.ratios})
    figures = [ratio.median for each in found.values() for ratio in each.ratios.values()]
    least, most = min(-1, floor(log2(min(figures)))), max(1, ceil(log2(max(figures))))
    places = dict(_places(columns))
    bottom = max(places.values()) + _LINE
    width = _LABELS + len(found) * (_PANEL + _GAP) + _MARGIN
    title = f"{row}: times as fast as Quart's own interface"
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {bottom + _MARGIN}" role="img">',
        f"<title>{escape(title)}</title>",
        f"<style>{_STYLE}</style>",
        f'<rect class="paper" width="{width}" height="{bottom + _MARGIN}"/>',
        f'<text class="title" x="{_LABELS}" y="20">{escape(title)}</text>',
    ]
    for column, y in places.items():
        lines.append(f'<text x="{_LABELS - 12}" y="{y + _BAR - 2}" text-anchor="end">{escape(_label(column))}</text>')
    for number, (size, comparison) in enumerate(found.items()):
        left = _LABELS + number * (_PANEL + _GAP)
        lines.append(f'<text class="soft" x="{left}" y="42">{size}, Quart {comparison.base_microseconds:.0f} us</text>')
        lines += _panel(comparison, places, left=left, bottom=bottom, least=least, most=most)
    return "\n".join([*lines, "</svg>", ""])


def _panel(
    comparison: Comparison[Column], places: dict[Column, int], *, left: int, bottom: int, least: int, most: int
) -> Iterator[str]:
    scale = _PANEL / (most - least)
    for power in range(least, most + 1):
        x = left + (power - least) * scale
        kind = "rule" if power else "one"
        label = f"{2**power}" if power >= 0 else f"1/{2**-power}"
        yield f'<line class="{kind}" x1="{x:.1f}" y1="{_TOP - 10}" x2="{x:.1f}" y2="{bottom}"/>'
        yield f'<text class="soft figure" x="{x:.1f}" y="{bottom + 14}" text-anchor="middle">{label}</text>'
    one = left - least * scale
    for column, ratio in comparison.ratios.items():
        end = one + log2(ratio.median) * scale
        y = places[column]
        yield (
            f'<rect class="{_kind(column)}" x="{min(one, end):.1f}" y="{y}" width="{abs(end - one):.1f}" '
            f'height="{_BAR}"/>'
        )
        side, anchor = (4, "start") if end >= one else (-4, "end")
        yield (
            f'<text class="figure" x="{end + side:.1f}" y="{y + _BAR - 2}" text-anchor="{anchor}">'
            f"{_figure(ratio.median)}</text>"
        )


def _grouped(columns: Iterable[Column]) -> list[Column]:
    """Return the columns by family: the peers first, the floor last."""
    return sorted(columns, key=lambda column: (*FAMILIES, column[0]).index(column[0]))


def _places(columns: Iterable[Column]) -> Iterator[tuple[Column, int]]:
    """Return where each bar begins, from the top, with room between families."""
    y, before = _TOP, None
    for column in columns:
        y += _BETWEEN if before not in (None, column[0]) else 0
        yield column, y
        y, before = y + _LINE, column[0]


def _figure(ratio: float) -> str:
    return f"{ratio:.2f}" if ratio < 1 else f"{ratio:.1f}"


def _kind(column: Column) -> str:
    return column[0] if column[0] in ("peers", "floor") else "ours"


def _label(column: Column) -> str:
    family, name = column
    return f"{name}, {family}" if _kind(column) == "ours" else name
