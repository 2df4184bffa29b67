"""What fields may hold, and that it comes back as it was."""

from __future__ import annotations

import datetime as dt
import math
import typing
from collections.abc import Callable
from decimal import Decimal
from enum import Enum, IntEnum
from pathlib import PurePosixPath
from typing import Annotated, Any, Literal, TypedDict, get_type_hints
from uuid import UUID

import pytest
from attrs import define, frozen
from cattrs import Converter
from hypothesis import given, settings
from hypothesis import strategies as st
from markupsafe import Markup
from msgspec import Meta, Struct
from typing_extensions import override

from tests.cases import case, for_each
from tests.strategies import FIELD_VALUES
from typed_sessions import Formerly, SchemaError
from typed_sessions.schema.sameness import same
from typed_sessions.schema.types.base import NATIVE_CANDIDATES, FieldType, Mismatch, NativeTypes, OutOfBounds, Reading
from typed_sessions.schema.types.compiler import Compiler


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class Level(IntEnum):
    LOW = 1
    HIGH = 2


@frozen
class Point:
    x: int = 0
    y: float = 0.0


@define
class Named:
    name: str
    points: list[Point]


JSON: NativeTypes = frozenset()
TAGGED: NativeTypes = frozenset(type(value) for value in NATIVE_CANDIDATES)
NATIVE_TYPES = {"json": JSON, "tagged": TAGGED}


def compiled(annotation: Any) -> FieldType:
    return Compiler(Converter()).compile(annotation, "here")


