"""The command `typed-sessions`, also `python -m typed_sessions`."""

from __future__ import annotations

import argparse
import asyncio
import base64
import datetime as dt
import getpass
import json
import math
import os
import re
import sys
from collections.abc import Collection, Sequence
from importlib import import_module
from itertools import islice
from operator import attrgetter
from pathlib import Path
from typing import Any, Final, TypeGuard

from attrs import evolve

from typed_sessions import stores
from typed_sessions.codec.codec import OnBadField
from typed_sessions.core.cookies import BROWSERS_LIMIT
from typed_sessions.core.hidden import HIDDEN
from typed_sessions.core.predecessors import Predecessor
from typed_sessions.errors import ConfigurationError, StoreUnavailableError
from typed_sessions.schema.narrowing import is_dict, is_sequence, is_set
from typed_sessions.schema.schema import Schema
from typed_sessions.sealing.keys import known_digest
from typed_sessions.serializers.base import AnySerializer, resolve_serializer
from typed_sessions.serializers.tagged_json import TaggedJSONSerializer
from typed_sessions.stores.identifiers import Identifier
from typed_sessions.tools.adoption import survey
from typed_sessions.tools.inspection import Inspection, inspect_cookie
from typed_sessions.tools.keys import add_command as add_keys_command
from typed_sessions.tools.lock import Finding, LockFile, compare, lock_schema, read_lock, write_lock
from typed_sessions.tools.stubs import add_command as add_stubs_command

__all__ = ["main"]

_LOCK_FILE: Final = Path("typed_sessions.lock.json")
_FOUND_LOSSES: Final = 1
_CANNOT_RUN: Final = 2
_UNREAD: Final = 141
"""What a shell says of a program that SIGPIPE ends."""

_NEEDED: Final = ", which it takes to read it, and the --cookie-name, --salt and --serializer of the app"

_SHOWING: Final = "--schema module:Class shows what is no Secret, and --secrets all."

_AN_IDENTIFIER: Final = """\
format     the identifier of a session on the server, which no key signs
The contents are in SESSION_STORE of the app. Whoever has the identifier has the session."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit status.

    Returns:
        0 if all is well; 1 if sessions would lose something, a cookie is refused or a key is weak; 2 if the command
        cannot run; 141 if whoever was to read what it prints has closed the pipe.
    """
    try:
        try:
            return _run(sys.argv[1:] if arguments is None else arguments)
        finally:
            sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python flushes once more when it ends
        return _UNREAD


def _run(arguments: Sequence[str]) -> int:
    parsed = _parser().parse_args(_with_cookie_as_value(arguments))
    try:
        status: int = parsed.run(parsed)
    except ConfigurationError as error:
        print(f"typed-sessions: {error}", file=sys.stderr)
        return _CANNOT_RUN
    return status


def _with_cookie_as_value(arguments: Sequence[str]) -> list[str]:
    """Return arguments in which a cookie that begins with a dash is not taken for an option of `inspect`."""
    if [*arguments[:1]] != ["inspect"]:
        return [*arguments]
    return [f"={each}" if _NO_OPTION.match(each) and each != "-h" else each for each in arguments]


