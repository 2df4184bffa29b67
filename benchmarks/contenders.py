"""What is measured: each library behind the same few verbs, with a session that holds the same values.

Here are those that need nothing but what this repository installs: Quart, Flask, the floor, and this library.
`peers.py` has the others.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine, Generator, Iterable, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import timedelta
from typing import Any, Final, TypeVar, cast, get_args

import msgspec
from flask import Flask
from quart import Quart
from quart import session as quart_session
from quart.wrappers import Request, Response
from typing_extensions import override
from werkzeug.datastructures import Headers
from werkzeug.test import EnvironBuilder

from benchmarks.payloads import KINDS, Kind, Size, declared_values, plain_values, schema_class, values
from benchmarks.sealing import BareSealer
from typed_sessions.flask import Sessions as FlaskSessions
from typed_sessions.quart import Sessions
from typed_sessions.serializers.base import SerializerName

__all__ = [
    "FLOOR",
    "PEERS",
    "SECRET_KEY",
    "SERIALIZERS",
    "BrokenContender",
    "Contender",
    "OnQuart",
    "Ours",
    "OursByKey",
    "OursWithClass",
    "UsedThroughData",
    "cookie_header",
    "finished",
    "local_contenders",
    "permanent",
    "prove",
    "quart_config",
    "sent_cookies",
    "stock",
    "with_attrs_class",
]

SECRET_KEY: Final = "for-benchmarks-only-and-32-bytes"  # noqa: S105 -- no secret

SERIALIZERS: Final[tuple[SerializerName, ...]] = get_args(SerializerName)

PEERS: Final = "peers"
FLOOR: Final = "floor"

CHANGED_USER: Final = 482114
CHANGED_QUANTITY: Final = 12

T = TypeVar("T")


class BrokenContender(Exception):  # noqa: N818 -- it names what is wrong
    """A contender does not do the work that it is to be measured by."""


class Contender(ABC):
    """One library, and a request whose cookie its sessions are opened from.

    Args:
        name: the heading of its column.
        contents: what the sessions hold.
    """

    family: str = PEERS
    """The table that it stands in: `PEERS`, `FLOOR`, or the name of a format of ours."""
    writes_unchanged: bool = False
    """True if it sends a cookie, too, when nothing has changed."""
    opens_untouched: bool = False
    """True if it is no session that could be left untouched."""

    def __init__(self, name: str, contents: dict[str, object]) -> None:
        self.name: Final = name
        self.contents: Final = contents

    @property
    def is_nested(self) -> bool:
        """True if the contents have something nested to change."""
        return "cart" in self.contents

    def context(self) -> AbstractContextManager[object]:
        """Return what is to be entered before anything else is called."""
        return nullcontext()

    @abstractmethod
    def bring(self, cookies: Mapping[str, str]) -> None:
        """Make the sessions that follow those of a request with these cookies."""

    @abstractmethod
    def response(self) -> Any:
        """Return a response, or what stands for one, that sets no cookie yet."""

    @abstractmethod
    async def open(self) -> Any:
        """Return the session of the request."""

    @abstractmethod
    async def save(self, session: Any, response: Any) -> None:
        """Put a session on a response."""

    @abstractmethod
    def sent(self, response: Any) -> dict[str, str]:
        """Return the cookies that a response sets, by name."""

    def read(self, session: Any) -> object:
        """Return one value."""
        return session["user_id"]

    def read_nested(self, session: Any) -> object:
        """Return a value of an object in a list."""
        return session["cart"][0]["qty"]

    def change(self, session: Any) -> None:
        """Change one value."""
        session["user_id"] = CHANGED_USER

    def change_nested(self, session: Any) -> None:
        """Change a value of an object in a list, and say so where the library needs to be told."""
        session["cart"][0]["qty"] = CHANGED_QUANTITY
        session.modified = True

    def fill(self, session: Any) -> None:
        """Store the contents in a session that is new."""
        for key, value in self.contents.items():
            session[key] = value

    def held(self, session: Any) -> dict[str, object]:
        """Return what a session holds, to compare with the contents."""
        return dict(session)


def cookie_header(cookies: Mapping[str, str]) -> str:
    """Return the text of a `Cookie` header."""
    return "; ".join(f"{name}={value}" for name, value in cookies.items())


def sent_cookies(headers: Iterable[str]) -> dict[str, str]:
    """Return the names and values of `Set-Cookie` headers."""
    pairs = [header.partition(";")[0].partition("=") for header in headers]
    return {name: value for name, _, value in pairs}


def finished(work: Coroutine[Any, Any, T]) -> T:
    """Return what a coroutine returns that waits for nothing. No event loop is needed, and none is measured."""
    try:
        work.send(None)
    except StopIteration as stop:
        result: T = stop.value
        return result
    work.close()
    raise RuntimeError("it waits for something")


def prove(contender: Contender) -> dict[str, str]:
    """Give a contender the cookies of its contents, once it is seen to do its work, and return them.

    Raises:
        BrokenContender: it does not open what it saved, loses a change, or saves what has not changed.
    """
    with contender.context():
        contender.bring({})
        cookies = finished(_saved(contender, contender.fill))
        contender.bring(cookies)
        _expect(contender, "open what it saved", contender.held(finished(contender.open())) == contender.contents)
        changes = [("user_id", contender.change, contender.read, CHANGED_USER)]
        if contender.is_nested:
            changes.append(("cart", contender.change_nested, contender.read_nested, CHANGED_QUANTITY))
        for key, change, read, changed in changes:
            contender.bring(cookies)
            sent = finished(_saved(contender, change))
            _expect(contender, "save a change", bool(sent))
            contender.bring(sent)
            session = finished(contender.open())
            _expect(contender, "save what was changed", read(session) == changed)
            held = contender.held(session)
            _expect(contender, "keep the rest", held == {**contender.contents, key: held[key]})
        contender.bring(cookies)
        writes = bool(finished(_saved(contender, contender.read)))
        _expect(contender, "write when it is said to", writes is contender.writes_unchanged)
    return cookies


async def _saved(contender: Contender, use: Callable[[Any], object]) -> dict[str, str]:
    """Return the cookies that a request sends which uses its session."""
    session, response = await contender.open(), contender.response()
    use(session)
    await contender.save(session, response)
    return contender.sent(response)


def _expect(contender: Contender, what: str, done: bool) -> None:  # noqa: FBT001 -- what was found
    if not done:
        raise BrokenContender(f"{contender.name} ({contender.family}) does not {what}")


class OnQuart(Contender):
    """Quart's own interface as it is shipped, with requests and responses of Quart's."""

    def __init__(self, name: str, contents: dict[str, object], config: Mapping[str, object]) -> None:
        super().__init__(name, contents)
        self.app: Final = Quart(__name__)
        self.app.config.update(config)
        self.writes_unchanged = self.app.config["SESSION_REFRESH_EACH_REQUEST"]
        self._interface: Any = self.app.session_interface
        self.bring({})

    @override
    @contextmanager
    def context(self) -> Generator[None, None, None]:
        context: Any = self.app.app_context()  # whose __aexit__ is not annotated to take None
        finished(context.__aenter__())
        try:
            yield
        finally:
            finished(context.__aexit__(None, None, None))

    @override
    def bring(self, cookies: Mapping[str, str]) -> None:
        self._request: Any = quart_request(self.app, cookies)

    def current(self) -> Any:
        """Return the session of the request that Quart is handling."""
        return quart_session

    @override
    def response(self) -> Any:
        return Response("")

    @override
    async def open(self) -> Any:
        return await self._interface.open_session(self.app, self._request)

    @override
    async def save(self, session: Any, response: Any) -> None:
        await self._interface.save_session(self.app, session, response)

    @override
    def sent(self, response: Any) -> dict[str, str]:
        return sent_cookies(response.headers.getlist("Set-Cookie"))


def quart_request(app: Quart, cookies: Mapping[str, str]) -> Request:
    """Return a request of Quart's that has parsed its Cookie header."""
    request = app.request_class(
        "GET",
        "http",
        "/",
        b"",
        Headers([("Cookie", cookie_header(cookies))]),
        "",
        "1.1",
        cast("Any", {}),  # the ASGI scope, which no session interface looks at
        send_push_promise=cast("Any", None),  # and nothing pushes
    )
    assert request.cookies.to_dict() == dict(cookies)  # noqa: S101 -- parsed here, not where the time is taken
    return request


