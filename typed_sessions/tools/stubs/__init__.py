"""Stubs of a schema: what other checkers than mypy need to know the types of a session's literal keys.

`schema_stub` is what they say, `session_class`, `expressions` and `layout` their text, `framework_stubs` those of the
frameworks, `stub_files` the files, `hooks` the settings of the checkers, `command` the command, for which all this is.
"""

from typed_sessions.tools.stubs.command import add_command
from typed_sessions.tools.stubs.schema_stub import SchemaStub
from typed_sessions.tools.stubs.stub_files import stale_files, stub_files, write_files

__all__ = ["SchemaStub", "add_command", "stale_files", "stub_files", "write_files"]
