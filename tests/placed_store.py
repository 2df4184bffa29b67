"""`PlacedMemoryStore`: a store in memory that keeps the records of a subject together, and refuses any other key."""

from __future__ import annotations

from hashlib import sha256

from typing_extensions import override

from typed_sessions.stores import Created, MemoryStore, Record, Updated, WriteRequest

__all__ = ["PlacedMemoryStore"]


class PlacedMemoryStore(MemoryStore):
    """As strict as a store on several servers has to be."""

    def place_of(self, subject: str) -> str:
        return sha256(subject.encode("utf-8", "surrogatepass")).hexdigest()[:4]

    @override
    async def create(self, key: str, write: WriteRequest) -> Created:
        self._check(key, write.subject)
        return await super().create(key, write)

    @override
    async def update(self, key: str, version: int, write: WriteRequest, *, move_to: str | None = None) -> Updated:
        self._check(move_to or key, write.subject)
        present = await self.load(key)
        if (
            isinstance(present, Record)
            and present.version == version
            and present.subject != write.subject
            and not move_to
        ):
            raise ValueError("another subject in place")
        return await super().update(key, version, write, move_to=move_to)

    def _check(self, key: str, subject: str | None) -> None:
        if subject is not None and not key.startswith(self.place_of(subject)):
            raise ValueError("the key lies in another place")
