"""`Batches`: what many tasks ask of the server, in one command.

What tasks ask for in the same turn of the event loop, or while all connections are busy, is one run of the script. A
task that is cancelled leaves its answer to be read by the batch, so that no connection falls out of step; when all who
wait for a batch are gone, it is broken off, and its connection closed.

Only this module imports the driver.
"""

from __future__ import annotations

import asyncio
import inspect
import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import repeat
from typing import Final, Protocol, TypeAlias, cast
from urllib.parse import parse_qsl, urlsplit

from attrs import define, field
from msgspec import msgpack
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import NoScriptError, RedisError, ResponseError

from typed_sessions.errors import ConfigurationError, StoreUnavailableError
from typed_sessions.schema.narrowing import is_dict
from typed_sessions.stores.redis_script import DIGEST, SCRIPT
from typed_sessions.stores.urls import refuse_control_characters

__all__ = ["Batches", "Call", "opener"]

CONNECTIONS: Final = 8
"""So many batches are under way at most, each on a connection of its own."""

CALLS_OF_A_BATCH: Final = 64

BYTES_OF_A_BATCH: Final = 1 << 20
"""A batch takes calls until it has so many bytes, and a larger one is alone."""

TIMEOUT: Final = 5.0
"""Seconds until a server that does not answer is given up, unless the URL says otherwise (`?socket_timeout=2`)."""

Call: TypeAlias = tuple[str | bytes | int | bool, ...]
"""The name of one of the script's functions, the time or False, and its arguments."""


_DATABASE: Final = re.compile(r"[0-9]{1,9}")

_WELL: Final = ord("+")

_NO_CLUSTERS: Final = (
    "RedisStore keeps no sessions on a cluster: while it moves a slot, sessions would not be found, or survive a "
    "revocation; take a single server, with replicas if need be"
)


class _Commands(Protocol):
    """What redis-py does not type."""

    async def execute_command(self, *args: bytes | str | int) -> object: ...


def opener(client_or_url: Redis | str, prefix: bytes) -> Callable[[], Batches]:
    """Return a function that makes `Batches` in the event loop that runs then.

    Raises:
        ConfigurationError: the URL or the client is none that the store can use. The message does not show
            the URL, for it may hold a password.
    """
    if isinstance(client_or_url, str):
        url = client_or_url
        _check(_client_of(url))
        return lambda: Batches(_client_of(url), prefix, owned=True)
    client = client_or_url
    _check(client)
    return lambda: Batches(client, prefix, owned=False)


def _client_of(url: str) -> Redis:
    """Return a client that connects when it is used.

    It never repeats a call by itself: the request that waits for it has a deadline, and knows better. With RESP3, whose
    default it is to listen for a host's maintenance, redis-py would not see that an idle connection has been closed.
    """
    try:
        client = Redis.from_url(  # pyright: ignore[reportUnknownMemberType] # redis-py leaves its keywords untyped
            _checked(url),
            retry=Retry(NoBackoff(), 0),
            protocol=2,
            socket_timeout=TIMEOUT,
            socket_connect_timeout=TIMEOUT,
        )
        # It takes the parameters, and connects to nothing yet.
        client.connection_pool.make_connection()  # type: ignore[no-untyped-call]  # redis-py's
    except (ValueError, TypeError, RedisError):
        # Not `from` that error: its text may hold a part of the password.
        raise ConfigurationError(
            "the URL of a RedisStore is redis://, rediss:// or unix://, as redis-py takes it: "
            "redis://user:password@host:6379/0, with what is special in the password percent-encoded, "
            "and with no parameters but those that redis-py knows"
        ) from None
    return client


def _checked(url: str) -> str:
    """Return a URL that names what it should; redis-py takes the default for what it does not understand.

    Raises:
        ValueError: it does not.
    """
    refuse_control_characters(url)
    parts = urlsplit(url)
    parameters = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
    names = [name for name, _ in parameters]
    databases = [value for name, value in parameters if name == "db"]
    is_socket = parts.scheme == "unix"
    if not is_socket and parts.path not in {"", "/"}:
        databases.append(parts.path[1:])
    if (
        parts.fragment
        or parts.port == 0
        or len(set(names)) < len(names)
        or not all(value for _, value in parameters)
        or (is_socket and (parts.hostname or not parts.path.startswith("/")))
        or len(set(databases)) > 1
        or not all(_DATABASE.fullmatch(each) for each in databases)
    ):
        raise ValueError
    return url


def _check(client: Redis) -> None:
    if any(each.__name__.endswith("Cluster") for each in type(client).__mro__):
        raise ConfigurationError(_NO_CLUSTERS)
    if not inspect.iscoroutinefunction(getattr(client, "execute_command", None)):
        raise ConfigurationError("RedisStore takes a client of redis.asyncio, not one of redis")
    if client.get_encoder().decode_responses:  # type: ignore[no-untyped-call]  # redis-py's
        raise ConfigurationError("RedisStore keeps bytes: its client cannot have decode_responses=True")


