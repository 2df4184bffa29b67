"""Change the package in small ways, one at a time, and print the changes that no test notices: run it by hand.

    python -m tests.mutants.run [--quick] [core/lifecycle] [sealing/signed] [codec/generated] ...

The changes are made in a temporary copy. Each one is tried in a process of its own with all tests of the module until
one fails: first those that run the changed line, and of these the quick ones, and those that have noticed others. The
process is forked from one that has collected the tests; for what matters before that, from one with the slow imports.
With `--quick` no mutant is tried for longer than a few seconds: what lives then may be noticed by slow tests.
`explained.toml` lists the changes that may stay unnoticed, and why.
"""
# ruff: noqa: T201 -- a command prints

from __future__ import annotations

import ast
import copy
import gc
import importlib
import json
import os
import resource
import shutil
import signal
import sys
import tempfile
import threading
import time
import tomllib
import warnings
from collections import Counter, defaultdict
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from types import CodeType, FrameType, FunctionType
from typing import Any, Final

import pytest
from hypothesis import Phase, settings

ROOT: Final = Path(__file__).parents[2]
BOTH_PATHS: Final = (
    "tests/unit/test_unchanged.py",
    "tests/contracts/test_both_paths.py",
    "tests/unit/test_codec.py",
    "tests/unit/test_msgspec.py",
)
CHANGED: Final = ("tests/unit/test_unchanged.py", "tests/unit/test_codec.py", "tests/unit/test_migrations.py")
OF_DATA: Final = "tests/unit/test_loaded_data.py"
TESTS: Final[dict[str, tuple[str, ...]]] = {
    "core/lifecycle": (
        "tests/unit/test_lifecycle.py",
        "tests/integrations/test_lifetimes.py",
        "tests/unit/test_permanence.py",
        "tests/integrations/test_saving.py",
        "tests/integrations/test_several_cookies.py",
        "tests/integrations/test_tracebacks.py",
        OF_DATA,
    ),
    "core/loading": (
        "tests/unit/test_lifecycle.py",
        "tests/unit/test_session.py",
        "tests/unit/test_renaming.py",
        "tests/integrations/test_several_cookies.py",
        "tests/integrations/test_adopting.py",
        "tests/integrations/test_lifetimes.py",
        OF_DATA,
    ),
    "core/rules": ("tests/unit/test_lifecycle.py", OF_DATA),
    "sealing/base": ("tests/unit/test_sealing.py", "tests/unit/test_lifecycle.py"),
    "sealing/keys": ("tests/unit/test_sealing.py", "tests/contracts/test_sealer.py"),
    "sealing/signed": ("tests/unit/test_sealing.py", "tests/contracts/test_sealer.py"),
    "sealing/encrypted": ("tests/unit/test_encrypted.py", "tests/contracts/test_sealer.py"),
    "sealing/parts": (
        "tests/unit/test_sealing.py",
        "tests/unit/test_encrypted.py",
        "tests/contracts/test_sealer.py",
        "tests/unit/test_inspection.py",
    ),
    "server/records": ("tests/integrations/test_encryption.py", "tests/integrations/test_server_side.py"),
    "sealing/set_cookie": ("tests/unit/test_cookies.py",),
    "core/cookies": ("tests/unit/test_cookies.py",),
    "core/session": (
        "tests/unit/test_session.py",
        "tests/unit/test_renaming.py",
        "tests/unit/test_unchanged.py",
        "tests/integrations/test_server_side.py",
        "tests/integrations/test_looking_at_a_session.py",
        "tests/integrations/test_secret_fields.py",
        OF_DATA,
    ),
    "core/session_request": (
        "tests/unit/test_session.py",
        "tests/unit/test_renaming.py",
        "tests/unit/test_unchanged.py",
        "tests/integrations/test_server_side.py",
        OF_DATA,
    ),
    "codec/contents": (
        "tests/unit/test_contents.py",
        "tests/unit/test_unchanged.py",
        "tests/unit/test_renaming.py",
        "tests/unit/test_session.py",
    ),
    "codec/declared_contents": (
        "tests/unit/test_contents.py",
        "tests/unit/test_unchanged.py",
        "tests/unit/test_renaming.py",
        "tests/unit/test_session.py",
    ),
    "codec/keyed_contents": (
        "tests/unit/test_contents.py",
        "tests/unit/test_unchanged.py",
        "tests/unit/test_renaming.py",
        "tests/unit/test_session.py",
    ),
    "codec/codec": (
        "tests/unit/test_codec.py",
        "tests/unit/test_session.py",
        "tests/unit/test_migrations.py",
        "tests/unit/test_renaming.py",
        "tests/unit/test_unchanged.py",
        "tests/contracts/test_both_paths.py",
        OF_DATA,
    ),
    "codec/loaded_data": (OF_DATA, "tests/unit/test_request_session.py"),
    "codec/explaining": BOTH_PATHS,
    "codec/generated": CHANGED,
    "codec/generated_fields": (*CHANGED, OF_DATA),
    "codec/generated_class": (*CHANGED, OF_DATA),
    "codec/functions": CHANGED,
    "codec/notations": BOTH_PATHS,
    "schema/types/emitter": ("tests/unit/test_generated_types.py", *CHANGED),
}
"""The modules that are changed, and what tests each of them."""
ALSO: Final = ("tests/unit/test_interface.py", "tests/integrations/test_quart.py")
"""What tests all of them."""
PATIENCE: Final = 10
"""Seconds for one test, besides ten times what it takes; a mutant may loop for ever, and counts as noticed then."""
QUICK: Final = 3.0
"""Seconds for the tests of one mutant, of those that take little time."""
MOST_MEMORY: Final = 4 << 30
UNFIT: Final = 77
"""The exit code that says: not to be tried in a process that has imported the module."""
AT_IMPORT: Final = "at import"
"""Stands for the name of a test where a line runs before any."""
OURS: Final = ("tests", "typed_sessions")

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
    lines: range
    """Where the changed statement stands in the module as it is."""

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
            name = f"{change} #{number}" if number > 1 else change
            yield Mutant(module, place.function, name, changed, _lines(place.node, place.statement))


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
        case _, ast.Import() | ast.ImportFrom() | ast.Assign(targets=[ast.Name(id="__all__" | "__slots__")]):
            return True
        case _, ast.Assign(value=ast.Call(func=ast.Name(id="TypeVar"))):
            return True
        case _, ast.AnnAssign(annotation=ast.Name(id="TypeAlias")) | ast.Assign(targets=[ast.Name(id="SameSite")]):
            return True
        case _, ast.FunctionDef(decorator_list=[ast.Name(id="overload")]):
            return True
        case _, ast.Expr(value=ast.Constant()):
            return True  # a docstring, or `...`
        case ast.Call(func=ast.Name(id="ChangeLost")), ast.Constant():
            return True  # the words of a report
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


