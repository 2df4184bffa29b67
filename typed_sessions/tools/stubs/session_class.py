"""The text of the class whose literal keys have the types that a schema declares."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from keyword import iskeyword
from typing import Final

from attrs import frozen

from typed_sessions.tools.stubs.expressions import (
    ANY,
    NONE,
    OBJECT,
    Expression,
    Name,
    OneOf,
    Subscript,
    Text,
    literal,
    names_in,
    one_of,
    quoted,
)
from typed_sessions.tools.stubs.layout import INDENT, Namespace, listed
from typed_sessions.tools.stubs.schema_stub import Key, SchemaStub, schema_line

__all__ = ["dict_class", "session_module"]

_HEADER: Final = """\
# mypy: disable-error-code="misc, override"
# pyright: basic, reportGeneralTypeIssues=false
# pyrefly: ignore-errors
# ty: ignore[incompatible-method-override, invalid-generic-class]
"""

_LONGEST_TYPE: Final = 40
"""A longer one gets a name of its own, so that signatures stay short."""

_INNER_MARGIN: Final = len(INDENT) * 2 + len(",")
"""How many columns a parameter leaves to the rest of its line, in a signature of several lines."""

_BOOL: Final = Name("builtins", "bool")
_INT: Final = Name("builtins", "int")
_STR: Final = Name("builtins", "str")
_ITEMS_VIEW: Final = Name("collections.abc", "ItemsView")
_ITERABLE: Final = Name("collections.abc", "Iterable")
_ITERATOR: Final = Name("collections.abc", "Iterator")
_KEYS_VIEW: Final = Name("collections.abc", "KeysView")
_MUTABLE_MAPPING: Final = Name("collections.abc", "MutableMapping")
_SELF: Final = Name("typing", "Self")
_DICT: Final = Subscript(Name("builtins", "dict"), (_STR, ANY))
_SESSION: Final = Name("typed_sessions", "Session")
_TYPE_ALIAS: Final = Name("typing", "TypeAlias")
_UNION: Final = Name("typing", "Union")
_TYPED_DICT: Final = Name("typing", "TypedDict")
_TYPE_VAR: Final = Name("typing", "TypeVar")
_OVERLOAD: Final = Name("typing", "overload")
_OWN: Final = (
    _ITEMS_VIEW,
    _ITERABLE,
    _ITERATOR,
    _KEYS_VIEW,
    _MUTABLE_MAPPING,
    _SELF,
    _SESSION,
    _TYPE_ALIAS,
    _UNION,
    _TYPED_DICT,
    _OVERLOAD,
)

_OTHER: Final = Text("_D")
"""A default that is not of the key's own type."""

_METHODS: Final = frozenset({"data", "extras", "get", "items", "keys", "pop", "promote", "setdefault", "update"})
"""What the class defines under names that may be those of types: within it they mean its own."""


def session_module(stub: SchemaStub) -> str:
    """Return the stub module of a schema."""
    return _Writer(stub, (_TYPE_VAR,), {*_names_of(stub), stub.class_name}).module()


def dict_class(stub: SchemaStub, name: str, needed: Collection[Name], taken: Collection[str]) -> str:
    """Return the beginning of another module: its imports, and a dict that has the keys of a schema.

    Args:
        stub: that of the schema.
        name: what the dict's class is called.
        needed: what else the module imports.
        taken: what else it defines.
    """
    shared = [Name(stub.module, each) for each in _names_of(stub)]
    return _Writer(stub, (*needed, *shared), {name, *taken}).dict_class(name, needed)


def _names_of(stub: SchemaStub) -> tuple[str, ...]:
    """Return the names that the stub defines beside its class."""
    return (_OTHER.text, stub.update_name, stub.key_name, stub.keys_name)


@frozen
class _Signature:
    parameters: tuple[str, ...]
    returns: str


