"""What runs scripts for a store: connections that it has made of its URL, or a client that it was given.

A client asks for each command whether to repeat it, and measures it, which takes longer than all the rest of a small
call. So on connections of its own, which repeat nothing, a store sends its commands by itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Final

from attrs import define, field
from redis.exceptions import BusyLoadingError, NoScriptError, ResponseError
from typing_extensions import override

from typed_sessions.stores.loops import OfProcess
from typed_sessions.stores.redis.calls import Answer, Server
from typed_sessions.stores.redis.client import refuse_cluster
from typed_sessions.stores.redis.plain_load import PlainRow
from typed_sessions.stores.redis.script import Call

__all__ = [
    "BlockingClient",
    "BlockingConnections",
    "Client",
    "Connections",
    "LoopConnections",
    "Opened",
    "answer_on",
]

_INFO: Final = b"*2\r\n$4\r\nINFO\r\n$7\r\ncluster\r\n"


@define(eq=False, weakref_slot=False)
class Opened:
    """The connections of one process, or of one event loop."""

    make: Callable[[], Any]
    all: list[Any] = field(factory=list[Any])
    idle: list[Any] = field(factory=list[Any])

    def take(self) -> Any:
        """Return one that nobody uses. It may have to be connected first."""
        try:
            return self.idle.pop()
        except IndexError:
            connection = self.make()
            self.all.append(connection)
            return connection


class BlockingConnections:
    """Connections of threads, each of which has one for as long as a call takes.

    Args:
        pool: that of a client, which makes them.
        prefix: of the store's keys.
    """

    def __init__(self, pool: Any, prefix: bytes) -> None:
        self._pool: Final = pool
        self._prefix: Final = prefix
        self._opened: Final = OfProcess(self._open)
        self._is_checked = False

    def _open(self) -> Opened:
        self._pool.reset()  # it counts what a parent has made
        return Opened(self._pool.make_connection)

    async def run(self, call: Call) -> bytes:
        """Return what the server answers to a call. Raises what redis-py raises; a connection that fails is closed."""
        opened = self._opened.get()
        connection = opened.take()
        try:
            self._make_ready(connection)
            try:
                answer: bytes = connection.answer_to(call.packed(self._prefix, is_known=True))
            except NoScriptError:  # the server has started anew, or forgets scripts
                answer = connection.answer_to(call.packed(self._prefix, is_known=False))
            return answer
        finally:
            opened.idle.append(connection)

    async def plain_row(self, key: bytes) -> PlainRow | None:
        """Return what plain commands tell of a record; None if it is for the script to tell. Raises as `run` does."""
        opened = self._opened.get()
        connection = opened.take()
        try:
            self._make_ready(connection)
            row: PlainRow | None = connection.plain_row(self._prefix + key)
            return row
        finally:
            opened.idle.append(connection)

    def _make_ready(self, connection: Any) -> None:
        connection.make_ready()
        if not self._is_checked:
            refuse_cluster(_info(connection))
            self._is_checked = True

    def close(self) -> None:
        """Close all connections. They connect again when they are used again."""
        for connection in self._opened.get().all:
            connection.disconnect()


def _info(connection: Any) -> bytes | None:
    connection.send_command("INFO", "cluster")
    try:
        info: bytes = connection.read_response(disable_decoding=True)
    except ResponseError:  # the user of the database may not ask, or a proxy does not know
        return None
    return info


class LoopConnections:
    """Connections of one event loop: as many as there are calls of `exchange` at once.

    Args:
        make: makes one, which is not connected yet.
        timeout: how many seconds a server may take for all that it is asked at once.
    """

    def __init__(self, make: Callable[[], Any], timeout: float | None) -> None:
        self._timeout: Final = timeout
        self._opened: Final = Opened(make)

    async def exchange(self, request: bytes, answers: int) -> list[Answer]:
        """Return so many answers. Raises what redis-py raises where there is none; that connection is closed then."""
        connection = self._opened.take()
        try:
            await self.make_ready(connection)
            async with asyncio.timeout(self._timeout):
                await connection.send_packed_command([request])
                return [await answer_on(connection) for _ in range(answers)]
        finally:
            self._opened.idle.append(connection)

    async def make_ready(self, connection: Any) -> None:
        """Connect, also where the server has closed the connection since, or says what nobody has asked for."""
        if connection.is_connected:
            look = getattr(connection, "can_read", None) or connection.can_read_destructive  # before redis-py 8
            if not await look():
                return
            await connection.disconnect()
        connection.socket_timeout = self._timeout
        await connection.connect()
        connection.socket_timeout = None  # redis-py would begin a task for it; one timeout holds for all steps here

    async def close(self, *, nowait: bool = False) -> None:
        """Close all connections. They connect again when they are used again."""
        for connection in self._opened.all:
            await connection.disconnect(nowait=nowait)


async def answer_on(connection: Any) -> Answer:
    """Return what a server answers next. Raises what redis-py raises where it does not."""
    try:
        answer: bytes = await connection.read_response(disable_decoding=True)
    except (ResponseError, BusyLoadingError) as error:
        return error
    return answer


class Connections(LoopConnections, Server):
    """The same, to the server of a `RedisStore`.

    Args:
        pool: that of a client, which makes them.
        prefix: of the store's keys.
    """

    def __init__(self, pool: Any, prefix: bytes) -> None:
        super().__init__(pool.make_connection, pool.connection_kwargs.get("socket_timeout"))
        self._prefix: Final = prefix
        self._is_checked = False

    @override
    async def ask(self, calls: Sequence[Call], *, is_known: bool) -> list[Answer]:
        """See `Server`. Raises what redis-py raises where there is no answer; a connection that fails is closed."""
        if not self._is_checked:
            [info] = await self.exchange(_INFO, 1)
            refuse_cluster(info)
            self._is_checked = True
        request = b"".join([call.packed(self._prefix, is_known=is_known) for call in calls])
        return await self.exchange(request, len(calls))


@define(eq=False)
class BlockingClient:
    """A client that was given, used as it is set up."""

    client: Any = field(repr=False)
    prefix: bytes
    is_checked: bool = False

    async def run(self, call: Call) -> bytes:
        """See `BlockingConnections.run`."""
        execute = self.client.execute_command
        if not self.is_checked:
            with suppress(ResponseError):
                refuse_cluster(execute("INFO", "cluster"))
            self.is_checked = True
        try:
            answer: bytes = execute(*call.command(self.prefix, is_known=True))
        except NoScriptError:
            answer = execute(*call.command(self.prefix, is_known=False))
        return answer

    async def plain_row(self, key: bytes) -> PlainRow | None:
        """Return None: a client takes longer for two commands than the server for a script."""

    def close(self) -> None:
        """Do nothing: the client is the giver's to close."""


@define(eq=False)
class Client(Server):
    """The same for a client of an event loop."""

    client: Any = field(repr=False)
    prefix: bytes
    is_checked: bool = False

    @override
    async def ask(self, calls: Sequence[Call], *, is_known: bool) -> list[Answer]:
        """See `Server`. Raises what redis-py raises where there is no answer; a connection that fails is closed."""
        commands = [call.command(self.prefix, is_known=is_known) for call in calls]
        if not self.is_checked:
            refuse_cluster(await self._answer("INFO", "cluster"))
            self.is_checked = True
        if len(commands) == 1:
            return [await self._answer(*commands[0])]
        pipeline = self.client.pipeline(transaction=False)
        for command in commands:
            pipeline.execute_command(*command)
        answers: list[Answer] = await pipeline.execute(raise_on_error=False)
        return answers

    async def _answer(self, *command: str | bytes | int) -> Answer:
        try:
            answer: bytes = await self.client.execute_command(*command)
        except ResponseError as error:
            return error
        return answer

    @override
    async def close(self) -> None:
        """Do nothing: the client is the giver's to close."""
