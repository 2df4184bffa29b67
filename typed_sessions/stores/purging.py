"""Deleting what has expired: for stores that do not do it by themselves."""

from __future__ import annotations

from typing import Final

from typed_sessions.stores.base import SessionStore

__all__ = ["purge"]

_BATCH: Final = 1000
"""How many records are deleted in one step, between which others get their turn."""


async def purge(store: SessionStore) -> int:
    """Delete all records that have expired, and return how many there were.

    Raises:
        StoreUnavailableError: the store did not answer. What was deleted before stays so.
    """
    deleted = 0
    while True:
        batch = await store.delete_expired(_BATCH)
        deleted += batch
        if batch < _BATCH:
            return deleted