class Ours(OnQuart):
    """This library in Quart, without a schema: a session is a dict, used by key.

    Args:
        schema: the class that declares the contents; None for none.
        serializer: the format.
    """

    def __init__(
        self,
        name: str,
        contents: dict[str, object],
        config: Mapping[str, object],
        *,
        schema: Callable[[], Any] | None = None,
        serializer: SerializerName = "tagged-json",
    ) -> None:
        super().__init__(name, contents, config)
        self.family = serializer
        self.sessions: Final = Sessions[Any](cast("Any", schema), self.app, serializer=serializer)
        self._interface = self.app.session_interface

    @override
    def change_nested(self, session: Any) -> None:
        session["cart"][0]["qty"] = CHANGED_QUANTITY


class UsedThroughData(Contender):
    """A contender whose sessions have an object of a class as their data."""

    @override
    def read(self, session: Any) -> object:
        return session.data.user_id

    @override
    def change(self, session: Any) -> None:
        session.data.user_id = CHANGED_USER

    @override
    def read_nested(self, session: Any) -> object:
        return session.data.cart[0].qty

    @override
    def change_nested(self, session: Any) -> None:
        session.data.cart[0].qty = CHANGED_QUANTITY


class OursWithClass(UsedThroughData, Ours):
    """The same with an attrs class, a dataclass or a Struct: a session is used through its data."""

    @override
    def current(self) -> Any:
        return self.sessions.current


