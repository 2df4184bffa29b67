"""`Batches`: the scripts of many tasks in one write to the server, and their answers in one read.

What tasks ask for in the same turn of the event loop, or while all connections are busy, shares a connection and a
round trip. A task that is cancelled leaves its answer to be read by the batch, so that no connection falls out of step;
when all who wait for a batch are gone, it is broken off, and its connection closed.

Only this module imports the driver.
"""

from __future__ import annotations

import asyncio
import inspect
import re
from collections.abc import Awaitable, Callable, Iterable, Sequence
from itertools import repeat
from typing import Final, Protocol, TypeAlias, cast

from attrs import define, field
from redis.asyncio import Redis, RedisCluster
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import NoScriptError, RedisError, ResponseError

from typed_sessions.errors import ConfigurationError, StoreUnavailableError
from typed_sessions.stores.redis_scripts import Script

__all__ = ["Batches", "opener"]

CONNECTIONS: Final = 8
"""So many batches are under way at most, each on a connection of its own."""

CALLS_OF_A_BATCH: Final = 128

TIMEOUT: Final = 5.0
"""Seconds until a server that does not answer is given up, unless the URL says otherwise (`?socket_timeout=2`)."""

_HASH_TAG: Final = re.compile(r"[^{]*\{[^}]+\}")
"""What makes a cluster keep all keys that begin so in one slot."""

_Value: TypeAlias = bytes | str | int


class _Pipeline(Protocol):
    """What redis-py does not type: commands that are sent together."""

    def execute_command(self, *args: _Value) -> object: ...

    def execute(self, *, raise_on_error: bool) -> Awaitable[Sequence[object]]: ...


def opener(client_or_url: Redis | RedisCluster | str, prefix: str) -> Callable[[], Batches]:
    """Return a function that makes `Batches` in the event loop that runs then.

    Raises:
        ConfigurationError: the URL, the client or the prefix is none that the store can use. The message does not show
            the URL, for it may hold a password.
    """
    if isinstance(client_or_url, str):
        url = client_or_url
        _check(_client_of(url), prefix)
        return lambda: Batches(_client_of(url), owned=True)
    client = client_or_url
    _check(client, prefix)
    return lambda: Batches(client, owned=False)


def _client_of(url: str) -> Redis:
    """Return a client that connects when it is used.

    It never repeats a call by itself: the request that waits for it has a deadline, and knows better. With RESP3, whose
    default it is to listen for a host's maintenance, redis-py would not see that an idle connection has been closed.
    """
    try:
        return Redis.from_url(  # pyright: ignore[reportUnknownMemberType] # redis-py leaves its keywords untyped
            url,
            retry=Retry(NoBackoff(), 0),
            protocol=2,
            socket_timeout=TIMEOUT,
            socket_connect_timeout=TIMEOUT,
        )
    except (ValueError, TypeError):
        # Not `from` that error: its text may hold a part of the password.
        raise ConfigurationError(
            "the URL of a RedisStore is redis://, rediss:// or unix://, as redis-py takes it: "
            "redis://user:password@host:6379/0, with what is special in the password percent-encoded"
        ) from None


def _check(client: Redis | RedisCluster, prefix: str) -> None:
    if not inspect.iscoroutinefunction(getattr(client, "execute_command", None)):
        raise ConfigurationError("RedisStore takes a client of redis.asyncio, not one of redis")
    if client.get_encoder().decode_responses:
        raise ConfigurationError("RedisStore keeps bytes: its client cannot have decode_responses=True")
    if isinstance(client, RedisCluster) and not _HASH_TAG.match(prefix):
        raise ConfigurationError('on a cluster the prefix of a RedisStore needs a hash tag: "{session}:"')


@define(eq=False)
class _Call:
    """A script that a task waits for, and the batch in which it was sent."""

    script: Script
    rest: tuple[_Value, ...] = field(repr=False)
    answer: asyncio.Future[object]
    batch: Sequence[_Call] = ()
    sender: asyncio.Task[None] | None = None

    def settle(self, answer: object) -> None:
        if self.answer.done():
            return
        if isinstance(answer, Exception):
            self.answer.set_exception(answer)
        else:
            self.answer.set_result(answer)

    def stop_if_nobody_waits(self) -> None:
        if self.sender is not None and all(call.answer.done() for call in self.batch):
            self.sender.cancel()


