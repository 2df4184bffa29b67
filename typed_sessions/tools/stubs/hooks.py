"""How the type checkers that a project configures are told of its stubs."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from configparser import Error as IniError
from configparser import RawConfigParser
from pathlib import Path
from typing import Final

from attrs import frozen

from typed_sessions.schema.narrowing import is_dict, is_sequence
from typed_sessions.tools.stubs.framework_stubs import FRAMEWORKS
from typed_sessions.tools.stubs.schema_stub import SchemaStub

__all__ = ["hooks"]

_PLUGIN: Final = "typed_sessions.mypy_plugin"
_PYPROJECT: Final = "pyproject.toml"
_NONE_FOUND: Final = "no type checker is configured here; in pyproject.toml, each takes"


@frozen
class _Setting:
    """Where a checker's configuration may stand, and what it needs there."""

    checker: str
    table: str
    """In pyproject.toml."""
    key: str
    """Of the setting, from that table on."""
    files: tuple[str, ...]
    """The checker's own files, whose top is that table."""
    listed: bool = True
    """True if the setting takes several folders."""


_SETTINGS: Final = (
    _Setting("pyright", "pyright", "stubPath", ("pyrightconfig.json",), listed=False),
    _Setting("basedpyright", "basedpyright", "stubPath", (), listed=False),
    _Setting("ty", "ty", "environment.extra-paths", ("ty.toml",)),
    _Setting("pyrefly", "pyrefly", "site-package-path", ("pyrefly.toml",)),
)
_MYPY_FILES: Final = ("mypy.ini", ".mypy.ini", "setup.cfg")
_MYPY: Final = "mypy"
_EXCLUDED: Final = f"({'|'.join(FRAMEWORKS)})-stubs/"
"""What mypy is to leave out where it looks for files by itself: to it, two packages are a module `globals`."""


def hooks(project: Path, out: Path, stub: SchemaStub) -> list[str]:
    """Return what to write into the configuration of the checkers that do not know of the stubs yet, as lines.

    Args:
        project: the folder with the configuration.
        out: the folder of the stubs.
        stub: what was written there.
    """
    tools = _table(_read(project / _PYPROJECT), "tool")
    found = [*_mypy_hooks(project, tools, out, stub), *_other_hooks(project, tools, out)]
    if not found:
        texts = [_toml_mypy(out, stub), *(_toml(setting, f"tool.{setting.table}", out) for setting in _SETTINGS)]
        return [_NONE_FOUND, *(line for text in texts for line in _indented(text))]
    lines: list[str] = []
    for file, text in found:
        if text is not None:
            lines += [f"put into {file}", *_indented(text)]
    return lines


def _mypy_hooks(
    project: Path, tools: Mapping[object, object], out: Path, stub: SchemaStub
) -> Iterator[tuple[str, str | None]]:
    """Yield where mypy is configured, and what is missing there; None if nothing is.

    mypy leaves stub packages alone that are not installed, so its plugin types the frameworks' sessions.
    """
    for file in _MYPY_FILES:
        parser = RawConfigParser()
        try:
            parser.read(project / file, encoding="utf-8")
        except (IniError, UnicodeError):
            continue
        if parser.has_section(_MYPY):
            yield file, None if _is_mypy_hooked(dict(parser.items(_MYPY)), out) else _ini_mypy(out, stub)
    if _MYPY in tools:
        hooked = _is_mypy_hooked(_table(tools, _MYPY), out)
        yield _PYPROJECT, None if hooked else _toml_mypy(out, stub)


def _is_mypy_hooked(table: Mapping[object, object], out: Path) -> bool:
    excluded = table.get("exclude", "")
    patterns = excluded if is_sequence(excluded) else str(excluded).split("\n")
    return _PLUGIN in str(table.get("plugins", "")) and any(_excludes(str(pattern), out) for pattern in patterns)


def _excludes(pattern: str, out: Path) -> bool:
    """Return True if mypy leaves the stub packages of a folder out for a pattern."""
    try:
        return pattern != "" and all(re.search(pattern, f"{out.as_posix()}/{name}-stubs/") for name in FRAMEWORKS)
    except re.error:  # mypy says so
        return False


def _other_hooks(project: Path, tools: Mapping[object, object], out: Path) -> Iterator[tuple[str, str | None]]:
    for setting in _SETTINGS:
        for file in setting.files:
            if (project / file).is_file():
                hooked = _is_hooked(_read(project / file), setting, out)
                write = _json if file.endswith(".json") else _toml
                yield file, None if hooked else write(setting, "", out)
        if setting.table in tools:
            hooked = _is_hooked(_table(tools, setting.table), setting, out)
            yield _PYPROJECT, None if hooked else _toml(setting, f"tool.{setting.table}", out)


def _is_hooked(table: Mapping[object, object], setting: _Setting, out: Path) -> bool:
    *tables, key = setting.key.split(".")
    for name in tables:
        table = _table(table, name)
    value: object = table.get(key)
    folders = value if is_sequence(value) else [value]
    return any(isinstance(folder, str) and Path(folder) == out for folder in folders)


def _ini_mypy(out: Path, stub: SchemaStub) -> str:
    return (
        f"[mypy]\nplugins = {_PLUGIN}\nmypy_path = {out.as_posix()}\nexclude = {_EXCLUDED}\n\n"
        f"[typed_sessions]\nschema = {stub.schema}"
    ) + (f"\nallowed_keys = {', '.join(stub.allowed)}" if stub.allowed else "")


def _toml_mypy(out: Path, stub: SchemaStub) -> str:
    return (
        f'[tool.mypy]\nplugins = ["{_PLUGIN}"]\nmypy_path = "{out.as_posix()}"\n'
        f'exclude = ["{_EXCLUDED}"]\n\n[tool.typed_sessions]\nschema = "{stub.schema}"'
    ) + (f"\nallowed_keys = {json.dumps(stub.allowed)}" if stub.allowed else "")


def _toml(setting: _Setting, table: str, out: Path) -> str:
    *tables, key = setting.key.split(".")
    header = ".".join(filter(None, [table, *tables]))
    value = f'["{out.as_posix()}"]' if setting.listed else f'"{out.as_posix()}"'
    return "\n".join(filter(None, [f"[{header}]" if header else "", f"{key} = {value}"]))


def _json(setting: _Setting, _table: str, out: Path) -> str:
    return f'"{setting.key}": "{out.as_posix()}"'


def _indented(text: str) -> list[str]:
    return [f"    {line}".rstrip() for line in text.split("\n")]


def _read(path: Path) -> Mapping[object, object]:
    """Return what a file of settings holds; nothing if it cannot be read, as one with comments in its JSON."""
    load: Callable[[str], object] = json.loads if path.suffix == ".json" else tomllib.loads
    try:
        loaded = load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):  # those of both parsers are ValueErrors
        return {}
    return loaded if is_dict(loaded) else {}


def _table(tables: Mapping[object, object], name: str) -> Mapping[object, object]:
    table = tables.get(name)
    return table if is_dict(table) else {}
