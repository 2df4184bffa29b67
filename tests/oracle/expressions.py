"""Python, for what requests do and put into sessions, whatever class they hold."""

from __future__ import annotations

from typing import Final

__all__ = ["FLAGS", "JUNK", "NAMES", "READS", "SAVES", "SUBJECTS", "UNDECLARED", "WRONG"]

WRONG: Final = (
    *(
        "None",
        "True",
        "3",
        "-5",
        "2**70",
        "1.5",
        "float('nan')",
        "'txt'",
        "'7'",
        "'\\ud800'",
        "'ü\\x7f\\U0001f600'",
        "b'ab'",
    ),
    *(
        "Markup('<b>')",
        "datetime(2026, 4, 2, 3, 4, 5, tzinfo=UTC)",
        "UUID(int=5)",
        "Decimal('3.1')",
        "(1, 'a')",
        "[1, 2]",
    ),
    *("[]", "{}", "{'a': 1}", "{1: 'a', '1': 'b'}", "{1, 2}", "object()", "Colour.BLUE", "Line('w', 1)", "[Line(1)]"),
    *("[[[[1]]]]", "nested(99)", "nested(120)", "{' t': [1]}", "'x' * 150", "'x' * 700", "noise(900)", "noise(4200)"),
)
"""What hardly a field takes."""

UNDECLARED: Final = (
    *(
        "'token'",
        "[('message', 'hello')]",
        "['a', ('b', 1)]",
        "{'a': (1, 2), 'when': datetime(2026, 4, 2, tzinfo=UTC)}",
    ),
    *(
        "True",
        "5",
        "None",
        "1.25",
        "UUID(int=9)",
        "Markup('<u>')",
        "b'raw'",
        "datetime(2026, 4, 2, 9, 30)",
        "{'x', 'y'}",
    ),
    *("datetime(2026, 4, 2, 9, 30, 1, 5, tzinfo=UTC)", "date(2026, 4, 2)", "Decimal('1.10')", "{2: 'two'}", "object()"),
)
"""Values of undeclared keys."""

NAMES: Final = (
    *("csrf_token", "_flashes", "_user_id", "identity.id", "extra", "n", "usr_id", "_permanent", "allowed", "cart "),
)
"""Keys that hardly a class declares."""

READS: Final = (
    *("len(s)", "list(s)", "list(s.items())", "bool(s)", "s.new", "s.modified", "s.permanent", "s.accessed", "repr(s)"),
    *(
        "s.copy()",
        "s == s.copy()",
        "s == {}",
        "dict(s.extras)",
        "list(reversed(s))",
        "s | {'z': 1}",
        "{'z': 1} | s",
        "s.data",
    ),
    *("copy.deepcopy(s) == s", "copy.copy(s).copy()", "isinstance(s, dict)", "{} == s.extras", "len(s.extras)"),
    *("getattr(s, 'keys_set', None)", "getattr(s, 'title', None)"),
)
"""What is asked of any session."""

FLAGS: Final = (
    *("s.permanent = True", "s.permanent = True", "s.permanent = True", "s.permanent = False", "s.modified = True"),
    *("s.modified = False", "s.accessed = False", "s.clear()", "s.regenerate()", "s.invalidate()", "s.popitem()"),
    *(
        "s['_flashes'] = [*s.get('_flashes', ()), ('message', 'hi')]",
        "s.pop('_flashes', None)",
        "s.pop('_permanent', 0)",
    ),
)
"""What is done to any session as a whole."""

SAVES: Final = ("await sessions.save()", "await sessions.reload()", "await sessions.reload(); s.data")
"""What is asked of the `Sessions` of a request."""

SUBJECTS: Final = (
    *("s.promote(user_id=7)", "s.promote(user_id=8, once='in')", "s.promote(user_id='no')", "s.data.user_id = 8"),
    *("len(await sessions.of(7))", "await sessions.revoke(7)", "await sessions.revoke(7, except_current=True)"),
    "[each.current for each in await sessions.of(8)]",
)
"""What is asked where a field is the subject."""

JUNK: Final = (
    "",
    "junk",
    "junk.x.y",
    "a.b.c.d",
    ".",
    "..",
    "e30.Z.x",
    "é.ahilAA.vjo0",
    "A" * 43,
    "x" * 5000,
    "0" * 47,
)
"""Cookies of nobody."""
