"""Tagged JSON: the format of Quart's and Flask's session cookies.

JSON, in which a value of another type is an object with one key, the tag: `(1, 2)` is `{" t": [1, 2]}`. The format is
Flask's `flask.json.tag`; whatever that writes, this writes, byte for byte, and the other way round.
"""

from __future__ import annotations

import dataclasses
import json
from base64 import b64decode
from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal
from typing import Any, ClassVar, Final, cast
from uuid import UUID

from markupsafe import Markup
from typing_extensions import override

from typed_sessions.schema.narrowing import PLAIN, is_dict, is_sequence
from typed_sessions.serializers.http_dates import http_date, parsed_http_date
from typed_sessions.serializers.tags import ESCAPE, ESCAPED, STOCK, TUPLE, base64_text, is_tagged

__all__ = [
    "JSONTag",
    "PassDict",
    "PassList",
    "TagBytes",
    "TagDateTime",
    "TagDict",
    "TagMarkup",
    "TagTuple",
    "TagUUID",
    "TaggedJSONSerializer",
]


_UNTAGGED: Final = PLAIN | {float}
"""The types that no tag of the class is for."""
_CONTAINERS: Final = frozenset({dict, list})


class JSONTag:
    """How values of one type are tagged. Subclass it, give it a key, and register the class with a serializer.

    Args:
        serializer: the serializer that the tag belongs to; `to_json` tags the parts of a value with it.
    """

    __slots__ = ("serializer",)

    key: ClassVar[str] = ""
    """The tag itself. By convention it begins with a space. Empty: values are converted and not tagged."""

    def __init__(self, serializer: TaggedJSONSerializer) -> None:
        self.serializer: TaggedJSONSerializer = serializer

    def check(self, value: Any) -> bool:
        """Return True if this tag is the one for a value."""
        raise NotImplementedError

    def to_json(self, value: Any) -> object:
        """Return what JSON can hold of a value that `check` accepted."""
        raise NotImplementedError

    def to_python(self, value: Any) -> object:
        """Return the value that `to_json` made this of."""
        raise NotImplementedError

    def tag(self, value: Any) -> object:
        """Return the tagged form of a value that `check` accepted."""
        return {self.key: self.to_json(value)}


class TagDict(JSONTag):
    """A dict with a single key that looks like a tag: the key gets a suffix, so that it is none."""

    __slots__ = ()
    key: ClassVar[str] = ESCAPED

    @override
    def check(self, value: object) -> bool:
        return is_dict(value) and is_tagged(value, self.serializer.tags)

    @override
    def to_json(self, value: dict[str, object]) -> object:
        key = next(iter(value))
        return {f"{key}{ESCAPE}": self.serializer.tag(value[key])}

    @override
    def to_python(self, value: dict[str, object]) -> object:
        key = next(iter(value))
        return {key[: -len(ESCAPE)]: value[key]}


class _TypeTag(JSONTag):
    """The tag of a type's values."""

    __slots__ = ()
    _cls: ClassVar[type]

    @override
    def check(self, value: object) -> bool:
        return isinstance(value, self._cls)


class PassDict(_TypeTag):
    """Any other dict, its values tagged."""

    __slots__ = ()
    _cls: ClassVar[type] = dict

    @override
    def to_json(self, value: dict[object, object]) -> object:
        return {key: self.serializer.tag(item) for key, item in value.items()}

    tag = to_json


class PassList(_TypeTag):
    """A list, its items tagged."""

    __slots__ = ()
    _cls: ClassVar[type] = list

    @override
    def to_json(self, value: list[object]) -> object:
        return [self.serializer.tag(item) for item in value]

    tag = to_json


class TagTuple(_TypeTag):
    """A tuple."""

    __slots__ = ()
    key: ClassVar[str] = TUPLE
    _cls: ClassVar[type] = tuple

    @override
    def to_json(self, value: tuple[object, ...]) -> object:
        return [self.serializer.tag(item) for item in value]

    @override
    def to_python(self, value: list[object]) -> object:
        return tuple(value)


class TagBytes(_TypeTag):
    """Bytes, in base64."""

    __slots__ = ()
    key: ClassVar[str] = STOCK[bytes].tag
    _cls: ClassVar[type] = bytes

    @override
    def to_json(self, value: bytes) -> object:
        return base64_text(value)

    @override
    def to_python(self, value: str) -> object:
        return b64decode(value)


class TagMarkup(JSONTag):
    """Text that is safe in HTML: anything with an `__html__` method. It comes back as `Markup`."""

    __slots__ = ()
    key: ClassVar[str] = STOCK[Markup].tag

    @override
    def check(self, value: object) -> bool:
        return callable(getattr(value, "__html__", None))

    @override
    def to_json(self, value: Any) -> object:
        return str(value.__html__())

    @override
    def to_python(self, value: str) -> object:
        return Markup(value)  # noqa: S704 -- it was markup when it was written, and the cookie is signed


class TagUUID(_TypeTag):
    """A UUID."""

    __slots__ = ()
    key: ClassVar[str] = STOCK[UUID].tag
    _cls: ClassVar[type] = UUID

    @override
    def to_json(self, value: UUID) -> object:
        return value.hex

    @override
    def to_python(self, value: str) -> object:
        return UUID(value)


