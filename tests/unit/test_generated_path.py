"""The generated path serves what sessions nearly always are, and a fault of the library's own in it fails the request.

It is never hidden by the explaining path, which would do the same, slowly. So an error that only a fault explains is
raised in each function of the path, at each place from which it is called, while a request is served.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass, replace
from dataclasses import field as dataclass_field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import Enum
from pathlib import Path
from types import CodeType, FrameType
from typing import Annotated, Any, Final, Literal, NotRequired, TypedDict, TypeVar
from uuid import UUID

import attrs
import msgspec
import pytest
from attrs import Factory, define, frozen
from markupsafe import Markup
from msgspec import Meta, Struct
from typing_extensions import override

import typed_sessions
from tests.bare_framework import App, Request, Response, finished
from typed_sessions import SecureCookieSessionInterface
from typed_sessions.codec.explaining import ExplainingPath
from typed_sessions.serializers.base import SerializerName

T = TypeVar("T")

FORMATS: Final[tuple[SerializerName, ...]] = ("tagged-json", "msgspec-json", "msgspec-msgpack")
ERRORS: Final = (AttributeError, TypeError, KeyError, IndexError)
NOON: Final = datetime(2026, 4, 2, 12, tzinfo=UTC)


# Sessions whose classes have no code of the user's


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


@define
class Line:
    sku: str = ""
    tags: list[str] = Factory(list[str])


@frozen
class Point:
    x: int = 0


class Address(TypedDict):
    street: str
    number: NotRequired[int]


@define
class Visitor:
    n: int = 0
    t: str = ""
    ratio: float = 0.0
    raw: bytes = b""
    mark: Markup = Markup()  # noqa: RUF009 -- it cannot be changed
    when: datetime | None = None
    day: date | None = None
    span: timedelta = timedelta()
    price: Decimal = Decimal(0)
    uid: UUID | None = None
    colour: Colour = Colour.RED
    word: Literal["a", "b"] = "a"
    either: int | str = 0
    low: Annotated[int, Meta(le=10)] = 0
    cart: list[str] = Factory(list[str])
    names: set[str] = Factory(set[str])
    table: dict[str, int] = Factory(dict[str, int])
    lines: list[Line] = Factory(list[Line])
    line: Line | None = None
    point: Point = Point()
    address: Address | None = None
    pair: tuple[int, str] | None = None


@dataclass
class Box:
    point: Point | None = None
    size: tuple[int, ...] = ()


@define
class Wide:
    """Types within types."""

    n: int = 0
    t: str = ""
    cart: list[str] = Factory(list[str])
    mixed: list[int | str | None] = Factory(list[int | str | None])
    ids: set[UUID] = Factory(set[UUID])
    moments: dict[str, datetime] = Factory(dict[str, datetime])
    prices: dict[str, list[Decimal]] = Factory(dict[str, list[Decimal]])
    pairs: list[tuple[int, str]] = Factory(list[tuple[int, str]])
    one_of: Line | Point | None = None
    colours: frozenset[Colour] = frozenset()
    box: Box = Factory(Box)
    boxes: dict[str, Box] = Factory(dict[str, Box])
    deep: list[list[list[date]]] = Factory(list[list[list[date]]])
    marks: tuple[Markup, ...] = ()
    bounded: Annotated[list[int], Meta(max_length=3)] = Factory(list[int])
    bytes_or_none: bytes | None = None
    or_text: date | str = ""


@define
class Free:
    """What is proven value by value, for its type does not tell how it is written."""

    n: int = 0
    t: str = ""
    cart: list[str] = Factory(list[str])
    anything: Any = None
    values: list[Any] = Factory(list[Any])


@frozen
class Fixed:
    n: int = 0
    t: str = ""
    cart: tuple[str, ...] = ()
    point: Point = Point()


@dataclass
class Plain:
    n: int = 0
    t: str = ""
    cart: list[str] = dataclass_field(default_factory=list)
    lines: list[Line] = dataclass_field(default_factory=list)


class Packed(Struct):
    n: int = 0
    t: str = ""
    cart: list[str] = []
    lines: list[Line] = []


class Keys(TypedDict):
    n: NotRequired[int]
    t: NotRequired[str]
    cart: NotRequired[list[str]]
    lines: NotRequired[list[Line]]
    when: NotRequired[datetime]


def guest() -> Plain:
    return Plain(cart=["gift"])


FULL: Final[dict[str, dict[str, object]]] = {
    "attrs": {
        "n": 1,
        "t": "x",
        "ratio": 1.5,
        "raw": b"\0",
        "mark": Markup("<i>"),
        "when": NOON,
        "day": date(2026, 4, 2),
        "span": timedelta(hours=3),
        "price": Decimal("1.5"),
        "uid": UUID(int=3),
        "colour": Colour.BLUE,
        "word": "b",
        "either": "seven",
        "low": 7,
        "cart": ["a", "b"],
        "names": {"b", "a"},
        "table": {"a": 1},
        "lines": [Line("a", ["x"])],
        "line": Line("b"),
        "point": Point(4),
        "address": {"street": "Main", "number": 3},
        "pair": (1, "a"),
    },
    "types within types": {
        "n": 1,
        "t": "x",
        "cart": ["a"],
        "mixed": [1, "a", None],
        "ids": {UUID(int=3), UUID(int=4)},
        "moments": {"now": NOON},
        "prices": {"a": [Decimal("1.5")]},
        "pairs": [(1, "a")],
        "one_of": Point(3),
        "colours": frozenset({Colour.RED}),
        "box": Box(Point(1), (1, 2)),
        "boxes": {"a": Box()},
        "deep": [[[date(2026, 4, 2)]]],
        "marks": (Markup("<i>"),),
        "bounded": [1, 2],
        "bytes_or_none": b"x",
        "or_text": date(2026, 4, 2),
    },
    "frozen": {"n": 1, "t": "x", "cart": ("a", "b"), "point": Point(4)},
    "typed dict": {"n": 1, "t": "x", "cart": ["a", "b"], "lines": [Line("a")], "when": NOON},
    "no schema": {"n": 1, "t": "x", "cart": ["a", "b"], "lines": [{"sku": "a"}], "when": NOON},
}
"""What sessions hold when a request comes."""

FREE: Final[dict[str, object]] = {"n": 1, "t": "x", "cart": ["a"], "anything": [1, {"a": 2}], "values": [1, "a", None]}

OTHER: Final[dict[str, object]] = {"n": 1, "t": "x", "cart": ["a", "b"], "lines": [Line("a")]}

SCHEMAS: Final[dict[str, Callable[[], Any] | None]] = {
    "attrs": Visitor,
    "types within types": Wide,
    "frozen": Fixed,
    "dataclass": Plain,
    "struct": Packed,
    "typed dict": Keys,
    "factory": guest,
    "no schema": None,
}

Change = Callable[[Any], object]


def appended(session: Any) -> None:
    session["cart"].append("tea")


def changed_everywhere(session: Any) -> None:
    data: Visitor = session.data
    data.names.add("c")
    data.table["b"] = 2
    data.lines[0].tags.append("y")
    data.lines.append(Line("new"))
    data.line = Line("other", ["z"])
    data.point = Point(5)
    data.when = NOON + timedelta(hours=1)
    data.price = Decimal(3)
    data.uid = UUID(int=4)
    data.colour = Colour.RED
    data.pair = (2, "b")
    data.either = 7
    data.low = 3
    data.raw = b"\1"
    data.mark = Markup("<u>")
    data.day = date(2026, 4, 3)
    data.span = timedelta(1)
    data.address = {"street": "High"}
    data.word = "a"


def changed_within(session: Any) -> None:
    data: Wide = session.data
    data.mixed.append("b")
    data.ids.add(UUID(int=5))
    data.moments["then"] = NOON
    data.prices["a"].append(Decimal(2))
    data.pairs.append((2, "b"))
    data.one_of = Line("l")
    data.colours = frozenset(Colour)
    data.box.point = Point(2)
    data.boxes["b"] = Box(size=(3,))
    data.deep[0][0].append(date(2026, 4, 3))
    data.marks = (Markup("<u>"), Markup("<b>"))
    data.bounded.append(3)
    data.or_text = "never"
    data.bytes_or_none = b"y"


def replaced(session: Any) -> None:
    data = session.data
    match data:
        case Fixed():
            session.replace(attrs.evolve(data, n=4))
        case Plain():
            session.replace(replace(data, n=4))
        case Packed():
            session.replace(msgspec.structs.replace(data, n=4))
        case _:
            session.replace(attrs.evolve(data, n=4) if isinstance(data, (Visitor, Wide)) else {**data, "n": 4})


def by_key(session: Any) -> None:
    session["n"] = 5
    del session["t"]
    session.update(n=6)


def one_by_key(session: Any) -> None:
    session["n"] = session["n"] + session.get("n")


def asked_about(session: Any) -> object:
    """Ask more of a session than its data, once that was changed."""
    session["n"] = 5
    session.data  # noqa: B018 -- a look is one
    return session.copy()


def with_extras(session: Any) -> None:
    session["csrf_token"] = "a token"
    session["_flashes"] = [*session.get("_flashes", ()), ("message", "hello")]


def read(session: Any) -> object:
    return session["n"], session.data, [*iter(session)], "cart" in session, len(session)


def taken_out(session: Any) -> None:
    session.pop("cart", None)
    session.setdefault("n", 3)
    session.popitem()
    session.pop("csrf_token", None)  # `extras.pop` is the standard library's, to which any KeyError means "absent"


CHANGES: Final[dict[str, Change]] = {
    "read": read,
    "nested": appended,
    "nested in data": lambda session: session.data.cart.append("tea"),
    "everywhere": changed_everywhere,
    "within": changed_within,
    "replaced": replaced,
    "by key": by_key,
    "one by key": one_by_key,
    "asked about": asked_about,
    "taken out": taken_out,
    "extras": with_extras,
    "permanent": lambda session: setattr(session, "permanent", True),
    "log-in": lambda session: session.promote(n=7),
    "emptied": lambda session: session.clear(),
}
"""What a request does."""

_ONLY: Final = {
    "everywhere": {"attrs"},
    "within": {"types within types"},
    "nested": {*SCHEMAS} - {"frozen"},
    "nested in data": {"attrs", "types within types", "dataclass", "struct", "factory"},
}
"""For which kinds alone."""


# Requests


class Site:
    """An application, and the requests that come to it."""

    def __init__(self, schema: Any, serializer: SerializerName) -> None:
        self.now = 1_780_000_000.0
        self.app = App({"SECRET_KEY": "a secret key that is long enough"})
        self.interface: SecureCookieSessionInterface[Any] = SecureCookieSessionInterface(
            schema, serializer=serializer, refresh_fraction=0.1, clock=lambda: self.now
        )

    def serve(self, cookie: str | None, change: Change) -> str | None:
        """Return the cookie that the browser has after a request."""
        request = Request({} if cookie is None else {"session": cookie})
        session: Any = finished(self.interface.open_session(self.app, request))
        change(session)
        response = Response()
        finished(self.interface.save_session(self.app, session, response))
        header = response.headers.get("Set-Cookie")
        return cookie if header is None else header.partition(";")[0].partition("=")[2]


@frozen
class Visit:
    """A request, which may be served any number of times."""

    name: str
    site: Site
    cookie: str | None
    change: Change
    wait: float = 0.0

    def serve(self) -> None:
        self.site.now += self.wait
        try:
            self.site.serve(self.cookie, self.change)
        finally:
            self.site.now -= self.wait


def visits_of(kind: str, serializer: SerializerName) -> list[Visit]:
    """Return requests of one kind of session, in one format."""
    site, full = Site(SCHEMAS[kind], serializer), FULL.get(kind, OTHER)
    changes = {name: change for name, change in CHANGES.items() if kind in _ONLY.get(name, SCHEMAS)}
    begun = site.serve(None, lambda session: session.update(full))
    with_more = site.serve(begun, with_extras)
    permanent = site.serve(begun, CHANGES["permanent"])
    days = timedelta(days=20).total_seconds()
    return [
        Visit("begun", site, None, lambda session: session.update(full)),
        *(Visit(name, site, begun, change) for name, change in changes.items()),
        *(Visit(f"{name}, beside extras", site, with_more, change) for name, change in changes.items()),
        Visit("refreshed", site, permanent, read, days),
        Visit("refreshed untouched", site, permanent, lambda _: None, days),
    ]


# Faults


PACKAGE: Final = Path(typed_sessions.__file__).parent
FOLDERS: Final = tuple(f"{PACKAGE / folder}/" for folder in ("codec", "schema", "serializers"))
NAMES: Final = ("session", "session_request", "loading", "lifecycle", "rules")
MODULES: Final = tuple(str(PACKAGE / "core" / f"{name}.py") for name in NAMES)
"""What decides which path there is to take."""
GENERATED: Final = "<typed_sessions generated"


@frozen
class Place:
    """A function of the path, and from where it is called."""

    code: CodeType
    caller: CodeType
    line: int

    def is_at(self, frame: FrameType) -> bool:
        back = frame.f_back
        if frame.f_code is not self.code or back is None:
            return False
        return back.f_code is self.caller and back.f_lineno == self.line

    @override
    def __str__(self) -> str:
        file = Path(self.caller.co_filename).name
        return f"{self.code.co_qualname} called by {self.caller.co_qualname} ({file}:{self.line})"


def is_of_the_path(code: CodeType) -> bool:
    return code.co_filename.startswith((*FOLDERS, *MODULES, GENERATED))


def places_of(visit: Visit) -> list[Place]:
    """Return where a request comes by on the generated path."""
    places: dict[Place, None] = {}

    def note(frame: FrameType, event: str, _: object) -> None:
        back = frame.f_back
        if event == "call" and back is not None and is_of_the_path(frame.f_code):
            places[Place(frame.f_code, back.f_code, back.f_lineno)] = None

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        visit.serve()
    finally:
        sys.setprofile(before)
    return list(places)


def fails_with(visit: Visit, place: Place, error: Exception) -> bool | None:
    """Raise an error at a place of a request. Return whether the request failed with it; None if it never came by."""
    came_by = False

    def raise_there(frame: FrameType, event: str, _: object) -> None:
        nonlocal came_by
        if event == "call" and not came_by and place.is_at(frame):
            came_by = True
            raise error

    before = sys.gettrace()
    sys.settrace(raise_there)
    try:
        visit.serve()
    except Exception as raised:  # noqa: BLE001 -- whatever the library made of the error
        return any(each is error for each in chain_of(raised))
    finally:
        sys.settrace(before)
    return False if came_by else None


def chain_of(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


@pytest.fixture
def explained(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often the explaining path was asked what."""
    counted: Counter[str] = Counter()

    def counting(name: str) -> Callable[..., object]:
        method = getattr(ExplainingPath, name)

        def call(path: ExplainingPath[Any], *arguments: object) -> object:
            counted[name] += 1
            return method(path, *arguments)

        return call

    for name in ("decode", "payload", "encode"):
        monkeypatch.setattr(ExplainingPath, name, counting(name))
    return counted


