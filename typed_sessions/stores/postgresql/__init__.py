"""`PostgreSQLStore`: records in a PostgreSQL database, version 14 or newer, over psycopg 3. `stores` gives it out.

`store` has the operations, `statements` their SQL, `tables` how a database gets its tables, `connections` what is open
in each event loop and for threads, `pool` the connections of one loop.
"""

from typed_sessions.errors import ConfigurationError

try:
    from typed_sessions.stores.postgresql.store import PostgreSQLStore
except ImportError as _missing:
    raise ConfigurationError("PostgreSQLStore needs psycopg: pip install 'typed_sessions[postgresql]'") from _missing

__all__ = ["PostgreSQLStore"]
