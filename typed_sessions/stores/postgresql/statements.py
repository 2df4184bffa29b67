"""What `PostgreSQLStore` says to the server: one statement for each thing that it does, or two.

Everything here holds under READ COMMITTED, where a statement sees what was committed before it began, and what it finds
locked it reads anew once the lock is free. A row for each subject, in the table of revocations, is what makes
`delete_subject` and those who make a record the subject's wait for one another: both write it first. So the later one
knows what the earlier one did. (Under REPEATABLE READ or SERIALIZABLE nothing goes wrong, either, but the later one
fails instead of waiting.)

Reading, and what depends on it, goes by the time at which a statement began, which is before it looks: whoever takes
that time for `WriteRequest.as_of` cannot have missed a revocation that is older. A revocation goes by the time at which
it has its lock.
"""

from __future__ import annotations

from typing import Final, LiteralString

from attrs import frozen
from psycopg.sql import SQL, Composable

from typed_sessions.stores.moments import SET_BACK
from typed_sessions.stores.postgresql.tables import Tables

__all__ = ["Statements"]

# Every statement calls the row of a record `session`; the columns are in the order of `Record`, as `postgresql.py`
# reads them. The time zone and the style of dates of the connection do not matter to them.
_RECORD: Final = """
    session.payload,
    session.version,
    session.created AT TIME ZONE 'UTC',
    session.last_seen AT TIME ZONE 'UTC',
    session.expires_at AT TIME ZONE 'UTC',
    {now} AT TIME ZONE 'UTC',
    session.issued AT TIME ZONE 'UTC',
    session.subject,
    session.device
"""

# A row with a target is the note that a record has moved away from its key.
_IS_LIVE: Final = "key = %(key)s AND expires_at > {now} AND target IS NULL"

# Whichever comes first; the last moment that Python knows, at the latest.
_EXPIRES_AT: Final = """
    least(
        {now} + %(idle)s::interval,
        {created} + %(absolute)s::interval,
        timestamptz '9999-12-31 23:59:59.999999+00'
    )
"""

_CREATE: Final = """
    INSERT INTO {records} AS session (key, version, created, last_seen, expires_at, issued, device, payload)
    VALUES (%(key)s, %(new_version)s, {now}, {now}, {expires_at_if_created}, {now}, %(device)s::bytea, %(payload)s)
    {instead_of_one_that_is_not_live}
    RETURNING {record}
"""

_INSTEAD_OF_ONE_THAT_IS_NOT_LIVE: Final = """
    ON CONFLICT (key) DO UPDATE
    SET version = excluded.version, created = excluded.created, last_seen = excluded.last_seen,
        expires_at = excluded.expires_at, issued = excluded.issued, subject = excluded.subject,
        device = excluded.device, target = NULL, payload = excluded.payload
    WHERE session.expires_at <= {now} OR session.target IS NOT NULL
"""

# A revocation that is ahead of the clock was made before the clock was set back: see `stores.moments`. It is compared
# with the clock once the gate is open: a statement that had to wait began before a revocation that came meanwhile.
_KNOWS_OF: Final = """
    (
        {revoked} <= %(as_of)s::timestamptz
        OR ({revoked} > {present} + {set_back} AND %(as_of)s::timestamptz <= {present})
    )
"""

# `gate` is the row of the subject, locked to the end of the transaction; it is none if nobody can know of a revocation.
_CREATE_FOR_SUBJECT: Final = """
    WITH gate AS (
        INSERT INTO {revocations} AS known (subject, revoked)
        SELECT %(subject_hash)s, timestamptz '-infinity'
        WHERE %(as_of)s::timestamptz >= {now} - %(revocations_kept)s::interval
        ON CONFLICT (subject) DO UPDATE SET revoked = known.revoked
        RETURNING revoked
    ), allowed AS (
        SELECT FROM gate WHERE {knows_of_gate}
    ), session AS (
        INSERT INTO {records} AS session
            (key, version, created, last_seen, expires_at, issued, subject, device, payload)
        SELECT %(key)s, %(new_version)s, {now}, {now}, {expires_at_if_created}, {now}, %(subject)s,
            %(device)s::bytea, %(payload)s
        FROM allowed
        {instead_of_one_that_is_not_live}
        RETURNING *
    )
    SELECT
        EXISTS (SELECT FROM allowed) OR EXISTS (SELECT FROM {records} WHERE {is_live}),
        {record}
    FROM (SELECT) AS always LEFT JOIN session ON true
"""

