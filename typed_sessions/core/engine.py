"""The former names of `rules`, `loading` and `lifecycle`, for `server`."""

from typed_sessions.core.lifecycle import CookieAction as Decision
from typed_sessions.core.lifecycle import Delete, Keep, Write
from typed_sessions.core.loading import opened, undeclared_reported
from typed_sessions.core.rules import Format
from typed_sessions.core.rules import Rules as Policy

__all__ = ["Decision", "Delete", "Format", "Keep", "Policy", "Write", "opened", "undeclared_reported"]
