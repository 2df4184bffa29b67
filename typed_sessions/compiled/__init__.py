"""The short way from contents to a payload and back: a schema and a built-in serializer, compiled for each other.

msgspec reads the fields of a payload as the types that the schema declares, and what is left to do is done by functions
made for it. The short way takes what sessions nearly always are. Whatever else there is, it leaves to the codec's long
way, and says so by `None`: all refusals, resets and messages are the long way's.
"""

from typed_sessions.compiled.form import Form, form_of

__all__ = ["Form", "form_of"]
