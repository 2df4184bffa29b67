"""Random requests on this tree and on the oracle's, by hand: `python -m tests.oracle --requests 100000 --seed 7`.

`python -m tests.oracle --record 250` writes anew what test_oracle.py holds this tree to.
"""

from __future__ import annotations

import argparse
import sys
from itertools import count
from pathlib import Path

import msgspec

from tests.oracle.comparison import both_trees, cut_down, the_oracle
from tests.oracle.random_sequences import STORES, random_requests
from tests.oracle.recorded import RECORDED, Recorded, portable, write
from tests.oracle.trees import ROOT


def record(path: Path, seeds: range) -> None:
    """Write down what the oracle makes of sequences."""
    with the_oracle() as oracle:
        recorded = [Recorded(each, tuple(map(portable, oracle.serve(each)))) for each in map(random_requests, seeds)]
    write(path, recorded)
    count_of_visits = sum(len(each.outcomes) for each in recorded)
    print(f"{len(recorded)} sequences of {count_of_visits} requests, in {path.stat().st_size} bytes")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.oracle", description=__doc__)
    parser.add_argument("--requests", type=int, default=10_000, help="how many requests, at least")
    parser.add_argument("--seed", type=int, default=0, help="of the first sequence; a difference names its own")
    parser.add_argument("--store", choices=("memory", "sqlite", "redis", "postgresql"), action="append")
    parser.add_argument("--tree", type=Path, default=ROOT, help="where the library is that is held to the oracle")
    parser.add_argument("--differences", type=int, default=1, help="after how many to stop")
    parser.add_argument("--record", type=int, metavar="SEQUENCES", help="write down what the oracle does, and stop")
    parser.add_argument("file", type=Path, nargs="?", default=RECORDED, help="for --record")
    asked = parser.parse_args()
    if asked.record is not None:
        record(asked.file, range(asked.seed, asked.seed + asked.record))
        return 0
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
