"""Formats that session contents are written in."""

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
