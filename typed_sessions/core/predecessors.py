"""`Predecessor`: sessions that another library has written, and what becomes of them here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Final, Generic, Protocol, runtime_checkable

import msgspec
from attrs import frozen
from typing_extensions import TypeVar, override

from typed_sessions.codec.codec import Codec, Loaded, OnBadField
from typed_sessions.core.state import LoadResult
from typed_sessions.reports import Reason, Refused
from typed_sessions.schema.schema import Schema

__all__ = ["Claim", "Inheritance", "Predecessor", "Succession", "succession_of"]

S = TypeVar("S", default=dict[str, object])

_PERMANENT: Final = "_permanent"


@frozen(repr=False)  # a debugger's page shows what is in a repr
class Inheritance:
    """What another library has written of a session."""

    values: Mapping[str, object]
    """The plain values, by their keys."""
    written: datetime
    """When, as an aware time."""
    in_json: bool = False
    """True if they are JSON's: a moment is a text there, and so are bytes."""


@runtime_checkable
class Predecessor(Protocol):
    """Sessions that another library has written; `typed_sessions.adopting` has those of some."""

    @property
    def before(self) -> datetime:
        """Only what was written before is adopted."""
        ...

    @property
    def lifetime(self) -> timedelta:
        """How long the other library takes what it has written."""
        ...

    @property
    def needs_store(self) -> bool:
        """True if what it has written can only be ended where our sessions are kept on the server, too."""
        ...

    def texts(self, values_of: Callable[[str], tuple[str, ...]], own_name: str) -> tuple[str, ...]:
        """Return what a request's cookies may have of it; `own_name` is that of our cookie."""
        ...

    def mark(self, text: str) -> str:
        """Return what a text is known by, however it is spelled."""
        ...

    def load(self, text: str, now: datetime) -> Inheritance | Refused:
        """Return what a text leads to. It may block, in a thread of its own. Raises StoreUnavailableError."""
        ...

    def end(self, text: str) -> None:
        """Have a text lead nowhere, if that can be done. As `load` does, it may block, and raise."""


@frozen(repr=False)
class Claim:
    """A text that came with a request, and may lead to a session of another library's."""

    predecessor: Predecessor
    text: str

    @property
    def mark(self) -> str:
        """What it is known by, in the form that tombstones take: a point ends it."""
        return f"{type(self.predecessor).__qualname__} {self.predecessor.mark(self.text)}."

    def end(self) -> None:
        """Have it lead nowhere; see `Predecessor.end`."""
        self.predecessor.end(self.text)


class _Plain:
    """Plain values, in whichever format they were written."""

    @staticmethod
    def dumps(value: dict[str, object], /) -> bytes:
        return msgspec.msgpack.encode(value)

    @staticmethod
    def loads(payload: bytes, /) -> object:
        return msgspec.msgpack.decode(payload)


class _PlainJSON(_Plain):
    """Those that JSON has, in which all else is a text."""

    @staticmethod
    @override
    def dumps(value: dict[str, object], /) -> bytes:
        return msgspec.msgpack.encode(msgspec.to_builtins(value))


@frozen(eq=False)
class Succession(Generic[S]):
    """How an application reads what its predecessors have written."""

    predecessors: tuple[Predecessor, ...]
    codec: Codec[S]
    json_codec: Codec[S]
    in_cookies: bool
    """True if our sessions are in cookies, and no store knows what was adopted."""

    @property
    def until(self) -> datetime:
        """Until when anything of theirs may be adopted."""
        return max(each.before + each.lifetime for each in self.predecessors)

    def claims(self, values_of: Callable[[str], tuple[str, ...]], own_name: str) -> tuple[Claim, ...]:
        """Return what of a request's cookies may be a predecessor's."""
        return tuple(
            Claim(predecessor, text)
            for predecessor in self.predecessors
            for text in dict.fromkeys(predecessor.texts(values_of, own_name))
        )

    def read(self, inheritance: Inheritance, on_bad_field: OnBadField, *, permanent: bool) -> LoadResult[S] | Refused:
        """Return what becomes of a predecessor's session here, by the rules of any payload."""
        values = dict(inheritance.values)
        if permanent and values:
            values.setdefault(_PERMANENT, True)
        try:
            payload = _Plain.dumps(values)
        except Exception:  # noqa: BLE001 -- what another library brings may hold anything
            return Refused(Reason.UNREADABLE)
        codec = self.json_codec if inheritance.in_json else self.codec
        outcome = codec.decode(payload, on_bad_field)
        if not isinstance(outcome, Loaded):
            return outcome
        return LoadResult(outcome.contents, outcome.snapshot, new=False, reports=outcome.reports)


def succession_of(
    predecessors: tuple[Predecessor, ...], schema: Schema[S], max_payload: int, *, in_cookies: bool
) -> Succession[S]:
    """Return how an application reads what its predecessors have written."""
    plain, json = (Codec(schema, each, max_payload=max_payload) for each in (_Plain(), _PlainJSON()))
    return Succession(predecessors, plain, json, in_cookies)
