"""Change the package in small ways, one at a time, and print the changes that no test notices: run it by hand.

    python -m tests.mutants.run [engine] [sealing] [codec] [session] [cookies]

The changes are made in a temporary copy. Each one is tried in a process of its own, forked from this one after the
slow imports: first with the test file of its module, then with what else uses that module. `explained.toml` lists the
changes that may stay unnoticed, and why.
"""
# ruff: noqa: T201 -- a command prints

from __future__ import annotations

import ast
import copy
import importlib
import os
import shutil
import signal
import sys
import tempfile
import time
import tomllib
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import Phase, settings

ROOT: Final = Path(__file__).parents[2]
MODULES: Final = ("engine", "sealing", "codec", "session", "cookies")
MORE: Final = {"codec": ("tests/unit/test_migrations.py", "tests/unit/test_renaming.py")}
ALSO: Final = ("tests/unit/test_interface.py", "tests/integrations/test_quart.py")
"""What is tried on a mutant that the test file of its module lets live: more tests of that module, then these."""
TIMEOUT: Final = 120
"""Seconds for one test run; a mutant may loop for ever, and counts as noticed then."""
SLOW_IMPORTS: Final = ("cattrs", "flask", "httpx", "msgspec", "quart.testing")

COMPARISONS: Final[dict[type[ast.cmpop], type[ast.cmpop]]] = {
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}
OPERATORS: Final[dict[type[ast.operator], type[ast.operator]]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.FloorDiv,
    ast.FloorDiv: ast.Mult,
    ast.BitOr: ast.BitAnd,
    ast.BitAnd: ast.BitOr,
}
PAIRS: Final = (("min", "max"), ("any", "all"), ("startswith", "endswith"), ("partition", "rpartition"))
NAMES: Final = dict(PAIRS) | {other: one for one, other in PAIRS}
COPIES: Final = frozenset({"bool", "dict", "frozenset", "int", "list", "sorted", "str", "tuple"})
STATIC: Final = frozenset({"annotation", "bases", "decorator_list", "ctx", "returns", "type_comment"})
"""The parts of a syntax tree that only a type checker sees, or without which nothing is imported."""

TRUE: Final = ast.Constant(value=True)
FALSE: Final = ast.Constant(value=False)


@dataclass(frozen=True)
class Mutant:
    """A module with one change."""

    module: str
    function: str
    change: str
    """The changed line before and after; the second of its kind in a function ends with `#2`."""
    source: str

    @property
    def key(self) -> tuple[str, str, str]:
        """What finds its explanation."""
        return self.module, self.function, self.change


@dataclass(frozen=True)
class Place:
    """Where a node stands in a syntax tree."""

    parent: ast.AST
    field: str
    index: int | None
    node: ast.AST
    statement: ast.AST
    function: str

    def put(self, node: ast.AST) -> None:
        """Make another node stand here."""
        if self.index is None:
            setattr(self.parent, self.field, node)
        else:
            getattr(self.parent, self.field)[self.index] = node


def mutants(module: str, source: str) -> Iterator[Mutant]:
    """Yield every change of a module."""
    tree = ast.parse(source)
    seen: Counter[tuple[str, str]] = Counter()
    for place in list(places(tree, tree, "")):
        before = _headline(place.statement)
        for replacement in replacements(place.node):
            place.put(ast.fix_missing_locations(replacement))
            after = _headline(replacement if place.node is place.statement else place.statement)
            changed = ast.unparse(tree)
            place.put(place.node)
            change = f"{before}  ->  {after}"
            seen[place.function, change] += 1
            number = seen[place.function, change]
            yield Mutant(module, place.function, f"{change} #{number}" if number > 1 else change, changed)


def places(parent: ast.AST, statement: ast.AST, function: str) -> Iterator[Place]:
    """Yield the places below a node whose change a test could notice."""
    for field, value in ast.iter_fields(parent):
        if field in STATIC:
            continue
        for index, node in enumerate(value) if isinstance(value, list) else [(None, value)]:
            if not isinstance(node, ast.AST) or _is_static(parent, field, index, node):
                continue
            below = node if isinstance(node, (ast.stmt, ast.excepthandler, ast.match_case)) else statement
            yield Place(parent, field, index, node, below, function)
            if isinstance(node, ast.Raise):
                continue  # the words of an error
            name = getattr(node, "name", "") if isinstance(node, (ast.ClassDef, ast.FunctionDef)) else ""
            yield from places(node, below, ".".join(filter(None, (function, name))))


