"""Classes that fill the protocols, rightly or wrongly."""

from __future__ import annotations

import json
from collections.abc import MutableMapping
from datetime import datetime

import flask
import quart.sessions
from quart import Quart, Request, Response
from quart.wrappers.base import BaseRequestWebsocket
from schemas import Visitor, app

from typed_sessions import NullSession, SecureCookieSession, SecureCookieSessionInterface, SessionInterface
from typed_sessions.frameworks.interface import ConfiguredApp, CookieRequest, CookieResponse
from typed_sessions.serializers import (
    MsgspecJSONSerializer,
    MsgspecMsgpackSerializer,
    Serializer,
    TaggedJSONSerializer,
)


class Packed:
    def dumps(self, value: dict[str, object], /) -> bytes:
        return json.dumps(value).encode()

    def loads(self, payload: bytes, /) -> object:
        return json.loads(payload)


class TakesTwo:
    def dumps(self, value: dict[str, object], indent: int, /) -> str:
        return str(value) + " " * indent

    def loads(self, payload: str, /) -> object:
        return payload


class ReturnsNumbers:
    def dumps(self, value: dict[str, object], /) -> int:
        return len(value)

    def loads(self, payload: int, /) -> object:
        return payload


class WritesTextReadsBytes:
    def dumps(self, value: dict[str, object], /) -> str:
        return str(value)

    def loads(self, payload: bytes, /) -> object:
        return payload


class OnlyWrites:
    def dumps(self, value: dict[str, object], /) -> str:
        return str(value)


class TakesLists:
    def dumps(self, value: list[object], /) -> str:
        return str(value)

    def loads(self, payload: str, /) -> object:
        return payload


a1: Serializer[str] = TakesTwo()  # error
a2: Serializer[str] = ReturnsNumbers()  # error
a3: Serializer[str] = WritesTextReadsBytes()  # error
a4: Serializer[str] = OnlyWrites()  # error
a5: Serializer[str] = TakesLists()  # error
a6: Serializer[str] = Packed()  # error
a7: Serializer[bytes] = TaggedJSONSerializer()  # error
a8: Serializer[str] = TaggedJSONSerializer  # error
b1: Serializer[bytes] = Packed()
b2: Serializer[str] = TaggedJSONSerializer()
b3: Serializer[bytes] = MsgspecJSONSerializer()
b4: Serializer[bytes] = MsgspecMsgpackSerializer()
b5: Serializer[str] = json
b6: Serializer = TaggedJSONSerializer(sort_keys=True)


class Memory(SessionInterface[ConfiguredApp, CookieRequest, CookieResponse, SecureCookieSession[Visitor]]):
    async def open_session(self, app: ConfiguredApp, request: CookieRequest) -> SecureCookieSession[Visitor] | None:
        return None

    async def save_session(
        self, app: ConfiguredApp, session: SecureCookieSession[Visitor], response: CookieResponse | None
    ) -> None: ...


class OnlyOpens(SessionInterface[ConfiguredApp, CookieRequest, CookieResponse, SecureCookieSession[Visitor]]):
    async def open_session(self, app: ConfiguredApp, request: CookieRequest) -> SecureCookieSession[Visitor] | None:
        return None


class OpensAtOnce(SessionInterface[ConfiguredApp, CookieRequest, CookieResponse, SecureCookieSession[Visitor]]):
    def open_session(self, app: ConfiguredApp, request: CookieRequest) -> SecureCookieSession[Visitor] | None:  # error
        return None

    async def save_session(
        self, app: ConfiguredApp, session: SecureCookieSession[Visitor], response: CookieResponse | None
    ) -> None: ...


class NeedsAResponse(SessionInterface[ConfiguredApp, CookieRequest, CookieResponse, SecureCookieSession[Visitor]]):
    async def open_session(self, app: ConfiguredApp, request: CookieRequest) -> SecureCookieSession[Visitor] | None:
        return None

    async def save_session(self, app: ConfiguredApp, session: SecureCookieSession[Visitor], response: CookieResponse) -> None: ...  # error  # noqa: E501


Memory()
OnlyOpens()  # error
c1: SessionInterface[Quart, Request, Response, SecureCookieSession[Visitor]] = SecureCookieSessionInterface(Visitor)
c2: SessionInterface[flask.Flask, flask.Request, flask.Response, SecureCookieSession[Visitor]] = Memory()
c3: SessionInterface[Quart, BaseRequestWebsocket, Response, quart.sessions.SessionMixin] = (
    quart.sessions.SecureCookieSessionInterface()
)
d1: SessionInterface[Quart, Request, Response, SecureCookieSession[Visitor]] = object()  # error
d2: SessionInterface[Quart, Request, Response, SecureCookieSession[int]] = Memory()  # error
d3: SessionInterface[Quart, Request, Response, SecureCookieSession[Visitor]] = SecureCookieSessionInterface()  # error

interface = SecureCookieSessionInterface(Visitor)


async def used(request: Request, response: Response, flask_request: flask.Request, other: flask.Flask) -> None:
    opened = await interface.open_session(app, request)
    opened.data.user_id = 7  # error
    if opened is not None:
        opened.data.user_id = 7
        await interface.save_session(app, opened, response)
        await interface.save_session(app, opened, None)
    await interface.open_session(other, flask_request)
    await interface.open_session(request, app)  # error
    await interface.save_session(app, opened, response)  # error
    await interface.save_session(app, {}, response)  # error
    interface.save_session(app, response)  # error
    e1: str | None = interface.get_cookie_samesite(app)
    e2: datetime | None = interface.get_expiration_time(app, SecureCookieSession(schema=Visitor))
    e3: NullSession[Visitor] = await interface.make_null_session(app)
    e4: str = interface.get_cookie_domain(app)  # error
    e5: bool = interface.get_cookie_name(app)  # error
    print(e1, e2, e3, e4, e5)


null: MutableMapping[str, object] = NullSession()
