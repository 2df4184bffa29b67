"""A call of a script on its way to the server, and the answer on its way back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeAlias

from redis.exceptions import NoScriptError, ResponseError

from typed_sessions.stores.redis.script import Call

__all__ = ["Answer", "Server", "answers_of", "discreet"]

Answer: TypeAlias = bytes | Exception
"""What a script has returned, or the error that the server has made of it."""


class Server(Protocol):
    """What runs scripts."""

    async def ask(self, calls: Sequence[Call], *, is_known: bool) -> list[Answer]:
        """Return the answer to each call. The server gets all of them at once."""
        ...

    async def close(self) -> None:
        """Close connections of ours."""
        ...


async def answers_of(server: Server, calls: Sequence[Call]) -> list[Answer]:
    """Return the answer to each call, also where the server has started anew, and has forgotten its scripts."""
    answers = await server.ask(calls, is_known=True)
    if any(type(answer) is NoScriptError for answer in answers):
        forgotten = [at for at, answer in enumerate(answers) if type(answer) is NoScriptError]
        again = await server.ask([calls[at] for at in forgotten], is_known=False)
        for at, answer in zip(forgotten, again, strict=True):
            answers[at] = answer
    return answers


def discreet(error: object) -> Exception:
    """Return the error, without the keys that a server quotes when it does not know a command."""
    if not isinstance(error, Exception):
        return ResponseError("no answer of the session store's script")
    if isinstance(error, ResponseError) and "args beginning with" in str(error):
        return ResponseError(str(error).partition(", with args")[0])
    return error
