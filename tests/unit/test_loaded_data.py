"""A session of which nobody asks more than its data has no other state, and nobody can tell.

The same requests are served in a session that keeps to its data, in one that was made general at each of their steps,
and on the explaining path, which knows no such state.
"""

from __future__ import annotations

import copy
import inspect
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from datetime import UTC, datetime, timedelta
from functools import partial
from hashlib import sha256
from itertools import product
from random import Random
from typing import Annotated, Any, Final, TypedDict, TypeVar

import attrs
import pytest
from attrs import Factory, define, frozen
from msgspec import Struct
from quart import Quart, flash, render_template_string
from typing_extensions import override
from werkzeug.datastructures import MultiDict

from tests.bare_framework import App, Request, Response, finished
from tests.cases import case
from tests.conftest import nothing_generated
from tests.turns import in_turns
from typed_sessions import Essential, Formerly, SecureCookieSession, SecureCookieSessionInterface
from typed_sessions.codec import codec
from typed_sessions.codec.explaining import ExplainingPath
from typed_sessions.codec.loaded_data import LoadedData, LoadedKeys
from typed_sessions.core.rules import Format
from typed_sessions.core.session import state_of
from typed_sessions.core.session_request import was_used_late
from typed_sessions.frameworks.interface import ConfiguredApp
from typed_sessions.quart import Sessions
from typed_sessions.reports import ChangeLost, Report
from typed_sessions.serializers import JSONTag, TaggedJSONSerializer
from typed_sessions.serializers.base import AnySerializer, SerializerName

T = TypeVar("T")

FORMATS: Final[tuple[SerializerName, ...]] = ("tagged-json", "msgspec-json", "msgspec-msgpack")
NOON: Final = datetime(2026, 4, 2, 12, tzinfo=UTC)
NOW: Final = 1_780_000_000.0
DAY: Final = timedelta(days=1).total_seconds()
LONG: Final = "".join(sha256(bytes([number])).hexdigest() for number in range(15))
"""A text that no compression makes short."""
KEY, OLD_KEY = "a secret key that is long enough", "an older key, which is as long as that"


# What sessions hold


@define
class Line:
    sku: str = ""
    tags: list[str] = Factory(list[str])


@frozen
class Point:
    x: int = 0


@define
class Visitor:
    n: int = 0
    t: str = ""
    ratio: float = 0.0
    cart: list[str] = Factory(list[str])
    ids: set[int] = Factory(set[int])
    table: dict[str, int] = Factory(dict[str, int])
    lines: list[Line] = Factory(list[Line])
    point: Point = Point()
    when: datetime | None = None
    named: Annotated[int, Formerly("old_name")] = 0


@define
class Free:
    """What may nest too deep, which is asked of each payload."""

    n: int = 0
    t: str = ""
    cart: list[str] = Factory(list[str])
    free: Any = None


@frozen
class Fixed:
    n: int = 0
    t: str = ""
    cart: tuple[str, ...] = ()


@dataclass
class Plain:
    n: int = 0
    t: str = ""
    cart: list[str] = dataclass_field(default_factory=list)


class Packed(Struct):
    n: int = 0
    t: str = ""
    cart: list[str] = []


class Keys(TypedDict, total=False):
    n: int
    t: str
    cart: list[str]
    lines: list[Line]
    when: datetime


class Renamed(TypedDict, total=False):
    n: int
    t: Annotated[str, Formerly("text")]
    cart: list[str]


def guest() -> Plain:
    return Plain(cart=["gift"])


def trimmed(value: str) -> str:
    return value.strip()


def few(_: object, __: object, value: list[str]) -> None:
    if len(value) > 3:
        raise ValueError("too many")


@define
class Checked:
    """A class that converts and refuses."""

    n: int = attrs.field(default=0, validator=attrs.validators.ge(0))
    t: str = attrs.field(default="", converter=trimmed)
    cart: list[str] = attrs.field(factory=list, validator=few)


@define
class Altering:
    """A class that makes something else of what it holds, each time it is made."""

    n: int = 0
    t: str = ""
    cart: list[str] = Factory(list[str])

    def __attrs_post_init__(self) -> None:
        self.cart = sorted(self.cart)


@define
class Careful:
    n: Annotated[int, Essential] = 0
    t: str = ""
    cart: list[str] = Factory(list[str])


@define
class Flagged:
    """A class that declares Quart's own key."""

    _permanent: bool = False
    n: int = 0
    t: str = ""
    cart: list[str] = Factory(list[str])


FULL: Final[Mapping[str, object]] = {
    "n": 1,
    "t": "x",
    "ratio": 1.5,
    "cart": ["a", "b"],
    "ids": {1, 2},
    "table": {"a": 1},
    "lines": [Line("a", ["x"])],
    "point": Point(4),
    "when": NOON,
    "named": 3,
}
FEW: Final[Mapping[str, object]] = {"n": 1, "t": "x", "cart": ["a", "b"]}
FROZEN: Final[Mapping[str, object]] = {"n": 1, "t": "x", "cart": ("a", "b")}
EXPLICIT: Final[Mapping[str, object]] = {"n": 0, "t": "x", "cart": list[str]()}
PERMANENT: Final[Mapping[str, object]] = {"_permanent": True, **FEW}


# Requests


class Site:
    """An application, and what it has reported."""

    def __init__(
        self,
        schema: Any,
        serializer: SerializerName | AnySerializer,
        config: Mapping[str, object],
        interface: type[SecureCookieSessionInterface[Any]] = SecureCookieSessionInterface,
    ) -> None:
        self.now = NOW
        self.reports: list[Report] = []
        self._cookies: dict[str, str] = {}
        self.app = App({"SECRET_KEY": KEY, **config})
        self.interface = interface(
            schema,
            serializer=serializer,
            refresh_fraction=0.1,
            report=lambda _, report: self.reports.append(report),
            clock=lambda: self.now,
        )

    def open(self, *cookies: str) -> SecureCookieSession[Any]:
        request = Request(MultiDict([("session", cookie) for cookie in cookies]))
        session = finished(self.interface.open_session(self.app, request))
        assert session is not None
        return session

    @property
    def format(self) -> Format[Any]:
        """The configured one."""
        return self.interface._applications.rules_of(self.app).formats[0]  # pyright: ignore[reportPrivateUsage]

    def cookie_of(self, values: Mapping[str, object] | bytes) -> str:
        """Return the cookie of a session that holds values, or a payload, and was begun at once."""
        if isinstance(values, bytes):
            return self.format.sealer.seal(values)
        name = repr(values)
        if name not in self._cookies:
            session = self.open()
            session.update(values)
            self._cookies[name] = self.interface.seal(self.app, session)
        return self._cookies[name]


class Visit:
    """What is done with a session, step by step, and what there is to see of that."""

    def __init__(self, site: Site, *cookies: str) -> None:
        self.site = site
        self.session: Any = site.open(*cookies)
        self.cookie = cookies[-1] if cookies else None
        self.kept: list[Any] = []
        self.told: list[str] = []
        self.saves = 0
        self.saved_as_data = False
        """Whether the first save found no more than the data."""

    def take(self, step: Step) -> None:
        if step is made_general:
            state_of(self.session)
            return
        try:
            seen = step(self)
        except Exception as error:  # noqa: BLE001 -- all that there is to see
            self.told.append(f"{type(error).__name__}: {error}; {type(error.__cause__).__name__}")
        else:
            self.told.append(repr(seen))

    def save(self) -> object:
        response, interface = Response(), self.site.interface
        try:
            finished(interface.save_session(self.site.app, self.session, response))
        finally:
            self.saved_as_data = keeps_to_data(self.session) if self.saves == 0 else self.saved_as_data
            self.saves += 1
            for header in response.headers.getlist("Set-Cookie"):
                self.cookie = header.partition(";")[0].partition("=")[2] or None
            self.told.append(str([*response.headers]))
        return None

    def finish(self) -> list[str]:
        """Return all that there is to see, in the next request, too."""
        following = self.site.open(*filter(None, [self.cookie]))
        reports = map(repr, self.site.reports)
        told = [*self.told, *reports, repr(following.data), repr(dict(following)), *map(repr, self.site.reports)]
        self.site.reports.clear()
        return told


