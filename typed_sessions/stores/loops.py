"""`PerLoop`: what a store has open in each event loop, and closes with it; `OfProcess`: what threads share."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any, Final, Generic, TypeVar
from weakref import WeakSet

from attrs import define

__all__ = ["OfProcess", "PerLoop"]

T = TypeVar("T")


@define(eq=False)
class _Opened(Generic[T]):
    value: T
    is_open: bool = True


class PerLoop(Generic[T]):
    """Opens something in each event loop that asks for it: connections belong to the loop that they were made in.

    What is open is closed with its loop: `asyncio.run`, `asyncio.Runner` and the servers finalize the asynchronous
    generators of a loop before they close it (`loop.shutdown_asyncgens`), and one is begun here for each loop.

    A process that is forked opens its own. What it has inherited stays untouched there: the sockets are the parent's.

    Args:
        open_: opens it, in the loop that runs. It connects to nothing yet.
        close: closes it, in the same loop.
        abandon: lets go of it where the loop was closed without that.
    """

    def __init__(
        self,
        open_: Callable[[], T],
        close: Callable[[T], Awaitable[None]],
        abandon: Callable[[T], None] = lambda _: None,
    ) -> None:
        self._open: Final = open_
        self._close: Final = close
        self._abandon: Final = abandon
        self._opened: dict[asyncio.AbstractEventLoop, tuple[_Opened[T], AsyncGenerator[None]]] = {}
        _all.add(self)

    async def get(self) -> T:
        """Return what is open in the loop that runs. Nothing else gets its turn meanwhile."""
        loop = asyncio.get_running_loop()
        present = self._opened.get(loop)
        if present is not None and present[0].is_open:
            return present[0].value
        self._forget_closed_loops()
        opened = _Opened(self._open())
        keeper = _closed_with_loop(opened, self._close)
        await anext(keeper)
        self._opened[loop] = opened, keeper
        return opened.value

    async def close(self) -> None:
        """Close what is open in the loop that runs. It is opened again when it is used again."""
        present = self._opened.pop(asyncio.get_running_loop(), None)
        if present is not None:
            await present[1].aclose()

    def leave_to_parent(self) -> None:
        """Take note that the process is a fork of the one that has opened things."""
        for opened, _ in self._opened.values():
            opened.is_open = False
        _inherited.append(self._opened)
        self._opened = {}

    def _forget_closed_loops(self) -> None:
        for loop in [loop for loop in list(self._opened) if loop.is_closed()]:
            present = self._opened.pop(loop, None)  # another thread may have been faster
            if present is not None and present[0].is_open:
                self._abandon(present[0].value)


class OfProcess(Generic[T]):
    """Opens something once for all threads of a process. What a fork has inherited stays untouched there."""

    def __init__(self, open_: Callable[[], T]) -> None:
        self._open: Final = open_
        self._opened: Final[dict[int, T]] = {}
        """By the process."""

    def get(self) -> T:
        """Return what is open in this process."""
        process = os.getpid()
        if process not in self._opened:
            self._opened.setdefault(process, self._open())  # another thread may have been faster
        return self._opened[process]


async def _closed_with_loop(opened: _Opened[T], close: Callable[[T], Awaitable[None]]) -> AsyncGenerator[None]:
    try:
        yield
    finally:
        if opened.is_open:
            opened.is_open = False
            await close(opened.value)


_all: Final[WeakSet[PerLoop[Any]]] = WeakSet()

_inherited: Final[list[object]] = []
"""Never collected: whoever closes an inherited connection takes its socket from the parent's selector."""


def _leave_all_to_parent() -> None:
    for each in list(_all):
        each.leave_to_parent()


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_leave_all_to_parent)