class Batches:
    """Runs scripts by a client, in one event loop.

    Args:
        client: what asks the server.
        owned: whether to close it in the end.
    """

    def __init__(self, client: Redis | RedisCluster, *, owned: bool) -> None:
        self.loop: Final = asyncio.get_running_loop()
        self._client: Final = client
        self._owned: Final = owned
        self._waiting: list[_Call] = []
        self._senders: Final[set[asyncio.Task[None]]] = set()
        self._starting = False

    async def run(self, script: Script, keys: Sequence[bytes], arguments: Sequence[_Value]) -> object:
        """Return what the script answers.

        Raises:
            StoreUnavailableError: it may have run, or not.
        """
        call = _Call(script, (len(keys), *keys, *arguments), self.loop.create_future())
        self._waiting.append(call)
        self._start()
        try:
            return await call.answer
        except asyncio.CancelledError:
            call.stop_if_nobody_waits()
            raise
        except Exception as error:  # noqa: BLE001 - as in `_settle`
            raise StoreUnavailableError("the session store did not answer as it should") from _discreet(error)

    async def close(self) -> None:
        """Break off what is under way, and close the client if it is ours. Who waits is told of a store unavailable."""
        for call in self._waiting:
            call.settle(_closed())
        senders = list(self._senders)
        for sender in senders:
            sender.cancel()
        await asyncio.gather(*senders, return_exceptions=True)
        if isinstance(self._client, Redis) and self._owned:
            try:
                await self._client.aclose()
            except (RedisError, OSError) as error:
                raise StoreUnavailableError("a connection of the session store did not close") from error

    def _start(self) -> None:
        """Have a sender take all that waits, once the tasks that run in this turn of the event loop have spoken."""
        if self._waiting and not self._starting and len(self._senders) < CONNECTIONS:
            self._starting = True
            self.loop.call_soon(self._send)

    def _send(self) -> None:
        self._starting = False
        calls = [call for call in self._waiting[:CALLS_OF_A_BATCH] if not call.answer.done()]
        del self._waiting[:CALLS_OF_A_BATCH]
        if calls:
            sender = self.loop.create_task(self._settle(calls))
            for call in calls:
                call.batch, call.sender = calls, sender
            self._senders.add(sender)
            sender.add_done_callback(self._end)
        self._start()

    def _end(self, sender: asyncio.Task[None]) -> None:
        self._senders.discard(sender)
        self._start()

    async def _settle(self, calls: Sequence[_Call]) -> None:
        answers: Iterable[object] = repeat(_closed())
        try:
            answers = await self._answers(calls)
        except Exception as error:  # noqa: BLE001 - whatever a driver raises, the tasks that wait have to know
            answers = repeat(error)
        finally:
            for call, answer in zip(calls, answers, strict=False):
                call.settle(answer)

    async def _answers(self, calls: Sequence[_Call]) -> Sequence[object]:
        answers = await self._ask(("EVALSHA", call.script.digest, *call.rest) for call in calls)
        unknown = [at for at, answer in enumerate(answers) if isinstance(answer, NoScriptError)]
        if unknown:  # the server has started anew, or forgets scripts
            full = await self._ask(("EVAL", calls[at].script.text, *calls[at].rest) for at in unknown)
            for at, answer in zip(unknown, full, strict=True):
                answers[at] = answer
        return answers

    async def _ask(self, commands: Iterable[tuple[_Value, ...]]) -> list[object]:
        pipeline = cast("_Pipeline", self._client.pipeline(transaction=False))
        for command in commands:
            pipeline.execute_command(*command)
        return list(await pipeline.execute(raise_on_error=False))


def _closed() -> Exception:
    return ConnectionAbortedError("the store was closed")


def _discreet(error: Exception) -> Exception:
    """Return the error, without the keys that a server quotes when it does not know a command."""
    if isinstance(error, ResponseError) and "args beginning with" in str(error):
        return ResponseError(str(error).partition(", with args")[0])
    return error
