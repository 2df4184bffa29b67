"""The mypy plugin: the programs in tests/typing/plugin, settings, and edits that cached runs and the daemon must see.

A program is text to other tools. In it, `# E: message [code]` marks what mypy must report of a line, and nothing else.
"""

import ast
import os
import re
import shutil
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from resource import RUSAGE_CHILDREN, getrusage
from types import ModuleType

import pytest
from mypy.errors import CompileError

from tests.cases import case
from tests.checkers import only_checker, run_checker
from typed_sessions import mypy_plugin
from typed_sessions.mypy_plugin import Settings, read_settings

pytestmark = pytest.mark.checker

PROGRAMS = Path(__file__).parent.parent / "typing" / "plugin"
SUFFIX = ".py.txt"
MYPY = [sys.executable, "-m", "mypy"]

SETTINGS = """
[mypy]
plugins = typed_sessions.mypy_plugin
strict = True
local_partial_types = True

[typed_sessions]
schema = visitors.Visitor
allowed_keys = csrf_token
    identity.id
"""

Errors = Mapping[tuple[str, int], tuple[str, ...]]


def errors_in(report: str) -> Errors:
    """Return the errors that mypy reports, by file and line; a note explains one, or is a name for a wrong import."""
    found: defaultdict[tuple[str, int], list[str]] = defaultdict(list)
    for file, line, message in re.findall(r"^(?:.*/)?(\w+\.py):(\d+): error: (.*)$", report, re.MULTILINE):
        found[file, int(line)].append(message.replace("  [", " ["))
    return {place: tuple(sorted(messages)) for place, messages in found.items()}


def mypy_report(*arguments: object) -> str:
    done = run_checker([*MYPY, "--show-traceback", *map(str, arguments)])
    assert done.stderr == ""
    return done.stdout


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the programs, what mypy reports of them, and its cache, which other tests start from."""
    folder = tmp_path_factory.mktemp("programs")
    for program in PROGRAMS.glob(f"*{SUFFIX}"):
        shutil.copy(program, folder / program.name.removesuffix(".txt"))
    (folder / "mypy.ini").write_text(SETTINGS)
    report = mypy_report(f"--config-file={folder}/mypy.ini", f"--cache-dir={folder}/cache", *folder.glob("*.py"))
    (folder / "report").write_text(report)
    return folder


@pytest.mark.parametrize("name", sorted(program.name.removesuffix(SUFFIX) for program in PROGRAMS.glob(f"*{SUFFIX}")))
def test_program(programs: Path, name: str) -> None:
    file = f"{name}.py"
    expected = {
        (file, number): tuple(sorted(marks))
        for number, line in enumerate((programs / file).read_text().splitlines(), start=1)
        if (marks := line.split("  # E: ")[1:])
    }
    reported = errors_in((programs / "report").read_text())
    assert {place: messages for place, messages in reported.items() if place[0] == file} == expected


VISITORS = """
from attrs import define
from names import Maybe, Named
from bases import Base

@define
class Visitor(Base):
    user_id: Maybe[int]
    owner: Named
"""
NAMES = """
from typing import Optional, Protocol, TypeVar

T = TypeVar("T")
Maybe = Optional[T]

class Named(Protocol):
    name: str
"""
GUESTS = """
class Guest:
    name = ""
"""
BASES = """
from attrs import define

@define
class Base:
    note: str
"""
PAGES = """
from typing import TYPE_CHECKING
from guests import Guest
from typed_sessions import Session
if TYPE_CHECKING:
    from visitors import Visitor

def page(session: "Session[Visitor]") -> None:
    session["user_id"] = 7
    session["note"] = "x"
    session["owner"] = Guest()
    session["level"]
"""
VIEWS = """
from guests import Guest
from quart import session

def view() -> None:
    session["user_id"] = 7
    session["note"] = "x"
    session["owner"] = Guest()
    session["level"]
"""
PASSING = """
from quart import session as session
"""
OTHERS = """
from guests import Guest
from passing import session

def view() -> None:
    session["user_id"] = 7
    session["note"] = "x"
    session["owner"] = Guest()
    session["level"]

