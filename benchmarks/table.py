"""`Table`: what was found, as text for a terminal and for a page."""

from __future__ import annotations

from attrs import frozen

__all__ = ["Table"]


@frozen
class Table:
    """Rows under headings. The first column says what a row is of; the others are figures."""

    title: str
    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def as_text(self) -> str:
        """Return the table with aligned columns."""
        widths = [max(map(len, column)) for column in zip(self.headings, *self.rows, strict=True)]
        lines = [
            "  ".join([cells[0].ljust(widths[0]), *map(str.rjust, cells[1:], widths[1:])]).rstrip()
            for cells in (self.headings, *self.rows)
        ]
        return "\n".join([self.title, "", *lines, ""])

    def as_markdown(self) -> str:
        """Return the table as Markdown, under a heading."""
        ruler = ("---", *["---:"] * (len(self.headings) - 1))
        lines = ["| " + " | ".join(cells) + " |" for cells in (self.headings, ruler, *self.rows)]
        return "\n".join([f"### {self.title}", "", *lines, ""])
