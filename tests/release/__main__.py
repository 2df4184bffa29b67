"""Tries what is to be released, in empty environments: `python -m tests.release dist docs/_build/html`.

`python -m build` has made the one folder, and `nox -s docs` the other, to which the long description leads.

The wheel is installed without extras, and with each of them; the sdist is installed, and a short part of its own tests
is run in it.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tarfile
import tempfile
import venv
from concurrent.futures import ThreadPoolExecutor
from email import message_from_string
from pathlib import Path
from time import monotonic
from zipfile import ZipFile

from tests.release.description import mistakes_in
from tests.release.trials import TRIALS

TRIED_ELSEWHERE = {
    "dev": "what runs this",
    "docs": "what builds the documentation, in a session of its own",
    "bench": "peers that only the benchmarks need",
}
"""Extras of maintainers, and why they are not installed here."""

SHORT_PART = ("tests/unit/test_import.py", "tests/unit/test_sealing.py", "tests/unit/test_lifecycle.py")
"""The tests that are run in the sdist. All of them are run in the checkout."""


def main(dist: Path, site: Path) -> None:
    (wheel,), (sdist,) = dist.glob("*.whl"), dist.glob("*.tar.gz")
    extras = check_wheel(wheel, site)
    untried = extras - TRIALS.keys() - TRIED_ELSEWHERE.keys()
    if untried:
        raise SystemExit(f"tests/release/trials.py tries no {', '.join(sorted(untried))}")
    with tempfile.TemporaryDirectory() as directory, ThreadPoolExecutor(2) as workers:
        jobs = [workers.submit(check_sdist, sdist, Path(directory))]
        jobs += [workers.submit(try_extra, wheel, extra, Path(directory)) for extra in TRIALS]
        for job in jobs:
            job.result()


def check_wheel(wheel: Path, site: Path) -> set[str]:
    """Return the extras of a wheel that has what it must have, and nothing else."""
    with ZipFile(wheel) as archive:
        names = archive.namelist()
        metadata = archive.read(next(name for name in names if name.endswith("/METADATA"))).decode()
    strangers = [name for name in names if not re.match(r"typed_sessions(/|-[^/]+\.dist-info/)", name)]
    if strangers or "typed_sessions/py.typed" not in names:
        raise SystemExit(f"the wheel lacks py.typed, or has {strangers}")
    readme = Path("README.md").read_text(encoding="utf-8")
    if wrong := mistakes_in(metadata, readme, Path(), site):
        raise SystemExit("\n".join(wrong))
    return set(message_from_string(metadata).get_all("Provides-Extra", []))


def check_sdist(sdist: Path, directory: Path) -> None:
    """Install an sdist, and run a short part of its tests in it."""
    began = monotonic()
    python = environment(directory / "from the sdist")
    install(python, str(sdist))
    run(python, "-I", "-c", "import typed_sessions.asgi")
    with tarfile.open(sdist) as archive:
        archive.extractall(directory, filter="data")
    unpacked = directory / sdist.name.removesuffix(".tar.gz")
    where = run(Path(sys.executable), "-c", "import typed_sessions; print(typed_sessions.__file__)", cwd=unpacked)
    if not Path(where.strip()).is_relative_to(unpacked):
        raise SystemExit(f"the tests of the sdist would test {where}")
    run(Path(sys.executable), "-m", "pytest", "-q", "-n", "0", "-p", "no:cacheprovider", *SHORT_PART, cwd=unpacked)
    say("the sdist", began)


def try_extra(wheel: Path, extra: str, directory: Path) -> None:
    """Install a wheel with an extra, and try what that is for."""
    began = monotonic()
    python = environment(directory / (extra or "no extra"))
    install(python, f"{wheel}[{extra}]" if extra else str(wheel))
    run(python, "-I", str(Path(__file__).with_name("trials.py")), extra)
    say(extra or "no extra", began)


def environment(directory: Path) -> Path:
    """Return the interpreter of a new environment, which has not even pip."""
    venv.create(directory, symlinks=True)
    return directory / "bin" / "python"


def install(python: Path, what: str) -> None:
    pip = ("-m", "pip", "-q", "--disable-pip-version-check", "--python", str(python), "install", "--no-compile")
    run(Path(sys.executable), *pip, "-c", "constraints.txt", what)


def run(*command: str | Path, cwd: Path | None = None) -> str:
    """Return what a command says. Raises SystemExit with it if it fails."""
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)  # noqa: S603 -- the project's own
    if done.returncode:
        raise SystemExit(f"{' '.join(map(str, command))}\n{done.stdout}{done.stderr}")
    return done.stdout


def say(tried: str, began: float) -> None:
    print(f"{tried}: fine, in {monotonic() - began:.1f} s", flush=True)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