def _lines(node: ast.AST, statement: ast.AST) -> range:
    placed: Any = node if hasattr(node, "lineno") else statement  # a comprehension has no place of its own
    if body := isinstance(placed, (ast.stmt, ast.excepthandler)) and getattr(placed, "body", None):
        return range(placed.lineno, body[0].lineno)
    return range(getattr(placed, "lineno", 0), getattr(placed, "end_lineno", 0) + 1)


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


class Record:
    """Writes down which tests run which lines of one file, which run at an import, and how long each test takes."""

    def __init__(self, path: Path) -> None:
        self._path = str(path)
        self._test = AT_IMPORT
        self.tests: defaultdict[int, set[str]] = defaultdict(set)
        self.seconds: dict[str, float] = {}

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        self._test = item.nodeid
        start = time.monotonic()
        result = yield
        self.seconds[item.nodeid] = time.monotonic() - start
        return result

    def trace(self, frame: FrameType, _event: str, _arg: object) -> Any:
        if frame.f_code.co_filename != self._path:
            return None
        self.tests[frame.f_lineno].add(self._test)
        return self.trace


@dataclass(frozen=True)
class Recording:
    """What a run without any change has shown of the tests of a module, and which of them have noticed changes."""

    tests: Mapping[int, frozenset[str]]
    """Those that run each line."""
    seconds: Mapping[str, float]
    kills: Counter[str]
    most_seconds: float | None
    """How long the tests of one mutant may take, in all."""

    def running(self, mutant: Mutant) -> frozenset[str]:
        """Return the tests that run what a mutant has changed."""
        return frozenset[str]().union(*(self.tests.get(line, ()) for line in mutant.lines))

    def is_made_by_import(self, mutant: Mutant) -> bool:
        """Return True if the change matters before the first test, or if nobody knows when."""
        return not (running := self.running(mutant)) or AT_IMPORT in running


