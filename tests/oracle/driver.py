"""Runs sequences of requests on the `typed_sessions` that is on the path, and says what is seen of them from outside.

`python -P -m tests.oracle.driver sqlite=URL` reads `Requests` from its standard input, one a line, and writes their
outcomes to its standard output. It uses public names only, for the tree that it serves may be of any age.
"""

from __future__ import annotations

import ast
import asyncio
import copy
import dataclasses
import hashlib
import json
import logging
import sys
import zlib
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from functools import cache
from inspect import isawaitable
from pathlib import PurePosixPath
from threading import Barrier
from types import CodeType
from typing import TYPE_CHECKING, Any, Final, cast
from uuid import UUID

import attrs
import msgspec
import time_machine
from flask.json.tag import TaggedJSONSerializer
from markupsafe import Markup
from quart import Quart, Response, abort, got_request_exception, got_websocket_exception, websocket
from time_machine import Traveller
from typing_extensions import override
from werkzeug.datastructures import Headers

import typed_sessions
from tests.oracle import schemas
from tests.oracle.catalogue import CATALOGUE
from tests.oracle.cookies import Named, examined, sealed, tampered
from tests.oracle.interfaces import INTERFACES
from tests.oracle.outcomes import Aliases, Outcome, SetCookie, shown, told
from tests.oracle.schemas import new_token
from tests.oracle.sequences import Cookie, Requests, Visit
from typed_sessions.quart import Sessions, field_reset, session_refused
from typed_sessions.stores import Created, MemoryStore, SessionStore, Updated, open_store

if TYPE_CHECKING:
    from typed_sessions.stores import WriteRequest  # the oracle's has another name

__all__ = ["outcomes_of"]

START: Final = 1_780_000_000.0
"""In seconds since the epoch: when each sequence begins."""

_NAME: Final = "shop"
"""Of the application."""


# Lines of Python


