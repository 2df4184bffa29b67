"""Any bytes under a valid signature: contents or a reason, never an error. Long: `HYPOTHESIS_PROFILE=long`."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fuzz.payloads import PAYLOADS, Visitor, changed
from tests.strategies import json_objects
from typed_sessions.codec.codec import Codec, Loaded, OnBadField
from typed_sessions.errors import SerializationError
from typed_sessions.reports import Reason, Refused
from typed_sessions.schema.schema import Schema
from typed_sessions.serializers.base import BUILT_IN

SCHEMA = Schema(Visitor)
CODECS = {name: Codec(SCHEMA, make()) for name, make in BUILT_IN.items()}
OPEN_CODECS = {name: Codec(Schema(), make()) for name, make in BUILT_IN.items()}
READABLE = {Reason.UNREADABLE, Reason.SHAPE, Reason.TOO_DEEP, Reason.FIELD}

EVERY_FORMAT = pytest.mark.parametrize("name", list(BUILT_IN))
BOTH_RULES = st.sampled_from(OnBadField)


def decode_all(name: str, payload: bytes, rule: OnBadField) -> list[Loaded[Visitor] | Loaded[dict[str, object]]]:
    """Decode with a schema and without; return what could be read, and check the rest for its reason."""
    outcomes = (CODECS[name].decode(payload, rule), OPEN_CODECS[name].decode(payload, rule))
    for outcome in outcomes:
        if isinstance(outcome, Refused):
            assert outcome.reason in READABLE
    return [outcome for outcome in outcomes if isinstance(outcome, Loaded)]


def use(name: str, decoded: Loaded[Any]) -> None:
    """Do with contents what a program does: look at all of them, which is no change, and write them again."""
    contents, snapshot = decoded.contents, decoded.snapshot
    assert snapshot.codec.diff(contents, snapshot) is None
    assert list(contents) == contents.keys() == list(contents.stored())
    assert all(key in contents for key in contents)
    assert repr(contents.data)
    codec: Codec[Any] = CODECS[name] if contents.schema is SCHEMA else OPEN_CODECS[name]
    assert codec is snapshot.codec
    assert codec.diff(contents, snapshot) is None
    for write in (codec.payload, lambda stored: codec.write_stored(stored).payload, codec.canonical):
        with suppress(SerializationError):
            assert isinstance(write(contents.stored()), bytes)
    with suppress(SerializationError):
        assert isinstance(codec.write(contents).payload, bytes)
    contents.store("one more", 1)
    changes = codec.diff(contents, snapshot)
    assert changes is not None
    with suppress(SerializationError):
        assert isinstance(codec.encode(snapshot, changes).payload, bytes)


@EVERY_FORMAT
@given(payload=st.binary(max_size=60), rule=BOTH_RULES)
def test_any_bytes_are_contents_or_refused(name: str, payload: bytes, rule: OnBadField) -> None:
    for decoded in decode_all(name, payload, rule):
        use(name, decoded)


@EVERY_FORMAT
@given(data=st.data(), rule=BOTH_RULES)
def test_any_nearly_valid_payload_is_contents_or_refused(name: str, data: st.DataObject, rule: OnBadField) -> None:
    written_as = data.draw(st.sampled_from((name, name, *PAYLOADS)))
    payload = data.draw(PAYLOADS[written_as]())
    for decoded in decode_all(name, payload, rule):
        use(name, decoded)


@EVERY_FORMAT
@given(value=json_objects(), data=st.data())
def test_any_change_of_a_valid_payload_is_contents_or_refused(
    name: str, value: dict[str, object], data: st.DataObject
) -> None:
    payload = OPEN_CODECS[name].payload(value)
    assert len(decode_all(name, payload, OnBadField.RESET)) == 2
    payload = data.draw(changed(payload))
    for decoded in decode_all(name, payload, OnBadField.RESET):
        use(name, decoded)