def keeps_to_data(session: SecureCookieSession[Any]) -> bool:
    state = session._state  # pyright: ignore[reportPrivateUsage]  # nobody else can tell
    return isinstance(state, list) and len(state) == 1 and isinstance(state[0], (LoadedData, LoadedKeys))


Step = Callable[[Visit], object]


def saved(visit: Visit) -> object:
    return visit.save()


def ended(visit: Visit) -> None:
    finished(visit.site.interface.save_session(visit.site.app, visit.session, None))


def made_general(visit: Visit) -> None:
    state_of(visit.session)


def looked_at(visit: Visit) -> object:
    session = visit.session
    seen = [repr(session), session.accessed, session.modified, [*session], len(session), bool(session)]
    return [
        *seen,
        [key in session for key in (*FULL, "_permanent", "old_name", "csrf_token", 7)],
        dict(session),
        dict(session.extras),
        session.new,
        session.permanent,
        {name: getattr(session.data, name, "deleted") for name in FULL},
        session.modified,
        session.accessed,
    ]


def was_late(visit: Visit) -> bool:
    return was_used_late(visit.session)


def kept(*, answers: bool) -> Step:
    return lambda visit: visit.site.interface.is_kept(visit.site.app, visit.session, answers=answers)


def reloaded(visit: Visit) -> object:
    return finished(visit.site.interface.reload(visit.site.app, visit.session))


def does(act: Callable[[Any], object]) -> Step:
    """Return a step that needs the session alone."""
    return lambda visit: act(visit.session)


def through_data(act: Callable[[Any], object]) -> Step:
    return lambda visit: act(visit.session.data)


def attribute(name: str, value: object) -> Step:
    return lambda visit: setattr(visit.session.data, name, copy.deepcopy(value))


def deleted(name: str) -> Step:
    return lambda visit: delattr(visit.session.data, name)


def stored(key: Any, value: object) -> Step:
    return lambda visit: visit.session.__setitem__(key, copy.deepcopy(value))


def read(key: Any) -> Step:
    return lambda visit: visit.session[key]


def got(key: Any, default: object = None) -> Step:
    return lambda visit: visit.session.get(key, default)


def appended(text: str = "tea") -> Step:
    return lambda visit: visit.session.data.cart.append(text)


def assigned(name: str, value: object) -> Step:
    return lambda visit: setattr(visit.session, name, value)


class Word(str):
    """A text of a class of its own."""

    __slots__ = ()


class Quiet(SecureCookieSessionInterface[Any]):
    @override
    def should_set_cookie(self, app: ConfiguredApp, session: SecureCookieSession[Any]) -> bool:
        return session.get("t") != "quiet" and super().should_set_cookie(app, session)


class Own(SecureCookieSession[Any]):
    """A class of sessions of the user's."""


class WithOwn(SecureCookieSessionInterface[Any]):
    session_class: type[SecureCookieSession[Any]] = Own


class TagComplex(JSONTag):
    __slots__ = ()
    key = " c"

    @override
    def check(self, value: object) -> bool:
        return isinstance(value, complex)

    @override
    def to_json(self, value: complex) -> object:
        return [value.real, value.imag]

    @override
    def to_python(self, value: list[float]) -> object:
        return complex(*value)


def tag_registered(visit: Visit) -> None:
    serializer = visit.site.interface.serializer
    if isinstance(serializer, TaggedJSONSerializer):
        serializer.register(TagComplex)


@frozen
class Script:
    """What a request brings, and what is done with its session."""

    steps: tuple[Step, ...]
    as_data: bool = True
    """Whether the first save finds the data alone."""
    schema: Any = Visitor
    begun: Mapping[str, object] | bytes = FULL
    config: Mapping[str, object] = {}
    interface: type[SecureCookieSessionInterface[Any]] = SecureCookieSessionInterface
    wait: float = 0.0
    cookies: Callable[[Site, str], tuple[str, ...]] = lambda _, cookie: (cookie,)
    formats: tuple[SerializerName, ...] = FORMATS
    changes_site: bool = False


general = partial(Script, as_data=False)

OF_DATA: Final[dict[str, Script]] = {
    "read": Script((through_data(lambda data: data.n), saved)),
    "read twice, as one object": Script((does(lambda session: session.data is session.data), saved)),
    "nested": Script((appended(), saved)),
    "nested everywhere": Script(
        (
            through_data(lambda data: data.lines[0].tags.append("y")),
            through_data(lambda data: data.table.update(b=2)),
            through_data(lambda data: data.ids.add(3)),
            saved,
        )
    ),
    "nested and back": Script((appended(), through_data(lambda data: data.cart.pop()), saved)),
    "attribute": Script((attribute("n", 2), saved)),
    "attribute of a class": Script((attribute("point", Point(5)), saved)),
    "attribute as it was": Script((attribute("n", 1), attribute("t", "x"), saved)),
    "attribute and back": Script((attribute("n", 5), attribute("n", 1), saved)),
    "attribute not stored before": Script((attribute("ratio", 2.5), saved), begun=FEW),
    "nested, not stored before": Script((through_data(lambda data: data.ids.add(3)), saved), begun=FEW),
    "True for an int": general((attribute("n", True), saved)),
    "True for 1 and more": general((attribute("n", True), appended(), saved)),
    "2 for a float": general((attribute("ratio", 2), saved)),
    "a text of a class of its own": general((attribute("t", Word("y")), saved)),
    "what any value is": general((attribute("free", {"a": [1, None]}), saved), schema=Free, begun=FEW),
    "the default": general((attribute("n", 0), saved)),
    "the default, seen before": general((attribute("n", 0), read("n"), got("n"), saved)),
    "the only one to its default": general((attribute("n", 0), saved), begun={"n": 1}),
    "an empty list": general((through_data(lambda data: data.cart.clear()), saved)),
    "attribute deleted": general((deleted("n"), saved)),
    "attribute deleted, read": general((deleted("n"), read("n"), got("n", 3), looked_at, saved)),
    "attribute deleted, stored": general((deleted("n"), stored("n", 5), saved)),
    "attribute deleted and set": Script((deleted("n"), attribute("n", 5), saved)),
    "attribute deleted, save twice": general((deleted("n"), saved, appended(), saved)),
    "wrong type": general((attribute("n", "seven"), saved, saved)),
    "wrong type, by key": general((attribute("n", "seven"), read("n"), stored("n", "eight"), saved, saved)),
    "wrong type, and mended": Script((attribute("n", "seven"), attribute("n", 7), saved)),
    "wrong type, mended after the save": general((attribute("n", "seven"), saved, attribute("n", 7), saved, saved)),
    "wrong type, asked about": general((attribute("n", "seven"), kept(answers=True), saved, kept(answers=True))),
    "wrong type within": general((does(lambda session: session.data.cart.append(3)), saved, saved)),
    "what no format writes": general((attribute("free", sha256), saved, saved), schema=Free, begun=FEW),
    "a naive datetime": Script((attribute("when", datetime(2026, 1, 1)), saved), formats=FORMATS[1:]),  # noqa: DTZ001
    "a naive datetime in tagged JSON": general(
        (attribute("when", datetime(2026, 1, 1)), saved, saved),  # noqa: DTZ001
        formats=("tagged-json",),
    ),
    "a list in itself": general((through_data(lambda data: data.lines[0].tags.append(data.lines)), saved, saved)),
}