@define(eq=False)
class _Waiting:
    """A call that a task waits for, and the batch in which it was sent."""

    call: Call = field(repr=False)
    answer: asyncio.Future[bytes]
    size: int
    batch: Sequence[_Waiting] = ()
    sender: asyncio.Task[None] | None = None

    def settle(self, answer: bytes | Exception) -> None:
        if self.answer.done():
            return
        if isinstance(answer, Exception):
            self.answer.set_exception(answer)
        else:
            self.answer.set_result(answer)

    def stop_if_nobody_waits(self) -> None:
        if self.sender is not None and all(waiting.answer.done() for waiting in self.batch):
            self.sender.cancel()


class Batches:
    """Has a server run the script, in one event loop.

    Args:
        client: what asks the server.
        prefix: of the store's keys.
        owned: whether to close the client in the end.
    """

    def __init__(self, client: Redis, prefix: bytes, *, owned: bool) -> None:
        self.loop: Final = asyncio.get_running_loop()
        self._client: Final = client
        self._prefix: Final = prefix
        self._owned: Final = owned
        self._waiting: Final[deque[_Waiting]] = deque()
        self._senders: Final[set[asyncio.Task[None]]] = set()
        self._starting = False
        self._is_checked = False

    async def run(self, call: Call, size: int = 0) -> bytes:
        """Return what the script answers to a call of about so many bytes.

        Raises:
            StoreUnavailableError: it may have taken place, or not.
            ConfigurationError: the server is a node of a cluster.
        """
        waiting = _Waiting(call, self.loop.create_future(), size)
        self._waiting.append(waiting)
        self._start()
        try:
            return await waiting.answer
        except asyncio.CancelledError:
            waiting.stop_if_nobody_waits()
            raise
        except ConfigurationError as error:
            raise ConfigurationError(*error.args) from None  # one of its own for each who waits
        except Exception as error:  # noqa: BLE001 - as in `_settle`
            raise StoreUnavailableError("the session store did not answer as it should") from _discreet(error)

    async def close(self) -> None:
        """Break off what is under way, and close the client if it is ours. Who waits is told of a store unavailable."""
        while self._waiting:
            self._waiting.popleft().settle(_closed())
        senders = list(self._senders)
        for sender in senders:
            sender.cancel()
        await asyncio.gather(*senders, return_exceptions=True)
        if self._owned:
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
        batch = self._take()
        if batch:
            sender = self.loop.create_task(self._settle(batch))
            for waiting in batch:
                waiting.batch, waiting.sender = batch, sender
            self._senders.add(sender)
            sender.add_done_callback(self._end)
        self._start()

    def _take(self) -> list[_Waiting]:
        batch: list[_Waiting] = []
        size = 0
        while self._waiting and len(batch) < CALLS_OF_A_BATCH:
            waiting = self._waiting[0]
            size += waiting.size
            if batch and size > BYTES_OF_A_BATCH:
                break
            self._waiting.popleft()
            if not waiting.answer.done():
                batch.append(waiting)
        return batch

    def _end(self, sender: asyncio.Task[None]) -> None:
        self._senders.discard(sender)
        self._start()

    async def _settle(self, batch: Sequence[_Waiting]) -> None:
        answers: Iterable[bytes | Exception] = repeat(_closed())
        try:
            answers = _each(await self._ask(*_packed([waiting.call for waiting in batch])))
        except Exception as error:  # noqa: BLE001 - whatever a driver raises, the tasks that wait have to know
            answers = repeat(error)
        finally:
            for waiting, answer in zip(batch, answers, strict=False):
                waiting.settle(answer)

    async def _ask(self, calls: bytes, binary: bytes) -> bytes:
        client = cast("_Commands", self._client)
        if not self._is_checked:
            await self._refuse_cluster(client)
        try:
            answer = await client.execute_command("EVALSHA", DIGEST, 1, self._prefix, calls, binary)
        except NoScriptError:  # the server has started anew, or forgets scripts
            answer = await client.execute_command("EVAL", SCRIPT, 1, self._prefix, calls, binary)
        return cast("bytes", answer)

    async def _refuse_cluster(self, client: _Commands) -> None:
        try:
            info = await client.execute_command("INFO", "cluster")
        except ResponseError:  # the user of the database may not ask, or a proxy does not know
            info = None
        if is_dict(info) and info.get("cluster_enabled"):
            raise ConfigurationError(_NO_CLUSTERS)
        self._is_checked = True


def _packed(calls: Sequence[Call]) -> tuple[bytes, bytes]:
    """Return the calls as the script takes them: in MessagePack, and their bytes apart."""
    binary = [part for call in calls for part in call if isinstance(part, bytes)]
    apart = [[[len(part)] if isinstance(part, bytes) else part for part in call] for call in calls]
    return msgpack.encode(apart), b"".join(binary)


def _each(answers: bytes) -> Iterator[bytes | Exception]:
    """Return the answer to each call, or the error that the server has made of it."""
    lengths, _, _ = answers.partition(b"\n")
    at = len(lengths) + 1
    for length in map(int, lengths.split()):
        answer = answers[at + 1 : at + length]
        yield answer if answers[at] == _WELL else ResponseError(answer.decode(errors="replace"))
        at += length


def _closed() -> Exception:
    return ConnectionAbortedError("the store was closed")


def _discreet(error: Exception) -> Exception:
    """Return the error, without the keys that a server quotes when it does not know a command."""
    if isinstance(error, ResponseError) and "args beginning with" in str(error):
        return ResponseError(str(error).partition(", with args")[0])
    return error
