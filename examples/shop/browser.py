"""Browsers that the demo drives. Their requests go through the whole application, as anybody's do."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar

from attrs import define, frozen
from quart import Quart, Response
from quart.typing import TestClientProtocol

from examples.shop import Visitor, sessions
from typed_sessions.quart import field_reset, session_refused

_heard: ContextVar[list[str] | None] = ContextVar("_heard", default=None)


def _hear(_app: Quart, report: object) -> None:
    heard = _heard.get()
    if heard is not None:
        heard.append(str(report))


session_refused.connect(_hear)
field_reset.connect(_hear)


@contextmanager
def reports() -> Generator[list[str]]:
    """Collect what the library reports of the requests that are made within, and of nobody else's."""
    heard: list[str] = []
    token = _heard.set(heard)
    try:
        yield heard
    finally:
        _heard.reset(token)


@frozen
class Step:
    """What one of those who take part did, and what came of it."""

    who: str
    did: str
    came: str


@define
class Browser:
    """A browser with one cookie.

    Args:
        who: whose it is.
        app: returns the application that it reaches at the moment.
        steps: where its requests are written down.
        cookie: the session cookie that it has.
    """

    who: str
    app: Callable[[], Quart]
    steps: list[Step]
    cookie: str | None = None
    set_cookie: str | None = None
    """The latest `Set-Cookie` that it has got."""

    async def get(self, path: str) -> Response:
        return await self._request("GET", path)

    async def post(self, path: str, **form: str) -> None:
        """Send a form of the page as it is now, and go where the answer leads."""
        await self.send(path, await self.visitor(), **form)
        await self._open("/")

    async def send(self, path: str, visitor: Visitor | None, **form: str) -> None:
        """Send a form of a page that was made for this visitor."""
        if visitor is not None:
            form["csrf_token"] = visitor.csrf_token
        await self._request("POST", path, form)

    async def visitor(self) -> Visitor | None:
        """Look at a page, and return what the shop knows of the visitor then; None if that is nothing."""
        await self._open("/")
        async with sessions.transaction(self._client()) as session:
            return session.data if session else None

    async def _request(self, method: str, path: str, form: Mapping[str, str] | None = None) -> Response:
        with reports() as heard:
            response = await self._open(path, form)
        sent = response.headers.get("Set-Cookie")
        cookie = "no Set-Cookie" if sent is None else f"Set-Cookie of {len(sent)} bytes"
        self.steps.append(Step(self.who, f"{method} {path}", "; ".join([f"{response.status_code}, {cookie}", *heard])))
        return response

    async def _open(self, path: str, form: Mapping[str, str] | None = None) -> Response:
        client = self._client()
        headers = {"Sec-Fetch-Site": "same-origin"}
        response = await (
            client.get(path, headers=headers) if form is None else client.post(path, headers=headers, form=form)
        )
        self.set_cookie = response.headers.get("Set-Cookie", self.set_cookie)
        self.cookie = next((each.value for each in client.cookie_jar or () if each.name == self._name), None)
        return response

    def _client(self) -> TestClientProtocol:
        client = self.app().test_client()
        if self.cookie is not None:
            client.set_cookie("localhost", self._name, self.cookie)
        return client

    @property
    def _name(self) -> str:
        app = self.app()
        return app.session_interface.get_cookie_name(app)
