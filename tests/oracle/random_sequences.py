"""Random sequences of requests: each is made of its seed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from random import Random
from typing import Final

from tests.oracle.catalogue import CATALOGUE, Catalogued
from tests.oracle.expressions import FLAGS, JUNK, NAMES, READS, SAVES, SUBJECTS, UNDECLARED, WRONG
from tests.oracle.interfaces import INTERFACES
from tests.oracle.sequences import Cookie, Form, Requests, Tampering, Visit, Way

__all__ = ["STORES", "random_requests"]

STORES: Final = ("memory", "sqlite")
"""Those that need no server."""

DAY: Final = 86_400.0
SECRET: Final = "'the key of all that is signed here'"
FORMER: Final = "'the key of former times, long enough'"

_WAITS: Final = (0.0, 0.0, 0.0, 0.0, 1.0, 0.75, 45.0, 660.0, 3 * DAY, 32 * DAY)

_SPANS: Final = {"timedelta()": 0, "timedelta(seconds=45)": 45, "timedelta(minutes=10)": 600}
_LIFETIMES: Final = {"timedelta(days=4)": 345_600, "3600": 3_600, "timedelta(days=100)": 8_640_000}
"""In seconds, the values of SESSION_REFRESH_AFTER and PERMANENT_SESSION_LIFETIME."""


class _Writer:
    """Writes requests of one seed."""

    def __init__(self, seed: int, stores: Sequence[str]) -> None:
        self.random = Random(seed)  # noqa: S311 -- tests are to be repeated
        self.stores = stores
        self.may_save = True
        """False for an interface that `Sessions` knows nothing of: its `save` would be that of its own."""

    def one_of(self, *choices: str) -> str:
        return self.random.choice(choices)

    def perhaps(self, chance: float) -> bool:
        return self.random.random() < chance

    def requests(self, seed: int) -> Requests:
        schema = self.one_of(*CATALOGUE, "Many", "Many", "Small", "Checked", "Shopper", "Customer", "none")
        store = self.one_of(*self.stores) if self.stores and self.perhaps(0.3) else None
        settings = self.settings(has_fields=schema != "none")
        interface = self.one_of(*INTERFACES) if self.perhaps(0.2) else None
        self.may_save = interface is None
        present = schema
        visits: list[Visit] = []
        permanent = self.perhaps(0.5)
        for number in range(self.random.randrange(6, 20)):
            deploy = self.one_of(*CATALOGUE[present].successors, "") if self.perhaps(0.08) else ""
            deploy = deploy or (present if self.perhaps(0.03) else "")
            present = deploy or present
            lines = ("s.permanent = True",) if permanent and number == 0 else ()
            visits.append(self.visit(CATALOGUE[present], store, deploy or None, lines))
            if self.perhaps(0.12):
                visits += self.busy_visitor(CATALOGUE[present], settings)
        return Requests(seed, schema, store, settings, interface, tuple(visits))

    # The application

    def serializer(self) -> str:
        return self.one_of(
            *("'tagged-json'", "'tagged-json'", "'msgspec-json'", "'msgspec-json'", "'msgspec-msgpack'"),
            *("'msgspec-msgpack'", "flask_serializer()", "Named()", "json"),
        )

    def settings(self, *, has_fields: bool) -> dict[str, str]:
        chosen = {"SECRET_KEY": SECRET}
        options: dict[str, tuple[float, tuple[str, ...]]] = {
            "SECRET_KEY_FALLBACKS": (0.2, (f"[{FORMER}]", f"['older still, and long', {FORMER}]")),
            "SESSION_SERIALIZER_FALLBACKS": (0.2, ("[Named()]",)),
            "SESSION_REFRESH_EACH_REQUEST": (0.4, ("False", "True")),
            "SESSION_REFRESH_AFTER": (0.4, ("timedelta()", "timedelta(seconds=45)", "timedelta(minutes=10)")),
            "PERMANENT_SESSION_LIFETIME": (0.3, ("timedelta(days=4)", "3600", "timedelta(days=100)")),
            "SESSION_EXTRAS": (0.3 if has_fields else 0.01, ("'keep'", "'forbid'", "{'allowed', 'csrf_token'}")),
            "SESSION_ON_BAD_FIELD": (0.2, ("'session'",)),
            "SESSION_ON_OVERSIZE": (0.3, ("'warn'", "'raise'")),
            # Below 600 it would be the length of short payloads that decides: see differences.py.
            "MAX_COOKIE_SIZE": (0.3, ("0", "600", "1200")),
            "SESSION_MAX_PAYLOAD": (0.15, ("300", "2000")),
            "SESSION_DIGEST": (0.2, ("'sha256'", "'sha1'")),
            "SESSION_DIGEST_FALLBACKS": (0.2, ("['sha1']", "['sha256', 'sha1']")),
            "SESSION_CLOCK_LEEWAY": (0.2, ("timedelta()", "timedelta(minutes=5)")),
            "SESSION_COOKIE_NAME": (0.1, ("'sid'",)),
            "SESSION_COOKIE_PATH": (0.15, ("'/shop'",)),
            "APPLICATION_ROOT": (0.1, ("'/root'",)),
            "SESSION_COOKIE_DOMAIN": (0.15, ("'example.org'", "'localhost'")),
            "SESSION_COOKIE_SAMESITE": (0.2, ("'Lax'", "'Strict'")),
            "SESSION_COOKIE_HTTPONLY": (0.1, ("False",)),
            "SESSION_COOKIE_SECURE": (0.15, ("True",)),
            "SESSION_COOKIE_PARTITIONED": (0.1, ("True",)),
            "SESSION_COOKI_NAME": (0.03, ("'misspelt'",)),
        }
        if self.perhaps(0.8):
            chosen["SESSION_SERIALIZER"] = self.serializer()
        for name, (chance, values) in options.items():
            if self.perhaps(chance):
                chosen[name] = self.one_of(*values)
        return chosen

    def change_of_settings(self) -> dict[str, str | None]:
        """A deploy, a rotation, a roll-back; most of the time none."""
        if not self.perhaps(0.12):
            return {}
        match self.random.randrange(7):
            case 0:
                return {"SECRET_KEY": "'the newest of all the keys here'", "SECRET_KEY_FALLBACKS": f"[{SECRET}]"}
            case 1:
                return {"SECRET_KEY": FORMER, "SECRET_KEY_FALLBACKS": None}
            case 2:
                return {"SECRET_KEY": self.one_of("None", "'short'", SECRET), "SECRET_KEY_FALLBACKS": None}
            case 3 | 4:
                return {"SESSION_SERIALIZER": self.serializer()}
            case 5:
                return {
                    "SESSION_DIGEST": self.one_of("'sha256'", "'sha512'"),
                    "SESSION_DIGEST_FALLBACKS": self.one_of("['sha1']", "[]"),
                }
            case _:
                settings = self.settings(has_fields=True)
                name = self.one_of(*settings)
                return {name: settings[name]}

    # A visit

    def visit(self, schema: Catalogued, store: str | None, deploy: str | None, first: tuple[str, ...]) -> Visit:
        ways: tuple[Way, ...] = ("view", "view", "interface", "interface", "interface", "stream", "abort", "raise")
        rare: tuple[Way, ...] = ("websocket", "refused websocket")
        way: Way = self.random.choice(rare if self.perhaps(0.1) else ways)
        if store is not None and self.perhaps(0.15):
            way = "two at once"
        in_context = way not in {"interface", "two at once"} and self.may_save
        headers: list[tuple[str, str]] = []
        if self.perhaps(0.1):
            headers.append(("Vary", self.one_of("Accept", "Cookie, Accept", "*", "accept, cookie")))
        if self.perhaps(0.1):
            headers.append(("Cache-Control", self.one_of("public, max-age=60", "no-store", "s-maxage=5", "private")))
        return Visit(
            way=way,
            wait=self.random.choice(_WAITS) if self.perhaps(0.9) else float(self.random.randrange(int(7 * DAY))),
            deploy=deploy,
            settings=self.change_of_settings(),
            cookies=self.cookies(schema),
            headers=tuple(headers),
            threads=self.threads(schema),
            lines=(*first, *self.lines(schema, in_context=in_context)),
            late=self.lines(schema, in_context=False) if self.perhaps(0.15) or way == "stream" else (),
            others=self.lines(schema, in_context=False) if way == "two at once" else (),
            saves=2 if way == "interface" and self.perhaps(0.15) else 1,
        )

    def threads(self, schema: Catalogued) -> tuple[str, ...]:
        """Return what threads do that touch a session first: reads that give the same, whoever comes first."""
        if self.perhaps(0.88):
            return ()
        if schema.name == "Tokens" or self.perhaps(0.4):
            return ("s.data",) * self.random.choice((2, 3, 4))
        field = self.one_of(*schema.values)
        reads = (f"s[{field!r}]", f"s.get({field!r}, 'absent')", f"{field!r} in s", "s.data", "len(s)", "s == s.copy()")
        return tuple(self.one_of(*reads) for _ in range(self.random.choice((2, 3, 4))))

    def busy_visitor(self, schema: Catalogued, settings: Mapping[str, str]) -> tuple[Visit, Visit]:
        """Write a session, and come back when a refresh, or its end, is due: then, and a second before and after."""
        lifetime = _LIFETIMES.get(settings.get("PERMANENT_SESSION_LIFETIME", ""), 2_678_400)
        due = _SPANS.get(settings.get("SESSION_REFRESH_AFTER", ""), lifetime / 10)
        wait = self.random.choice((due, due, due, lifetime)) + self.random.choice((-1, 0, 0, 1))
        permanent = "s.permanent = True" if self.perhaps(0.9) else "s.permanent = False"
        ways: tuple[Way, ...] = ("view", "interface", "interface", "abort")
        return (
            Visit("interface", lines=(permanent, self.change_by_key(schema))),
            Visit(
                self.random.choice(ways),
                wait=max(float(wait), 0.0),
                lines=(self.read(schema),) if self.perhaps(0.5) else (),
            ),
        )

    # Cookies

    def cookies(self, schema: Catalogued) -> tuple[Cookie, ...]:
        if self.perhaps(0.65):
            return (Cookie("latest"),)
        if self.perhaps(0.2):
            return (Cookie("latest"), Cookie("earlier"))
        count = self.random.choice((0, 1, 1, 1, 1, 1, 2, 3))
        return tuple(self.cookie(schema) for _ in range(count))

    def cookie(self, schema: Catalogued) -> Cookie:
        key = None if self.perhaps(0.8) else self.one_of(FORMER, "'of a stranger'")
        tampering = None
        if self.perhaps(0.25):
            tampering = Tampering(
                self.random.choice((0, 0, 1, 2)), self.random.random(), self.one_of("A", "B", "w", "-", ".", "=", "%")
            )
        source = self.random.choice(("latest", "latest", "earlier", "sealed", "sealed", "sealed", "made", "text"))
        match source:
            case "latest":
                return Cookie("latest", tampering=tampering, quoted=self.perhaps(0.1))
            case "earlier":
                return Cookie("earlier", tampering=tampering)
            case "text":
                return Cookie("text", self.one_of(*JUNK))
            case "made" if not schema.is_dict:
                return Cookie("made", self.data(schema))
            case _:
                form: Form = self.random.choice(("quart", "quart", "flask", "msgspec-json", "msgspec-msgpack", "named"))
                value = self.payload(schema)
                if self.perhaps(0.1):
                    form = "bytes"
                    value = self.one_of(
                        *(
                            "b''",
                            "b'{'",
                            "b'[]'",
                            "b'{\"n\":}'",
                            "b'\\x81'",
                            "b'null'",
                            "b'.' + zlib.compress(b'{}')[:-2]",
                        ),
                        *(
                            "b'.' + zlib.compress(b'{\"t\":\"' + b'x' * 70_000 + b'\"}')",
                            'b\'{"n":1,"n":2}\'',
                            "b'\\xff{}'",
                        ),
                        *('b\'{"t": "x", "n" : 4}\'', "b'.junk'", "b'{\"n\":1} '", "b'[' * 200", "b'{\"a\":' * 101"),
                    )
                age = self.random.choice(
                    (0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 5.0, 45.0, 700.0, 5 * DAY, 40 * DAY, -20.0, -200.0)
                )
                digest = "sha1" if self.perhaps(0.9) else "sha256"
                return Cookie("sealed", value, form, age, key, digest, tampering)

    def payload(self, schema: Catalogued) -> str:
        """What some other release, or framework, has written."""
        fields = list(schema.values)
        self.random.shuffle(fields)
        items = [(field, self.value(schema, field)) for field in fields[: self.random.randrange(5)]]
        if self.perhaps(0.5):
            items.append((self.one_of(*fields), self.one_of(*WRONG)))
        if self.perhaps(0.3):
            items.append((self.one_of(*NAMES), self.one_of(*UNDECLARED)))
        if self.perhaps(0.5):
            items.append(("_permanent", self.one_of("True", "True", "False", "1", "'yes'")))
        if self.perhaps(0.2):
            items.append(("_version", self.one_of("1", "2", "3", "'x'", "-1")))
        if self.perhaps(0.1):
            items.append((self.one_of("uid", "user_id", "name", "tags"), self.one_of("5", "'5'", "['a', 'b']", "None")))
        self.random.shuffle(items)
        return "{" + ", ".join(f"{key!r}: {value}" for key, value in items) + "}"

    # Lines of Python

    def lines(self, schema: Catalogued, *, in_context: bool) -> tuple[str, ...]:
        count = self.random.choice((0, 1, 1, 1, 2, 2, 3, 6))
        quiet = self.perhaps(0.2)
        return tuple(self.read(schema) if quiet else self.line(schema, in_context=in_context) for _ in range(count))

    def line(self, schema: Catalogued, *, in_context: bool) -> str:  # noqa: C901 -- a list of all that may be done
        match self.random.randrange(24):
            case 0 | 1 | 2 | 3:
                return self.read(schema)
            case 4 | 5 | 6 | 7 | 8:
                return self.change_of_data(schema)
            case 9 | 10 | 11:
                return self.one_of(*schema.changes)
            case 12 | 13 | 14:
                return self.change_by_key(schema)
            case 15 | 16 | 17:
                return self.undeclared()
            case 18 | 19:
                return self.one_of(*FLAGS)
            case 20:
                return f"s.promote({self.arguments(schema)})"
            case 21:
                return self.held(schema)
            case 22 if in_context:
                return self.one_of(*SAVES)
            case _ if schema.name == "Shopper":
                line = self.one_of(*SUBJECTS)
                return line if in_context or "await" not in line else "s.promote(user_id=7)"
            case _:
                return f"s.replace({self.data(schema)})"

    def read(self, schema: Catalogued) -> str:
        key = self.one_of(*schema.values, *schema.values, *NAMES)
        match self.random.randrange(10):
            case 0 | 1 | 2:
                field = self.one_of(*schema.values)
                return f"s.data.get({field!r})" if schema.is_dict else f"s.data.{field}"
            case 3:
                return f"s[{key!r}]"
            case 4:
                return f"s.get({key!r}, 'absent')"
            case 5:
                return f"{key!r} in s"
            case 6:
                return f"s == {self.payload(schema)}"
            case 7:
                return f"s.extras.get({key!r}, 'absent')"
            case _:
                return self.one_of(*READS)

    def place(self, schema: Catalogued, field: str) -> str:
        return f"s.data[{field!r}]" if schema.is_dict else f"s.data.{field}"

    def change_of_data(self, schema: Catalogued) -> str:
        field = self.one_of(*schema.values)
        place = self.place(schema, field)
        match self.random.randrange(9):
            case 0:
                return f"{place} = copy.deepcopy({place})"
            case 1 if not schema.is_dict:
                return f"{place} = {schema.name}().{field}"
            case 2:
                value = self.value(schema, field)
                return f"held = {place}; {place} = {value}; {place} = held"
            case 3:
                return f"{place} = {self.wrong(field)}"
            case _:
                return f"{place} = {self.value(schema, field)}"

    def change_by_key(self, schema: Catalogued) -> str:  # noqa: C901 -- as above
        field = self.one_of(*schema.values)
        match self.random.randrange(14):
            case 0:
                return f"del s[{field!r}]"
            case 1:
                return f"s.pop({field!r})"
            case 2:
                return f"s.pop({field!r}, None)"
            case 3:
                return f"s.setdefault({field!r}, {self.value(schema, field)})"
            case 4:
                return f"s[{field!r}] = {self.wrong(field)}"
            case 5:
                return f"s.update({self.mapping(schema)})"
            case 6:
                return f"s.update({self.arguments(schema)})"
            case 7:
                return f"s |= {self.mapping(schema)}"
            case 8:
                return f"s.update(list({self.mapping(schema)}.items()))"
            case 9 if not schema.is_dict:
                return f"s[{field!r}] = {schema.name}().{field}"
            case _:
                return f"s[{field!r}] = {self.value(schema, field)}"

    def undeclared(self) -> str:
        key, value = self.one_of(*NAMES), self.one_of(*UNDECLARED)
        match self.random.randrange(7):
            case 0:
                return f"s.extras[{key!r}] = {value}"
            case 1:
                return f"del s.extras[{key!r}]"
            case 2:
                return f"s.extras.pop({key!r}, None)"
            case 3:
                return f"s.pop({key!r}, None)"
            case 4:
                return f"s.extras.setdefault({key!r}, [1]).append(2)"
            case _:
                return f"s[{key!r}] = {value}"

    def held(self, schema: Catalogued) -> str:
        """A container that is taken out of the session, and changed later."""
        field = self.one_of(*schema.values)
        return self.one_of(
            f"held = s.get({field!r}); s[{field!r}] = held",
            f"held = {self.place(schema, field)}; len(s); held.append('late')",
            f"held = {self.place(schema, field)}; s.modified; held.clear()",
            f"{self.place(schema, field)} = {self.value(schema, field)}; s.modified; del s[{field!r}]; list(s)",
        )

    def value(self, schema: Catalogued, field: str) -> str:
        if field in _TEXT_FIELDS and self.perhaps(0.04):
            return self.one_of("noise(900)", "noise(3900)", "noise(4300)", "'z' * 70_000")
        return self.one_of(*schema.values[field])

    def wrong(self, field: str) -> str:
        value = self.one_of(*WRONG)
        return "'no day'" if field == "day" and "datetime" in value else value  # see differences.py

    def mapping(self, schema: Catalogued) -> str:
        fields = self.random.sample(list(schema.values), k=min(len(schema.values), self.random.randrange(1, 4)))
        items = [f"{field!r}: {self.value(schema, field)}" for field in fields]
        if self.perhaps(0.15):
            items.append(f"{self.one_of(*NAMES)!r}: {self.one_of(*UNDECLARED)}")
        if self.perhaps(0.15):
            items.append(f"{fields[0]!r}: {self.wrong(fields[0])}")
        return "{" + ", ".join(items) + "}"

    def arguments(self, schema: Catalogued) -> str:
        fields = self.random.sample(list(schema.values), k=min(len(schema.values), self.random.randrange(1, 4)))
        values = [self.wrong(field) if self.perhaps(0.1) else self.value(schema, field) for field in fields]
        return ", ".join(f"{field}={value}" for field, value in zip(fields, values, strict=True))

    def data(self, schema: Catalogued) -> str:
        """A whole object of the schema."""
        fields = self.random.sample(list(schema.values), k=self.random.randrange(min(4, len(schema.values) + 1)))
        chosen = [field for field in fields if field != "made"]
        arguments = {_ALIASES.get(field, field): self.value(schema, field) for field in chosen}
        return f"{schema.name}({', '.join(f'{name}={value}' for name, value in arguments.items())})"


_TEXT_FIELDS: Final = frozenset({"t", "locale", "label", "name", "long_name", "once", "first"})
"""Those that may grow past what browsers keep."""

_ALIASES: Final = {"_hidden": "hidden", "shown": "said", "_Private__twice": "Private__twice"}
"""What a constructor calls fields of `Private`."""


def random_requests(seed: int, stores: Sequence[str] = STORES) -> Requests:
    """Return the requests of a seed. Those of a seed differ between versions of this file, and of nothing else."""
    return _Writer(seed, stores).requests(seed)
