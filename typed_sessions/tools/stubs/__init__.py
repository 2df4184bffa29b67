"""Stubs of a schema: what other checkers than mypy need to know the types of a session's literal keys."""

from typed_sessions.tools.stubs.command import add_command
from typed_sessions.tools.stubs.schema_stub import SchemaStub
from typed_sessions.tools.stubs.stub_files import stale_files, stub_files, write_files

__all__ = ["SchemaStub", "add_command", "stale_files", "stub_files", "write_files"]
