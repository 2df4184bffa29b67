"""`Seeds`: where a cluster is, and how to connect to its nodes, as a URL or a client of redis-py says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from inspect import signature
from typing import Any, Final, Self
from urllib.parse import parse_qsl, urlencode

import redis
import redis.asyncio
from attrs import field, frozen
from redis.connection import AbstractConnection
from redis.exceptions import ResponseError

from typed_sessions.errors import ConfigurationError
from typed_sessions.stores.cluster.routing import Address, Shard, host_in
from typed_sessions.stores.redis.client import TIMEOUT, blocking_client_of, client_of

__all__ = ["SECONDS_TO_LOOK", "Seeds", "shards_in"]

SCHEMES: Final = {"redis+cluster": "redis", "rediss+cluster": "rediss"}

SECONDS_TO_CONNECT: Final = 1.0
"""Until a node is given up that does not let us in, unless the URL says otherwise (`?socket_connect_timeout=3`)."""

SECONDS_TO_LOOK: Final = 1.0
"""Until another node is asked what it knows of the cluster."""

_QUIET: Final[dict[str, None]] = (
    {"driver_info": None}
    if "driver_info" in signature(AbstractConnection.__init__).parameters
    else {"lib_name": None, "lib_version": None}  # of redis-py before 7
)
"""Keeps connections from telling which library made them, which takes a permission, and a step of each of them."""

_OF_A_CLIENT: Final = frozenset(
    {"username", "password", "credential_provider", "client_name", "socket_keepalive", "socket_keepalive_options"}
)
"""What is taken of a client, beside all that begins with `ssl_`."""


@frozen
class Seeds:
    """Nodes that are known from the beginning, and what connections to all nodes have in common."""

    addresses: Sequence[Address]
    replicas: int
    """How many have to have a change before it is answered."""
    connection_class: Any = field(repr=False)
    settings: Mapping[str, Any] = field(repr=False)

    @classmethod
    def of_url(cls, url: str, *, blocking: bool) -> Self:
        """Return what a URL says.

        Raises:
            ConfigurationError: it is none. The message does not show it: there may be a password in it.
        """
        scheme, _, rest = url.partition("://")
        where, _, query = rest.partition("?")
        user, at, hosts = where.rpartition("@")
        parameters = parse_qsl(query, keep_blank_values=True)
        others = urlencode([(name, value) for name, value in parameters if name != "wait"])
        wait = [value for name, value in parameters if name == "wait"]
        each = hosts.removesuffix("/").split(",")
        if (
            scheme not in SCHEMES
            or "/" in hosts.removesuffix("/")
            or (len(each) > 1 and not all(each))
            or "," in user.partition("@")[2]
            or "db" in dict(parameters)
            or len(wait) > 1
            or not all(value in set("0123456789") for value in wait)
        ):
            raise _wrong_url()
        open_client = blocking_client_of if blocking else client_of
        try:
            pools = [
                open_client(f"{SCHEMES[scheme]}://{user}{at}{host}?{others}".removesuffix("?")).connection_pool
                for host in each
            ]
        except ConfigurationError:
            raise _wrong_url() from None
        addresses = [
            (str(pool.connection_kwargs.get("host", "localhost")), int(pool.connection_kwargs.get("port", 6379)))
            for pool in pools
        ]
        settings = {**_QUIET, **pools[0].connection_kwargs}
        if "socket_connect_timeout" not in dict(parameters):
            settings["socket_connect_timeout"] = SECONDS_TO_CONNECT
        return cls(addresses, int(wait[0]) if wait else 0, pools[0].connection_class, settings)

    @classmethod
    def of_client(cls, client: Any, *, blocking: bool) -> Self:
        """Return what a client of redis-py's for a cluster was told. It is not used itself.

        Raises:
            ConfigurationError: it is none, or one of the other kind.
        """
        kind, other = redis.asyncio.RedisCluster, redis.RedisCluster
        if not isinstance(client, kind | other):
            raise ConfigurationError("ClusterRedisStore takes a URL, or a RedisCluster of redis-py's")
        its: Any = client
        told: dict[str, Any] = its.get_connection_kwargs()
        is_secure = bool(told.get("ssl")) or "SSL" in getattr(told.get("connection_class"), "__name__", "")
        template = (blocking_client_of if blocking else client_of)("rediss://" if is_secure else "redis://")
        pool = template.connection_pool
        taken = {name: value for name, value in told.items() if name in _OF_A_CLIENT or name.startswith("ssl_")}
        settings = {**_QUIET, **pool.connection_kwargs, "socket_connect_timeout": SECONDS_TO_CONNECT, **taken}
        nodes: list[Any] = [*its.nodes_manager.startup_nodes.values()]
        return cls([(str(node.host), int(node.port)) for node in nodes], 0, pool.connection_class, settings)

    @property
    def timeout(self) -> float | None:
        """How many seconds a node may take for all that it is asked at once."""
        timeout: float | None = self.settings.get("socket_timeout", TIMEOUT)
        return timeout

    def connection_to(self, address: Address, **settings: object) -> Any:
        """Return a connection of redis-py's, which is not open yet."""
        host, port = address
        return self.connection_class(**{**self.settings, **settings, "host": host, "port": port})


def shards_in(answer: Any, asked: Address) -> Sequence[Shard] | None:
    """Return what CLUSTER SLOTS answers; None if the server is none of a cluster.

    Raises:
        RedisError: it is an error.
    """
    if isinstance(answer, ResponseError) and "cluster support disabled" in str(answer):
        return None
    if isinstance(answer, Exception):
        raise answer
    return [
        (int(first), int(last), (host_in("?" if host is None else host.decode(), asked[0]), int(port)))
        for first, last, (host, port, *_), *_replicas in answer
    ]


def _wrong_url() -> ConfigurationError:
    return ConfigurationError(
        "the URL of a ClusterRedisStore is redis+cluster:// or rediss+cluster://, with one or several nodes: "
        "redis+cluster://user:password@host:6379,host:6379, with what is special in the password percent-encoded, "
        "with ?wait=1 for a change to be on a replica before it is answered, and with no parameters but those that "
        "redis-py knows"
    )
