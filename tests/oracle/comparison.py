"""Both trees, asked the same; and the shortest sequence that still shows where they part."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from attrs import frozen
from msgspec.structs import replace

from tests.faults.running import running
from tests.oracle.differences import Difference, first_difference
from tests.oracle.random_sequences import STORES
from tests.oracle.sequences import Requests, Visit
from tests.oracle.trees import ROOT, Tree, oracle_tree, serving

__all__ = ["Trees", "both_trees", "cut_down", "one_tree", "the_oracle"]


@frozen
class Trees:
    """The oracle and the tree at hand."""

    oracle: Tree
    present: Tree

    def difference(self, requests: Requests) -> Difference | None:
        """Return where the two part that nobody wanted."""
        self.oracle.ask(requests)
        self.present.ask(requests)
        return first_difference(requests, self.oracle.outcomes(), self.present.outcomes())


@contextmanager
def both_trees(present: Path = ROOT, stores: Sequence[str] = STORES) -> Generator[Trees, None, None]:
    """Run both trees, each with stores of its own.

    Raises:
        NoHistory: there is no oracle.
    """
    with ExitStack() as stack:
        yield Trees(stack.enter_context(the_oracle(stores)), stack.enter_context(one_tree(present, stores)))


@contextmanager
def the_oracle(
    stores: Sequence[str] = STORES, *, hash_seed: str = "0", zone: str = "UTC"
) -> Generator[Tree, None, None]:
    """Run the oracle.

    Raises:
        NoHistory: there is none.
    """
    with (
        TemporaryDirectory() as directory,
        one_tree(oracle_tree(Path(directory).resolve()), stores, hash_seed=hash_seed, zone=zone) as tree,
    ):
        yield tree


@contextmanager
def one_tree(
    tree: Path = ROOT, stores: Sequence[str] = STORES, *, hash_seed: str = "0", zone: str = "UTC"
) -> Generator[Tree, None, None]:
    """Run a tree, with stores of its own."""
    with ExitStack() as stack:
        urls = {name: stack.enter_context(running(name)).url for name in stores if name != "memory"}
        yield stack.enter_context(serving(tree, urls, hash_seed=hash_seed, zone=zone))


def cut_down(requests: Requests, found: Difference, trees: Trees) -> tuple[Requests, Difference]:
    """Return a sequence with as few visits, lines and settings as still show a difference, and that."""
    requests = replace(requests, visits=requests.visits[: found.visit + 1])
    is_shorter = True
    while is_shorter:
        is_shorter = False
        for shorter in _shorter(requests):
            difference = trees.difference(shorter)
            if difference is not None:
                requests, found, is_shorter = shorter, difference, True
                break
    return requests, found


def _shorter(requests: Requests) -> Iterator[Requests]:
    for number, visit in enumerate(requests.visits):
        before, after = requests.visits[:number], requests.visits[number + 1 :]
        if after:
            yield replace(requests, visits=(*before, *after))
        for smaller in _smaller(visit):
            yield replace(requests, visits=(*before, smaller, *after))
    for name in requests.settings:
        if name != "SECRET_KEY":
            settings = {key: value for key, value in requests.settings.items() if key != name}
            yield replace(requests, settings=settings)


def _smaller(visit: Visit) -> Iterator[Visit]:
    for part in ("cookies", "headers", "lines", "late", "others"):
        values = getattr(visit, part)
        for place in range(len(values)):
            yield replace(visit, **{part: (*values[:place], *values[place + 1 :])})
    if visit.settings:
        yield replace(visit, settings={})
    if visit.wait:
        yield replace(visit, wait=0.0)