class OursByKey(Ours):
    """The same with such a class, used by key, as code that only knows the framework does."""

    @override
    def read_nested(self, session: Any) -> object:
        return session["cart"][0].qty

    @override
    def change_nested(self, session: Any) -> None:
        session["cart"][0].qty = CHANGED_QUANTITY


class OursWithTypedDict(Ours):
    """The same with a TypedDict, whose values are found by key in the data."""

    @override
    def read(self, session: Any) -> object:
        return session.data["user_id"]

    @override
    def change(self, session: Any) -> None:
        session.data["user_id"] = CHANGED_USER

    @override
    def change_nested(self, session: Any) -> None:
        session.data["cart"][0]["qty"] = CHANGED_QUANTITY


class OnFlask(Contender):
    """Flask's interface, in an application context of Flask's, with its requests and responses."""

    def __init__(self, name: str, contents: dict[str, object], config: Mapping[str, object]) -> None:
        super().__init__(name, contents)
        self._app: Final = Flask(__name__)
        self._app.config.update(config)
        self.writes_unchanged = self._app.config["SESSION_REFRESH_EACH_REQUEST"]
        self._interface: Any = self._app.session_interface
        self.bring({})

    @override
    def context(self) -> AbstractContextManager[object]:
        return self._app.app_context()

    @override
    def bring(self, cookies: Mapping[str, str]) -> None:
        environ = EnvironBuilder(headers=Headers([("Cookie", cookie_header(cookies))])).get_environ()
        self._request = self._app.request_class(environ)
        assert self._request.cookies.to_dict() == dict(cookies)  # noqa: S101 -- parsed here, as Quart's

    @override
    def response(self) -> Any:
        return self._app.response_class("")

    @override
    async def open(self) -> Any:
        return self._interface.open_session(self._app, self._request)

    @override
    async def save(self, session: Any, response: Any) -> None:
        self._interface.save_session(self._app, session, response)

    @override
    def sent(self, response: Any) -> dict[str, str]:
        return sent_cookies(response.headers.getlist("Set-Cookie"))


class OursOnFlask(UsedThroughData, OnFlask):
    """This library on Flask, with a class."""

    def __init__(
        self, name: str, contents: dict[str, object], config: Mapping[str, object], *, schema: Callable[[], Any]
    ) -> None:
        super().__init__(name, contents, config)
        self.family = "tagged-json"
        FlaskSessions(schema, self._app)
        self._interface = self._app.session_interface