session["user_id"] = 7
"""
MODULES = {
    "bases": BASES,
    "guests": GUESTS,
    "names": NAMES,
    "others": OTHERS,
    "pages": PAGES,
    "passing": PASSING,
    "views": VIEWS,
    "visitors": VISITORS,
}

NO_LEVEL = '"Visitor" has no key "level" [session-key]'
NO_USER = '"Visitor" has no key "user_id"; did you mean "usr_id"? [session-key]'
USER_IS_LIST = 'Value of key "user_id" of "Visitor" has incompatible type "int"; expected "list[int]" [session-value]'
NOTE_IS_BYTES = 'Value of key "note" of "Visitor" has incompatible type "str"; expected "bytes" [session-value]'

GUEST_IS_NOT_NAMED = 'Value of key "owner" of "Visitor" has incompatible type "Guest"; expected "Named" [session-value]'

GONE = 'The schema "{}", which the settings of typed_sessions name, cannot be found [session-key]'

Run = Callable[[], Errors]


def project_errors(report: str) -> Errors:
    """Return the errors in the project: an older mypy may find something in this library, where that is a checkout."""
    return {place: found for place, found in errors_in(report).items() if place[0].removesuffix(".py") in MODULES}


@pytest.fixture
def project(programs: Path, tmp_path: Path) -> Path:
    for name, text in MODULES.items():
        (tmp_path / f"{name}.py").write_text(text)
    (tmp_path / "mypy.ini").write_text(SETTINGS)
    shutil.copytree(programs / "cache", tmp_path / "cache")
    return tmp_path


def run_cached(project: Path) -> Iterator[Run]:
    def run() -> Errors:
        return project_errors(mypy_report(f"--config-file={project}/mypy.ini", f"--cache-dir={project}/cache", project))

    yield run


def run_daemon(project: Path, *options: str) -> Iterator[Run]:
    dmypy = [sys.executable, "-m", "mypy.dmypy", f"--status-file={project}/status"]
    arguments = ["--", f"--config-file={project}/mypy.ini", f"--cache-dir={project}/cache", *options]

    def run() -> Errors:
        command = [*dmypy, "run", *arguments, *(f"{project}/{name}.py" for name in MODULES)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 -- our own
        return project_errors(done.stdout)

    with only_checker():
        try:
            yield run
        finally:
            subprocess.run([*dmypy, "stop"], capture_output=True, check=False)  # noqa: S603 -- our own


@pytest.fixture(params=[run_cached, run_daemon], ids=["cached", "daemon"])
def run(project: Path, request: pytest.FixtureRequest) -> Iterator[Run]:
    yield from request.param(project)


def edit(project: Path, module: str, old: str, new: str) -> None:
    path = project / module
    text, changed = path.read_text(), path.stat().st_mtime
    assert old in text
    path.write_text(text.replace(old, new))
    os.utime(path, (changed + 10, changed + 10))  # mypy looks no closer than at seconds


def test_an_edit_of_the_schema_is_seen(project: Path, run: Run) -> None:
    uses = [("others.py", 6), ("pages.py", 9), ("views.py", 6)]
    notes = [(file, line + 1) for file, line in uses]
    owners = [(file, line + 2) for file, line in uses]
    levels = [(file, line + 3) for file, line in uses]
    uses.append(("others.py", 11))
    assert run() == dict.fromkeys(levels, (NO_LEVEL,))

    edit(project, "visitors.py", "owner:", "level: int\n    owner:")
    assert run() == {}
    edit(project, "bases.py", "note: str", "note: bytes")
    assert run() == dict.fromkeys(notes, (NOTE_IS_BYTES,))
    edit(project, "bases.py", "note: bytes", "note: str")
    assert run() == {}
    edit(project, "names.py", "name: str", "name: bytes")
    assert run() == dict.fromkeys(owners, (GUEST_IS_NOT_NAMED,))
    edit(project, "names.py", "name: bytes", "name: str")
    assert run() == {}
    edit(project, "visitors.py", "user_id:", "usr_id:")
    assert run() == dict.fromkeys(uses, (NO_USER,))
    edit(project, "visitors.py", "usr_id:", "user_id:")
    assert run() == {}
    edit(project, "names.py", "Maybe = Optional[T]", "Maybe = list[T]")
    assert run() == dict.fromkeys(uses, (USER_IS_LIST,))


def test_the_daemon_sees_an_edit_of_what_another_run_has_cached(project: Path) -> None:
    config, cache = f"--config-file={project}/mypy.ini", f"--cache-dir={project}/cache"
    mypy_report(config, cache, "--cache-fine-grained", *(project / f"{name}.py" for name in MODULES))
    edit(project, "bases.py", "note: str", "note: bytes")
    with contextmanager(run_daemon)(project, "--use-fine-grained-cache") as run:
        found = run()
    assert {place for place, messages in found.items() if messages == (NOTE_IS_BYTES,)} == {
        ("others.py", 7),
        ("pages.py", 10),
        ("views.py", 7),
    }


NESTED_VISITORS = """
from attrs import define

