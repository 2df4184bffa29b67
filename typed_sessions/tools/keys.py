"""The command `typed-sessions keys`: makes secret keys, says how to rotate them, and lists them by their ids."""

from __future__ import annotations

import argparse
import json
import os
import secrets
import shlex
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any, Final

from attrs import asdict, frozen

from typed_sessions.core.settings import read_settings
from typed_sessions.errors import ConfigurationError
from typed_sessions.schema.narrowing import is_sequence
from typed_sessions.sealing.key_file import keys_in
from typed_sessions.sealing.keys import key_id

__all__ = ["add_command"]

_SIZE: Final = 32
_SHORT: Final = 16
"""In bytes: what is shorter can be found by trying."""

_FOUND_WEAKNESSES: Final = 1

_LEAKED: Final = (
    "A key that has leaked is never a fallback: take it out at once. Whoever has it can write sessions, and everybody "
    "logs in again."
)


def add_command(commands: Any) -> None:
    """Add the command `keys`.

    Args:
        commands: what `ArgumentParser.add_subparsers` returned.
    """
    parser: argparse.ArgumentParser = commands.add_parser("keys", help="make, rotate and list secret keys")
    kinds = parser.add_subparsers(required=True, metavar="new|rotate|list")
    new = kinds.add_parser("new", help="print a new key, as the line for .env")
    new.add_argument("--key-only", action="store_true", help="nothing but the key, for a file with a key a line")
    new.set_defaults(run=_new)
    rotate = kinds.add_parser("rotate", help="say what to set, and in which order, for another key to sign")
    rotate.set_defaults(run=_rotate)
    listed = kinds.add_parser("list", help="list the keys that are set, by their ids; never the keys")
    listed.set_defaults(run=_list)
    for command in (rotate, listed):
        command.add_argument("--file", metavar="FILE", help="SECRET_KEY_FILE of the app, or else of the environment")
    for command in (new, rotate, listed):
        command.add_argument(
            "--key-variable",
            default="SECRET_KEY",
            metavar="NAME",
            help="the environment variable with the secret key; those of fallbacks and file begin with its name",
        )
        command.add_argument("--json", action="store_true", help="for programs")


@frozen
class _Listed:
    """A key as it is listed."""

    id: str
    signs: bool
    """True of the one key that does. All of them verify."""
    bytes: int
    source: str
    """Where it is set."""
    weakness: str | None = None
    """What is wrong with it."""


def _new(arguments: argparse.Namespace) -> int:
    key = _new_key()
    line = f"{arguments.key_variable}={key}"
    if arguments.json:
        _print(json.dumps({"key": key, "id": _id(key), "env": line}, indent=2))
    elif arguments.key_only:
        _print(key)
    else:
        _print(f"# a key of {_SIZE} random bytes, with the id {_id(key)}; keep this out of your repository", line)
    return 0


def _list(arguments: argparse.Namespace) -> int:
    listed = list(_present(arguments))
    if not listed:
        variable = arguments.key_variable
        raise ConfigurationError(
            f"no key is set: give --file, or set the environment variable {variable} or {variable}_FILE"
        )
    if arguments.json:
        _print(json.dumps([asdict(key) for key in listed], indent=2))
    else:
        for key in listed:
            weakness = "" if key.weakness is None else f"  {key.weakness}"
            role = "signs   " if key.signs else "verifies"
            _print(f"{role}  {key.id}  {key.bytes} bytes, {key.source}{weakness}")
    return _FOUND_WEAKNESSES if any(key.weakness for key in listed) else 0


def _rotate(arguments: argparse.Namespace) -> int:
    file, listed = _file(arguments), list(_present(arguments))
    old = next((f"the old key (id {key.id})" for key in listed if key.signs), "the old key")
    fallbacks = [key.id for key in listed if not key.signs]
    steps = _with_file(file, old) if file else _with_variables(arguments.key_variable, old, fallbacks)
    if arguments.json:
        _print(json.dumps(steps, indent=2))
        return 0
    if steps["key"]:
        _print(f"The new key has the id {steps['id']}:", "", f"  {steps['key']}", "")
    for title, place in (("On one machine", "one_machine"), ("In a fleet, each step on all servers", "fleet")):
        _print(f"{title}:", "", *(f"  {number}. {step}" for number, step in enumerate(steps[place], 1)), "")
    _print(_LEAKED)
    return 0


