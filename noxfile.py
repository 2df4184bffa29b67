"""What CI runs, and a developer before a commit: `nox`."""

from pathlib import Path

import nox

nox.options.sessions = ["lint", "types", "layers", "docs", "tests", "release"]
nox.options.reuse_venv = "yes"


SITE = Path("docs/_build/html")


def install(session: nox.Session, extra: str = "dev") -> None:
    """Install the project as the README says. Does nothing under --no-venv, where that was done before."""
    if session.virtualenv.is_sandboxed:
        session.install("-c", "constraints.txt", "-e", f".[{extra}]")


@nox.session
def lint(session: nox.Session) -> None:
    install(session)
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")


@nox.session
def types(session: nox.Session) -> None:
    install(session)
    session.run("mypy")
    session.run("basedpyright")
    # How much of the public names checkers know for certain; it looks for the package where `python` is found.
    session.run("basedpyright", "--verifytypes", "typed_sessions", "--ignoreexternal")
    # Whether what checkers read is what is there when it runs.
    allowed = ("--mypy-config-file", "mypy.ini", "--allowlist", "tests/typing/stubtest.txt")
    session.run("stubtest", "typed_sessions", *allowed)


@nox.session
def layers(session: nox.Session) -> None:
    install(session)
    session.run("lint-imports")


@nox.session
def docs(session: nox.Session) -> None:
    """Build the site into docs/_build/html. A broken link, and a public name that it lacks, are errors."""
    install(session, "docs")
    build_site(session)


def build_site(session: nox.Session) -> None:
    build = ("sphinx-build", "--fail-on-warning", "--keep-going", "--fresh-env", "--quiet")
    session.run(*build, "--doctree-dir", "docs/_build/doctrees", "docs", str(SITE))
    session.run("python", "-m", "tests.site", str(SITE))


@nox.session
def release(session: nox.Session) -> None:
    """Build what would be released, and try it in empty environments. It stays in `dist/`; RELEASING.md goes on."""
    install(session)
    if not (SITE / "index.html").exists():
        build_site(session)
    dist = Path("dist")
    for earlier in dist.glob("typed_sessions-*"):
        earlier.unlink()
    session.run("python", "-m", "build", "--outdir", str(dist))
    session.run("twine", "check", "--strict", *map(str, dist.iterdir()))
    session.run("python", "-m", "tests.release", str(dist), str(SITE))


@nox.session
@nox.parametrize(
    ("quart", "flask"),
    [("0.20.0", "3.1.0"), ("0.20.0", "3.1.3"), ("0.21.0", "3.1.3"), ("0.22.0", "3.1.0"), ("0.22.0", "3.1.1"),
     ("0.22.0", "3.1.2"), ("0.22.0", "3.1.3")],
)  # fmt: skip
def frameworks(session: nox.Session, quart: str, flask: str) -> None:
    """Run what meets the frameworks under other versions than those of constraints.txt. By hand; CI runs one."""
    session.install("-e", ".[dev]", f"quart=={quart}", f"flask=={flask}")
    session.run("python", "-m", "pytest", "tests/integrations", "tests/unit/test_interface.py", "tests/test_shop.py")


@nox.session
@nox.parametrize("pydantic", ["2.7", "2.9", "2.11"])
def models(session: nox.Session, pydantic: str) -> None:
    """Test models of pydantic under other versions than that of constraints.txt. By hand; CI runs one."""
    session.install("-e", ".[dev]", f"pydantic=={pydantic}.*")
    session.run("python", "-m", "pytest", "tests/unit/test_pydantic_kind.py")


@nox.session
def benchmarks(session: nox.Session) -> None:
    """Compare with Quart's own interface and with peers, by hand: `nox -s benchmarks -- --markdown`."""
    session.install("-c", "constraints.txt", "-e", ".[bench]")
    session.run("python", "-m", "benchmarks", *session.posargs)


@nox.session
@nox.parametrize("mypy", ["2.2", "2.3"])
def plugin(session: nox.Session, mypy: str) -> None:
    """Test the plugin under the two minor releases of mypy before the one of constraints.txt. By hand."""
    session.install("-e", ".[dev]", f"mypy=={mypy}.*")
    session.run("python", "-m", "pytest", "tests/unit/test_mypy_plugin.py")


@nox.session
def checkers(session: nox.Session) -> None:
    """Write docs/maintainers/checkers.md anew, with all five type checkers. By hand; CI runs all but pyright."""
    session.install("-c", "constraints.txt", "-e", ".[dev]", "pyright")
    session.run("python", "-m", "tests.typing.matrix", "--write", "--alone")


@nox.session
def tests(session: nox.Session) -> None:
    install(session)
    session.run("python", "-m", "pytest", *session.posargs)
