"""The mapping that a program sees, and the flags of a session."""

from __future__ import annotations

import dataclasses
import secrets
import threading
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any, TypedDict, TypeVar, cast
from unittest.mock import ANY

import msgspec
import pytest
from attrs import Factory, define
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel
from typing_extensions import override

from typed_sessions import (
    FieldTypeError,
    NullSession,
    SecureCookieSession,
    Session,
    SessionError,
    SessionMixin,
    UndeclaredKeyError,
    migration,
)
from typed_sessions.codec.codec import MAX_PAYLOAD, Codec, Loaded, Snapshot
from typed_sessions.codec.contents import contents_of
from typed_sessions.core.session import is_permanent, note_saved, session_from, state_of
from typed_sessions.core.state import Binding, ExtrasRule, Intent, LoadResult, Progress, Renewal
from typed_sessions.reports import ChangeLost, Reason, Refused, Report, UsedLate
from typed_sessions.schema.schema import Schema
from typed_sessions.serializers import TaggedJSONSerializer

S = TypeVar("S")


@define
class Visitor:
    user_id: int | None = None
    cart: list[str] = Factory(list[str])


@dataclass
class DataVisitor:
    user_id: int | None = None
    cart: list[str] = dataclasses.field(default_factory=list)


class StructVisitor(msgspec.Struct):
    user_id: int | None = None
    cart: list[str] = []


class ModelVisitor(BaseModel):
    user_id: int | None = None
    cart: list[str] = []


class KeyedVisitor(TypedDict, total=False):
    user_id: int | None
    cart: list[str]


def session(**stored: object) -> SecureCookieSession[Visitor]:
    return SecureCookieSession(stored, schema=Visitor)


def deferred(
    reports: list[Report] | None = None, rule: ExtrasRule | None = None, **stored: object
) -> SecureCookieSession[Visitor]:
    schema = Schema(Visitor)
    return session_from(
        Binding(
            lambda: LoadResult(contents_of(schema, stored)),
            rule=rule or ExtrasRule(),
            sink=(reports if reports is not None else []).append,
        ),
        SecureCookieSession[Visitor],
    )


KEYS = st.sampled_from(["user_id", "cart", "_permanent", "csrf"])
VALUE_OF: dict[str, Any] = {"user_id": 7, "cart": ["a"], "_permanent": True, "csrf": "t"}
OPERATIONS: dict[str, Callable[[Any, str], object]] = {
    "getitem": lambda mapping, key: mapping[key],
    "setitem": lambda mapping, key: mapping.__setitem__(key, VALUE_OF[key]),
    "delitem": lambda mapping, key: mapping.__delitem__(key),
    "contains": lambda mapping, key: key in mapping,
    "get": lambda mapping, key: mapping.get(key),
    "get-default": lambda mapping, key: mapping.get(key, "d"),
    "pop": lambda mapping, key: mapping.pop(key),
    "pop-default": lambda mapping, key: mapping.pop(key, None),
    "popitem": lambda mapping, _: mapping.popitem(),
    "setdefault": lambda mapping, key: mapping.setdefault(key, VALUE_OF[key]),
    "update": lambda mapping, key: mapping.update({key: VALUE_OF[key]}, csrf="u"),
    "update-pairs": lambda mapping, key: mapping.update([(key, VALUE_OF[key])]),
    "ior": lambda mapping, key: mapping.__ior__({key: VALUE_OF[key]}) and None,
    "or": lambda mapping, key: mapping | {key: "x"},
    "ror": lambda mapping, key: {key: "x"} | mapping,
    "clear": lambda mapping, _: mapping.clear(),
    "copy": lambda mapping, _: mapping.copy(),
    "len": lambda mapping, _: len(mapping),
    "iter": lambda mapping, _: list(mapping),
    "reversed": lambda mapping, _: list(reversed(mapping)),
    "keys": lambda mapping, _: list(mapping.keys()),
    "values": lambda mapping, _: list(mapping.values()),
    "items": lambda mapping, _: list(mapping.items()),
    "bool": lambda mapping, _: bool(mapping),
    "eq": lambda mapping, _: mapping == {"user_id": 7},
    "ne": lambda mapping, _: mapping != {"user_id": 7},
}


def outcome(operation: Callable[[Any, str], object], mapping: object, key: str) -> tuple[str, object]:
    try:
        return "returned", operation(mapping, key)
    except KeyError:
        return "raised", KeyError


