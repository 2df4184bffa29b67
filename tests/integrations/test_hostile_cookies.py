"""Whatever stands in the cookie, through the whole of an application: a fresh session, one reason, and nothing told."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import json
import logging
import math
import secrets
import time
import zlib
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import Enum, IntEnum
from functools import cache
from typing import Annotated, Any
from uuid import UUID

import msgspec
import pytest
from attrs import Factory, define, frozen
from itsdangerous import BadData, Signer, URLSafeTimedSerializer
from itsdangerous.encoding import base64_encode, int_to_bytes
from quart import Quart, flash, get_flashed_messages, websocket

from tests.cases import case, for_each
from typed_sessions import Essential, migration
from typed_sessions.codec import codec, generated_class
from typed_sessions.codec.codec import MAX_COOKIE_PAYLOAD, MAX_DEPTH
from typed_sessions.codec.generated_class import GeneratedClass
from typed_sessions.codec.loaded_data import LoadedData
from typed_sessions.quart import Sessions, field_reset, session_refused
from typed_sessions.reports import FieldReset, Reason, Refused

pytestmark = pytest.mark.usefixtures("both_paths")

SECRET = "hush: the secret key of these tests"
MARK = "what-the-visitor-keeps-to-himself"
NAMES = ["tagged-json", "msgspec-json", "msgspec-msgpack"]
HOUR = 3600
LIFETIME = timedelta(days=31)

pack = msgspec.msgpack.encode


class Color(Enum):
    RED = "red"
    BLUE = "blue"


@define
class Item:
    sku: str
    price: Decimal = Decimal(0)


@define
class Visitor:
    user_id: int | None = None
    name: str = ""
    ratio: float = 0.0
    cart: list[Item] = Factory(list[Item])
    tags: set[str] = Factory(set[str])
    counts: dict[int, int] = Factory(dict[int, int])
    seen: datetime | None = None
    device: UUID | None = None
    color: Color = Color.RED
    point: tuple[int, int] = (0, 0)


@define
class Tenant:
    """A visitor who must not be taken for another's customer because of a field that cannot be read."""

    tenant: Annotated[int, Essential] = 0
    name: str = ""


@define
class Moved:
    """A visitor whose earlier sessions a step brings up to date."""

    name: str = ""


@migration(Moved, 1)
def _named(stored: dict[str, object]) -> dict[str, object]:
    raise ValueError(f"a step that tells what it saw: {stored}")


@frozen
class Shop:
    """An application on one format, and what its sessions had to say."""

    app: Quart
    sessions: Sessions[Any]
    name: str


@frozen
class Visit:
    """What a request came to."""

    status: int
    page: str
    cookies: list[str]
    reports: list[Refused | FieldReset]


def shop_of(name: str, schema: type = Visitor) -> Shop:
    """Return the application on a format; made once for each path, and no test changes it."""
    return shop_of_path(name, schema, vars(codec)["generated_for"])


@cache
def shop_of_path(name: str, schema: type, generated_for: object) -> Shop:
    """Return the application whose codecs are made while this is `codec.generated_for`, which `both_paths` replaces."""
    assert vars(codec)["generated_for"] is generated_for
    return made_shop(name, schema)


def made_shop(name: str, schema: type = Visitor, **config: object) -> Shop:
    app = Quart(__name__)
    app.config.update(SECRET_KEY=SECRET, SESSION_SERIALIZER=name, PERMANENT_SESSION_LIFETIME=LIFETIME)
    app.config.update({"MAX_COOKIE_SIZE": 0, **config})
    shop = Shop(app, Sessions(schema, app), name)
    sessions = shop.sessions

    @app.get("/read")
    async def read() -> str:
        return shown(shop)

    @app.get("/nothing")
    async def nothing() -> str:
        return ""

    @app.get("/write")
    async def write() -> str:
        sessions.data.name = "new"
        return ""

    @app.get("/clear")
    async def clear() -> str:
        sessions.current.clear()
        return ""

    @app.get("/raise")
    async def fail() -> str:
        shown(shop)
        raise LookupError("the view's own")

    @app.websocket("/ws")
    async def ws() -> None:
        await websocket.send(shown(shop))

    add_ends(app, sessions)
    return shop


def add_ends(app: Quart, sessions: Sessions[Any]) -> None:
    """Add the views that end a session, or renew it."""

    @app.get("/invalidate")
    async def invalidate() -> str:
        sessions.current.invalidate()
        return ""

    @app.get("/clear-and-tell")
    async def clear_and_tell() -> str:
        sessions.current.clear()
        await flash("see you")
        return ""

    @app.get("/invalidate-and-tell")
    async def invalidate_and_tell() -> str:
        sessions.current.invalidate()
        await flash("see you")
        return ""

    @app.get("/tell-at-once")
    async def tell_at_once() -> str:
        sessions.current.clear()
        await flash("see you")
        return str(get_flashed_messages())

    @app.get("/promote")
    async def promote() -> str:
        sessions.current.promote(name="new")
        return ""

    @app.get("/regenerate")
    async def regenerate() -> str:
        sessions.current.regenerate()
        return ""


def shown(shop: Shop) -> str:
    session = shop.sessions.current
    return f"{session.data!r} {dict(session)!r} new={session.new}"


async def visit(shop: Shop, cookie: str | None, path: str = "/read") -> Visit:
    """Return what a request with this `Cookie` header came to."""
    reports: list[Refused | FieldReset] = []

    def collect(_: Quart, report: Refused | FieldReset) -> None:
        reports.append(report)

    headers = {} if cookie is None else {"Cookie": cookie}
    client = shop.app.test_client(use_cookies=False)
    with session_refused.connected_to(collect, shop.app), field_reset.connected_to(collect, shop.app):
        if path == "/ws":
            async with client.websocket("/ws", headers=headers) as socket:
                return Visit(200, str(await socket.receive()), [], reports)
        response = await client.get(path, headers=headers)
        page: str = await response.get_data(as_text=True)
        return Visit(response.status_code, page, response.headers.getlist("Set-Cookie"), reports)


@frozen
class Forge:
    """Holds the right key, and signs whatever it is given."""

    name: str

    @property
    def salt(self) -> str:
        return "cookie-session" if self.name == "tagged-json" else f"cookie-session.{self.name}"

    def sign(self, packed: bytes, stamp: bytes | None = None, *, key: str = SECRET, **options: Any) -> str:
        """Return a text that is genuine but for the options, over anything in the place of payload and time."""
        stamp = base64_encode(int_to_bytes(now())) if stamp is None else stamp
        arguments = {"salt": self.salt, "key_derivation": "hmac", "digest_method": hashlib.sha1, **options}
        return Signer(key, **arguments).sign(packed + b"." + stamp).decode("latin-1")

    def seal(self, payload: bytes, at: int | None = None, **options: Any) -> str:
        """Return the genuine text of any payload, of any time."""
        stamp = base64_encode(int_to_bytes(now() if at is None else at))
        return self.sign(base64_encode(payload), stamp, **options)

    def deflate(self, payload: bytes) -> str:
        return self.sign(b"." + base64_encode(zlib.compress(payload, 9)))

    def dumps(self, value: object) -> bytes:
        """Return any value in the format, without a look at tags."""
        return pack(value) if self.name == "msgspec-msgpack" else json.dumps(value).encode()

    def genuine(self, **contents: object) -> str:
        return self.seal(self.dumps(contents))


