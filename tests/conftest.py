"""Settings of all tests: how hypothesis runs here, and by hand for longer with `HYPOTHESIS_PROFILE=long`."""

from __future__ import annotations

import gc
import logging
import os
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from types import CodeType

import pytest
from hypothesis import HealthCheck, settings

from tests.postgresql_servers import postgresql_schema, postgresql_server
from tests.valkey_clusters import Cluster, cluster, free_ports
from tests.valkey_servers import valkey, valkey_url
from typed_sessions.codec import codec
from typed_sessions.schema import generated

settings.register_profile("short", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True)
settings.register_profile("long", settings.get_profile("short"), max_examples=5_000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "short"))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Run type checkers first: in one process, beside all the rest, and while neither holds much of what it tested.

    What needs a browser is left out, unless `-m` speaks of it.
    """
    if "browser" not in config.option.markexpr:
        config.hook.pytest_deselected(items=[item for item in items if item.get_closest_marker("browser")])
        items[:] = [item for item in items if not item.get_closest_marker("browser")]
    items.sort(key=lambda item: item.get_closest_marker("checker") is None)


@pytest.fixture(scope="session")
def mypy_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that all runs of mypy with `--strict`, and without our plugin, keep what they know in."""
    own = tmp_path_factory.getbasetemp()
    return (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "mypy_cache"


def pytest_collection_finish() -> None:
    """Have the collector of garbage leave alone what stays to the end, which is most of what there is."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(5_000, 10, 5)


@lru_cache(maxsize=256)
def compiled_once(source: str) -> CodeType:
    return compile(source, "generated", "exec")


def compile_again(source: str, file_name: str, _mode: str) -> CodeType:
    """Take the place of `compile` for generated functions: thousands of tests make those of the same few schemas."""
    return named(compiled_once(source), file_name)


def named(code: CodeType, file_name: str) -> CodeType:
    inner = tuple(named(each, file_name) if isinstance(each, CodeType) else each for each in code.co_consts)
    return code.replace(co_filename=file_name, co_consts=inner)


vars(generated)["compile"] = compile_again


def nothing_generated(*_: object, **__: object) -> None:
    """Take the place of `generated_for`: with it, a codec has the explaining path alone."""


@pytest.fixture(params=["generated path", "explaining path"])
def both_paths(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Run a test with generated functions and without: for modules that say so in `pytestmark`.

    What a module keeps from one test to the next must be kept for each `codec.generated_for`.
    """
    path: str = request.param
    if path == "explaining path":
        monkeypatch.setattr(codec, "generated_for", nothing_generated)
    return path


@pytest.fixture(autouse=True)
def own_log() -> Iterator[None]:
    """Give back the log, which an application of Litestar's sets up in its own way."""
    root = logging.getLogger()
    handlers, level = [*root.handlers], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a Redis or Valkey server: a given one, or one of our own. Each test uses a prefix of its own."""
    if url := os.environ.get("TYPED_SESSIONS_TEST_REDIS_URL"):
        yield url
        return
    directory = tmp_path_factory.mktemp("valkey")
    with valkey(directory):
        yield valkey_url(directory)


@pytest.fixture(scope="session")
def postgresql_url() -> Iterator[str]:
    """The URL of a PostgreSQL server: a given one, or one of our own. Each test uses a schema of its own."""
    with postgresql_server() as url:
        yield url


@pytest.fixture
def postgresql_table(postgresql_url: str) -> Iterator[str]:
    """The name of a table that nobody else has."""
    with postgresql_schema(postgresql_url) as schema:
        yield f"{schema}.sessions"


@pytest.fixture(scope="session")
def valkey_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Three masters and their replicas, for tests that leave them as they are. Each test uses a prefix of its own."""
    with cluster(tmp_path_factory.mktemp("cluster")) as running:
        yield running


@pytest.fixture(scope="session")
def lone_server_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL, as of a cluster, of a Valkey server that is none of one."""
    [port] = free_ports(1)
    with valkey(tmp_path_factory.mktemp("lone"), port=port):
        yield f"redis+cluster://127.0.0.1:{port}"
