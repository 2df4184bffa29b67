"""The tables of `PostgreSQLStore`, and how a database gets them.

The role of an application needs USAGE on the schema, SELECT, INSERT, UPDATE and DELETE on the table and on the one of
revocations, and SELECT on the one of versions. Only who uses the store first needs CREATE on the schema; the tables
are then that role's, and it is the one that has to bring them up to date.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, LiteralString

import psycopg.errors
import psycopg.pq
from attrs import frozen
from psycopg import AsyncConnection, AsyncCursor
from psycopg.rows import TupleRow, scalar_row
from psycopg.sql import SQL, Composable, Identifier

from typed_sessions.errors import ConfigurationError
from typed_sessions.reports import logger

__all__ = ["Tables"]

_OLDEST: Final = 14_00_00
"""Of the server, which has `date_bin` since then, and of libpq, which has pipelines."""

_LONGEST_NAME: Final = 63 - len("_revocations_revoked_idx")
"""Of a table, in bytes: the server cuts off what is longer than 63, and we and it append something."""

_MIGRATIONS: Final[Sequence[LiteralString]] = (
    """
    CREATE TABLE {records} (
        key bytea PRIMARY KEY,
        version bigint NOT NULL,
        created timestamptz NOT NULL,
        last_seen timestamptz NOT NULL,
        expires_at timestamptz NOT NULL,
        expires_hour timestamptz NOT NULL
            GENERATED ALWAYS AS (date_bin('1 hour', expires_at, timestamptz '2000-01-01 00:00:00+00')) STORED,
        subject bytea,
        payload bytea NOT NULL
    ) WITH (fillfactor = 70);
    CREATE INDEX ON {records} (expires_hour);
    CREATE INDEX ON {records} USING hash (subject);
    CREATE TABLE {revocations} (subject bytea PRIMARY KEY, revoked timestamptz NOT NULL);
    CREATE INDEX ON {revocations} (revoked);
    """,
    """
    TRUNCATE {revocations}, {records};
    ALTER TABLE {records}
        ADD COLUMN issued timestamptz NOT NULL DEFAULT now(),
        ADD COLUMN device bytea,
        ADD COLUMN target bytea;
    """,
)
"""What leads from each version of the tables to the next one.

An update or a touch changes `expires_at` each time, and the index on the hour of it hardly ever. So the new row stays
on the page of the old one, for which there is room left, and no index is written (HOT). The index on subjects is a hash
index, as a subject may be longer than a B-tree takes. A revocation has the SHA-256 of its subject instead.

Keys and subjects have a namespace from the second version on. For former ones only processes of the former release ask,
which go on until they are replaced. The tables are locked in the order in which a revocation locks them, or the two
could wait for each other.
"""


_VERSIONS: Final = """
    CREATE TABLE IF NOT EXISTS {versions} (version integer PRIMARY KEY, applied timestamptz NOT NULL DEFAULT now())
"""

_BEGIN_ANEW: Final = """
    DROP TABLE IF EXISTS {records};
    DROP TABLE IF EXISTS {revocations};
    DELETE FROM {versions};
