"""What bounds any session: the floor, and msgspec alone between Quart's request and response."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec
from typing_extensions import override

from benchmarks.contenders import (
    CHANGED_QUANTITY,
    CHANGED_USER,
    SECRET_KEY,
    SERIALIZERS,
    Contender,
    Floor,
    OnQuart,
    Ours,
    OursWithClass,
    OursWithTypedDict,
    UsedThroughData,
    permanent,
    prove,
    quart_config,
    stock,
)
from benchmarks.measure import compare
from benchmarks.payloads import SIZES, Size, declared_values, plain_values, schema_class, values
from benchmarks.rows import ONE_CHANGE, READ_ONLY, timed
from benchmarks.sealing import BareSealer
from benchmarks.table import Table
from typed_sessions.core.cookies import BROWSERS_LIMIT
from typed_sessions.sealing.signed import sealed_size
from typed_sessions.serializers.base import SerializerName

__all__ = ["MsgspecAlone", "MsgspecAloneByKey", "bound_table"]

_ATTRIBUTES: Final = "; Expires=Sat, 01 Jan 2050 00:00:00 GMT; HttpOnly; Path=/"
"""Made once: a session makes it for each second."""


class Loaded:
    """What it opens: an object, and whether to write it."""

    __slots__ = ("data", "modified")

    def __init__(self, data: Any) -> None:
        self.data = data
        self.modified = False


class MsgspecAlone(UsedThroughData, OnQuart):
    """No session at all: msgspec reads and writes the class itself, and the cookie goes through Quart's objects.

    Nothing is opened late, converted, validated or compared, nobody looks whether a setting has changed, and what is
    written is not proven to read back. `_permanent`, which the class does not declare, is left out.

    Args:
        contents: what the object holds, by attribute.
        config: Quart's.
        schema: the class.
        serializer: the format whose place it takes: which notation msgspec writes, and when that is compressed.
    """

    def __init__(
        self,
        contents: dict[str, object],
        config: Mapping[str, object],
        *,
        schema: Callable[[], Any],
        serializer: SerializerName,
    ) -> None:
        super().__init__("msgspec alone", contents, config)
        self.family = serializer
        self.opens_untouched = True
        self._schema: Final = schema
        room = (BROWSERS_LIMIT - len("session=" + _ATTRIBUTES) - sealed_size(0)) * 3 // 4
        self._sealer: Final = BareSealer(SECRET_KEY, uncompressed=200 if serializer == "tagged-json" else room)
        notation = msgspec.msgpack if serializer == "msgspec-msgpack" else msgspec.json
        self._encode: Final[Callable[[object], bytes]] = notation.Encoder().encode
        self._decode: Final[Callable[[bytes], Any]] = notation.Decoder(schema).decode

    @override
    async def open(self) -> Any:
        text = self._request.cookies.get("session")
        payload = None if text is None else self._sealer.unseal(text)
        return Loaded(self._schema() if payload is None else self._decode(payload))

    @override
    async def save(self, session: Any, response: Any) -> None:
        if session.modified:
            text = self._sealer.seal(self._encode(session.data))
            response.headers.add("Set-Cookie", f"session={text}{_ATTRIBUTES}")
        response.headers.add("Vary", "Cookie")

    @override
    def change(self, session: Any) -> None:
        super().change(session)
        session.modified = True

    @override
    def change_nested(self, session: Any) -> None:
        super().change_nested(session)
        session.modified = True

    @override
    def fill(self, session: Any) -> None:
        for name, value in self.contents.items():
            setattr(session.data, name, value)
        session.modified = True

    @override
    def held(self, session: Any) -> dict[str, object]:
        return {name: getattr(session.data, name) for name in self.contents}


class MsgspecAloneByKey(MsgspecAlone):
    """The same with a dict: of a TypedDict, or of anything that JSON has, of which nothing is converted either."""

    @override
    def read(self, session: Any) -> object:
        return session.data["user_id"]

    @override
    def read_nested(self, session: Any) -> object:
        return session.data["cart"][0]["qty"]

    @override
    def change(self, session: Any) -> None:
        session.data["user_id"] = CHANGED_USER
        session.modified = True

    @override
    def change_nested(self, session: Any) -> None:
        session.data["cart"][0]["qty"] = CHANGED_QUANTITY
        session.modified = True

    @override
    def fill(self, session: Any) -> None:
        session.data.update(self.contents)
        session.modified = True

    @override
    def held(self, session: Any) -> dict[str, object]:
        return dict(session.data)


def bound_table(*, seconds: float, sizes: tuple[Size, ...] = SIZES) -> Table:
    """Return how many times faster than Quart's interface what bounds a session is, beside an attrs class of ours.

    Args:
        seconds: how long to measure, in all.
        sizes: of what the sessions hold.

    Raises:
        BrokenContender: one does not do its work.
    """
    rows: list[tuple[str, ...]] = []
    names: list[str] = []
    for size in sizes:
        base, contenders = stock(size), _contenders(size)
        for contender in (base, *contenders.values()):
            prove(contender)
        for row in (ONE_CHANGE, READ_ONLY):
            candidates = {name: timed(contender, row) for name, contender in contenders.items()}
            found = compare(timed(base, row), candidates, seconds=seconds / len(sizes) / 2)
            names = list(candidates)
            figures = (f"{found.ratios[name].median:.2f}" for name in names)
            rows.append((f"{row}, {size}", f"{found.base_microseconds:.0f}", *figures))
    return Table("What bounds a session", ("times as fast as Quart", "Quart, us", *names), tuple(rows))


def _contenders(size: Size) -> dict[str, Contender]:
    """Return the floor, then msgspec alone and ours, with an attrs class, in each format."""
    config, schema = quart_config(refresh=False), schema_class("attrs", size)
    contents = declared_values("attrs", size)
    contenders: dict[str, Contender] = {"floor": Floor("floor", permanent(plain_values(size)))}
    for serializer in SERIALIZERS:
        alone = MsgspecAlone(contents, config, schema=schema, serializer=serializer)
        ours = OursWithClass("attrs", permanent(contents), config, schema=schema, serializer=serializer)
        contenders |= {f"msgspec alone, {serializer}": alone, f"attrs, {serializer}": ours}
    by_key: dict[str, tuple[Any, dict[str, object], Contender]] = {
        "TypedDict": (
            schema_class("TypedDict", size),
            declared_values("TypedDict", size),
            OursWithTypedDict(
                "TypedDict",
                permanent(declared_values("TypedDict", size)),
                config,
                schema=schema_class("TypedDict", size),
            ),
        ),
        "no schema": (dict[str, Any], plain_values(size), Ours("no schema", permanent(values(size)), config)),
    }
    for name, (held_as, held, by_session) in by_key.items():
        alone = MsgspecAloneByKey(held, config, schema=held_as, serializer="tagged-json")
        contenders |= {f"msgspec alone, {name}": alone, name: by_session}
    return contenders
