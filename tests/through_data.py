"""Values that a program sets in the data of a session, where nothing is checked before the save."""

from __future__ import annotations

from typing import cast

from attrs.exceptions import FrozenInstanceError
from pydantic import ValidationError

__all__ = ["set_in_data"]


def set_in_data(data: object, name: str, value: object) -> None:
    """Set a key of a dict, or an attribute, of a frozen object by force."""
    if isinstance(data, dict):
        cast("dict[str, object]", data)[name] = value
        return
    try:
        setattr(data, name, value)
    except (FrozenInstanceError, ValidationError):  # the latter of a frozen model
        object.__setattr__(data, name, value)