_LOAD: Final = """
    SELECT {record}, session.target FROM {records} AS session WHERE key = %(key)s AND expires_at > {now}
"""

_CHANGED: Final = """
    SET key = %(new_key)s, version = %(new_version)s, payload = %(payload)s, subject = %(subject)s::bytea,
        device = %(device)s::bytea, created = {created_if_updated}, last_seen = {now},
        expires_at = {expires_at_if_updated},
        issued = CASE WHEN %(new_key)s = %(key)s THEN session.issued ELSE {now} END
"""

# The row that has moved away leaves its key to the note within the statement.
_NOTED: Final = """
    noted AS (
        INSERT INTO {records} (key, version, created, last_seen, expires_at, issued, target, payload)
        SELECT %(key)s, 0, {now}, {now}, {now} + %(moves_kept)s::interval, {now}, %(new_key)s, ''
        FROM updated WHERE %(new_key)s <> %(key)s
    )
"""

_UPDATE: Final = """
    UPDATE {records} AS session {changed}
    WHERE {is_live} AND version = %(version)s AND (%(subject)s::bytea IS NULL OR subject = %(subject)s::bytea)
    RETURNING {record}
"""

_MOVE: Final = """
    WITH updated AS (
        UPDATE {records} AS session {changed}
        WHERE {is_live} AND version = %(version)s
            AND (%(subject)s::bytea IS NULL OR subject = %(subject)s::bytea)
        RETURNING *
    ), {noted}
    SELECT {record} FROM updated AS session
"""

# `present` is locked, so that it is the latest one and stays that. What takes the gate has a record of another subject;
# who ends the sessions of the gate's subject has the gate and takes records of that one: no deadlock.
_UPDATE_OR_TELL: Final = """
    WITH present AS (
        SELECT * FROM {records} WHERE {is_live} FOR UPDATE
    ), gate AS (
        INSERT INTO {revocations} AS known (subject, revoked)
        SELECT %(subject_hash)s, timestamptz '-infinity'
        FROM present
        WHERE present.version = %(version)s
            AND present.subject IS DISTINCT FROM %(subject)s::bytea
            AND %(subject)s::bytea IS NOT NULL
            AND %(as_of)s::timestamptz >= {now} - %(revocations_kept)s::interval
        ON CONFLICT (subject) DO UPDATE SET revoked = known.revoked
        RETURNING revoked
    ), updated AS (
        UPDATE {records} AS session {changed}
        FROM present LEFT JOIN gate ON true
        WHERE session.key = present.key AND present.version = %(version)s
            AND (%(subject)s::bytea IS NULL OR present.subject = %(subject)s::bytea OR {knows_of_gate})
        RETURNING session.*
    ), {noted}
    SELECT true, {record} FROM updated AS session
    UNION ALL
    SELECT false, {record} FROM present AS session WHERE NOT EXISTS (SELECT FROM updated)
"""

_TOUCH: Final = """
    UPDATE {records} AS session
    SET last_seen = {now}, expires_at = {expires_at_if_touched}
    WHERE {is_live}
    RETURNING {record}
"""

_DELETE: Final = """
    DELETE FROM {records}
    WHERE key = %(key)s AND target IS NULL AND (%(version)s::bigint IS NULL OR version = %(version)s::bigint)
    RETURNING expires_at > {now}
"""

# What another transaction has locked is being deleted there, or made anew.
_DELETE_EXPIRED: Final = """
    WITH expired AS (
        SELECT key FROM {records} WHERE expires_hour <= {now} AND expires_at <= {now}
        ORDER BY expires_hour LIMIT %(limit)s FOR UPDATE SKIP LOCKED
    ), old AS (
        SELECT subject FROM {revocations} WHERE revoked < {now} - %(revocations_kept)s::interval - interval '1 hour'
        ORDER BY revoked LIMIT %(limit)s FOR UPDATE SKIP LOCKED
    ), forgotten AS (
        DELETE FROM {revocations} AS known USING old WHERE known.subject = old.subject
    ), deleted AS (
        DELETE FROM {records} AS session USING expired WHERE session.key = expired.key RETURNING session.key
    )
    SELECT count(*) FROM deleted
"""

_VACATE: Final = """
    DELETE FROM {records} WHERE key = %(new_key)s AND (expires_at <= {now} OR target IS NOT NULL) RETURNING true
"""

