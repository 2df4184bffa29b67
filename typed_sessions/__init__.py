"""Web sessions whose contents are a class that the user declares.

This module imports no framework and no driver; `typed_sessions.quart` is what a Quart application imports, and
`typed_sessions.flask` what one of Flask does. A name is loaded when it is first asked for, so that mypy gets its plugin
from here without the rest.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from typed_sessions.core.mixin import Session, SessionMixin, SessionsLike
    from typed_sessions.core.null_session import NullSession
    from typed_sessions.core.session import SecureCookieSession
    from typed_sessions.errors import (
        ConfigurationError,
        CookieTooLargeError,
        FieldTypeError,
        FieldValueError,
        SchemaError,
        SerializationError,
        SessionConflictError,
        SessionError,
        StoreError,
        StoreUnavailableError,
        UndeclaredKeyError,
    )
    from typed_sessions.frameworks.interface import SecureCookieSessionInterface, SessionInterface
    from typed_sessions.schema.markers import Essential, Formerly, Merge, Secret, Subject
    from typed_sessions.schema.migrations import migration
    from typed_sessions.schema.schema import Schema

__version__ = "0.2.0"

__all__ = [
    "ConfigurationError",
    "CookieTooLargeError",
    "Essential",
    "FieldTypeError",
    "FieldValueError",
    "Formerly",
    "Merge",
    "NullSession",
    "Schema",
    "SchemaError",
    "Secret",
    "SecureCookieSession",
    "SecureCookieSessionInterface",
    "SerializationError",
    "Session",
    "SessionConflictError",
    "SessionError",
    "SessionInterface",
    "SessionMixin",
    "SessionsLike",
    "StoreError",
    "StoreUnavailableError",
    "Subject",
    "UndeclaredKeyError",
    "__version__",
    "migration",
]

_MODULES: Final = {
    "ConfigurationError": "errors",
    "CookieTooLargeError": "errors",
    "Essential": "schema.markers",
    "FieldTypeError": "errors",
    "FieldValueError": "errors",
    "Formerly": "schema.markers",
    "Merge": "schema.markers",
    "NullSession": "core.null_session",
    "Schema": "schema.schema",
    "SchemaError": "errors",
    "Secret": "schema.markers",
    "SecureCookieSession": "core.session",
    "SecureCookieSessionInterface": "frameworks.interface",
    "SerializationError": "errors",
    "Session": "core.mixin",
    "SessionConflictError": "errors",
    "SessionError": "errors",
    "SessionInterface": "frameworks.interface",
    "SessionMixin": "core.mixin",
    "SessionsLike": "core.mixin",
    "StoreError": "errors",
    "StoreUnavailableError": "errors",
    "Subject": "schema.markers",
    "UndeclaredKeyError": "errors",
    "migration": "schema.migrations",
}
_PUBLIC_MODULES: Final = frozenset({"errors", "serializers", "stores"})


if not TYPE_CHECKING:  # a checker would take every name for one that is there

    def __getattr__(name: str) -> object:
        """Return a public name, loaded from its module, or a public module (PEP 562)."""
        if name in _PUBLIC_MODULES:
            return import_module(f"{__name__}.{name}")
        if name not in _MODULES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value: object = getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return __all__
