"""`RequestContext`: what ties a session to its request, and what the session cookie in there holds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Generic

from msgspec.structs import replace
from typing_extensions import TypeVar

from typed_sessions.codec.codec import Loaded
from typed_sessions.codec.contents import contents_of
from typed_sessions.core.predecessors import Inheritance
from typed_sessions.core.rules import Rules
from typed_sessions.core.state import MADE_LATE, ExtrasRule, LoadResult
from typed_sessions.reports import FieldReset, Refused, Report, UndeclaredKeys
from typed_sessions.schema.values import Value
from typed_sessions.sealing.base import newest, progress

__all__ = ["RequestContext", "opened", "undeclared_reported"]

S = TypeVar("S", default=dict[str, object])


class RequestContext(Value, Generic[S]):
    """A request as a session's source: its session cookies, and the rules of its application."""

    rules: Rules[S]
    app: object
    sealed: tuple[str, ...]
    """The values of the session cookie; of several genuine ones the one that was sealed last counts."""
    has_rivals: bool = False

    @property
    def rule(self) -> ExtrasRule:
        return self.rules.extras

    @property
    def late_change(self) -> Report:
        return MADE_LATE

    def open(self) -> LoadResult[S]:
        """Return what the session cookie holds, or a fresh session.

        Of several genuine ones the one that was sealed last counts, whether it can be read or not. Browsers keep
        several where a deploy has changed the cookie's path or domain, and send the oldest one first (RFC 6265, section
        5.4).
        """
        rules, texts = self.rules, self.sealed
        if not texts:
            return _fresh(rules, None)
        if len(texts) == 1:
            found = opened(texts[0], rules)
        else:
            genuine, count = newest(texts, rules.sealers)
            self.has_rivals = count > 1
            found = _fresh(rules, genuine) if isinstance(genuine, Refused) else opened(genuine, rules)
            found.has_rivals = self.has_rivals
        return (_inherited(texts, rules) if found.new else None) or found

    def report(self, report: Report) -> None:
        self.rules.adapter.report(self.app, report)


def opened(text: str, rules: Rules[S]) -> LoadResult[S]:
    """Return what one session cookie holds, or a fresh session."""
    refusal: Refused | None = None
    misread: LoadResult[S] | None = None
    for format_ in rules.formats:
        outcome: tuple[bytes, int] | Loaded[S] | Refused = format_.sealer.open(text)
        if type(outcome) is tuple:
            outcome = format_.codec.decode(outcome[0], rules.on_bad_field)
        if type(outcome) is Loaded:
            found = LoadResult(outcome.contents, outcome.snapshot, text, new=False, reports=outcome.reports)
            if not outcome.reports or not any(isinstance(report, FieldReset) for report in outcome.reports):
                return found if rules.extras.allowed is None else undeclared_reported(found, rules)
            misread = misread or found  # another format under the same salt may be the one that it was written in
        elif type(outcome) is Refused and (refusal is None or progress(outcome) > progress(refusal)):
            refusal = outcome
    return _fresh(rules, refusal) if misread is None else undeclared_reported(misread, rules)


def _inherited(texts: Sequence[str], rules: Rules[S]) -> LoadResult[S] | None:
    """Return what the cookie of another library holds. It is written anew, as a session of ours."""
    succession = rules.succession
    if succession is None or not succession.in_cookies:
        return None
    for claim in succession.claims(lambda name: tuple(texts) if name == rules.name else (), rules.name):
        found = claim.predecessor.load(claim.text, rules.now())
        if isinstance(found, Inheritance) and found.written < claim.predecessor.before:
            read = succession.read(found, rules.on_bad_field, permanent=rules.makes_permanent)
            if isinstance(read, LoadResult):
                return undeclared_reported(replace(read, snapshot=None, sealed=claim.text), rules)
    return None


def _fresh(rules: Rules[S], refusal: Refused | None) -> LoadResult[S]:
    return LoadResult(contents_of(rules.schema, {}), reports=() if refusal is None else (refusal,))


def undeclared_reported(opened: LoadResult[S], rules: Rules[S]) -> LoadResult[S]:
    """Report the keys that a newer or older release may have written, which are kept all the same."""
    if rules.extras.allowed is None:
        return opened
    contents = opened.contents
    count = sum(not contents.declares(key) and not rules.extras.allows(key) for key in contents)
    reports: tuple[Report, ...] = (*opened.reports, UndeclaredKeys(count)) if count else opened.reports
    return replace(opened, reports=reports)
