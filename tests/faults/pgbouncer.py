"""Have PostgreSQLStore tested behind a PgBouncer in transaction mode: `python -m tests.faults.pgbouncer`.

It needs the program (`apt install pgbouncer`). Two server connections serve all clients, so that the next transaction
is likely to meet another one.
"""

from __future__ import annotations

import os
import pwd
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import psycopg

from tests.postgresql_servers import PostgreSQLServer
from tests.valkey_clusters import free_ports


@contextmanager
def pooled(url: str) -> Iterator[str]:
    """Have a pooler before a server, and yield the URL of it."""
    sockets = parse_qs(urlsplit(url).query)["host"][0]
    [port] = free_ports(1)
    directory = Path(tempfile.mkdtemp(prefix="bouncer"))
    directory.chmod(0o777)
    (directory / "users").write_text('"postgres" ""\n')
    configuration = directory / "pgbouncer.ini"
    configuration.write_text(
        f"[databases]\npostgres = host={sockets} dbname=postgres user=postgres\n[pgbouncer]\nlisten_addr = 127.0.0.1\n"
        f"listen_port = {port}\nauth_type = any\nauth_file = {directory}/users\npool_mode = transaction\n"
        f"default_pool_size = 2\nmax_client_conn = 500\nunix_socket_dir =\nlogfile = {directory}/log\n"
    )
    configuration.chmod(0o666)
    user = "nobody" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
    process = subprocess.Popen(["pgbouncer", "-q", "-u", user, str(configuration)])  # noqa: S603, S607 - our own
    try:
        pooler = f"postgresql://postgres@127.0.0.1:{port}/postgres"
        end = time.monotonic() + 10
        while True:
            try:
                psycopg.connect(pooler).close()
                break
            except psycopg.OperationalError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.05)
        yield pooler
    finally:
        process.terminate()
        process.wait(5)


def main() -> int:
    """Run the command."""
    server = PostgreSQLServer()
    server.start()
    try:
        with pooled(server.url) as url:
            environment = {**os.environ, "TYPED_SESSIONS_TEST_POSTGRESQL_URL": url}
            tests = ["tests/contracts/test_stores.py", "-k", "PostgreSQL and not WithoutState", "-q", "-n", "0"]
            return subprocess.run([sys.executable, "-m", "pytest", *tests], env=environment, check=False).returncode  # noqa: S603 - our own
    finally:
        server.remove()


if __name__ == "__main__":
    sys.exit(main())
