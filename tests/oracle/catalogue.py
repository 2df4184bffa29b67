"""What may be put into the fields of the sessions' classes, and what a request does with them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, TypeAlias

from attrs import frozen
from cattrs import Converter

from tests.oracle.schemas import (
    Checked,
    Customer,
    Frozen,
    Many,
    Member1,
    Member2,
    Member3,
    Packed,
    Plain,
    Private,
    Shopper,
    Small,
    Tokens,
    Tree,
    Typed,
    converter,
    guest,
    parcel,
    rack,
)

__all__ = ["CATALOGUE", "Catalogued"]


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
    converter: Callable[[], Converter] | None = None
    makes: str = ""
    """The class of what a factory returns."""

    @property
    def name(self) -> str:
        """As lines of Python have it."""
        return self.makes or ("dict" if self.schema is None else getattr(self.schema, "__name__", ""))


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

_PLAIN: Final[Values] = {"n": _INTS, "names": _LISTS, "shelf": ("None", *_SHELVES), "kept": ("3", "4")}

_PACKED: Final[Values] = {
    "n": _INTS,
    "long_name": _TEXTS,
    "names": _LISTS,
    "line": ("None", *_LINE),
    "size": ("Size()", "Size(2, 'b')"),
}

_MONEY: Final = ("Money(0, 'EUR')", "Money(12, 'EUR')", "Money(12, 'USD')")

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
        _PLAIN,
        ("s.data.names.append('p')", "s.data.shelf.lines.append(Line('p'))", "s.replace(dataclasses.replace(s.data))"),
    ),
    "Packed": Catalogued(
        Packed,
        _PACKED,
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
    "guest": Catalogued(
        guest, _SMALL, ("s.data.cart.append('tea')", "s.data.cart.clear()"), successors=("Small",), makes="Small"
    ),
    "rack": Catalogued(
        rack, _PLAIN, ("s.data.names.append('p')", "s.data.shelf.lines.append(Line('p'))"), ("Plain",), makes="Plain"
    ),
    "parcel": Catalogued(parcel, _PACKED, ("s.data.names.append('s')", "s.data.n += 1"), ("Packed",), makes="Packed"),
    "Customer": Catalogued(
        Customer,
        {
            "n": _INTS,
            "price": _MONEY,
            "paid": ("None", *_MONEY),
            "prices": ("[]", "[Money(1, 'EUR')]", "[Money(1, 'EUR'), Money(2, 'USD')]"),
            "by_day": ("{}", "{'monday': Money(4, 'EUR')}"),
            "page": ("PurePosixPath('/')", "PurePosixPath('/a/b')"),
        },
        (
            "s.data.prices.append(Money(7, 'EUR'))",
            "s.data.paid.amount += 1",
            "s.data.by_day['today'] = Money(3, 'EUR')",
            "s.data.prices.append('7 EUR')",
            "s.data.prices[0].amount = 'no'",
            "s['prices'].clear()",
            "s['price'] = '7 EUR'",
        ),
        converter=converter,
    ),
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
