"""Server-side stores: the contract, and the stores that come with the library."""

from typed_sessions.stores.base import (
    REVOCATIONS_KEPT,
    Conflict,
    Created,
    Exists,
    Gone,
    Lifetime,
    Listed,
    Record,
    Revoked,
    SessionStore,
    Updated,
    Written,
)
from typed_sessions.stores.urls import open_store

__all__ = [
    "REVOCATIONS_KEPT",
    "Conflict",
    "Created",
    "Exists",
    "Gone",
    "Lifetime",
    "Listed",
    "Record",
    "Revoked",
    "SessionStore",
    "Updated",
    "Written",
    "open_store",
]