BY_KEY: Final[dict[str, Script]] = {
    "read": Script((read("n"), got("t"), read("cart"), got("point"), saved)),
    "read, then changed": Script((does(lambda session: session["cart"].append("tea")), saved)),
    "read, then the default": general((read("n"), attribute("n", 0), saved)),
    "read, then the default and back": Script((read("n"), attribute("n", 0), attribute("n", 3), saved)),
    "read, then another object": Script((read("cart"), attribute("cart", ["c"]), saved)),
    "stored": Script((stored("n", 2), saved)),
    "stored twice": Script((stored("n", 2), stored("n", 3), read("n"), saved)),
    "stored as it was": Script((stored("n", 1), saved)),
    "stored and back": Script((stored("n", 5), stored("n", 1), saved)),
    "stored, and nested": Script((stored("cart", ["c"]), appended(), saved)),
    "stored True for an int": Script((stored("n", True), read("n"), saved)),
    "stored 2 for a float": Script((stored("ratio", 2), read("ratio"), saved)),
    "stored a text of a class of its own": Script((stored("t", Word("y")), read("t"), saved)),
    "stored and the attribute": Script((stored("n", 2), attribute("n", 3), read("n"), saved)),
    "stored last first": Script((stored("named", 4), stored("n", 5), saved)),
    "stored the default": general((stored("n", 0), saved)),
    "stored the default, and another": general((stored("n", 0), stored("n", 4), saved)),
    "stored another, and the default": general((stored("n", 4), stored("n", 0), saved)),
    "stored as new": general((stored("ratio", 2.5), saved), begun=FEW),
    "stored as new, and put through the data before": general(
        (attribute("ratio", 2.5), stored("ratio", 3.5), saved), begun=FEW
    ),
    "read what was put through the data": Script((attribute("ratio", 2.5), read("ratio"), saved), begun=FEW),
    "read what is not stored": general((read("ratio"), got("ratio", 3), saved), begun=FEW),
    "read what nobody declares": general((read("csrf_token"), got("csrf_token", 3), saved)),
    "stored what nobody declares": general((stored("csrf_token", "token"), saved)),
    "stored a former name": general((stored("old_name", 3), saved)),
    "read a former name": general((read("old_name"), got("old_name", 4), saved)),
    "read an attribute that is no field": general((read("__class__"), got("__init__"), saved)),
    "stored what is forbidden": general((stored("token", 1), saved), config={"SESSION_EXTRAS": "forbid"}),
    "read where more is forbidden": Script((read("n"), stored("n", 4), saved), config={"SESSION_EXTRAS": "forbid"}),
    "wrong type": Script((stored("n", "seven"), saved)),
    "wrong type, then right": Script((stored("n", "seven"), stored("n", 7), saved)),
    "wrong type within": Script((stored("cart", [3]), saved)),
    "a naive datetime": Script((stored("when", datetime(2026, 1, 1)), saved)),  # noqa: DTZ001
    "a key that is no text": general((read(7), got(7, 1), saved)),
    "a key without a hash": Script((got([]), read([]), saved)),
    "a key of a class of its own": Script((read(Word("n")), stored(Word("n"), 7), saved)),
    "permanent": general((assigned("permanent", True), saved)),
    "not permanent": general((assigned("permanent", False), saved), begun=PERMANENT),
    "is permanent": general((does(lambda session: session.permanent), saved), begun=PERMANENT),
    "flag": general((read("_permanent"), saved), begun=PERMANENT),
}

EXPLICIT_DEFAULTS: Final[dict[str, Script]] = {
    "left alone": Script((attribute("t", "y"), saved), begun=EXPLICIT),
    "read by key": general((read("n"), got("cart"), saved), begun=EXPLICIT),
    "set to other": Script((attribute("n", 5), saved), begun=EXPLICIT),
    "set to other and back": Script((attribute("n", 5), attribute("n", 0), saved), begun=EXPLICIT),
    "set to other and back, and more": Script(
        (attribute("n", 5), attribute("n", 0), attribute("t", "y"), saved), begun=EXPLICIT
    ),
    "set to other, seen, and back": general((attribute("n", 5), read("n"), attribute("n", 0), saved), begun=EXPLICIT),
    "set to other, got, and back": general((attribute("n", 5), got("n"), attribute("n", 0), saved), begun=EXPLICIT),
    "set to other, stored, and back": general(
        (attribute("n", 5), stored("n", 6), attribute("n", 0), saved), begun=EXPLICIT
    ),
    "set to other, stored back": general((attribute("n", 5), stored("n", 0), saved), begun=EXPLICIT),
    "set to other, seen, and back twice": Script(
        (attribute("n", 5), read("n"), attribute("n", 0), attribute("n", 7), saved), begun=EXPLICIT
    ),
    "another is seen, and back": Script((attribute("n", 5), read("t"), attribute("n", 0), saved), begun=EXPLICIT),
    "stored": general((stored("n", 5), saved), begun=EXPLICIT),
    "stored itself": general((stored("n", 0), saved), begun=EXPLICIT),
    "grown and emptied": Script((appended(), through_data(lambda data: data.cart.pop()), saved), begun=EXPLICIT),
    "grown, seen, and emptied": general(
        (appended(), read("cart"), through_data(lambda data: data.cart.pop()), saved), begun=EXPLICIT
    ),
    "both grown, seen, and emptied": general(
        (
            attribute("n", 5),
            appended(),
            does(lambda session: (session["n"], session["cart"])),
            attribute("n", 0),
            through_data(lambda data: data.cart.pop()),
            saved,
        ),
        begun=EXPLICIT,
    ),
    "both grown and seen, one back": general(
        (
            attribute("n", 5),
            appended(),
            does(lambda session: (session["n"], session["cart"])),
            attribute("n", 0),
            saved,
        ),
        begun=EXPLICIT,
    ),
    "stored, what came again, seen": general((stored("n", 0), attribute("n", 1), read("n"), saved), begun=FEW),
    "stored beside, set to other, seen, and back": general(
        (stored("n", 0), attribute("n", 5), read("n"), attribute("n", 0), saved), begun={"t": "x"}
    ),
    "deleted, asked for, and back": general(
        (deleted("n"), read("n"), attribute("n", 0), saved, looked_at), begun=EXPLICIT
    ),
    "saved between": Script((attribute("n", 5), saved, attribute("n", 0), saved, looked_at), begun=EXPLICIT),
    "alone": Script((attribute("n", 5), attribute("n", 0), saved), begun={"n": 0}),
    "alone, seen, and back": general((attribute("n", 5), read("n"), attribute("n", 0), saved), begun={"n": 0}),
}

OF_KINDS: Final[dict[str, tuple[Any, Mapping[str, object]]]] = {
    "dataclass": (Plain, FEW),
    "struct": (Packed, FEW),
    "factory": (guest, FEW),
    "checked": (Checked, FEW),
    "altering": (Altering, FEW),
}

OF_EACH_KIND: Final[dict[str, tuple[Step, ...]]] = {
    "read": (through_data(lambda data: data.n), read("t"), got("cart"), saved),
    "nested": (appended(), saved),
    "stored": (stored("n", 2), saved),
    "attribute": (attribute("n", 2), read("n"), saved),
    "wrong type": (attribute("n", "seven"), saved, saved),
    "the default": (through_data(lambda data: data.cart.clear()), saved, looked_at),
    "replaced": (does(lambda session: session.replace(copy.copy(session.data))), saved),
    "several": (read("n"), appended("0"), stored("t", " y "), attribute("n", 4), saved, looked_at),
}

NOT_AS_DATA: Final = {
    "factory": {*OF_EACH_KIND},
    "checked": {"stored", "the default", "replaced", "several"},
    "altering": {"stored", "wrong type", "the default", "replaced", "several"},
}
"""What takes more than the data of a kind, beside what it takes more for in any kind."""

