"""`Turns`: the saves of one record, one after the other, in this process."""

from __future__ import annotations

from collections.abc import Hashable
from threading import Lock as Mutex
from typing import Final
from weakref import WeakValueDictionary

from attrs import define

from typed_sessions.server.runtime import Lock, Runtime
from typed_sessions.stores.base import Record

__all__ = ["Turn", "Turns"]


@define(eq=False, repr=False, weakref_slot=True)
class Turn:
    """What the saves of one record have in common.

    Requests that change one session at once would all be refused but one, merge, and be refused again. One after the
    other, each of them merges once.
    """

    lock: Lock
    """Held by the one whose turn it is."""
    latest: Record | None = None
    """What the one before has written."""


class Turns:
    """The turns that somebody takes, or waits for."""

    def __init__(self) -> None:
        self._turns: Final[WeakValueDictionary[tuple[Hashable, str], Turn]] = WeakValueDictionary()
        self._looking: Final = Mutex()

    def of(self, key: str | None, runtime: Runtime) -> Turn:
        """Return the turn of a record, for what a lock of this runtime is good for; that of a new record is its own."""
        if key is None:
            return Turn(runtime.lock())
        place = runtime.scope(), key
        with self._looking:
            turn = self._turns.get(place)
            if turn is None:
                turn = self._turns[place] = Turn(runtime.lock())
            return turn
