"""Equality that also tells types apart."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from attrs import define
from markupsafe import Markup

from typed_sessions.schema.field import shared_mutable
from typed_sessions.schema.places import Comparison
from typed_sessions.schema.sameness import same


@define(eq=False)
class Point:
    x: float = 0


UTC2 = dt.timezone(dt.timedelta(hours=2))
NOON = dt.datetime(2020, 1, 1, 12, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param(1, True, id="true"),
        pytest.param(1, 1.0, id="float"),
        pytest.param(0.0, -0.0, id="negative-zero"),
        pytest.param(Decimal("1.0"), Decimal("1.00"), id="decimal-places"),
        pytest.param({1}, {True}, id="set-members"),
        pytest.param({1: "a"}, {True: "a"}, id="keys"),
        pytest.param([1], (1,), id="list-and-tuple"),
        pytest.param([[1]], [[True]], id="nested"),
        pytest.param("a", Markup("a"), id="markup"),
        pytest.param(NOON, NOON.astimezone(UTC2), id="time-zones"),
        pytest.param(Point(1), Point(True), id="attributes"),
        pytest.param(Decimal("sNaN"), Decimal(0), id="signalling-nan"),
    ],
)
def test_what_python_calls_equal_is_not_always_the_same(one: object, other: object) -> None:
    assert not same(one, other)
    assert not same(other, one)


BERLIN = ZoneInfo("Europe/Berlin")
TWICE = dt.datetime(2026, 10, 25, 2, 30, tzinfo=BERLIN)
NEVER = dt.datetime(2026, 3, 29, 2, 30, tzinfo=BERLIN)


@pytest.mark.parametrize("moment", [TWICE, TWICE.replace(fold=1), NEVER, NEVER.replace(fold=1)])
def test_a_moment_that_a_zone_repeats_or_leaves_out_is_the_same_with_a_fixed_offset(moment: dt.datetime) -> None:
    fixed = dt.datetime.fromisoformat(moment.isoformat())
    assert moment != fixed
    assert same(moment, fixed)
    assert same({moment}, {fixed})
    assert not same(TWICE, TWICE.replace(fold=1))
    assert not same(TWICE.replace(tzinfo=None), TWICE.replace(tzinfo=None, fold=1))
    assert not same({moment}, {fixed.replace(minute=31)})


@pytest.mark.parametrize(
    "make",
    [
        lambda: {"a": [1, (2, {3})], "b": Point(1.5)},
        lambda: {"b": Decimal("sNaN")},
        lambda: float("nan"),
        lambda: NOON.replace(microsecond=1),
    ],
)
def test_what_is_made_alike_is_the_same(make: Any) -> None:
    assert same(make(), make())


@pytest.mark.parametrize(
    ("value", "back", "whole_seconds", "came"),
    [
        pytest.param(True, 1, False, True, id="bool-held-as-int"),
        pytest.param([1], [1.0], False, True, id="int-held-as-float"),
        pytest.param("1", 1, False, False, id="text"),
        pytest.param(NOON.replace(microsecond=5), NOON, True, True, id="whole-seconds"),
        pytest.param(NOON.replace(microsecond=5), NOON, False, False, id="microseconds"),
        pytest.param(NOON.replace(tzinfo=None), NOON, True, True, id="naive-as-utc"),
        pytest.param(dt.date(2020, 1, 1), "2020-01-01", True, False, id="date-as-text"),
        pytest.param({"a": Point(1)}, {"a": Point(2)}, False, False, id="attributes"),
    ],
)
def test_what_was_written_came_back(value: object, back: object, whole_seconds: bool, came: bool) -> None:
    assert Comparison(whole_seconds).came_back(value, back) is came


def test_what_can_be_changed_is_found_at_any_depth() -> None:
    shared = [1]
    assert shared_mutable((0, {"a": shared}), (0, {"a": shared})) is shared
    assert shared_mutable((0, {"a": [1]}), (0, {"a": [1]})) is None
    assert shared_mutable(1, 1) is None