@frozen
class Swallowed:
    """A fault that nobody heard of."""

    visit: str
    error: type[Exception]
    place: Place

    @override
    def __str__(self) -> str:
        return f"{self.error.__name__} in {self.place}, in a request that is {self.visit}"


def swallowed_in(visits: list[Visit]) -> list[Swallowed]:
    """Raise each error at each place of the path. Return what did not fail a request."""
    known: set[Place] = set()
    swallowed: list[Swallowed] = []
    for visit in visits:
        visit.serve()
        places = [place for place in places_of(visit) if place not in known]
        known.update(places)
        for place in places:
            for error in ERRORS:
                fails = fails_with(visit, place, error("planted"))
                if fails is None:  # what the failed request before had left to do came first
                    fails = fails_with(visit, place, error("planted"))
                assert fails is not None, f"{visit.name} does not always come by {place}"
                if not fails:
                    swallowed.append(Swallowed(visit.name, error, place))
    return swallowed


def said_of(swallowed: list[Swallowed]) -> str:
    return "\n".join(map(str, swallowed))


@pytest.mark.parametrize("serializer", FORMATS)
@pytest.mark.parametrize("kind", SCHEMAS)
def test_the_explaining_path_is_not_asked(explained: Counter[str], kind: str, serializer: SerializerName) -> None:
    for visit in visits_of(kind, serializer):
        explained.clear()
        visit.serve()
        assert not explained, visit.name