@pytest.mark.parametrize(
    "schema",
    [None, Visitor, DataVisitor, StructVisitor, ModelVisitor, KeyedVisitor, lambda: Visitor(5)],
    ids=["open", "attrs", "dataclass", "struct", "model", "typeddict", "function"],
)
@given(st.lists(st.tuples(st.sampled_from(sorted(OPERATIONS)), KEYS), max_size=20))
def test_a_session_behaves_as_a_dict(schema: Any, steps: list[tuple[str, str]]) -> None:
    mapping: SecureCookieSession[Any] = SecureCookieSession(schema=schema)
    model: dict[str, object] = {}
    for name, key in steps:
        assert outcome(OPERATIONS[name], mapping, key) == outcome(OPERATIONS[name], model, key), name
        assert dict(mapping) == model
        assert list(mapping) == list(model)
        assert len(mapping) == len(model)
        assert all((k in mapping) is (k in model) for k in VALUE_OF)


def test_a_session_is_a_mapping_and_no_dict() -> None:
    assert isinstance(session(), (Session, SessionMixin, Mapping, MutableMapping))
    assert not isinstance(session(), dict)


def test_a_session_has_no_hash() -> None:
    with pytest.raises(TypeError, match="unhashable"):
        hash(session())


def test_two_sessions_are_equal_when_they_store_the_same() -> None:
    assert session(user_id=7) == session(user_id=7)
    assert session(user_id=7) != session(user_id=8)
    assert session() != 7


class Pair(Mapping[str, object]):
    """A mapping that has none of a dict's operators."""

    @override
    def __getitem__(self, key: str) -> object:
        return {"user_id": 8, "csrf": "t"}[key]

    @override
    def __iter__(self) -> Iterator[str]:
        return iter(("user_id", "csrf"))

    @override
    def __len__(self) -> int:
        return 2


def test_a_session_equals_any_mapping_of_the_same_and_leaves_the_rest_to_the_other() -> None:
    assert session(user_id=8, csrf="t") == Pair()
    assert session(user_id=7, csrf="t") != Pair()
    assert session() == ANY


def test_or_takes_any_mapping_and_the_right_one_wins() -> None:
    assert session(user_id=7, cart=["a"]) | Pair() == {"user_id": 8, "cart": ["a"], "csrf": "t"}
    assert Pair() | session(user_id=7, cart=["a"]) == {"user_id": 7, "csrf": "t", "cart": ["a"]}


def test_or_refuses_what_is_no_mapping() -> None:
    with pytest.raises(TypeError):
        session() | 7  # type: ignore[operator]  # the misuse


def test_a_wrong_type_is_refused_at_its_line() -> None:
    held = session(user_id=7)
    with pytest.raises(FieldTypeError, match=r"Visitor\.user_id must be int \| None, not str"):
        held["user_id"] = "7"
    assert held == {"user_id": 7}
    assert not held.modified


def test_undeclared_keys_are_kept_in_extras() -> None:
    held = session(user_id=7)
    held["csrf"] = "t"
    held.extras["_flashes"] = [("message", "hi")]
    assert dict(held.extras) == {"csrf": "t", "_flashes": [("message", "hi")]}
    assert held["_flashes"] == [("message", "hi")]
    del held.extras["csrf"]
    assert list(held) == ["user_id", "_flashes"]
    assert "user_id" not in held.extras
    assert len(held.extras) == 1
    assert "_flashes" in repr(held.extras)


def test_extras_take_no_declared_keys() -> None:
    held = session(user_id=7)
    with pytest.raises(KeyError, match="belongs to the session's data"):
        held.extras["user_id"] = 8
    with pytest.raises(KeyError):
        del held.extras["user_id"]
    with pytest.raises(KeyError):
        held.extras["user_id"]


def test_without_a_schema_extras_are_empty() -> None:
    held = SecureCookieSession({"a": 1})
    assert dict(held.extras) == {}
    assert held.data == {"a": 1}


