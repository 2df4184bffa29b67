"""Migrations: steps that turn what earlier releases stored into what this one expects."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any, Final, TypeAlias
from weakref import WeakKeyDictionary

from typing_extensions import TypeVar

from typed_sessions.errors import SchemaError
from typed_sessions.schema.annotations import origin_class
from typed_sessions.schema.narrowing import is_dict

__all__ = ["VERSION_KEY", "MigrationFailure", "MigrationStep", "Migrations", "migration"]

VERSION_KEY: Final = "_version"
"""The key of a payload that says to which version its values were brought; without it they are of version 0."""

MigrationStep: TypeAlias = Callable[[dict[str, object]], dict[str, object]]
StepT = TypeVar("StepT", bound=MigrationStep)

_steps_by_schema: Final[WeakKeyDictionary[object, dict[int, MigrationStep]]] = WeakKeyDictionary()


def migration(schema: Callable[[], object], version: int, /) -> Callable[[StepT], StepT]:
    """Return a decorator for the step that brings stored values to a version of a schema, from the one before.

    The first step leads to version 1, from what was stored before there were any. A step takes the plain values of a
    payload by key, undeclared ones included, as the serializer brings them back, and returns the new ones. It runs when
    a session of an earlier version is loaded, once; the session is written in the new version with its next change.

    Args:
        schema: the class, or the function, that `Sessions` is given. A subclass has steps of its own.
        version: which version the step leads to: 1, 2, 3 and so on, without gaps.

    Raises:
        SchemaError: there is such a step already, or the number is none.
    """
    if isinstance(version, bool) or version < 1:
        raise SchemaError(f"a migration leads to version 1, 2, 3 and so on, not {version}")

    def register(step: StepT) -> StepT:
        steps = _steps_of(schema)
        if version in steps:
            raise SchemaError(f"{_name_of(steps[version])} leads to version {version} already; number them 1, 2, 3")
        steps[version] = step
        return step

    return register


class MigrationFailure(Exception):  # noqa: N818 -- never leaves the library
    """A step could not take what was stored. Says which step and what kind of error, never the value."""

    def __init__(self, version: int, error: str) -> None:
        super().__init__(f"to version {version}: {error}")


class Migrations:
    """The steps of one schema, those that are registered later included."""

    def __init__(self, schema: object) -> None:
        self.steps: dict[int, MigrationStep] = {} if schema is None else _steps_of(schema)
        """By the version that each leads to; steps that are registered later are here, too."""

    @property
    def version(self) -> int:
        """The version that this release writes; 0 if there are no steps."""
        return max(self.steps, default=0)

    def check(self, schema_name: str, fields: Collection[str]) -> None:
        """Raise SchemaError for steps that leave a gap, and for a field under the key that they need."""
        for version in range(1, self.version + 1):
            if version not in self.steps:
                raise SchemaError(f"{schema_name} has a migration to version {self.version}, and none to {version}")
        if self.steps and VERSION_KEY in fields:
            raise SchemaError(f"{schema_name}.{VERSION_KEY}: migrations keep the version there; rename the field")

    def migrated(self, values: dict[str, object], version: int) -> dict[str, object]:
        """Return values of a version as this release has them. Raises MigrationFailure for a step that fails."""
        for target in (target for target in range(version + 1, self.version + 1) if target in self.steps):
            try:
                migrated: Any = self.steps[target](values)
            except Exception as error:  # noqa: BLE001 -- a step is the user's
                # Its message may hold what a visitor stored.
                raise MigrationFailure(target, type(error).__name__) from None
            if not is_dict(migrated):
                raise MigrationFailure(target, f"it returned {type(migrated).__name__} instead of a dict")
            values = {str(key): value for key, value in migrated.items()}
        return values


def _steps_of(schema: Any) -> dict[int, MigrationStep]:
    owner = origin_class(schema)
    return _steps_by_schema.setdefault(getattr(schema, "__func__", schema) if owner is None else owner, {})


def _name_of(step: MigrationStep) -> str:
    name: str = getattr(step, "__qualname__", type(step).__qualname__)
    return name