_NO_OPTION: Final = re.compile(r"-[^-]|--[\w-]{41}\Z")
"""What begins with one dash, or with two and is as long as an identifier."""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="typed-sessions", description="Look after typed web sessions.")
    commands = parser.add_subparsers(required=True, metavar="command")

    lock = commands.add_parser("lock", help="write down what a schema says of its sessions")
    lock.add_argument("schemas", nargs="+", metavar="module:Schema", help="a class, a function or a Sessions object")
    lock.set_defaults(run=_lock)

    check = commands.add_parser("check", help="say what a deploy does to the sessions of what is locked")
    check.add_argument("schemas", nargs="*", metavar="module:Schema", help="all that are locked, if none is given")
    check.add_argument(
        "--max-cookie-size", type=_size, default=BROWSERS_LIMIT, metavar="BYTES", help="MAX_COOKIE_SIZE; 0 is no limit"
    )
    check.add_argument("--on-bad-field", choices=("field", "session"), default="field", help="SESSION_ON_BAD_FIELD")
    check.add_argument("--store", action="store_true", help="sessions are in a SESSION_STORE")
    check.add_argument("--json", action="store_true", help="for programs")
    check.set_defaults(run=_check)
    for command in (lock, check):
        command.add_argument("--file", type=Path, default=_LOCK_FILE, help=f"the lock file: {_LOCK_FILE} by default")
        command.add_argument("--serializer", default=TaggedJSONSerializer.name, help="SESSION_SERIALIZER of the app")
        command.add_argument("--encryption", choices=("off", "read", "on"), default="off", help="SESSION_ENCRYPTION")

    inspect = commands.add_parser("inspect", help="show what a session cookie holds")
    inspect.add_argument("cookie", metavar="COOKIE", help="its value, or - to read that from standard input")
    inspect.add_argument(
        "--key-variable", default="SECRET_KEY", metavar="NAME", help="the environment variable with the secret key"
    )
    inspect.add_argument("--serializer", default=None, help="SESSION_SERIALIZER of the app, if it is one of your own")
    inspect.add_argument("--salt", default="cookie-session", help="the salt of the session interface")
    inspect.add_argument("--cookie-name", default="session", metavar="NAME", help="SESSION_COOKIE_NAME of the app")
    inspect.add_argument("--digest", default="sha1", help="SESSION_DIGEST of the app")
    inspect.add_argument("--schema", metavar="module:Schema", help="that of the app, which says what is a Secret")
    inspect.add_argument("--secrets", action="store_true", help="show the values of secrets, too")
    inspect.add_argument("--json", action="store_true", help="for programs")
    inspect.set_defaults(run=_inspect)
    add_stubs_command(commands, _imported)
    add_keys_command(commands)

    adopt = commands.add_parser("adopt", help="say what would become of the sessions of another library")
    adopt.add_argument("schema", metavar="module:Schema", help="a class, a function or a Sessions object")
    adopt.add_argument("predecessor", metavar="module:name", help="one of SESSION_ADOPT of the app")
    adopt.add_argument(
        "--sample", type=_size, default=1_000, metavar="COUNT", help="how many to look at: 1000 by default"
    )
    adopt.add_argument("--on-bad-field", choices=("field", "session"), default="field", help="SESSION_ON_BAD_FIELD")
    adopt.add_argument("--serializer", default=TaggedJSONSerializer.name, help="SESSION_SERIALIZER of the app")
    adopt.add_argument("--json", action="store_true", help="for programs")
    adopt.set_defaults(run=_adopt)

    purge = commands.add_parser("purge", help="delete the sessions of a store that have expired")
    purge.add_argument("store", metavar="URL", nargs="?", help="SESSION_STORE of the app, or else of the environment")
    purge.add_argument(
        "--store-variable",
        default="SESSION_STORE",
        metavar="NAME",
        help="the environment variable with the URL, which keeps a password in it from other users: SESSION_STORE by "
        "default",
    )
    purge.add_argument("--table", metavar="NAME", help="of a PostgreSQL store: web.sessions")
    purge.set_defaults(run=_purge)
    return parser


def _adopt(arguments: argparse.Namespace) -> int:
    schema, predecessor = _schema(arguments.schema), _imported(arguments.predecessor)
    if not isinstance(predecessor, Predecessor) or isinstance(predecessor, type):
        raise ConfigurationError(f"{arguments.predecessor} is nothing that SESSION_ADOPT takes")
    sample = getattr(predecessor, "sample", None)
    if sample is None:  # they are in the browsers
        now = dt.datetime.now(dt.UTC)
        texts = [_padded_value(line) for line in islice(sys.stdin, arguments.sample) if line.strip()]
        found = (predecessor.load(text, now) for text in texts)
    else:
        found = sample(arguments.sample)
    try:
        result = survey(schema, found, OnBadField(arguments.on_bad_field), _serializer(arguments.serializer))
    except StoreUnavailableError as error:
        print(f"typed-sessions: {error}", file=sys.stderr)
        return _CANNOT_RUN
    print(json.dumps(result.as_json(), indent=2) if arguments.json else result.as_text())
    return _FOUND_LOSSES if result.loses else 0


def _purge(arguments: argparse.Namespace) -> int:
    url = arguments.store or os.environ.get(arguments.store_variable)
    if not url:
        raise ConfigurationError(
            f"which store? give its URL, or set the environment variable {arguments.store_variable}"
        )
    try:
        count = asyncio.run(_purged(_present_store(url, arguments.table)))
    except StoreUnavailableError as error:
        print(f"typed-sessions: {error}: {type(error.__cause__).__name__}", file=sys.stderr)
        return _CANNOT_RUN
    print(f"deleted {count} expired session{'' if count == 1 else 's'}")
    return 0