def test_forbidden_keys_are_refused_with_the_closest_name_and_nothing_is_stored() -> None:
    held = deferred(rule=ExtrasRule(frozenset({"allowed"})))
    held["allowed"] = held["_private"] = 1
    changes: list[Callable[[], object]] = [
        lambda: held.__setitem__("usr_id", 7),
        lambda: held.setdefault("usr_id", 7),
        lambda: held.update(user_id=7, usr_id=7),
        lambda: held.__ior__({"usr_id": 7}),
        lambda: held.extras.__setitem__("usr_id", 7),
    ]
    for change in changes:
        with pytest.raises(UndeclaredKeyError) as caught:
            change()
        assert str(caught.value) == 'the session schema declares no field "usr_id"; did you mean "user_id"?'
        assert isinstance(caught.value, KeyError)
        assert isinstance(caught.value, SessionError)
    assert list(held) == ["allowed", "_private"]


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda s: s.__setitem__("user_id", 8), id="key"),
        pytest.param(lambda s: setattr(s.data, "user_id", 8), id="attribute"),
        pytest.param(lambda s: s.data.cart.append("b"), id="nested"),
        pytest.param(lambda s: s["cart"].append("b"), id="nested-by-key"),
        pytest.param(lambda s: s["plain"]["x"].append(1), id="nested-extra"),
        pytest.param(lambda s: s.pop("cart"), id="pop"),
        pytest.param(lambda s: s.__setitem__("flag", 1), id="true-is-not-one"),
    ],
)
def test_a_change_is_found(change: Callable[[Any], object]) -> None:
    held = session(user_id=7, cart=["a"], plain={"x": []}, flag=True)
    assert not held.modified
    change(held)
    assert held.modified


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda s: s.__setitem__("user_id", 7), id="equal-value"),
        pytest.param(lambda s: s.data, id="data"),
        pytest.param(lambda s: (s.data.cart.append("b"), s.data.cart.pop()), id="and-back"),
        pytest.param(lambda s: s.__setitem__("user_id", s.pop("user_id")), id="order"),
        pytest.param(repr, id="repr"),
    ],
)
def test_what_changes_nothing_is_no_change(change: Callable[[Any], object]) -> None:
    held = session(user_id=7, cart=["a"])
    change(held)
    assert not held.modified


def test_an_assigned_flag_holds_until_the_next_change_by_key() -> None:
    held = session(user_id=7)

    def asserted_then_set(flag: bool, value: int) -> bool:
        held.modified = flag
        held["user_id"] = value
        return held.modified

    assert not asserted_then_set(flag=True, value=7)
    assert asserted_then_set(flag=False, value=8)


CHANGES_BY_KEY: dict[str, Callable[[Any], object]] = {
    "setitem": lambda s: s.__setitem__("user_id", 8),
    "delitem": lambda s: s.__delitem__("user_id"),
    "pop": lambda s: s.pop("user_id"),
    "pop-default": lambda s: s.pop("user_id", None),
    "popitem": lambda s: s.popitem(),
    "setdefault": lambda s: s.setdefault("csrf", "t"),
    "update": lambda s: s.update(user_id=8),
    "clear": lambda s: s.clear(),
    "replace": lambda s: s.replace(Visitor(8)),
    "permanent": lambda s: setattr(s, "permanent", True),
    "extras": lambda s: s.extras.__setitem__("csrf", "t"),
}


@pytest.mark.parametrize("change", CHANGES_BY_KEY.values(), ids=CHANGES_BY_KEY)
def test_every_change_by_key_ends_an_assignment(change: Callable[[Any], object]) -> None:
    held = session(user_id=7)
    held.modified = False
    change(held)
    assert held.modified


@pytest.mark.parametrize("change", CHANGES_BY_KEY.values(), ids=CHANGES_BY_KEY)
def test_every_change_by_key_after_the_save_is_reported_as_lost(change: Callable[[Any], object]) -> None:
    reports: list[Report] = []
    held = deferred(reports, user_id=7)
    assert held["user_id"] == 7
    note_saved(held, streams=not held.accessed)
    change(held)
    assert [type(report) for report in reports] == [ChangeLost]


def test_what_changes_no_key_leaves_an_assignment_alone() -> None:
    held = session(user_id=7)
    held.modified = True
    assert held.setdefault("user_id", 8) == 7
    assert held.pop("csrf", None) is None
    with pytest.raises(KeyError):
        held.pop("csrf")
    with pytest.raises(KeyError):
        del held["csrf"]
    assert held.modified


def test_an_update_in_place_gives_the_same_session() -> None:
    held = same_one = session(user_id=7)
    held |= {"csrf": "t"}
    assert held is same_one
    assert held == {"user_id": 7, "csrf": "t"}


def test_a_session_shows_what_is_stored() -> None:
    assert repr(session(user_id=7)) == "<SecureCookieSession {'user_id': 7}>"
    assert repr(NullSession()) == "<NullSession {}>"
    assert repr(SecureCookieSession({"a": 1}, schema=Visitor).extras) == "<Extras {'a': 1}>"


def test_an_assigned_flag_stands_against_the_contents() -> None:
    changed, unchanged = session(user_id=7), session(user_id=7)
    changed.data.user_id = 8
    changed.modified, unchanged.modified = False, True
    assert [changed.modified, unchanged.modified] == [False, True]


