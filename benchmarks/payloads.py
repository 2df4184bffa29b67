"""What the measured sessions hold: three sizes, each as plain values and as an object of every schema kind."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import cache
from typing import Any, Final, Literal, TypeAlias, TypedDict, get_args
from uuid import UUID

import attrs
import msgspec

__all__ = ["KINDS", "SIZES", "Kind", "Size", "declared_values", "plain_values", "random_text", "schema_class", "values"]

Size: TypeAlias = Literal["small", "medium", "large"]
Kind: TypeAlias = Literal["attrs", "attrs, validated", "dataclass", "Struct", "TypedDict"]

SIZES: Final[tuple[Size, ...]] = get_args(Size)
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)

FieldTypes: TypeAlias = Mapping[str, tuple[object, Any]]
"""The type and the default of each field. A default that is a class is a factory."""

_ITEM: Final[FieldTypes] = {"sku": (str, ""), "qty": (int, 0), "price_cents": (int, 0), "gift": (bool, False)}

_VISITOR: Final[FieldTypes] = {"user_id": (int | None, None), "csrf_token": (str, "")}

_LONGEST_TOKEN: Final = 100

_LOGIN: Final[FieldTypes] = {"logged_in_at": (datetime | None, None), "device_id": (UUID | None, None)}


def values(size: Size) -> dict[str, object]:
    """Return what a session of a size holds, for one that takes any values. It is made anew each time."""
    match size:
        case "small":
            return _visitor()
        case "medium":
            return {
                **_visitor(),
                "username": "grace.murray",
                "email": "grace.murray@example.org",
                "locale": "en-GB",
                "is_admin": False,
                **_login(),
                "point": (48, -123),
                "roles": ["user", "author", "tester"],
                "cart": _items(),
            }
        case "large":
            return {
                **_visitor(),
                **_login(),
                "id_token": random_text("id", 900),
                "access_token": random_text("access", 600),
                "refresh_token": random_text("refresh", 300),
                "flashes": [("message", f"Entry {number} of your wish list is in stock again.") for number in range(4)],
                "cart": _items(),
                "history": [f"/articles/{_number(f'history {number}', 10**5)}/show" for number in range(12)],
            }


def plain_values(size: Size) -> dict[str, object]:
    """Return the same for a session that takes what JSON has: times and identifiers as text, tuples as lists."""
    plain: dict[str, object] = msgspec.to_builtins(values(size))
    return {key: _without_tuples(value) for key, value in plain.items()}


def declared_values(kind: Kind, size: Size) -> dict[str, object]:
    """Return the same for a session with a schema: what is in the cart are instances of the declared class."""
    declared = values(size)
    if "cart" in declared:
        item = _item_class(kind)
        declared["cart"] = [item(**fields) for fields in _items()]
    return declared


def schema_class(kind: Kind, size: Size) -> Callable[[], Any]:
    """Return the class that declares what a session of a size holds."""
    declared: Callable[[], Any] = _make(kind, f"{size.title()}Visitor", _fields(size, _item_class(kind)))
    return declared


def _fields(size: Size, item: Any) -> FieldTypes:
    match size:
        case "small":
            return _VISITOR
        case "medium":
            return {
                **_VISITOR,
                "username": (str, ""),
                "email": (str, ""),
                "locale": (str, "en"),
                "is_admin": (bool, False),
                **_LOGIN,
                "point": (tuple[int, int] | None, None),
                "roles": (list[str], list),
                "cart": (list[item], list),
            }
        case "large":
            return {
                **_VISITOR,
                **_LOGIN,
                "id_token": (str, ""),
                "access_token": (str, ""),
                "refresh_token": (str, ""),
                "flashes": (list[tuple[str, str]], list),
                "cart": (list[item], list),
                "history": (list[str], list),
            }


@cache
def _item_class(kind: Kind) -> Any:
    """Return the class of what is in the cart: the same one for the schema and for the values."""
    return _make("attrs" if kind == "attrs, validated" else kind, "Item", _ITEM)


def _make(kind: Kind, name: str, fields: FieldTypes) -> Any:
    match kind:
        case "attrs":
            return attrs.make_class(name, {key: _attrs_field(*field) for key, field in fields.items()}, slots=True)
        case "attrs, validated":
            made_fields = {key: _attrs_field(*field) for key, field in fields.items()}
            made_fields["csrf_token"].validator(attrs.validators.max_len(_LONGEST_TOKEN))
            return attrs.make_class(name, made_fields, slots=True)
        case "dataclass":
            made = [(key, field_type, _dataclass_field(default)) for key, (field_type, default) in fields.items()]
            return dataclasses.make_dataclass(name, made)
        case "Struct":
            return msgspec.defstruct(name, [(key, *_struct_field(*field)) for key, field in fields.items()])
        case "TypedDict":
            types = {key: field_type for key, (field_type, _) in fields.items()}
            return TypedDict(name, types, total=False)  # type: ignore[operator]  # a call with names made at run time


def _attrs_field(field_type: Any, default: object) -> Any:
    if isinstance(default, type):
        return attrs.field(factory=default, type=field_type)
    return attrs.field(default=default, type=field_type)


def _dataclass_field(default: Any) -> Any:
    return dataclasses.field(default_factory=default) if isinstance(default, type) else default


def _struct_field(field_type: Any, default: Any) -> tuple[Any, Any]:
    return field_type, msgspec.field(default_factory=default) if isinstance(default, type) else default


def _visitor() -> dict[str, object]:
    return {"user_id": 482113, "csrf_token": random_text("csrf", 40)}


def _login() -> dict[str, object]:
    return {
        "logged_in_at": datetime(2026, 4, 2, 8, 51, 37, tzinfo=UTC),
        "device_id": UUID("0b7c65d2-41ff-4f0e-9d55-7a1e2b3c4d5f"),
    }


def _items() -> list[dict[str, Any]]:
    return [
        {
            "sku": f"SKU-{_number(f'sku {number}', 10**6):06d}",
            "qty": 1 + _number(f"qty {number}", 8),
            "price_cents": 100 + _number(f"price {number}", 99_900),
            "gift": number % 3 == 0,
        }
        for number in range(10)
    ]


def random_text(seed: str, length: int) -> str:
    """Return hexadecimal digits that zlib finds no pattern in, the same ones each time."""
    return hashlib.shake_256(seed.encode()).hexdigest((length + 1) // 2)[:length]


def _number(seed: str, below: int) -> int:
    return int.from_bytes(hashlib.shake_256(seed.encode()).digest(8)) % below


def _without_tuples(value: object) -> object:
    if isinstance(value, (list, tuple)):
        return [_without_tuples(item) for item in value]
    return value