def _is_static(parent: ast.AST, field: str, index: int | None, node: ast.AST) -> bool:
    match parent, node:
        case _, ast.Import() | ast.ImportFrom() | ast.Assign(targets=[ast.Name(id="__all__" | "S" | "S_co")]):
            return True
        case _, ast.AnnAssign(annotation=ast.Name(id="TypeAlias")) | ast.Assign(targets=[ast.Name(id="SameSite")]):
            return True
        case _, ast.FunctionDef(decorator_list=[ast.Name(id="overload")]):
            return True
        case _, ast.Expr(value=ast.Constant()):
            return True  # a docstring, or `...`
        case ast.Call(func=ast.Name(id="cast")), _:
            return field == "args" and index == 0
        case ast.Subscript(value=ast.Name(id="Callable" | "SecureCookieSession")), _:
            return True
        case _:
            return field in ("target", "targets")


def replacements(node: ast.AST) -> Iterator[ast.AST]:
    """Yield what may stand in a node's place."""
    match node:
        case ast.stmt():
            yield from _other_statements(node)
        case ast.match_case(guard=guard):
            yield from (_with(node, guard=other) for other in (FALSE, None) if other is not guard)
        case ast.ExceptHandler():
            yield _with(node, type=ast.Tuple(elts=[], ctx=ast.Load()))
        case ast.comprehension(ifs=[_, *_] as conditions):
            yield from (_with(node, ifs=rest) for rest in (*_shortened(conditions), [FALSE]))
        case ast.Name(id=name, ctx=ast.Load()) if name in NAMES:
            yield _with(node, id=NAMES[name])
        case ast.Attribute(attr=name, ctx=ast.Load()) if name in NAMES:
            yield _with(node, attr=NAMES[name])
        case ast.Call():
            yield from _other_calls(node)
        case ast.expr():
            yield from _other_expressions(node)
        case _:
            pass


def _other_expressions(node: ast.expr) -> Iterator[ast.AST]:
    match node:
        case ast.Compare(ops=ops):
            for i, op in enumerate(ops):
                yield _with(node, ops=[*ops[:i], COMPARISONS[type(op)](), *ops[i + 1 :]])
        case ast.BoolOp(op=op, values=values):
            yield _with(node, op=ast.Or() if isinstance(op, ast.And) else ast.And())
            yield from (rest[0] if len(rest) == 1 else _with(node, values=rest) for rest in _shortened(values))
        case ast.BinOp(op=op) if type(op) in OPERATORS:
            yield _with(node, op=OPERATORS[type(op)]())
        case ast.UnaryOp(op=ast.Not() | ast.USub(), operand=operand):
            yield operand
        case ast.IfExp():
            yield from (_with(node, test=TRUE), _with(node, test=FALSE))
        case ast.Constant(value=value):
            yield from (ast.Constant(value=other) for other in _other_constants(value))
        case ast.Tuple(elts=[_, _, *_] as elements) | ast.Set(elts=[_, _, *_] as elements):
            yield from (_with(node, elts=rest) for rest in _shortened(elements))
        case _:
            pass


def _other_calls(node: ast.Call) -> Iterator[ast.AST]:
    yield from (_with(node, keywords=rest) for rest in _shortened(node.keywords))
    if isinstance(node.func, ast.Name) and node.func.id in COPIES and len(node.args) == 1:
        yield node.args[0]


def _other_statements(node: ast.stmt) -> Iterator[ast.AST]:
    match node:
        case ast.AnnAssign(value=None) | ast.Return(value=None | ast.Constant(value=None)) | ast.Pass():
            pass
        case ast.Return():
            yield ast.Return(value=ast.Constant(value=None))
        case ast.Expr() | ast.Assign() | ast.AnnAssign() | ast.AugAssign() | ast.Delete() | ast.Raise() | ast.For():
            yield ast.Pass()
        case ast.If():
            yield from (_with(node, test=TRUE), _with(node, test=FALSE))
        case ast.Continue():
            yield ast.Break()
        case ast.With(body=body):
            yield ast.If(test=TRUE, body=body, orelse=[])
        case ast.Try(body=body, handlers=[], finalbody=final):
            yield ast.If(test=TRUE, body=[*body, *final], orelse=[])
        case _:
            pass


def _other_constants(value: object) -> Iterator[bool | int | str | bytes]:
    match value:
        case bool():
            yield not value
        case int():
            yield from (value + 1, value - 1)
        case str():
            yield value + "x"
        case bytes():
            yield value + b"x"
        case _:
            pass


