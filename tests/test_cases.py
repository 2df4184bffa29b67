"""A loop in one test says which case has failed, and leaves none out."""

from __future__ import annotations

import pytest

from tests.cases import case, for_each

TRIED: list[tuple[int, str]] = []


@for_each("number", [1, 2, 3])
@pytest.mark.parametrize("text", ["a", "b"])
def test_each_value_is_tried(number: int, text: str, tmp_path_factory: object) -> None:
    assert isinstance(tmp_path_factory, pytest.TempPathFactory)
    TRIED.append((number, text))
    assert [tried for tried in TRIED if tried[1] == text] == [(one, text) for one in range(1, number + 1)]


@for_each("number", [1, 2, 3])
async def test_each_value_is_awaited(number: int) -> None:
    TRIED.append((number, "async"))
    assert [tried for tried in TRIED if tried[1] == "async"] == [(one, "async") for one in range(1, number + 1)]


def test_a_failure_names_its_case() -> None:
    @for_each("number", [1, 2])
    def check(number: int = 0) -> None:
        assert number < 2

    with pytest.raises(AssertionError) as raised:
        check()
    assert raised.value.__notes__ == ["case: 2"]


async def test_a_failure_that_was_awaited_names_its_case() -> None:
    @for_each("number", [1, 2])
    async def check(number: int = 0) -> None:
        with case("inner"):
            assert number < 2

    with pytest.raises(AssertionError) as raised:
        await check()
    assert raised.value.__notes__ == ["case: inner", "case: 2"]


def test_a_loop_over_nothing_is_refused() -> None:
    with pytest.raises(AssertionError, match="nothing"):
        for_each("number", [])(lambda number: number)


def test_several_arguments_are_tried_together_and_named() -> None:
    tried: list[tuple[int, str]] = []

    @for_each(("number", "text"), [(1, "a"), (2, "b")], ids=["one", "two"])
    def check(number: int = 0, text: str = "") -> None:
        tried.append((number, text))
        assert number < 2

    with pytest.raises(AssertionError) as raised:
        check()
    assert tried == [(1, "a"), (2, "b")]
    assert raised.value.__notes__ == ["case: two"]


def test_an_argument_that_no_test_has_is_refused() -> None:
    with pytest.raises(AssertionError):
        for_each("nmber", [1])(lambda number: number)