class Trial:
    """Runs those tests first that run a changed line, of these the ones that may notice soonest, and stops there."""

    def __init__(self, folder: Path, recording: Recording, mutant: Mutant) -> None:
        self._killer = folder / "killer"
        self._recording = recording
        self._first = recording.running(mutant)

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items.sort(key=self._rank)
        if self._recording.most_seconds is not None:
            ends = accumulate(self._seconds(item.nodeid) for item in items)
            items[:] = [item for item, end in zip(items, ends, strict=True) if end < self._recording.most_seconds]

    def _rank(self, item: pytest.Item) -> tuple[bool, float]:
        name = item.nodeid
        return name not in self._first, self._seconds(name) / (1 + self._recording.kills[name])

    def _seconds(self, name: str) -> float:
        return self._recording.seconds.get(name, 1)

    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        self._killer.write_text(item.nodeid)
        signal.alarm(PATIENCE + int(10 * self._seconds(item.nodeid)))


class Trials:
    """Has pytest collect tests once, and try many mutants with them, each in a process forked from there.

    A mutant's functions get their changed code there: what has been imported stays.
    """

    def __init__(
        self, folder: Path, recording: Recording, tried: Sequence[Mutant], found: Callable[[int, int], object]
    ):
        self._folder = folder
        self._killer = folder / "killer"
        self._recording = recording
        self._mutants = tried
        self._found = found

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool | None:
        path = self._folder / "typed_sessions" / f"{self._mutants[0].module}.py"
        original = path.read_text()
        gc.unfreeze()
        functions = [each for each in gc.get_objects() if isinstance(each, FunctionType)]
        functions = [each for each in functions if each.__code__.co_filename == str(path)]
        gc.freeze()
        for number, mutant in enumerate(self._mutants):
            path.write_text(mutant.source)  # for who imports it from here on
            self._killer.write_text("")
            child = os.fork()
            if child == 0:
                _limit_memory()
                if not _put_code(functions, path, original, mutant.source):
                    os._exit(UNFIT)
                trial = Trial(self._folder, self._recording, mutant)
                trial.pytest_collection_modifyitems(session.items)
                session.config.pluginmanager.register(trial)
                return None
            code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            self._recording.kills[self._killer.read_text()] += code not in (0, UNFIT)
            self._found(number, code)
        path.write_text(original)
        return True


def _put_code(functions: Sequence[FunctionType], path: Path, original: str, source: str) -> bool:
    """Give functions that were made from one source their code in another; False if that cannot be done."""
    places = {code: place for place, code in _codes(compile(original, path, "exec", dont_inherit=True))}
    changed = dict(_codes(compile(source, path, "exec", dont_inherit=True)))
    try:
        for function in functions:
            function.__code__ = changed[places[function.__code__]]
    except (KeyError, ValueError):  # a lambda that is gone, a variable of an outer function that is no longer used
        return False
    return True


def _codes(module: CodeType) -> Iterator[tuple[tuple[str, int], CodeType]]:
    seen: Counter[str] = Counter()
    waiting = [module]
    while waiting:
        code = waiting.pop()
        seen[code.co_qualname] += 1
        yield (code.co_qualname, seen[code.co_qualname]), code
        waiting += [each for each in code.co_consts if isinstance(each, CodeType)]


def _limit_memory() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY, MOST_MEMORY))


def _fork(folder: Path, work: Callable[[], int]) -> int:
    """Do a piece of work in a process of its own, in a folder of which it has imported nothing yet."""
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        _limit_memory()
        silence = os.open(os.devnull, os.O_WRONLY)
        os.dup2(silence, 1)
        os.dup2(silence, 2)
        os.chdir(folder)
        sys.path.insert(0, str(folder))
        for name in [name for name in sys.modules if name.partition(".")[0] in OURS]:
            del sys.modules[name]
        os._exit(work())
    return child


def _in_child(folder: Path, work: Callable[[], int]) -> int:
    """Return what a piece of work returns in a process of its own."""
    return os.waitstatus_to_exitcode(os.waitpid(_fork(folder, work), 0)[1])


def _pytest(module: str, plugin: Record | Trial | Trials) -> int:
    options = ["-x", "-q", "-p", "no:cacheprovider", "--hypothesis-profile=mutants", "--numprocesses=0"]
    options += ["-W", "ignore::pytest.PytestAssertRewriteWarning"]  # hypothesis is imported already
    return pytest.main([*options, *dict.fromkeys((*TESTS[module], *ALSO))], plugins=[plugin])