@pytest.mark.parametrize("serializer", FORMATS)
@pytest.mark.parametrize("kind", SCHEMAS)
def test_each_field_comes_and_goes_without_explanation(
    explained: Counter[str], kind: str, serializer: SerializerName
) -> None:
    assert not fields_served_with_explanation(explained, kind, serializer)


def fields_served_with_explanation(explained: Counter[str], kind: str, serializer: SerializerName) -> set[str]:
    """Return the fields of which the explaining path is asked when one is stored, stored again, or taken out."""
    site, full = Site(SCHEMAS[kind], serializer), FULL.get(kind, OTHER)
    with_all = site.serve(None, lambda session: session.update(full))
    with_none = site.serve(None, lambda session: session.update(csrf_token="a token"))

    def is_explained(name: str, value: object) -> bool:
        explained.clear()
        site.serve(with_none, lambda session: session.update({name: value}))
        site.serve(with_all, lambda session: session.update({name: deepcopy(value)}))
        site.serve(with_all, lambda session: session.pop(name))
        return bool(explained)

    return {name for name, value in full.items() if is_explained(name, value)}


@pytest.mark.parametrize("serializer", FORMATS)
@pytest.mark.parametrize("kind", SCHEMAS)
def test_a_fault_fails_the_request(kind: str, serializer: SerializerName) -> None:
    found = swallowed_in(visits_of(kind, serializer))
    assert not found, said_of(found)


