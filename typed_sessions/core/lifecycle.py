"""What happens to a session in a cookie at the end of its request, as functions of values: no framework, no I/O."""

from __future__ import annotations

from typing import Final, TypeAlias, final

from msgspec import Struct
from typing_extensions import TypeVar, override

from typed_sessions.codec.declared_contents import DeclaredContents
from typed_sessions.codec.generated import PERMANENT_KEY
from typed_sessions.core.cookies import rivals_of
from typed_sessions.core.lasting import CREATED_KEY
from typed_sessions.core.loading import has_outlived, opened
from typed_sessions.core.rules import Rules
from typed_sessions.core.session import STREAMING, SecureCookieSession, is_permanent, state_of
from typed_sessions.core.state import AWAITED, FAILED, SAVED, SUPPRESSED, UNSAVED, Renewal, SessionState
from typed_sessions.errors import CookieTooLargeError
from typed_sessions.reports import ChangeLost, CookieOversize, Report
from typed_sessions.sealing.set_cookie import CookieAttributes, SessionCookie

__all__ = [
    "CookieAction",
    "Delete",
    "HeaderChanges",
    "Keep",
    "Write",
    "action_of",
    "end",
    "header_changes",
    "is_kept",
    "is_valid",
    "make_permanent",
    "refresh_is_due",
    "save",
]

S = TypeVar("S", default=dict[str, object])


@final
class Keep(Struct, frozen=True):
    """The browser keeps what it has."""


@final
class Write(Struct, frozen=True):
    """The browser gets a new cookie with this value."""

    value: str
    lossy_keys: tuple[str, ...] = ()
    """The undeclared keys whose values will read back as others."""
    refresh: bool = False
    """True if nothing has changed but the time."""

    @override
    def __repr__(self) -> str:
        return (
            f"Write(refresh={self.refresh}, lossy_keys={self.lossy_keys})"  # a debugger's page shows what is in a repr
        )


@final
class Delete(Struct, frozen=True):
    """The browser drops its cookie."""


CookieAction: TypeAlias = Keep | Write | Delete

_KEEP: Final = Keep()


@final
class HeaderChanges(Struct, frozen=True):
    """What the headers of a response have to become."""

    set_cookie: tuple[str, ...] = ()
    """The texts of `Set-Cookie` headers to add, in this order: the session's own one comes last, for what tells the
    places of cookies less well apart than browsers keeps that. No shared cache may keep such a response (`private`)."""
    vary: bool = True
    """True if `Vary` has to name Cookie."""

    @override
    def __repr__(self) -> str:
        return f"HeaderChanges(vary={self.vary}, {len(self.set_cookie)} cookies)"


_USED: Final = HeaderChanges()
_UNUSED: Final = HeaderChanges(vary=False)


def save(session: SecureCookieSession[S], rules: Rules[S], app: object, *, streams: bool) -> HeaderChanges:
    """Return what the headers of a response have to become, so that its browser has what is in the session.

    A session that was used has its `Vary` due also if this raises. A save that failed is not tried again. `streams` is
    that of `note_saved`.

    Raises:
        SerializationError: the contents cannot be written so that they read back.
        CookieTooLargeError: the browser would drop the cookie.
        ConfigurationError: an overridden method says what no cookie can be.
    """
    state = state_of(session)
    if state.has_failed:
        state.progress = UNSAVED
        return _USED if session.accessed else _UNUSED
    state.progress, state.sent = FAILED, None  # until it has not
    if rules.absolute_seconds is not None:
        note_created(session, rules)
    if rules.makes_permanent:
        make_permanent(state)
    action = action_of(session, rules, None if rules.is_stock else _is_wanted(session, rules, app))
    changes = header_changes(session, rules, app, action)
    if changes.set_cookie:
        state.sent = action.value if type(action) is Write else ""
    state.progress = SAVED
    if streams:
        STREAMING.set(session)
    return changes


def make_permanent(state: SessionState[S]) -> None:
    """Make a session permanent with its first content. That it is permanent is no content of its own.

    One that came keeps what it says of that. One that a change has left without content is to be deleted.
    """
    opened = state.opened
    if opened is None:
        return
    contents = opened.contents
    keys = contents.keys()
    if PERMANENT_KEY not in keys:
        if keys and (opened.snapshot is None or state.cleared):
            contents.update({PERMANENT_KEY: True})
            if isinstance(contents, DeclaredContents):  # as it is written quickest, and nobody has stored it
                contents.order = {PERMANENT_KEY: None, **contents.ordered()}
    elif len(keys) == 1 and contents.get(PERMANENT_KEY) and state.compared()[0]:
        contents.remove(PERMANENT_KEY)


