"""The classes that the requests' sessions hold, of every kind, and what may be put into their fields."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import Enum
from itertools import count
from typing import Annotated, Any, Final, Literal, NotRequired, TypeAlias, TypedDict
from uuid import UUID

import attrs
from attrs import Factory, define, field, frozen
from markupsafe import Markup
from msgspec import Meta, Struct

from typed_sessions import Essential, Formerly, Merge, Subject, migration

__all__ = ["CATALOGUE", "Catalogued", "new_token"]

_tokens: Final = count()


def new_token() -> str:
    """Return a text that differs each time; how often it is called is nobody's concern (`Normalised` in driver.py)."""
    return f"token-{next(_tokens):012d}"


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


@define
class Line:
    sku: str = ""
    qty: int = 0
    tags: list[str] = Factory(list[str])


@frozen
class Point:
    x: int = 0
    y: int = 0


class Size(Struct, frozen=True, rename="camel"):
    full_width: int = 0
    name: str = ""


@dataclasses.dataclass
class Shelf:
    lines: list[Line] = dataclasses.field(default_factory=list)
    size: Size | None = None
    by_name: dict[str, Line] = dataclasses.field(default_factory=dict)


class Address(TypedDict):
    street: str
    number: NotRequired[int]


@define
class Many:
    """A field of each type, in one class without code of its own."""

    n: int | None = None
    f: float = 0.0
    t: str = "x"
    b: bool = True
    by: bytes = b""
    m: Markup = Markup()  # noqa: RUF009 -- it cannot be changed
    when: datetime | None = None
    day: date | None = None
    span: timedelta = timedelta()
    d: Decimal = Decimal(1)
    u: UUID | None = None
    c: Colour = Colour.RED
    word: Literal["a", "b"] = "a"
    either: int | str = 0
    lst: list[int] = Factory(list[int])
    names: set[str] = Factory(set[str])
    tab: dict[str, int] = Factory(dict[str, int])
    lines: list[Line] = Factory(list[Line])
    line: Line | None = None
    shelf: Shelf = Factory(Shelf)
    point: Point = Point()
    address: Address | None = None
    pair: tuple[int, str] | None = None
    deep: list[list[int]] = Factory(list[list[int]])
    whens: list[datetime] = Factory(list[datetime])
    anything: Any = None


@define
class Small:
    """What most sessions are."""

    user_id: int | None = None
    locale: str = "en"
    cart: list[str] = Factory(list[str])


def _stripped(value: str) -> str:
    return value.strip()


def _lower(value: object) -> object:
    return value.lower() if isinstance(value, str) else value


@define
class Checked:
    """Validators and converters, of one field and of several."""

    n: int = field(default=0, validator=attrs.validators.ge(0))
    most: int = 10
    t: str = field(default="", converter=_stripped)
    code: str = field(default="", converter=_lower, validator=attrs.validators.max_len(5))
    roles: list[str] = field(factory=list, validator=attrs.validators.max_len(3))

    @n.validator
    def _is_not_too_much(self, _: object, value: int) -> None:
        if value > self.most:
            raise ValueError("too much")


@frozen
class Frozen:
    n: int = 0
    t: str = ""
    tags: tuple[str, ...] = ()
    point: Point = Point()


@define
class Private:
    """Names that the class's signature has otherwise."""

    _hidden: int = 0
    shown: str = field(default="", alias="said")
    __twice: int = 0
    only: int = field(default=0, kw_only=True)
    made: list[str] = field(factory=list, init=False)


@define
class Tree:
    label: str = ""
    children: list[Tree] = Factory(list["Tree"])
    left: Tree | None = None


@dataclasses.dataclass
class Plain:
    n: int = 0
    names: list[str] = dataclasses.field(default_factory=list)
    shelf: Shelf | None = None
    kept: int = dataclasses.field(default=3, kw_only=True)


class Packed(Struct, rename="camel"):
    n: int = 0
    long_name: str = ""
    names: list[str] = []
    line: Line | None = None
    size: Size = Size()


class Typed(TypedDict):
    n: NotRequired[int]
    t: NotRequired[str]
    when: NotRequired[datetime]
    lines: NotRequired[list[Line]]
    tab: NotRequired[dict[str, int]]
    address: NotRequired[Address]