class Shop:
    @define
    class Visitor:
        user_id: int
        note: str
        owner: object
"""


def test_an_edit_of_a_class_within_a_class_is_seen(project: Path, run: Run) -> None:
    uses = [("others.py", 6), ("others.py", 11), ("views.py", 6)]
    levels = [("others.py", 9), ("views.py", 9)]
    gone = GONE.format("visitors.Shop.Visitor")
    (project / "visitors.py").write_text(NESTED_VISITORS)
    (project / "pages.py").write_text("")
    (project / "mypy.ini").write_text(SETTINGS.replace("visitors.Visitor", "visitors.Shop.Visitor"))
    assert run() == dict.fromkeys(levels, (NO_LEVEL,))

    edit(project, "visitors.py", "user_id:", "usr_id:")
    assert run() == dict.fromkeys(uses, (NO_USER,)) | dict.fromkeys(levels, (NO_LEVEL,))
    edit(project, "visitors.py", "usr_id:", "user_id:")
    edit(project, "visitors.py", "class Visitor", "class Guest")
    assert set(run().values()) == {(gone,)}
    edit(project, "visitors.py", "class Guest", "class Visitor")
    assert run() == dict.fromkeys(levels, (NO_LEVEL,))
    edit(project, "visitors.py", "class Shop", "class Bank")
    assert set(run().values()) == {(gone,)}
    edit(project, "visitors.py", "class Bank", "class Shop")
    assert run() == dict.fromkeys(levels, (NO_LEVEL,))


@pytest.mark.parametrize(("setting", "outer"), [("visitors.Visitor", ""), ("visitors.Shop.Visitor", "Shop")])
def test_a_class_that_was_missing_is_seen_when_it_comes(setting: str, outer: str, project: Path, run: Run) -> None:
    (project / "mypy.ini").write_text(SETTINGS.replace("visitors.Visitor", setting))
    (project / "pages.py").write_text("")
    (project / "visitors.py").write_text(NESTED_VISITORS if outer else VISITORS)
    there, missing = f"class {outer or 'Visitor'}", "class Missing"
    edit(project, "visitors.py", there, missing)
    uses = [("others.py", line) for line in (6, 7, 8, 9, 11)]
    assert run() == dict.fromkeys([*uses, ("views.py", 3)], (GONE.format(setting),))
    edit(project, "visitors.py", missing, there)
    assert run() == {("others.py", 9): (NO_LEVEL,), ("views.py", 9): (NO_LEVEL,)}


ALIAS = """
from bases import Base
from visitors import Visitor

Current = Visitor
"""


def test_an_alias_that_stands_for_another_class_is_seen(project: Path, run: Run) -> None:
    levels = [("others.py", 9), ("views.py", 9)]
    (project / "pages.py").write_text(ALIAS)
    (project / "mypy.ini").write_text(SETTINGS.replace("visitors.Visitor", "pages.Current"))
    assert run() == dict.fromkeys(levels, (NO_LEVEL,))
    edit(project, "pages.py", "Current = Visitor", "Current = Base")
    assert run()["others.py", 11] == run()["views.py", 6] == ('"Base" has no key "user_id" [session-key]',)
    edit(project, "pages.py", "Current = Base", "Current = Visitor")
    assert run() == dict.fromkeys(levels, (NO_LEVEL,))


def test_what_was_cached_under_other_settings_is_checked_anew(project: Path) -> None:
    (run,) = run_cached(project)
    before = run()
    for setting, changed in (("schema = visitors.Visitor", "schema = bases.Base"), ("csrf_token", "level")):
        with case(changed):
            (project / "mypy.ini").write_text(SETTINGS.replace(setting, changed))
            assert run() != before
    (project / "mypy.ini").write_text(SETTINGS)
    assert run() == before


FLASK = """
from collections.abc import MutableMapping
from typing import Any

class SessionMixin(MutableMapping[str, Any]):
    permanent: bool