class Unpacked:
    """What the floor opens: values, and whether to write them."""

    __slots__ = ("modified", "values")

    def __init__(self, values: dict[str, object]) -> None:
        self.values = values
        self.modified = False

    def __getitem__(self, key: str) -> object:
        return self.values[key]

    def __setitem__(self, key: str, value: object) -> None:
        self.values[key] = value
        self.modified = True


class Floor(Contender):
    """What the format itself costs: HMAC, base64, zlib and msgspec, on JSON values, without headers or a framework."""

    family = FLOOR
    opens_untouched = True

    def __init__(self, name: str, contents: dict[str, object], *, refresh: bool = False) -> None:
        super().__init__(name, contents)
        self.writes_unchanged = refresh
        self._sealer: Final = BareSealer(SECRET_KEY)
        self._text = ""

    @override
    def bring(self, cookies: Mapping[str, str]) -> None:
        self._text = cookies.get("session", "")

    @override
    def response(self) -> Any:
        return []

    @override
    async def open(self) -> Any:
        payload = self._sealer.unseal(self._text) if self._text else None
        return Unpacked({} if payload is None else msgspec.json.decode(payload))

    @override
    async def save(self, session: Any, response: Any) -> None:
        if not (session.modified or self.writes_unchanged):
            return
        response.append("session=" + self._sealer.seal(msgspec.json.encode(session.values)))

    @override
    def sent(self, response: Any) -> dict[str, str]:
        return sent_cookies(response)

    @override
    def held(self, session: Any) -> dict[str, object]:
        held: dict[str, object] = session.values
        return held


def quart_config(*, refresh: bool) -> dict[str, object]:
    """Return the settings of Quart's, Flask's and our applications: their defaults, and what makes them the same.

    Args:
        refresh: whether each response sends the cookie anew. All sessions are permanent ones.
    """
    return {
        "SECRET_KEY": SECRET_KEY,
        "SESSION_REFRESH_EACH_REQUEST": refresh,
        "SESSION_REFRESH_AFTER": timedelta(),  # ours alone reads it; the others know no such thing
    }


def permanent(contents: dict[str, object]) -> dict[str, object]:
    """Return contents with the key that makes a session permanent."""
    return {"_permanent": True, **contents}


def with_attrs_class(size: Size, config: Mapping[str, object]) -> list[OursWithClass]:
    """Return this library with an attrs class, in each format."""
    contents, schema = permanent(declared_values("attrs", size)), schema_class("attrs", size)
    return [OursWithClass(f"attrs, {name}", contents, config, schema=schema, serializer=name) for name in SERIALIZERS]


def stock(size: Size, *, refresh: bool = False) -> Contender:
    """Return what all others are compared with."""
    return OnQuart("Quart", permanent(values(size)), quart_config(refresh=refresh))


def local_contenders(size: Size, *, refresh: bool = False) -> list[Contender]:
    """Return the contenders that need nothing but what this repository installs.

    One is the stock interface once more: a measurement that is sound gives it 1.
    """
    config = quart_config(refresh=refresh)
    contenders: list[Contender] = [
        OnQuart("Quart again", permanent(values(size)), config),
        OnFlask("Flask", permanent(values(size)), config),
        Floor("floor", permanent(plain_values(size)), refresh=refresh),
        OursOnFlask(
            "attrs, on Flask", permanent(declared_values("attrs", size)), config, schema=schema_class("attrs", size)
        ),
    ]
    for serializer in SERIALIZERS:
        contenders.append(Ours("no schema", permanent(values(size)), config, serializer=serializer))
        contenders += [
            _with_schema(kind)(
                kind,
                permanent(declared_values(kind, size)),
                config,
                schema=schema_class(kind, size),
                serializer=serializer,
            )
            for kind in KINDS
        ]
        contenders.append(
            OursByKey(
                "attrs, by key",
                permanent(declared_values("attrs", size)),
                config,
                schema=schema_class("attrs", size),
                serializer=serializer,
            )
        )
    return contenders


def _with_schema(kind: Kind) -> type[Ours]:
    return OursWithTypedDict if kind == "TypedDict" else OursWithClass
