"""What each request does with data where a session may only live for so long: it asks when that was created."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeAlias

from msgspec import UNSET

from typed_sessions.codec.generated import PERMANENT_KEY
from typed_sessions.codec.loaded_data import LoadedData, LoadedKeys
from typed_sessions.schema.schema import Schema
from typed_sessions.sealing.base import Clock

__all__ = ["CREATED_KEY", "if_goes_on", "if_young"]

CREATED_KEY: Final = "_created"
"""Under which a session in a cookie has the time of its creation, in seconds since the epoch."""

_NO_CONTENT: Final = frozenset({CREATED_KEY, PERMANENT_KEY})

AnyLoaded: TypeAlias = LoadedData[Any] | LoadedKeys[Any]


def if_young(
    data_in: Callable[[bytes, str], AnyLoaded | None], clock: Clock, limit: float
) -> Callable[[bytes, str], AnyLoaded | None]:
    """Return what loads data as `data_in` does, if it says that it was created less than so many seconds ago."""

    def young_data_in(payload: bytes, sealed: str) -> AnyLoaded | None:
        loaded = data_in(payload, sealed)
        if loaded is None:
            return None
        created = (loaded.extras if isinstance(loaded, LoadedData) else loaded.contents.values).get(CREATED_KEY)
        return loaded if type(created) is int and clock() - created < limit else None

    return young_data_in


def if_goes_on(header_of: Callable[[AnyLoaded], str | None], schema: Schema[Any]) -> Callable[[AnyLoaded], str | None]:
    """Return what saves data as `header_of` does, unless that has begun, or ended, a session."""
    subject = schema.subject

    def header_of_same(loaded: AnyLoaded) -> str | None:
        if isinstance(loaded, LoadedData):
            if subject is not None:
                came, is_now = getattr(loaded.decoded, subject), getattr(loaded.data, subject, UNSET)
                if came != is_now and not (came is UNSET and is_now is None):
                    return None
            holds_anything = bool(schema.non_defaults(loaded.data)) or not loaded.extras.keys() <= _NO_CONTENT
        else:
            values = loaded.contents.values
            if subject is not None and getattr(loaded.decoded, subject, UNSET) != values.get(subject, UNSET):
                return None
            holds_anything = not values.keys() <= _NO_CONTENT
        return header_of(loaded) if holds_anything else None

    return header_of_same