KINDS: Final[dict[str, Script]] = {
    f"{kind}, {name}": Script(
        steps,
        schema=schema,
        begun=begun,
        as_data=name not in NOT_AS_DATA.get(kind, {"wrong type", "the default", "replaced"}),
    )
    for kind, (schema, begun) in OF_KINDS.items()
    for name, steps in OF_EACH_KIND.items()
} | {
    "altering, altered": general(
        (read("n"), saved), schema=Altering, begun=b'{"n":1,"cart":["b","a"]}', formats=FORMATS[:2]
    ),
    "checked, refused attribute": Script((attribute("n", -1), saved), schema=Checked, begun=FEW),
    "checked, refused key": general((stored("n", -1), saved), schema=Checked, begun=FEW),
    "checked, converted attribute": Script((attribute("t", " y "), read("t"), saved), schema=Checked, begun=FEW),
    "checked, refused when it is read": general(
        (appended("c"), appended("d"), saved, saved), schema=Checked, begun=FEW
    ),
    "altering, out of order": general((appended("0"), saved), schema=Altering, begun=FEW),
    "frozen, read": Script(
        (through_data(lambda data: data.n), read("t"), got("cart"), saved), schema=Fixed, begun=FROZEN
    ),
    "frozen, refused": Script((attribute("n", 2), saved), schema=Fixed, begun=FROZEN),
    "frozen, stored": general((stored("n", 2), saved), schema=Fixed, begun=FROZEN),
    "frozen, replaced": general(
        (does(lambda session: session.replace(attrs.evolve(session.data, n=4))), saved), schema=Fixed, begun=FROZEN
    ),
    "frozen, by force": Script(
        (through_data(lambda data: object.__setattr__(data, "n", 5)), read("n"), saved), schema=Fixed, begun=FROZEN
    ),
    "declares the flag": general(
        (read("n"), attribute("_permanent", True), saved), schema=Flagged, begun={"n": 1, "_permanent": True}
    ),
    "field that refuses the session": Script((read("n"), stored("n", 4), saved), schema=Careful, begun=FEW),
}


def item(key: Any, value: object) -> Step:
    return lambda visit: visit.session.data.__setitem__(key, copy.deepcopy(value))


def grown(text: str = "tea") -> Step:
    return lambda visit: visit.session["cart"].append(text)


OF_KEYS: Final[dict[str, tuple[Step, ...]]] = {
    "read": (read("n"), got("t"), saved),
    "data": (through_data(lambda data: data["n"]), saved),
    "nested": (grown(), saved),
    "nested in data": (through_data(lambda data: data["cart"].append("tea")), saved),
    "nested and back": (grown(), does(lambda session: session["cart"].pop()), saved),
    "nested, and not asked for": (read("cart"), grown(), read("n"), saved),
    "stored": (stored("n", 2), read("n"), saved),
    "stored as it was": (stored("n", 1), stored("t", "x"), saved),
    "stored and back": (stored("n", 5), stored("n", 1), saved),
    "stored 0": (stored("n", 0), saved),
    "item": (item("n", 2), read("n"), saved),
    "item as new": (item("token", "a"), read("token"), saved),
    "item taken out": (through_data(lambda data: data.pop("t")), got("t", 3), saved),
    "item taken out and back": (through_data(lambda data: data.pop("t")), item("t", "x"), saved),
    "all taken out": (through_data(lambda data: data.clear()), saved),
    "all but nothing": (through_data(lambda data: data.update(dict(data))), saved),
    "read what is not there": (read("token"), got("token", 3), saved),
    "stored as new": (stored("token", "a"), read("token"), saved),
    "stored a wrong type": (stored("n", "seven"), saved),
    "stored what no format writes": (stored("t", sha256), saved, saved),
    "wrong type in data": (item("n", "seven"), saved, saved),
    "wrong type in data, mended": (item("n", sha256), saved, item("n", 4), saved),
    "True for an int": (stored("n", True), saved),
    "a key that is no text": (stored(7, 1), read(7), got(7), saved),
    "an item that is no text": (item(7, 1), saved),
    "a key without a hash": (got([]), read([]), stored([], 1), saved),
    "a key of a class of its own": (stored(Word("n"), 7), read(Word("n")), item(Word("more"), 1), saved),
    "a text of a class of its own": (stored("t", Word("y")), item("t", Word("z")), saved),
    "permanent": (assigned("permanent", True), grown(), saved),
    "flag": (got("_permanent"), read("_permanent"), stored("_permanent", "yes"), saved),
    "former name": (read("text"), stored("text", "y"), saved),
    "deleted": (does(lambda session: session.__delitem__("t")), saved),
    "popped": (does(lambda session: session.pop("t")), grown(), saved),
    "cleared": (does(lambda session: session.clear()), saved),
    "updated": (does(lambda session: session.update(n=4, t="z")), saved),
    "replaced": (does(lambda session: session.replace({"n": 4})), saved),
    "setdefault": (does(lambda session: session.setdefault("token", []).append(1)), saved),
    "looked at": (grown(), saved, looked_at),
    "late": (read("n"), saved, stored("n", 5), grown(), looked_at, saved),
    "late in data": (read("n"), saved, item("n", 5), looked_at, saved),
    "saved between": (stored("n", 5), saved, stored("n", 1), saved),
    "kept": (grown(), saved, kept(answers=True), kept(answers=False), reloaded),
    "kept, asked before": (grown(), kept(answers=True), kept(answers=False), saved),
    "end of a websocket": (grown(), ended, looked_at),
    "said not to be modified": (grown(), assigned("modified", False), saved),
}

LOSSY: Final = {
    "a key of a class of its own",
    "a key that is no text",
    "a text of a class of its own",
    "an item that is no text",
}

MORE_THAN_KEYS: Final = LOSSY | {
    "all taken out",
    "cleared",
    "deleted",
    "end of a websocket",
    "item taken out",
    "kept, asked before",
    "popped",
    "read what is not there",
    "replaced",
    "said not to be modified",
    "setdefault",
    "updated",
    "wrong type in data, mended",
    "flag",
    "former name",
}
"""What takes more than the keys of a session, declared or not."""

MORE_THAN_DECLARED: Final = MORE_THAN_KEYS | {"permanent", "stored as new", "wrong type in data"}
MORE_THAN_OPEN: Final = MORE_THAN_KEYS | {"stored what no format writes", "True for an int"}


def of_keys(
    schema: Any,
    begun: Mapping[str, object] | bytes,
    more: Collection[str] = OF_KEYS,
    formats: tuple[SerializerName, ...] = FORMATS,
) -> dict[str, Script]:
    """Return scripts of sessions whose data is a dict.

    Args:
        schema: the TypedDict, or None.
        begun: what they hold.
        more: what takes more than data; everything by default.
        formats: in which they are.
    """
    return {
        name: Script(
            steps,
            as_data=name not in more,
            schema=schema,
            begun=begun,
            formats=formats,
            changes_site=name in LOSSY,  # which it says once
        )
        for name, steps in OF_KEYS.items()
        if begun is FEW or name not in LOSSY
    }