def guest() -> Small:
    return Small(user_id=5, locale="de", cart=["gift"])


@define
class Tokens:
    """Defaults that differ each time."""

    token: str = Factory(new_token)
    n: int = 0
    others: list[str] = Factory(lambda: [new_token()])


@define
class Shopper:
    """What a store needs to know of a session."""

    user_id: Annotated[int | None, Subject] = None
    visits: Annotated[int, Merge("add")] = 0
    seen: Annotated[set[str], Merge("union")] = Factory(set[str])
    best: Annotated[int, Merge("max")] = 0
    once: Annotated[str, Merge("fail")] = ""
    cart: list[str] = Factory(list[str])


@define
class Member1:
    """The first release of a class that changes."""

    uid: int | None = None
    name: str = ""
    tags: list[str] = Factory(list[str])
    tenant: str = "none"
    height: int = 0
    gone: int = 0


@define
class Member2:
    """A field has another name, one another type, one is essential, one bounded, one is no more."""

    user_id: Annotated[int | None, Formerly("uid")] = None
    name: str = ""
    tags: set[str] = Factory(set[str])
    tenant: Annotated[str, Essential] = "none"
    height: Annotated[int, Meta(le=10)] = 0


@define
class Member3:
    """There are steps to this one."""

    user_id: int | None = None
    first: str = ""
    last: str = ""
    tags: list[str] = Factory(list[str])
    tenant: str = "none"
    height: float = 0.0


@migration(Member3, 1)
def _joined(values: dict[str, object]) -> dict[str, object]:
    if "uid" in values:
        values["user_id"] = values.pop("uid")
    return values


@migration(Member3, 2)
def _split(values: dict[str, object]) -> dict[str, object]:
    name = values.pop("name", None)
    if isinstance(name, str) and name:
        values["first"], _, values["last"] = name.partition(" ")
    elif name is not None:
        raise ValueError("no name")
    return values


@frozen
class Catalogued:
    """A schema, and lines of Python for what a request does with it."""

    schema: Callable[[], object] | None
    values: Mapping[str, tuple[str, ...]]
    """By field, expressions that it takes."""
    changes: tuple[str, ...] = ()
    """Lines that change what is within."""
    successors: tuple[str, ...] = ()
    """What a deploy may make of it."""
    is_dict: bool = False

    @property
    def name(self) -> str:
        """As lines of Python have it."""
        return "dict" if self.schema is None else getattr(self.schema, "__name__", "")


Values: TypeAlias = dict[str, tuple[str, ...]]

_INTS: Final = ("0", "1", "5", "482113", "True", "-(2**63)")
_TEXTS: Final = ("''", "'x'", "'yy'", "'ü\\x7f'", "' a '", "'en'", "'Ada Lovelace'", "Markup('<i>')")
_LISTS: Final = ("[]", "['a']", "['b', 'a']", "['a', 'a', 'c']")
_LINE: Final = ("Line()", "Line('q', 2)", "Line('a', 1, ['x', 'y'])")
_LINES: Final = ("[]", "[Line('a', 1)]", "[Line('a', 1, ['x']), Line('b')]", "[Line(str(i), i) for i in range(20)]")
_MOMENTS: Final = (
    "datetime(2026, 4, 2, 8, 51, 37, tzinfo=UTC)",
    "datetime(2026, 4, 2, 8, 51, 37, 123456, tzinfo=UTC)",
    "datetime(2026, 4, 2, 8, 51, 37, tzinfo=timezone(timedelta(hours=1)))",
    "datetime(999, 1, 1, tzinfo=UTC)",
)
_POINTS: Final = ("Point()", "Point(1, 2)")
_SHELVES: Final = ("Shelf()", "Shelf([Line('s')], Size(3, 'big'))", "Shelf(by_name={'k': Line('k', 3)})")
_ADDRESSES: Final = ("{'street': 'Main'}", "{'street': 'Main', 'number': 3}")
_TABLES: Final = ("{}", "{'a': 1}", "{' t': 1}", "{'b': 2, 'a': 1}", "{' di': 5}")