class TagDateTime(_TypeTag):
    """A datetime as an HTTP date: whole seconds, in UTC; one without a time zone counts as UTC."""

    __slots__ = ()
    key: ClassVar[str] = STOCK[datetime].tag
    _cls: ClassVar[type] = datetime

    @override
    def to_json(self, value: datetime) -> object:
        return http_date(value)

    @override
    def to_python(self, value: str) -> object:
        return parsed_http_date(value)


class TaggedJSONSerializer:
    """Writes and reads tagged JSON exactly as Flask's serializer of the same name.

    Args:
        sort_keys: True writes as Flask does inside an application context; False, in the order of the keys, as Quart.
    """

    __slots__ = ("order", "sort_keys", "tags")

    name: ClassVar[str] = "tagged-json"

    default_tags: ClassVar[tuple[type[JSONTag], ...]] = (
        TagDict,
        PassDict,
        TagTuple,
        PassList,
        TagBytes,
        TagMarkup,
        TagUUID,
        TagDateTime,
    )

    def __init__(self, *, sort_keys: bool = False) -> None:
        self.sort_keys: bool = sort_keys
        self.tags: dict[str, JSONTag] = {}
        """The tags by key."""
        self.order: list[JSONTag] = []
        """The tags in the order in which a value is checked."""
        for tag_class in self.default_tags:
            self.register(tag_class)

    def register(
        self,
        tag_class: Callable[[TaggedJSONSerializer], JSONTag],
        force: bool = False,  # noqa: FBT001, FBT002 -- Flask's signature
        index: int | None = None,
    ) -> None:
        """Add a tag.

        Args:
            tag_class: the class of the tag, called with this serializer.
            force: replace a tag of the same key.
            index: where in the order to insert it; last by default. A special case of another tag's type comes first.

        Raises:
            KeyError: there is a tag of that key, and `force` is not set.
        """
        tag = tag_class(self)
        if tag.key:
            if not force and tag.key in self.tags:
                raise KeyError(f"a tag {tag.key!r} is registered already; force=True replaces it")
            self.tags[tag.key] = tag
        self.order.insert(len(self.order) if index is None else index, tag)

    def tag(self, value: object) -> object:
        """Return the tagged form of a value, or the value if no tag is for it."""
        for tag in self.order:
            if tag.check(value):
                return tag.tag(value)
        return value

    def untag(self, value: dict[str, object]) -> object:
        """Return the value that a tagged form stands for, or the dict itself if it is none. Does not look inside."""
        if len(value) != 1:
            return value
        ((key, tagged),) = value.items()
        return self.tags[key].to_python(tagged) if key in self.tags else value

    def dumps(self, value: object, /) -> str:
        """Return compact tagged JSON in ASCII.

        Raises:
            TypeError: JSON cannot hold the value, or keys of different types are to be sorted.
            ValueError: the value contains itself.
        """
        plain = self._stock_form(value) if self.is_stock else self.tag(value)
        return json.dumps(plain, default=_json_default, separators=(",", ":"), sort_keys=self.sort_keys)

    def loads(self, payload: str | bytes, /) -> object:
        """Return the value that tagged JSON holds.

        Raises:
            ValueError: it is not JSON; or any error of a tag whose content is not its own.
        """
        return self._untagged(json.loads(payload))

    @property
    def is_stock(self) -> bool:
        """True if the tags are those of the class, so that values can be told by their types alone."""
        if type(self) is not TaggedJSONSerializer:
            return False
        in_order = [*map(type, self.order)] == [*self.default_tags]
        return in_order and all(self.tags.get(tag.key) is tag for tag in self.order if tag.key)

    def _stock_form(self, value: object) -> object:
        """Return what `tag` returns where the tags are those of the class: most values are told by their types."""
        if type(value) in _UNTAGGED:
            return value
        if is_sequence(value) and type(value) is list:
            return value if _UNTAGGED.issuperset(map(type, value)) else [self._stock_form(item) for item in value]
        if is_dict(value) and type(value) is dict and len(value) != 1:
            return {key: self._stock_form(item) for key, item in value.items()}
        return self.tag(value)

    def _untagged(self, value: object) -> object:
        """Return what a value that JSON has just read stands for. Containers are its own: nobody else has them."""
        if isinstance(value, dict):
            fields = cast("dict[str, object]", value)
            if _CONTAINERS.isdisjoint(map(type, fields.values())):
                return self.untag(fields)
            return self.untag({key: self._untagged(item) for key, item in fields.items()})
        if isinstance(value, list):
            items = cast("list[object]", value)
            return items if _CONTAINERS.isdisjoint(map(type, items)) else [self._untagged(item) for item in items]
        return value


def _json_default(value: Any) -> object:
    """Return what Flask's JSON provider writes for a value that JSON lacks. Source: flask.json.provider."""
    if isinstance(value, date):
        return http_date(value)
    if isinstance(value, (Decimal, UUID)):
        return str(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    if (html := getattr(value, "__html__", None)) is not None:
        return str(html())
    raise TypeError(f"an object of type {type(value).__name__} is not JSON serializable")