_IDS_OF: Final = """
    SELECT key, created AT TIME ZONE 'UTC', last_seen AT TIME ZONE 'UTC', expires_at AT TIME ZONE 'UTC', device
    FROM {records} WHERE subject = %(subject)s AND expires_at > {now}
    ORDER BY last_seen DESC
"""

_REVOKE: Final = """
    INSERT INTO {revocations} AS known (subject, revoked) VALUES (%(subject_hash)s, {present})
    ON CONFLICT (subject) DO UPDATE SET revoked =
        CASE WHEN known.revoked > {present} + {set_back} THEN {present} ELSE greatest(known.revoked, {present}) END
    RETURNING revoked AT TIME ZONE 'UTC'
"""

_DELETE_OF_SUBJECT: Final = """
    DELETE FROM {records} WHERE subject = %(subject)s AND key IS DISTINCT FROM %(spare)s::bytea
"""


@frozen
class Statements:
    """The statements on some tables, as they are sent."""

    create: bytes
    """Of a record that is nobody's. The record; no row if there is a live one."""
    create_for_subject: bytes
    """Whether it was allowed or would not have mattered, as there is a live record; and the record, or nulls."""
    load: bytes
    """The record, or the note that it has moved, with the key that it has moved to; no row if there is neither."""
    update: bytes
    """If it has the version and stays its subject's: the record. No row otherwise: then comes `update_or_tell`."""
    move: bytes
    """The same, for a record that gets another key."""
    update_or_tell: bytes
    """Whether it was updated, and the record; no row if there is no live one. It would do alone, but a save that meets
    nobody, as nearly all do, takes a quarter longer with it."""
    touch: bytes
    """The record; no row if there is no live one."""
    delete: bytes
    """Whether the record was live; no row if there was none, or one of another version."""
    delete_expired: bytes
    """How many records it has deleted. It forgets old revocations, too, an hour later than it might: a statement that
    looked at the time before may have had to wait for a lock."""
    ids_of: bytes
    """The keys and times of records."""
    revoke: bytes
    """The time of the revocation. Then comes `delete_of_subject`, in the same transaction, and as a statement of its
    own so that it sees what those have committed for whom this one had to wait."""
    delete_of_subject: bytes
    vacate: bytes
    """Deletes an expired record, or a note, whose key a record is to have."""
    now: bytes

    @classmethod
    def on(cls, tables: Tables, *, clock_given: bool) -> Statements:
        """Return the statements on some tables, by the server's clock or with the time, `now`, as a parameter."""
        given = SQL("%(now)s::timestamptz")
        now = given if clock_given else SQL("statement_timestamp()")
        present = given if clock_given else SQL("clock_timestamp()")
        created = SQL("CASE WHEN %(restart)s THEN {now} ELSE session.created END").format(now=now)
        expires_at = SQL(_EXPIRES_AT)
        set_back = SQL("interval {}").format(f"{SET_BACK.total_seconds()} seconds")
        parts: dict[str, Composable] = {
            "now": now,
            "present": present,
            "record": SQL(_RECORD).format(now=now),
            "is_live": SQL(_IS_LIVE).format(now=now),
            "set_back": set_back,
            "knows_of_gate": SQL(_KNOWS_OF).format(revoked=SQL("gate.revoked"), present=present, set_back=set_back),
            "instead_of_one_that_is_not_live": SQL(_INSTEAD_OF_ONE_THAT_IS_NOT_LIVE).format(now=now),
            "noted": SQL(_NOTED).format(now=now, records=tables.records),
            "changed": SQL(_CHANGED).format(
                now=now,
                created_if_updated=created,
                expires_at_if_updated=expires_at.format(now=now, created=created),
            ),
            "expires_at_if_created": expires_at.format(now=now, created=now),
            "expires_at_if_touched": expires_at.format(now=now, created=SQL("session.created")),
        }

        def written(template: LiteralString) -> bytes:
            return tables.named_in(template, **parts)

        return cls(
            create=written(_CREATE),
            create_for_subject=written(_CREATE_FOR_SUBJECT),
            load=written(_LOAD),
            update=written(_UPDATE),
            move=written(_MOVE),
            update_or_tell=written(_UPDATE_OR_TELL),
            touch=written(_TOUCH),
            delete=written(_DELETE),
            delete_expired=written(_DELETE_EXPIRED),
            ids_of=written(_IDS_OF),
            revoke=written(_REVOKE),
            delete_of_subject=written(_DELETE_OF_SUBJECT),
            vacate=written(_VACATE),
            now=written("SELECT {present} AT TIME ZONE 'UTC'"),
        )
