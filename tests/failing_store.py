"""A store that does not answer, for tests of what becomes of a request then."""

from __future__ import annotations

import asyncio
from typing import Any

from typing_extensions import override

from typed_sessions import StoreUnavailableError
from typed_sessions.stores import Found, MemoryStore, Updated, WriteRequest

__all__ = ["Failing", "reset"]


def reset() -> None:
    raise ConnectionResetError


class Failing(MemoryStore):
    """A store of the user's, which hangs or fails in the methods that it is told of."""

    broken: frozenset[str] = frozenset()
    hangs = False

    async def _break(self, method: str) -> None:
        if method not in self.broken:
            return
        if self.hangs:
            await asyncio.sleep(60)
        try:
            reset()
        except ConnectionResetError as error:
            raise StoreUnavailableError("down") from error

    @override
    async def load(self, key: str) -> Found:
        await self._break("load")
        return await super().load(key)

    @override
    async def update(self, key: str, version: int, write: WriteRequest, *, move_to: str | None = None) -> Updated:
        await self._break("update")
        return await super().update(key, version, write, move_to=move_to)

    @override
    async def ids_of(self, subject: str) -> Any:
        await self._break("ids_of")
        return await super().ids_of(subject)

    @override
    async def delete_subject(self, subject: str, *, spare: str | None = None) -> Any:
        await self._break("delete_subject")
        return await super().delete_subject(subject, spare=spare)