"""
FLASK_PACKAGE = """
class Flask:
    def run(self) -> None: ...
"""


KINDS = """
from dataclasses import dataclass
from functools import cache
from typing import Generic, TypedDict, TypeVar

import msgspec
from attrs import define
from pydantic import BaseModel
from typing_extensions import ReadOnly

T = TypeVar("T")


@define
class Attrs:
    user_id: int | None = None
    fixed: str = ""


@dataclass
class Data:
    user_id: int | None = None
    fixed: str = ""


class Packed(msgspec.Struct):
    user_id: int | None = None
    fixed: str = ""


class Model(BaseModel):
    user_id: int | None = None
    fixed: str = ""


class Keyed(TypedDict, total=False):
    user_id: int | None
    fixed: ReadOnly[str]


class Box(TypedDict, Generic[T], total=False):
    user_id: T
    fixed: str


class Outer:
    class Inner(msgspec.Struct):
        user_id: int | None = None
        fixed: str = ""


Alias = Box[int | None]


def make() -> Data:
    return Data()


@cache
def make_once() -> Data:
    return Data()
"""
KINDS_VIEWS = """
from typing import assert_type
from flask.sessions import SessionMixin

def view(session: SessionMixin) -> None:
    assert_type(session["fixed"], str)
    session["user_id"] = 7
    session["user_id"] = "7"
    session.get("usr_id")
    session["fixed"] = "x"
    session.update({"fixed": 7})
"""


def test_the_setting_takes_every_kind_of_schema_by_its_name(tmp_path: Path) -> None:
    names = {
        "Attrs": "Attrs",
        "Data": "Data",
        "Packed": "Packed",
        "Model": "Model",
        "Keyed": "Keyed",
        "Alias": "Box",
        "Outer.Inner": "Inner",
        "make": "Data",
        "make_once": "Data",
    }
    modules = {f"views_{number}": path for number, path in enumerate(names)}
    schema = "".join(f"\n    {module}: shop.kinds.{path}" for module, path in modules.items())
    programs = {f"{module}.py": KINDS_VIEWS for module in modules}
    reported = report_of_setting(tmp_path, schema, {**programs, "shop/kinds.py": KINDS}, programs=len(programs))
    for module, path in modules.items():
        with case(path):
            found = {line: messages for (file, line), messages in reported.items() if file == f"{module}.py"}
            assert found == wrong_in_views(names[path])


def wrong_in_views(name: str) -> Mapping[int, tuple[str, ...]]:
    """Return the errors by line, for a class of that name."""
    fixed = 'Key "fixed" of "Keyed" is read-only [session-value]'
    return {
        8: (f'Value of key "user_id" of "{name}" has incompatible type "str"; expected "int | None" [session-value]',),
        9: (f'"{name}" has no key "usr_id"; did you mean "user_id"? [session-key]',),
        11: (f'Value of key "fixed" of "{name}" has incompatible type "int"; expected "str" [session-value]',),
    } | ({10: (fixed,), 11: (fixed,)} if name == "Keyed" else {})


def test_a_class_within_a_class_is_found_from_a_package_and_in_another_folder(tmp_path: Path) -> None:
    files = {"app/__init__.py": KINDS_VIEWS, "lib/shop/kinds.py": KINDS}
    reported = report_of_setting(tmp_path, "shop.kinds.Outer.Inner", files, f"mypy_path = {tmp_path}/lib")
    assert {place[0] for place in reported} == {"__init__.py"}
    assert len(reported) == 3


MODELS = """
from typing import Annotated, ClassVar
from pydantic import BaseModel, ConfigDict, Field, computed_field

class Base(BaseModel):
    model_config = ConfigDict(populate_by_name=True)
    limit: ClassVar[int] = 3
    user_id: int | None = Field(default=None, alias="userId")

class Visitor(Base):
    fixed: Annotated[str, Field(max_length=3)] = ""

    @computed_field  # type: ignore[prop-decorator]
    @property
    def shown(self) -> str:
        return self.fixed
"""
MODEL_VIEWS = """
from typing import assert_type
from flask.sessions import SessionMixin

def view(session: SessionMixin) -> None:
    assert_type(session["fixed"], str)
    assert_type(session.data.user_id, int | None)
    session["user_id"] = "7"
    session["userId"]
    session["limit"]
    session["model_config"]
    session["shown"]
