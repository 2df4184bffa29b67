"""Requests of one visitor's, without a framework: what an application's store sees of them is the same."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any, Final

from attrs import Factory, define
from werkzeug.datastructures import Headers

from typed_sessions import SecureCookieSession, SecureCookieSessionInterface
from typed_sessions.frameworks.interface import ConfiguredApp
from typed_sessions.reports import Report
from typed_sessions.stores import Lifetime, Record, SessionStore, WriteRequest
from typed_sessions.stores.identifiers import Identifier, Namespace

__all__ = ["NAMESPACE", "begin_session", "visit"]

NAMESPACE: Final = Namespace("visits")


@define
class _App:
    config: Mapping[str, Any] = Factory(dict[str, Any])


@define
class _Request:
    cookies: Mapping[str, str]


@define
class _Response:
    headers: Headers = Factory(Headers)


_APP: Final = _App({"SESSION_STORE_TIMEOUT": timedelta(seconds=60), "SESSION_NAMESPACE": "visits"})
"""With patience, for a machine that is busy: what takes long here is not what is tested."""


def _say_nothing(_app: ConfiguredApp, _report: Report) -> None:
    """That a change was lost is what some races are about."""


@asynccontextmanager
async def visit(
    store: SessionStore, identifier: Identifier | None, response: _Response | None = None
) -> AsyncGenerator[SecureCookieSession[dict[str, object]]]:
    """Have the session of a request, and save it at the end."""
    interface = SecureCookieSessionInterface(store=store, report=_say_nothing)
    session = await interface.open_session(_APP, _Request({} if identifier is None else {"session": identifier.text}))
    assert session is not None
    yield session
    await interface.save_session(_APP, session, response or _Response())


async def begin_session(store: SessionStore, identifier: Identifier) -> None:
    """Have a session under an identifier that both sides know."""
    response = _Response()
    async with visit(store, None, response) as session:
        session["begun"] = True
    given = Identifier(response.headers["Set-Cookie"].partition(";")[0].removeprefix("session="))
    record = await store.load(NAMESPACE.key_of(given))
    assert isinstance(record, Record)
    written = WriteRequest(record.payload, Lifetime(timedelta(hours=1)))
    moved = await store.update(NAMESPACE.key_of(given), record.version, written, move_to=NAMESPACE.key_of(identifier))
    assert isinstance(moved, Record)