"""
"""Records without what is known of revocations would bring back who was logged out."""


@frozen
class Tables:
    """The names of the tables, quoted, and with their schema if there is one."""

    records: Composable
    revocations: Composable
    versions: Composable

    @classmethod
    def named(cls, table: str) -> Tables:
        """Return the tables that go by the name of the first one, perhaps with a schema: `sessions`, `web.sessions`.

        Raises:
            ConfigurationError: if the name is none.
        """
        *schema, name = table.split(".")
        if len(schema) > 1 or not name or "" in schema or "\0" in table:
            raise ConfigurationError(f'table={table!r} is no name of a table: write "name" or "schema.name"')
        if len(name.encode()) > _LONGEST_NAME:
            raise ConfigurationError(f"table={table!r} is too long a name: {_LONGEST_NAME} bytes are the most")
        return cls(
            Identifier(*schema, name),
            Identifier(*schema, f"{name}_revocations"),
            Identifier(*schema, f"{name}_versions"),
        )

    def named_in(self, template: LiteralString, **parts: Composable) -> bytes:
        """Return a statement with the names, and what else it has braces for, in their places."""
        statement = SQL(template).format(
            records=self.records, revocations=self.revocations, versions=self.versions, **parts
        )
        return statement.as_bytes(None)

    async def bring_up_to_date(self, connection: AsyncConnection[TupleRow]) -> None:
        """Make the tables, or what they lack. Several processes may do so at once: one does it, the others wait.

        Raises:
            ConfigurationError: the tables are those of a newer release, or of something else, or the role may not make
                or read them, or the server is too old.
        """
        if min(connection.info.server_version, psycopg.pq.version()) < _OLDEST:
            raise ConfigurationError("PostgreSQLStore needs PostgreSQL 14 or newer, both the server and libpq")
        try:
            if await self._version_if_any(connection) < len(_MIGRATIONS) or await self._lack_one(connection):
                await self._migrate(connection)
        except psycopg.errors.DuplicateTable as error:
            raise ConfigurationError(
                f"{self.records.as_string(None)} is a table of something else, or its table of versions was dropped: "
                f"sessions need tables of their own"
            ) from error
        except psycopg.errors.InsufficientPrivilege as error:
            raise ConfigurationError(
                f"the role of the PostgreSQL database may not make or read {self.records.as_string(None)}: let another "
                f"one use the store first, and grant this one USAGE on the schema, SELECT, INSERT, UPDATE, DELETE on "
                f"the table and on the one of revocations, and SELECT on the one of versions"
            ) from error

    async def _version_if_any(self, connection: AsyncConnection[TupleRow]) -> int:
        """Return how many migrations the tables have seen; 0 if there are none."""
        return await self._version(connection) if await _is_there(connection, self.versions) else 0

    async def _lack_one(self, connection: AsyncConnection[TupleRow]) -> bool:
        """Return True if somebody has dropped a table that the versions know of."""
        return not (await _is_there(connection, self.records) and await _is_there(connection, self.revocations))

    async def _version(self, connection: AsyncConnection[TupleRow]) -> int:
        cursor = AsyncCursor(connection, row_factory=scalar_row)
        await cursor.execute(self.named_in("SELECT coalesce(max(version), 0) FROM {versions}"), prepare=False)
        version = int(await cursor.fetchone() or 0)
        if version > len(_MIGRATIONS):
            raise ConfigurationError(
                f"{self.records.as_string(None)} is a table of a newer release of typed_sessions: version {version}, "
                f"and this one knows {len(_MIGRATIONS)}"
            )
        return version

    async def _migrate(self, connection: AsyncConnection[TupleRow]) -> None:
        async with connection.transaction():
            name = self.records.as_string(None)
            await connection.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [name], prepare=False)
            # To ask once more whether the table is there would not do: the server may answer from what it knew before
            # it waited. To make a table it looks.
            await connection.execute(self.named_in(_VERSIONS))
            present = await self._version(connection)
            if present and await self._lack_one(connection):
                logger.warning("a table of %s was dropped: all sessions begin anew", self.records.as_string(None))
                await connection.execute(self.named_in(_BEGIN_ANEW))
                present = 0
            for version, migration in enumerate(_MIGRATIONS[present:], present + 1):
                await connection.execute(self.named_in(migration))
                await connection.execute(
                    self.named_in("INSERT INTO {versions} (version) VALUES (%s)"), [version], prepare=False
                )


async def _is_there(connection: AsyncConnection[TupleRow], table: Composable) -> bool:
    cursor = AsyncCursor(connection, row_factory=scalar_row)
    await cursor.execute("SELECT to_regclass(%s) IS NOT NULL", [table.as_string(None)], prepare=False)
    return bool(await cursor.fetchone())