def note_created(session: SecureCookieSession[S], rules: Rules[S]) -> None:
    """Have a session that is to be written tell when it was created. That is no content of its own.

    A log-in counts as that, as it does in a store: `promote`, or another subject. One that came without the time, from
    before there was a limit, counts from when its cookie was sealed.
    """
    state = state_of(session)
    is_due = not rules.is_stock or refresh_is_due(session, rules)  # a subclass may write whenever it wants to
    opened = state.open() if is_due else state.opened
    if opened is None:
        return
    contents, snapshot = opened.contents, opened.snapshot
    created = contents.get(CREATED_KEY)
    if not set(contents.keys()) - ({CREATED_KEY, PERMANENT_KEY} if rules.makes_permanent else {CREATED_KEY}):
        if created is not None and state.modified:
            contents.remove(CREATED_KEY)
        return
    subject = rules.schema.subject
    is_another = subject and snapshot is not None and snapshot.stored.get(subject) != contents.get(subject)
    if snapshot is None or state.cleared or state.renewal is Renewal.PROMOTE or is_another:
        contents.update({CREATED_KEY: int(rules.clock())})
    elif type(created) is not int and (is_due or state.modified):
        sealed_at = rules.claimed_time(opened.sealed or "")
        contents.update({CREATED_KEY: int(rules.clock()) if sealed_at is None else sealed_at})


def end(session: SecureCookieSession[S]) -> None:
    """Take note that a request has ended whose response is not here to carry a cookie: that of a websocket."""
    state = state_of(session)
    if state.modified:
        state.report_loss(_LOSSES[AWAITED])
    state.progress = SAVED


def header_changes(
    session: SecureCookieSession[S], rules: Rules[S], app: object, action: CookieAction
) -> HeaderChanges:
    """Return what the headers have to become for an action. Raises what `save` raises."""
    state = state_of(session)
    if type(action) is Write:
        cookie = _written(session, rules, app, action)
    else:
        cookie = SessionCookie(_attributes(rules, app)).deleting() if type(action) is Delete else None
    if cookie is None:
        return _USED if session.accessed else _UNUSED
    if not state.source.has_rivals:
        return HeaderChanges((cookie,))
    rivals = rivals_of(_attributes(rules, app), rules.settings.application_root)
    return HeaderChanges((*(SessionCookie(each).deleting() for each in rivals), cookie))


def _attributes(rules: Rules[S], app: object) -> CookieAttributes:
    return rules.settings.cookie if rules.is_stock else rules.adapter.cookie_attributes(app)


def _is_wanted(session: SecureCookieSession[S], rules: Rules[S], app: object) -> bool:
    """Return what a subclass says, which may change the session meanwhile."""
    state = state_of(session)
    before, state.progress = state.progress, AWAITED
    try:
        return rules.adapter.should_set_cookie(app, session)
    finally:
        state.progress = before


def _written(session: SecureCookieSession[S], rules: Rules[S], app: object, action: Write) -> str | None:
    """Return the text of the `Set-Cookie` header of a cookie that is written; None if no browser would keep it."""
    if action.lossy_keys:
        rules.adapter.report_lossy(app, action.lossy_keys)
    if rules.is_stock:
        expires_at = rules.clock() + rules.lifetime_seconds if is_permanent(session) else None
        header = rules.cookie.written(action.value, expires_at)
    else:
        expiry = rules.adapter.get_expiration_time(app, session)
        header = SessionCookie(_attributes(rules, app)).expiring(action.value, expiry)
    size = len(header)
    if size <= rules.max_cookie_size:
        return header
    settings = rules.settings
    if action.refresh or not settings.raise_on_oversize:  # a request that changed nothing is not to fail
        is_sent = not settings.raise_on_oversize
        rules.adapter.report(app, CookieOversize(size, settings.max_cookie_size, sent=is_sent))
        return header if is_sent else None
    del header  # debugging pages show locals
    raise CookieTooLargeError(size, settings.max_cookie_size)


