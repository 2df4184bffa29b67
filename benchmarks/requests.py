"""Whole requests, through Quart's ASGI entry, to views that do nothing but use the session."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from time import thread_time_ns
from typing import Any, Final, TypeAlias

import quart

from benchmarks.contenders import (
    BrokenContender,
    OnQuart,
    Ours,
    cookie_header,
    permanent,
    prove,
    quart_config,
    with_attrs_class,
)
from benchmarks.measure import Timed, compare
from benchmarks.payloads import SIZES, Size, values
from benchmarks.table import Table

__all__ = ["request_table"]

Use: TypeAlias = Callable[[OnQuart, Any], object]
"""What a view does with the session."""

_OK: Final = 200

_USES: Final[Mapping[str, Use]] = {
    "one change": lambda contender, session: contender.change(session),
    "read only": lambda contender, session: contender.read(session),
    "untouched": lambda _, __: None,
    "nested change": lambda contender, session: contender.change_nested(session),
}


def request_table(*, seconds: float, refresh: bool, sizes: tuple[Size, ...] = SIZES) -> Table:
    """Return how many times faster whole requests are with each interface of ours than with Quart's.

    The last column is an application without a secret key: no session interface can be faster.

    Args:
        seconds: how long to measure, in all.
        refresh: whether each response sends the cookie of a session anew.
        sizes: of what the sessions hold.

    Raises:
        BrokenContender: a request does not do its work.
    """
    rows: list[tuple[str, ...]] = []
    blocks = [(use, size) for use in _USES for size in sizes if use != "nested change" or "cart" in values(size)]
    names: list[str] = []
    with asyncio.Runner() as runner:
        for use, size in blocks:
            base = _requests(OnQuart("Quart", permanent(values(size)), quart_config(refresh=refresh)), use, runner)
            candidates = {each.name: _requests(each, use, runner) for each in _ours(size, refresh=refresh)}
            candidates["no session"] = _requests_without_session(runner)
            found = compare(base, candidates, seconds=seconds / len(blocks))
            names = list(candidates)
            figures = (f"{found.ratios[name].median:.2f}" for name in names)
            rows.append((f"{use}, {size}", f"{found.base_microseconds:.0f}", *figures))
    return Table("Whole requests", ("times as fast as with Quart's interface", "Quart, us", *names), tuple(rows))


def _ours(size: Size, *, refresh: bool) -> list[OnQuart]:
    config = quart_config(refresh=refresh)
    return [Ours("no schema", permanent(values(size)), config), *with_attrs_class(size, config)]


def _requests(contender: OnQuart, use: str, runner: asyncio.Runner) -> Timed:
    """Return requests that bring a contender's cookie to a view that uses the session in one way."""
    cookies = prove(contender)

    @contender.app.get("/")
    async def view() -> str:
        _USES[use](contender, contender.current())
        return ""

    writes = "change" in use or contender.writes_unchanged
    return _timed(contender.app, [(b"cookie", cookie_header(cookies).encode())], runner, writes=writes)


def _requests_without_session(runner: asyncio.Runner) -> Timed:
    app = quart.Quart(__name__)

    @app.get("/")
    async def view() -> str:
        return ""

    return _timed(app, [], runner, writes=False)


def _timed(app: quart.Quart, headers: list[tuple[bytes, bytes]], runner: asyncio.Runner, *, writes: bool) -> Timed:
    async def run(count: int) -> int:
        exchanges = [_Exchange(headers) for _ in range(count)]
        started = thread_time_ns()
        for exchange in exchanges:
            await app(exchange.scope, exchange.receive, exchange.send)
        spent = thread_time_ns() - started
        if not all(exchange.is_answered(writes=writes) for exchange in exchanges):
            raise BrokenContender("a request was not answered as it should be")
        return spent

    return lambda count: runner.run(run(count))


class _Exchange:
    """A request to the root, as a server hands it over, and what comes back."""

    def __init__(self, headers: list[tuple[bytes, bytes]]) -> None:
        self.scope: Any = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.4"},
            "http_version": "1.1",
            "method": "GET",
            "scheme": "http",
            "path": "/",
            "raw_path": b"/",
            "query_string": b"",
            "root_path": "",
            "headers": [(b"host", b"localhost"), *headers],
            "client": ("127.0.0.1", 50000),
            "server": ("127.0.0.1", 80),
            "extensions": {},
        }
        self._received = False
        self._start: Any = None

    async def receive(self) -> Any:
        if self._received:
            await asyncio.get_running_loop().create_future()  # the client stays until Quart stops listening
        self._received = True
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            self._start = message

    def is_answered(self, *, writes: bool) -> bool:
        names = [name.lower() for name, _ in self._start["headers"]]
        return self._start["status"] == _OK and (b"set-cookie" in names) is writes
