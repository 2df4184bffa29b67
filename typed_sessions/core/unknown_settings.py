"""Settings that mean nothing here: misspelt ones, and those of flask-session, with what to write instead."""

from __future__ import annotations

from difflib import get_close_matches
from functools import lru_cache
from typing import Final

from typed_sessions.core.settings import SETTING_NAMES

__all__ = ["advice_on"]

_SIMILAR: Final = 0.85
"""How similar a name has to be to one that is known to be taken for that."""

_KNOWN: Final = sorted(SETTING_NAMES)

_OF_OTHERS: Final = frozenset({"SESSION_PROTECTION"})
"""Those of extensions that go with any sessions. Flask-Login."""

_STORE: Final = (
    'SESSION_STORE = "redis://...", "postgresql://..." or "sqlite:///sessions.db" says where sessions are kept'
)
_NOTHING: Final = "leave it out; it has no counterpart here"

_FLASK_SESSIONS: Final = {
    "SESSION_TYPE": _STORE,
    "SESSION_REDIS": 'SESSION_STORE = "redis://...", or RedisStore(client)',
    "SESSION_MEMCACHED": _STORE,
    "SESSION_FILE_DIR": _STORE,
    "SESSION_FILE_THRESHOLD": _NOTHING,
    "SESSION_FILE_MODE": _NOTHING,
    "SESSION_CACHELIB": _STORE,
    "SESSION_MONGODB": _STORE,
    "SESSION_MONGODB_DB": _STORE,
    "SESSION_MONGODB_COLLECT": _STORE,
    "SESSION_SQLALCHEMY": _STORE,
    "SESSION_SQLALCHEMY_TABLE": 'SESSION_STORE = "postgresql://...?table=web.sessions"',
    "SESSION_SQLALCHEMY_SEQUENCE": _NOTHING,
    "SESSION_SQLALCHEMY_SCHEMA": 'SESSION_STORE = "postgresql://...?table=web.sessions"',
    "SESSION_SQLALCHEMY_BIND_KEY": _STORE,
    "SESSION_DYNAMODB": _STORE,
    "SESSION_DYNAMODB_TABLE": _STORE,
    "SESSION_KEY_PREFIX": 'SESSION_NAMESPACE = "shop" keeps applications in one store apart',
    "SESSION_PERMANENT": "session.permanent = True makes a session permanent",
    "SESSION_USE_SIGNER": "leave it out; an identifier has 256 random bits",
    "SESSION_ID_LENGTH": "leave it out; an identifier has 256 random bits",
    "SESSION_SERIALIZATION_FORMAT": 'SESSION_SERIALIZER = "msgspec-msgpack" or "msgspec-json"',
    "SESSION_CLEANUP_N_REQUESTS": "SESSION_PURGE_EVERY = timedelta(hours=1) deletes what has expired",
}


@lru_cache(maxsize=1_000)
def advice_on(name: object) -> str | None:
    """Return what to write instead of a setting that means nothing; None if it is one of ours, or somebody else's."""
    if not isinstance(name, str) or not name.startswith("SESSION_") or name in _OF_OTHERS or name in _KNOWN:
        return None
    close = get_close_matches(name, _KNOWN, n=1, cutoff=_SIMILAR)
    return _FLASK_SESSIONS.get(name) or (f"did you mean {close[0]}?" if close else None)