def now() -> int:
    return int(time.time())


Make = Callable[[Forge], str]


@frozen
class Attack:
    id: str
    make: Make
    reason: Reason
    schema: type = Visitor
    names: tuple[str, ...] = tuple(NAMES)


def plain(text: str) -> Make:
    return lambda _: text


def sealed(payload: bytes) -> Make:
    return lambda forge: forge.seal(payload)


def dumped(value: object) -> Make:
    return lambda forge: forge.seal(forge.dumps(value))


def packed_as(part: bytes) -> Make:
    return lambda forge: forge.sign(part)


def signed_with(options: dict[str, Any]) -> Make:
    return lambda forge: forge.seal(forge.dumps({"name": MARK}), **options)


def dated(moment: Callable[[], int]) -> Make:
    return lambda forge: forge.seal(forge.dumps({"name": MARK}), moment())


def crossed(name: str, salt: str) -> Make:
    """Put one format's payload under another's salt."""
    return lambda _: Forge(salt).seal(Forge(name).dumps({"user_id": 7, "name": MARK}))


def texts() -> Iterable[Attack]:
    """What is not signed, or not with our key, or not now."""
    foreign = {
        "empty": "",
        "one part": "x",
        "one dot": "a.b",
        "a lone dot": ".",
        "non-ASCII": "ÿ",
        "Django's": "eyJhIjoxfQ:1tQK2z:2yY5b7S0b0bq8F2e6tqv1c9Qz1k",
        "base64": "gASVCgAAAAAAAAB9lIwBYZRLAXMu",
        "percent": "%7B%22user_id%22%3A7%7D",
        "NUL": "\x00",
        "100 kB": "x" * 100_000,
    }
    for id_, text in foreign.items():
        yield Attack(id_, plain(text), Reason.MALFORMED)
    unsigned = {
        "three parts": "a.b.c",
        "two dots": "..",
        "dots": "." * 4000,
        "a JWT": "eyJhbGciOiJub25lIn0.eyJ1c2VyX2lkIjo3fQ.",
        "non-ASCII parts": "é.ÿ.\x80",
        "100 kB in parts": "a.b." * 25_000,
    }
    for id_, text in unsigned.items():
        yield Attack(id_, plain(text), Reason.SIGNATURE)
    options: dict[str, dict[str, Any]] = {
        "another key": {"key": "guessed"},
        "an empty key": {"key": ""},
        "another salt": {"salt": "cookie-session.other"},
        "another digest": {"digest_method": hashlib.sha256},
        "another derivation": {"key_derivation": "django-concat"},
    }
    for id_, option in options.items():
        yield Attack(id_, signed_with(option), Reason.SIGNATURE)
    yield Attack("a signature of another text", mixed(0, 1), Reason.SIGNATURE)
    yield Attack("a time of another text", mixed(0, 0, stamp=1), Reason.SIGNATURE)
    yield Attack("without its signature", lambda forge: forge.genuine(name=MARK).rpartition(".")[0], Reason.MALFORMED)
    yield Attack("signed twice", lambda forge: forge.genuine(name=MARK) + ".x", Reason.SIGNATURE)
    yield Attack("no time", lambda forge: forge.sign(b"e30", b""), Reason.EXPIRED)
    oldest = int(LIFETIME.total_seconds())
    moments = {
        "the year 1970": (lambda: 0, Reason.EXPIRED),
        "a second past 1970": (lambda: 1, Reason.EXPIRED),
        "an hour past the lifetime": (lambda: now() - oldest - HOUR, Reason.EXPIRED),
        "an hour ahead": (lambda: now() + HOUR, Reason.FUTURE),
        "the year 9999": (lambda: 253_402_300_799, Reason.FUTURE),
        "the year 10000": (lambda: 253_402_300_800, Reason.FUTURE),
        "2^62": (lambda: 2**62, Reason.FUTURE),
        "2^63": (lambda: 2**63, Reason.FUTURE),
        "2^64-1": (lambda: 2**64 - 1, Reason.FUTURE),
    }
    for id_, (moment, reason) in moments.items():
        yield Attack(id_, dated(moment), reason)


def mixed(payload: int, signature: int, stamp: int = 0) -> Make:
    """Put a text together from the parts of two genuine ones."""

    def make(forge: Forge) -> str:
        made = [forge.seal(forge.dumps({"name": MARK, "user_id": n}), now() - n).split(".") for n in (0, 1)]
        return f"{made[payload][0]}.{made[stamp][1]}.{made[signature][2]}"

    return make


def packings() -> Iterable[Attack]:
    """Genuine signatures over what is no base64 and no zlib, or too much of it."""
    stream = zlib.compress(b'{"name":"' + MARK.encode() * 9 + b'"}')
    raw = zlib.compressobj(wbits=-15)
    deflated = raw.compress(stream) + raw.flush()
    with_dictionary = zlib.compressobj(zdict=b"user_id")
    packed = {
        "one base64 digit": b"A",
        "five base64 digits": b"AAAAA",
        "no zlib": b"." + base64_encode(b"nothing"),
        "nothing deflated": b".",
        "cut zlib": b"." + base64_encode(stream[:-5]),
        "zlib without an end": b"." + base64_encode(stream[:2]),
        "a wrong checksum": b"." + base64_encode(stream[:-1] + bytes([stream[-1] ^ 1])),
        "raw deflate": b"." + base64_encode(deflated),
        "gzip": b"." + base64_encode(gzip.compress(b"{}")),
        "zlib with a dictionary": b"." + base64_encode(with_dictionary.compress(b"user_id") + with_dictionary.flush()),
        "not deflated": b"." + base64_encode(b'{"user_id":7}'),
        "zlib in one base64 digit": b".A",
    }
    for id_, part in packed.items():
        yield Attack(id_, packed_as(part), Reason.ENCODING)
    yield Attack("one byte too much", lambda forge: forge.deflate(b" " * (MAX_COOKIE_PAYLOAD + 1)), Reason.TOO_LARGE)
    yield Attack("a bomb", lambda forge: forge.sign(b"." + bomb(64)), Reason.TOO_LARGE)
    yield Attack("too much, not deflated", lambda forge: forge.seal(b" " * (MAX_COOKIE_PAYLOAD + 1)), Reason.TOO_LARGE)


@cache
def bomb(mebibytes: int) -> bytes:
    deflater = zlib.compressobj(9)
    pieces = [deflater.compress(bytes(1024 * 1024)) for _ in range(mebibytes)]
    return base64_encode(b"".join(pieces) + deflater.flush())


JSON_NAMES = ("tagged-json", "msgspec-json")
MSGSPEC_NAMES = ("msgspec-json", "msgspec-msgpack")


