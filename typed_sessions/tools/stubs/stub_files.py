"""The files of a schema's stubs, and whether those on disk are as they should be."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path, PurePosixPath

from typed_sessions.errors import ConfigurationError
from typed_sessions.tools.stubs.framework_stubs import FRAMEWORKS, framework_files
from typed_sessions.tools.stubs.schema_stub import SchemaStub, schema_in
from typed_sessions.tools.stubs.session_class import session_module

__all__ = ["others_files", "stale_files", "stub_files", "write_files"]


def stub_files(stub: SchemaStub, frameworks: Collection[str] = FRAMEWORKS) -> dict[PurePosixPath, str]:
    """Return the text of each file of a schema's stubs, by its path in their folder. Equal schemas give equal files."""
    files = {PurePosixPath(f"{stub.module}.pyi"): session_module(stub)}
    for framework in frameworks:
        files |= framework_files(stub, framework)
    return files


def write_files(folder: Path, files: Mapping[PurePosixPath, str]) -> None:
    """Write files that differ from those on disk.

    Raises:
        ConfigurationError: they cannot be written.
    """
    try:
        for path in stale_files(folder, files):
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(files[path], encoding="utf-8", newline="\n")
    except OSError as error:
        raise ConfigurationError(f"{folder} cannot be written: {error}") from error


def stale_files(folder: Path, files: Mapping[PurePosixPath, str]) -> list[PurePosixPath]:
    """Return the files that are missing from a folder, or differ from what they should be."""
    return [path for path, text in files.items() if _text(folder / path) != text]


def others_files(folder: Path, files: Collection[PurePosixPath], stub: SchemaStub) -> dict[PurePosixPath, str]:
    """Return which of the files in a folder are stubs of another schema, with the full name of that."""
    schemas = {path: schema_in(_text(folder / path) or "") for path in files}
    return {path: schema for path, schema in schemas.items() if schema not in (None, stub.schema)}


def _text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeError):
        return None