def _with_variables(variable: str, old: str, fallbacks: list[str]) -> dict[str, Any]:
    key, others = _new_key(), f"{variable}_FALLBACKS"
    place = f"after those that are there ({', '.join(fallbacks)})" if fallbacks else "a JSON list"
    swap = f"Set {variable}={key} and put {old} at the end of {others}, {place}"
    return {
        "key": key,
        "id": _id(key),
        "one_machine": [f"{swap}. Restart the application.", _end_of(old)],
        "fleet": [
            f"Put the new key at the beginning of {others}: all servers know it before one signs with it.",
            f"{swap}; take the new key out of there.",
            _end_of(old),
        ],
    }


def _with_file(file: str, old: str) -> dict[str, Any]:
    new, path = "typed-sessions keys new --key-only", shlex.quote(file)
    return {
        "key": None,
        "id": None,
        "one_machine": [f"(echo; {new}) >> {path} makes a key that signs from the next second on.", _end_of(old)],
        "fleet": [
            f"Put the key that {new} prints into the first line: all servers know it before one signs with it.",
            "Move that line to the end of the file: it signs.",
            _end_of(old),
        ],
    }


def _end_of(old: str) -> str:
    return f"After PERMANENT_SESSION_LIFETIME take out {old}: what it signed has expired, or was signed anew."


def _present(arguments: argparse.Namespace) -> Iterator[_Listed]:
    """Return the keys that are set, the one that signs first.

    Raises:
        ConfigurationError: they are not as an application would take them.
    """
    variable, file = arguments.key_variable, _file(arguments)
    current, fallbacks = os.environ.get(variable), os.environ.get(f"{variable}_FALLBACKS")
    if file and not arguments.file and (current or fallbacks):
        raise ConfigurationError(f"{variable}_FILE is set together with {variable}, or its fallbacks: leave one out")
    found = _in_file(file) if file else _in_variables(variable, current, fallbacks)
    keys = read_settings({"SECRET_KEY": found["current"], "SECRET_KEY_FALLBACKS": found["fallbacks"]}).keys
    if keys is None:
        return
    ids = [key_id(key) for key in keys.oldest_first]
    for number, key in reversed([*enumerate(keys.oldest_first)]):
        signs = number == len(ids) - 1
        short = f"can be guessed: less than {_SHORT} bytes" if len(key) < _SHORT else None
        same = "has the id of another one, which encryption refuses" if ids.count(ids[number]) > 1 else None
        source = file or (variable if signs else f"{variable}_FALLBACKS")
        yield _Listed(ids[number], signs, len(key), source, short or same)


def _file(arguments: argparse.Namespace) -> str | None:
    return arguments.file or os.environ.get(f"{arguments.key_variable}_FILE") or None


def _in_file(file: str) -> Mapping[str, Any]:
    try:
        *fallbacks, current = keys_in(file)
    except ConfigurationError as error:
        raise ConfigurationError(f"the file with the keys cannot be used: {error}") from None
    return {"current": current, "fallbacks": fallbacks}


def _in_variables(variable: str, current: str | None, fallbacks: str | None) -> Mapping[str, Any]:
    """Return what variables of the environment hold, which may be any bytes."""
    try:
        listed: object = json.loads(fallbacks) if fallbacks else []
    except ValueError:
        listed = None
    if not is_sequence(listed):
        raise ConfigurationError(f'{variable}_FALLBACKS must be a JSON list: ["older", "old"]')
    return {"current": os.fsencode(current) if current else None, "fallbacks": listed}


def _new_key() -> str:
    """Return a key that no command takes for an option."""
    return next(key for key in iter(partial(secrets.token_urlsafe, _SIZE), None) if key[0].isalnum())


def _id(key: str) -> str:
    return key_id(key.encode())


def _print(*lines: str) -> None:
    print("\n".join(lines))  # noqa: T201 -- a command prints
