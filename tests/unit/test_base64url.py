"""URL-safe base64, written and read alike with pybase64 and without."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from itsdangerous import BadData
from itsdangerous.encoding import base64_decode, base64_encode

from typed_sessions.sealing import base64url
from typed_sessions.sealing.base64url import from_base64, from_canonical, read_by_python, to_base64

NEARLY_BASE64 = st.text("ABCabc019-_+/= \n.é", max_size=40).map(str.encode)
LONG = b"QUJD" * 100
"""What pybase64 reads, where it is installed."""


@pytest.fixture(autouse=True, scope="module", params=[200, 10**9], ids=["pybase64", "Python"])
def _longest_for_python(request: pytest.FixtureRequest) -> Iterator[None]:  # pyright: ignore[reportUnusedFunction]  # a fixture
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(base64url, "_short", request.param)
        yield


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
    assert to_base64(data) == base64_encode(data)
    assert from_base64(to_base64(data)) == data


@given(NEARLY_BASE64 | st.binary(max_size=40))
def test_whatever_is_read_reads_alike_with_pybase64_and_without(text: bytes) -> None:
    for whole in (text, LONG + text):
        assert read(from_base64, whole) == read(read_by_python, whole)


@pytest.mark.parametrize("text", [b"YQ", b"YR", b"Y Q", b"YQ==", b"a-_b", b"a+/b", b"A", b"\xff\xff"])
def test_leniency_is_that_of_itsdangerous(text: bytes) -> None:
    for whole in (text, LONG + text):
        assert read(from_base64, whole) == read(base64_decode, whole)


@given(NEARLY_BASE64 | st.binary(max_size=40) | st.binary(max_size=9).map(to_base64), st.sampled_from(["", "=", "=="]))
def test_of_all_spellings_the_one_that_is_written_here_is_canonical(text: bytes, padding: str) -> None:
    for whole in (text, LONG + text, LONG + text + padding.encode(), text + padding.encode()):
        data = read(from_base64, whole)
        expected = data if isinstance(data, bytes) and to_base64(data) == whole else "no base64"
        assert read(from_canonical, whole) == expected


@pytest.mark.parametrize("before", [b"", LONG], ids=["short", "long"])
def test_each_last_letter_is_judged_by_the_bits_beyond_the_data(before: bytes) -> None:
    letters = [bytes((byte,)) for byte in range(256)]
    for start, count in ((b"A", 4), (b"AA", 16), (b"AAA", 64), (b"", 0)):
        canonical = [letter for letter in letters if read(from_canonical, before + start + letter) != "no base64"]
        assert len(canonical) == count
        assert all(to_base64(from_base64(before + start + each)) == before + start + each for each in canonical)