def test_contents_that_cannot_be_written_count_as_changed() -> None:
    held = SecureCookieSession({"a": object()})
    assert held.modified


@pytest.mark.parametrize("assigned", [None, True, False])
@pytest.mark.parametrize(
    ("change", "changes"), [(lambda s: s.data, False), (lambda s: setattr(s.data, "user_id", 8), True)]
)
def test_what_is_judged_is_modified_and_says_what_has_changed_unless_that_is_denied(
    change: Callable[[Any], object], changes: bool, assigned: bool | None
) -> None:
    held = session(user_id=7)
    change(held)
    if assigned is not None:
        held.modified = assigned
    modified, found = state_of(held).diff()
    assert modified is held.modified
    assert modified is (changes if assigned is None else assigned)
    assert (found is not None) is (changes and assigned is not False)


@pytest.mark.parametrize("assigned", [True, False])
def test_what_nobody_has_opened_is_judged_by_what_was_assigned(assigned: bool) -> None:
    held = deferred(user_id=7)
    held.modified = assigned
    assert state_of(held).diff() == (assigned, None)


def test_a_save_has_failed_once_it_was_tried_in_vain() -> None:
    held = session()
    assert state_of(held).has_failed is False
    note_saved(held, streams=not held.accessed)
    assert state_of(held).has_failed is False
    state_of(held).progress = Progress.FAILED
    assert state_of(held).has_failed is True


def test_permanent_is_a_key() -> None:
    held = session()
    held.permanent = True
    assert held["_permanent"] is True
    assert held.permanent
    del held["_permanent"]
    assert not held.permanent


def test_permanent_is_true_or_false() -> None:
    held = SecureCookieSession({"_permanent": 1})
    assert held.permanent is True
    held.permanent = cast("bool", "yes")
    assert held["_permanent"] is True


def test_a_session_begins_with_pairs_too() -> None:
    assert SecureCookieSession([("user_id", 7), ("csrf", "t")], schema=Visitor) == {"user_id": 7, "csrf": "t"}


def test_a_session_that_begins_empty_came_from_nowhere() -> None:
    opened = state_of(SecureCookieSession(schema=Visitor)).open()
    assert (opened.snapshot, opened.sealed, opened.new, opened.reports) == (None, None, True, ())


@define
class Article:
    sku: str
    price: float = 0.0


@define
class Shopper:
    user_id: int | None = None
    cart: list[Article] = Factory(list[Article])
    tags: set[str] = Factory(set[str])


@pytest.mark.parametrize(
    ("payload", "contents", "held"),
    [
        pytest.param(b'{"a":1,"b":2}', {"b": 2, "a": 1}, True, id="order"),
        pytest.param(b'{"a": 1}', {"a": 1}, True, id="spaces"),
        pytest.param(b'{"a":1}', {"a": True}, False, id="true-is-not-one"),
        pytest.param(b'{"a":1}', {"a": 1.0}, False, id="float-is-not-int"),
        pytest.param(b'{"a":[1]}', {"a": (1,)}, False, id="tuple-is-not-list"),
        pytest.param(b'{"tags":["b","a"]}', {"tags": {"a", "b"}}, True, id="sets"),
        pytest.param(b'{"cart":[{"sku":"a"}]}', {"cart": [Article("a")]}, True, id="nested-defaults"),
        pytest.param(b'{"user_id":"x"}', {}, True, id="reset-field"),
        pytest.param(b'{"user_id":null}', {}, False, id="stored-default"),
        pytest.param(b'{"a":1}', {"a": object()}, False, id="unwritable"),
        pytest.param(b"{", {"a": 1}, False, id="no-payload"),
    ],
)
def test_a_payload_holds_what_means_the_same(payload: bytes, contents: dict[str, object], held: bool) -> None:
    codec = Codec(Schema(Shopper), TaggedJSONSerializer())
    present = contents_of(codec.schema, contents)
    assert (codec.diff(present, Snapshot(codec, payload, payload)) is None) is held


def test_what_reads_as_it_would_be_written_is_not_read_again() -> None:
    read: list[str | bytes] = []

    class Noting(TaggedJSONSerializer):
        @override
        def loads(self, payload: str | bytes, /) -> object:
            read.append(payload)
            return super().loads(payload)

    codec = Codec(Schema(Shopper), Noting())
    decoded = decoded_by(codec, b'{"user_id":7}')
    read.clear()
    assert codec.diff(decoded.contents, decoded.snapshot) is None
    assert read == []


