"""What the plugin adds to a cold run of mypy: `python -m benchmarks.plugin`.

The program is generated: 200 modules of an ordinary application, each with a schema's worth of classes, functions that
call each other across modules, and ten uses of a session by key. Runs with and without the plugin take turns, each with
an empty cache; what counts is the CPU time of the processes, and the median of the ratios of neighbours.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import Final

MODULES: Final = 200
_PAIRS: Final = 9

_SCHEMA: Final = """\
from attrs import Factory, define


@define
class Item:
    sku: str
    quantity: int = 1


@define
class Visitor:
    user_id: int | None = None
    name: str = ""
    visits: int = 0
    cart: list[Item] = Factory(list[Item])
"""

_MODULE: Final = """\
from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from schema import Item, Visitor
from typed_sessions import Session
{imports}

@dataclass
class Order{n}:
    number: int
    lines: list[Item] = field(default_factory=list)
    notes: dict[str, str] = field(default_factory=dict)

    @property
    def total(self) -> int:
        return sum(line.quantity for line in self.lines)

    def add(self, sku: str, quantity: int = 1) -> Item:
        for line in self.lines:
            if line.sku == sku:
                line.quantity += quantity
                return line
        line = Item(sku, quantity)
        self.lines.append(line)
        return line


def by_sku_{n}(orders: Iterable[Order{n}]) -> Mapping[str, list[int]]:
    found: dict[str, list[int]] = {{}}
    for order in orders:
        for line in order.lines:
            found.setdefault(line.sku, []).append(order.number)
    return {{sku: sorted(numbers) for sku, numbers in found.items() if numbers}}


def summary_{n}(orders: list[Order{n}], limit: int | None = None) -> str:
    shown = orders if limit is None else orders[:limit]
    parts = [f"{{order.number}}: {{order.total}}" for order in shown if order.total > 0]
    return ", ".join(parts) or "nothing"


def visit_{n}(session: Session[Visitor], order: Order{n}) -> str:
    session["visits"] = 1
    session["user_id"] = order.number
    name = session["name"]
    if isinstance(name, str):
        session["name"] = name.strip().title()
    session.setdefault("user_id", order.number)
    session["cart"] = [line for line in order.lines if line.quantity]
    greeting = str(session.get("name", "visitor"))
    session.update(visits=order.number)
    session.pop("name", None)
    if "visits" in session:
        del session["visits"]
    return greeting + summary_{n}([order]){calls}
"""


def write_program(folder: Path) -> None:
    """Write the program's modules."""
    (folder / "schema.py").write_text(_SCHEMA, encoding="utf-8")
    for number in range(MODULES):
        before = number - 1
        imports = f"from module_{before} import Order{before}, summary_{before}\n" if number else ""
        calls = f" + summary_{before}([Order{before}(1)])" if number else ""
        text = _MODULE.format(n=number, imports=imports, calls=calls)
        (folder / f"module_{number}.py").write_text(text, encoding="utf-8")


def cpu_seconds(folder: Path, *, plugin: bool) -> float:
    """Return the CPU time of one cold run of mypy over a folder."""
    setting = "plugins = typed_sessions.mypy_plugin\n" if plugin else ""
    config = folder / "mypy.ini"
    config.write_text(f"[mypy]\nstrict = True\n{setting}", encoding="utf-8")
    command = [sys.executable, "-m", "mypy", f"--config-file={config}", f"--cache-dir={os.devnull}", "."]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    run = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)  # noqa: S603 -- ours
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if run.returncode != 0:
        raise RuntimeError(run.stdout[:500] + run.stderr)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    """Print how much longer mypy takes with the plugin."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_program(folder)
        pairs = [(cpu_seconds(folder, plugin=False), cpu_seconds(folder, plugin=True)) for _ in range(_PAIRS)]
    ratio = median(after / before for before, after in pairs)
    seconds = ", ".join(f"{before:.1f} s and {after:.1f} s" for before, after in pairs)
    print(f"{MODULES} modules, without and with the plugin: {seconds}; the median ratio is {ratio:.2f}")


if __name__ == "__main__":
    main()
