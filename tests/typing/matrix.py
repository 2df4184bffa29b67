"""Runs five type checkers over the corpus, and says which misuse each reports: `python -m tests.typing.matrix`.

A line that ends in `# error` has to be reported by all of them, one that ends in `# error: mypy, ty` by those, and any
other line by none. Whatever is missed, or reported without need, is printed, and the exit status is 1. With `--write`
the table goes into docs/maintainers/checkers.md, and the codes of the reports into codes.txt, beside this file. With
`--alone` each misuse has to be reported in a program that has no other one, too; that takes some minutes.
"""

from __future__ import annotations

import ast
import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import Any, Final

from attrs import frozen

from tests.checkers import run_checker

CORPUS: Final = Path(__file__).parent / "corpus"
PAGE: Final = Path(__file__).parent.parent.parent / "docs" / "maintainers" / "checkers.md"
_BEGIN: Final = "<!-- written by python -m tests.typing.matrix --write -->"
_MARK: Final = re.compile(r"# error(?:: (?P<checkers>[\w, ]+))?(?:  #.*)?$")

Place = tuple[str, int]
"""A file of the corpus, and a line in it."""

Finding = tuple[Place, str]
"""Where a checker says that something is wrong, and the code of what it says."""

CODES: Final = Path(__file__).parent / "codes.txt"
"""The misuses, each with the codes of all checkers, in the order of `CHECKERS`."""


@frozen
class Checker:
    """A type checker: how it is called, and where it says that something is wrong."""

    name: str
    command: Sequence[str]
    findings: Callable[[str], Iterator[Finding]]


def _from_pyright(output: str) -> Iterator[Finding]:
    for found in json.loads(output)["generalDiagnostics"]:
        if found["severity"] == "error":
            yield (Path(found["file"]).name, found["range"]["start"]["line"] + 1), found.get("rule", "error")


def _from_ty(output: str) -> Iterator[Finding]:
    for path, line, code in re.findall(r"^([^:\n]+\.py):(\d+):\d+: \w+\[([\w-]+)\]", output, re.MULTILINE):
        yield (Path(path).name, int(line)), code


def _from_mypy(output: str) -> Iterator[Finding]:
    for path, line, code in re.findall(r"^([^:\n]+\.py):(\d+): error:.*\[([\w-]+)\]$", output, re.MULTILINE):
        yield (Path(path).name, int(line)), code


def _from_pyrefly(output: str) -> Iterator[Finding]:
    found: Any = json.loads(output)
    for error in found["errors"]:
        yield (Path(error["path"]).name, error["line"]), error["name"]


CHECKERS: Final = (
    Checker("mypy", ("mypy", "--strict", "--no-error-summary", "."), _from_mypy),
    Checker("basedpyright", ("basedpyright", "--outputjson", "--pythonpath", sys.executable, "."), _from_pyright),
    Checker("pyright", ("pyright", "--outputjson", "--pythonpath", sys.executable, "."), _from_pyright),
    Checker("ty", ("ty", "check", "--output-format", "concise", "."), _from_ty),
    Checker("pyrefly", ("pyrefly", "check", "--output-format", "json", "--preset", "default"), _from_pyrefly),
)


@frozen
class Line:
    """A line of the corpus, and which checkers have to report it."""

    place: Place
    text: str
    expected: frozenset[str]

    @property
    def is_use(self) -> bool:
        """True for a line that does something right; what programs are set up with does not count."""
        is_statement = re.match(r"[\w(]", self.text) and not re.match(
            r"(from|import|class|async def|def|pass|return None)\b|\w+: [^=]+[,)]?$", self.text
        )
        return not self.expected and self.place[0] != "schemas.py" and bool(is_statement)


def corpus_lines() -> list[Line]:
    """Return the lines of all programs, in order."""
    names = frozenset(checker.name for checker in CHECKERS)
    lines: list[Line] = []
    for path in sorted(CORPUS.rglob("*.py")):
        for number, text in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            mark = _MARK.search(text)
            listed = mark and mark["checkers"]
            expected = frozenset(re.split(r",\s*", listed.strip())) if listed else names
            lines.append(Line((path.name, number), _MARK.sub("", text).strip(), expected if mark else frozenset()))
    return lines