def decoded_by(codec: Codec[S], payload: bytes) -> Loaded[S]:
    outcome = codec.decode(payload)
    assert isinstance(outcome, Loaded)
    return outcome


@define
class Migrated:
    name: str = ""
    token: str = ""


@migration(Migrated, 1)
def rename(values: dict[str, object]) -> dict[str, object]:
    return {"name": values.pop("called", ""), "token": secrets.token_hex(8), **values}


def test_a_migrated_payload_holds_what_it_holds_in_its_later_version() -> None:
    codec = Codec(Schema(Migrated), TaggedJSONSerializer())
    decoded = decoded_by(codec, b'{"called":"a"}')
    snapshot = decoded.snapshot
    assert snapshot.version == 1
    assert snapshot.payload == b'{"called":"a"}'
    assert codec.diff(decoded.contents, snapshot) is None
    written = b'{"name":"a","_version":1}'
    assert Snapshot(codec, written, written).version == 0


def test_a_session_that_is_emptied_and_filled_as_it_was_has_not_changed() -> None:
    codec = Codec(Schema(Visitor), TaggedJSONSerializer())
    decoded = decoded_by(codec, b'{"user_id":7}')
    held = session_from(
        Binding(lambda: LoadResult(decoded.contents, decoded.snapshot), sealed=("a.b.c",)), SecureCookieSession[Visitor]
    )
    held.clear()
    held["user_id"] = 7
    assert not held.modified


@define
class Ticket:
    sku: str = ""
    token: str = Factory(lambda: secrets.token_hex(8))


@define
class Order:
    tickets: list[Ticket] = Factory(list[Ticket])


def test_what_a_nested_class_makes_for_a_missing_value_is_no_change() -> None:
    codec = Codec(Schema(Order), TaggedJSONSerializer())
    decoded = decoded_by(codec, b'{"tickets":[{"sku":"a"}]}')
    assert codec.diff(decoded.contents, decoded.snapshot) is None
    decoded.contents.data.tickets[0].token = "another"
    assert codec.diff(decoded.contents, decoded.snapshot) is not None