ACTS: Final[dict[str, Callable[[Any], object]]] = {
    "keys": lambda session: [*session.keys()],
    "items": lambda session: [*session.items()],
    "len": len,
    "bool": bool,
    "in": lambda session: "n" in session,
    "repr": repr,
    "equal": lambda session: session == dict(session),
    "extras": lambda session: dict(session.extras),
    "new": lambda session: session.new,
    "modified": lambda session: session.modified,
    "copy": lambda session: session.copy(),
    "copy.copy": lambda session: repr(copy.copy(session)),
    "copy.deepcopy": lambda session: repr(copy.deepcopy(session)),
    "pop": lambda session: session.pop("t"),
    "pop what is not there": lambda session: session.pop("u", 3),
    "popitem": lambda session: session.popitem(),
    "setdefault": lambda session: session.setdefault("t", "z"),
    "update": lambda session: session.update(t="z", n=4),
    "refused update": lambda session: session.update(t="z", n="four"),
    "or": lambda session: session.__ior__({"t": "z"}) is session,
    "del": lambda session: session.__delitem__("t"),
    "del what is not there": lambda session: session.__delitem__("u"),
    "clear": lambda session: session.clear(),
    "invalidate": lambda session: session.invalidate(),
    "regenerate": lambda session: session.regenerate(),
    "promote": lambda session: session.promote(t="z"),
    "reversed": lambda session: [*reversed(session)],
    "replace": lambda session: session.replace(Visitor(n=4)),
    "said to be modified": lambda session: setattr(session, "modified", True),
    "said not to be": lambda session: setattr(session, "modified", False),
}

MORE_THAN_DATA: Final[dict[str, Script]] = {
    name: general((appended(), does(act), stored("n", 7), attribute("t", "y"), saved, looked_at))
    for name, act in ACTS.items()
}

AFTER_THE_SAVE: Final[dict[str, Script]] = {
    "nothing": Script((appended(), saved)),
    "a look": Script((appended(), saved, looked_at)),
    "a look at what nobody changed": Script((read("n"), saved, looked_at, looked_at)),
    "asked for late": Script((read("n"), saved, was_late, through_data(lambda data: data.n), was_late, read("t"))),
    "asked for late, by key": Script((read("n"), saved, was_late, read("t"), was_late)),
    "asked for late, untouched before": general((saved, was_late, attribute("n", 5), was_late, stored("t", "z"))),
    "a late change through the data": Script((read("n"), saved, attribute("n", 5), looked_at)),
    "a late change by key": Script((read("n"), saved, stored("n", 5), stored("n", 6), stored("t", "z"))),
    "a late change of an extra": Script((read("n"), saved, stored("token", "t"), looked_at)),
    "a late change, and a save": Script((read("n"), saved, stored("n", 5), saved, stored("n", 6), saved)),
    "a late clear": Script((appended(), saved, does(lambda session: session.clear()), saved)),
    "pickled": Script((appended(), does(lambda session: session.__reduce_ex__(4)), saved)),
    "the same change, saved twice": Script((appended(), saved, saved, looked_at)),
    "nothing, saved twice": Script((read("n"), saved, saved)),
    "more, saved again": Script((appended(), saved, appended("more"), saved)),
    "kept?": Script((appended(), saved, kept(answers=True), kept(answers=False))),
    "kept, if nothing has changed?": Script((read("n"), saved, kept(answers=True), kept(answers=False))),
    "kept, if it was late?": Script((read("n"), saved, attribute("n", 5), kept(answers=True), stored("n", 6))),
    "kept, asked before": general((appended(), kept(answers=True), kept(answers=False), saved)),
    "kept, asked before, unchanged": general((read("n"), kept(answers=True), kept(answers=False), saved)),
    "reloaded": Script((appended(), saved, reloaded, looked_at)),
    "reloaded before": general((appended(), reloaded, saved)),
    "reloaded when it is over": Script(
        (appended(), saved, lambda visit: setattr(visit.site, "now", visit.site.now + 40 * DAY), reloaded)
    ),
    "said to be unused": general((appended(), assigned("accessed", False), saved)),
    "said to be unused, nothing changed": general((read("n"), assigned("accessed", False), saved)),
    "the end of a websocket": general((read("n"), ended)),
    "the end of a websocket, changed": general((appended(), ended, looked_at)),
    "the end of a websocket, by key": general((stored("n", 4), ended, stored("n", 5))),
    "the end of a websocket, wrong": general((attribute("n", "seven"), ended)),
    "the end of a websocket, after a save": Script((read("n"), saved, appended(), ended)),
}


def signed_by_another(_: Site, cookie: str) -> tuple[str, ...]:
    return (cookie[:-4] + ("AAAA" if cookie[-4:] != "AAAA" else "BBBB"),)


def young(site: Site) -> str:
    """Return a cookie of another session, begun just now."""
    session = site.open()
    session["n"] = 9
    return site.interface.seal(site.app, session)


def under_the_old_key(site: Site, _: str) -> tuple[str, ...]:
    return (Site(Visitor, site.interface.serializer, {"SECRET_KEY": OLD_KEY}).cookie_of(FULL),)


def in_another_format(site: Site, _: str) -> tuple[str, ...]:
    name = getattr(site.interface.serializer, "name", "")
    return (Site(Visitor, FORMATS[FORMATS.index(name) - 1], {}).cookie_of(FULL),)


COOKIES: Final[dict[str, Script]] = {
    "none": general((read("n"), appended(), saved), cookies=lambda _, __: ()),
    "none, unchanged": general((through_data(lambda data: data.n), saved), cookies=lambda _, __: ()),
    "none, by a former name and through the data": general(
        (stored("old_name", 5), attribute("named", 3), saved), cookies=lambda _, __: ()
    ),
    "tampered": general((read("n"), through_data(lambda data: data.n), saved), cookies=signed_by_another),
    "tampered, changed": general((appended(), saved), cookies=signed_by_another),
    "no cookie of ours, untouched": general((saved,), cookies=lambda _, __: ("x",)),
    "untouched": general((saved, looked_at), begun=PERMANENT),
    "untouched, to be refreshed": general((saved, looked_at), begun=PERMANENT, wait=20 * DAY),
    "untouched, and no refresh due": general((saved,), begun=PERMANENT, wait=DAY),
    "untouched, one of two to be refreshed": general(
        (saved,), begun=PERMANENT, wait=20 * DAY, cookies=lambda site, cookie: (young(site), cookie)
    ),
    "untouched, too young": general((saved,), wait=-DAY),
    "no cookie of ours": general((appended(), saved), cookies=lambda _, __: ("x",)),
    "expired": general((appended(), saved), wait=40 * DAY),
    "under an older key": Script(
        (read("n"), stored("n", 4), appended(), saved),
        cookies=under_the_old_key,
        config={"SECRET_KEY_FALLBACKS": [OLD_KEY]},
    ),
    "under a key of the past": general((read("n"), appended(), saved), cookies=under_the_old_key),
    "in another format": general((read("n"), appended(), saved), cookies=in_another_format),
    "in another format, unchanged": general((read("n"), saved), cookies=in_another_format),
    "two": general((read("n"), appended(), saved), cookies=lambda site, cookie: (site.cookie_of({"n": 9}), cookie)),
    "one twice": general((read("n"), appended(), saved), cookies=lambda _, cookie: (cookie, cookie)),
    "two, one tampered": general(
        (read("n"), saved), cookies=lambda site, cookie: (*signed_by_another(site, cookie), cookie)
    ),
    "an extra": Script((appended(), read("n"), saved), begun={**FULL, "csrf_token": "token"}),
    "a former name": general((read("named"), stored("named", 7), saved), begun=b'{"old_name":3}', formats=FORMATS[:2]),
    "a field that does not fit": general(
        (read("t"), appended(), saved), begun=b'{"n":"x","t":"y"}', formats=FORMATS[:2]
    ),
    "a field that does not fit, refused": general(
        (read("t"), appended(), saved),
        begun=b'{"n":"x","t":"y"}',
        formats=FORMATS[:2],
        config={"SESSION_ON_BAD_FIELD": "session"},
    ),
    "a field that does not fit, essential": general(
        (read("t"), appended(), saved), schema=Careful, begun=b'{"n":"x","t":"y"}', formats=FORMATS[:2]
    ),
    "no mapping": general((read("t"), appended(), saved), begun=b"[1]", formats=FORMATS[:2]),
    "no JSON": general((read("t"), appended(), saved), begun=b"{", formats=FORMATS[:2]),
    "a flag that is none": general((read("t"), saved), begun=b'{"_permanent":1,"t":"y"}', formats=FORMATS[:2]),
    "spelled otherwise": Script((read("n"), saved), begun=b'{ "t" : "y", "n" : 1 }', formats=FORMATS[:2]),
    "spelled otherwise, changed": Script((stored("n", 2), saved), begun=b'{ "t" : "y", "n" : 1 }', formats=FORMATS[:2]),
    "in another order": Script((stored("n", 2), saved), begun={"t": "y", "n": 1, "cart": ["a"]}),
    "in another order, and one more": Script((attribute("ratio", 2.5), saved), begun={"t": "y", "n": 1}),
    "a key twice": Script((read("n"), stored("t", "z"), saved), begun=b'{"n":1,"n":2,"t":"y"}', formats=FORMATS[:2]),
    "nothing": Script((through_data(lambda data: data.n), saved), begun=b"{}", formats=FORMATS[:2]),
    "nothing, changed": Script((attribute("n", 4), saved), begun=b"{}", formats=FORMATS[:2]),
    "a NUL": Script((stored("t", "\0"), saved)),
    "text that is not ASCII": Script((stored("t", "für"), appended("né"), saved)),
    "half a character": general((attribute("t", "\ud800"), saved, saved)),
}