@pytest.mark.parametrize("serializer", FORMATS)
def test_a_fault_in_a_proof_fails_the_request(serializer: SerializerName) -> None:
    visit = Visit("begun", Site(Free, serializer), None, lambda session: session.update(FREE))
    found = swallowed_in([visit])
    assert not found, said_of(found)


@pytest.mark.parametrize("serializer", FORMATS)
def test_a_request_in_the_former_format_is_served_by_the_generated_path(
    explained: Counter[str], serializer: SerializerName
) -> None:
    cookie = Site(Plain, "msgspec-json").serve(None, lambda session: session.update(OTHER))
    site = Site(Plain, serializer)
    for change in (read, appended):
        site.serve(cookie, change)
        assert not explained


def test_the_places_are_those_of_the_path() -> None:
    places = [place for visit in visits_of("attrs", "msgspec-json") for place in places_of(visit)]
    names = {place.code.co_qualname for place in places}
    assert {"Codec.decode", "Codec.diff", "Codec.encode", "Codec.write", "load", "changes"} <= names
    of_data_alone = {
        "SecureCookieSession._data_loaded",
        "SecureCookieSession._state_with",
        "_data_loader.<locals>.load_data",
        "GeneratedClass.data_in",
        "LoadedData.read",
        "LoadedData.store",
        "save_data",
        "_data_sealer.<locals>.header_of",
        "GeneratedClass.payload_of",
        "Codec.with_contents",
        "GeneratedClass.flag_in",
    }
    assert of_data_alone <= names


@pytest.mark.parametrize("kind", ["typed dict", "no schema"])
def test_the_places_are_those_of_keys_alone(kind: str) -> None:
    places = [place for visit in visits_of(kind, "msgspec-json") for place in places_of(visit)]
    names = {place.code.co_qualname for place in places}
    assert {"Generated.data_in", "Generated.payload_of", "LoadedKeys.read", "LoadedKeys.store"} <= names


def test_the_places_are_those_of_the_end_of_a_request() -> None:
    site = Site(Plain, "msgspec-json")
    cookie = site.serve(None, lambda session: session.update({**OTHER, "n": Plain().n}))  # a default that is stored

    class Late(Visit):
        """A request that asks more of its session once that was saved as its data."""

        @override
        def serve(self) -> None:
            request, response = Request({"session": str(self.cookie)}), Response()
            session: Any = finished(site.interface.open_session(site.app, request))
            session.data.cart.append("tea")
            finished(site.interface.save_session(site.app, session, response))
            assert "n" in session

    late = Late("late", site, cookie, read)
    assert "GeneratedClass.non_defaults_in" in {place.code.co_qualname for place in places_of(late)}
    assert not swallowed_in([late])