def foreign_payloads() -> Iterable[Attack]:
    """Genuine signatures over what other programs write."""
    mark = MARK.encode()
    everywhere = {
        "nothing": b"",
        "pickle": b"\x80\x04\x95\x0a\x00\x00\x00\x00\x00\x00\x00}\x94\x8c\x01a\x94K\x01s.",
        "old pickle": b"(dp0\nS'name'\np1\nS'" + mark + b"'\np2\ns.",
        "PHP": b'a:1:{s:4:"name";s:3:"' + mark + b'";}',
        "YAML": b"name: " + mark,
        "XML": b"<name>" + mark + b"</name>",
        "BSON": b"\x16\x00\x00\x00\x02name\x00\x03\x00\x00\x00me\x00\x00",
        "CBOR": b"\xbf\x64name\x62me\xff",
        "marshal": b"\xdb\xe9\x01\x00\x00\x00{\xda\x01ar\x01\x00\x00\x000",
        "UTF-16": '{"name":"me"}'.encode("utf-16"),
        "UTF-8 with a mark": b"\xef\xbb\xbf{}",
        "NULs": b"\x00" * 9,
        "ones": b"\xff" * 9,
        "a repr": b"{'name': '" + mark + b"'}",
    }
    for id_, payload in everywhere.items():
        yield Attack(id_, sealed(payload), Reason.UNREADABLE)
    for name in NAMES:
        for salt in NAMES:
            if name != salt and "msgspec-msgpack" in (name, salt):
                yield Attack(
                    f"{name} under the salt of {salt}",
                    crossed(name, salt),
                    Reason.UNREADABLE,
                )
    broken = {
        "cut": b'{"name":"' + mark,
        "two": b'{"name":"' + mark + b'"}{}',
        "a comma too many": b'{"name":"' + mark + b'",}',
        "a comment": b'{"name":"' + mark + b'"}//',
        "a key without quotes": b'{name:"' + mark + b'"}',
        "a line break in text": b'{"name":"\n' + mark + b'"}',
        "an unknown escape": b'{"name":"\\x41' + mark + b'"}',
        "half an escape": b'{"name":"\\u12' + mark,
        "latin-1": b'{"name":"\xff' + mark + b'"}',
        "overlong UTF-8": b'{"name":"\xc0\x80' + mark + b'"}',
        "UTF-8 surrogates": b'{"name":"\xed\xa0\x80' + mark + b'"}',
        "a leading zero": b'{"user_id":07}',
        "hexadecimal": b'{"user_id":0x7}',
        "an integer of 5,000 digits": b'{"user_id":' + b"9" * 5_000 + b"}",
        "an integer of sixty thousand digits": b'{"user_id":' + b"9" * 60_000 + b"}",
    }
    for id_, payload in broken.items():
        yield Attack(id_, sealed(payload), Reason.UNREADABLE, names=JSON_NAMES)
    packs = {
        "a reserved byte": b"\x81\xa4name\xc1",
        "cut": pack({"name": MARK})[:-1],
        "two": pack({"name": MARK}) * 2,
        "four milliard items": b"\x81\xa4name\xdd\xff\xff\xff\xff",
        "four milliard pairs": b"\xdf\xff\xff\xff\xff",
        "four milliard bytes": b"\x81\xa4name\xc6\xff\xff\xff\xff",
        "four milliard letters": b"\x81\xa4name\xdb\xff\xff\xff\xff",
        "latin-1": b"\x81\xa4name\xa2\xff\xfe",
        "a latin-1 key": b"\x81\xa2\xff\xfe\x07",
        "a time of too many nanoseconds": b"\x81\xa4seen\xd7\xff" + b"\xff" * 8,
        "a time past the calendar": b"\x81\xa4seen\xc7\x0c\xff\x00\x00\x00\x00" + b"\x7f" + b"\xff" * 7,
        "a time before the calendar": b"\x81\xa4seen\xc7\x0c\xff\x00\x00\x00\x00" + b"\x80" + b"\x00" * 7,
    }
    for id_, payload in packs.items():
        yield Attack(id_, sealed(payload), Reason.UNREADABLE, names=("msgspec-msgpack",))


def tags() -> Iterable[Attack]:
    """Genuine signatures over tags before what is not theirs."""
    everywhere: dict[str, object] = {
        "a tuple of a number": {" t": 5},
        "a tuple of null": {" t": None},
        "bytes of no base64": {" b": "A"},
        "bytes of a number": {" b": 5},
        "bytes that are not ASCII": {" b": "é" + MARK},
        "a UUID of other letters": {" u": "g" * 32},
        "a UUID of a number": {" u": 5},
        "a UUID too long": {" u": "0" * 33},
        "a date of a number": {" d": 5},
        "a date of a list": {" d": [MARK]},
        "an escape of nothing": {" di": {}},
        "an escape of text": {" di": MARK},
        "an escape of a list": {" di": [MARK]},
    }
    for id_, tagged in everywhere.items():
        for place in ("name", "undeclared"):
            yield Attack(f"{id_} ({place})", dumped({place: tagged, "user_id": 7}), Reason.UNREADABLE)
    msgspecs: dict[str, object] = {
        "a tuple of text": {" t": MARK},
        "a set of text": {" s": MARK},
        "a set of lists": {" s": [[MARK]]},
        "a set of dicts": {" f": [{"a": MARK}]},
        "a set of signalling NaN": {" s": [{" n": "sNaN"}]},
        "markup of a number": {" m": 5},
        "bytes with a line break": {" b": "YQ\n=="},
        "the year 0": {" d": "0000-01-01T00:00:00"},
        "an offset of 24 hours": {" d": "2026-01-01T00:00:00+24:00"},
        "a text for a date": {" date": MARK},
        "the 30th of February": {" date": "2026-02-30"},
        "an hour of 25": {" time": "25:00:00"},
        "a span past its limit": {" delta": "P1000000000D"},
        "a span of sixty thousand digits": {" delta": f"P{'9' * 60_000}D"},
        "a text for a decimal": {" n": MARK},
        "an escape of two keys": {" di": {"a": 1, "b": MARK}},
    }
    for id_, tagged in msgspecs.items():
        yield Attack(id_, dumped({"undeclared": tagged, "user_id": 7}), Reason.UNREADABLE, names=MSGSPEC_NAMES)
    surrogates = {
        "a lone surrogate": b'{"name":"\\ud800' + MARK.encode() + b'"}',
        "a lone surrogate in a key": b'{"\\udfff":1}',
        "NaN": b'{"ratio":NaN}',
        "infinity": b'{"ratio":-Infinity}',
        "a number past a float": b'{"ratio":1e999}',
    }
    for id_, payload in surrogates.items():
        yield Attack(id_, sealed(payload), Reason.UNREADABLE, names=("msgspec-json",))


