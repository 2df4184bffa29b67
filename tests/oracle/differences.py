"""Where the rebuilt library is to differ from the oracle, each with its reason. Nothing else is allowed to."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from typing import Final

from attrs import frozen
from msgspec.structs import replace
from typing_extensions import override

from tests.oracle.outcomes import Outcome, SetCookie
from tests.oracle.sequences import Requests

__all__ = ["WANTED", "Difference", "Wanted", "first_difference"]

UNCOMPRESSED: Final = 200
"""In bytes: what is no larger is not compressed any more."""


@frozen
class Wanted:
    """One thing that is new."""

    reason: str
    leave_out: Callable[[Outcome], Outcome] | None = None
    """Returns an outcome without what differs. Without it, random_sequences.py writes nothing that differs."""
    is_newly_refused: Callable[[Outcome, Outcome], bool] | None = None
    """Tells whether the oracle's outcome and the new one differ in this alone. What comes after it is not compared."""


def _of_payload(cookie: SetCookie) -> SetCookie:
    """Show of a short cookie what it holds, and that and when it was signed: its text depends on compression."""
    if 0 < cookie.size <= UNCOMPRESSED and cookie.seal not in {"nobody", "no key"}:
        return replace(cookie, value="<of its payload>")
    return cookie


def _without_short_texts(outcome: Outcome) -> Outcome:
    return replace(outcome, cookies=tuple(map(_of_payload, outcome.cookies)))


def _plainly(cookie: SetCookie) -> SetCookie:
    """Show JSON without the spaces, and the order of keys in its values, that it came with: they mean nothing."""
    try:
        payload = json.loads(cookie.payload)
    except ValueError:
        return cookie
    if not isinstance(payload, dict):
        return cookie
    values = {key: json.dumps(value, sort_keys=True, separators=(",", ":")) for key, value in payload.items()}
    plainly = f"{{{','.join(f'{json.dumps(key)}:{value}' for key, value in values.items())}}}"
    if plainly == cookie.payload:
        return cookie
    return replace(cookie, payload=plainly, size=len(plainly), value="<of its payload>")


def _without_spelling(outcome: Outcome) -> Outcome:
    return replace(outcome, cookies=tuple(map(_plainly, outcome.cookies)))


def _refuses_to_write(before: Outcome, after: Outcome) -> bool:
    """Tell whether a session was written in the format that it came in, and a change of it is refused now."""

    def refusals(outcome: Outcome) -> int:
        return sum("SerializationError" in error for error in outcome.errors)

    if [_of_any_format(error) for error in before.errors] == [_of_any_format(error) for error in after.errors]:
        # Both refuse it, and name the format that they tried; or another error was first, and nobody hears of this one.
        return before.errors != after.errors or _is_left_out_of_an_error_page(before, after)
    if list(map(_of_any_key, before.errors)) == list(map(_of_any_key, after.errors)):
        return _tried(before) != _tried(after)  # both refuse it: the first key that does not fit is another one there
    written = [cookie.seal for cookie in before.cookies if cookie.value]
    own = [_SEALS.get(name, "none") for name in re.findall(r"written by (\w+)", " ".join(after.errors))]
    came_so = not any(seal.startswith(tuple(own)) for seal in written)
    if not own:
        came_so = all(seal.startswith("cookie-session at ") for seal in written)
    is_said = refusals(after) > refusals(before)
    return is_said and came_so and before.values[: len(after.values)] == after.values  # a stream does not begin


def _is_left_out_of_an_error_page(before: Outcome, after: Outcome) -> bool:
    is_an_error = before.status == after.status and before.status.startswith("500")
    return is_an_error and any(cookie.value for cookie in before.cookies) and not after.cookies


_SEALS: Final = {
    "MsgspecJSONSerializer": "cookie-session.msgspec-json at ",
    "MsgspecMsgpackSerializer": "cookie-session.msgspec-msgpack at ",
}
"""How the seals of cookies in a format begin. Tagged JSON has that of serializers without a name."""


def _of_any_format(error: str) -> str:
    """Return an error without the format that was tried, or the size of what was tried in it."""
    return re.sub(r"take \d+ bytes", "take so many bytes", re.sub(r"written by \w+", "written by a serializer", error))


def _of_any_key(error: str) -> str:
    """Return the same without the key that did not fit."""
    return re.sub(r"session key \S+ cannot", "session key cannot", _of_any_format(error))


def _tried(outcome: Outcome) -> list[str]:
    """Return the serializers that errors name."""
    return re.findall(r"cannot be written by (\w+)", " ".join(outcome.errors))


def _without_depth(outcome: Outcome) -> Outcome:
    """Leave out which call was one too many."""
    said = re.compile(r"(RecursionError: 'maximum recursion depth exceeded).*'")
    return replace(outcome, values=tuple(said.sub(r"\1'", value) for value in outcome.values))


def _without_acceptance(outcome: Outcome) -> Outcome:
    """Leave out what is said of a websocket that a change came too late for."""
    said = re.compile("a websocket (that was accepted has no response to carry|carries) a cookie[^;]*")
    return replace(
        outcome, reports=tuple(said.sub("a websocket carries no cookie", report) for report in outcome.reports)
    )


WANTED: Final[dict[str, Wanted]] = {
    "a websocket that was never accepted is not told that it was": Wanted(
        "the report of its lost change holds for both now", leave_out=_without_acceptance
    ),
    "what holds itself is refused at another depth": Wanted(
        "the message of a RecursionError depends on which function was called last", leave_out=_without_depth
    ),
    "short payloads are not compressed": Wanted(
        "DESIGN.md, section 4, 'Compress only what is large': it gained two or three characters",
        leave_out=_without_short_texts,
    ),
    "keys that have not changed are written as they came": Wanted(
        "section 5, 'the key is the unit': classes with defaults that vary, and migrated payloads, were written anew",
        leave_out=_without_spelling,
    ),
    "what was changed must fit the configured format": Wanted(
        "section 4, 'Lossless or refused': a session that came in another format took what a new one is refused",
        is_newly_refused=_refuses_to_write,
    ),
    "declared naive datetimes are refused in tagged JSON": Wanted(
        "section 4: they came back as aware ones, which is another value. No declared field is given one here"
    ),
    "datetime.fold is kept or refused": Wanted("section 4: it was an hour off. No datetime has one here"),
    "a datetime is refused by a date field at that line": Wanted(
        "issue 16: it was an error at the save. No date field is given one here"
    ),
    "recursive aliases and Self are fields' types": Wanted(
        "issue 16: they were refused at set-up. No class here has one; new tests have"
    ),
}


@frozen
class Difference:
    """Where two trees part."""

    visit: int
    aspect: str
    before: object
    after: object

    @override
    def __str__(self) -> str:
        return f"visit {self.visit}, {self.aspect}:\n  oracle: {self.before}\n  now:    {self.after}"


def first_difference(
    requests: Requests, before: Sequence[Outcome], after: Sequence[Outcome], *, wanted: bool = True
) -> Difference | None:
    """Return the first difference between the oracle's outcomes and those of the tree at hand that nobody wanted."""
    for number in range(len(requests.visits)):
        old, new = before[number], after[number]
        if wanted:
            for each in WANTED.values():
                if each.leave_out is not None:
                    old, new = each.leave_out(old), each.leave_out(new)
        if old == new:
            continue
        if wanted and any(each.is_newly_refused and each.is_newly_refused(old, new) for each in WANTED.values()):
            return None
        for aspect in Outcome.__struct_fields__:
            if getattr(old, aspect) != getattr(new, aspect):
                return Difference(number, aspect, getattr(old, aspect), getattr(new, aspect))
    return None
