"""`Call`: something that the script is to do, on its way to the server, and the answer on its way back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, TypeAlias, cast

from msgspec import msgpack
from redis.exceptions import NoScriptError, ResponseError

from typed_sessions.stores.redis.client import Commands
from typed_sessions.stores.redis.script import DIGEST, SCRIPT

__all__ = ["Call", "answers_in", "discreet", "packed", "run_by"]

Call: TypeAlias = tuple[str | bytes | int | bool, ...]
"""The name of one of the script's functions, the time or False, and its arguments."""

_WELL: Final = ord("+")


def packed(calls: Sequence[Call]) -> tuple[bytes, bytes]:
    """Return the calls as the script takes them: in MessagePack, and their bytes apart."""
    binary = [part for call in calls for part in call if isinstance(part, bytes)]
    apart = [[[len(part)] if isinstance(part, bytes) else part for part in call] for call in calls]
    return msgpack.encode(apart), b"".join(binary)


async def run_by(client: Commands, prefix: bytes, calls: bytes, binary: bytes) -> bytes:
    """Have the server run the script, and return what it answers to all calls."""
    try:
        answer = await client.execute_command("EVALSHA", DIGEST, 1, prefix, calls, binary)
    except NoScriptError:  # the server has started anew, or forgets scripts
        answer = await client.execute_command("EVAL", SCRIPT, 1, prefix, calls, binary)
    return cast("bytes", answer)


def answers_in(answers: bytes) -> Iterator[bytes | Exception]:
    """Return the answer to each call, or the error that the server has made of it."""
    lengths, _, _ = answers.partition(b"\n")
    at = len(lengths) + 1
    for length in map(int, lengths.split()):
        answer = answers[at + 1 : at + length]
        yield answer if answers[at] == _WELL else ResponseError(answer.decode(errors="replace"))
        at += length


def discreet(error: Exception) -> Exception:
    """Return the error, without the keys that a server quotes when it does not know a command."""
    if isinstance(error, ResponseError) and "args beginning with" in str(error):
        return ResponseError(str(error).partition(", with args")[0])
    return error
