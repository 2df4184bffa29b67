"""`Origin`: what a session was loaded from, to find out what has changed since."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from functools import cached_property
from typing import Generic

from typing_extensions import TypeVar

from typed_sessions.codec.codec import Codec
from typed_sessions.codec.contents import Contents
from typed_sessions.codec.payloads import Decoded, Draft, Lowered, Read
from typed_sessions.errors import SerializationError
from typed_sessions.schema.sameness import same
from typed_sessions.schema.values import Value

__all__ = ["Origin"]

S = TypeVar("S", default=dict[str, object])


class Origin(Value, Generic[S], dict=True):
    """The payload that a session was loaded from, and what reads it. Changes are found by comparing with it."""

    codec: Codec[S]
    """What read the payload."""
    payload: bytes
    """The payload as it came."""
    decoded: Decoded[S] | None = None
    """What it held; None if it holds what this release has just written."""
    written_version: int = 0
    """The version of what was just written."""

    def remember(self) -> None:
        """Write what was loaded while nobody has changed it, so that it need not be read again to compare with it."""
        decoded = self.decoded
        if decoded is not None and type(decoded) is not Read and not decoded.generated:
            with suppress(Exception):  # code of the user's may raise anything; the save meets it again
                self._rewritten = self.codec.payload(decoded.contents, decoded.version)

    @property
    def version(self) -> int:
        """The version of the payload that was read: after migration, where there was one."""
        return self.written_version if self.decoded is None else self.decoded.version

    @property
    def stored(self) -> Mapping[str, object]:
        """What was loaded. Nobody may change it."""
        return self._stored

    def holds(self, contents: Contents[S]) -> bool:
        """Return True if contents mean what was loaded, whatever the order of their keys.

        What cannot be written, and yet was loaded, is compared by value.
        """
        return self.judged(contents)[0]

    def judged(self, contents: Contents[S]) -> tuple[bool, Draft[S] | None]:
        """Return True if contents mean what was loaded, and their draft, if that took one and they can be written."""
        decoded = self.decoded
        if isinstance(decoded, Read) and decoded.contents is contents:
            seen = self.codec.look(decoded)
            if type(seen) is Lowered:
                return False, seen
            if seen is not None:
                return True, None
        return self._judged_at_length(contents)

    def _judged_at_length(self, contents: Contents[S]) -> tuple[bool, Draft[S] | None]:
        decoded, codec = self.decoded, self.codec
        try:
            if "_rewritten" in self.__dict__ and codec.payload(contents, self.version) == self._rewritten:
                return True, None
            draft = codec.draft(contents, self.version, unless=self._read)
            if draft.payload == self._read:
                return True, draft
            if decoded is not None and not decoded.generated:
                if codec.differs(draft, decoded):
                    return False, draft
                rewritten = self._rewritten
                if draft.payload == rewritten:
                    return True, draft
                if rewritten is not None and codec.is_built_in and Counter(draft.payload) != Counter(rewritten):
                    return False, draft  # another order of keys alone makes no other bytes
            return codec.canonical(contents.stored()) == self._canonical, draft
        except SerializationError:
            return same(contents.stored(), self._stored), None

    @property
    def _read(self) -> bytes:
        """The payload that was read: after migration, where there was one."""
        return self.payload if self.decoded is None else self.decoded.payload

    @cached_property
    def _stored(self) -> Mapping[str, object]:
        """What was loaded; empty if it cannot be read again, which only a fault explains."""
        decoded = self.decoded
        if decoded is not None and decoded.remembered is not None:
            return decoded.remembered
        outcome = self.codec.decode(self._read)
        return outcome.contents.stored() if isinstance(outcome, Decoded) else {}

    @cached_property
    def _rewritten(self) -> bytes | None:
        """What reading the payload and writing it again makes of it; None if it cannot be read."""
        return None if self.decoded is None else self.codec.rewritten(self.decoded)

    @cached_property
    def _canonical(self) -> bytes:
        """What was loaded, as this release would write it."""
        return self.codec.canonical(self._stored)
