"""What becomes of two changes of one session."""

from __future__ import annotations

import operator
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from attrs import define
from hypothesis import given
from hypothesis import strategies as st

from typed_sessions.errors import SessionConflictError
from typed_sessions.schema.markers import MergeRule
from typed_sessions.schema.merging import merged, rule_of

KEYS = st.sampled_from("abcde")
NEW = st.integers(4, 6)
STORED = st.dictionaries(KEYS, st.integers(0, 3))


def merge(before: Any, ours: Any, theirs: Any, rule: MergeRule | None = None) -> dict[str, object]:
    return merged(
        before,
        ours,
        theirs,
        means_the_same=lambda _, one, other: one is other or (type(one) is type(other) and one == other),
        rules={} if rule is None else {"a": rule_of(rule, "a")},
        defaults={"a": 0},
    )


@given(STORED, STORED, STORED)
def test_what_one_side_left_alone_is_what_the_other_made_of_it(
    before: dict[str, int], ours: dict[str, int], theirs: dict[str, int]
) -> None:
    together = merge(before, ours, theirs)
    for key in "abcde":
        if ours.get(key) == before.get(key):
            assert together.get(key) == theirs.get(key)
        elif theirs.get(key) == before.get(key):
            assert together.get(key) == ours.get(key)
        else:
            assert together.get(key) == ours.get(key)


@given(
    STORED,
    st.dictionaries(st.sampled_from("ab"), st.integers(4, 6)),
    st.dictionaries(st.sampled_from("cd"), st.integers(4, 6)),
)
def test_changes_of_different_keys_both_survive_in_either_order(
    before: dict[str, int], one: dict[str, int], other: dict[str, int]
) -> None:
    expected = before | one | other
    assert merge(before, before | one, before | other) == expected
    assert merge(before, before | other, before | one) == expected


def test_a_key_that_one_side_took_out_is_out() -> None:
    assert merge({"a": 1, "b": 2}, {"b": 2}, {"a": 1, "b": 3}) == {"b": 3}
    assert merge({"a": 1, "b": 2}, {"a": 1, "b": 3}, {"b": 2}) == {"b": 3}


@pytest.mark.parametrize(
    ("rule", "before", "ours", "theirs", "together"),
    [
        pytest.param("add", 1, 2, 2, 3, id="two counts"),
        pytest.param("add", 5, 3, 6, 4, id="down and up"),
        pytest.param("add", Decimal(1), Decimal(3), Decimal("1.5"), Decimal("3.5"), id="decimals"),
        pytest.param("add", timedelta(1), timedelta(2), timedelta(3), timedelta(4), id="spans"),
        pytest.param("add", ["x"], ["x", "y"], ["x", "z"], ["x", "z", "y"], id="lists"),
        pytest.param("add", (1,), (1, 2), (1, 3), (1, 3, 2), id="tuples"),
        pytest.param("add", (), (1,), (2,), (2, 1), id="from nothing"),
        pytest.param("add", ["x"], ["y"], ["x", "z"], ["y"], id="a list that was replaced"),
        pytest.param(operator.add, 1, 2, 2, 3, id="operator.add"),
        pytest.param("union", {1, 2}, {1, 3}, {1, 2, 4}, {1, 3, 4}, id="sets"),
        pytest.param("union", frozenset({1}), frozenset({2}), frozenset({1, 3}), frozenset({2, 3}), id="frozensets"),
        pytest.param("union", {"x": 1}, {"x": 2}, {"x": 1, "y": 1}, {"x": 2, "y": 1}, id="dicts"),
        pytest.param("union", {"x": 1, "y": 1}, {"y": 1}, {"x": 1, "y": 2}, {"y": 2}, id="a dict's key taken out"),
        pytest.param("max", 1, 5, 3, 5, id="the larger one is ours"),
        pytest.param(max, 1, 3, 5, 5, id="the larger one is theirs"),
        pytest.param("min", 9, 5, 3, 3, id="the smaller one"),
        pytest.param("fail", 1, 2, 2, 2, id="no conflict where both say the same"),
        pytest.param(lambda before, ours, theirs: (before, ours, theirs), 1, 2, 3, (1, 2, 3), id="a function"),
    ],
)
def test_a_rule_makes_one_of_two_changes(
    rule: MergeRule, before: object, ours: object, theirs: object, together: object
) -> None:
    assert merge({"a": before}, {"a": ours}, {"a": theirs}, rule) == {"a": together}


def test_a_rule_takes_the_default_for_what_is_not_stored() -> None:
    assert merge({}, {"a": 1}, {"a": 1}, "add") == {"a": 2}
    assert merge({"a": 2}, {}, {"a": 3}, "add") == {"a": 1}


def test_a_rule_takes_nothing_for_what_has_no_default() -> None:
    def without_default(before: Any, ours: Any, theirs: Any, rule: MergeRule) -> object:
        return merged(
            before,
            ours,
            theirs,
            means_the_same=lambda _, one, other: one == other,
            rules={"a": rule_of(rule, "a")},
            defaults={},
        ).get("a")

    assert without_default({}, {"a": 1}, {"a": 2}, "add") == 3
    assert without_default({}, {"a": {1}}, {"a": {2}}, "union") == {1, 2}
    assert without_default({}, {"a": {"x": 1}}, {"a": {"y": 2}}, "union") == {"x": 1, "y": 2}
    assert without_default({}, {"a": 1}, {"a": 2}, "max") == 2
    assert without_default({"a": 5}, {"a": 1}, {"a": None}, "min") == 1
    assert without_default({"a": 5}, {"a": None}, {"a": 7}, "add") is None
    assert without_default({"a": 5}, {}, {"a": 7}, "add") is None


def test_items_of_a_class_without_equality_are_compared_by_what_they_hold() -> None:
    @define(eq=False)
    class Item:
        name: str

    def items(*names: str) -> list[Item]:
        return [Item(name) for name in names]

    together = merge({"a": items("x")}, {"a": items("x", "y")}, {"a": items("x", "z")}, "add")["a"]
    assert isinstance(together, list)
    assert [item.name for item in together] == ["x", "z", "y"]


def test_of_two_generated_defaults_the_one_that_is_there_counts() -> None:
    together = merged(
        {}, {"a": "mine"}, {"a": "theirs"}, means_the_same=lambda *_: False, rules={}, defaults={}, generated={"a"}
    )
    assert together == {"a": "theirs"}


def test_a_rule_that_allows_one_change_names_the_field() -> None:
    with pytest.raises(SessionConflictError, match="session field a was changed by another request"):
        merge({"a": 1}, {"a": 2}, {"a": 3}, "fail")


def test_what_a_function_raises_is_not_hidden() -> None:
    with pytest.raises(ZeroDivisionError):
        merge({"a": 1}, {"a": 2}, {"a": 3}, lambda before, _ours, _theirs: before / 0)


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ("sum", "'add', 'union', 'max', 'min', 'fail' or a function, not 'sum'"),
        (7, "a function of three values"),
        (len, "a function of three values"),
        (lambda one: one, "a function of three values"),
    ],
)
def test_a_rule_that_is_none_is_refused(rule: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        rule_of(rule, "a")
