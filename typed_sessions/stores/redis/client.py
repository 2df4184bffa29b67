"""The clients of redis-py that a `RedisStore` makes of its URL, or is given."""

from __future__ import annotations

import inspect
import re
from typing import Any, Final, cast
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

import redis
import redis.asyncio
from redis.asyncio.retry import Retry as AsyncRetry
from redis.asyncio.sentinel import Sentinel as AsyncSentinel
from redis.asyncio.sentinel import SentinelConnectionPool as AsyncSentinelConnectionPool
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry
from redis.sentinel import Sentinel, SentinelConnectionPool
from typing_extensions import override

from typed_sessions.errors import ConfigurationError
from typed_sessions.schema.narrowing import is_dict
from typed_sessions.stores.redis.blocking_connection import blocking_connection_class
from typed_sessions.stores.urls import refuse_control_characters

__all__ = ["blocking_client_of", "check", "client_of", "refuse_cluster"]

TIMEOUT: Final = 5.0
"""Seconds until a server that does not answer is given up, unless the URL says otherwise (`?socket_timeout=2`)."""

_WATCHED: Final = {"redis+sentinel": "redis", "rediss+sentinel": "rediss"}
"""The schemes of sentinels' URLs, and those of the servers that they watch over."""

_OF_SENTINELS: Final = {"sentinel_username": "username", "sentinel_password": "password"}
"""Parameters of a URL that are for the sentinels, not for the server."""

_SENTINEL_PORT: Final = 26_379
_SENTINEL_TIMEOUT: Final = 0.5
"""Seconds until the next one is asked."""

_DATABASE: Final = re.compile(r"[0-9]{1,9}")

_NO_CLUSTERS: Final = (
    "RedisStore keeps no sessions on a cluster: while it moves a slot, sessions would not be found, or survive a "
    "revocation; take a ClusterRedisStore: redis+cluster://host,host"
)


def client_of(url: str) -> redis.asyncio.Redis:
    """Return a client that connects when it is used.

    It never repeats a call by itself: the request that waits for it has a deadline, and knows better. With RESP3, whose
    default it is to listen for a host's maintenance, redis-py would not see that an idle connection has been closed.

    Raises:
        ConfigurationError: the URL is none that the store can use. The message does not show it, for it may hold a
            password.
    """
    return cast("redis.asyncio.Redis", _made(redis.asyncio.Redis, url, AsyncRetry(NoBackoff(), 0)))


def blocking_client_of(url: str) -> redis.Redis:
    """Return one that blocks, for no longer than it may: see `time_left`. Raises what `client_of` raises."""
    client = _made(redis.Redis, url, Retry(NoBackoff(), 0))
    pool = client.connection_pool
    pool.connection_class = blocking_connection_class(pool.connection_class)
    pool.reset()  # of the connection that was made on trial
    return cast("redis.Redis", client)


def _made(cls: Any, url: str, retry: object) -> Any:
    try:
        if url.partition("://")[0] in _WATCHED:
            client = _watched(cls, url, retry)
        else:
            client = cls.from_url(
                _checked(url), retry=retry, protocol=2, socket_timeout=TIMEOUT, socket_connect_timeout=TIMEOUT
            )
        client.connection_pool.make_connection()  # it takes the parameters, and connects to nothing yet
    except (ValueError, TypeError, RedisError):
        # Not `from` that error: its text may hold a part of the password.
        raise ConfigurationError(
            "the URL of a RedisStore is redis://, rediss:// or unix://, as redis-py takes it: "
            "redis://user:password@host:6379/0, or that of sentinels: redis+sentinel://user:word@host,host/service, "
            "with what is special in the password percent-encoded, and with no parameters but those that redis-py knows"
        ) from None
    return client


