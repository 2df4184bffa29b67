"""The command `typed-sessions stubs`."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from pathlib import Path, PurePosixPath
from typing import Any, Final

from typed_sessions.errors import ConfigurationError
from typed_sessions.tools.stubs.framework_stubs import FRAMEWORKS
from typed_sessions.tools.stubs.hooks import hooks
from typed_sessions.tools.stubs.schema_stub import SchemaStub
from typed_sessions.tools.stubs.stub_files import others_files, stale_files, stub_files, write_files

__all__ = ["add_command"]

_STALE: Final = 1


def add_command(commands: Any, load: Callable[[str], object]) -> None:
    """Add the command `stubs`.

    Args:
        commands: what `ArgumentParser.add_subparsers` returned.
        load: imports what `module:Schema` names.
    """
    parser: argparse.ArgumentParser = commands.add_parser("stubs", help="write stubs for type checkers other than mypy")
    parser.add_argument("schema", metavar="module:Schema", help="a class, a function or a Sessions object")
    parser.add_argument("--out", type=Path, default=Path("stubs"), metavar="FOLDER", help="stubs by default")
    parser.add_argument("--check", action="store_true", help="write nothing; fail if the stubs are stale")
    parser.add_argument(
        "--allow", action="append", default=[], metavar="KEY", help="an undeclared key that the program uses"
    )
    parser.add_argument(
        "--frameworks", nargs="*", choices=FRAMEWORKS, default=FRAMEWORKS, help="whose session to type: all by default"
    )
    parser.set_defaults(run=partial(_run, load))


def _run(load: Callable[[str], object], arguments: argparse.Namespace) -> int:
    stub = SchemaStub.of(load(arguments.schema), arguments.schema, arguments.allow, _options(arguments))
    if find_spec(stub.module) is not None:
        raise ConfigurationError(f"there is a module {stub.module}, which the stub would hide; rename one of them")
    folder: Path = arguments.out
    files = stub_files(stub, arguments.frameworks)
    others = others_files(folder, files, stub)
    if PurePosixPath(f"{stub.module}.pyi") in others:
        raise ConfigurationError(
            f"{folder / stub.module}.pyi is the stub of {others[PurePosixPath(f'{stub.module}.pyi')]}, a class of the "
            f"same name; give each a folder of its own with --out, or delete it"
        )
    packages = {other.parts[0] for other in others}
    files = {path: text for path, text in files.items() if path.parts[0] not in packages}
    stale = stale_files(folder, files)
    if arguments.check:
        lines = [f"stale  {folder / path}" for path in stale]
        lines.append("Without --check they are written." if stale else f"{folder} is up to date")
    else:
        write_files(folder, files)
        lines = [f"{'wrote' if path in stale else 'kept '}  {folder / path}" for path in files]
        lines += [f"left   {folder / path}, which is for {schema}" for path, schema in others.items()]
        lines += [] if others else hooks(Path.cwd(), folder, stub)  # they were said for the first schema
    print("\n".join(lines))  # noqa: T201 -- a command prints
    return _STALE if arguments.check and stale else 0


def _options(arguments: argparse.Namespace) -> str:
    """Return the options that say what is written, for the stub's header."""
    options = "".join(f" --allow {shlex.quote(key)}" for key in sorted(set(arguments.allow)))
    if set(arguments.frameworks) != set(FRAMEWORKS):
        options += " ".join([" --frameworks", *arguments.frameworks])
    return options
