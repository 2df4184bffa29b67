"""What every serializer does, and how a setting names one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import flask.json.tag
import msgspec
import pytest
from hypothesis import HealthCheck, given, settings

from tests.cases import case
from tests.strategies import json_objects
from typed_sessions.errors import ConfigurationError
from typed_sessions.serializers import (
    MsgspecJSONSerializer,
    MsgspecMsgpackSerializer,
    Serializer,
    TaggedJSONSerializer,
)
from typed_sessions.serializers.base import AnySerializer, resolve_serializer, serializer_name


class MessagePack:
    """A serializer of bytes, with a name: what a user would write."""

    name = "message-pack"

    def dumps(self, value: dict[str, object], /) -> bytes:
        return msgspec.msgpack.encode(value)

    def loads(self, payload: bytes, /) -> object:
        return msgspec.msgpack.decode(payload)


class Demanding(MessagePack):
    """A serializer that is not made without an argument."""

    def __init__(self, key: bytes) -> None:
        self.key = key


class OnlyDumps:
    def dumps(self, value: object, /) -> str:
        return str(value)


class Numbered(MessagePack):
    """A serializer whose `name` is no text: it has none."""

    name = 7  # type: ignore[assignment]  # what an object of another origin may have


class NotCallable:
    dumps = loads = "text"


OURS = TaggedJSONSerializer()
FLASK = flask.json.tag.TaggedJSONSerializer()
MESSAGE_PACK = MessagePack()

EACH: dict[str, Any] = {
    "tagged JSON": OURS,
    "Flask's tagged JSON": FLASK,
    "the json module": json,
    "bytes": MESSAGE_PACK,
    "msgspec's JSON": MsgspecJSONSerializer(),
    "msgspec's MessagePack": MsgspecMsgpackSerializer(),
}
SERIALIZERS = pytest.mark.parametrize("serializer", EACH.values(), ids=EACH)


@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(value=json_objects())
def test_plain_values_come_back(value: dict[str, object]) -> None:
    expected = repr(value)
    for name, serializer in EACH.items():
        with case(name):
            assert repr(serializer.loads(serializer.dumps(value))) == expected


@SERIALIZERS
def test_a_payload_is_text_or_bytes(serializer: Any) -> None:
    assert isinstance(serializer.dumps({}), (str, bytes))


@SERIALIZERS
def test_what_cannot_be_written_raises(serializer: Any) -> None:
    with pytest.raises((TypeError, ValueError)):
        serializer.dumps({"key": object()})


@SERIALIZERS
@pytest.mark.parametrize("garbage", [b"", b"\xc1", b"\xc1{}"], ids=repr)
def test_what_cannot_be_read_raises(serializer: Any, garbage: bytes) -> None:
    payload = garbage if isinstance(serializer.dumps({}), bytes) else garbage.decode("latin-1")
    with pytest.raises(ValueError):  # noqa: PT011 -- every library words it in its own way
        serializer.loads(payload)


@SERIALIZERS
def test_an_object_resolves_to_itself(serializer: AnySerializer) -> None:
    assert resolve_serializer(serializer) is serializer


def test_the_protocol_is_filled_by_libraries_that_do_not_know_it() -> None:
    text: list[Serializer] = [OURS, FLASK, json]
    data: list[Serializer[bytes]] = [MESSAGE_PACK]
    every: list[AnySerializer] = [*text, *data]
    assert [serializer_name(serializer) for serializer in every] == ["tagged-json", None, None, "message-pack"]


def test_a_name_that_is_no_text_is_none() -> None:
    assert serializer_name(Numbered()) is None


def test_a_built_in_serializer_resolves_by_its_name() -> None:
    assert isinstance(resolve_serializer("tagged-json"), TaggedJSONSerializer)


def test_each_name_gives_a_serializer_of_its_own() -> None:
    assert resolve_serializer("tagged-json") is not resolve_serializer("tagged-json")


def test_a_path_resolves_to_an_object() -> None:
    assert resolve_serializer("flask.sessions:session_json_serializer") is flask.sessions.session_json_serializer


def test_a_path_resolves_to_a_module_in_a_module() -> None:
    assert resolve_serializer("flask:json") is flask.json


def test_a_path_to_a_class_resolves_to_an_object_of_it() -> None:
    resolved = resolve_serializer("typed_sessions.serializers:TaggedJSONSerializer")
    assert isinstance(resolved, TaggedJSONSerializer)


@pytest.mark.parametrize("name", ["tagged_json", "Tagged-JSON", "json", "pickle", "", " tagged-json"])
def test_an_unknown_name_is_refused_with_the_known_ones(name: str) -> None:
    with pytest.raises(ConfigurationError, match=r'takes "tagged-json".*, "module:attribute" or an object') as refusal:
        resolve_serializer(name)
    assert f'no serializer "{name}"' in str(refusal.value)


@pytest.mark.parametrize(
    "path",
    ["no_such_module:x", "json:no_such_attribute", "json:", ":json", ":", ".json:x", "json:decoder.nothing"],
)
def test_a_path_to_nothing_is_refused_by_name(path: str) -> None:
    with pytest.raises(ConfigurationError, match="cannot be imported") as refusal:
        resolve_serializer(path)
    assert f'"{path}"' in str(refusal.value)


def test_a_path_may_lead_through_attributes() -> None:
    assert isinstance(
        resolve_serializer("typed_sessions:serializers.msgspec.MsgspecJSONSerializer"), MsgspecJSONSerializer
    )


def test_a_path_to_a_module_that_fails_is_refused_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "failing_serializer.py").write_text("raise RuntimeError('no luck')\n", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ConfigurationError, match='SESSION_SERIALIZER "failing_serializer:X" cannot be imported'):
        resolve_serializer("failing_serializer:X")


def test_a_path_to_a_class_that_needs_arguments_is_refused() -> None:
    with pytest.raises(ConfigurationError, match='"uuid:UUID" cannot be made without arguments'):
        resolve_serializer("uuid:UUID")


@pytest.mark.parametrize(
    ("setting", "kind"),
    [
        (None, "NoneType"),
        (7, "int"),
        (b"tagged-json", "bytes"),
        (["tagged-json"], "list"),
        (OnlyDumps(), "OnlyDumps"),
        (NotCallable(), "NotCallable"),
        ("json:__name__", "str"),
        ("collections:namedtuple", "function"),
    ],
)
def test_what_is_no_serializer_is_refused(setting: object, kind: str) -> None:
    with pytest.raises(ConfigurationError, match=f"has the methods dumps and loads; {kind} has not"):
        resolve_serializer(setting)


@pytest.mark.parametrize("serializer_class", [TaggedJSONSerializer, MessagePack, Demanding])
def test_a_class_is_refused_with_the_call_that_makes_an_object(serializer_class: type) -> None:
    with pytest.raises(ConfigurationError, match=rf"write {serializer_class.__name__}\(\) \(SESSION_SERIALIZER\)"):
        resolve_serializer(serializer_class)
