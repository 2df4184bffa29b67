"""Two trees of the library, each in a process of its own: the one at hand, and the oracle's, which git still has."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Final

import msgspec

from tests.oracle.outcomes import Outcome
from tests.oracle.sequences import Requests

__all__ = ["ORACLE", "Tree", "oracle_tree", "serving"]

ORACLE: Final = "4af2075626d77f2ec448517efbc14202f29e73f7"
"""The last commit before the inside was rebuilt: what it does is what is to be done."""

ROOT: Final = Path(__file__).parents[2]


class NoHistory(Exception):  # noqa: N818 -- a reason to skip
    """There is no oracle, for there is no repository here, or not enough of one."""


def oracle_tree(directory: Path) -> Path:
    """Put the oracle's library into a directory, and return that.

    Raises:
        NoHistory: this is no clone, or a shallow one.
    """
    try:
        archive = subprocess.run(  # noqa: S603 -- all of it is written here
            ["git", "-C", str(ROOT), "archive", ORACLE, "typed_sessions"],  # noqa: S607 -- wherever git is
            capture_output=True,
            check=True,
        )
    except FileNotFoundError:
        raise NoHistory("there is no git") from None
    except subprocess.CalledProcessError as error:
        raise NoHistory(error.stderr.decode(errors="replace").strip()) from None
    with tarfile.open(fileobj=BytesIO(archive.stdout)) as files:
        files.extractall(directory, filter="data")
    return directory


class Tree:
    """A process that has a library of its own, and answers sequences with outcomes."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self._decoder = msgspec.json.Decoder(list[Outcome])
        self.library: Final = Path(self._line().decode().strip())

    def ask(self, requests: Requests) -> None:
        """Have a sequence run. The outcomes are to be taken before the next one is asked for."""
        assert self._process.stdin is not None
        self._process.stdin.write(msgspec.json.encode(requests) + b"\n")
        self._process.stdin.flush()

    def outcomes(self) -> list[Outcome]:
        """Return what came of the sequence."""
        return self._decoder.decode(self._line())

    def serve(self, requests: Requests) -> list[Outcome]:
        """Have a sequence run, and return what came of it."""
        self.ask(requests)
        return self.outcomes()

    def _line(self) -> bytes:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the driver ended with {self._process.wait()}: see its standard error")
        return line


@contextmanager
def serving(
    tree: Path, stores: Mapping[str, str], *, hash_seed: str = "0", zone: str = "UTC"
) -> Generator[Tree, None, None]:
    """Run the driver on the library in a directory. `stores` has the URL of each store that is used."""
    process = subprocess.Popen(  # noqa: S603 -- all of it is written here
        [sys.executable, "-P", "-m", "tests.oracle.driver", *(f"{name}={url}" for name, url in stores.items())],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={
            **os.environ,
            "PYTHONPATH": f"{tree}{os.pathsep}{ROOT}",
            "PYTHONHASHSEED": hash_seed,
            "TZ": zone,
        },
    )
    try:
        served = Tree(process)
        assert served.library.parent.parent == tree.resolve(), f"{served.library} instead of that in {tree}"
        yield served
    finally:
        process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                stream.close()
