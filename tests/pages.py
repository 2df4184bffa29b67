"""The pages that users read: the README, and those of the site but for the ones for maintainers."""

from __future__ import annotations

import re
from pathlib import Path

__all__ = ["DOCS", "ROOT", "USER_PAGES", "blocks_of", "fences_of", "long_sentences", "rows_of", "text_of"]

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
USER_PAGES = sorted(
    [
        "index.md",
        *(path.relative_to(DOCS).as_posix() for path in DOCS.glob("*/*.md") if path.parent.name != "maintainers"),
    ]
)
"""Of the site, as paths within `docs/`."""

MOST_WORDS = 30


def text_of(page: str) -> str:
    return (DOCS / page).read_text(encoding="utf-8")


def blocks_of(page: str, fence: str = "python") -> list[str]:
    return re.findall(rf"^```{fence}\n(.*?)^```", text_of(page), re.DOTALL | re.MULTILINE)


def fences_of(page: str) -> list[str]:
    """Return the kinds of a page's blocks, such as `python`. What is for Sphinx is none."""
    return [kind for kind in re.findall(r"^```(.*)\n(?:.*\n)*?^```", text_of(page), re.MULTILINE) if kind[:1] != "{"]


def rows_of(page: str) -> list[list[str]]:
    """Return the cells of all tables of a page."""
    lines = text_of(page).splitlines()
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines if line.startswith("| ")]


def long_sentences(text: str) -> list[str]:
    """Return the sentences of Markdown that nobody reads to their end. Code, tables and headings have none."""
    text = re.sub(r"^```.*?^```$|^(?:\||#).*?$", "", text, flags=re.DOTALL | re.MULTILINE)
    text = re.sub(r"\]\([^)]*\)", "]", re.sub(r"^ *(?:[-*]|\d+\.) ", "\n\n", text, flags=re.MULTILINE))
    sentences = re.split(r"(?<=[.:?!])(?:\)|\*\*)?\s|\n\s*\n| · ", text)
    return [each for each in sentences if len(each.split()) > MOST_WORDS]
