"""What happens to a session at the start and at the end of a request, as functions of values: no framework, no I/O."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Final, Generic, TypeAlias, final

from attrs import frozen
from msgspec import Struct
from msgspec.structs import replace
from typing_extensions import TypeVar, override

from typed_sessions.codec.codec import Codec, Encoded, OnBadField, Snapshot
from typed_sessions.codec.contents import Contents, contents_of
from typed_sessions.core.session import SecureCookieSession, is_permanent, session_from, state_of
from typed_sessions.core.state import MADE_LATE, ExtrasRule, Opened, Progress
from typed_sessions.errors import ConfigurationError, SerializationError
from typed_sessions.reports import FieldReset, Refused, Report, ReportSink, UndeclaredKeys
from typed_sessions.schema.sameness import same
from typed_sessions.schema.schema import Schema
from typed_sessions.sealing.base import Clock, Sealer, as_datetime, newest, progress

__all__ = [
    "Arrival",
    "Decision",
    "Delete",
    "Format",
    "Keep",
    "Policy",
    "Write",
    "open_session",
    "opened",
    "refresh_is_due",
    "save_session",
    "undeclared_reported",
]

S = TypeVar("S", default=dict[str, object])


@final
class Keep(Struct, frozen=True):
    """The browser keeps what it has."""


@final
class Write(Struct, frozen=True):
    """The browser gets a new cookie with this value."""

    value: str
    refresh: bool = False
    """True if nothing has changed but the time."""
    altered: tuple[str, ...] = ()
    """The undeclared keys whose values will read back as others."""

    @override
    def __repr__(self) -> str:
        return f"Write(refresh={self.refresh}, altered={self.altered})"  # a debugger's page shows what is in a repr


@final
class Delete(Struct, frozen=True):
    """The browser drops its cookie."""


Decision: TypeAlias = Keep | Write | Delete


@frozen
class Format(Generic[S]):
    """One way in which sessions are written: how the payload is made, and how it is sealed."""

    codec: Codec[S]
    sealer: Sealer

    def write(self, contents: Contents[S]) -> Write:
        """Return the cookie of all that is stored, proven to read back.

        Raises:
            SerializationError: it would not; the message names the field.
        """
        encoded = self.codec.write(contents)
        return Write(self.sealer.seal(encoded.payload), altered=encoded.lossy_keys)


@frozen
class Policy(Generic[S]):
    """How sessions are opened and saved."""

    schema: Schema[S]
    formats: tuple[Format[S], ...]
    """The first one writes; all read, in this order. None without a secret key."""
    extras: ExtrasRule
    on_bad_field: OnBadField
    refresh_each_request: bool
    refresh_after: timedelta
    """How old the cookie of a permanent session must be for a refresh."""
    clock: Clock

    def is_old(self, text: str) -> bool:
        """Return True if a sealed text says that it is old enough for a refresh. Nobody has verified that."""
        sealed_at = self.claimed_time(text)
        return sealed_at is not None and self.clock() - sealed_at >= self._refresh_seconds

    def claimed_time(self, text: str) -> int | None:
        """Return when a text says that it was sealed, as `Sealer.claimed_time` does, in whichever format it is."""
        for format_ in self.formats:
            sealed_at = format_.sealer.claimed_time(text)
            if sealed_at is not None:
                return sealed_at
        return None

    def sealed_at(self, text: str) -> datetime | None:
        """Return the same as a datetime."""
        return as_datetime(self.claimed_time(text))

    @cached_property
    def _refresh_seconds(self) -> float:
        return self.refresh_after.total_seconds()

    @property
    def writer(self) -> Format[S]:
        """The configured format.

        Raises:
            ConfigurationError: there is no secret key to write with.
        """
        if not self.formats:
            raise ConfigurationError("a session cookie needs a SECRET_KEY (app.secret_key)")
        return self.formats[0]

    def format_of(self, origin: Snapshot[S]) -> Format[S] | None:
        """Return the format that a session came in; None if it is no longer read, or was never in a cookie."""
        return next((format_ for format_ in self.formats if format_.codec.reads_as(origin.codec)), None)

    def encode(self, contents: Contents[S], origin: Snapshot[S] | None, version: int) -> tuple[Format[S], Encoded]:
        """Return the payload of all that is stored, proven to read back, and its format: the configured one.

        What came in another format, and the configured one cannot hold, stays in the format that it came in. What has
        changed since must fit the configured one all the same.

        Raises:
            SerializationError: it would not read back; the message names the field.
            ConfigurationError: there is no secret key to write with.
        """
        writer = self.writer
        try:
            return writer, writer.codec.write(contents, version)
        except SerializationError:
            came_in = None if origin is None else self.format_of(origin)
            if origin is None or came_in is None or came_in is writer:
                raise
            loaded, stored = origin.stored, contents.stored()
            writer.codec.check(
                {key: value for key, value in stored.items() if key not in loaded or not same(value, loaded[key])}
            )
            return came_in, came_in.codec.write(contents, version)

    def is_genuine(self, text: str) -> bool:
        """Return True if a text was sealed under one of the keys and is of the right age, whatever is in it."""
        return isinstance(newest((text,), self.sealers)[0], str)

    @cached_property
    def sealers(self) -> tuple[Sealer, ...]:
        """Those of all formats."""
        return tuple(format_.sealer for format_ in self.formats)

    def now(self) -> datetime:
        """Return the time, aware, in UTC."""
        return datetime.fromtimestamp(self.clock(), UTC)


class Arrival(Generic[S]):
    """A request as a session's source: the sealed texts that it brought, and how to open them.

    Args:
        texts: the values of the session cookie; of several genuine ones the one that was sealed last counts.
        policy: how to open them.
        report: called with what there is to say of the session.
    """

    __slots__ = ("_policy", "_report", "_texts", "has_rivals")

    def __init__(self, texts: Sequence[str], policy: Policy[S], report: ReportSink) -> None:
        self.has_rivals: bool = False
        self._texts = tuple(texts)
        self._policy = policy
        self._report = report

    @property
    def policy(self) -> Policy[S]:
        """How the texts are opened."""
        return self._policy

    @property
    def sealed(self) -> tuple[str, ...]:
        return self._texts

    @property
    def rule(self) -> ExtrasRule:
        return self.policy.extras

    @property
    def leaves_untouched(self) -> bool:
        return not self.policy.refresh_each_request

    @property
    def late_change(self) -> Report:
        return MADE_LATE

    def open(self) -> Opened[S]:
        found = opened(self.sealed, self.policy)
        self.has_rivals = found.has_rivals
        return found

    def report(self, report: Report) -> None:
        self._report(report)


def open_session(
    session_class: type[SecureCookieSession[S]], texts: Sequence[str], policy: Policy[S], report: ReportSink
) -> SecureCookieSession[S]:
    """Return a session that holds the sealed texts of a request and opens them at the first touch.

    Args:
        session_class: the kind of session to make.
        texts: the values of the session cookie in the request.
        policy: how to open it.
        report: called with what there is to say of the session.
    """
    return session_from(Arrival(texts, policy, report), session_class)


def refresh_is_due(session: SecureCookieSession[S], policy: Policy[S]) -> bool:
    """Return True if the session is permanent and its cookie old enough to be sent again, with a later expiry.

    A session that nobody touched is opened only when the time on its cookie says that it is old enough.
    """
    if not policy.refresh_each_request:
        return False
    state = state_of(session)
    texts = state.source.sealed
    if texts and not any(map(policy.is_old, texts)):
        return False
    if not texts and policy.refresh_after:
        return False
    opened = state.open()
    # A session that a program made came in no cookie. As in Quart, that is no younger than any other.
    is_old = opened.origin is not None if opened.sealed is None else policy.is_old(opened.sealed)
    return is_old and is_permanent(session)


def save_session(session: SecureCookieSession[S], policy: Policy[S], *, wanted: bool | None = None) -> Decision:
    """Return what becomes of the session's cookie.

    Args:
        session: the session as the request leaves it.
        policy: how to save it.
        wanted: whether a session that holds something is to be written; None if it is when it has changed, or when a
            refresh is due.

    Raises:
        SerializationError: the contents cannot be written so that they read back.
        ConfigurationError: there is no secret key any more.
    """
    state = state_of(session)
    modified, changes = state.judged()
    if wanted is None:
        wanted = modified or refresh_is_due(session, policy)
    if not modified and not wanted:
        return _KEEP
    opened = state.open()
    origin = opened.origin
    if wanted and changes is not None and origin is not None and policy.formats and origin.codec is policy.writer.codec:
        encoded = origin.codec.encode(origin, changes)
        if encoded.holds_anything:
            return Write(policy.writer.sealer.seal(encoded.payload), altered=encoded.lossy_keys)
    if not opened.contents.keys():
        return Delete() if modified else _KEEP
    if not wanted:
        return _KEEP
    came_in = None if origin is None or modified else policy.format_of(origin)
    if origin is not None and came_in is not None:
        # A refresh is no change: what this release could not read stays for the one that can.
        return Write(came_in.sealer.seal(origin.payload), refresh=True)
    format_, encoded = policy.encode(opened.contents, origin, 0 if origin is None else origin.version)
    return Write(format_.sealer.seal(encoded.payload), altered=encoded.lossy_keys)


_KEEP: Final = Keep()


def is_suppressed(session: SecureCookieSession[S], wanted: bool | None) -> bool:  # noqa: FBT001
    """Return True if a program keeps what it has changed from being written.

    Args:
        session: the session.
        wanted: what `should_set_cookie` says, if that is the program's own.
    """
    state = state_of(session)
    if not state.compared()[0]:
        return False
    opened = state.open()
    if state.assigned is False:  # then what was loaded is written, if anything is
        return not wanted or opened.origin is not None
    return wanted is False and len(opened.contents.keys()) > 0


def is_kept(session: SecureCookieSession[S], policy: Policy[S]) -> bool:
    """Return True if what is in a session is what its cookie holds, once there is no response to change that.

    Args:
        session: the session as it is now.
        policy: how to open its cookie.
    """
    state, sent = state_of(session), _sent(session)
    if not is_valid(session, policy):
        return False
    if not sent:
        return not (state.compared()[0] if sent is None else state.open().contents.keys())
    held = opened((sent,), policy).origin
    return held is not None and held.codec.diff(state.open().contents, held) is None


def is_valid(session: SecureCookieSession[S], policy: Policy[S]) -> bool:
    """Return True if the cookie that the browser has of a session is still one, or if it has none."""
    sent = _sent(session)
    text = state_of(session).open().sealed if sent is None else sent
    return not text or policy.is_genuine(text)


def _sent(session: SecureCookieSession[S]) -> str | None:
    """Return what the response has made of the cookie: its value, or none; None if the browser keeps what it had."""
    state = state_of(session)
    return state.sent if state.progress is Progress.SAVED else None


def opened(texts: tuple[str, ...], policy: Policy[S]) -> Opened[S]:
    """Return what the session cookie holds, or a fresh session.

    Of several genuine ones the one that was sealed last counts, whether it can be read or not. Browsers keep several
    where a deploy has changed the cookie's path or domain, and send the oldest one first (RFC 6265, section 5.4).
    """
    if len(texts) > 1:
        return _opened_of_several(texts, policy)
    if not texts:
        return _fresh(policy, None)
    refusal: Refused | None = None
    misread: Opened[S] | None = None
    for format_ in policy.formats:
        outcome = _read(texts[0], format_, policy.on_bad_field)
        if not isinstance(outcome, Opened):
            if refusal is None or progress(outcome) > progress(refusal):
                refusal = outcome
        elif not outcome.reports or not _has_resets(outcome):
            return outcome if policy.extras.allowed is None else undeclared_reported(outcome, policy)
        else:  # another format under the same salt may be the one that it was written in
            misread = misread or outcome
    return _fresh(policy, refusal) if misread is None else undeclared_reported(misread, policy)


def _opened_of_several(texts: tuple[str, ...], policy: Policy[S]) -> Opened[S]:
    genuine, count = newest(texts, policy.sealers)
    found = _fresh(policy, genuine) if isinstance(genuine, Refused) else opened((genuine,), policy)
    found.has_rivals = count > 1
    return found


def _fresh(policy: Policy[S], refusal: Refused | None) -> Opened[S]:
    return Opened(contents_of(policy.schema, {}), reports=() if refusal is None else (refusal,))


def _has_resets(opened: Opened[S]) -> bool:
    return any(isinstance(report, FieldReset) for report in opened.reports)


def _read(text: str, format_: Format[S], on_bad_field: OnBadField) -> Opened[S] | Refused:
    found = format_.sealer.open(text)
    if isinstance(found, Refused):
        return found
    payload, _ = found
    outcome = format_.codec.decode(payload, on_bad_field)
    if isinstance(outcome, Refused):
        return outcome
    return Opened(outcome.contents, outcome.snapshot, text, new=False, reports=outcome.reports)


def undeclared_reported(opened: Opened[S], policy: Policy[S]) -> Opened[S]:
    """Report the keys that a newer or older release may have written, which are kept all the same."""
    if policy.extras.allowed is None:
        return opened
    contents = opened.contents
    count = sum(not contents.declares(key) and not policy.extras.allows(key) for key in contents)
    reports: tuple[Report, ...] = (*opened.reports, UndeclaredKeys(count)) if count else opened.reports
    return replace(opened, reports=reports)