BESIDE: Final[Mapping[str, object]] = {**FULL, "csrf_token": "token", "more": [1], "_permanent": True}

UNDECLARED: Final[dict[str, Script]] = {
    "left alone": Script((appended(), read("n"), stored("t", "z"), saved), begun=BESIDE),
    "read": Script((read("csrf_token"), got("csrf_token"), saved), begun=BESIDE),
    "read, and the data changed": Script((read("csrf_token"), appended(), saved, looked_at), begun=BESIDE),
    "changed in place": general((does(lambda session: session["more"].append(2)), saved), begun=BESIDE),
    "got and changed in place": general((does(lambda session: session.get("more").append(2)), saved), begun=BESIDE),
    "changed in place, seen before": general(
        (read("csrf_token"), does(lambda session: session["more"].append(2)), appended(), saved), begun=BESIDE
    ),
    "changed in place through extras": general(
        (does(lambda session: session.extras["more"].append(2)), saved), begun=BESIDE
    ),
    "stored": general((stored("csrf_token", "other"), saved), begun=BESIDE),
    "stored as it was": general((stored("csrf_token", "token"), saved), begun=BESIDE),
    "taken out": general((does(lambda session: session.pop("csrf_token")), appended(), saved), begun=BESIDE),
    "not there": general((got("token", 3), read("token"), saved), begun=BESIDE),
    "the default beside": general((attribute("n", 0), saved), begun=BESIDE),
    "late": Script((read("csrf_token"), saved, stored("csrf_token", "other"), looked_at), begun=BESIDE),
    "as new beside": Script((attribute("ratio", 2.5), saved), begun={**FEW, "csrf_token": "token"}),
}

SETTINGS: Final[dict[str, Script]] = {
    "too large": general((attribute("t", LONG), saved, saved), config={"MAX_COOKIE_SIZE": 700}),
    "too large, and then not": general(
        (attribute("t", LONG), saved, attribute("t", "y"), saved), config={"MAX_COOKIE_SIZE": 700}
    ),
    "too large, reported": general(
        (attribute("t", LONG), saved, saved), config={"MAX_COOKIE_SIZE": 700, "SESSION_ON_OVERSIZE": "warn"}
    ),
    "too large, but that is no matter": Script((attribute("t", LONG * 9), saved), config={"MAX_COOKIE_SIZE": 0}),
    "too long a payload": general((attribute("t", LONG), saved, saved), config={"SESSION_MAX_PAYLOAD": 600}),
    "too long a payload by key": general((stored("t", LONG), saved, saved), config={"SESSION_MAX_PAYLOAD": 600}),
    "a payload that came too long": general(
        (read("t"), saved), begun=b'{"t":"%s"}' % (b"x" * 900), config={"SESSION_MAX_PAYLOAD": 600}, formats=FORMATS[:2]
    ),
    "permanent, changed": Script((appended(), saved), begun=PERMANENT),
    "permanent, no refresh due": Script((read("n"), saved), begun=PERMANENT, wait=DAY),
    "permanent, refresh due": general((read("n"), saved), begun=PERMANENT, wait=20 * DAY),
    "permanent, refresh due, changed": Script((appended(), saved), begun=PERMANENT, wait=20 * DAY),
    "permanent, refresh due but off": Script(
        (read("n"), saved), begun=PERMANENT, wait=20 * DAY, config={"SESSION_REFRESH_EACH_REQUEST": False}
    ),
    "permanent, refreshed each time": general(
        (read("n"), saved), begun=PERMANENT, config={"SESSION_REFRESH_AFTER": timedelta()}
    ),
    "said not to be permanent": Script((appended(), saved), begun={"_permanent": False, **FEW}, wait=20 * DAY),
    "not permanent, old": Script((read("n"), saved), wait=20 * DAY),
    "a word of one's own": general((appended(), saved), interface=Quiet),
    "a word of one's own, quiet": general((attribute("t", "quiet"), saved), interface=Quiet),
    "a class of one's own": general((read("n"), appended(), saved), interface=WithOwn),
    "a tag of one's own": general(
        (read("n"), appended(), tag_registered, saved), formats=("tagged-json",), changes_site=True
    ),
    "a tag of one's own, unchanged": general(
        (read("n"), tag_registered, saved), formats=("tagged-json",), changes_site=True
    ),
    "a tag of one's own, used": general(
        (tag_registered, attribute("free", 1j), saved),
        schema=Free,
        begun=FEW,
        formats=("tagged-json",),
        changes_site=True,
    ),
    "a tag of one's own, read": general(
        (tag_registered, got("more"), appended(), saved),
        begun=b'{"n":1,"cart":["a"],"more":{" c":[1.0,2.0]}}',
        formats=("tagged-json",),
        changes_site=True,
    ),
    "a tag of one's own, after the save": Script(
        (read("n"), saved, tag_registered, attribute("n", 4), saved), formats=("tagged-json",), changes_site=True
    ),
    "elsewhere": Script(
        (appended(), saved),
        config={
            "SESSION_COOKIE_NAME": "session",
            "SESSION_COOKIE_PATH": "/shop",
            "SESSION_COOKIE_SECURE": True,
            "SESSION_COOKIE_SAMESITE": "Lax",
        },
    ),
}

SCRIPTS: Final[dict[str, dict[str, Script]]] = {
    "data": OF_DATA,
    "by key": BY_KEY,
    "explicit defaults": EXPLICIT_DEFAULTS,
    "kinds": KINDS,
    "typed dict": of_keys(Keys, FEW, MORE_THAN_DECLARED),
    "typed dict, permanent": of_keys(Keys, PERMANENT, MORE_THAN_DECLARED),
    "typed dict, and more": of_keys(Keys, {"csrf_token": "token", **FEW}, MORE_THAN_DECLARED),
    "typed dict, a wrong field": of_keys(Keys, b'{"n":"x","t":"y","cart":["a"]}', formats=FORMATS[:2]),
    "typed dict, renamed": of_keys(Renamed, FEW),
    "no schema": of_keys(None, FEW, MORE_THAN_OPEN),
    "no schema, permanent": of_keys(None, {**PERMANENT, "_flashes": [("message", "hello")]}, MORE_THAN_OPEN - {"flag"}),
    "more than data": MORE_THAN_DATA,
    "undeclared keys": UNDECLARED,
    "after the save": AFTER_THE_SAVE,
    "cookies": COOKIES,
    "settings": SETTINGS,
}