def _present_store(url: str, table: str | None) -> stores.SessionStore:
    """Return the store of a URL, unless it has nothing to purge.

    Raises:
        ConfigurationError: there is no such store, or no such file: one that is misspelt is not made.
    """
    store = stores.open_store(url if table is None else stores.with_table(url, table))
    path = stores.path_in(url)
    if path is not None and not path.is_file():
        raise ConfigurationError(f"there is no file {path.absolute()}")
    if isinstance(store, stores.MemoryStore):
        raise ConfigurationError("what memory:// keeps is in the memory of the application, and nowhere else")
    return store


async def _purged(store: stores.SessionStore) -> int:
    try:
        await store.now()  # a server that deletes by itself has to be there, too
        return await stores.purge(store)
    finally:
        await store.close()


def _lock(arguments: argparse.Namespace) -> int:
    lock = read_lock(arguments.file)
    serializer = _serializer(arguments.serializer)
    encrypted = arguments.encryption == "on"
    locked = {path: lock_schema(_schema(path), serializer, encrypted=encrypted) for path in arguments.schemas}
    write_lock(arguments.file, LockFile(lock.format, lock.schemas | locked))
    for path, schema in locked.items():
        size = f"at most {schema.largest_cookie} bytes" if schema.largest_cookie else "a cookie without a bound"
        print(f"locked {path}: {len(schema.fields)} fields, {size}")
    return 0


def _check(arguments: argparse.Namespace) -> int:
    lock = read_lock(arguments.file)
    serializer, encrypted = _serializer(arguments.serializer), arguments.encryption == "on"
    findings: dict[str, list[Finding]] = {}
    for path in arguments.schemas or lock.schemas:
        if path not in lock.schemas:
            raise ConfigurationError(f"{path} is not in {arguments.file}; lock it: typed-sessions lock {path}")
        schema = _schema(path)
        findings[path] = compare(
            lock.schemas[path],
            lock_schema(schema, serializer, encrypted=encrypted),
            schema.migrations.migrated,
            max_cookie_size=0 if arguments.store else arguments.max_cookie_size,
            refuses_bad_fields=arguments.on_bad_field == "session",
            only_signs=not encrypted and not arguments.store,
        )
    if not findings:
        raise ConfigurationError(f"{arguments.file} locks nothing; begin with: typed-sessions lock module:Schema")
    print(_findings_as_json(findings) if arguments.json else _findings_as_text(findings))
    return _FOUND_LOSSES if any(finding.effect.loses for found in findings.values() for finding in found) else 0


def _findings_as_json(findings: dict[str, list[Finding]]) -> str:
    return json.dumps(
        {
            path: [
                {
                    "effect": finding.effect.value,
                    "loses": finding.effect.loses,
                    "place": finding.place,
                    "text": finding.text,
                }
                for finding in found
            ]
            for path, found in findings.items()
        },
        indent=2,
    )


def _findings_as_text(findings: dict[str, list[Finding]]) -> str:
    lines: list[str] = []
    for path, found in findings.items():
        losses = sum(finding.effect.loses for finding in found)
        lines.append(f"{path}: {'nothing is lost' if losses == 0 else f'losses: {losses}'}")
        lines += [f"  {finding.effect.value:<18} {finding.place}: {finding.text}" for finding in found]
        if losses:
            lines.append(f"  To accept this: typed-sessions lock {path}")
    return "\n".join(lines)


def _inspect(arguments: argparse.Namespace) -> int:
    text = _cookie_value(sys.stdin.read() if arguments.cookie == "-" else arguments.cookie)
    if Identifier.of(text) is not None:
        print(json.dumps({"on_server": True, "size": len(text)}, indent=2) if arguments.json else _AN_IDENTIFIER)
        return 0
    digest = known_digest("--digest", arguments.digest)
    own = () if arguments.serializer is None else (_serializer(arguments.serializer),)
    key = _secret_key(arguments.key_variable)
    name = arguments.cookie_name
    inspection = inspect_cookie(text, key, salt=arguments.salt, digest=digest, serializers=own, cookie_name=name)
    if not arguments.secrets:
        inspection = _concealed(inspection, None if arguments.schema is None else _schema(arguments.schema).secrets)
    print(_inspection_as_json(inspection) if arguments.json else _inspection_as_text(inspection))
    return 0 if inspection.refused is None else _FOUND_LOSSES


def _concealed(inspection: Inspection, secrets: Collection[str] | None) -> Inspection:
    """Return what may be shown of a cookie. Without its schema, all that is encrypted may be a secret.

    Args:
        inspection: of the cookie.
        secrets: the fields that are marked as `Secret`; None if nobody knows.
    """
    contents = inspection.contents
    if contents is None or (secrets is None and inspection.key_id is None):
        return inspection
    hidden = contents.keys() if secrets is None else secrets
    return evolve(inspection, contents={key: HIDDEN if key in hidden else contents[key] for key in contents})


