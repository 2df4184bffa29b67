"""`BlockingConnection`: what a thread's connection can do beside what redis-py's can."""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final, TypeVar

from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import InvalidResponse, RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError

from typed_sessions.stores.base import time_left
from typed_sessions.stores.redis.plain_load import PlainRow, plain_load, read_plain_row

__all__ = ["blocking_connection_class"]

T = TypeVar("T")

_CHUNK: Final = 1 << 16


def blocking_connection_class(connection_class: Any) -> Any:
    """Return a class of redis-py's connections with what `BlockingConnection` has."""
    return type("Connection", (BlockingConnection, connection_class), {})


class BlockingConnection:
    """Waits for each step as long as the deadline leaves: to connect, and to answer.

    It connects as redis-py's does. What it is asked then, and what the server answers, it sends and reads by itself:
    redis-py's parser, in Python, takes as long as all the rest of a small call.
    """

    _sock: socket.socket | None
    _parser: Any
    connect: Callable[[], None]
    disconnect: Callable[[], None]
    can_read: Callable[[], bool]
    check_health: Callable[[], None]
    socket_connect_timeout: float | None
    socket_timeout: float | None
    health_check_interval: float
    next_health_check: float
    longest: tuple[float | None, float | None]
    """The timeouts that the URL says."""
    poll: Callable[[int], object]
    """Tells whether there is anything to read: false if there is not."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.longest = self.socket_connect_timeout, self.socket_timeout

    def make_ready(self) -> None:
        """Connect, also where the server has closed the connection since, or says what nobody has asked for."""
        if self._sock is not None:
            if not self.poll(0):
                return
            with suppress(RedisError, OSError):
                if not self.can_read():
                    return
            self.disconnect()
        self.socket_connect_timeout, self.socket_timeout = map(_at_most, self.longest)
        self.connect()
        self.poll = _poll_of(self._sock)

    def answer_to(self, request: bytes) -> bytes:
        """Return the text that the server answers. Unless that is an error, whatever is raised closes the connection.

        Raises:
            RedisError: what redis-py raises.
        """
        line, answer = self._exchanged(request, _read_text)
        if line[:1] == b"$":
            return answer
        raise self._refusal(line)

    def word_for(self, request: bytes) -> bytes:
        """Return the word or the number that the server answers. Raises as `answer_to` does."""
        line, rest = self._exchanged(request, _read_text)
        if line[:1] in (b"+", b":") and not rest:
            return line[1:]
        raise self._refusal(line)

    def plain_row(self, name: bytes) -> PlainRow | None:
        """Return the live record of a name; None if it is for the script to tell. Raises as `answer_to` does."""
        return self._exchanged(plain_load(name), read_plain_row)

    def _refusal(self, line: bytes) -> RedisError:
        refusal: RedisError = self._parser.parse_error(line[1:].decode(errors="replace"))
        if line[:1] != b"-" or isinstance(refusal, RedisConnectionError):
            self.disconnect()
        return refusal

    def _exchanged(self, request: bytes, read: Callable[[Callable[[], bytes]], T]) -> T:
        sock: Any = self._sock
        sock.settimeout(_at_most(self.longest[1]))  # until the answer is there
        if self.health_check_interval:
            self.check_health()

        def more() -> bytes:
            said: bytes = sock.recv(_CHUNK)
            if not said:
                raise ConnectionResetError("the server has closed it")
            return said

        try:
            sock.sendall(request)
            answer = read(more)
        except BaseException as error:
            self.disconnect()
            if isinstance(error, TimeoutError):
                raise RedisTimeoutError("the server did not answer in time") from error
            if isinstance(error, OSError):
                raise RedisConnectionError(f"the connection broke: {error}") from error
            raise
        if self.health_check_interval:
            self.next_health_check = time.monotonic() + self.health_check_interval
        return answer


def _read_text(more: Callable[[], bytes]) -> tuple[bytes, bytes]:
    """Return the line that an answer begins with, and the text that follows if that is one."""
    line, end, rest = more().partition(b"\r\n")
    while not end:
        line, end, rest = (line + more()).partition(b"\r\n")
    if line[:1] != b"$":
        return line, rest
    size = int(line[1:])
    while len(rest) < size + 2:
        rest += more()
    if rest[size:] != b"\r\n":
        raise InvalidResponse("the server answers more than it was asked")
    return line, rest[:size]


def _poll_of(connected: Any) -> Callable[[int], object]:
    if not hasattr(select, "poll"):  # on Windows
        return lambda _timeout: True
    poll = select.poll()
    poll.register(connected, select.POLLIN)
    return poll.poll


def _at_most(longest: float | None) -> float | None:
    left = time_left()
    return longest if left is None else min(left, longest or left)