class Sites:
    """Applications, made once for what they have in common."""

    def __init__(self) -> None:
        self._known: dict[object, Site] = {}

    def of(self, script: Script, serializer: SerializerName) -> Site:
        if script.changes_site:
            own = TaggedJSONSerializer() if serializer == "tagged-json" else serializer
            return Site(script.schema, own, script.config, script.interface)
        key = codec.generated_for, script.schema, serializer, repr(script.config), script.interface
        if key not in self._known:
            self._known[key] = Site(script.schema, serializer, script.config, script.interface)
        return self._known[key]


@pytest.fixture(scope="module")
def sites() -> Sites:
    return Sites()


def visited(sites: Sites, script: Script, serializer: SerializerName, steps: tuple[Step, ...]) -> Visit:
    """Serve a request, and return all there is to know of it."""
    site = sites.of(script, serializer)
    site.now = NOW
    cookie = site.cookie_of(script.begun)
    cookies = script.cookies(site, cookie)
    site.now += script.wait
    visit = Visit(site, *cookies)
    for step in steps:
        visit.take(step)
    return visit


@pytest.mark.parametrize("serializer", FORMATS)
@pytest.mark.parametrize("group", SCRIPTS)
def test_nobody_can_tell_what_state_a_session_is_in(
    sites: Sites, monkeypatch: pytest.MonkeyPatch, group: str, serializer: SerializerName
) -> None:
    for name, script in SCRIPTS[group].items():
        if serializer in script.formats:
            with case(name):
                compare_states(sites, monkeypatch, script, serializer)


def compare_states(sites: Sites, monkeypatch: pytest.MonkeyPatch, script: Script, serializer: SerializerName) -> None:
    def told(*steps: Step) -> list[str]:
        return visited(sites, script, serializer, steps).finish()

    sites.of(script, serializer).reports.clear()  # whatever test came before
    steps = script.steps
    visit = visited(sites, script, serializer, steps)
    assert visit.saved_as_data is script.as_data
    usual = visit.finish()
    seen_before, seen_after = (looked_at, *steps[:1], looked_at, *steps[1:]), (*steps, looked_at)
    before, after = told(*seen_before), told(*seen_after)
    for place in range(len(steps) + 1):
        with case(f"general from step {place} on"):
            assert told(*steps[:place], made_general, *steps[place:]) == usual
    with case("general, and looked at"):
        assert told(made_general, *seen_before) == before
        assert told(made_general, *seen_after) == after
    with monkeypatch.context() as patched, case("explaining path"):
        patched.setattr(codec, "generated_for", nothing_generated)
        assert told(*steps) == usual
        assert told(*seen_before) == before
        assert told(*seen_after) == after


# Threads

WHERE: Final = (
    "core/session",
    "core/session_request",
    "core/loading",
    "core/lifecycle",
    "core/rules",
    "core/state",
    "codec/codec",
    "codec/declared_contents",
    "codec/keyed_contents",
)
ROUNDS: Final = 60

CHANGES: Final[dict[str, Callable[[Any], object]]] = {
    "n": lambda session: setattr(session.data, "n", 11),
    "cart": lambda session: session.data.cart.append("tea"),
    "t": lambda session: session.__setitem__("t", "by key"),
    "lines": lambda session: session["lines"][0].tags.append("y"),
    "ratio": lambda session: session.get("ratio") and session.update(ratio=2.5),
    "named": lambda session: session.__setitem__("named", 0),
    "when": lambda session: session.pop("when"),
    "_flashes": lambda session: session.extras.__setitem__("_flashes", ["hello"]),
    "_permanent": lambda session: setattr(session, "permanent", True),
}
CHANGED: Final[Mapping[str, object]] = {
    "n": 11,
    "cart": ["a", "b", "tea"],
    "t": "by key",
    "lines": [Line("a", ["x", "y"])],
    "ratio": 2.5,
    "named": 0,
    "_flashes": ["hello"],
    "_permanent": True,
}
QUESTIONS: Final[dict[str, Callable[[Any], object]]] = {
    "data": lambda session: session.data,
    "by key": lambda session: session["point"],
    "get": lambda session: session.get("table"),
    "keys": lambda session: [*session],
    "in": lambda session: "n" in session,
    "extras": lambda session: dict(session.extras),
    "modified": lambda session: session.modified,
    "repr": repr,
    "equal": lambda session: session == {},
    "permanent": lambda session: session.permanent,
}


def random_of(seed: int) -> Random:
    return Random(seed)  # noqa: S311 -- what is drawn is tried


def drawn(random: Random, among: Mapping[str, Callable[[Any], object]], count: int) -> list[str]:
    return random.sample(sorted(among), count)


@pytest.mark.parametrize("serializer", FORMATS)
@pytest.mark.parametrize("begun", ["fields alone", "an extra", "a field that does not fit"])
def test_threads_that_touch_a_session_first_share_it_and_lose_nothing(
    sites: Sites, begun: str, serializer: SerializerName
) -> None:
    site = sites.of(Script(()), serializer)
    cookie = site.cookie_of({**FULL, "csrf_token": "token"} if begun == "an extra" else FULL)
    if begun == "a field that does not fit":
        wrong = Site(Wrong, serializer, {})
        cookie = wrong.cookie_of({**FULL, "table": "none"})
    served_once(site, cookie, appended())
    for seed in range(ROUNDS):
        with case(seed):
            random = random_of(seed)
            visit = Visit(site, cookie)
            names, asked = drawn(random, CHANGES, 3), drawn(random, QUESTIONS, 2)

            def work(act: Callable[[Any], object], session: Any = visit.session) -> object:
                act(session)
                return session.data

            works = [partial(work, CHANGES[name]) for name in names]
            works += [partial(work, QUESTIONS[name]) for name in asked]
            seen = in_turns(seed, WHERE, works)
            assert all(data is visit.session.data for data in seen)
            expected = dict(site.open(cookie))
            reports = site.reports[:1] if begun == "a field that does not fit" else []
            assert site.reports == [*reports, *reports]
            expected |= {name: CHANGED[name] for name in names if name in CHANGED}
            if "when" in names:
                del expected["when"]
            site.reports.clear()
            assert dict(visit.session) == expected
            visit.save()
            assert dict(site.open(*filter(None, [visit.cookie]))) == expected


@pytest.mark.parametrize("serializer", FORMATS)
@pytest.mark.parametrize("schema", [Keys, None])
def test_threads_that_touch_a_dict_first_share_it_and_lose_nothing(
    sites: Sites, schema: Any, serializer: SerializerName
) -> None:
    site = sites.of(Script((), schema=schema), serializer)
    cookie = site.cookie_of(FEW)
    served_once(site, cookie, grown())
    for seed in range(ROUNDS):
        with case(seed):
            visit, random = Visit(site, cookie), random_of(seed)
            names, asked = drawn(random, CHANGES_OF_KEYS, 3), drawn(random, QUESTIONS_OF_KEYS, 2)
            acts = [*(CHANGES_OF_KEYS[name] for name in names), *(QUESTIONS_OF_KEYS[name] for name in asked)]
            works = [partial(act, visit.session) for act in (*acts, QUESTIONS["data"])]
            seen = in_turns(seed, WHERE, works)
            assert seen[-1] is visit.session.data
            expected = {**FEW, **{name: CHANGED_KEYS[name] for name in names}}
            assert dict(visit.session) == expected
            visit.save()
            assert dict(site.open(*filter(None, [visit.cookie]))) == expected
            assert not site.reports