_MANY: Final[Values] = {
    "n": ("None", *_INTS),
    "f": ("0.0", "1.5", "-2.25", "1e20", "-0.0", "3", "float('nan')", "float('inf')"),
    "t": _TEXTS,
    "b": ("True", "False"),
    "by": ("b''", "b'\\x00\\xff'"),
    "m": ("Markup('')", "Markup('<i>')"),
    "when": ("None", *_MOMENTS),
    "day": ("None", "date(2026, 4, 2)"),
    "span": ("timedelta()", "timedelta(hours=3, microseconds=7)"),
    "d": ("Decimal(1)", "Decimal('1.0')", "Decimal('2.50')"),
    "u": ("None", "UUID(int=3)"),
    "c": ("Colour.RED", "Colour.BLUE"),
    "word": ("'a'", "'b'"),
    "either": ("0", "7", "'seven'"),
    "lst": ("[]", "[1]", "[2, 1]"),
    "names": ("set()", "{'a'}", "{'b', 'a', 'c'}"),
    "tab": _TABLES,
    "lines": _LINES,
    "line": ("None", *_LINE),
    "shelf": _SHELVES,
    "point": _POINTS,
    "address": ("None", *_ADDRESSES),
    "pair": ("None", "(1, 'a')"),
    "deep": ("[]", "[[1], []]"),
    "whens": ("[]", f"[{_MOMENTS[0]}]"),
    "anything": ("None", "[1, {'a': (2, 3)}]", "'free'"),
}

_SMALL: Final[Values] = {"user_id": ("None", "1", "482113"), "locale": ("'en'", "'de'"), "cart": _LISTS}

_MEMBER: Final[Values] = {
    "name": ("''", "'Ada'", "'Ada Lovelace'"),
    "tags": _LISTS,
    "tenant": ("'none'", "'acme'"),
    "height": ("0", "7", "70"),
}

