"""`RequestContext`: what ties a session to its request, and what the session cookie in there holds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Generic

from msgspec.structs import replace
from typing_extensions import TypeVar

from typed_sessions.codec.codec import Codec, Loaded, Snapshot
from typed_sessions.codec.contents import Contents, contents_of
from typed_sessions.core.lasting import CREATED_KEY
from typed_sessions.core.predecessors import Claim, Inheritance
from typed_sessions.core.rules import Rules
from typed_sessions.core.state import MADE_LATE, ExtrasRule, LoadResult
from typed_sessions.errors import SerializationError, UndeclaredKeyError
from typed_sessions.reports import FieldReset, Reason, Refused, Report, UndeclaredKeys
from typed_sessions.schema.schema import Schema
from typed_sessions.schema.values import Value
from typed_sessions.sealing.base import progress
from typed_sessions.serializers.tagged_json import TaggedJSONSerializer

__all__ = [
    "RequestContext",
    "adopted",
    "has_outlived",
    "opened",
    "opened_with",
    "refuse_earlier_name",
    "undeclared_reported",
]

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
        return self.rules.settings.extras

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
            genuine, count = rules.newest(texts)
            self.has_rivals = count > 1
            found = _fresh(rules, genuine) if isinstance(genuine, Refused) else opened(genuine, rules)
        return (_inherited(texts, rules) if found.new else None) or found

    def report(self, report: Report) -> None:
        self.rules.adapter.report(self.app, report)


def opened(text: str, rules: Rules[S]) -> LoadResult[S]:
    """Return what one session cookie holds, or a fresh session."""
    refusal: Refused | None = None
    misread: LoadResult[S] | None = None
    for format_ in rules.formats:
        outcome: tuple[bytes, int] | Loaded[S] | Refused = format_.sealer.open(text)
        if isinstance(outcome, tuple):
            outcome = format_.codec.decode(outcome[0], rules.settings.on_bad_field)
        if isinstance(outcome, Loaded):
            if has_outlived(outcome.contents, text, rules):
                return _fresh(rules, Refused(Reason.EXPIRED))
            found = LoadResult(outcome.contents, outcome.snapshot, text, new=False, reports=outcome.reports)
            if not outcome.reports or not any(isinstance(report, FieldReset) for report in outcome.reports):
                return found if rules.settings.extras.allowed is None else undeclared_reported(found, rules)
            misread = misread or found  # another format under the same salt may be the one that it was written in
        elif refusal is None or progress(outcome) > progress(refusal):
            refusal = outcome
    return _fresh(rules, refusal) if misread is None else undeclared_reported(misread, rules)


def has_outlived(contents: Contents[S], text: str, rules: Rules[S]) -> bool:
    """Return True if a session has lived for as long as it may.

    If nothing tells when it was created, the cookie that it came in counts.
    """
    limit = rules.absolute_seconds
    if limit is None:
        return False
    created = contents.get(CREATED_KEY)
    since = created if type(created) is int else rules.claimed_time(text)
    return since is not None and rules.clock() - since >= limit


def adopted(claim: Claim, found: Inheritance, rules: Rules[S]) -> LoadResult[S] | Refused | None:
    """Return what becomes of what another library's cookie leads to; None if it was written too late to be adopted."""
    succession, not_before = rules.succession, rules.settings.not_before
    if succession is None or found.written >= claim.predecessor.before:
        return None
    if not_before is not None and found.written.timestamp() < not_before:
        return Refused(Reason.ENDED)
    read = succession.read(found, rules.settings.on_bad_field, permanent=rules.makes_permanent)
    if isinstance(read, Refused):
        return read
    try:
        rules.writer.codec.check(read.contents.stored())
    except SerializationError:  # the configured format cannot hold it, and each request would fail
        return Refused(Reason.UNREADABLE)
    return undeclared_reported(read, rules)


def _inherited(texts: tuple[str, ...], rules: Rules[S]) -> LoadResult[S] | None:
    """Return what the cookie of another library holds. It is written anew, as a session of ours."""
    succession = rules.succession
    if succession is None or not succession.in_cookies:
        return None
    for claim in succession.claims(lambda name: texts if name == rules.name else (), rules.name):
        found = claim.predecessor.load(claim.text, rules.now())
        read = adopted(claim, found, rules) if isinstance(found, Inheritance) else None
        if isinstance(read, LoadResult):
            return replace(read, snapshot=None, sealed=claim.text)
    return None


def _fresh(rules: Rules[S], refusal: Refused | None) -> LoadResult[S]:
    return LoadResult(contents_of(rules.schema, {}), reports=() if refusal is None else (refusal,))


def undeclared_reported(opened: LoadResult[S], rules: Rules[S]) -> LoadResult[S]:
    """Report the keys that a newer or older release may have written, which are kept all the same."""
    if rules.settings.extras.allowed is None:
        return opened
    contents = opened.contents
    count = sum(not contents.declares(key) and not rules.settings.extras.allows(key) for key in contents)
    reports: tuple[Report, ...] = (*opened.reports, UndeclaredKeys(count)) if count else opened.reports
    return replace(opened, reports=reports)


def opened_with(initial: Mapping[str, object], schema: Schema[S]) -> LoadResult[S]:
    """Return what a program asked a session to begin with, as if it had been loaded."""
    contents = contents_of(schema, {})
    for key in initial:
        refuse_earlier_name(key, schema)
    contents.update(initial)
    codec = Codec(schema, TaggedJSONSerializer())
    try:
        payload = codec.payload(contents.stored())
        return LoadResult(contents, Snapshot(codec, payload, payload) if initial else None)
    except SerializationError:  # the save will say so
        return LoadResult(contents)


def refuse_earlier_name(key: str, schema: Schema[Any]) -> None:
    """Refuse a key that would be read as a field, at the latest in the next request. Raises UndeclaredKeyError."""
    if key in schema.renamed:
        raise UndeclaredKeyError(key, (), schema.renamed[key])