def recorded(folder: Path, module: str, most_seconds: float | None = None) -> Recording | None:
    """Return what a run of a module's tests without any change shows, or None if one of them fails."""
    result = folder / "recording.json"

    def work() -> int:
        record = Record(folder / "typed_sessions" / f"{module}.py")
        threading.settrace(record.trace)
        sys.settrace(record.trace)
        code = _pytest(module, record)
        sys.settrace(None)
        tests = {line: [*names] for line, names in record.tests.items()}
        result.write_text(json.dumps([tests, record.seconds, list(sys.modules)]))
        return code

    if _in_child(folder, work) != 0:
        return None
    tests, seconds, imported = json.loads(result.read_text())
    _import_what_is_not_ours(imported)
    return Recording({int(line): frozenset(names) for line, names in tests.items()}, seconds, Counter(), most_seconds)


def _import_what_is_not_ours(names: Sequence[str]) -> None:
    """Import what all processes would import anew, each of them, in the one from which they are forked."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in names:
            if name.partition(".")[0] not in OURS:
                with suppress(ImportError):  # pytest knows a module of tests by its last name
                    importlib.import_module(name)
    gc.freeze()


def survivors(folder: Path, module: str, recording: Recording) -> Iterator[tuple[Mutant, bool]]:
    """Yield every mutant of a module, and whether no test notices it."""
    path = folder / "typed_sessions" / f"{module}.py"
    original = path.read_text()
    unchanged = Mutant(module, "", "", original, range(0))
    every = list(mutants(module, original))
    early = [mutant for mutant in every if recording.is_made_by_import(mutant)]
    late = [mutant for mutant in every if not recording.is_made_by_import(mutant)]
    for mutant, code in _tried_late(folder, recording, [unchanged, *late]):
        if mutant is unchanged:
            assert code == 0, "the tests fail without any change, in this order"
        elif code == UNFIT:
            early.append(mutant)
        else:
            yield mutant, code == 0
    for mutant in early:
        path.write_text(mutant.source)
        yield mutant, _tried_early(folder, recording, mutant) == 0
    path.write_text(original)


def _tried_early(folder: Path, recording: Recording, mutant: Mutant) -> int:
    killer = folder / "killer"
    killer.write_text("")

    def work() -> int:
        signal.alarm(10 * PATIENCE)
        return _pytest(mutant.module, Trial(folder, recording, mutant))

    code = _in_child(folder, work)
    recording.kills[killer.read_text()] += code != 0
    return code


def _tried_late(folder: Path, recording: Recording, tried: Sequence[Mutant]) -> Iterator[tuple[Mutant, int]]:
    source, sink = os.pipe()

    def found(number: int, code: int) -> None:
        os.write(sink, f"{number} {code}\n".encode())

    child = _fork(folder, lambda: _pytest(tried[0].module, Trials(folder, recording, tried, found)))
    os.close(sink)
    with os.fdopen(source) as results:
        for result in results:
            number, code = result.split()
            yield tried[int(number)], int(code)
    os.waitpid(child, 0)


def explanations() -> dict[tuple[str, str, str], str]:
    """Return why a mutant may live, by its key."""
    with (Path(__file__).parent / "explained.toml").open("rb") as file:
        entries = tomllib.load(file).get("mutant", [])
    return {
        (entry["module"], entry["function"], change): entry["why"] for entry in entries for change in entry["changes"]
    }


def main(modules: Sequence[str], most_seconds: float | None = None) -> int:
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
    failed = False
    with _copy_of_the_project() as folder:
        for module in modules:
            recording = recorded(folder, module, most_seconds)
            if recording is None:
                print(f"{module}: the tests fail without any change")
                return 2
            sys.dont_write_bytecode = True  # of the unchanged modules it is written now
            failed = not _all_explained(folder, module, recording) or failed
    return 1 if failed else 0


def _all_explained(folder: Path, module: str, recording: Recording) -> bool:
    start = time.monotonic()
    explained = {key for key in explanations() if key[0] == module}
    alive: set[tuple[str, str, str]] = set()
    tried = 0
    for mutant, unnoticed in survivors(folder, module, recording):
        tried += 1
        if unnoticed:
            alive.add(mutant.key)
            if mutant.key not in explained:
                print(f"{module}: {mutant.function or 'module'}: {mutant.change}", flush=True)
    unexplained = len(alive - explained)
    for _, function, change in sorted(explained - alive):
        print(f"{module}: explained, and yet noticed or gone: {function}: {change}")
    print(
        f"{module}: {tried} mutants, {tried - len(alive)} killed, {len(alive) - unexplained} explained, "
        f"{unexplained} unexplained, in {time.monotonic() - start:.0f} s",
        flush=True,
    )
    return unexplained == 0


if __name__ == "__main__":
    named = [name for name in sys.argv[1:] if name != "--quick"]
    sys.exit(main(named or tuple(TESTS), QUICK if "--quick" in sys.argv else None))
