"""Three-way merge of what two requests have made of one session."""

from __future__ import annotations

import operator
from collections.abc import Callable, Collection, Mapping
from functools import partial
from inspect import signature
from typing import Any, Final, TypeAlias, cast

from typed_sessions.errors import SessionConflictError
from typed_sessions.schema.markers import MergeRule
from typed_sessions.schema.narrowing import is_sequence, is_set
from typed_sessions.schema.sameness import same

__all__ = ["MISSING", "Rule", "merged", "rule_of"]

Rule: TypeAlias = Callable[[Any, Any, Any], object]
"""Makes one value of three: the one that both requests loaded, the one to be written, and the one that is there."""

MISSING: Final = object()
"""Stands for the value of a key that is not stored."""


def merged(
    before: Mapping[str, object],
    ours: Mapping[str, object],
    theirs: Mapping[str, object],
    *,
    means_the_same: Callable[[str, object, object], bool],
    rules: Mapping[str, Rule],
    defaults: Mapping[str, object],
    generated: Collection[str] = (),
) -> dict[str, object]:
    """Return what is stored after two requests, each of which loaded the same contents and changed them.

    Args:
        before: what both have loaded.
        ours: what the one that saves now has made of it.
        theirs: what the one that was faster has made of it.
        means_the_same: whether two values of a key, either of which may be MISSING, mean the same.
        rules: for some keys, what becomes of two changes. For all others the one that saves now counts.
        defaults: what a rule is given for a key that is not stored.
        generated: the keys of which each visitor gets a default of its own. Of two that were made at once, the one
            that is there counts.

    Raises:
        SessionConflictError: a rule says that two changes of a key cannot both be.
        Exception: what a rule of the user's raises.
    """
    together: dict[str, object] = {}
    for key in {**theirs, **ours}:
        base, mine, present = (side.get(key, MISSING) for side in (before, ours, theirs))
        if means_the_same(key, base, mine) or (key in generated and base is MISSING and present is not MISSING):
            value = present
        elif means_the_same(key, base, present) or key not in rules or (mine is MISSING and key not in defaults):
            value = mine
        else:
            value = rules[key](*(defaults.get(key) if side is MISSING else side for side in (base, mine, present)))
        if value is not MISSING:
            together[key] = value
    return together


def rule_of(rule: MergeRule, name: str) -> Rule:
    """Return the function that a schema names for a field. Raises ValueError, which says what there is, for no rule."""
    known = rule if isinstance(rule, str) else next((name for name, one in _FUNCTIONS.items() if one is rule), None)
    if known == "fail":
        return partial(_fail, name)
    if known is not None and known not in _RULES:
        raise ValueError(f"Merge takes {', '.join(map(repr, [*_RULES, 'fail']))} or a function, not {known!r}")
    if known is not None:
        return partial(_unless_none, _RULES[known])
    try:
        signature(cast("Any", rule)).bind(None, None, None)
    except (TypeError, ValueError):
        raise ValueError("Merge takes a function of three values: the one before, ours and theirs") from None
    return cast("Rule", rule)


def _add(before: Any, ours: Any, theirs: Any) -> object:
    nothing = type(ours)()  # where there was no value
    before, theirs = (nothing if value is None else value for value in (before, theirs))
    if is_sequence(ours):
        if not same(list(ours[: len(before)]), list(before)):
            return ours  # it was not only added to
        return type(ours)([*theirs, *ours[len(before) :]])
    return theirs + (ours - before)


def _union(before: Any, ours: Any, theirs: Any) -> object:
    before, theirs = (type(ours)() if value is None else value for value in (before, theirs))
    if is_set(ours):
        return type(ours)((theirs | ours) - (before - ours) - (before - theirs))
    gone = (before.keys() - ours.keys()) | (before.keys() - theirs.keys())
    changed = {key: value for key, value in ours.items() if key not in before or not same(before[key], value)}
    return {key: value for key, value in {**ours, **theirs, **changed}.items() if key not in gone}


def _best_by(choose: Callable[[Any, Any], object], _before: Any, ours: Any, theirs: Any) -> object:
    return ours if theirs is None else choose(ours, theirs)


def _unless_none(rule: Rule, before: Any, ours: Any, theirs: Any) -> object:
    """Leave a value that was set to None at that: the last writer counts."""
    return None if ours is None else rule(before, ours, theirs)


def _fail(name: str, _before: object, ours: object, theirs: object) -> object:
    if not same(ours, theirs):
        raise SessionConflictError(
            f"session field {name} was changed by another request at the same time, and its Merge rule allows only one"
        )
    return ours


_RULES: Final[Mapping[str, Rule]] = {
    "add": _add,
    "union": _union,
    "max": partial(_best_by, max),
    "min": partial(_best_by, min),
}
_FUNCTIONS: Final[Mapping[str, object]] = {"add": operator.add, "max": max, "min": min}
"""The functions that mean the same as a name."""
