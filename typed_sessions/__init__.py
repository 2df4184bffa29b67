"""Web sessions whose contents are a class that the user declares.

This module imports no framework and no driver; `typed_sessions.quart` is what a Quart application imports.
"""

from typed_sessions.errors import (
    ConfigurationError,
    CookieTooLargeError,
    FieldTypeError,
    FieldValueError,
    SchemaError,
    SerializationError,
    SessionError,
    UndeclaredKeyError,
)
from typed_sessions.interface import SecureCookieSessionInterface, SessionInterface
from typed_sessions.markers import Essential, Formerly
from typed_sessions.migrations import migration
from typed_sessions.schema import Schema
from typed_sessions.session import NullSession, SecureCookieSession, Session, SessionMixin

__version__ = "0.1.0"

__all__ = [
    "ConfigurationError",
    "CookieTooLargeError",
    "Essential",
    "FieldTypeError",
    "FieldValueError",
    "Formerly",
    "NullSession",
    "Schema",
    "SchemaError",
    "SecureCookieSession",
    "SecureCookieSessionInterface",
    "SerializationError",
    "Session",
    "SessionError",
    "SessionInterface",
    "SessionMixin",
    "UndeclaredKeyError",
    "__version__",
    "migration",
]
