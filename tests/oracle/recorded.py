"""What the oracle made of a fixed set of sequences, as it was recorded: no history is needed to be held to that."""

from __future__ import annotations

import lzma
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from tests.oracle.differences import WANTED
from tests.oracle.outcomes import Outcome, SetCookie
from tests.oracle.sequences import Requests

__all__ = ["RECORDED", "Recorded", "portable", "read", "write"]

RECORDED: Final = Path(__file__).with_name("recorded.json.xz")


class Recorded(Struct, frozen=True):
    """A sequence, and what came of it. It is whole, so that random_sequences.py may change without the oracle."""

    requests: Requests
    outcomes: tuple[Outcome, ...]


def write(path: Path, recorded: Iterable[Recorded]) -> None:
    """Write what was recorded. The same is written as the same bytes."""
    path.write_bytes(lzma.compress(msgspec.json.encode(list(recorded)), preset=9 | lzma.PRESET_EXTREME))


def read(path: Path = RECORDED) -> list[Recorded]:
    """Return what was recorded."""
    return msgspec.json.decode(lzma.decompress(path.read_bytes()), type=list[Recorded])


def portable(outcome: Outcome) -> Outcome:
    """Return an outcome without what may differ between machines and versions, nor what is wanted to differ.

    That is the text of what zlib has compressed, and what Python and other libraries say of an error.
    """
    for wanted in WANTED.values():
        if wanted.leave_out is not None:
            outcome = wanted.leave_out(outcome)
    return replace(
        outcome,
        values=tuple(map(_without_words, outcome.values)),
        errors=tuple(map(_without_words, outcome.errors)),
        reports=tuple(map(_without_words, outcome.reports)),
        cookies=tuple(map(_of_payload, outcome.cookies)),
    )


_THEIRS: Final = re.compile(
    r"^((?:save: |past the handlers: )?"
    r"(?:AttributeError|FrozenInstanceError|IndexError|NameError|RecursionError|TypeError|UnboundLocalError|ValueError"
    r"|ImATeapot)): .*"
)
"""Errors that are not raised by the library, and what they say."""


_SIZE: Final = re.compile(r"(?<=the session cookie would take )\d+")


def _without_words(text: str) -> str:
    return _SIZE.sub("so many", _THEIRS.sub(r"\1", text))


def _of_payload(cookie: SetCookie) -> SetCookie:
    if not cookie.size or cookie.value.startswith("<"):
        return cookie
    return replace(cookie, value="<compressed>" if cookie.value.startswith(".") else "<of its payload>")
