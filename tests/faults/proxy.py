"""`Proxy`: stands between a program and a server, and behaves as badly as networks do, switchable at any time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from enum import Enum, auto
from typing import Final, TypeAlias

Streams: TypeAlias = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Fault(Enum):
    """What a proxy does wrong."""

    NONE = auto()
    REFUSES = auto()
    """Nobody listens, and who was connected is not any more."""
    HANGS = auto()
    """Connections stand, and nothing comes through."""
    CUTS_REQUESTS = auto()
    """Half of the next bytes to the server come through, then the connection breaks."""
    CUTS_ANSWERS = auto()
    """Half of the next bytes from the server come through, then the connection breaks."""
    SWALLOWS_ANSWERS = auto()
    """The server has its request, and the connection breaks before the first byte of the answer."""
    DELAYS = auto()
    """Everything comes late."""


class Proxy:
    """Forwards what it accepts on a port of its own to where `connect` leads.

    Args:
        connect: opens a connection to the server.
        delay: seconds, for Fault.DELAYS.
    """

    def __init__(self, connect: Callable[[], Awaitable[Streams]], *, delay: float = 0.05) -> None:
        self._connect: Final = connect
        self._delay: Final = delay
        self._fault = Fault.NONE
        self._port = 0
        self._listener: asyncio.Server | None = None
        self._passing = asyncio.Event()
        self._connections: Final[set[asyncio.Task[None]]] = set()
        self.requests = 0
        """How many times bytes have gone to the server: round trips, where nobody sends before the answer is there."""
        self.accepted = 0
        """How many connections there have been."""

    @property
    def port(self) -> int:
        return self._port

    async def switch(self, fault: Fault) -> None:
        """Behave so from now on."""
        self._fault = fault
        if fault is Fault.HANGS:
            self._passing.clear()
        else:
            self._passing.set()
        if fault is Fault.REFUSES:
            await self._stop()
        elif self._listener is None:
            await self._listen()

    async def _listen(self) -> None:
        self._listener = await asyncio.start_server(self._accept, "127.0.0.1", self._port)
        self._port = self._listener.sockets[0].getsockname()[1]

    async def _stop(self) -> None:
        if self._listener is not None:
            self._listener.close()
            self._listener = None
        connections = list(self._connections)
        for connection in connections:
            connection.cancel()
        await asyncio.gather(*connections, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._fault is Fault.REFUSES:  # it came while the listener closed
            writer.transport.abort()
            return
        self.accepted += 1
        connection = asyncio.get_running_loop().create_task(self._serve(reader, writer))
        self._connections.add(connection)
        connection.add_done_callback(self._connections.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Forward both ways until one of them ends. Both sides are told by a reset: there is nothing to wait for."""
        writers = [writer]
        try:
            await self._passing.wait()
            server_reader, server_writer = await self._connect()
            writers.append(server_writer)
            ways = [
                asyncio.ensure_future(self._forward(reader, server_writer, asks=True)),
                asyncio.ensure_future(self._forward(server_reader, writer, asks=False)),
            ]
            try:
                await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for way in ways:
                    way.cancel()
                await asyncio.gather(*ways, return_exceptions=True)
        except OSError:
            pass  # the server is gone
        finally:
            for each in writers:
                each.transport.abort()

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, asks: bool) -> None:
        while data := await reader.read(1 << 16):
            await self._passing.wait()
            if self._fault is Fault.DELAYS:
                await asyncio.sleep(self._delay)
            self.requests += asks
            if not asks and self._fault is Fault.SWALLOWS_ANSWERS:
                return
            if self._fault is (Fault.CUTS_REQUESTS if asks else Fault.CUTS_ANSWERS):
                writer.write(data[: len(data) // 2])
                await writer.drain()
                return
            writer.write(data)
            await writer.drain()


@asynccontextmanager
async def proxied(connect: Callable[[], Awaitable[Streams]], *, delay: float = 0.05) -> AsyncIterator[Proxy]:
    """Have a proxy that forwards, for as long as the context lasts."""
    proxy = Proxy(connect, delay=delay)
    await proxy.switch(Fault.NONE)
    try:
        yield proxy
    finally:
        await proxy.switch(Fault.REFUSES)
