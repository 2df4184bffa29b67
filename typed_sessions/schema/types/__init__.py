"""What a field may hold: one object for each type that a session can keep. `schema`, `codec` and `tools` use it.

Of its values a type says whether they are allowed (`validate`), how they are written (`unstructure`) and read
(`structure`) as what JSON has, or the serializer brings back by itself, and the same as generated code (`emit`).
"""
