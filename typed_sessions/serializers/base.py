"""The `Serializer` protocol, and the built-in serializers by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from operator import attrgetter
from types import ModuleType
from typing import Any, Final, Literal, Protocol, TypeAlias, cast

from typing_extensions import TypeVar

from typed_sessions.errors import ConfigurationError
from typed_sessions.serializers.msgspec import MsgspecJSONSerializer, MsgspecMsgpackSerializer
from typed_sessions.serializers.tagged_json import TaggedJSONSerializer

__all__ = [
    "BUILT_IN",
    "AnySerializer",
    "Serializer",
    "SerializerName",
    "resolve_serializer",
    "salt_of",
    "serializer_name",
]

P = TypeVar("P", str, bytes, default=str)


class Serializer(Protocol[P]):
    """Writes plain values as text or bytes, and reads them back: the shape that itsdangerous takes.

    Flask's session serializer and the standard library's `json` module are such serializers. One that also has a
    `name: str` is signed under a salt of its own, so that no program takes its payload for another format's.
    """

    def dumps(self, value: dict[str, object], /) -> P:
        """Return the payload that holds the value. Raises any exception for what it cannot write."""
        ...

    def loads(self, payload: P, /) -> object:
        """Return the value that a payload holds. Raises any exception for what it cannot read."""
        ...


AnySerializer: TypeAlias = Serializer[str] | Serializer[bytes]

SerializerName = Literal["tagged-json", "msgspec-json", "msgspec-msgpack"]
"""The built-in serializers, as arguments and `SESSION_SERIALIZER` name them."""

BUILT_IN: Final[Mapping[str, Callable[[], AnySerializer]]] = {
    TaggedJSONSerializer.name: TaggedJSONSerializer,
    MsgspecJSONSerializer.name: MsgspecJSONSerializer,
    MsgspecMsgpackSerializer.name: MsgspecMsgpackSerializer,
}
"""What makes the built-in serializers, by name."""

_PLAIN_SALT_NAMES: Final = frozenset({None, "tagged-json"})
"""The formats that Quart and Flask read, too, and so are signed as those sign."""


def serializer_name(serializer: AnySerializer) -> str | None:
    """Return the name under which a serializer's payloads are signed, or None for the plain salt."""
    name: object = getattr(serializer, "name", None)
    return name if isinstance(name, str) else None


def salt_of(salt: str | bytes, serializer: AnySerializer) -> str | bytes:
    """Return the salt of a serializer's payloads: a name gives it one of its own, so that nobody misreads them."""
    name = serializer_name(serializer)
    if name in _PLAIN_SALT_NAMES:
        return salt
    return f"{salt}.{name}" if isinstance(salt, str) else salt + f".{name}".encode()


def resolve_serializer(setting: object, called: str = "SESSION_SERIALIZER") -> AnySerializer:
    """Return the serializer that a setting means: a built-in's name, `"module:attribute"`, or an object.

    Args:
        setting: what is set.
        called: where it is set, for messages.

    Raises:
        ConfigurationError: nothing of that name, no serializer, or one that runs what a payload says.
    """
    if isinstance(setting, str):
        if ":" in setting:
            setting = _imported(setting, called)
        elif setting in BUILT_IN:
            return BUILT_IN[setting]()
        else:
            known = ", ".join(f'"{name}"' for name in BUILT_IN)
            raise ConfigurationError(
                f'there is no serializer "{setting}"; {called} takes {known}, "module:attribute" or an object'
            )
    if isinstance(setting, type):
        raise ConfigurationError(
            f"a serializer is an object with the methods dumps and loads; {setting.__name__} is a class, so write "
            f"{setting.__name__}() ({called})"
        )
    if isinstance(setting, ModuleType) and setting.__name__ in _UNSAFE:
        raise ConfigurationError(
            f"{setting.__name__} runs what a payload tells it to; whoever gets hold of a key would run code ({called})"
        )
    if not all(callable(getattr(setting, method, None)) for method in ("dumps", "loads")):
        raise ConfigurationError(
            f"a serializer has the methods dumps and loads; {type(setting).__name__} has not ({called})"
        )
    return cast("AnySerializer", setting)


_UNSAFE: Final = frozenset({"pickle", "_pickle", "marshal", "cloudpickle", "dill", "shelve"})


def _imported(path: str, called: str) -> Any:
    module, _, attribute = path.partition(":")
    try:
        found = attrgetter(attribute)(import_module(module))
    except Exception as error:  # a user's module may raise anything
        raise ConfigurationError(f'{called} "{path}" cannot be imported: {error}') from error
    try:
        return found() if isinstance(found, type) else found
    except TypeError as error:
        raise ConfigurationError(f'{called} "{path}" cannot be made without arguments: {error}') from error
