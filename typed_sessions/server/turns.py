"""`Turns`: the saves of one record, one after the other, in this process."""

from __future__ import annotations

import asyncio
from typing import Final
from weakref import WeakValueDictionary

from attrs import define, field

from typed_sessions.stores.base import Record

__all__ = ["Turn", "Turns"]


@define(eq=False, repr=False, weakref_slot=True)
class Turn:
    """What the saves of one record have in common.

    Requests that change one session at once would all be refused but one, merge, and be refused again. One after the
    other, each of them merges once.
    """

    lock: asyncio.Lock = field(factory=asyncio.Lock)
    """Held by the one whose turn it is."""
    latest: Record | None = None
    """What the one before has written."""


class Turns:
    """The turns that somebody takes, or waits for."""

    def __init__(self) -> None:
        self._turns: Final[WeakValueDictionary[tuple[asyncio.AbstractEventLoop, str], Turn]] = WeakValueDictionary()

    def of(self, key: str) -> Turn:
        """Return the turn of a record, for this event loop."""
        place = asyncio.get_running_loop(), key
        turn = self._turns.get(place)
        if turn is None:
            turn = self._turns[place] = Turn()
        return turn
