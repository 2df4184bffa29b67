"""What is not shown of a session: the values of fields that are marked as `Secret`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any, Final, TypeVar, cast, final

from typing_extensions import override

from typed_sessions.errors import FieldTypeError, without_values
from typed_sessions.schema.schema import Schema

__all__ = ["HIDDEN", "concealed", "without_arguments"]

MethodT = TypeVar("MethodT", bound=Callable[..., object])


@final
class _Hidden:
    """Stands for a value that is not shown."""

    @override
    def __repr__(self) -> str:
        return "<secret>"


HIDDEN: Final = _Hidden()
"""What is shown instead of a secret."""


def concealed(stored: Mapping[str, object], schema: Schema[Any]) -> Mapping[str, object]:
    """Return what is stored, as it may be shown."""
    secrets = schema.secrets
    return {key: HIDDEN if key in secrets else value for key, value in stored.items()} if secrets else stored


def without_arguments(has_secrets: Callable[[Any], bool]) -> Callable[[MethodT], MethodT]:
    """Decorate a method so that no frame of a refusal holds what it was given, if that may be a secret."""

    def decorated(method: MethodT) -> MethodT:
        @wraps(method)
        def called(owner: object, /, *args: object, **kwargs: object) -> object:
            try:
                return method(owner, *args, **kwargs)
            except (FieldTypeError, KeyError) as error:
                if not has_secrets(owner):
                    raise
                refusal = without_values(error)
            del args, kwargs  # debugging pages show locals
            raise refusal

        return cast("MethodT", called)

    return decorated