def shapes() -> Iterable[Attack]:
    """Genuine signatures over what is no dict with text keys, or a bottomless one."""
    wrong: dict[str, object] = {
        "null": None,
        "true": True,
        "a number": 7,
        "a negative number": -1,
        "a float": 1.5,
        "text": MARK,
        "no text": "",
        "a list": [],
        "a list of pairs": [["name", MARK]],
        "a tuple": {" t": [MARK]},
        "a UUID": {" u": "0" * 32},
        "markup": {" m": MARK},
        "bytes": {" b": "YQ=="},
    }
    for id_, value in wrong.items():
        yield Attack(id_, dumped(value), Reason.SHAPE)
    keys: dict[str, object] = {
        "an integer key": {7: MARK},
        "a null key": {None: MARK},
        "a float key": {1.5: MARK},
        "a key of bytes": {b"user_id": 7},
        "a list as a key": {("user_id",): 7},
        "a key of bytes beside text": {"name": MARK, b"user_id": 7},
        "raw bytes": b"user_id",
    }
    for id_, value in keys.items():
        yield Attack(id_, sealed(pack(value)), Reason.UNREADABLE, names=MSGSPEC_NAMES[1:])
    for depth in (MAX_DEPTH + 1, 300, 1000, 5_000):
        yield Attack(f"{depth} lists", nested(depth, b"[", b"]", b"\x91", b"\x90"), Reason.TOO_DEEP)
        yield Attack(f"{depth} dicts", nested(depth, b'{"a":', b"}", b"\x81\xa1a", b"\x80"), Reason.TOO_DEEP)
        yield Attack(f"{depth} tuples", nested(depth, b'{" t":[', b"]}", b"\x81\xa2 t\x91", b"\x90"), Reason.TOO_DEEP)
    yield Attack(
        "as many brackets as there may be", nested(MAX_COOKIE_PAYLOAD - 100, b"[", b"", b"\x91", b""), Reason.TOO_DEEP
    )


def nested(depth: int, opening: bytes, closing: bytes, packed: bytes, last: bytes) -> Make:
    def make(forge: Forge) -> str:
        if forge.name == "msgspec-msgpack":
            return forge.deflate(b"\x81\xa4name" + packed * depth + last)
        return forge.deflate(b'{"name":' + opening * depth + b"1" + closing * depth + b"}")

    return make


def fields() -> Iterable[Attack]:
    """Genuine signatures over what may not be reset, or not be migrated."""
    for id_, value in {"text": MARK, "null": None, "a float": 7.5, "a list": [MARK], "a dict": {"a": MARK}}.items():
        yield Attack(f"{id_} in an essential field", dumped({"tenant": value, "name": MARK}), Reason.FIELD, Tenant)
    for id_, version in {"text": MARK, "null": None, "true": True, "-1": -1, "1.0": 1.0, "a list": [1]}.items():
        yield Attack(f"{id_} for a version", dumped({"_version": version, "name": MARK}), Reason.MIGRATION, Moved)
    yield Attack("a step that raises", dumped({"name": MARK}), Reason.MIGRATION, Moved)


ATTACKS = [*texts(), *packings(), *foreign_payloads(), *tags(), *shapes(), *fields()]
EVERY_ATTACK = for_each("attack", ATTACKS, ids=[attack.id for attack in ATTACKS])
ONE_OF_EACH_REASON = {
    f"{name}-{attack.reason.name}": (name, attack)
    for attack in {attack.reason: attack for attack in reversed(ATTACKS) if attack.names == tuple(NAMES)}.values()
    for name in NAMES
}
ONE_ATTACK_OF_EACH_REASON = for_each(("name", "attack"), ONE_OF_EACH_REASON.values(), ids=ONE_OF_EACH_REASON)
EVERY_FORMAT = pytest.mark.parametrize("name", NAMES)
UNSIGNED = {Reason.MALFORMED, Reason.SIGNATURE, Reason.EXPIRED, Reason.FUTURE}


@pytest.fixture(autouse=True)
def listening(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)


def assert_told(caplog: pytest.LogCaptureFixture, seen: Visit, reason: Reason, text: str) -> None:
    """Check that there is one report and one log record, and that they say the reason and nothing else."""
    (report,) = seen.reports
    assert isinstance(report, Refused)
    assert report.reason is reason
    (record,) = [record for record in caplog.records if record.name == "typed_sessions"]
    assert record.levelno == (logging.DEBUG if reason in UNSIGNED else logging.WARNING)
    assert record.exc_info is None
    assert reason.value in record.getMessage()
    told = [repr(report), str(report), caplog.text, seen.page, *map(str, vars_of(record))]
    assert_silent(told, text)


def vars_of(record: logging.LogRecord) -> list[object]:
    return [record.args, record.msg, record.exc_text, record.stack_info]