def reported_by(checker: Checker) -> frozenset[Place]:
    """Return where a checker says that something is wrong in the corpus."""
    return frozenset(place for place, _ in findings_of(checker))


@cache
def findings_of(checker: Checker) -> frozenset[Finding]:
    """Return the same with the codes of what it says."""
    plain = _findings_in(checker, _programs_in(CORPUS), _CONFIGURATIONS)
    return plain | _findings_in(checker, _programs_in(CORPUS / "keyed"), _KEYED)


def _programs_in(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.py"))}


def _findings_in(
    checker: Checker, programs: Mapping[str, str], configurations: Mapping[str, str]
) -> frozenset[Finding]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shutil.copy(CORPUS / "schemas.py", folder)
        for file, text in {**programs, **configurations}.items():
            (folder / file).write_text(text, encoding="utf-8")
        if configurations is _KEYED:
            _write_stubs(folder)
        program = Path(sys.executable).parent / checker.command[0]
        run = run_checker([program, *checker.command[1:]], cwd=folder)
    try:
        findings = frozenset(checker.findings(run.stdout))
    except (ValueError, KeyError) as error:
        raise RuntimeError(f"{checker.name} could not run: {run.stdout[-500:]}{run.stderr[-500:]}") from error
    return frozenset(finding for finding in findings if finding[0][0] in programs)


def _write_stubs(folder: Path) -> None:
    command = [sys.executable, "-m", "typed_sessions", "stubs", "schemas:Visitor"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)  # noqa: S603 -- ours


_CONFIGURATIONS: Final[Mapping[str, str]] = {
    "pyrightconfig.json": json.dumps({"typeCheckingMode": "strict", "pythonVersion": "3.11"}),
    "mypy.ini": "[mypy]\npython_version = 3.11\nlocal_partial_types = True\n",
    "ty.toml": f'[environment]\npython = "{sys.prefix}"\npython-version = "3.11"\n',
    "pyrefly.toml": f'python-interpreter-path = "{sys.executable}"\npython-version = "3.11"\n',
}


_KEYED: Final[Mapping[str, str]] = {
    "pyrightconfig.json": json.dumps({"typeCheckingMode": "strict", "pythonVersion": "3.11", "stubPath": "stubs"}),
    "mypy.ini": (
        "[mypy]\npython_version = 3.11\nlocal_partial_types = True\nplugins = typed_sessions.mypy_plugin\n"
        "exclude = (quart|flask|starlette|litestar)-stubs/\n[typed_sessions]\nschema = schemas.Visitor\n"
    ),
    "ty.toml": f'[environment]\npython = "{sys.prefix}"\npython-version = "3.11"\nextra-paths = ["stubs"]\n',
    "pyrefly.toml": (
        f'python-interpreter-path = "{sys.executable}"\npython-version = "3.11"\nsite-package-path = ["stubs"]\n'
    ),
}
"""With the plugin for mypy, and generated stubs for the others."""


def surprises(checker: Checker, reported: frozenset[Place]) -> list[str]:
    """Return what a checker missed, and what it reported without need."""
    said: list[str] = []
    for line in corpus_lines():
        missed = checker.name in line.expected and line.place not in reported
        needless = not line.expected and line.place in reported
        if missed or needless:
            verb = "misses" if missed else "reports"
            said.append(f"{line.place[0]}:{line.place[1]}: {checker.name} {verb}: {line.text}")
    return said


def codes_of(checker: Checker) -> list[str]:
    """Return the codes of what a checker says of each misuse; `-` where it says nothing."""
    found: dict[Place, set[str]] = {}
    for place, code in findings_of(checker):
        found.setdefault(place, set()).add(code)
    return ["+".join(sorted(found.get(line.place, ()))) or "-" for line in corpus_lines() if line.expected]


def recorded_codes(checker: Checker) -> list[str]:
    """Return the codes that were written down, in the same order."""
    column = CHECKERS.index(checker)
    return [line.split("\t")[2].split(" ")[column] for line in CODES.read_text(encoding="utf-8").splitlines()]


def _write_codes() -> None:
    misuses = [line for line in corpus_lines() if line.expected]
    codes = zip(*map(codes_of, CHECKERS), strict=True)
    lines = [f"{line.place[0]}\t{line.text}\t{' '.join(each)}\n" for line, each in zip(misuses, codes, strict=True)]
    CODES.write_text("".join(lines), encoding="utf-8")


def alone(checker: Checker) -> list[str]:
    """Return the misuses of which a checker says something else where a program has no other one."""
    said: list[str] = []
    for folder, configurations in ((CORPUS, _CONFIGURATIONS), (CORPUS / "keyed", _KEYED)):
        programs, lines = dict[str, str](), [line for line in corpus_lines() if (folder / line.place[0]).exists()]
        for file, text in _programs_in(folder).items():
            misuses = {line.place[1] for line in lines if line.expected and line.place[0] == file}
            programs |= {f"{n:04}_{file}": _without(text, misuses - {n}) for n in (0, *misuses)}
        found = {place for place, _ in _findings_in(checker, programs, configurations)}
        for line in lines:
            file, number = line.place
            is_reported = (f"{number:04}_{file}", number) in found
            if line.expected and is_reported is not (checker.name in line.expected):
                said.append(f"{file}:{number}: {checker.name} {'reports' if is_reported else 'misses'}: {line.text}")
        said += [
            f"{file}: {checker.name} says more than of the misuse in line {number}"
            for file, number in ((file[5:], int(file[:4])) for file in programs)
            if {n for name, n in found if name == f"{number:04}_{file}"}
            - {number}
            - {n for name, n in found if name == f"0000_{file}"}
        ]
    return said


def _without(text: str, numbers: AbstractSet[int]) -> str:
    """Return a program in which some of its lines do nothing. A method stays: others rest on it."""
    lines = text.splitlines()
    for number in numbers:
        line = lines[number - 1]
        if "def " in line:
            continue
        opens = _MARK.sub("", line).rstrip().endswith(":")
        lines[number - 1] = line[: len(line) - len(line.lstrip())] + ("if True:" if opens else "pass")
    return "\n".join([*lines, ""])


def table(reported: Mapping[str, frozenset[Place]]) -> str:
    """Return the matrix in Markdown: for each program a table with a row for each misuse, a column for each checker."""
    header = [f"| misuse | {' | '.join(reported)} |", f"| --- |{' :-: |' * len(reported)}"]
    rows: list[str] = []
    for file, lines in groupby(filter(lambda line: line.expected, corpus_lines()), lambda line: line.place[0]):
        rows += ["", f"## {file}", "", _subject(file), "", *header]
        for line in lines:
            cells = ["yes" if line.place in places else "" for places in reported.values()]
            code = line.text.replace("|", "\\|")
            rows.append(f"| `{code}` | {' | '.join(cells)} |")
    return "\n".join(rows[1:])


def _subject(file: str) -> str:
    """Return what a program says of itself."""
    (path,) = CORPUS.rglob(file)
    return ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""


def main() -> int:
    """Print what each checker missed, or reported without need; return 1 if there is anything."""
    reported = {checker.name: reported_by(checker) for checker in CHECKERS}
    said = [line for checker in CHECKERS for line in surprises(checker, reported[checker.name])]
    if "--alone" in sys.argv:
        said += [line for checker in CHECKERS for line in alone(checker)]
    print(*said, sep="\n")
    if "--write" in sys.argv:
        intro, _, _ = PAGE.read_text(encoding="utf-8").partition(_BEGIN)
        PAGE.write_text(f"{intro}{_BEGIN}\n\n{table(reported)}\n", encoding="utf-8")
        _write_codes()
    else:
        print(table(reported))
    return 1 if said else 0


if __name__ == "__main__":
    sys.exit(main())