class _Writer:
    def __init__(self, stub: SchemaStub, needed: Iterable[Name], taken: Collection[str]) -> None:
        self._stub = stub
        types = [stub.data, *(key.type for key in stub.keys.values())]
        names = {name for typ in types for name in names_in(typ)}
        self._names = Namespace((*_OWN, *needed, *names_in(literal(""))), names, {*taken, *_METHODS})
        self._used: set[Name] = {name for key in stub.keys.values() for name in names_in(key.type)}
        self._aliases: dict[Expression, Text] = {}
        self._alias_lines: list[str] = []
        self._types = {key.name: self._short(key.type) for key in stub.keys.values()}
        self._any_key = Text(stub.key_name)
        self._writable = [key for key in stub.keys.values() if not key.readonly]

    def module(self) -> str:
        self._used.update(names_in(self._stub.data))
        session = [*self._key_classes(), "", *self._session()]
        update = self._update_dict()
        other = f'{_OTHER.text} = {self._text(_TYPE_VAR)}("{_OTHER.text}")'
        origin = f"# Written by `typed-sessions stubs {self._stub.command}`: do not edit it, run that again."
        head = [_HEADER + origin, schema_line(self._stub)]
        parts = [head, self._names.imports(self._used), [other, *self._alias_lines], update, session]
        return "\n\n".join("\n".join(part) for part in parts) + "\n"

    def dict_class(self, name: str, needed: Iterable[Name]) -> str:
        stub = self._stub
        lines = [f"class {name}({stub.keys_name}, {self._text(_DICT)}):", *self._by_key()]
        self._used.update(needed, (Name(stub.module, each) for each in _names_of(stub)))
        parts = [self._names.imports(self._used), self._alias_lines, lines]
        return "\n\n".join("\n".join(part) for part in parts if part) + "\n"

    def _text(self, *members: Expression) -> str:
        """Return a type, or a union, and note what it imports."""
        expression = one_of(*members)
        self._used.update(names_in(expression))
        return self._names.text(expression)

    def _short(self, expression: Expression) -> Expression:
        """Return a type that is no longer than signatures can bear: a long one by an alias."""
        if len(self._names.text(expression)) <= _LONGEST_TYPE:
            return expression
        match expression:
            case Subscript(head, items):
                return self._aliases.get(expression) or self._alias(expression, head, items)
            case OneOf(members):  # spelled so that formatters split it as they split any brackets
                return self._aliases.get(expression) or self._alias(expression, _UNION, members)
            case Name() | Text():
                return expression

    def _alias(self, expression: Expression, head: Name, items: Sequence[Expression]) -> Expression:
        texts = [self._text(self._short(item)) for item in items]
        alias = self._aliases[expression] = Text(f"_T{len(self._aliases) + 1}")
        self._alias_lines += listed(f"{alias.text}: {self._text(_TYPE_ALIAS)} = {self._text(head)}[", texts, "]")
        return alias

    def _update_dict(self) -> list[str]:
        """Return the TypedDict in its functional form, which takes private names, keywords and what is no identifier.

        In that form no key hides a type that has its name.
        """
        name = self._stub.update_name
        items = [f"        {quoted(key.name)}: {self._text(self._types[key.name])}," for key in self._writable]
        typed_dict = self._text(_TYPED_DICT)
        return [f"{name} = {typed_dict}(", f'    "{name}",', "    {", *items, "    },", "    total=False,", ")"]

    def _key_classes(self) -> list[str]:
        """Return the type of what iteration gives: a key that is there, as not every text is.

        The overloads for it come last, because checkers that find none that fits show the last one. A base says so
        before `Session`, the base of which iterates over texts: that is how checkers find out what `list` makes of it.
        """
        stub = self._stub
        return [
            f"class {stub.key_name}(str): ...",
            f"class {stub.keys_name}({self._text(Subscript(_ITERABLE, (self._any_key,)))}): ...",
        ]

    def _session(self) -> list[str]:
        stub = self._stub
        return [
            f"class {stub.class_name}({stub.keys_name}, {self._text(Subscript(_SESSION, (stub.data,)))}):",
            *self._property("data", stub.data),
            *self._property("extras", Subscript(_MUTABLE_MAPPING, (_STR, OBJECT))),
            *self._by_key(*self._method("promote", self._promote())),
        ]

    def _by_key(self, *others: str) -> list[str]:
        """Return the methods of a mapping, with others before the last one."""
        stub = self._stub
        return [
            *self._method("__iter__", self._signature([], Subscript(_ITERATOR, (self._any_key,)))),
            *self._method("__reversed__", self._signature([], Subscript(_ITERATOR, (self._any_key,)))),
            *self._method("__len__", self._signature([], _INT)),
            *self._method("__contains__", self._any(stub.keys.values(), _BOOL)),
            *self._method("keys", self._signature([], Subscript(_KEYS_VIEW, (self._any_key,)))),
            *self._method("items", self._signature([], Subscript(_ITEMS_VIEW, (self._any_key, OBJECT)))),
            *self._method("__getitem__", *map(self._read, self._groups(stub.keys.values())), self._other("/")),
            *self._method(
                "__setitem__",
                *map(self._write, self._groups(self._writable)),
                self._other("value: object", "/", returns=NONE),
            ),
            *self._method("__delitem__", self._any(self._writable, NONE)),
            *self._method("get", *self._defaulting(stub.keys.values(), NONE)),
            *self._method("pop", *self._defaulting(self._writable)),
            *self._method(
                "setdefault",
                *map(self._set_default, self._groups(self._writable)),
                self._other("/", "default: object = None"),
            ),
            *self._method("update", self._update()),
            *others,
            *self._method("__ior__", self._signature([f"other: {stub.update_name}", "/"], _SELF)),
        ]

    def _property(self, name: str, typ: Expression) -> list[str]:
        return [f"{INDENT}@property", *listed(f"{INDENT}def {name}(", ["self"], f") -> {self._text(typ)}: ...")]

    def _method(self, name: str, *signatures: _Signature) -> list[str]:
        overload = [f"{INDENT}@{self._text(_OVERLOAD)}"] if len(signatures) > 1 else []
        lines: list[str] = []
        for signature in signatures:
            lines += overload
            lines += listed(f"{INDENT}def {name}(", signature.parameters, f") -> {signature.returns}: ...")
        return lines

    def _signature(self, parameters: Sequence[str], *returns: Expression) -> _Signature:
        return _Signature(("self", *parameters), self._text(*returns))

    def _groups(self, keys: Iterable[Key]) -> list[list[Key]]:
        """Return the keys that share a type, together."""
        groups: dict[Expression, list[Key]] = {}
        for key in keys:
            groups.setdefault(key.type, []).append(key)
        return list(groups.values())

    def _key(self, keys: Sequence[Key]) -> str:
        """Return the parameter that takes these keys, in several lines if one does not hold it."""
        return self._literal("key: ", keys, margin=_INNER_MARGIN)

    def _literal(self, before: str, keys: Sequence[Key], margin: int) -> str:
        expression = literal(*(key.name for key in keys))
        self._used.update(names_in(expression))
        return "\n".join(listed(f"{before}Literal[", [quoted(key.name) for key in keys], "]", margin=margin))

    def _type(self, keys: Sequence[Key]) -> Expression:
        return self._types[keys[0].name]

    def _read(self, keys: Sequence[Key]) -> _Signature:
        return self._signature([self._key(keys), "/"], self._type(keys))

    def _write(self, keys: Sequence[Key]) -> _Signature:
        return self._signature([self._key(keys), f"value: {self._text(self._type(keys))}", "/"], NONE)

    def _set_default(self, keys: Sequence[Key]) -> _Signature:
        typ = self._type(keys)
        default = f"default: {self._text(typ)}{' = None' if keys[0].allows_none else ''}"
        return self._signature([self._key(keys), "/", default], typ)

    def _other(self, *parameters: str, returns: Expression = OBJECT) -> _Signature:
        """Return the signature of a method for a key that iteration gave, with what comes behind the key."""
        return self._signature([f"key: {self._stub.key_name}", *parameters], returns)

    def _any(self, keys: Collection[Key], returns: Expression) -> _Signature:
        """Return the signature of a method that treats all keys alike."""
        if not keys:
            return self._other("/", returns=returns)
        names = self._literal("", list(keys), margin=_INNER_MARGIN + len(INDENT))
        union = listed(f"key: {self._text(_UNION)}[", [names, self._stub.key_name], "]", margin=_INNER_MARGIN)
        return self._signature(["\n".join(union), "/"], returns)

    def _defaulting(self, keys: Iterable[Key], *absent: Expression) -> Iterator[_Signature]:
        """Yield the signatures of a method that takes a default, or answers with `absent` without one."""
        for group in self._groups(keys):
            key, typ = self._key(group), self._type(group)
            if group[0].allows_all:
                yield self._signature([key, "/", f"default: {self._text(typ)} = ..."], typ)
                continue
            yield self._signature([key, "/"], typ, *absent)
            # First the key's own type, by which a checker reads an empty list.
            yield self._signature([key, "/", f"default: {self._text(typ)}"], typ)
            yield self._signature([key, "/", f"default: {_OTHER.text}"], typ, _OTHER)
        yield self._other("/", "default: object = ...")

    def _update(self) -> _Signature:
        other = "other"
        while other in self._stub.keys:
            other += "_"
        return self._signature([f"{other}: {self._stub.update_name} = ...", "/", *self._keywords()], NONE)

    def _promote(self) -> _Signature:
        return self._signature(self._keywords(), NONE)

    def _keywords(self) -> list[str]:
        """Return the parameters that take values by the names of their keys."""
        names = [key.name for key in self._writable if _is_keyword_argument(key.name)]
        keywords = [f"{name}: {self._text(self._types[name])} = ..." for name in names]
        return ["*", *keywords] if keywords else []


def _is_keyword_argument(name: str) -> bool:
    """Return True for what the signature can name. Two underscores in front would be mangled, or mean a position."""
    return name.isidentifier() and not iskeyword(name) and not name.startswith("__") and name != "self"
