"""What a store adds to a session: where a signed cookie holds the contents, these have an identifier there.

`server_side` opens, lists and ends sessions, `saving` is one save, `record_data` the quick one of mere data, `context`
what a request knows of its session, `repository` the store as an application has it, `runtime` what waits: a loop or a
thread. The adapters use it.
"""

from typed_sessions.server.context import StoredContext
from typed_sessions.server.record_data import RecordData, record_data_of
from typed_sessions.server.repository import Repository
from typed_sessions.server.runtime import EVENT_LOOP, THREAD, Deadline, Runtime
from typed_sessions.server.server_side import ServerSide

__all__ = [
    "EVENT_LOOP",
    "THREAD",
    "Deadline",
    "RecordData",
    "Repository",
    "Runtime",
    "ServerSide",
    "StoredContext",
    "record_data_of",
]