CATALOGUE: Final[Mapping[str, Catalogued]] = {
    "Many": Catalogued(
        Many,
        _MANY,
        (
            "s.data.lst.append(4)",
            "s.data.names.add('z')",
            "s.data.names.discard('a')",
            "s.data.tab['k'] = 3",
            "s.data.tab.pop('a', None)",
            "s.data.lines.append(Line('new'))",
            "s.data.lines[0].qty += 1",
            "s.data.lines[-1].tags.append('t')",
            "s['lines'][0].tags.append('key')",
            "s.data.line.qty = 9",
            "s.data.line.qty = 'wrong'",
            "s.data.shelf.lines.append(Line('in'))",
            "s.data.shelf.size = Size(1)",
            "s.data.shelf.by_name['n'] = Line('n')",
            "s.data.address['number'] = 8",
            "s.data.address['street'] = 8",
            "s.data.deep.append([1])",
            "s.data.deep[0].append(2)",
            "s.data.deep[0].append('wrong')",
            "s.data.lst.append('wrong')",
            "s.data.anything.append(object())",
            "s.data.anything.append(1)",
            "s.data.lines.sort(key=repr)",
            "s.data.lst.reverse()",
        ),
    ),
    "Small": Catalogued(
        Small,
        _SMALL,
        ("s.data.cart.append('tea')", "s.data.cart.clear()", "s['cart'].append('mate')", "s.data.cart += ['x' * 900]"),
        successors=("guest", "Tokens"),
    ),
    "Checked": Catalogued(
        Checked,
        {
            "n": ("0", "3", "-1", "99"),
            "most": ("10", "2", "100"),
            "t": _TEXTS,
            "code": ("''", "'ABC'", "'abc'", "'far too long'"),
            "roles": (*_LISTS, "['a', 'b', 'c', 'd']"),
        },
        ("s.data.roles.append('r')", "s.data.roles.clear()", "s['roles'].append('k')"),
    ),
    "Frozen": Catalogued(
        Frozen,
        {"n": _INTS, "t": _TEXTS, "tags": ("()", "('a',)", "('b', 'a')"), "point": _POINTS},
        ("s.replace(attrs.evolve(s.data, n=4))", "s.replace(attrs.evolve(s.data, tags=(*s.data.tags, 'e')))"),
    ),
    "Private": Catalogued(
        Private,
        {"_hidden": _INTS, "shown": _TEXTS, "_Private__twice": _INTS, "only": _INTS, "made": _LISTS},
        ("s.data.made.append('m')", "s.data._hidden += 1"),
    ),
    "Tree": Catalogued(
        Tree,
        {
            "label": _TEXTS,
            "children": ("[]", "[Tree('a')]", "[Tree('a', [Tree('b')]), Tree('c', left=Tree('d'))]"),
            "left": ("None", "Tree()", "Tree('l', left=Tree('ll'))"),
        },
        (
            "s.data.children.append(Tree('n'))",
            "s.data.children[0].children.append(Tree('nn'))",
            "s.data.left.label = 'changed'",
            "s.data.left.left = s.data.left",
        ),
    ),
    "Plain": Catalogued(
        Plain,
        {"n": _INTS, "names": _LISTS, "shelf": ("None", *_SHELVES), "kept": ("3", "4")},
        ("s.data.names.append('p')", "s.data.shelf.lines.append(Line('p'))", "s.replace(dataclasses.replace(s.data))"),
    ),
    "Packed": Catalogued(
        Packed,
        {
            "n": _INTS,
            "long_name": _TEXTS,
            "names": _LISTS,
            "line": ("None", *_LINE),
            "size": ("Size()", "Size(2, 'b')"),
        },
        ("s.data.names.append('s')", "s.data.line.tags.append('t')", "s.data.line.qty = 3"),
    ),
    "Typed": Catalogued(
        Typed,
        {"n": _INTS, "t": _TEXTS, "when": _MOMENTS, "lines": _LINES, "tab": _TABLES, "address": _ADDRESSES},
        (
            "s.data['lines'].append(Line('t'))",
            "s.data['lines'][0].qty += 1",
            "s.data.setdefault('tab', {})['k'] = 1",
            "s.data['more'] = [1]",
            "s.data['more'].append(2)",
            "s.data.pop('t', None)",
            "s.data.clear()",
            "s.data['address']['number'] = 4",
        ),
        is_dict=True,
    ),
    "guest": Catalogued(guest, _SMALL, ("s.data.cart.append('tea')", "s.data.cart.clear()"), successors=("Small",)),
    "none": Catalogued(
        None,
        {
            "n": ("None", *_INTS),
            "t": _TEXTS,
            "cart": _LISTS,
            "when": (*_MOMENTS, "datetime(2026, 1, 2, 3, 4, 5)"),
            "nested": ("{'a': [1, {'b': 2}]}", "{}"),
            "pair": ("(1, 'a')",),
        },
        (
            "s.data['cart'].append('c')",
            "s['cart'].append('k')",
            "s.data['nested']['a'][1]['b'] += 1",
            "s.data['new'] = {1: 'one'}",
            "s.data.clear()",
        ),
        successors=("Small", "Typed"),
        is_dict=True,
    ),
    "Tokens": Catalogued(
        Tokens,
        {"token": ("'fixed'", "new_token()"), "n": _INTS, "others": _LISTS},
        ("s.data.others.append('o')", "del s['token']", "s.data.token = 'mine'"),
    ),
    "Shopper": Catalogued(
        Shopper,
        {
            "user_id": ("None", "7", "8"),
            "visits": _INTS[:4],
            "seen": ("set()", "{'a'}", "{'b', 'a'}"),
            "best": _INTS[:4],
            "once": ("''", "'x'", "'y'"),
            "cart": _LISTS,
        },
        (
            "s.data.visits += 1",
            "s.data.seen.add('s')",
            "s.data.seen.discard('a')",
            "s.data.cart.append('tea')",
            "s.data.best = 3",
        ),
    ),
    "Member1": Catalogued(
        Member1, {"uid": ("None", "7"), **_MEMBER, "gone": _INTS}, ("s.data.tags.append('m')",), ("Member2", "Member3")
    ),
    "Member2": Catalogued(
        Member2,
        {"user_id": ("None", "7"), **_MEMBER, "tags": ("set()", "{'a', 'b'}")},
        ("s.data.tags.add('m')", "s.data.height = 11", "s['uid'] = 3"),
        ("Member1", "Member3"),
    ),
    "Member3": Catalogued(
        Member3,
        {"user_id": ("None", "7"), "first": _TEXTS, "last": _TEXTS, "tags": _LISTS, "tenant": ("'none'", "'acme'")},
        ("s.data.tags.append('m')",),
        ("Member1", "Member2"),
    ),
}
