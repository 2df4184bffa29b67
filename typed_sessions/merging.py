"""Three-way merge of what two requests have made of one session."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias, cast

from typed_sessions.errors import ConfigurationError, SessionConflictError
from typed_sessions.markers import MergeRule
from typed_sessions.narrowing import is_dict, is_sequence, is_set

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
    same: Callable[[str, object, object], bool],
    rules: Mapping[str, Rule],
    defaults: Mapping[str, object],
) -> dict[str, object]:
    """Return what is stored after two requests, each of which loaded the same contents and changed them.

    Args:
        before: what both have loaded.
        ours: what the one that saves now has made of it.
        theirs: what the one that was faster has made of it.
        same: whether two values of a key, either of which may be MISSING, mean the same.
        rules: for some keys, what becomes of two changes. For all others the one that saves now counts.
        defaults: what a rule is given for a key that is not stored.

    Raises:
        SessionConflictError: a rule says that two changes of this key cannot both be.
    """
    together: dict[str, object] = {}
    for key in {**theirs, **ours}:
        base, mine, present = (side.get(key, MISSING) for side in (before, ours, theirs))
        if same(key, base, mine):
            value = present
        elif same(key, base, present) or key not in rules:
            value = mine
        else:
            value = _by_rule(key, rules[key], [defaults.get(key) if v is MISSING else v for v in (base, mine, present)])
        if value is not MISSING:
            together[key] = value
    return together


def _by_rule(key: str, rule: Rule, values: list[object]) -> object:
    try:
        return rule(*values)
    except Exception as error:
        raise SessionConflictError(
            f"session field {key} was changed by two requests at once, and its Merge rule does not allow that"
        ) from error


def rule_of(rule: MergeRule) -> Rule:
    """Return the function that a schema names.

    Raises:
        ConfigurationError: there is no such rule.
    """
    if isinstance(rule, str):
        if rule not in _NAMED:
            raise ConfigurationError(f"Merge takes {', '.join(map(repr, _NAMED))} or a function, not {rule!r}")
        return _NAMED[rule]
    return next((known for function, known in _KNOWN if function is rule), cast("Rule", rule))


def _add(before: Any, ours: Any, theirs: Any) -> object:
    if is_sequence(ours) and is_sequence(theirs) and is_sequence(before):
        if list(ours[: len(before)]) != list(before):
            return ours  # it was not only added to
        return type(ours)([*theirs, *ours[len(before) :]])
    return theirs + (ours - before)


def _union(before: Any, ours: Any, theirs: Any) -> object:
    if is_set(ours) and is_set(theirs) and is_set(before):
        return type(ours)((theirs | ours) - (before - ours) - (before - theirs))
    if is_dict(ours) and is_dict(theirs) and is_dict(before):
        gone = (before.keys() - ours.keys()) | (before.keys() - theirs.keys())
        changed = {key: value for key, value in ours.items() if key not in before or before[key] != value}
        return {key: value for key, value in {**ours, **theirs, **changed}.items() if key not in gone}
    raise TypeError("only sets and dicts have a union")


def _maximum(_before: Any, ours: Any, theirs: Any) -> object:
    return max(ours, theirs)


def _minimum(_before: Any, ours: Any, theirs: Any) -> object:
    return min(ours, theirs)


def _fail(_before: object, ours: object, theirs: object) -> object:
    if ours != theirs:
        raise ValueError("only one request may change it")
    return ours


_NAMED: Final[Mapping[str, Rule]] = {"add": _add, "union": _union, "max": _maximum, "min": _minimum, "fail": _fail}
_KNOWN: Final[tuple[tuple[object, Rule], ...]] = (
    (operator.add, _add),
    (max, _maximum),
    (min, _minimum),
)
