"""`SQLiteStore`: records in a file of this machine. `stores` gives it out.

`store` has the operations, `worker` who carries them out, `file` the file and its upgrades, `trust` who else
may read or change it.
"""

from typed_sessions.stores.sqlite.store import SQLiteStore

__all__ = ["SQLiteStore"]