def assert_silent(told: Iterable[str], text: str) -> None:
    secrets = [SECRET, MARK] + ([text, text[: len(text) // 2]] if len(text) > 30 else [])
    for words in told:
        for secret in secrets:
            assert secret not in words


@EVERY_FORMAT
async def test_each_path_is_the_one_that_runs(name: str, both_paths: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A shop is kept from one test to the next: the other path's would show nothing of this one."""
    read = list[bytes]()

    def loading(generated: GeneratedClass, payload: bytes) -> object:
        read.append(payload)
        return LOAD(generated, payload)

    def loaded_data(payload: bytes, *others: Any, **rest: Any) -> LoadedData[Any]:
        read.append(payload)
        return LoadedData(payload, *others, **rest)

    monkeypatch.setattr(GeneratedClass, "load", loading)
    monkeypatch.setattr(generated_class, "LoadedData", loaded_data)
    payload = Forge(name).dumps({"user_id": 7})
    seen = await visit(shop_of(name), f"session={Forge(name).seal(payload)}")
    assert "user_id=7" in seen.page
    assert read == ([payload] if both_paths == "generated path" else [])


LOAD = GeneratedClass.load


@EVERY_ATTACK
async def test_a_hostile_cookie_gives_a_fresh_session_and_its_reason(
    caplog: pytest.LogCaptureFixture, attack: Attack
) -> None:
    for name in attack.names:
        with case(name):
            caplog.clear()
            shop, text = shop_of(name, attack.schema), attack.make(Forge(name))
            seen = await visit(shop, f"session={text}")
            assert (seen.status, seen.cookies) == (200, [])
            assert seen.page == (await visit(shop, None)).page
            assert "new=True" in seen.page
            assert_told(caplog, seen, attack.reason, text)


@EVERY_ATTACK
async def test_a_hostile_cookie_gives_a_websocket_the_same(caplog: pytest.LogCaptureFixture, attack: Attack) -> None:
    for name in attack.names:
        with case(name):
            caplog.clear()
            shop, text = shop_of(name, attack.schema), attack.make(Forge(name))
            seen = await visit(shop, f"session={text}", "/ws")
            assert seen.page == (await visit(shop, None)).page
            assert_told(caplog, seen, attack.reason, text)


@EVERY_FORMAT
@pytest.mark.parametrize("stamp", [b"A", b"_" * 30, b"A" * 30], ids=["one digit", "180 bits", "180 bits of zeros"])
async def test_a_time_that_cannot_be_read_is_refused_under_a_valid_signature(name: str, stamp: bytes) -> None:
    seen = await visit(shop_of(name), f"session={Forge(name).sign(b'e30', stamp)}")
    assert seen.reports == [Refused(Reason.ENCODING)]
    assert (seen.status, seen.cookies, "new=True" in seen.page) == (200, [], True)


@ONE_ATTACK_OF_EACH_REASON
async def test_a_refused_cookie_is_replaced_by_a_write(
    caplog: pytest.LogCaptureFixture, name: str, attack: Attack
) -> None:
    caplog.clear()
    shop, text = shop_of(name, attack.schema), attack.make(Forge(name))
    seen = await visit(shop, f"session={text}", "/write")
    assert_told(caplog, seen, attack.reason, text)
    (cookie,) = seen.cookies
    after = await visit(shop, cookie.partition(";")[0])
    assert (after.reports, after.cookies) == ([], [])
    assert "name='new'" in after.page
    assert "new=False" in after.page


@ONE_ATTACK_OF_EACH_REASON
@pytest.mark.parametrize("path", ["/clear", "/invalidate", "/tell-at-once"])
async def test_a_refused_cookie_is_deleted_by_a_log_out(
    caplog: pytest.LogCaptureFixture, name: str, attack: Attack, path: str
) -> None:
    caplog.clear()
    text = attack.make(Forge(name))
    seen = await visit(shop_of(name, attack.schema), f"session={text}", path)
    assert_told(caplog, seen, attack.reason, text)
    (cookie,) = seen.cookies
    assert cookie.startswith("session=;")
    assert "Max-Age=0" in cookie


@ONE_ATTACK_OF_EACH_REASON
@pytest.mark.parametrize(
    ("path", "held"),
    [("/clear-and-tell", "see you"), ("/invalidate-and-tell", "see you"), ("/promote", "'name': 'new'")],
)
async def test_a_refused_cookie_is_replaced_by_what_is_stored_after_its_end(
    name: str, attack: Attack, path: str, held: str
) -> None:
    shop, text = shop_of(name, attack.schema), attack.make(Forge(name))
    (cookie,) = (await visit(shop, f"session={text}", path)).cookies
    after = await visit(shop, cookie.partition(";")[0])
    assert (after.reports, after.cookies) == ([], [])
    assert held in after.page
    assert "new=False" in after.page


@ONE_ATTACK_OF_EACH_REASON
async def test_a_refused_cookie_has_no_identifier_to_renew(name: str, attack: Attack) -> None:
    seen = await visit(shop_of(name, attack.schema), f"session={attack.make(Forge(name))}", "/regenerate")
    assert (seen.status, seen.cookies) == (200, [])


@ONE_ATTACK_OF_EACH_REASON
async def test_a_cookie_that_nobody_asks_for_is_not_judged(
    caplog: pytest.LogCaptureFixture, name: str, attack: Attack
) -> None:
    caplog.clear()
    cookie = f"session={attack.make(Forge(name))}"
    seen = await visit(shop_of(name, attack.schema), cookie, "/nothing")
    assert (seen.status, seen.cookies) == (200, [])
    # An old time on the cookie may have it opened, for the refresh that a permanent session may need.
    assert len(seen.reports) <= (attack.reason is Reason.EXPIRED)
    assert MARK not in caplog.text


@ONE_ATTACK_OF_EACH_REASON
async def test_an_error_of_the_view_after_a_refusal_carries_nothing_of_it(
    caplog: pytest.LogCaptureFixture, name: str, attack: Attack
) -> None:
    caplog.clear()
    text = attack.make(Forge(name))
    seen = await visit(shop_of(name, attack.schema), f"session={text}", "/raise")
    assert (seen.status, len(seen.reports)) == (500, 1)
    (record,) = [record for record in caplog.records if record.exc_info]
    assert record.exc_info is not None
    error = record.exc_info[1]
    assert isinstance(error, LookupError)
    assert (error.__cause__, error.__context__) == (None, None)
    assert_silent([caplog.text, seen.page], text)


def genuine_texts(name: str) -> dict[str, str]:
    """A short text, and one whose payload is deflated; both hold the visitor 7."""
    forge = Forge(name)
    return {
        "plain": forge.genuine(user_id=7),
        "deflated": forge.deflate(forge.dumps({"user_id": 7, "name": "n" * 99})),
    }


ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


@EVERY_FORMAT
@pytest.mark.parametrize("kind", ["plain", "deflated"])
async def test_every_changed_byte_is_refused_or_changes_nothing(name: str, kind: str) -> None:
    shop, text = shop_of(name), genuine_texts(name)[kind]
    fresh = await visit(shop, None)
    genuine = await visit(shop, f"session={text}")
    assert "user_id=7" in genuine.page
    accepted: list[str] = []
    for place, old in enumerate(text):
        successor = ALPHABET[(ALPHABET.find(old) + 1) % 64]
        for new in {successor, "A", ".", "=", "\xff"} - {old}:
            changed = text[:place] + new + text[place + 1 :]
            seen = await visit(shop, f"session={changed}")
            assert (seen.status, seen.cookies) == (200, [])
            if seen.reports:
                (report,) = seen.reports
                assert isinstance(report, Refused)
                assert report.reason in {Reason.MALFORMED, Reason.SIGNATURE}
                assert seen.page == fresh.page
            else:
                assert seen.page == genuine.page
                assert is_alias(changed, text, Forge(name))
                accepted.append(changed)
    assert len(accepted) == 1  # the last digit of a signature has two bits to spare


def is_alias(text: str, genuine: str, forge: Forge) -> bool:
    """Return True if itsdangerous takes a text for another spelling of a genuine one: the signature's last digit."""
    try:
        signed = Signer(SECRET, salt=forge.salt, key_derivation="hmac", digest_method=hashlib.sha1).unsign(text)
    except BadData:
        return False
    return signed == genuine.rpartition(".")[0].encode() and text[:-1] == genuine[:-1]


@EVERY_FORMAT
@pytest.mark.parametrize("kind", ["plain", "deflated"])
async def test_every_truncation_is_refused(name: str, kind: str) -> None:
    shop, text = shop_of(name), genuine_texts(name)[kind]
    for cut in range(1, len(text)):
        for part in (text[:-cut], text[cut:]):
            seen = await visit(shop, f"session={part}")
            (report,) = seen.reports
            assert isinstance(report, Refused)
            assert report.reason in {Reason.MALFORMED, Reason.SIGNATURE}
            assert (seen.status, seen.cookies, "user_id=None" in seen.page) == (200, [], True)


@EVERY_FORMAT
async def test_every_payload_cut_short_under_a_valid_signature_is_refused(name: str) -> None:
    shop, forge = shop_of(name), Forge(name)
    payload = forge.dumps({"user_id": 7, "name": MARK, "cart": [{"sku": "a", "price": "1.5"}], "point": {" t": [1, 2]}})
    for cut in range(1, len(payload) + 1):
        seen = await visit(shop, f"session={forge.seal(payload[:-cut])}")
        assert [report.reason for report in seen.reports if isinstance(report, Refused)] == [Reason.UNREADABLE]
        assert (seen.status, seen.cookies) == (200, [])


@EVERY_FORMAT
async def test_every_changed_byte_of_a_payload_under_a_valid_signature_gives_a_page(name: str) -> None:
    shop, forge = shop_of(name), Forge(name)
    payload = forge.dumps({"user_id": 7, "name": "n", "cart": [{"sku": "a", "price": "1.5"}], "tags": ["x"], "x": "y"})
    for place in range(len(payload)):
        for new in (0x00, 0x22, 0x30, 0x5D, 0x7D, 0x90, 0xC0, 0xC3, 0xFF):
            changed = payload[:place] + bytes([new]) + payload[place + 1 :]
            seen = await visit(shop, f"session={forge.seal(changed)}")
            assert seen.status == 200, changed
            if any(isinstance(report, Refused) for report in seen.reports):
                assert len(seen.reports) == 1
                assert seen.cookies == []


GENUINE, OTHER, FORGED, EXPIRED, FOREIGN, PERMITTED = "genuine", "other", "forged", "expired", "foreign", "reset"


def several(forge: Forge) -> dict[str, str]:
    return {
        GENUINE: forge.genuine(user_id=7),
        OTHER: forge.genuine(user_id=8),
        FORGED: "a.b.c",
        EXPIRED: forge.seal(forge.dumps({"user_id": 9}), 1),
        FOREIGN: forge.seal(b"\xc1"),
        PERMITTED: forge.genuine(user_id=MARK),
        "": "",
    }


@EVERY_FORMAT
@pytest.mark.parametrize(
    ("sent", "user", "reasons"),
    [
        pytest.param([GENUINE, OTHER], "7", [], id="both genuine"),
        pytest.param([OTHER, GENUINE], "8", [], id="both genuine, the other first"),
        pytest.param([GENUINE, FORGED], "7", [], id="genuine first"),
        pytest.param([FORGED, GENUINE], "7", [], id="forged first"),
        pytest.param(["", GENUINE], "7", [], id="empty first"),
        pytest.param([EXPIRED, GENUINE, OTHER], "7", [], id="expired first"),
        pytest.param([FOREIGN, GENUINE], "None", [Reason.UNREADABLE], id="unreadable first"),
        pytest.param([GENUINE, FOREIGN], "7", [], id="unreadable last"),
        pytest.param([FORGED] * 200 + [GENUINE], "7", [], id="after two hundred forged"),
        pytest.param([FORGED, FOREIGN, EXPIRED], "None", [Reason.UNREADABLE], id="none, one unreadable"),
        pytest.param(["", FORGED, EXPIRED, FORGED], "None", [Reason.EXPIRED], id="none, one expired"),
        pytest.param([FORGED] * 200, "None", [Reason.SIGNATURE], id="two hundred forged"),
        pytest.param(["", ""], "None", [Reason.MALFORMED], id="two empty"),
    ],
)
@for_each("joint", ["; ", ";", " ;\t"])
async def test_of_several_cookies_of_one_second_the_first_that_verifies_wins(
    name: str, sent: list[str], user: str, reasons: list[Reason], joint: str
) -> None:
    texts_of = several(Forge(name))
    seen = await visit(shop_of(name), joint.join(["a=b", *(f"session={texts_of[kind]}" for kind in sent), "c=d"]))
    assert (seen.status, seen.cookies) == (200, [])
    assert f"user_id={user}," in seen.page
    assert [report.reason for report in seen.reports if isinstance(report, Refused)] == reasons


@EVERY_FORMAT
async def test_a_cookie_whose_field_is_reset_verifies_and_wins(name: str) -> None:
    texts_of = several(Forge(name))
    seen = await visit(shop_of(name), f"session={texts_of[PERMITTED]}; session={texts_of[GENUINE]}")
    assert "user_id=None" in seen.page
    assert seen.reports == [FieldReset("user_id", "int | None")]


@EVERY_FORMAT
async def test_a_cookie_that_an_essential_field_refuses_lets_no_other_one_win(name: str) -> None:
    forge = Forge(name)
    refused, genuine = forge.genuine(tenant=MARK), forge.genuine(tenant=3)
    seen = await visit(shop_of(name, Tenant), f"session={refused}; session={genuine}")
    assert "tenant=0" in seen.page
    assert seen.reports == [Refused(Reason.FIELD, "tenant")]


@EVERY_FORMAT
async def test_cookies_of_other_salts_are_read_in_the_order_of_the_header(name: str) -> None:
    ordered = [Forge(other).genuine(user_id=number) for number, other in enumerate(NAMES)]
    for first in range(3):
        header = "; ".join(f"session={text}" for text in ordered[first:] + ordered[:first])
        assert f"user_id={first}," in (await visit(shop_of(name), header)).page


NOT_OURS = [
    *("session2", "sessio", "essession", "Session", "SESSION", "xsession", "session_", "session.", "session[]"),
    *("session-2", "__Host-session", "__Secure-session", "$session", "session%20", "%73ession", "sess\x00ion"),
    *("sessionÿ", "ÿsession", "session,", "session\x0b", "\x00session", "session\xa0"),
]


@EVERY_FORMAT
@for_each("other", NOT_OURS)
async def test_a_cookie_of_a_similar_name_is_no_session(
    caplog: pytest.LogCaptureFixture, name: str, other: str
) -> None:
    shop, text = shop_of(name), Forge(name).genuine(user_id=7, name=MARK)
    seen = await visit(shop, f"{other}={text}")
    assert seen == await visit(shop, None)
    assert seen.reports == []
    assert [record for record in caplog.records if record.name == "typed_sessions"] == []


@pytest.mark.parametrize(
    "header",
    ["={}", "=session={}", '"session"={}', "; =session={}", "session", "a=b, session={}", "a=session={}", "{}", ""],
    ids=repr,
)
async def test_a_header_without_a_value_for_the_name_opens_nothing(header: str) -> None:
    shop = shop_of("tagged-json")
    seen = await visit(shop, header.format(Forge("tagged-json").genuine(user_id=7)))
    assert (seen.status, seen.cookies) == (200, [])
    assert "user_id=None" in seen.page
    assert {report.reason for report in seen.reports if isinstance(report, Refused)} <= {Reason.MALFORMED}


@pytest.mark.parametrize(
    "header",
    [
        *("session ={}", "session= {}", " session\t=\t{} ", 'session="{}"', ";;; session={};", "a; session={}"),
        *('a="b; session={}', 'a="b;c"; session={}', "ÿ=ÿ; session={}", "\x00; session={}"),
    ],
    ids=repr,
)
async def test_odd_spelling_around_a_genuine_cookie_changes_nothing(header: str) -> None:
    seen = await visit(shop_of("tagged-json"), header.format(Forge("tagged-json").genuine(user_id=7)))
    assert (seen.status, seen.cookies, seen.reports) == (200, [], [])
    assert "user_id=7" in seen.page


async def test_a_cookie_without_the_prefix_does_not_pass_for_one_with_it() -> None:
    shop = made_shop("tagged-json", SESSION_COOKIE_NAME="__Host-session", SESSION_COOKIE_SECURE=True)
    text = Forge("tagged-json").genuine(user_id=7)
    for other in ("session", "__host-session", "=__Host-session", "__Secure-session", " __Host-session2", "__Host-"):
        seen = await visit(shop, f"{other}={text}")
        assert ("user_id=None" in seen.page, seen.reports) == (True, [])
    assert "user_id=7" in (await visit(shop, f"session={text}x; __Host-session={text}")).page


async def over_asgi(app: Quart, *cookies: bytes) -> tuple[int, str]:
    """Return status and page of a request whose headers are these very bytes, as a server hands them over."""
    sent: list[Any] = []
    asked = False

    async def receive() -> Any:
        nonlocal asked
        if asked:
            await asyncio.Event().wait()
        asked = True
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    scope: Any = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "2",
        "method": "GET",
        "scheme": "https",
        "path": "/read",
        "raw_path": b"/read",
        "query_string": b"",
        "root_path": "",
        "headers": [(b"host", b"localhost"), *((b"cookie", cookie) for cookie in cookies)],
        "client": ("127.0.0.1", 1),
        "server": ("localhost", 443),
        "extensions": {},
    }
    await app(scope, receive, send)
    assert not any(name == b"set-cookie" for name, _ in sent[0]["headers"])
    return sent[0]["status"], b"".join(message.get("body", b"") for message in sent[1:]).decode()


@EVERY_FORMAT
@pytest.mark.parametrize("place", [0, 9, -1], ids=["first", "inside", "last"])
async def test_every_byte_may_stand_in_a_header(name: str, place: int) -> None:
    shop, text = shop_of(name), Forge(name).genuine(user_id=7).encode()
    fresh = (await visit(shop, None)).page
    for byte in range(256):
        if byte not in (*b"\t ;\r\n", text[place]):  # these end a value or are trimmed, or reach no application
            changed = bytearray(text)
            changed[place] = byte
            status, page = await over_asgi(shop.app, b"session=" + changed)
            assert status == 200
            assert page == fresh or place == -1


@pytest.mark.parametrize(
    "junk",
    [
        b"\xff",
        b"\xc3\x28",
        b"\xed\xa0\x80",
        b"\xf0\x9f\x8d\xaa",
        b"\x80" * 4000,
        b'"\\377\\200"',
        b'"\\',
        b"\x00\x01\x02",
    ],
    ids=ascii,
)
async def test_bytes_that_are_no_text_keep_no_genuine_cookie_from_its_visitor(junk: bytes) -> None:
    shop, genuine = shop_of("tagged-json"), b"session=" + Forge("tagged-json").genuine(user_id=7).encode()
    for cookies in ([b"session=" + junk], [junk], [junk + b"=" + junk]):
        status, page = await over_asgi(shop.app, *cookies)
        assert (status, "user_id=None" in page) == (200, True)
        status, page = await over_asgi(shop.app, *cookies, genuine)
        assert (status, "user_id=7" in page) == (200, True)
        status, page = await over_asgi(shop.app, genuine, *cookies)
        assert (status, "user_id=7" in page) == (200, True)


WRONG: dict[str, tuple[object, str, str]] = {
    "user_id": (MARK, "int | None", ""),
    "name": (7, "str", ""),
    "ratio": (10**400, "float", ""),
    "cart": ([{"sku": "a"}, {"sku": 7}], "str", "[1].sku"),
    "tags": (["a", ["b"]], "str", "[1]"),
    "counts": ({MARK: 1}, "int", " (a key)"),
    "seen": (MARK, "datetime | None", ""),
    "device": (7, "UUID | None", ""),
    "color": (MARK, "Color", ""),
    "point": ([1, 2, 3], "tuple[int, int]", ""),
}
WRONG_BY_FORMAT = [
    pytest.param(name, field, wrong, id=f"{name}-{field}")
    for field, wrong in WRONG.items()
    for name in NAMES
    if (name, field) != ("msgspec-msgpack", "ratio")  # no MessagePack holds such a number
]


@pytest.mark.parametrize(("name", "field", "wrong"), WRONG_BY_FORMAT)
async def test_a_field_that_does_not_fit_is_reset_alone_and_reported_once(
    caplog: pytest.LogCaptureFixture, name: str, field: str, wrong: tuple[object, str, str]
) -> None:
    value, expected, path = wrong
    shop = shop_of(name)
    kept = {"name": "kept"} if field != "name" else {"user_id": 7}
    text = Forge(name).genuine(**{field: value}, **kept)
    seen = await visit(shop, f"session={text}")
    assert (seen.status, seen.cookies) == (200, [])
    assert seen.page == (await visit(shop, f"session={Forge(name).genuine(**kept)}")).page
    assert seen.reports == [FieldReset(field, expected, path)]
    (record,) = [record for record in caplog.records if record.name == "typed_sessions"]
    assert (record.levelno, record.exc_info) == (logging.WARNING, None)
    assert field in record.getMessage()
    assert_silent([caplog.text, repr(seen.reports), seen.page], text)


@EVERY_FORMAT
async def test_every_field_that_does_not_fit_is_reported_and_nothing_is_written(name: str) -> None:
    wrong = {field: value for field, (value, _, _) in WRONG.items() if field != "ratio"}
    seen = await visit(shop_of(name), f"session={Forge(name).genuine(**wrong)}")
    assert seen.page == (await visit(shop_of(name), f"session={Forge(name).genuine()}")).page
    assert [type(report) for report in seen.reports] == [FieldReset] * len(wrong)
    assert {report.field for report in seen.reports} == wrong.keys()
    assert seen.cookies == []


@EVERY_FORMAT
async def test_a_setting_refuses_the_whole_session_for_one_field(caplog: pytest.LogCaptureFixture, name: str) -> None:
    shop = made_shop(name, SESSION_ON_BAD_FIELD="session")
    text = Forge(name).genuine(user_id=MARK, name="kept")
    seen = await visit(shop, f"session={text}")
    assert seen.reports == [Refused(Reason.FIELD, "user_id")]
    assert seen.page == (await visit(shop, None)).page
    assert_told(caplog, seen, Reason.FIELD, text)


LENIENT = {
    "keys twice": (b'{"user_id":8,"user_id":7}', "user_id=7"),
    "white space": (b" \n" * 1000 + b'{"user_id":7}\t', "user_id=7"),
    "an empty key": (b'{"":1,"user_id":7}', "user_id=7"),
    "an integer of 4,000 digits": (b'{"x":' + b"9" * 4_000 + b',"user_id":7}', "user_id=7"),
    "a float of sixty thousand digits": (b'{"x":1.' + b"9" * 60_000 + b',"user_id":7}', "user_id=7"),
    "a number below every float": (b'{"ratio":1e-999999999,"user_id":7}', "user_id=7"),
    "a named member of a union": (b'{"user_id":{"__type__":"int","__value__":7}}', "user_id=7"),
    "a decimal of a huge exponent": (b'{"cart":[{"sku":"a","price":"1e999999"}],"user_id":7}', "1E+999999"),
    "a decimal of sixty thousand digits": (
        b'{"cart":[{"sku":"a","price":"' + b"9" * 60_000 + b'"}],"user_id":7}',
        "user_id=7",
    ),
    "a prototype": (b'{"__proto__":{"a":1},"__class__":"Visitor","__init__":7,"user_id":7}', "user_id=7"),
    "a permanence of another type": (b'{"_permanent":[[]],"user_id":7}', "user_id=7"),
    "flashes of another shape": (b'{"_flashes":7,"user_id":7}', "user_id=7"),
    "as deep as may be": (
        b'{"x":' + b"[" * (MAX_DEPTH - 1) + b"]" * (MAX_DEPTH - 1) + b',"user_id":7}',
        "user_id=7",
    ),
}


@pytest.mark.parametrize(("payload", "expected"), LENIENT.values(), ids=LENIENT)
@pytest.mark.parametrize("name", JSON_NAMES)
async def test_what_is_odd_and_readable_is_read_and_written_by_nobody(name: str, payload: bytes, expected: str) -> None:
    seen = await visit(shop_of(name), f"session={Forge(name).deflate(payload)}")
    assert (seen.status, seen.cookies, seen.reports) == (200, [], [])
    assert expected in seen.page


@EVERY_FORMAT
async def test_a_type_named_in_a_payload_is_looked_up_among_the_members_alone(name: str) -> None:
    names: tuple[object, ...] = ("os.system", "Visitor", "object", "", None, [], {}, 7, "int | None")
    for named in names:
        text = Forge(name).genuine(user_id={"__type__": named, "__value__": 7})
        seen = await visit(shop_of(name), f"session={text}")
        assert seen.reports == [FieldReset("user_id", "int | None")]
        assert "user_id=None" in seen.page


@EVERY_FORMAT
async def test_a_genuine_text_of_stock_itsdangerous_opens(name: str) -> None:
    """What the corpus forges is what a holder of the key writes: without this, its refusals would show nothing."""

    class Bytes:
        def dumps(self, value: Any) -> Any:
            return value

        def loads(self, payload: Any) -> Any:
            return payload

    forge = Forge(name)
    options = {"key_derivation": "hmac", "digest_method": hashlib.sha1}
    signed: Any = URLSafeTimedSerializer(SECRET, salt=forge.salt, serializer=Bytes(), signer_kwargs=options).dumps(
        forge.dumps({"user_id": 7})
    )
    seen = await visit(shop_of(name), f"session={signed.decode()}")
    assert (seen.reports, seen.cookies, "user_id=7" in seen.page) == ([], [], True)


class Grade(IntEnum):
    LOW = 1

    @classmethod
    def _missing_(cls, value: object) -> Grade | None:  # type: ignore[explicit-override]  # as users write it
        raise KeyError(value)


@define
class Row:
    sku: str
    id: str = Factory(secrets.token_hex)


@define
class Odd:
    """Fields whose types have values that cannot be written, or not as keys."""

    user_id: int | None = None
    price: float = 0.0
    seen: datetime | None = None
    anything: object = None
    grade: Grade = Grade.LOW
    totals: dict[Decimal, int] = Factory(dict[Decimal, int])
    rows: list[Row] = Factory(list[Row])


ODDITIES: dict[str, tuple[str, bytes]] = {
    "NaN in a float": ("tagged-json", b'{"price":NaN,"user_id":7}'),
    "a number past every float": ("tagged-json", b'{"price":1e999,"user_id":7}'),
    "NaN in anything": ("tagged-json", b'{"anything":[NaN],"user_id":7}'),
    "NaN undeclared": ("tagged-json", b'{"x":NaN,"user_id":7}'),
    "a date past UTC's year 9999": ("tagged-json", b'{"seen":{" d":"Fri, 31 Dec 9999 23:59:59 -2300"},"user_id":7}'),
    "such a date undeclared": ("tagged-json", b'{"x":{" d":"Fri, 31 Dec 9999 23:59:59 -2300"},"user_id":7}'),
    "a tuple that grows as it is written": ("tagged-json", b'{"x":{" t":"' + b"1" * 60_000 + b'"},"user_id":7}'),
    "a decimal key that has no hash": ("tagged-json", b'{"totals":{"sNaN":1},"user_id":7}'),
    "such a key in msgspec's JSON": ("msgspec-json", b'{"totals":{"sNaN":1},"user_id":7}'),
    "such a key in MessagePack": ("msgspec-msgpack", pack({"totals": {"sNaN": 1}, "user_id": 7})),
    "a decimal that compares with nothing": ("msgspec-json", b'{"grade":{" n":"sNaN"},"user_id":7}'),
    "an enumeration with its own error": ("tagged-json", b'{"grade":"' + MARK.encode() + b'","user_id":7}'),
    "a default that is made while reading": ("msgspec-json", b'{"rows":[{"sku":"a"}],"user_id":7}'),
}


@pytest.mark.parametrize(("name", "payload"), ODDITIES.values(), ids=ODDITIES)
async def test_what_can_be_read_and_not_written_fails_no_read_and_writes_nothing(
    caplog: pytest.LogCaptureFixture, name: str, payload: bytes
) -> None:
    seen = await visit(shop_of(name, Odd), f"session={Forge(name).deflate(payload)}")
    assert (seen.status, seen.cookies) == (200, [])
    assert "user_id=7" in seen.page
    assert MARK not in caplog.text + repr(seen.reports)


@pytest.mark.parametrize(
    "value",
    [math.nan, math.inf, {1: 2}, {b"a": 2}, msgspec.msgpack.Ext(5, b"x"), b"raw", datetime.now(UTC)],
    ids=["nan", "infinity", "an integer key", "a key of bytes", "an extension", "raw bytes", "a time"],
)
async def test_messagepack_that_nobody_here_writes_is_refused(caplog: pytest.LogCaptureFixture, value: object) -> None:
    text = Forge("msgspec-msgpack").seal(pack({"x": [value], "name": MARK}))
    seen = await visit(shop_of("msgspec-msgpack"), f"session={text}")
    assert_told(caplog, seen, Reason.UNREADABLE, text)


@pytest.mark.parametrize("configured", MSGSPEC_NAMES)
@pytest.mark.parametrize(
    "payload", [b'{"x":"\\ud800"}', b'{"x":NaN}', b'{"x":1' + b"0" * 40 + b"}"], ids=["surrogate", "nan", "long"]
)
async def test_what_the_configured_format_cannot_hold_stays_in_the_one_it_came_in(
    configured: str, payload: bytes
) -> None:
    seen = await visit(shop_of(configured), f"session={Forge('tagged-json').seal(payload)}", "/write")
    assert seen.status == 200
    (cookie,) = seen.cookies
    held = await visit(shop_of("tagged-json"), cookie.partition(";")[0])
    assert held.reports == []
    assert "'x'" in held.page


async def test_a_forged_time_beside_a_fresh_cookie_brings_no_refresh() -> None:
    shop, fresh = shop_of("tagged-json"), Forge("tagged-json").genuine(_permanent=True, user_id=7)
    for header in (f"session={fresh}", f"session={fresh}; session=x.AAAA.x", f"session=x.AAAA.x; session={fresh}"):
        assert (await visit(shop, header)).cookies == []
    day_old = Forge("tagged-json").seal(b'{"_permanent":true,"user_id":7}', now() - 9 * 24 * HOUR)
    assert len((await visit(shop, f"session={day_old}; session=x.AAAA.x")).cookies) == 1
    assert (await visit(shop, f"session={day_old}; session={fresh}")).cookies == []


async def test_a_refresh_that_no_longer_fits_is_left_out_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    shop = made_shop("tagged-json", SESSION_REFRESH_AFTER=timedelta(0), MAX_COOKIE_SIZE=100)
    seen = await visit(shop, f"session={Forge('tagged-json').genuine(_permanent=True, user_id=7)}")
    assert (seen.status, seen.cookies) == (200, [])
    assert "not refreshed" in caplog.text
    assert (await visit(shop, f"session={Forge('tagged-json').genuine(_permanent=True)}", "/write")).status == 500


async def test_a_header_full_of_forged_cookies_costs_no_more_than_a_few() -> None:
    shop, genuine = shop_of("tagged-json"), Forge("tagged-json").genuine(user_id=7)
    forged = [f"session=a{number}.b.c" for number in range(3_000)]
    seen = await visit(shop, "; ".join([*forged, f"session={genuine}"]))
    assert (seen.status, seen.cookies) == (200, [])
    assert "user_id=None" in seen.page  # past the number that is tried
    seen = await visit(shop, "; ".join([*["session=a.b.c"] * 3_000, f"session={genuine}", *forged]))
    assert "user_id=7" in seen.page
