"""Right uses: no type checker may report any of these. Checked by mypy and basedpyright, never run."""

from __future__ import annotations

import json
from collections.abc import Mapping, MutableMapping
from datetime import datetime
from typing import Protocol, assert_type

import flask
import quart.sessions
from attrs import Factory, define, evolve, frozen
from quart import Quart, Request, Response, Websocket
from quart.testing import QuartClient
from quart.wrappers.base import BaseRequestWebsocket

from typed_sessions import (
    NullSession,
    Schema,
    SecureCookieSession,
    SecureCookieSessionInterface,
    Session,
    SessionInterface,
    SessionMixin,
    migration,
)
from typed_sessions import quart as typed_quart
from typed_sessions.interface import ConfiguredApp, CookieRequest, CookieResponse
from typed_sessions.quart import Sessions
from typed_sessions.serializers import Serializer, TaggedJSONSerializer


@define
class Visitor:
    user_id: int | None = None
    cart: list[str] = Factory(list[str])


@frozen
class FrozenVisitor:
    user_id: int | None = None


class HasUser(Protocol):
    @property
    def user_id(self) -> int | None: ...


app = Quart(__name__)
flask_app = flask.Flask(__name__)

# Sessions, with and without a schema
assert_type(Sessions(Visitor, app), Sessions[Visitor])
assert_type(Sessions(Visitor), Sessions[Visitor])
assert_type(Sessions(app=app), Sessions[dict[str, object]])
assert_type(Sessions(), Sessions[dict[str, object]])

sessions = Sessions(Visitor, app)
assert_type(sessions.current, Session[Visitor])
assert_type(sessions.data, Visitor)
assert_type(sessions.data.user_id, int | None)
assert_type(sessions.data.cart, list[str])
assert_type(sessions.cookie_for(Visitor(user_id=7)), str)
assert_type(sessions.schema, Schema[Visitor])
sessions.replace(Visitor())
frozen_sessions = Sessions(FrozenVisitor)
frozen_sessions.replace(evolve(frozen_sessions.data, user_id=7))
Sessions().data["anything"] = 1


async def transaction() -> None:
    async with sessions.transaction(QuartClient(app)) as session:
        assert_type(session, Session[Visitor])
    async with sessions.transaction(app.test_client()) as session:
        assert_type(session.data, Visitor)


# the mapping
session = sessions.current
assert_type(session["user_id"], object)
assert_type(session.extras, MutableMapping[str, object])
assert_type(session.pop("user_id"), object)
assert_type(session.copy(), dict[str, object])
assert_type(session | {"a": 1}, dict[str, object])
assert_type({"a": 1} | session, dict[str, object])
list(reversed(session))
session["user_id"] = 7
session |= {"user_id": 8}
session.update({"user_id": 9}, cart=[])
as_mapping: Mapping[str, object] = session
as_mixin: SessionMixin = session
session.accessed = session.modified = session.permanent = True
assert_type(session.new, bool)

# covariance, and functions over a Protocol
as_object: Session[object] = session
as_protocol: Session[HasUser] = session


def user_of(session: Session[HasUser]) -> int | None:
    return session.data.user_id


user_of(sessions.current)
user_of(frozen_sessions.current)

# sessions by themselves
assert_type(SecureCookieSession({"a": 1}), SecureCookieSession[dict[str, object]])
assert_type(SecureCookieSession(), SecureCookieSession)
assert_type(SecureCookieSession(schema=Visitor), SecureCookieSession[Visitor])
assert_type(SecureCookieSession(schema=Schema(Visitor)).data, Visitor)
assert_type(NullSession(), NullSession[dict[str, object]])

# the interface
interface = SecureCookieSessionInterface(Visitor)
assert_type(interface, SecureCookieSessionInterface[Visitor])
assert_type(SecureCookieSessionInterface(), SecureCookieSessionInterface[dict[str, object]])


async def opened(request: Request, websocket: Websocket, flask_request: flask.Request, response: Response) -> None:
    assert_type(await interface.open_session(app, request), SecureCookieSession[Visitor] | None)
    await interface.open_session(app, websocket)
    await interface.open_session(flask_app, flask_request)
    await interface.save_session(app, SecureCookieSession(schema=Visitor), response)
    await interface.save_session(flask_app, SecureCookieSession(schema=Visitor), flask.Response())
    await interface.save_session(app, SecureCookieSession(schema=Visitor), None)


assert_type(interface.get_cookie_samesite(app), str | None)
assert_type(interface.get_expiration_time(flask_app, SecureCookieSession(schema=Visitor)), datetime | None)


def narrowed(session: Session[Visitor]) -> None:
    if interface.is_null_session(session):
        assert_type(session, NullSession[Visitor])
    else:
        assert_type(session, Session[Visitor])


ours: SessionInterface[Quart, Request, Response, SecureCookieSession[Visitor]] = interface
quarts: SessionInterface[Quart, BaseRequestWebsocket, Response, quart.sessions.SessionMixin] = (
    quart.sessions.SecureCookieSessionInterface()
)
app.session_interface = typed_quart.SecureCookieSessionInterface(Visitor)
app.session_interface = typed_quart.SecureCookieSessionInterface()


class Memory(SessionInterface[ConfiguredApp, CookieRequest, CookieResponse, SecureCookieSession[Visitor]]):
    async def open_session(  # type: ignore[explicit-override]  # as users write it
        self, app: ConfiguredApp, request: CookieRequest
    ) -> SecureCookieSession[Visitor] | None:
        return None

    async def save_session(  # type: ignore[explicit-override]  # as users write it
        self, app: ConfiguredApp, session: SecureCookieSession[Visitor], response: CookieResponse | None
    ) -> None: ...


Memory()


# serializers
class Packed:
    def dumps(self, value: dict[str, object], /) -> bytes:
        return json.dumps(value).encode()

    def loads(self, payload: bytes, /) -> object:
        return json.loads(payload)


packed: Serializer[bytes] = Packed()
tagged: Serializer[str] = TaggedJSONSerializer()
Sessions(Visitor, serializer="tagged-json")
Sessions(Visitor, serializer=Packed())
Sessions(Visitor, serializer=TaggedJSONSerializer(sort_keys=True))
Sessions(serializer=json)


# migrations
@migration(Visitor, 1)
def rename(values: dict[str, object]) -> dict[str, object]:
    values["user_id"] = values.pop("uid", None)
    return values


assert_type(rename({}), dict[str, object])