def _with(node: ast.AST, **fields: Any) -> ast.AST:
    changed = copy.copy(node)
    for field, value in fields.items():
        setattr(changed, field, value)
    return changed


def _shortened(items: Sequence[Any]) -> Iterator[list[Any]]:
    return ([*items[:i], *items[i + 1 :]] for i in range(len(items)))


def _headline(statement: ast.AST) -> str:
    bare = _with(statement, decorator_list=[]) if isinstance(statement, (ast.ClassDef, ast.FunctionDef)) else statement
    return ast.unparse(bare).strip().partition("\n")[0]


@contextmanager
def _copy_of_the_project() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="mutants-") as name:
        folder = Path(name)
        shutil.copytree(ROOT / "typed_sessions", folder / "typed_sessions")
        shutil.copytree(ROOT / "tests", folder / "tests")
        shutil.copy(ROOT / "pyproject.toml", folder)
        yield folder


def passes(folder: Path, tests: Sequence[str]) -> bool:
    """Return True if tests pass in a folder, in a child process that has imported nothing of the package yet."""
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        signal.alarm(TIMEOUT)
        silence = os.open(os.devnull, os.O_WRONLY)
        os.dup2(silence, 1)
        os.dup2(silence, 2)
        os.chdir(folder)
        sys.path.insert(0, str(folder))
        for name in [name for name in sys.modules if name.partition(".")[0] in ("tests", "typed_sessions")]:
            del sys.modules[name]
        options = ["-x", "-q", "-p", "no:cacheprovider", "--hypothesis-profile=mutants"]
        options += ["-W", "ignore::pytest.PytestAssertRewriteWarning"]  # hypothesis is imported already
        os._exit(pytest.main([*options, *tests]))
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def _is_unnoticed(folder: Path, module: str) -> bool:
    return passes(folder, [f"tests/unit/test_{module}.py"]) and passes(folder, [*MORE.get(module, ()), *ALSO])


def survivors(folder: Path, module: str, found: Sequence[Mutant]) -> Iterator[Mutant]:
    """Yield those mutants of a module that no test notices."""
    path = folder / "typed_sessions" / f"{module}.py"
    original = path.read_text()
    for mutant in found:
        path.write_text(mutant.source)
        if _is_unnoticed(folder, module):
            yield mutant
    path.write_text(original)


def explanations() -> dict[tuple[str, str, str], str]:
    """Return why a mutant may live, by its key."""
    with (Path(__file__).parent / "explained.toml").open("rb") as file:
        entries = tomllib.load(file).get("mutant", [])
    return {
        (entry["module"], entry["function"], change): entry["why"] for entry in entries for change in entry["changes"]
    }


def main(modules: Sequence[str]) -> int:
    """Try every mutant of some modules, print those that live, and return 1 if one of them is not explained."""
    settings.register_profile(
        "mutants",
        deadline=None,
        database=None,
        derandomize=True,
        max_examples=25,
        report_multiple_bugs=False,
        phases=(Phase.explicit, Phase.generate),
    )
    for name in SLOW_IMPORTS:
        importlib.import_module(name)
    explained, unexplained, failed = explanations(), 0, False
    with _copy_of_the_project() as folder:
        for module in modules:
            if not _is_unnoticed(folder, module):
                print(f"{module}: the tests fail without any change")
                return 2
        sys.dont_write_bytecode = True  # of the unchanged modules it is written now
        for module in modules:
            start = time.monotonic()
            found = list(mutants(module, (folder / "typed_sessions" / f"{module}.py").read_text()))
            alive: set[tuple[str, str, str]] = set()
            for mutant in survivors(folder, module, found):
                alive.add(mutant.key)
                if mutant.key not in explained:
                    print(f"{module}: {mutant.function or 'module'}: {mutant.change}", flush=True)
            unexplained = len(alive - explained.keys())
            failed = failed or unexplained > 0
            for key in sorted(key for key in explained.keys() - alive if key[0] == module):
                print(f"{module}: explained, and yet noticed or gone: {key[1]}: {key[2]}")
            print(
                f"{module}: {len(found)} mutants, {len(found) - len(alive)} killed, {len(alive) - unexplained} "
                f"explained, {unexplained} unexplained, in {time.monotonic() - start:.0f} s",
                flush=True,
            )
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:] or MODULES))
