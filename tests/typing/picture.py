"""The picture in the README: what mypy says of its misuses. By hand: `python -m tests.typing.picture`.

Each letter has its place, whatever font there is, so that what is underlined is what mypy means.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import Final

from attrs import frozen
from pygments.lexers.python import PythonLexer
from pygments.token import Comment, Keyword, Name, Number, Operator, String, Token

ROOT: Final = Path(__file__).parent.parent.parent
PICTURE: Final = ROOT / "docs" / "mypy.svg"
COMMAND: Final = (sys.executable, "-m", "mypy", "--show-column-numbers", "--show-error-end")
CONFIGURATION: Final = "[mypy]\nstrict = True\nplugins = typed_sessions.mypy_plugin\n"

LABEL: Final = "An editor underlines four mistakes, and mypy says what they are"
FONTS: Final = "ui-monospace, 'SF Mono', Menlo, Consolas, 'Liberation Mono', monospace"
WIDTH: Final = 860
LEFT: Final = 70
LETTER: Final = 8.4
HEIGHT: Final = 24
COLOURS: Final = (
    (Comment, "#8fa6a3"),
    (Keyword.Constant, "#ffcb6b"),
    (Keyword, "#c3a6ff"),
    (Operator.Word, "#c3a6ff"),
    (Name.Decorator, "#7fd4d0"),
    (Name.Class, "#7fd4d0"),
    (Name.Builtin, "#7fd4d0"),
    (String, "#b6e08a"),
    (Number, "#ffcb6b"),
    (Token, "#e3efec"),
)


@frozen
class Complaint:
    """What mypy says of one place."""

    line: int
    begin: int
    end: int
    text: str


def complaints(report: str) -> list[Complaint]:
    """Return what mypy has reported with `COMMAND`."""
    found = re.findall(r"^[^:\n]+:(\d+):(\d+):\d+:(\d+): (error: .*)$", report, re.MULTILINE)
    return [Complaint(int(line), int(begin), int(end), text) for line, begin, end, text in found]


def draw(program: str, report: str) -> str:
    """Return the picture of a program, of which the class and what mypy complains of is shown, and of a report."""
    lines = re.sub(r"  # .*$", "", program, flags=re.MULTILINE).splitlines()
    said = complaints(report)
    first = lines.index("@define")
    shown = [*range(first + 1, first + 5), 0, *sorted({each.line for each in said})]
    rows = {line: 70 + HEIGHT * row for row, line in enumerate(shown)}
    terminal = 70 + HEIGHT * len(shown)
    written = [part for each in said for part in wrapped(f"shop.py:{each.line}: {each.text}")]
    height = terminal + 64 + 20 * len(written)
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{LABEL}">',
            f"<style>text {{ font: 14px {FONTS}; white-space: pre; }} .small {{ font-size: 12.5px; }}</style>",
            f'<rect width="{WIDTH}" height="{height}" rx="12" fill="#0b2426"/>',
            f'<path d="M0 {terminal}h{WIDTH}V{height - 12}a12 12 0 0 1-12 12H12a12 12 0 0 1-12-12z" fill="#06191b"/>',
            *(f'<circle cx="{24 + 20 * at}" cy="24" r="6" fill="#2c4a4b"/>' for at in range(3)),
            text(98, 29, "shop.py", "#a9c9c5"),
            *(part for line in shown for part in row(line, lines[line - 1] if line else "...", rows[line])),
            *(wave(each, lines[each.line - 1], rows[each.line] + 5) for each in said),
            text(24, terminal + 30, "$ mypy shop.py", "#ffc94d", small=True),
            *(text(24, terminal + 54 + 20 * at, part, "#ffb3a6", small=True) for at, part in enumerate(written)),
            "</svg>\n",
        ]
    )


def row(number: int, line: str, y: int) -> Iterator[str]:
    """Return the number of a line, and its tokens."""
    yield text(24, y, f"{number:>3}" if number else "   ", "#7d9997")
    at = 0
    for kind, value in PythonLexer(stripnl=False).get_tokens(line):
        if value.strip():
            colour = next(colour for token, colour in COLOURS if kind in token)
            yield text(LEFT + LETTER * at, y, value.rstrip("\n"), colour)
        at += len(value)


def text(x: float, y: float, content: str, colour: str, *, small: bool = False) -> str:
    length = len(content) * (7.5 if small else LETTER)
    kind = ' class="small"' if small else ""
    return (
        f'<text x="{x:g}" y="{y:g}"{kind} textLength="{length:g}" fill="{colour}" xml:space="preserve">'
        f"{escape(content, quote=False)}</text>"
    )


def wave(complaint: Complaint, line: str, y: int) -> str:
    """Underline what is meant; all that is written there, where mypy says only where it begins, as editors do."""
    begin, end = complaint.begin - 1, complaint.end
    if end == begin + 1:
        end += len(re.split(r"[^\w.]", line[end:])[0])
    waves = "q1.5 -3 3 0t3 0" * round((end - begin) * LETTER / 6)
    return f'<path d="M{LEFT + LETTER * begin:g} {y}{waves}" fill="none" stroke="#ff7b6b" stroke-width="1.6"/>'


def wrapped(line: str) -> list[str]:
    """Break a line where it is too long, between words."""
    parts = re.findall(r".{1,105}(?:\s|$)", line)
    return [parts[0].rstrip(), *(f"    {part.rstrip()}" for part in parts[1:])]


def main() -> None:
    """Run mypy on the first example of the README with its misuses, and draw what it says."""
    example, _, _, misuses = re.findall(
        r"^```python\n(.*?)^```", (ROOT / "README.md").read_text("utf-8"), re.DOTALL | re.MULTILINE
    )
    with tempfile.TemporaryDirectory() as name:
        program, config = Path(name, "program.py"), Path(name, "mypy.ini")
        program.write_text(example + misuses, encoding="utf-8")
        config.write_text(CONFIGURATION, encoding="utf-8")
        command = [*COMMAND, f"--config-file={config}", f"--cache-dir={name}", str(program)]
        said = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)  # noqa: S603 -- mypy
    PICTURE.write_text(draw(example + misuses, said.stdout), encoding="utf-8")


if __name__ == "__main__":
    main()
