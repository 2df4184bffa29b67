"""URL-safe base64, written and read alike with pybase64 and without."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from itsdangerous import BadData
from itsdangerous.encoding import base64_decode, base64_encode

from typed_sessions.sealing.base64url import from_base64, read_by_python, to_base64, written_by_python

NEARLY_BASE64 = st.text("ABCabc019-_+/= \n.é", max_size=40).map(str.encode)
LONG = b"QUJD" * 100
"""What pybase64 reads, where it is installed."""


def read(function: object, text: bytes) -> bytes | str:
    assert callable(function)
    try:
        data: bytes = function(text)
    except (ValueError, BadData):
        return "no base64"
    return data


@given(st.binary(max_size=40))
def test_data_is_written_as_itsdangerous_does_it_and_comes_back(data: bytes) -> None:
    data *= 20
    assert to_base64(data) == written_by_python(data) == base64_encode(data)
    assert from_base64(to_base64(data)) == data


@given(NEARLY_BASE64 | st.binary(max_size=40))
def test_whatever_is_read_reads_alike_with_pybase64_and_without(text: bytes) -> None:
    for whole in (text, LONG + text):
        assert read(from_base64, whole) == read(read_by_python, whole)


@pytest.mark.parametrize("text", [b"YQ", b"YR", b"Y Q", b"YQ==", b"a-_b", b"a+/b", b"A", b"\xff\xff"])
def test_leniency_is_that_of_itsdangerous(text: bytes) -> None:
    for whole in (text, LONG + text):
        assert read(from_base64, whole) == read(base64_decode, whole)