@pytest.mark.parametrize("name", FIELD_VALUES)
@settings(max_examples=max(20, settings().max_examples // 5))
@given(st.data())
def test_every_value_of_a_type_is_valid_as_it_is_and_comes_back(name: str, data: st.DataObject) -> None:
    value = data.draw(FIELD_VALUES[name].values)
    field_type = compiled(FIELD_VALUES[name].annotation)
    assert field_type.validate(value) is value
    for notation, native in NATIVE_TYPES.items():
        with case(notation):
            assert same(field_type.structure(field_type.unstructure(value, native), Reading(native)), value)


class Text(str):
    __slots__ = ()


class Moment(dt.datetime):
    pass


@pytest.mark.parametrize(
    ("annotation", "value", "stored"),
    [
        pytest.param(int, True, 1, id="bool-for-int"),
        pytest.param(int, Level.HIGH, 2, id="int-enum-for-int"),
        pytest.param(float, 3, 3.0, id="int-for-float"),
        pytest.param(str, Text("a"), "a", id="subclass-of-str"),
        pytest.param(str, Markup("<b>"), "<b>", id="markup-for-str"),
        pytest.param(dt.datetime, Moment(2020, 1, 2), dt.datetime(2020, 1, 2), id="subclass-of-datetime"),  # noqa: DTZ001
        pytest.param(list[float], [1, 2.5], [1.0, 2.5], id="inside-a-list"),
        pytest.param(dict[str, float], {"a": 1}, {"a": 1.0}, id="inside-a-dict"),
        pytest.param(tuple[float, int], (1, 1), (1.0, 1), id="inside-a-tuple"),
        pytest.param(float | None, 3, 3.0, id="inside-a-union"),
    ],
)
def test_what_a_checker_accepts_is_held_as_the_type(annotation: Any, value: object, stored: object) -> None:
    assert same(compiled(annotation).validate(value), stored)


@pytest.mark.parametrize(
    ("annotation", "value"),
    [
        pytest.param(int, "1", id="str-for-int"),
        pytest.param(int, 1.0, id="float-for-int"),
        pytest.param(bool, 1, id="int-for-bool"),
        pytest.param(float, 2**53 + 1, id="int-that-no-float-holds"),
        pytest.param(float, 10**400, id="int-past-all-floats"),
        pytest.param(str, b"a", id="bytes-for-str"),
        pytest.param(Markup, "<b>", id="str-for-markup"),
        pytest.param(dt.date, dt.datetime(2020, 1, 1, tzinfo=dt.UTC), id="datetime-for-date"),
        pytest.param(list[int], (1,), id="tuple-for-list"),
        pytest.param(tuple[int, int], (1,), id="short-tuple"),
        pytest.param(tuple[int, int], [1, 2], id="list-for-tuple"),
        pytest.param(Literal[1], True, id="true-for-literal-one"),
        pytest.param(Literal["a"], ["a"], id="unhashable-for-literal"),
        pytest.param(Colour, "red", id="value-for-member"),
        pytest.param(Point, {"x": 1}, id="dict-for-class"),
        pytest.param(dict[str, int], {1: 1}, id="wrong-key"),
        pytest.param(int | None, "x", id="outside-the-union"),
    ],
)
@pytest.mark.parametrize("operation", ["validate", "unstructure"])
def test_what_a_checker_refuses_is_refused(annotation: Any, value: object, operation: str) -> None:
    field_type = compiled(annotation)
    with pytest.raises(Mismatch):
        field_type.validate(value) if operation == "validate" else field_type.unstructure(value, TAGGED)


def test_a_subclass_with_more_fields_is_refused_since_it_would_lose_them() -> None:
    @frozen
    class Point3(Point):
        z: int = 0

    with pytest.raises(Mismatch, match="which would come back as Point"):
        compiled(Point).validate(Point3())


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_numbers_that_are_none_are_not_written(value: float) -> None:
    with pytest.raises(Mismatch):
        compiled(float).unstructure(value, TAGGED)


@pytest.mark.parametrize(
    ("annotation", "plain"),
    [
        pytest.param(int, 7.0, id="float-for-int"),
        pytest.param(str, 7, id="int-for-str"),
        pytest.param(Markup, "<script>", id="text-for-markup"),
        pytest.param(bytes, "text", id="text-for-bytes"),
        pytest.param(UUID, "6f2d1c80-90ab-4c1e-8a7e-0123456789ab", id="text-for-uuid"),
        pytest.param(Decimal, "x", id="no-decimal"),
        pytest.param(Decimal, 1.5, id="float-for-decimal"),
        pytest.param(Colour, "green", id="no-member"),
        pytest.param(Level, True, id="true-for-a-member-of-one"),
        pytest.param(Point, {"x": "1"}, id="wrong-attribute"),
        pytest.param(Named, {"name": "a"}, id="missing-attribute"),
        pytest.param(set[tuple[int, ...]], [[1], "x"], id="wrong-item"),
        pytest.param(dict[int, str], {"01": "a"}, id="no-canonical-number"),
    ],
)
def test_a_plain_value_of_another_type_is_refused(annotation: Any, plain: object) -> None:
    with pytest.raises(Mismatch):
        compiled(annotation).structure(plain, Reading(TAGGED))


@pytest.mark.parametrize(
    ("annotation", "plain", "value"),
    [
        pytest.param(set[str], ["b", "a"], {"a", "b"}, id="set-from-a-list"),
        pytest.param(tuple[int, ...], [1, 2], (1, 2), id="tuple-from-a-list"),
        pytest.param(list[int], (1, 2), [1, 2], id="list-from-a-tuple"),
        pytest.param(Point, {"x": 1}, Point(1), id="class-from-some-attributes"),
        pytest.param(Point, {"x": 1, "gone": 2}, Point(1), id="class-from-more-attributes"),
    ],
)
def test_what_another_program_wrote_under_the_key_is_read(annotation: Any, plain: object, value: object) -> None:
    assert same(compiled(annotation).structure(plain, Reading(TAGGED)), value)


@pytest.mark.parametrize(
    ("annotation", "kept", "refused"),
    [
        pytest.param(Annotated[str, Meta(max_length=3)], "abc", "abcd", id="text"),
        pytest.param(Annotated[str, Meta(pattern="^a+$")], "aa", "ab", id="pattern"),
        pytest.param(Annotated[int, Meta(ge=0), Meta(lt=10)], 9, 10, id="two-bounds"),
        pytest.param(Annotated[float, Meta(gt=0)], 0.5, 0.0, id="float"),
        pytest.param(Annotated[bytes, Meta(min_length=1)], b"a", b"", id="bytes"),
        pytest.param(Annotated[Markup, Meta(max_length=3)], Markup("abc"), Markup("abcd"), id="markup"),
        pytest.param(Annotated[dt.datetime, Meta(tz=True)], dt.datetime.now(dt.UTC), dt.datetime(2020, 1, 1), id="tz"),  # noqa: DTZ001
        pytest.param(Annotated[list[Point], Meta(max_length=1)], [Point()], [Point(), Point()], id="list"),
        pytest.param(Annotated[frozenset[int], Meta(max_length=1)], frozenset({1}), frozenset({1, 2}), id="frozenset"),
        pytest.param(Annotated[tuple[int, ...], Meta(min_length=1)], (1,), (), id="tuple"),
        pytest.param(Annotated[dict[UUID, Point], Meta(max_length=0)], {}, {UUID(int=1): Point()}, id="dict"),
        pytest.param(list[Annotated[str, Meta(max_length=1)] | None], ["a", None], ["ab"], id="in-a-union-in-a-list"),
        pytest.param(dict[Annotated[str, Meta(max_length=1)], int], {"a": 1}, {"ab": 1}, id="key"),
    ],
)
def test_bounds_are_kept_when_set_when_written_and_when_read(annotation: Any, kept: object, refused: object) -> None:
    field_type = compiled(annotation)
    assert field_type.validate(kept) is kept
    assert same(field_type.structure(field_type.unstructure(kept, TAGGED), Reading(TAGGED)), kept)
    for operation in (field_type.validate, lambda value: field_type.unstructure(value, TAGGED)):
        with pytest.raises(OutOfBounds, match="not one out of bounds"):
            operation(refused)
    bare = compiled(unbounded(annotation))
    with pytest.raises(Mismatch):
        field_type.structure(bare.unstructure(refused, TAGGED), Reading(TAGGED))


def unbounded(annotation: Any) -> Any:
    """The same annotation without any `Annotated`, at any depth."""
    return get_type_hints(define(type("Holder", (), {"__annotations__": {"held": annotation}})))["held"]


@pytest.mark.parametrize(
    "annotation",
    [Annotated[Decimal, Meta(ge=0)], Annotated[str | None, Meta(max_length=1)], Annotated[Point, Meta(max_length=1)]],
    ids=["decimal", "union", "class"],
)
def test_bounds_that_msgspec_does_not_know_are_refused(annotation: Any) -> None:
    with pytest.raises(SchemaError, match=r"here: msgspec\.Meta has no such bounds"):
        compiled(annotation)


def test_a_description_is_no_bound() -> None:
    assert compiled(Annotated[Point, Meta(description="where")]).validate(Point()) == Point()


ODD_OFFSET = dt.timezone(dt.timedelta(hours=1, seconds=30))


@pytest.mark.parametrize("native", NATIVE_TYPES.values(), ids=NATIVE_TYPES)
@pytest.mark.parametrize(
    ("annotation", "value"),
    [
        pytest.param(dt.time, dt.time(1, tzinfo=ODD_OFFSET), id="time"),
        pytest.param(dt.datetime, dt.datetime(2026, 1, 2, tzinfo=ODD_OFFSET), id="datetime"),
        pytest.param(dict[dt.datetime, int], {dt.datetime(2026, 1, 2, tzinfo=ODD_OFFSET): 1}, id="key"),
    ],
)
def test_the_seconds_of_an_offset_come_back(annotation: Any, value: object, native: NativeTypes) -> None:
    field_type = compiled(annotation)
    assert same(field_type.structure(field_type.unstructure(value, native), Reading(native)), value)


@pytest.mark.parametrize("text", ["20260102", "2026-01-02", "2026-W01-1", "2026-01-02T00+01:00:30", "today"])
def test_a_moment_is_read_from_one_form_of_text(text: str) -> None:
    with pytest.raises(Mismatch):
        compiled(dt.datetime).structure(text, Reading(JSON))


def test_a_key_of_more_digits_than_python_writes_is_refused_where_it_stands() -> None:
    with pytest.raises(Mismatch, match="fewer digits"):
        compiled(dict[int, str]).unstructure({10**5000: "a"}, JSON)


@pytest.mark.parametrize(
    "annotation",
    [Literal[Colour.RED, "red"], Literal[1, Level.LOW], Literal["AQ==", b"\x01"]],
    ids=["text", "number", "bytes"],
)
def test_a_literal_whose_values_are_written_alike_is_refused(annotation: Any) -> None:
    with pytest.raises(SchemaError, match=r"here: two values of Literal\[.*\] are written alike"):
        compiled(annotation)


def test_sets_are_written_in_one_order() -> None:
    field_type = compiled(set[str])
    words = [chr(97 + n) for n in range(26)]
    assert field_type.unstructure(set(words), JSON) == words


def test_a_mismatch_tells_where_and_never_the_value() -> None:
    with pytest.raises(Mismatch) as caught:
        compiled(dict[str, list[Named]]).validate({"secret": [Named("n", [Point(), Point(y="hush")])]})  # type: ignore[arg-type]  # the misuse
    assert caught.value.path == "[...][0].points[1].y"
    assert "secret" not in str(caught.value.args) + str(caught.value)
    assert "hush" not in str(caught.value.args) + str(caught.value)


def test_a_type_that_could_never_be_written_is_refused_at_once() -> None:
    reads_only = Converter()
    reads_only.register_structure_hook(PurePosixPath, lambda text, _type: PurePosixPath(text))
    with pytest.raises(SchemaError, match="here: the converter has no unstructure hook for PurePosixPath"):
        Compiler(reads_only).compile(PurePosixPath, "here")
    with pytest.raises(SchemaError, match=r"here: a set holds no list\[int\]"):
        Compiler(Converter()).compile(set[list[int]], "here")


@define
class Changeable:
    n: int = 0


@frozen
class Fixed:
    n: int = 0


class ChangeableStruct(Struct):
    n: int = 0


class FixedStruct(Struct, frozen=True):
    n: int = 0


class SameStruct(Struct, eq=False):
    n: int = 0


class HashedStruct(Struct):
    n: int = 0

    @override
    def __hash__(self) -> int:
        return hash(self.n)


@pytest.mark.parametrize(
    ("item", "held"),
    [
        (Changeable, None),
        (ChangeableStruct, None),
        (tuple[int, list[int]], None),
        (tuple[dict[str, int], ...], None),
        (frozenset[int], frozenset({1})),
        (tuple[int, ...], (1, 2)),
        (Fixed, Fixed(1)),
        (FixedStruct, FixedStruct(1)),
        (HashedStruct, HashedStruct(1)),
        (SameStruct, SameStruct(1)),
    ],
    ids=str,
)
def test_a_set_of_what_has_no_hash_is_refused_at_once(item: Any, held: object) -> None:
    if held is None:
        with pytest.raises(SchemaError, match=r"here: a set holds no .*, which can be changed"):
            Compiler(Converter()).compile(set[item], "here")
    else:
        Compiler(Converter()).compile(set[item], "here").validate({held})


def listed(annotation: Any) -> Any:
    return list.__class_getitem__(annotation)


def containers(annotation: Any) -> list[tuple[FieldType, Callable[[list[object]], object]]]:
    """Return types whose values hold many of one type, and what makes such a value of them."""
    return [
        (compiled(listed(annotation)), list),
        (compiled(listed(listed(annotation))), lambda items: [[item] for item in items]),
        (compiled(listed(tuple[int, annotation])), lambda items: [*enumerate(items)]),
        (compiled(listed(dict[str, annotation])), lambda items: [{f"key {n}": item} for n, item in enumerate(items)]),
        (compiled(listed(dict[int, annotation])), lambda items: [dict(enumerate(items))]),
        (compiled(listed(annotation | None)), lambda items: [*items, None]),
    ]


@pytest.mark.parametrize("name", FIELD_VALUES)
@settings(max_examples=max(3, settings().max_examples // 30))
@given(st.data())
def test_many_values_at_once_are_written_and_read_as_one_by_one(name: str, data: st.DataObject) -> None:
    annotation = FIELD_VALUES[name].annotation
    values: list[object] = data.draw(st.lists(FIELD_VALUES[name].values, min_size=1, max_size=5)) * 30
    one, many = compiled(annotation), compiled(listed(annotation))
    types_of_many = containers(annotation)
    for notation, native in NATIVE_TYPES.items():
        with case(notation):
            plain = [one.unstructure(value, native) for value in values]
            assert same(many.unstructure(values, native), plain)
            for field_type, make in types_of_many:
                held = make(values)
                assert field_type.validate(held) is held
                assert same(field_type.structure(field_type.unstructure(held, native), Reading(native)), held)


@for_each("index", [0, 63, 64, 100])
@pytest.mark.parametrize("name", FIELD_VALUES)
def test_of_many_values_the_wrong_one_is_named(name: str, index: int) -> None:
    annotation = FIELD_VALUES[name].annotation
    field_type = compiled(listed(listed(annotation)))
    with pytest.raises(Mismatch) as caught:
        field_type.unstructure([[]] * index + [[math.nan]] + [[]] * 50, JSON)
    assert caught.value.path.startswith(f"[{index}][0]")


def test_what_one_dict_looks_like_says_nothing_of_another() -> None:
    field_type = compiled(Paper | None)
    with pytest.raises(Mismatch):
        field_type.structure({"another": "class"}, Reading(JSON))
    assert field_type.structure({"pages": 3}, Reading(JSON)) == Paper(3)


def test_an_empty_tuple_may_be_written_as_in_earlier_pythons() -> None:
    compiler = Compiler(Converter())
    assert compiler.compile(typing.Tuple[()], "here").structure([], Reading(JSON)) == ()  # noqa: UP006 -- what is tried
    with pytest.raises(SchemaError, match="a bare tuple"):
        compiler.compile(typing.Tuple, "here")  # noqa: UP006 -- what is tried


def test_a_type_of_the_converter_goes_last_in_a_union() -> None:
    converter = Converter()
    converter.register_unstructure_hook(PurePosixPath, lambda path: {"path": str(path)})
    converter.register_structure_hook(PurePosixPath, lambda plain, _type: PurePosixPath(plain["path"]))
    field_type = Compiler(converter).compile(PurePosixPath | dict[str, int], "here")
    for value in (PurePosixPath("/a"), {"path": 1}):
        assert field_type.structure(field_type.unstructure(value, JSON), Reading(JSON)) == value


@define
class Paper:
    pages: int = 0


@define
class Reel:
    minutes: int = 0


@define
class Disc:
    tracks: int = 0


def test_a_value_of_a_member_that_is_gone_is_no_other_member() -> None:
    compiler = Compiler(Converter())
    before = compiler.compile(Paper | Reel | None, "here")
    for now in (Paper | None, Paper | Disc | None, Paper):
        after = compiler.compile(now, "here")
        with pytest.raises(Mismatch):
            after.structure(before.unstructure(Reel(7), JSON), Reading(JSON))
        assert after.structure(before.unstructure(Paper(7), JSON), Reading(JSON)) == Paper(7)
    with pytest.raises(Mismatch):
        compiler.compile(Paper, "here").structure({"minutes": 7}, Reading(JSON))
    assert compiler.compile(Paper, "here").structure({"pages": 7, "minutes": 7}, Reading(JSON)) == Paper(7)


@define
class Book:
    pages: Annotated[int, Formerly("minutes")] = 0


@define
class Edition:
    title: str = ""
    pages: int = 0


@define
class Tape:
    title: str = ""
    minutes: int = 0


def test_what_several_members_declare_in_part_is_none_of_them() -> None:
    gone = {"title": "x", "tracks": 7}
    several = Compiler(Converter()).compile(Edition | Tape | None, "here")
    with pytest.raises(Mismatch):
        several.structure(gone, Reading(JSON))
    reading = Reading(JSON)
    assert Compiler(Converter()).compile(Edition | None, "here").structure(gone, reading) == Edition("x")
    assert reading.unknown == {"Edition": 1}


@define
class Card:
    number: int = 0
    digits: str = ""


@define
class Voucher:
    number: int = 0
    code: str = ""


class PayLink(TypedDict, total=False):
    number: int
    url: str


@pytest.mark.parametrize("now", [Voucher | Paper | None, PayLink | Paper | None], ids=["class", "typeddict"])
def test_a_member_that_is_gone_is_no_member_that_shares_a_name_with_it(now: Any) -> None:
    gone = Compiler(Converter()).compile(Card | None, "here").unstructure(Card(7, "42"), JSON)
    with pytest.raises(Mismatch):
        Compiler(Converter()).compile(now, "here").structure(gone, Reading(JSON))


@define
class Grown:
    number: Annotated[int, Formerly("id")] = 0
    digits: str = ""
    holder: str = ""


@pytest.mark.parametrize("now", [Grown | Paper, Grown | Voucher, Grown | None], ids=str)
@pytest.mark.parametrize(
    ("plain", "value"),
    [
        ({"number": 7, "digits": "42"}, Grown(7, "42")),
        ({"id": 7, "digits": "42", "holder": "Ann"}, Grown(7, "42", "Ann")),
        ({"number": 7, "digits": "42", "holder": "Ann", "later": 1}, Grown(7, "42", "Ann")),
    ],
    ids=["from an earlier release", "under an earlier name", "from a later release"],
)
def test_a_member_that_has_grown_is_still_the_same(now: Any, plain: object, value: object) -> None:
    assert Compiler(Converter()).compile(now, "here").structure(plain, Reading(JSON)) == value


def test_a_dict_that_looks_like_another_member_is_still_a_dict() -> None:
    field_type = Compiler(Converter()).compile(dict[str, int] | Paper, "here")
    for value in ({"pages": 7}, {"pages": 7, "more": 8}, Paper(7)):
        assert field_type.structure(field_type.unstructure(value, JSON), Reading(JSON)) == value


def test_an_earlier_name_of_an_attribute_makes_no_other_member_likelier() -> None:
    assert Compiler(Converter()).compile(Book | Reel, "here").structure({"minutes": 7}, Reading(JSON)) == Book(7)


def test_types_of_the_converter_go_through_its_hooks() -> None:
    converter = Converter()
    converter.register_unstructure_hook(PurePosixPath, str)
    converter.register_structure_hook(PurePosixPath, lambda text, _type: PurePosixPath(text))
    field_type = Compiler(converter).compile(list[PurePosixPath], "here")
    assert field_type.unstructure([PurePosixPath("/a/b")], JSON) == ["/a/b"]
    assert field_type.structure(["/a/b"], Reading(JSON)) == [PurePosixPath("/a/b")]


def raising(error: Exception) -> Callable[..., object]:
    def hook(*_: object) -> object:
        raise error

    return hook


def test_a_hook_that_fails_is_a_mismatch() -> None:
    converter = Converter()
    converter.register_unstructure_hook(PurePosixPath, raising(RuntimeError("x")))
    converter.register_structure_hook(PurePosixPath, raising(RuntimeError("x")))
    field_type = Compiler(converter).compile(PurePosixPath, "here")
    with pytest.raises(Mismatch):
        field_type.unstructure(PurePosixPath("a"), JSON)
    with pytest.raises(Mismatch):
        field_type.structure("a", Reading(JSON))