def test_what_was_made_beside_what_cannot_be_written_again_is_read_all_the_same() -> None:
    codec = Codec(Schema(Order), TaggedJSONSerializer())
    longer_when_escaped = "é" * (MAX_PAYLOAD // 4)
    payload = f'{{"tickets":[{{"sku":"a"}}],"note":"{longer_when_escaped}"}}'.encode()
    decoded = decoded_by(codec, payload)
    assert decoded.snapshot.payload == payload
    assert [ticket.sku for ticket in decoded.contents.data.tickets] == ["a"]


ACCESSES: dict[str, Callable[[Any], object]] = {
    "in": lambda s: "user_id" in s,
    "len": len,
    "iter": list,
    "eq": lambda s: s == {},
    "bool": bool,
    "get": lambda s: s.get("user_id"),
    "data": lambda s: s.data,
    "new": lambda s: s.new,
    "permanent": lambda s: s.permanent,
    "set": lambda s: s.__setitem__("user_id", 7),
    "extras": lambda s: list(s.extras),
    "reversed": lambda s: list(reversed(s)),
    "copy": lambda s: s.copy(),
    "clear": lambda s: s.clear(),
}


@pytest.mark.parametrize("access", ACCESSES.values(), ids=ACCESSES)
def test_every_kind_of_access_is_tracked(access: Callable[[Any], object]) -> None:
    held = deferred()
    assert not held.accessed
    access(held)
    assert held.accessed


@pytest.mark.parametrize(
    "look",
    [lambda s: s.modified, lambda s: state_of(s).open(), is_permanent, lambda s: state_of(s).diff()],
    ids=["modified", "open", "permanent", "diff"],
)
def test_what_an_interface_asks_is_no_access(look: Callable[[Any], object]) -> None:
    held = deferred()
    look(held)
    assert not held.accessed


def test_what_was_accessed_stays_so_when_an_interface_asks() -> None:
    held = deferred(_permanent=True)
    assert held.get("user_id") is None
    assert is_permanent(held) is True
    assert held.accessed


def test_what_nobody_has_opened_has_not_changed() -> None:
    assert deferred(user_id=7).modified is False


def test_many_threads_that_touch_a_session_first_have_one_of_what_they_make() -> None:
    reports: list[Report] = []
    gate = threading.Barrier(8)

    def opener() -> LoadResult[Visitor]:
        gate.wait(10)  # each of them has begun to open it
        return LoadResult(contents_of(Schema(Visitor), {}), reports=(Refused(Reason.EXPIRED),))

    held = session_from(Binding(opener, sink=reports.append), SecureCookieSession[Visitor])
    seen: list[Visitor] = []
    threads = [threading.Thread(target=lambda: seen.append(held.data)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(seen) == 8
    assert all(data is seen[0] for data in seen)
    assert reports == [Refused(Reason.EXPIRED)]


def test_a_thread_that_opens_a_session_waits_for_no_other() -> None:
    touched = threading.Event()

    def opener() -> LoadResult[Visitor]:
        if threading.current_thread() is first:
            assert touched.wait(10)
        return LoadResult(contents_of(Schema(Visitor), {}))

    held = session_from(Binding(opener), SecureCookieSession[Visitor])
    first = threading.Thread(target=lambda: held.data)
    first.start()
    held.data.user_id = 7
    touched.set()
    first.join()
    assert held.data.user_id == 7


def test_a_report_handler_may_touch_the_session_that_it_hears_of() -> None:
    heard: list[object] = []
    held = session_from(
        Binding(
            lambda: LoadResult(contents_of(Schema(Visitor), {}), reports=(Refused(Reason.EXPIRED),)),
            sink=lambda report: heard.append((report, dict(held))),
        ),
        SecureCookieSession[Visitor],
    )
    held.get("x")
    assert heard == [(Refused(Reason.EXPIRED), {})]


def test_a_rule_allows_no_key_that_is_no_text_unless_it_allows_all() -> None:
    assert ExtrasRule().allows(cast("str", 1))
    assert not ExtrasRule(frozenset({"a"})).allows(cast("str", 1))


def test_an_update_that_is_refused_leaves_everything_as_it_was() -> None:
    held = session(user_id=7)
    with pytest.raises(FieldTypeError):
        held.update({"extra": 1, "user_id": 8, "cart": "no list"})
    assert held == {"user_id": 7}


def test_an_empty_update_is_no_change() -> None:
    held = session(user_id=7)
    held.modified = True
    held.update()
    assert held.modified


def test_an_int_is_the_default_of_a_float_field() -> None:
    @define
    class Priced:
        price: float = 0.0

    held = SecureCookieSession(schema=Priced)
    held.data.price = 0
    assert not held


def test_keys_that_are_no_text_follow_flask_without_a_schema() -> None:
    held = SecureCookieSession({1: 2, "a": 3})  # type: ignore[arg-type]  # the misuse
    held["b"] = 4
    assert held.modified


def test_a_default_made_after_construction_counts_once_the_data_is_touched() -> None:
    @define
    class Late:
        token: str = ""

        def __attrs_post_init__(self) -> None:
            self.token = self.token or secrets.token_hex(4)

    held = SecureCookieSession(schema=Late)
    assert list(held) == []
    assert not held.modified
    assert held.data.token
    assert list(held) == ["token"]


def test_a_change_after_the_save_is_reported_once_as_lost() -> None:
    reports: list[Report] = []
    held = deferred(reports)
    held["user_id"] = 7
    note_saved(held, streams=not held.accessed)
    held["user_id"] = 8
    held["user_id"] = 9
    remedy = "it was made after the session was saved; change it before the response is made"
    assert reports == [ChangeLost(remedy)]


@define
class Voucher:
    sku: str = ""
    token: str = Factory(secrets.token_hex)


@define
class Vouchers:
    held: list[Voucher] = Factory(list[Voucher])


def test_a_read_is_no_change_where_a_default_was_made_and_the_contents_cannot_be_written_again() -> None:
    codec = Codec(Schema(Vouchers), TaggedJSONSerializer())
    payload = ('{"held":[{"sku":"a"}],"x":"%s"}' % ("é" * 400_000)).encode()  # past the limit once it is escaped
    decoded = codec.decode(payload)
    assert isinstance(decoded, Loaded)
    assert codec.diff(decoded.contents, decoded.snapshot) is None
    decoded.contents.data.held[0].sku = "b"
    assert codec.diff(decoded.contents, decoded.snapshot) is not None


@define
class Original:
    """A class whose author refuses copies."""

    sku: str = ""
    token: str = Factory(secrets.token_hex)

    def __deepcopy__(self, memo: object) -> Original:
        raise TypeError("there is only one")


@define
class Originals:
    held: list[Original] = Factory(list[Original])


def test_a_class_that_refuses_to_be_copied_can_be_held_all_the_same() -> None:
    codec = Codec(Schema(Originals), TaggedJSONSerializer())
    payload = b'{"held":[{"sku":"a","token":"t"},{"sku":"b"}]}'
    decoded = codec.decode(payload)
    assert isinstance(decoded, Loaded)
    assert decoded.snapshot.codec is codec
    assert [held.sku for held in decoded.contents.data.held] == ["a", "b"]


def test_reading_on_after_the_save_is_not_reported() -> None:
    reports: list[Report] = []
    held = deferred(reports, user_id=7)
    assert held["user_id"] == 7
    note_saved(held, streams=not held.accessed)
    assert held["user_id"] == 7
    assert reports == []


def test_the_first_use_after_the_save_is_reported_for_the_response_has_no_vary() -> None:
    reports: list[Report] = []
    held = deferred(reports, user_id=7)
    note_saved(held, streams=not held.accessed)
    assert held["user_id"] == held.data.user_id == 7
    assert reports == [UsedLate()]


NULL_CHANGES: dict[str, Callable[[Any], object]] = {
    "setitem": lambda s: s.__setitem__("a", 1),
    "delitem": lambda s: s.__delitem__("a"),
    "pop": lambda s: s.pop("a"),
    "pop-default": lambda s: s.pop("a", None),
    "popitem": lambda s: s.popitem(),
    "clear": lambda s: s.clear(),
    "update": lambda s: s.update(a=1),
    "ior": lambda s: s.__ior__({"a": 1}),
    "setdefault": lambda s: s.setdefault("a", 1),
    "permanent": lambda s: setattr(s, "permanent", True),
    "replace": lambda s: s.replace({}),
    "data": lambda s: s.data,
}


@pytest.mark.parametrize("change", NULL_CHANGES.values(), ids=NULL_CHANGES)
@pytest.mark.parametrize("schema", [None, Visitor], ids=["open", "attrs"])
def test_a_null_session_cannot_be_changed_and_names_the_setting(change: Callable[[Any], object], schema: Any) -> None:
    with pytest.raises(RuntimeError, match=r"session is unavailable.*SECRET_KEY"):
        change(NullSession(schema=schema))


def test_the_extras_of_a_null_session_cannot_be_changed() -> None:
    with pytest.raises(RuntimeError, match="SECRET_KEY"):
        NullSession(schema=Visitor).extras["a"] = 1


def test_a_null_session_reads_as_empty() -> None:
    held: NullSession[dict[str, object]] = NullSession()
    assert held == {}
    assert held.get("a") is None
    assert "a" not in held
    assert not held
    assert not held.permanent
    with pytest.raises(KeyError):
        held["a"]


def test_a_dict_with_the_mixin_is_a_session_of_the_old_style() -> None:
    class Old(dict[str, object], SessionMixin):
        pass

    old = Old()
    assert (old.new, old.modified, old.accessed, old.permanent) == (False, True, False, False)
    old.permanent = True
    old.modified = False
    assert old == {"_permanent": True}
    assert not old.modified


def test_an_instance_of_a_schema_object_can_be_shared() -> None:
    schema = Schema(Visitor)
    assert SecureCookieSession({"user_id": 7}, schema=schema).data == Visitor(7)


class Bare(SessionMixin):
    """What another library's session is made of."""

    def __init__(self) -> None:
        self.kept: dict[str, object] = {}

    @override
    def __getitem__(self, key: str) -> object:
        return self.kept[key]

    @override
    def __setitem__(self, key: str, value: object) -> None:
        self.kept[key] = value

    @override
    def __delitem__(self, key: str) -> None:
        del self.kept[key]

    @override
    def __iter__(self) -> Iterator[str]:
        return iter(self.kept)

    @override
    def __len__(self) -> int:
        return len(self.kept)


def test_a_session_of_another_library_is_permanent_by_its_key() -> None:
    held = Bare()
    assert repr(held.permanent) == "False"
    held["_permanent"] = 1
    assert repr(held.permanent) == "True"
    setattr(held, "permanent", 0)  # noqa: B010 -- what a program without a checker may write
    assert str(held.kept) == "{'_permanent': False}"


@pytest.mark.parametrize("change", ["regenerate", "invalidate", "promote"])
def test_a_null_session_has_no_identity(change: str) -> None:
    with pytest.raises(RuntimeError, match="no secret key is set"):
        getattr(NullSession[Visitor](schema=Visitor), change)()


def test_another_identifier_is_an_access_and_no_change() -> None:
    held = SecureCookieSession({"user_id": 7}, schema=Visitor)
    held.regenerate()
    assert held.accessed
    assert held.modified is False
    assert state_of(held).wants_writing is True
    assert state_of(held).take_intent() == Intent(
        modified=False, assigned=None, renewal=Renewal.REGENERATE, cleared=False, invalidated=False
    )
    assert state_of(held).wants_writing is False


def test_a_login_is_more_than_another_identifier() -> None:
    held = deferred(user_id=7)
    held.promote(user_id=8)
    held.regenerate()
    assert state_of(held).take_intent().renewal is Renewal.PROMOTE


def test_what_could_not_be_saved_is_wanted_again() -> None:
    held = deferred(user_id=7)
    held.invalidate()
    held.modified = True
    intent = state_of(held).take_intent()
    assert intent == Intent(modified=True, assigned=True, renewal=Renewal.NONE, cleared=True, invalidated=True)
    assert state_of(held).take_intent().assigned is None
    held.promote()
    state_of(held).give_back(intent)
    assert state_of(held).take_intent() == Intent(
        modified=True, assigned=True, renewal=Renewal.PROMOTE, cleared=True, invalidated=True
    )


def test_what_was_asked_for_meanwhile_counts_more_than_what_is_given_back() -> None:
    held = deferred(user_id=7)
    held.promote()
    held.modified = True
    intent = state_of(held).take_intent()
    held.regenerate()
    held.modified = False
    state_of(held).give_back(intent)
    again = state_of(held).take_intent()
    assert (again.renewal, again.assigned) == (Renewal.REGENERATE, False)


@pytest.mark.parametrize("change", ["regenerate", "invalidate", "promote"])
def test_a_new_identity_after_the_save_is_reported_once(change: str) -> None:
    held = deferred(user_id=7)
    reports: list[Report] = []
    held = session_from(Binding(state_of(held).open, sink=reports.append), SecureCookieSession[Visitor])
    bool(held)
    note_saved(held, streams=not held.accessed)
    getattr(held, change)()
    getattr(held, change)()
    assert list(map(type, reports)) == [ChangeLost]


def test_what_was_written_is_what_was_loaded_from_then_on() -> None:
    held = deferred(user_id=7)
    held["user_id"] = 8
    codec = Codec(Schema(Visitor), TaggedJSONSerializer())
    opened = state_of(held).open()
    payload = codec.payload({"user_id": 8})
    state_of(held).rebase(LoadResult(opened.contents, Snapshot(codec, payload, payload, version=3), new=False))
    assert held.modified is False
    snapshot = state_of(held).open().snapshot
    assert snapshot is not None
    assert snapshot.version == 3
    assert snapshot.stored == {"user_id": 8}


def test_a_session_knows_how_far_its_response_has_come() -> None:
    state = state_of(deferred())
    seen = []
    for progress in Progress:
        state.progress = progress
        seen.append((state.awaits_response, state.has_failed))
    assert seen == [(True, False), (True, True), (False, False), (False, True)]


def test_an_assignment_counts_where_nothing_is_stored() -> None:
    held = deferred()
    state_of(held).open()
    assert state_of(held).diff() == (False, None)
    held.modified = True
    assert state_of(held).diff() == (True, None)


def test_what_is_stored_again_after_a_logout_is_to_be_saved() -> None:
    held = SecureCookieSession({"user_id": 7}, schema=Visitor)
    held.invalidate()
    held["user_id"] = 7
    assert held.modified is False
    assert state_of(held).wants_writing is True


def test_what_a_save_has_taken_is_asked_for_once_and_may_be_given_back() -> None:
    held = SecureCookieSession({"user_id": 7}, schema=Visitor)
    held.promote(user_id=8)
    held.clear()
    taken = state_of(held).take_intent()
    assert state_of(held).take_intent() == Intent(
        modified=True, assigned=None, renewal=Renewal.NONE, cleared=False, invalidated=False
    )
    state_of(held).give_back(taken)
    assert state_of(held).take_intent() == taken
    held.invalidate()
    state_of(held).give_back(
        Intent(modified=True, assigned=None, renewal=Renewal.NONE, cleared=False, invalidated=False)
    )
    again = state_of(held).take_intent()
    assert (again.cleared, again.invalidated) == (True, True)


def test_a_late_change_is_reported_again_after_it_was_saved() -> None:
    reports: list[Report] = []
    held = session_from(Binding(state_of(deferred(user_id=7)).open, sink=reports.append), SecureCookieSession[Visitor])
    opened = state_of(held).open()
    bool(held)
    note_saved(held, streams=not held.accessed)
    held["user_id"] = 8
    held["user_id"] = 9
    state_of(held).rebase(opened)
    held["user_id"] = 10
    assert list(map(type, reports)) == [ChangeLost, ChangeLost]
