"""The formats that contents are written in. They know plain values, and no schema.

`base` has `Serializer`, the Protocol, and the built-in ones by name; `tagged_json` is the format of Quart and Flask,
`tags` the table of how each type that JSON lacks is spelled. Programs use it, `codec`, and whatever chooses a format.
"""

from typed_sessions.serializers.base import Serializer, SerializerName
from typed_sessions.serializers.msgspec import MsgspecJSONSerializer, MsgspecMsgpackSerializer
from typed_sessions.serializers.tagged_json import (
    JSONTag,
    PassDict,
    PassList,
    TagBytes,
    TagDateTime,
    TagDict,
    TaggedJSONSerializer,
    TagMarkup,
    TagTuple,
    TagUUID,
)

__all__ = [
    "JSONTag",
    "MsgspecJSONSerializer",
    "MsgspecMsgpackSerializer",
    "PassDict",
    "PassList",
    "Serializer",
    "SerializerName",
    "TagBytes",
    "TagDateTime",
    "TagDict",
    "TagMarkup",
    "TagTuple",
    "TagUUID",
    "TaggedJSONSerializer",
]
