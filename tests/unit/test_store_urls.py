"""From the URL of a store to the store: what is for the library, and what is for the driver."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from pathlib import Path
from secrets import token_hex
from typing import Final
from urllib.parse import quote

import pytest
from psycopg import AsyncConnection
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.sql import SQL, Identifier
from redis.asyncio import Redis

from tests.valkey_servers import valkey, valkey_url
from typed_sessions import ConfigurationError
from typed_sessions.stores import (
    MemoryStore,
    PostgreSQLStore,
    RedisStore,
    SQLiteStore,
    check_url,
    namespace_in,
    open_store,
)

SECRET: Final = "hunter2"

URLS: Final = {
    "memory://": MemoryStore,
    "sqlite:///sessions.db": SQLiteStore,
    f"redis://me:{SECRET}@localhost:6379/1": RedisStore,
    f"rediss://me:{SECRET}@localhost:6379/1": RedisStore,
    "unix:///run/valkey.sock": RedisStore,
    f"valkey://me:{SECRET}@localhost:6379/1": RedisStore,
    f"valkeys://me:{SECRET}@localhost:6379/1": RedisStore,
    f"postgres://me:{SECRET}@localhost:5432/web": PostgreSQLStore,
    f"postgresql://me:{SECRET}@localhost:5432/web": PostgreSQLStore,
}
EACH_SCHEME: Final = pytest.mark.parametrize("url", URLS, ids=lambda url: url.partition(":")[0])

WRONG: Final = {
    "no namespace": "namespace",
    "an empty namespace": "namespace=",
    "a colon in a namespace": "namespace=a:b",
    "what a derived namespace begins with": "namespace=~shop",
    "a space in a namespace": "namespace=a%20b",
    "a plus in a namespace": "namespace=a+b",
    "no text in a namespace": "namespace=%ff",
    "too long a namespace": f"namespace={'x' * 65}",
    "a namespace twice": "namespace=shop&namespace=shop",
    "a namespace twice, once in disguise": "namespace=shop&%6eamespace=blog",
}
WRONG_TABLES: Final = {
    "no table": "table",
    "an empty table": "table=",
    "an empty schema": "table=.sessions",
    "a database": "table=db.web.sessions",
    "a NUL in a table": "table=a%00b",
    "too long a table": f"table={'x' * 64}",
    "a table twice": "table=a&table=b",
}


@pytest.fixture(autouse=True)
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@EACH_SCHEME
def test_a_url_names_a_store_and_no_namespace(url: str) -> None:
    assert check_url(url) == url.partition("://")[0]
    assert namespace_in(url) is None
    assert type(open_store(url)) is URLS[url]


@EACH_SCHEME
@pytest.mark.parametrize(
    "query", ["namespace=shop", "namespace=sh%6Fp", "%6eamespace=shop", "&namespace=shop&"], ids=lambda query: query
)
def test_each_may_name_a_namespace(url: str, query: str) -> None:
    assert namespace_in(f"{url}?{query}") == "shop"
    assert type(open_store(f"{url}?{query}")) is URLS[url]


@EACH_SCHEME
@pytest.mark.parametrize("query", WRONG.values(), ids=WRONG)
@pytest.mark.parametrize("call", [check_url, open_store])
def test_a_namespace_that_is_none_is_refused(url: str, query: str, call: Callable[[str], object]) -> None:
    with pytest.raises(ConfigurationError) as raised:
        call(f"{url}?{query}")
    assert SECRET not in "".join(traceback.format_exception(raised.value))


@pytest.mark.parametrize("query", WRONG_TABLES.values(), ids=WRONG_TABLES)
def test_a_table_that_is_none_is_refused(query: str) -> None:
    with pytest.raises(ConfigurationError, match="table") as raised:
        open_store(f"postgresql://me:{SECRET}@localhost/web?namespace=shop&{query}")
    assert SECRET not in "".join(traceback.format_exception(raised.value))


@pytest.mark.parametrize("url", [url for url in URLS if not url.startswith("postgres")], ids=lambda url: url[:6])
def test_only_postgresql_has_tables(url: str) -> None:
    with pytest.raises(ConfigurationError, match="only the URL of a PostgreSQL session store") as raised:
        check_url(f"{url}?table=sessions")
    assert SECRET not in "".join(traceback.format_exception(raised.value))


@pytest.mark.parametrize(
    "query", ["mode=ro", "namespaces=shop", "namespace=shop&mode=ro", "?namespace=shop", "Table=x"]
)
@pytest.mark.parametrize("url", ["memory://", "sqlite:///sessions.db"])
def test_what_has_no_driver_takes_nothing_else(url: str, query: str) -> None:
    with pytest.raises(ConfigurationError, match="and nothing else"):
        check_url(f"{url}?{query}")


async def test_the_namespace_is_no_part_of_the_file(directory: Path) -> None:
    store = open_store("sqlite:///sessions.db?namespace=shop")
    assert await store.load("ab" * 32) is None
    await store.close()
    assert [path.name for path in directory.iterdir()] == ["sessions.db"]


@pytest.mark.parametrize("query", ["namespace=shop&db=5", "db=5&namespace=shop"])
async def test_the_driver_of_redis_gets_the_other_parameters(directory: Path, query: str) -> None:
    with valkey(directory):
        store = open_store(f"{valkey_url(directory)}?{query}")
        await store.delete_subject("7")
        await store.close()
        async with Redis.from_url(f"{valkey_url(directory)}?db=5") as client:
            assert await client.dbsize() == 1


@pytest.mark.parametrize(
    "query",
    ["namespace=shop&table={table}&{driver}", "{driver}&table={table}&namespace=shop", "table={table}&{driver}"],
    ids=["at the end", "at the beginning", "after the table"],
)
@pytest.mark.parametrize(
    ("name", "encoded"),
    [("sessions", "sessions"), ("sessions", "%73essions"), ('of "é" & so on', "of%20%22%C3%A9%22%20%26+so%20on")],
    ids=["plain", "encoded", "quoted"],
)
async def test_the_driver_of_postgresql_gets_the_other_parameters(
    postgresql_url: str, postgresql_table: str, query: str, name: str, encoded: str
) -> None:
    schema, application = postgresql_table.partition(".")[0], f"shop {token_hex(4)}"
    parameters = conninfo_to_dict(postgresql_url)
    driver = "&".join(f"{key}={quote(str(value))}" for key, value in parameters.items())
    driver += f"&application_name={quote(application)}"
    store = open_store("postgresql://?" + query.format(table=f"{schema}.{encoded}", driver=driver))
    await store.delete_subject("7")
    async with await AsyncConnection.connect(make_conninfo(postgresql_url)) as connection:
        statement = SQL("SELECT count(*) FROM {}").format(Identifier(schema, f"{name}_revocations"))
        assert await (await connection.execute(statement)).fetchone() == (1,)
        activity = "SELECT count(*) > 0 FROM pg_stat_activity WHERE application_name = %s"
        assert await (await connection.execute(activity, [application])).fetchone() == (True,)
    await store.close()
