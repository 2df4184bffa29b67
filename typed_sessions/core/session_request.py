"""A session between the request that brings it and the response that takes its cookie."""

# What a program is not shown of a session is used here, too:
# pyright: reportPrivateUsage=false

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from typing_extensions import TypeVar

from typed_sessions.codec.loaded_data import LoadedData, LoadedKeys
from typed_sessions.core.rules import Rules
from typed_sessions.core.session import STREAMING, SecureCookieSession, belong, note_saved_before, state_of
from typed_sessions.core.state import SAVED, SessionState, Source

__all__ = [
    "data_of",
    "is_left_alone",
    "note_data_saved",
    "note_saved",
    "rules_of",
    "save_data",
    "session_from",
    "session_of_request",
    "source_of",
    "was_used_late",
]

S = TypeVar("S", default=dict[str, object])


def rules_of(session: SecureCookieSession[S]) -> Rules[S] | None:
    """Return the rules that a session was opened with; None if a program has made it."""
    rules: Rules[S] | None = session._rules
    return rules


def session_of_request(
    rules: Rules[S], app: object, request: object, new_session: Callable[[], SecureCookieSession[Any]]
) -> SecureCookieSession[S]:
    """Return the session of a request. Its cookies are looked at when the session is, from whichever thread."""
    session: SecureCookieSession[S] = new_session()
    session.accessed = session._is_saved = False  # as `belong` does; each request comes by here
    session._rules = rules
    session._app = app
    session._request = request
    session._state = []
    return session


def session_from(
    source: Source[S],
    new_session: Callable[[], SecureCookieSession[Any]],
    rules: Rules[S] | None = None,
    app: object = None,
) -> SecureCookieSession[S]:
    """Return a session that opens at the first touch, from whichever thread touches it."""
    session: SecureCookieSession[S] = new_session()
    belong(session, SessionState(source), rules, app)
    return session


def is_left_alone(session: SecureCookieSession[Any]) -> bool:
    """Return True if no refresh can be due of the cookie of a request's session that nobody has asked anything.

    Then that has saved it.
    """
    if session.accessed or session._state:
        return False
    rules = session._rules
    if rules.refresh_each_request and (session._request is None or rules.is_due(session._request)):
        return False
    session._is_saved = True
    if session._state:  # another thread has come so far just now
        state_of(session).progress = SAVED
    return True


def save_data(session: SecureCookieSession[S], adapter: object) -> str | None:
    """Save a session of which nobody has asked more than its data, and return the text of the `Set-Cookie` header.

    It is empty if none is due; None where somebody has, or where it takes more, as of another adapter's session.
    """
    made = session._state
    if type(made) is not list or not made or session._is_saved:
        return None
    loaded, rules = made[0], session._rules
    if isinstance(loaded, SessionState) or rules.adapter is not adapter:
        return None
    header: str | None = rules.header_of(loaded)
    if header is not None:
        session._is_saved = True
        if len(made) > 1:  # another thread asks more just now
            note_saved_before(session, loaded, state_of(session))
    return header


def data_of(session: SecureCookieSession[S]) -> LoadedData[S] | LoadedKeys[S] | None:
    """Return the data of a session of which nobody has asked more; None where somebody has, or that has no data yet."""
    made = session._state
    if type(made) is not list or not made or session._is_saved:
        return None
    loaded = made[0]
    return None if isinstance(loaded, SessionState) else loaded


def note_data_saved(session: SecureCookieSession[S], loaded: LoadedData[S] | LoadedKeys[S]) -> None:
    """Note that the data of a session was saved with its response."""
    session._is_saved = True
    if type(session._state) is SessionState:  # another thread has asked more meanwhile
        note_saved_before(session, loaded, session._state)


def source_of(session: SecureCookieSession[Any]) -> object:
    """Return where a session comes from, or the request while nobody has asked more of the session than its data."""
    state = session._state
    return state.source if type(state) is SessionState else session._request


def note_saved(session: SecureCookieSession[Any], *, streams: bool) -> None:
    """Note that the session was saved with its response: what changes from now on is lost.

    Args:
        session: what was saved.
        streams: whether a program makes the response while it is sent, and has not used the session before.
    """
    state_of(session).progress = SAVED
    if streams:
        STREAMING.set(session)


def was_used_late(session: SecureCookieSession[Any]) -> bool:
    """Return True if anybody has asked for what is in the session after its response was made."""
    state = session._state
    return not isinstance(state, list) and state.was_used_late