CHANGES_OF_KEYS: Final[dict[str, Callable[[Any], object]]] = {
    "n": lambda session: session.__setitem__("n", 11),
    "cart": lambda session: session["cart"].append("tea"),
    "t": lambda session: session.data.update(t="in data"),
    "csrf_token": lambda session: session.__setitem__("csrf_token", "token"),
    "_flashes": lambda session: session.setdefault("_flashes", ["hello"]),
    "_permanent": lambda session: setattr(session, "permanent", True),
}
CHANGED_KEYS: Final[Mapping[str, object]] = {
    "n": 11,
    "cart": ["a", "b", "tea"],
    "t": "in data",
    "csrf_token": "token",
    "_flashes": ["hello"],
    "_permanent": True,
}
QUESTIONS_OF_KEYS: Final = {name: ask for name, ask in QUESTIONS.items() if name != "by key"}


def served_once(site: Site, cookie: str, change: Step) -> None:
    """Make what is made once, behind a lock."""
    visit = Visit(site, cookie)
    for act in (change, looked_at, saved, looked_at):
        visit.take(act)
    site.reports.clear()


@define
class Wrong(Visitor):
    """A release in which one field has another type."""

    table: str = ""  # type: ignore[assignment]  # pyright: ignore[reportIncompatibleVariableOverride]  # as classes change from one release to the next


@pytest.mark.parametrize("serializer", FORMATS)
def test_what_was_changed_before_a_save_is_saved_whatever_other_threads_ask(
    sites: Sites, serializer: SerializerName
) -> None:
    site = sites.of(Script(()), serializer)
    cookie = site.cookie_of(FULL)
    changed = {**FULL, "n": 11, "cart": ["a", "b", "tea"], "t": "by key"}
    paths = Counter[bool]()
    served_once(site, cookie, appended())
    for seed in range(ROUNDS):
        with case(seed):
            visit, random = Visit(site, cookie), random_of(seed)
            for name in ("n", "cart", "t"):
                CHANGES[name](visit.session)
            asked = [partial(QUESTIONS[name], visit.session) for name in drawn(random, QUESTIONS, 2)]
            in_turns(seed, WHERE, [visit.save, *asked])
            assert visit.cookie is not None
            assert dict(site.open(visit.cookie)) == changed
            assert dict(visit.session) == changed
            assert site.reports == []
            visit.session["n"] = 12
            visit.session["n"] = 13
            assert [type(report) for report in site.reports] == [ChangeLost]
            site.reports.clear()
            paths[visit.saved_as_data] += 1
    assert paths.keys() == {True, False}


def test_a_change_by_key_that_a_save_has_overtaken_is_reported(sites: Sites, monkeypatch: pytest.MonkeyPatch) -> None:
    site = sites.of(Script(()), "msgspec-json")
    cookie = site.cookie_of(FULL)
    visit, store = Visit(site, cookie), LoadedData.store

    def overtaken(loaded: LoadedData[Any], key: str, value: object) -> bool:
        visit.save()  # as another thread does it
        return store(loaded, key, value)

    monkeypatch.setattr(LoadedData, "store", overtaken)
    visit.session["n"] = 5
    assert visit.cookie == cookie
    assert visit.session["n"] == 5
    assert [type(report) for report in site.reports] == [ChangeLost]
    site.reports.clear()


@pytest.mark.parametrize("serializer", FORMATS)
def test_a_save_amid_changes_is_of_some_of_them(sites: Sites, serializer: SerializerName) -> None:
    site = sites.of(Script(()), serializer)
    cookie = site.cookie_of(FULL)
    served_once(site, cookie, appended())
    for seed in range(ROUNDS):
        with case(seed):
            visit, random = Visit(site, cookie), random_of(seed)
            names = drawn(random, CHANGES, 3)
            begun = visit.session.data
            in_turns(seed, WHERE, [visit.save, *(partial(CHANGES[name], visit.session) for name in names)])
            assert visit.cookie is not None
            stored = {**dict.fromkeys(names), **attrs.asdict(site.open(visit.cookie).data, recurse=False)}
            others = {key: value for key, value in FULL.items() if key not in names}
            assert {key: stored[key] for key in others} == others
            for name in {*names}.intersection(FULL):
                assert stored[name] in [FULL[name], CHANGED.get(name)]
            assert visit.session.data is begun
            now = dict(visit.session)
            assert {name: now[name] for name in names if name in CHANGED} == {
                name: CHANGED[name] for name in names if name in CHANGED
            }


# Requests of an application


async def shown(_: object) -> object:
    return await render_template_string("{{ session.data.n }} {{ session['t'] }} {{ session.get('cart') }}")


USUAL: Final[dict[str, tuple[str, Callable[[Any], Any]]]] = {
    "nothing": ("untouched", lambda _: None),
    "data": ("data alone", lambda session: session.data.n),
    "nested": ("data alone", lambda session: session.data.cart.append("tea")),
    "attribute": ("data alone", lambda session: setattr(session.data, "n", 2)),
    "by key": ("data alone", lambda session: session["n"]),
    "got": ("data alone", lambda session: session.get("t")),
    "stored": ("data alone", lambda session: session.__setitem__("n", 2)),
    "nested by key": ("data alone", lambda session: session["cart"].append("tea")),
    "in a template": ("data alone", shown),
    "in": ("general", lambda session: "n" in session),
    "got what is not there": ("general", lambda session: session.get("csrf_token")),
    "log-in": ("general", lambda session: session.promote(n=7)),
    "flash": ("general", lambda _: flash("hello")),
}


@pytest.mark.parametrize("serializer", FORMATS)
@pytest.mark.parametrize("permanent", [False, True], ids=["", "permanent"])
async def test_usual_requests_keep_to_the_data(
    monkeypatch: pytest.MonkeyPatch, serializer: SerializerName, *, permanent: bool
) -> None:
    app = Quart(__name__)
    app.secret_key, app.config["SESSION_SERIALIZER"] = KEY, serializer
    sessions, seen = Sessions(Visitor, app), list[Any]()

    @app.route("/<name>")
    async def view(name: str) -> str:
        session = sessions.current
        seen.append(session)
        if name == "begin":
            session.update({"_permanent": permanent, **FULL})
        else:
            done = USUAL[name][1](session)
            await done if inspect.isawaitable(done) else None
        return ""

    def refused(*_: object) -> None:
        raise AssertionError("it is explained")

    for verb in ("decode", "encode"):
        monkeypatch.setattr(ExplainingPath, verb, refused)
    begun = await app.test_client().get("/begin")
    cookie = begun.headers["Set-Cookie"].partition(";")[0]
    for name, (state, _) in USUAL.items():
        response = await app.test_client(use_cookies=False).get(f"/{name}", headers={"Cookie": cookie})
        assert response.status_code == 200
        held = seen[-1]._state
        found = ("data alone" if keeps_to_data(seen[-1]) else "general") if held else "untouched"
        assert found == state, name


@pytest.mark.parametrize("opens", [Visitor, Keys, None])
@pytest.mark.parametrize("saves", [Visitor, Plain, Free, Keys, None])
def test_a_session_that_another_interface_saves(opens: Any, saves: Any) -> None:
    acts: list[Callable[[Any], object]] = [
        lambda session: session["cart"].append("tea"),
        lambda session: session.__setitem__("n", 5),
        lambda session: session.__setitem__("token", 5),
        lambda session: session["t"],
        lambda session: session.data,
    ]
    for serializer, other_serializer in product(FORMATS, FORMATS):
        site, other = Site(opens, serializer, {}), Site(saves, other_serializer, {"SECRET_KEY": OLD_KEY})
        for number, act in enumerate(acts):
            with case(f"{number}, {serializer}, {other_serializer}"):
                told: list[list[str]] = []
                for steps in ((does(act), saved), (made_general, does(act), saved)):
                    visit = Visit(site, site.cookie_of(FEW))
                    visit.site = other
                    for step in steps:
                        visit.take(step)
                    told.append(visit.finish())
                assert told[0] == told[1]