def action_of(session: SecureCookieSession[S], rules: Rules[S], wanted: bool | None = None) -> CookieAction:  # noqa: FBT001
    """Return what becomes of the session's cookie. Raises SerializationError, or, without a key, ConfigurationError.

    A session that holds something is written if that is wanted: by default when it has changed, or a refresh is due.
    """
    state = state_of(session)
    modified, changes = state.diff()
    if wanted is None:
        wanted = modified or refresh_is_due(session, rules)
    if not modified and not wanted:
        return _KEEP
    opened = state.open()
    snapshot = opened.snapshot
    if wanted and snapshot is not None and changes is not None and snapshot.codec is rules.writer.codec:
        encoded = snapshot.codec.encode(snapshot, changes)
        if encoded.holds_anything:
            return Write(rules.writer.sealer.seal(encoded.payload), encoded.lossy_keys)
    if not opened.contents.keys():
        return Delete() if modified else _KEEP
    if not wanted:
        return _KEEP
    if snapshot is not None and not modified and (came_in := rules.format_of(snapshot)) is not None:
        # A refresh is no change: what this release could not read stays for the one that can.
        return Write(came_in.sealer.seal(snapshot.payload), refresh=True)
    format_, encoded = rules.encode(opened.contents, snapshot, 0 if snapshot is None else snapshot.version)
    return Write(format_.sealer.seal(encoded.payload), encoded.lossy_keys)


def refresh_is_due(session: SecureCookieSession[S], rules: Rules[S]) -> bool:
    """Return True if the session is permanent and its cookie old enough to be sent again, with a later expiry.

    A session that nobody touched is opened only when the time on its cookie says that it is old enough.
    """
    if not rules.refresh_each_request:
        return False
    state = state_of(session)
    texts = state.source.sealed
    if texts and not any(map(rules.is_old, texts)):
        return False
    if not texts and rules.refresh_after:
        return False
    opened = state.open()
    # A session that a program made came in no cookie. As in Quart, that is no younger than any other.
    is_old = opened.snapshot is not None if opened.sealed is None else rules.is_old(opened.sealed)
    return is_old and is_permanent(session)


def is_kept(session: SecureCookieSession[S], rules: Rules[S], app: object, *, answers: bool) -> bool:
    """Return True if what is in a session will be what the browser has, if a response `answers` with a cookie.

    Otherwise say that it is lost.
    """
    state = state_of(session)
    loss: Report
    if answers and state.progress is AWAITED:
        wanted = None if rules.is_stock else _is_wanted(session, rules, app)
        kept, loss = not _is_suppressed(state, wanted), SUPPRESSED
    else:
        kept = _is_in_cookie(session, rules)
        loss = state.source.late_change if state.progress is SAVED else _LOSSES[state.progress]
    if not kept:
        state.report_loss(loss)
    return kept


def _is_suppressed(state: SessionState[S], wanted: bool | None) -> bool:  # noqa: FBT001
    """Return True if a program, or its own `should_set_cookie`, keeps what it has changed from being written."""
    opened = state.open()
    if state.assigned is False:  # then what was loaded is written, if anything is
        keeps_it = not wanted or opened.snapshot is not None
    else:
        keeps_it = wanted is False and len(opened.contents.keys()) > 0
    return keeps_it and state.compared()[0]


def _is_in_cookie(session: SecureCookieSession[S], rules: Rules[S]) -> bool:
    """Return True if what is in a session is what its cookie holds, once there is no response to change that."""
    state = state_of(session)
    sent = state.sent
    if not is_valid(session, rules):
        return False
    if not sent:
        return not (state.compared()[0] if sent is None else state.open().contents.keys())
    held = opened(sent, rules).snapshot
    return held is not None and held.codec.diff(state.open().contents, held) is None


def is_valid(session: SecureCookieSession[S], rules: Rules[S]) -> bool:
    """Return True if the cookie that the browser has of a session is still one, or if it has none."""
    state = state_of(session)
    opened = state.open()
    text = opened.sealed if state.sent is None else state.sent
    return not text or (not has_outlived(opened.contents, text, rules) and rules.is_genuine(text))


_UNSAVED: Final = ChangeLost("it could not be saved with its response, and the error response does not try again")
_LOSSES: Final = {
    AWAITED: ChangeLost(
        "a websocket carries a cookie when it is accepted, and never again; change the session in a request, before "
        "the websocket opens or after it has told the page to make one"
    ),
    FAILED: _UNSAVED,
    UNSAVED: _UNSAVED,
}
"""What there is to say of a change of a session in a cookie that no response will carry, if it was made in time."""
