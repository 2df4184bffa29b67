"""`python -m benchmarks`: prints what README.md, beside this file, says how to read."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from benchmarks.asgi import asgi_table
from benchmarks.bounds import bound_table
from benchmarks.costs import costs_table
from benchmarks.encryption import encryption_table
from benchmarks.extras import extras_table
from benchmarks.frameworks import framework_table, write_page
from benchmarks.growth import growth_tables
from benchmarks.imports import import_table
from benchmarks.memory import memory_table
from benchmarks.plot import drawn
from benchmarks.requests import request_table
from benchmarks.sessions import find, noise, tables
from benchmarks.table import Table
from benchmarks.untouched import untouched_table

_SECONDS = 45.0


def main(arguments: list[str] | None = None) -> None:
    """Measure and print what the arguments ask for: by default, the sessions of all contenders."""
    options = _parser().parse_args(arguments)
    for table in _asked_for(options):
        print(table.as_markdown() if options.markdown else table.as_text(), flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Compare sessions with Quart's own.")
    parts = parser.add_argument_group("parts, instead of the main one")
    parts.add_argument("--requests", action="store_true", help="whole requests through Quart's ASGI entry")
    parts.add_argument("--asgi", action="store_true", help="the middleware beside Starlette's own")
    parts.add_argument("--frameworks", action="store_true", help="whole requests of five frameworks; writes the page")
    parts.add_argument("--untouched", action="store_true", help="sessions that nobody uses, under default settings")
    parts.add_argument("--growth", action="store_true", help="how the cost grows, one dimension at a time")
    parts.add_argument("--costs", action="store_true", help="what contents of all kinds cost that fill a cookie")
    parts.add_argument("--extras", action="store_true", help="what undeclared keys cost")
    parts.add_argument("--encryption", action="store_true", help="what encrypted cookies cost, beside signed ones")
    parts.add_argument("--bounds", action="store_true", help="what no session on Quart's objects can beat")
    parts.add_argument("--memory", action="store_true", help="what a request takes of memory")
    parts.add_argument("--imports", action="store_true", help="how long imports take")
    parser.add_argument("--refresh", action="store_true", help="send the cookie anew with each response")
    parser.add_argument("--seconds", type=float, default=_SECONDS, help="to measure in a part (default: %(default)g)")
    parser.add_argument("--markdown", action="store_true", help="print Markdown")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw the main part, as SVG")
    return parser


def _asked_for(options: argparse.Namespace) -> Iterator[Table]:
    seconds: float = options.seconds
    parts: dict[str, Callable[[], Iterable[Table]]] = {
        "requests": lambda: [request_table(seconds=seconds, refresh=options.refresh)],
        "asgi": lambda: [asgi_table(seconds=seconds)],
        "frameworks": lambda: [_written(framework_table(seconds=seconds))],
        "untouched": lambda: [untouched_table(seconds=seconds)],
        "growth": lambda: growth_tables(seconds=seconds),
        "costs": lambda: [costs_table()],
        "extras": lambda: [extras_table(seconds=seconds)],
        "encryption": lambda: [encryption_table(seconds=seconds)],
        "bounds": lambda: [bound_table(seconds=seconds)],
        "memory": lambda: [memory_table()],
        "imports": lambda: [import_table()],
    }
    asked = [part for name, part in parts.items() if getattr(options, name)]
    for part in asked:
        yield from part()
    if options.plot or not asked:
        yield from _sessions(options)


def _written(table: Table) -> Table:
    write_page(table)
    return table


def _sessions(options: argparse.Namespace) -> Iterator[Table]:
    findings = find(seconds=options.seconds, refresh=options.refresh, missing=_say)
    yield from tables(findings)
    _say(f"Nine figures out of ten are within {noise(findings):.1%} of what they would be in the long run.")
    if options.plot:
        options.plot.write_text(drawn(findings), encoding="utf-8")


def _say(line: str) -> None:
    """Print what is no figure where it does not get into a page."""
    print(line, file=sys.stderr)


if __name__ == "__main__":
    main()