"""


@pytest.mark.parametrize("plugins", ["typed_sessions.mypy_plugin", "pydantic.mypy, typed_sessions.mypy_plugin"])
def test_the_keys_of_a_model_are_its_fields_with_the_plugin_of_pydantic_or_without(
    tmp_path: Path, plugins: str
) -> None:
    files = {"views.py": MODEL_VIEWS, "models.py": MODELS}
    reported = report_of_setting(tmp_path, "models.Visitor", files, plugins=plugins)
    assert {line: messages for (_, line), messages in reported.items()} == {
        8: ('Value of key "user_id" of "Visitor" has incompatible type "str"; expected "int | None" [session-value]',),
        9: ('"Visitor" has no key "userId"; did you mean "user_id"? [session-key]',),
        10: ('"Visitor" has no key "limit" [session-key]',),
        11: ('"Visitor" has no key "model_config" [session-key]',),
        12: ('"Visitor" has no key "shown" [session-key]',),
    }


def report_of_setting(
    folder: Path,
    schema: str,
    files: Mapping[str, str],
    more: str = "",
    *,
    programs: int = 1,
    plugins: str = "typed_sessions.mypy_plugin",
) -> Errors:
    """Return what mypy reports of the first files, with a framework that takes less time to read than Flask."""
    for name, text in {**files, "flask/__init__.py": FLASK_PACKAGE, "flask/sessions.py": FLASK}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    settings = f"[mypy]\nplugins = {plugins}\n{more}\n[typed_sessions]\nschema = {schema}\n"
    (folder / "mypy.ini").write_text(settings)
    checked = [folder / name for name in [*files][:programs]]
    return errors_in(mypy_report(f"--config-file={folder}/mypy.ini", "--no-incremental", *checked))


SEVERAL = """
from flask.sessions import SessionMixin

def view(session: SessionMixin) -> None:
    session["cart"]
    session["level"]
    session.data.cart
    session.promote(cart=7)
    "cart" in session
"""
CLASS = """
from attrs import define

@define
class Visitor:
    {}: str = ""
"""


@pytest.mark.parametrize("file", ["mypy.ini", "pyproject.toml"])
def test_each_package_has_its_own_schema(file: str, tmp_path: Path) -> None:
    packages = {"blog": SEVERAL, "shop": SEVERAL, "shop/admin": SEVERAL, "other": SEVERAL}
    for name, text in packages.items():
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "__init__.py").touch()
        (tmp_path / name / "views.py").write_text(text)
        (tmp_path / name / "schema.py").write_text(CLASS.format("level" if name == "shop/admin" else "cart"))
    (tmp_path / "flask").mkdir()
    (tmp_path / "flask" / "__init__.py").write_text(FLASK_PACKAGE)
    (tmp_path / "flask" / "sessions.py").write_text(FLASK)
    lines = "shop: shop.schema.Visitor\n    shop.admin: shop.admin.schema.Visitor\n    blog: blog.schema.Visitr"
    (tmp_path / file).write_text(
        f"[mypy]\nplugins = typed_sessions.mypy_plugin\n[typed_sessions]\nschema =\n    {lines}\n"
        if file == "mypy.ini"
        else f'[tool.mypy]\nplugins = "typed_sessions.mypy_plugin"\n[tool.typed_sessions]\nschema = """{lines}"""\n'
    )
    views = [tmp_path / name / "views.py" for name in packages]
    report = mypy_report(f"--config-file={tmp_path}/{file}", "--no-incremental", *views)
    found = [
        (Path(path).parent.name, int(line), message.replace("  [", " ["))
        for path, line, message in re.findall(r"^(.*):(\d+): error: (.*)$", report, re.MULTILINE)
    ]
    no_cart, no_level = '"Visitor" has no key "cart" [session-key]', '"Visitor" has no key "level" [session-key]'
    wrong = 'Value of key "cart" of "Visitor" has incompatible type "int"; expected "str" [session-value]'
    assert sorted(found) == [
        ("admin", 5, no_cart),
        ("admin", 7, '"Visitor" has no attribute "cart" [attr-defined]'),
        ("admin", 8, no_cart),
        ("admin", 9, no_cart),
        ("blog", 2, GONE.format("blog.schema.Visitr")),
        ("other", 7, '"object" has no attribute "cart" [attr-defined]'),
        ("shop", 6, no_level),
        ("shop", 8, wrong),
    ]


def test_many_misspelt_keys_take_no_time(tmp_path: Path) -> None:
    names = [f"a_rather_long_name_of_a_field_{number:03}" for number in range(500)]
    fields = "".join(f'    {name}: str = ""\n' for name in names)
    uses = [f"session['{name.replace('rather', 'rahter')}']" for name in names]
    views = FLASK_VIEWS + "".join(f"    {use}\n" for use in uses)
    schema = f"from attrs import define\n\n@define\nclass Visitor:\n{fields}"
    before = getrusage(RUSAGE_CHILDREN).ru_utime
    reported = report_of_setting(tmp_path, "visitors.Visitor", {"views.py": views, "visitors.py": schema})
    assert getrusage(RUSAGE_CHILDREN).ru_utime - before < 5  # it was more than that for the hints alone
    assert len(reported) == len(names)
    assert all(f'did you mean "{name}"?' in reported["views.py", 7 + line][0] for line, name in enumerate(names))


FLASK_VIEWS = """
import json
from flask import Flask
from flask.sessions import SessionMixin