@cache
def _compiled(line: str) -> CodeType:
    """Return a line, which may await; an expression gives its value."""

    def compiled(mode: str) -> CodeType:
        code: CodeType = compile(line, "<line>", mode, ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
        return code

    try:
        return compiled("eval")
    except SyntaxError:
        return compiled("exec")


def _evaluated(expression: str) -> Any:
    return eval(_compiled(expression), dict(_SCOPE))  # noqa: S307 -- random_sequences.py has written it


def _nested(depth: int) -> list[object]:
    value: list[object] = []
    for _ in range(depth):
        value = [value]
    return value


def _noise(size: int) -> str:
    """Return a text that hardly compresses."""
    return "".join(hashlib.sha256(str(number).encode()).hexdigest() for number in range(size // 64 + 1))[:size]


_SCOPE: Final[dict[str, object]] = {
    **{name: value for name, value in vars(schemas).items() if isinstance(value, type) or name == "guest"},
    **{
        each.__name__: each
        for each in (Markup, UUID, Decimal, datetime, date, timedelta, timezone, Named, PurePosixPath)
    },
    **{each.__name__: each for each in (attrs, copy, dataclasses, json, zlib)},
    "UTC": UTC,
    "flask_serializer": TaggedJSONSerializer,
    "nested": _nested,
    "new_token": new_token,
    "noise": _noise,
}
"""What lines and expressions may name."""


# What is looked at


class _Log(logging.Handler):
    """Takes what the library and the application have to say."""

    def __init__(self) -> None:
        super().__init__()
        self.reports: list[str] = []

    @override
    def emit(self, record: logging.LogRecord) -> None:
        if record.name.split(".")[0] in {"typed_sessions", _NAME}:
            kind = None if record.exc_info is None else record.exc_info[0]
            error = "" if kind is None else f" ({kind.__name__})"
            self.reports.append(f"{record.name} {record.levelname} {record.getMessage()!a}{error}")


class _WatchedStore(MemoryStore):
    """Shows the payloads that it gets."""

    def __init__(self) -> None:
        super().__init__()
        self.payloads: list[str] = []

    @override
    async def create(self, key: str, write: WriteRequest) -> Created:
        self.payloads.append(ascii(write.payload))
        return await super().create(key, write)

    @override
    async def update(self, key: str, version: int, write: WriteRequest, *, move_to: str | None = None) -> Updated:
        self.payloads.append(ascii(write.payload))
        return await super().update(key, version, write, move_to=move_to)


# A browser and an application


class _Run:
    """One sequence, as it goes on."""

    def __init__(self, requests: Requests, log: _Log, clock: Traveller, stores: dict[str, SessionStore]):
        self.log = log
        self.clock = clock
        self.store = _WatchedStore() if requests.store == "memory" else stores.get(requests.store or "")
        self.config: dict[str, Any] = {name: _evaluated(value) for name, value in requests.settings.items()}
        self.config["SESSION_STORE_TIMEOUT"] = 60  # in seconds: a slow machine is no difference
        self.schema = requests.schema
        self.interface = requests.interface
        self.aliases = Aliases()
        self.latest: str | None = None
        self.first: str | None = None
        self.apps: list[Quart] = []  # alive, for what is kept by their identity
        self.values: list[str] = []
        self.errors: list[str] = []
        self.responses: list[tuple[str, Headers]] = []
        self.visit = Visit()
        self.session: Any = None
        self.deploy(requests.schema)

    def deploy(self, schema: str) -> None:
        self.schema = schema
        self.app = Quart(_NAME)
        self.apps.append(self.app)
        self.app.config.update(self.config)
        catalogued = CATALOGUE[schema]
        declared = cast("Callable[[], object]", catalogued.schema)  # None is as good
        converter = None if catalogued.converter is None else catalogued.converter()
        self.sessions = Sessions(declared, self.app, store=self.store, converter=converter)
        if self.interface is not None:
            own: Any = INTERFACES[self.interface]
            cast("Any", self.app).session_interface = own(declared, store=self.store, converter=converter)
        self.app.add_url_rule("/", "view", self.view)
        self.app.add_websocket("/websocket", "websocket", self.serve_websocket)

    async def act(self, session: Any, lines: tuple[str, ...]) -> None:
        """Run lines, and keep what they give."""
        scope = {**_SCOPE, "s": session, "sessions": self.sessions}
        for line in lines:
            try:
                value = eval(_compiled(line), scope)  # noqa: S307 -- random_sequences.py has written it
                if isawaitable(value):
                    value = await value
                self.values.append(shown(value))
            except Exception as error:  # noqa: BLE001 -- it is an outcome
                self.values.append(told(error))

    def touch(self, session: Any) -> None:
        """Have threads be the first that touch a session, and keep what each of them gets."""
        lines = self.visit.threads
        at_once = Barrier(len(lines) or 1)
        scope = {**_SCOPE, "s": session}

        def value_of(line: str) -> object:
            code = _compiled(line)
            at_once.wait()
            try:
                return eval(code, scope)  # noqa: S307 -- random_sequences.py has written it
            except Exception as error:  # noqa: BLE001 -- it is an outcome
                return error

        if lines:
            interval = sys.getswitchinterval()
            sys.setswitchinterval(1e-5)  # in seconds: they take turns in the middle of what they do
            with ThreadPoolExecutor(len(lines)) as threads:
                values = list(threads.map(value_of, lines))
            sys.setswitchinterval(interval)
            self.values += [told(each) if isinstance(each, Exception) else shown(each) for each in values]
            objects = {id(each) for line, each in zip(lines, values, strict=True) if line == "s.data"}
            self.values.append(f"{len(objects)} objects")

    async def view(self) -> Any:
        self.session = session = self.sessions.current
        self.touch(session)
        await self.act(session, self.visit.lines)
        match self.visit.way:
            case "abort":
                abort(418)
            case "raise":
                raise ZeroDivisionError("the view")
            case "stream":

                async def streamed() -> AsyncGenerator[bytes, None]:
                    yield b"a"
                    await self.act(session, self.visit.late)
                    yield b"z"

                response = Response(streamed())
            case _:
                response = Response("seen")
        for name, value in self.visit.headers:
            response.headers.add(name, value)
        return response

    async def serve_websocket(self) -> Any:
        self.session = session = self.sessions.current
        self.touch(session)
        if self.visit.way == "refused websocket":
            await self.act(session, self.visit.lines)
            return "no", 403
        await websocket.accept()
        await self.act(session, self.visit.lines)
        await websocket.send("seen")
        return None

    # One visit

    async def outcome_of(self, visit: Visit) -> Outcome:
        self.clock.shift(visit.wait)
        self.visit, self.session = visit, None
        self.values, self.errors, self.responses = [], [], []
        self.log.reports = []
        if isinstance(self.store, _WatchedStore):
            self.store.payloads = []
        for name, value in visit.settings.items():
            if value is None:
                self.config.pop(name, None)
                self.app.config.pop(name, None)
            else:
                self.config[name] = self.app.config[name] = _evaluated(value)
        if visit.deploy is not None:
            self.deploy(visit.deploy)
        name = self.config.get("SESSION_COOKIE_NAME", "session")
        texts = [text for text in map(self.text_of, visit.cookies) if text is not None]
        header = "; ".join(f"{name}={text}" for text in texts)
        try:
            await self.served({"Cookie": header} if texts else {})
        except Exception as error:  # noqa: BLE001 -- it is an outcome
            self.errors.append(f"past the handlers: {told(error)}")
        if self.session is not None and visit.way != "stream":
            await self.act(self.session, visit.late)
        return self.aliases.over(self.seen())

    async def served(self, headers: dict[str, str]) -> None:
        match self.visit.way:
            case "interface" | "two at once":
                await self.serve_by_interface(headers)
            case "websocket" | "refused websocket":
                await self.connect(headers)
            case _:
                client = self.app.test_client(use_cookies=False)
                response = await client.get("/", headers=headers)
                await response.get_data()
                self.responses.append((response.status, Headers(response.headers)))

    async def connect(self, headers: dict[str, str]) -> None:
        """Have a websocket served, to its end. Quart's client would wait for one that was never accepted."""
        answers: list[Any] = []
        arriving = iter([{"type": "websocket.connect"}])

        async def receive() -> Any:
            for message in arriving:
                return message
            return await asyncio.get_running_loop().create_future()  # the handler is the one to end

        async def send(message: Any) -> None:
            answers.append(message)

        raw = [(name.lower().encode(), value.encode("latin-1")) for name, value in headers.items()]
        scope: Any = {
            "type": "websocket",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "scheme": "ws",
            "path": "/websocket",
            "raw_path": b"/websocket",
            "query_string": b"",
            "root_path": "",
            "subprotocols": [],
            "headers": [(b"host", b"localhost"), *raw],
            "extensions": {"websocket.http.response": {}},
        }
        application = cast("Any", self.app)
        await application(scope, receive, send)
        kinds = [each["type"].removeprefix("websocket.") for each in answers]
        sent = [(name.decode(), value.decode()) for each in answers for name, value in each.get("headers", ())]
        self.responses.append((" ".join(kinds), Headers(sent)))

    async def serve_by_interface(self, headers: dict[str, str]) -> None:
        interface: Any = self.app.session_interface

        async def opened() -> Any:
            request = self.app.request_class(
                "GET",
                "http",
                "/",
                b"",
                Headers(headers),
                "",
                "1.1",
                cast("Any", {}),
                send_push_promise=cast("Any", None),
            )
            session = await interface.open_session(self.app, request)
            return await interface.make_null_session(self.app) if session is None else session

        async def saved(session: Any) -> None:
            response = self.app.response_class("")
            for name, value in self.visit.headers:
                response.headers.add(name, value)
            for _ in range(self.visit.saves):
                try:
                    if not interface.is_null_session(session):
                        await interface.save_session(self.app, session, response)
                except Exception as error:  # noqa: BLE001 -- it is an outcome
                    self.errors.append(f"save: {told(error)}")
            self.responses.append(("saved", response.headers))

        async with self.app.app_context():
            self.session = await opened()
            other = await opened() if self.visit.way == "two at once" else None
            self.touch(self.session)
            await self.act(self.session, self.visit.lines)
            if other is not None:
                await self.act(other, self.visit.others)
            await saved(self.session)
            if other is not None:
                await saved(other)

    def text_of(self, cookie: Cookie) -> str | None:
        text = self.latest
        match cookie.source:
            case "latest":
                pass
            case "earlier":
                text = self.first
            case "text":
                text = cookie.value
            case "made":
                try:
                    text = self.sessions.cookie_for(_evaluated(cookie.value))
                except Exception as error:  # noqa: BLE001 -- it is an outcome
                    self.values.append(told(error))
                    text = None
            case "sealed":
                key = self.config.get("SECRET_KEY") or "none" if cookie.key is None else _evaluated(cookie.key)
                value = _evaluated(cookie.value)
                text = sealed(value, cookie.form, key=key, digest=cookie.digest, age=cookie.age)
        if text is None:
            return None
        text = tampered(text, cookie.tampering)
        return f'"{text}"' if cookie.quoted else text

    def seen(self) -> Outcome:
        cookies: list[SetCookie] = []
        shown_headers: list[str] = []
        for _, headers in self.responses:
            for name, value in headers:
                if name.lower() == "set-cookie":
                    cookies.append(
                        examined(
                            value,
                            key=self.config.get("SECRET_KEY"),
                            digest=self.config.get("SESSION_DIGEST", "sha1"),
                            is_on_server=self.store is not None,
                            aliases=self.aliases,
                        )
                    )
                    self.keep(value.split(";")[0].partition("=")[2])
                elif name.lower() in {"vary", "cache-control", "retry-after"}:
                    shown_headers.append(f"{name.lower()}: {value}")
        return Outcome(
            values=tuple(self.values),
            errors=tuple(self.errors),
            status=", ".join(status for status, _ in self.responses),
            headers=tuple(shown_headers),
            cookies=tuple(cookies),
            reports=tuple(self.log.reports),
            stored=tuple(self.store.payloads) if isinstance(self.store, _WatchedStore) else (),
        )

    def keep(self, value: str) -> None:
        """Do as browsers do; of several with one name, all but one are deleted."""
        if value:
            self.latest, self.first = value, self.first or value
        else:
            self.latest = None


async def outcomes_of(
    requests: Requests, log: _Log, clock: Traveller, stores: dict[str, SessionStore]
) -> list[Outcome]:
    """Return what is seen of each visit."""
    clock.move_to(START)
    run = _Run(requests, log, clock, stores)

    def refused(_: Quart, report: object) -> None:
        log.reports.append(f"session_refused {str(report)!a}")

    def reset(_: Quart, report: object) -> None:
        log.reports.append(f"field_reset {str(report)!a}")

    def raised(_: Quart, exception: BaseException) -> None:
        run.errors.append(told(exception))

    async with AsyncExitStack() as connected:
        for signal, receiver in (
            (session_refused, refused),
            (field_reset, reset),
            (got_request_exception, raised),
            (got_websocket_exception, raised),
        ):
            connected.enter_context(signal.connected_to(receiver))
        return [await run.outcome_of(visit) for visit in requests.visits]


async def _main(urls: list[str]) -> None:
    """Answer each line of the standard input with one."""
    by_name = dict(url.split("=", maxsplit=1) for url in urls)
    stores = {name: open_store(url) for name, url in by_name.items()}
    log = _Log()
    logging.getLogger().addHandler(log)
    logging.getLogger("typed_sessions").setLevel(logging.DEBUG)
    decoder, answers = msgspec.json.Decoder(Requests), sys.stdout.buffer
    sys.stdout = sys.stderr
    answers.write(f"{typed_sessions.__file__}\n".encode())
    answers.flush()

    with time_machine.travel(START, tick=False) as clock:
        for number, line in enumerate(sys.stdin.buffer):
            requests = decoder.decode(line)
            if requests.store == "sqlite":  # a file of its own: what a sequence leaves behind, no other one meets
                await stores["sqlite"].close()
                stores["sqlite"] = open_store(f"{by_name['sqlite']}.{number}")
            outcomes = await outcomes_of(requests, log, clock, stores)
            answers.write(msgspec.json.encode(outcomes) + b"\n")
            answers.flush()
    for store in stores.values():
        await store.close()


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1:]))