def _cookie_value(text: str) -> str:
    """Return the value of a cookie that may have been copied with its name and attributes."""
    return text.partition(";")[0].rpartition("=")[2].strip().strip('"')


def _padded_value(text: str) -> str:
    """Return the same of another library's cookie, where base64 is padded with equals signs, perhaps before a dot."""
    return re.sub(r'^[^=]*=(?![=.]|"?$)', "", text.partition(";")[0].strip()).strip('"')


def _secret_key(variable: str) -> bytes | None:
    """Return the secret key: never from the command line, where other users and the shell's history see it.

    A variable of the environment may hold any bytes, as an application's key may.
    """
    key = os.environ.get(variable)
    if not key and sys.stdin.isatty():
        try:
            key = getpass.getpass(f"{variable} is not set. The secret key, or nothing to look without one: ")
        except EOFError:  # nothing was typed at all
            print(file=sys.stderr)
    return os.fsencode(key) if key else None


def _inspection_as_json(inspection: Inspection) -> str:
    contents = None if inspection.contents is None else _jsonable(dict(inspection.contents))
    return json.dumps(
        {
            "verified": inspection.verified,
            "key_id": inspection.key_id,
            "refused": None if inspection.refused is None else inspection.refused.value,
            "formats": inspection.formats,
            "sealed_at": None if inspection.sealed_at is None else inspection.sealed_at.isoformat(),
            "size": inspection.size,
            "payload_size": inspection.payload_size,
            "compressed": inspection.compressed,
            "contents" if inspection.verified else "unverified_contents": contents,
        },
        indent=2,
    )


def _inspection_as_text(inspection: Inspection) -> str:
    compressed = ", compressed" if inspection.compressed else ""
    unpacked = "" if inspection.payload_size is None else f"; {inspection.payload_size} bytes of contents{compressed}"
    lines = [
        f"format     {' or '.join(inspection.formats) or 'unknown'}",
        f"sealed     {inspection.sealed_at or 'at no time that can be read'}",
        f"size       {inspection.size} bytes{unpacked}",
        f"signature  {'verified' if inspection.verified else 'NOT VERIFIED'}",
    ]
    if inspection.key_id is not None:
        lines.append(f"encrypted  with the key {inspection.key_id}{_NEEDED if inspection.contents is None else ''}")
    if inspection.refused is not None:
        lines.append(f"refused    {inspection.refused.value}")
    if inspection.contents is not None:
        lines.append("contents" if inspection.verified else "contents, NOT VERIFIED: anybody may have written them")
        lines += [f"  {key!r}: {value!r}" for key, value in inspection.contents.items()]
        lines += [_SHOWING] * (HIDDEN in inspection.contents.values())
    return "\n".join(lines)


def _jsonable(value: object) -> object:
    """Return what JSON can show of a value: a reader is to look at it, not to read it back."""
    if is_dict(value):
        return {str(key): _jsonable(item) for key, item in value.items()}
    if is_sequence(value) or is_set(value):
        return [_jsonable(item) for item in value]
    if isinstance(value, (dt.date, dt.time)):
        return value.isoformat()
    if isinstance(value, bytes):
        return base64.b64encode(value).decode("ascii")
    if value is None or isinstance(value, (bool, int, str)) or (isinstance(value, float) and math.isfinite(value)):
        return value
    return str(value)


def _schema(path: str) -> Schema[Any]:
    """Return the schema that a name on the command line means.

    Raises:
        ConfigurationError: there is nothing of that name, or no schema.
    """
    found = _imported(path)
    for candidate in (found, getattr(found, "schema", None)):
        if _is_schema(candidate):
            return candidate
    return Schema(found)


def _is_schema(value: object) -> TypeGuard[Schema[Any]]:
    return isinstance(value, Schema)


def _size(text: str) -> int:
    size = int(text)
    if size < 0:
        raise ValueError("a size is not negative")
    return size


def _serializer(setting: str) -> AnySerializer:
    _look_here()
    return resolve_serializer(setting, "--serializer")


def _look_here() -> None:
    """Find modules in the working directory, as `python -m` does."""
    if "" not in sys.path and str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))


def _imported(path: str) -> Any:
    module, separator, attribute = path.partition(":")
    if not separator:
        raise ConfigurationError(f'"{path}" has no colon; write module:Schema')
    _look_here()
    try:
        return attrgetter(attribute)(import_module(module))
    except Exception as error:  # a user's module may raise anything
        raise ConfigurationError(f'"{path}" cannot be imported: {type(error).__name__}: {error}') from error
