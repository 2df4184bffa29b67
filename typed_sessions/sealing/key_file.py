"""`KeyFile`: secret keys in a file, one a line, as Docker and Kubernetes bring them to an application."""

from __future__ import annotations

import re
import stat
from os import PathLike, fspath
from pathlib import Path
from typing import Final, cast

from typed_sessions.errors import ConfigurationError
from typed_sessions.sealing.keys import SecretKeys, refuse_same_ids

__all__ = ["FileKey", "KeyFile", "keys_in", "path_of"]

_LARGEST: Final = 64 * 1024
"""In bytes. What is larger is another file than was meant."""

_LINE_END: Final = re.compile(r"[\r\n]")


class FileKey(str):
    """A key that was read from a file. So it is known, in a config, from one that a program has set."""

    __slots__ = ()


class KeyFile:
    """The keys in a file, which may change while the application runs: they are read again once a second at most.

    A file that is missing, empty, or otherwise of no use keeps the keys of before. A last line without a line end may
    be half written: when it is new, it counts once it was found the same a second time.

    Args:
        path: of the file. A link is followed at each look: Kubernetes replaces it.
    """

    def __init__(self, path: str) -> None:
        self.keys: tuple[FileKey, ...] = ()
        """The oldest one first; the last one signs. None before the first look."""
        self.path: Final = path
        self._file: Final = Path(path).absolute()  # whatever the working directory becomes
        self._looked_at: int | None = None
        """The second of the last look."""
        self._pending: tuple[FileKey, ...] | None = None
        """What the last look found, of which nobody knows whether it is all."""
        self._is_reported = False

    def is_due(self, now: float) -> bool:
        """Return True unless it was looked at in this second."""
        return int(now) != self._looked_at

    def look(self, now: float, *, with_ids: bool = False) -> str | None:
        """Read the file, and return why the keys of before stay, if they do; once until it can be used again.

        Args:
            now: the time.
            with_ids: whether keys are told by their ids, so that no two may have the same.

        Raises:
            ConfigurationError: it cannot be used, and there are no keys of before.
        """
        self._looked_at = int(now)
        try:
            keys, is_complete = _read(self._file)
            if with_ids:
                refuse_same_ids(SecretKeys(keys[-1], keys[:-1]))
        except ConfigurationError as error:
            if not self.keys:
                raise ConfigurationError(f"SECRET_KEY_FILE cannot be used: {error}") from None
            is_news, self._is_reported = not self._is_reported, True
            return str(error) if is_news else None
        self._is_reported = False
        if is_complete or not self.keys or keys in (self.keys, self._pending):
            self.keys, self._pending = keys, None
        else:
            self._pending = keys
        return None


def keys_in(path: str) -> tuple[FileKey, ...]:
    """Return the keys in a file, the oldest one first.

    Raises:
        ConfigurationError: it cannot be used. The message does not have the path, which may be a key, by mistake.
    """
    return _read(Path(path))[0]


def _read(path: Path) -> tuple[tuple[FileKey, ...], bool]:
    """Return the keys in a file, and whether its last line has its end. Raises what `keys_in` raises."""
    try:
        is_file = stat.S_ISREG(path.stat().st_mode)  # one that is a pipe would be waited for
        content = b""
        if is_file:
            with path.open("rb") as file:
                content = file.read(_LARGEST + 1)
    except FileNotFoundError:
        raise ConfigurationError("it is missing") from None
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"it cannot be read: {type(error).__name__}") from None
    if not is_file:
        raise ConfigurationError("it is no file with lines of text")
    if len(content) > _LARGEST:
        raise ConfigurationError(f"it has more than {_LARGEST} bytes")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ConfigurationError("it is not UTF-8 text") from None
    lines = [line.strip() for line in _LINE_END.split(text)]
    keys = tuple(dict.fromkeys(FileKey(line) for line in reversed(lines) if line))[::-1]  # each where it comes last
    if not keys:
        raise ConfigurationError("it is empty")
    if not all(map(str.isprintable, keys)):
        raise ConfigurationError("it has characters that are no text, as UTF-16 would have")
    if any(not key.strip("*") for key in keys):
        raise ConfigurationError("a key in it is nothing but asterisks")
    return keys, not lines[-1]


def path_of(setting: str, value: object) -> str | None:
    """Return the path of a key file, of what a setting says; None where it is not set.

    Raises:
        ConfigurationError: it is no path.
    """
    if value is None or value == "":
        return None
    path: object = fspath(cast("str | PathLike[str]", value)) if isinstance(value, (str, PathLike)) else None
    if not isinstance(path, str):
        raise ConfigurationError(f"{setting} must be the path of a file, as text, not {type(value).__name__}")
    return path
