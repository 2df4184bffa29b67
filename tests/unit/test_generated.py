"""Functions made of source text."""

from __future__ import annotations

import gc
import linecache
import traceback

import pytest

from typed_sessions.schema.generated import Module


def texts() -> list[str]:
    return [name for name in linecache.cache if name.startswith("<typed_sessions generated") and "of a test" in name]


def test_a_traceback_shows_the_text() -> None:
    module = Module("of a test")
    divide = module.define("divide", "value", [f"return {module.name(7, 'seven')} / value"])
    function = module.compiled()[divide]
    assert function(2) == 3.5
    with pytest.raises(ZeroDivisionError) as raised:
        function(0)
    assert "return seven / value" in "".join(traceback.format_exception(raised.value))


def test_the_text_goes_with_the_functions() -> None:
    module = Module("of a test")
    module.define("one", "value", ["return value"])
    functions = module.compiled()
    gc.collect()
    assert len(texts()) == 1
    del functions, module
    gc.collect()
    assert texts() == []


def test_each_object_and_each_function_has_a_name_of_its_own() -> None:
    module = Module("of a test")
    one, other = [1], [1]
    assert module.name(one, "held value") == module.name(one, "something else") == "held_value"
    assert module.name(other, "held value") != "held_value"
    assert module.define("unstructure list[int]", "value", ["return value"]).isidentifier()
    assert len({module.define("structure", "value", ["return value"]) for _ in range(3)}) == 3