def _watched(cls: Any, url: str, retry: object) -> Any:
    """Return a client of the master that sentinels name.

    Raises:
        ValueError: the URL is none of sentinels.
    """
    scheme, _, rest = url.partition("://")
    where, _, query = rest.partition("?")
    user, at, hosts = where.rpartition("@")
    hosts, _, path = hosts.partition("/")
    service, _, database = path.partition("/")
    parameters = parse_qsl(query, keep_blank_values=True)
    others = urlencode([(name, value) for name, value in parameters if name not in _OF_SENTINELS])
    known = [
        _made(cls, f"{_WATCHED[scheme]}://{user}{at}{host}/{database}?{others}", retry) for host in hosts.split(",")
    ]
    if (
        not service
        or not all(hosts.split(","))
        or "," in user.partition("@")[2]
        or len(parameters) > len(dict(parameters))
    ):
        raise ValueError
    told = [dict(each.connection_pool.connection_kwargs) for each in known]
    settings = {name: value for name, value in told[0].items() if name not in {"host", "port"}}
    if _WATCHED[scheme] == "rediss":
        settings["ssl"] = True
    of_sentinels = {name: value for name, value in settings.items() if name.partition("_")[0] in {"socket", "ssl"}} | {
        _OF_SENTINELS[name]: value for name, value in parameters if name in _OF_SENTINELS
    }
    of_sentinels |= {"socket_timeout": _SENTINEL_TIMEOUT, "socket_connect_timeout": _SENTINEL_TIMEOUT}
    addresses = [(each.get("host", "localhost"), each.get("port", _SENTINEL_PORT)) for each in told]
    kind, pool = (AsyncSentinel, _AsyncPool) if cls is redis.asyncio.Redis else (Sentinel, _Pool)
    sentinels = cast("Any", kind)(
        addresses, sentinel_kwargs={**of_sentinels, "protocol": 2, "retry": retry}, **settings
    )
    return sentinels.master_for(unquote(service), connection_pool_class=pool)


class _AsyncPool(AsyncSentinelConnectionPool):
    """Closes its connections to the sentinels, too."""

    sentinel_manager: Any

    @override
    async def disconnect(self, inuse_connections: bool = True) -> None:
        await super().disconnect(inuse_connections)
        for sentinel in self.sentinel_manager.sentinels:
            await sentinel.connection_pool.disconnect(inuse_connections)


class _Pool(SentinelConnectionPool):
    """The same for threads."""

    sentinel_manager: Any

    @override
    def disconnect(self, inuse_connections: bool = True) -> None:
        super().disconnect(inuse_connections)
        for sentinel in self.sentinel_manager.sentinels:
            sentinel.connection_pool.disconnect(inuse_connections)


def _checked(url: str) -> str:
    """Return a URL that names what it should; redis-py takes the default for what it does not understand.

    Raises:
        ValueError: it does not.
    """
    refuse_control_characters(url)
    parts = urlsplit(url)
    parameters = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
    names = [name for name, _ in parameters]
    databases = [value for name, value in parameters if name == "db"]
    is_socket = parts.scheme == "unix"
    if not is_socket and parts.path not in {"", "/"}:
        databases.append(parts.path[1:])
    if (
        parts.fragment
        or parts.port == 0
        or len(set(names)) < len(names)
        or not all(value for _, value in parameters)
        or (is_socket and (parts.hostname or not parts.path.startswith("/")))
        or len(set(databases)) > 1
        or not all(_DATABASE.fullmatch(each) for each in databases)
    ):
        raise ValueError
    return url


def check(client: Any, *, blocking: bool) -> None:
    """Refuse a client that the store cannot use.

    Raises:
        ConfigurationError: it cannot use this one.
    """
    if any(each.__name__.endswith("Cluster") for each in type(client).__mro__):
        raise ConfigurationError(_NO_CLUSTERS)
    if inspect.iscoroutinefunction(getattr(client, "execute_command", None)) is blocking:
        raise ConfigurationError(
            "RedisStore takes a client of redis, not one of redis.asyncio, if it is to block"
            if blocking
            else "RedisStore takes a client of redis.asyncio, not one of redis"
        )
    if client.get_encoder().decode_responses:
        raise ConfigurationError("RedisStore keeps bytes: its client cannot have decode_responses=True")


def refuse_cluster(info: object) -> None:
    """Refuse a server that is a node of a cluster.

    Args:
        info: what it answers to `INFO cluster`: an error where the user of the database may not ask, or a proxy does
            not know.

    Raises:
        ConfigurationError: it is one.
    """
    if (is_dict(info) and info.get("cluster_enabled")) or (isinstance(info, bytes) and b"cluster_enabled:1" in info):
        raise ConfigurationError(_NO_CLUSTERS)
