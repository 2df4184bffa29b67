"""`PostgreSQLStore`: records in a PostgreSQL database, version 14 or newer, over psycopg 3."""

from typed_sessions.errors import ConfigurationError

try:
    from typed_sessions.stores.postgresql.store import PostgreSQLStore
except ImportError as error:
    raise ConfigurationError("PostgreSQLStore needs psycopg: pip install 'typed_sessions[postgresql]'") from error

__all__ = ["PostgreSQLStore"]