def view(app: Flask, session: SessionMixin) -> None:
"""


PROBLEMS = {
    "visitors.Visitr": "cannot be found",
    "vsitors.Visitor": "cannot be found",
    "visitors.UserID": "is no class that declares the keys of a session",
}


def test_a_path_that_does_not_resolve_is_an_error(tmp_path: Path) -> None:
    modules = {f"views_{number}": path for number, path in enumerate(PROBLEMS)}
    schema = "".join(f"\n    {module}: {path}" for module, path in modules.items())
    uses = ["session['a']", "session['b'] = 7", "session.get('c')"]
    assert errors_of_path(tmp_path, schema, dict.fromkeys(modules, uses)) == {
        f"{module}.py": (
            f'The schema "{path}", which the settings of typed_sessions name, {PROBLEMS[path]} [session-key]',
        )
        for module, path in modules.items()
    }


def test_such_a_path_is_an_error_where_no_key_is_used(tmp_path: Path) -> None:
    uses = {
        "flag": "session.permanent = session.permanent",
        "method": "session.clear()",
        "iteration": "list(key for key in session)",
        "application": "Flask()",
        "method_of_application": "app.run()",
    }
    found = errors_of_path(tmp_path, "visitors.Visitr", {module: [use] for module, use in uses.items()})
    assert found == {f"{module}.py": (GONE.format("visitors.Visitr"),) for module in uses}


def errors_of_path(folder: Path, schema: str, uses: Mapping[str, list[str]]) -> dict[str, tuple[str, ...]]:
    """Return the errors in programs, which are all in the line that imports the framework, by their files."""
    programs = {
        f"{module}.py": FLASK_VIEWS + "".join(f"    {use}\n" for use in lines) for module, lines in uses.items()
    }
    files = {**programs, "visitors.py": "UserID = int\n"}
    reported = report_of_setting(folder, schema, files, programs=len(programs))
    assert {line for _, line in reported} == {3}
    return {file: found for (file, _), found in reported.items()}


@pytest.mark.parametrize(
    ("file", "text", "settings"),
    [
        ("mypy.ini", "[mypy]\n", Settings()),
        ("mypy.ini", "[typed_sessions]\nschema = a.b.C\n", Settings("a.b.C")),
        ("setup.cfg", "[typed_sessions]\nallowed_keys = a, b.c,\n  d\n", Settings(None, frozenset({"a", "b.c", "d"}))),
        ("pyproject.toml", '[tool.typed_sessions]\nschema = "a.C"\n', Settings("a.C")),
        ("pyproject.toml", '[tool.typed_sessions]\nallowed_keys = ["a"]\n', Settings(None, frozenset({"a"}))),
        ("pyproject.toml", "[tool.mypy]\n", Settings()),
        ("mypy.ini", "[typed_sessions]\nschema =\n  shop: a.B\n  c.D\n", Settings("\nshop: a.B\nc.D")),
        ("pyproject.toml", '[tool.typed_sessions]\nschema = """\nshop: a.B\nc.D\n"""\n', Settings("shop: a.B\nc.D\n")),
        ("pyproject.toml", '[tool.typed_sessions]\nschema = ["shop: a.B", "c.D"]\n', Settings("shop: a.B\nc.D")),
    ],
)
def test_settings(tmp_path: Path, file: str, text: str, settings: Settings) -> None:
    (tmp_path / file).write_text(text)
    assert read_settings(str(tmp_path / file)) == settings


@pytest.mark.parametrize(
    ("module", "schema"),
    [
        ("shop", "a.Visitor"),
        ("shop.views", "a.Visitor"),
        ("shop.admin", "a.Staff"),
        ("shop.admin.views.users", "a.Staff"),
        ("shop.administration", "a.Visitor"),
        ("shopping", "b.Reader"),
        ("tests.shop", "b.Reader"),
    ],
)
def test_the_innermost_package_that_is_named_counts(module: str, schema: str) -> None:
    text = "shop: a.Visitor\n shop.admin :a.Staff, b.Reader"
    assert Settings(text).schema_for(module) == schema
    assert Settings("shop: a.Visitor").schema_for("blog") is None


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("mypy.ini", "[typed_sessions]\nschema =\n a: b.C\n a: d.E\n", "schema names two classes for the package a"),
        ("mypy.ini", "[typed_sessions]\nschema =\n b.C\n d.E\n", "schema names two classes for all other packages"),
        ("mypy.ini", "[typed_sessions]\nschema =\n : b.C\n", "schema must be"),
        ("mypy.ini", "[typed_sessions]\nschema =\n shop views: b.C\n", "schema must be"),
        ("mypy.ini", "[typed_sessions]\nschema =\n", "schema must be"),
        ("pyproject.toml", "[tool.typed_sessions]\nschema = [7]\n", "schema must be"),
        ("mypy.ini", "[typed_sessions]\nshema = a.C\n", 'unknown setting "shema"; the settings are schema'),
        ("mypy.ini", "[typed_sessions]\nschema = Visitor\n", 'schema must be the full name of a class, "module.Class"'),
        ("mypy.ini", "[typed_sessions]\nschema = a:C\n", 'schema must be the full name of a class, "module.Class"'),
        ("mypy.ini", "schema = a.C\n", "no section headers"),
        ("pyproject.toml", "[tool.typed_sessions]\nschema = 7\n", "schema must be the full name of a class"),
        ("pyproject.toml", "[tool.typed_sessions]\nallowed_keys = 7\n", "allowed_keys must be a list of keys, not 7"),
        ("pyproject.toml", "[tool.typed_sessions\n", "Expected"),
        ("pyproject.toml", "[tool]\ntyped_sessions = 7\n", "must be a table"),
    ],
)
def test_wrong_settings_are_refused(tmp_path: Path, file: str, text: str, message: str) -> None:
    (tmp_path / file).write_text(text)
    with pytest.raises(CompileError, match=re.escape(message)):
        read_settings(str(tmp_path / file))


def test_mypy_prints_a_refusal(tmp_path: Path) -> None:
    (tmp_path / "mypy.ini").write_text(SETTINGS.replace("schema =", "shema ="))
    done = run_checker([*MYPY, f"--config-file={tmp_path}/mypy.ini", "-c", "1"])
    assert f'{tmp_path}/mypy.ini: error: [typed_sessions]: unknown setting "shema"' in done.stdout
    assert done.returncode == 2


def imported_modules(module: ModuleType) -> set[str]:
    tree = ast.parse(Path(str(module.__file__)).read_text())
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    return names | {f"{'.' * node.level}{node.module}" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}


def test_the_plugin_imports_nothing_of_the_runtime() -> None:
    roots = {name.partition(".")[0] for name in imported_modules(mypy_plugin)}
    assert roots - sys.stdlib_module_names == {"mypy", "typing_extensions"}


def test_the_plugin_loads_by_path_where_nothing_that_sessions_need_is_installed(tmp_path: Path) -> None:
    (tmp_path / "mypy.ini").write_text(f"[mypy]\nplugins = {mypy_plugin.__file__}\n")
    blocked = ["attrs", "cattrs", "flask", "itsdangerous", "msgspec", "quart", "typed_sessions"]
    script = f"import sys; sys.modules.update(dict.fromkeys({blocked})); from mypy.main import main; main()"
    arguments = [f"--config-file={tmp_path}/mypy.ini", f"--cache-dir={tmp_path}/cache", "-c", "x: int = ''"]
    command = [sys.executable, "-c", script, *arguments]
    done = run_checker(command)
    assert (done.stderr, done.returncode) == ("", 1)
    assert "Incompatible types in assignment" in done.stdout
