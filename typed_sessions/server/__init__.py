"""Sessions that are kept on the server: where a signed cookie holds the contents, these have an identifier there.

What a session means is the same as in `engine`. Here is what a store adds: identity, concurrency, lifetime, whose
session it is, and what happens when the store does not answer. No framework.
"""

from typed_sessions.server.context import StoredContext
from typed_sessions.server.deadline import Deadline
from typed_sessions.server.runtime import EVENT_LOOP, THREAD, Runtime
from typed_sessions.server.server_side import ServerSide

__all__ = ["EVENT_LOOP", "THREAD", "Deadline", "Runtime", "ServerSide", "StoredContext"]
