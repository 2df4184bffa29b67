"""`PostgreSQLStore`: records in a PostgreSQL database, version 14 or newer, over psycopg 3."""

from typed_sessions.errors import ConfigurationError

try:
    from typed_sessions.stores.postgresql.store import PostgreSQLStore
except ImportError as _missing:
    raise ConfigurationError("PostgreSQLStore needs psycopg: pip install 'typed_sessions[postgresql]'") from _missing

__all__ = ["PostgreSQLStore"]
