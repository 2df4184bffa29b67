"""Locks: what a release says of its sessions, kept in a file, and what another release makes of it. For the command.

`lock` writes a schema down. `samples` makes values of types, and `extents` the largest one: how large the cookie grows.
`declarations` reads what is written without the classes, and `compatibility` tries its values in the other release.
"""

from typed_sessions.tools.lock.compatibility import Effect, Finding, compare
from typed_sessions.tools.lock.lock import LockedSchema, LockFile, lock_schema, read_lock, write_lock

__all__ = ["Effect", "Finding", "LockFile", "LockedSchema", "compare", "lock_schema", "read_lock", "write_lock"]
