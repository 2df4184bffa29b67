"""Releases that change a schema, and are rolled back, while visitors keep coming."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import Annotated, Any, cast

import pytest
from attrs import Factory, define, evolve, field, frozen, make_class
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, multiple, rule
from quart import Quart

from typed_sessions import Formerly, SecureCookieSession, SecureCookieSessionInterface, migration
from typed_sessions.core import lifecycle
from typed_sessions.core.loading import RequestContext
from typed_sessions.core.session_request import session_from
from typed_sessions.quart import Sessions
from typed_sessions.reports import FieldReset, Report

SECRET = "a secret key that is long enough"


@define
class Item:
    sku: str
    colour: str = ""


@define
class First:
    uid: int | None = None
    theme: str = "light"
    visits: int = 0
    cart: list[Item] = Factory(list[Item])


@define
class PlainItem:
    sku: str


@define
class Second:
    """`uid` is renamed, `theme` is gone, `visits` is text, `locale` is new, an item has no colour."""

    user_id: Annotated[int | None, Formerly("uid")] = None
    visits: str = ""
    cart: list[PlainItem] = Factory(list[PlainItem])
    locale: str = "en"


@define
class Third:
    """As `Second`, but nothing is reset: a step turns the number of visits into text."""

    user_id: Annotated[int | None, Formerly("uid")] = None
    visits: str = ""


@migration(Third, 1)
def write_visits_as_text(values: dict[str, object]) -> dict[str, object]:
    return {**values, "visits": str(values.get("visits", ""))}


def release(schema: Any) -> tuple[Quart, Sessions[Any]]:
    app = Quart(__name__)
    app.secret_key = SECRET
    return app, Sessions(schema, app)


async def visit(schema: Any, cookie: str, **changes: object) -> tuple[dict[str, object], str]:
    """Return what is stored, and the cookie that the browser has afterwards."""
    app, sessions = release(schema)
    stored: dict[str, object] = {}

    @app.get("/")
    async def page() -> str:
        sessions.current.update(changes)
        stored.update(sessions.current)
        return ""

    response = await app.test_client().get("/", headers={"Cookie": f"session={cookie}"})
    sent = response.headers.get("Set-Cookie")
    return stored, cookie if sent is None else sent.partition("=")[2].partition(";")[0]


def first_cookie() -> str:
    return release(First)[1].cookie_for(First(uid=7, theme="dark", visits=3, cart=[Item("a", "red")]))


async def test_a_new_release_reads_what_it_can_and_keeps_the_rest() -> None:
    before = first_cookie()
    stored, after = await visit(Second, before)
    assert stored == {"user_id": 7, "theme": "dark", "cart": [PlainItem("a")]}
    assert after == before


async def test_what_a_release_resets_and_passes_over_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "typed_sessions"):
        await visit(Second, first_cookie())
    assert [record.getMessage() for record in caplog.records] == [
        "session field reset to its default: visits is not str",
        "session brought 1 key(s) that PlainItem does not declare; a change drops them",
    ]


async def test_a_rollback_after_reads_finds_everything() -> None:
    _, cookie = await visit(Second, first_cookie())
    stored, _ = await visit(First, cookie)
    assert stored == {"uid": 7, "theme": "dark", "visits": 3, "cart": [Item("a", "red")]}


async def test_a_rollback_after_a_change_finds_what_is_gone_in_between() -> None:
    _, cookie = await visit(Second, first_cookie(), locale="pt")
    stored, _ = await visit(First, cookie)
    assert stored["theme"] == "dark"
    stored, _ = await visit(Second, cookie)
    assert stored == {"user_id": 7, "theme": "dark", "locale": "pt", "cart": [PlainItem("a")]}


async def test_a_migration_runs_on_load_and_a_read_writes_nothing() -> None:
    before = first_cookie()
    stored, after = await visit(Third, before)
    assert stored["visits"] == "3"
    assert after == before


async def test_a_migrated_session_is_migrated_once() -> None:
    _, migrated = await visit(Third, first_cookie(), visits="many")
    stored, after = await visit(Third, migrated)
    assert stored["visits"] == "many"
    assert after == migrated


async def test_a_rollback_behind_a_migration_keeps_the_version_for_the_next_release() -> None:
    _, migrated = await visit(Third, first_cookie(), visits="many")
    rolled_back, changed = await visit(First, migrated, uid=8)
    assert rolled_back["_version"] == 1
    again, _ = await visit(Third, changed)
    assert "_version" not in again


@frozen
class Declaration:
    """One field of a release: what it holds, and what it was called before."""

    cls: type
    formerly: tuple[str, ...] = ()


Fields = dict[str, Declaration]

DEFAULTS: dict[type, object] = {int: 0, str: "", list: ()}
ANNOTATIONS: dict[type, Any] = {int: int, str: str, list: tuple[int, ...]}
VALUES: dict[type, st.SearchStrategy[Any]] = {
    int: st.integers(1, 9),
    str: st.text("abc", min_size=1, max_size=3),
    list: st.lists(st.integers(0, 9), min_size=1, max_size=2).map(tuple),
}
NAMES = st.sampled_from(["a", "b", "c", "d", "e"])
FORMATS = st.sampled_from(["tagged-json", "msgspec-json", "msgspec-msgpack"])


def as_text(name: str) -> Any:
    """Return a migration step that turns one value into text."""

    def step(values: dict[str, object]) -> dict[str, object]:
        return {**values, name: repr(values[name])} if name in values else values

    return step


@frozen
class Release:
    """What is deployed: the fields of its schema, and for each step the name of the field that it turns into text."""

    fields: Fields
    steps: tuple[str, ...] = ()

    def without_superseded(self, values: dict[str, object]) -> dict[str, object]:
        """Return values without the earlier names of fields that are not among them."""
        owners = {former: name for name, declared in self.fields.items() for former in declared.formerly}
        return {key: value for key, value in values.items() if owners.get(key, key) in values}

    def interface(self, reports: list[Report]) -> SecureCookieSessionInterface[Any]:
        schema = make_class(
            "Release",
            {name: field(default=DEFAULTS[declared.cls]) for name, declared in self.fields.items()},
            class_body={
                "__annotations__": {
                    name: Annotated[ANNOTATIONS[declared.cls], Formerly(*declared.formerly)]
                    for name, declared in self.fields.items()
                }
            },
        )
        for number, name in enumerate(self.steps, 1):
            migration(schema, number)(as_text(name))
        return SecureCookieSessionInterface(schema, report=lambda _, report: reports.append(report))


@define
class Visitor:
    """A browser, and what the rules say that its cookie keeps."""

    cookie: str | None = None
    kept: dict[str, object] = Factory(dict[str, object])
    version: int = 0

    def brought_to(self, release: Release) -> dict[str, object]:
        """Return what is kept, under the names and in the version of a release."""
        kept = dict(self.kept)
        for name in release.steps[self.version :]:
            if name in kept:
                kept[name] = repr(kept[name])
        found: dict[str, object] = {}
        for key, value in kept.items():
            owner = next((name for name, declared in release.fields.items() if key in declared.formerly), key)
            names = (owner, *release.fields[owner].formerly) if owner in release.fields else (owner,)
            found[owner if key == next(name for name in names if name in kept) else key] = value
        return found

    def readable_in(self, release: Release) -> dict[str, object]:
        """Return what a release shows: what fits its fields, and what it does not declare."""
        return release.without_superseded(
            {
                key: value
                for key, value in self.brought_to(release).items()
                if key not in release.fields or type(value) is type(DEFAULTS[release.fields[key].cls])
            }
        )


class Deployments(RuleBasedStateMachine):
    """Deploys and rolls back; a visitor never loses what the rules keep, and a read never writes."""

    visitors = Bundle("visitors")

    def __init__(self) -> None:
        super().__init__()
        self.history = [Release({"a": Declaration(int), "b": Declaration(str)})]
        self.config: dict[str, object] = {
            "SECRET_KEY": SECRET,
            "SESSION_REFRESH_EACH_REQUEST": False,
            "PERMANENT_SESSION_LIFETIME": timedelta(days=1),
        }
        self.reports: list[Report] = []

    @property
    def release(self) -> Release:
        return self.history[-1]

    def deploy(self, fields: Fields, *steps: str) -> None:
        self.history.append(Release(fields, (*self.release.steps, *steps)))

    @initialize(target=visitors)
    def first_visitor(self) -> Any:
        return multiple(Visitor(), Visitor())

    @rule(target=visitors)
    def a_visitor_comes(self) -> Visitor:
        return Visitor()

    @rule(serializer=FORMATS)
    def swap_the_format(self, serializer: str) -> None:
        self.config["SESSION_SERIALIZER"] = serializer

    @rule(name=NAMES, cls=st.sampled_from(list(DEFAULTS)))
    def add_or_retype_a_field(self, name: str, cls: type) -> None:
        fields = {
            other: evolve(declared, formerly=tuple(former for former in declared.formerly if former != name))
            for other, declared in self.release.fields.items()
        }
        self.deploy({**fields, name: Declaration(cls, fields[name].formerly if name in fields else ())})

    @rule(data=st.data())
    def remove_a_field(self, data: st.DataObject) -> None:
        if self.release.fields:
            gone = data.draw(st.sampled_from(list(self.release.fields)))
            self.deploy({name: declared for name, declared in self.release.fields.items() if name != gone})

    @rule(data=st.data(), new=NAMES)
    def rename_a_field(self, data: st.DataObject, new: str) -> None:
        taken = {*self.release.fields, *(name for held in self.release.fields.values() for name in held.formerly)}
        if self.release.fields and new not in taken:
            old = data.draw(st.sampled_from(list(self.release.fields)))
            fields = dict(self.release.fields)
            declared = fields.pop(old)
            self.deploy({**fields, new: Declaration(declared.cls, (old, *declared.formerly))})

    @rule(data=st.data())
    def migrate_a_field(self, data: st.DataObject) -> None:
        if self.release.fields:
            name = data.draw(st.sampled_from(list(self.release.fields)))
            fields = {**self.release.fields, name: evolve(self.release.fields[name], cls=str, formerly=())}
            self.deploy(fields, name)

    @rule()
    def roll_back(self) -> None:
        if len(self.history) > 1:
            self.history.pop()

    @rule(visitor=visitors)
    def read(self, visitor: Visitor) -> None:
        self.request(visitor, {})

    @rule(visitor=visitors, data=st.data())
    def change(self, visitor: Visitor, data: st.DataObject) -> None:
        if self.release.fields:
            name = data.draw(st.sampled_from(list(self.release.fields)))
            self.request(visitor, {name: data.draw(VALUES[self.release.fields[name].cls])})

    @rule(visitor=visitors, data=st.data())
    def take_out(self, visitor: Visitor, data: st.DataObject) -> None:
        if self.release.fields:
            self.request(visitor, {}, data.draw(st.sampled_from(list(self.release.fields))))

    @rule(visitor=visitors, data=st.data())
    def be_served_by_a_fleet(self, visitor: Visitor, data: st.DataObject) -> None:
        """Go from one release to the other and back, mostly with what only one of them declares."""
        fleet = self.history[-2:]
        shared = fleet[0].fields.keys() & fleet[-1].fields.keys()
        for release in data.draw(st.lists(st.sampled_from(fleet), min_size=2, max_size=6)):
            if release.fields:
                name = data.draw(
                    st.sampled_from([key for key in release.fields if key not in shared] or [*release.fields])
                )
                taken_out = data.draw(st.booleans())
                changes = {} if taken_out else {name: data.draw(VALUES[release.fields[name].cls])}
                self.request(visitor, changes, name if taken_out else "", release)
        self.request(visitor, {})

    @rule(visitor=visitors, value=st.integers(-9, 9))
    def an_extension_stores(self, visitor: Visitor, value: int) -> None:
        self.request(visitor, {"_extension": (value,)})

    @invariant()
    def every_reset_names_a_field(self) -> None:
        assert all(isinstance(report, FieldReset) for report in self.reports), self.reports

    def request(
        self, visitor: Visitor, changes: dict[str, object], removed: str = "", release: Release | None = None
    ) -> None:
        release = release or self.release
        interface = release.interface(self.reports)
        app = cast("Any", Quart(__name__))
        app.config.update(self.config)
        rules = interface._applications.rules_of(app)
        texts = () if visitor.cookie is None else (visitor.cookie,)
        session = session_from(RequestContext(rules, app, texts), SecureCookieSession)
        version = max(visitor.version, len(release.steps))
        readable = visitor.readable_in(release)
        assert {key: value for key, value in session.items() if key != "_version"} == readable
        session.update(changes)
        session.pop(removed, None)
        match lifecycle.action_of(session, rules, wanted=session.modified):
            case lifecycle.Write(value=cookie):
                kept = {key: value for key, value in {**readable, **changes}.items() if key != removed}
                visitor.cookie, visitor.kept, visitor.version = cookie, release.without_superseded(kept), version
            case lifecycle.Delete():
                assert not session
                visitor.cookie, visitor.kept, visitor.version = None, {}, 0
            case decision:
                assert decision == lifecycle.Keep()
                assert removed not in readable
                assert all(key in readable and readable[key] == value for key, value in changes.items())


Deployments.TestCase.settings = settings(
    stateful_step_count=30, max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
test_deploys_and_rollbacks_lose_nothing_that_the_rules_keep = Deployments.TestCase
