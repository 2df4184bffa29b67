"""Random requests on this tree and on the oracle's, by hand: `python -m tests.oracle --requests 100000 --seed 7`."""

from __future__ import annotations

import argparse
import sys
from itertools import count
from pathlib import Path

import msgspec

from tests.oracle.comparison import both_trees, cut_down
from tests.oracle.random_sequences import STORES, random_requests
from tests.oracle.trees import ROOT


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.oracle", description=__doc__)
    parser.add_argument("--requests", type=int, default=10_000, help="how many requests, at least")
    parser.add_argument("--seed", type=int, default=0, help="of the first sequence; a difference names its own")
    parser.add_argument("--store", choices=("memory", "sqlite", "redis", "postgresql"), action="append")
    parser.add_argument("--tree", type=Path, default=ROOT, help="where the library is that is held to the oracle")
    parser.add_argument("--differences", type=int, default=1, help="after how many to stop")
    asked = parser.parse_args()
    served = found = 0
    stores = asked.store or STORES
    with both_trees(asked.tree, stores) as trees:
        for seed in count(asked.seed):
            requests = random_requests(seed, stores)
            difference = trees.difference(requests)
            if difference is not None:
                found += 1
                shortest, difference = cut_down(requests, difference, trees)
                print(f"seed {seed}, cut down:\n{msgspec.json.format(msgspec.json.encode(shortest)).decode()}")
                print(difference, flush=True)
            served += len(requests.visits)
            if found >= asked.differences or served >= asked.requests:
                break
    print(f"{served} requests, {found} differences, seeds {asked.seed} to {seed}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
