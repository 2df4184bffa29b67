"""Serves the shop, with the demo around it: `python -m examples.shop`."""

from __future__ import annotations

import argparse
import asyncio
from pathlib import Path
from tempfile import TemporaryDirectory

from hypercorn.asyncio import serve  # pyright: ignore[reportUnknownVariableType] -- its annotation has a bare dict
from hypercorn.config import Config

from examples.shop.demo import create_demo_app
from examples.shop.deployment import Deployment


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m examples.shop", description="A tea shop on typed sessions.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=5000)
    parser.add_argument("--store", metavar="URL", help="keep sessions on the server from the start: sqlite:///shop.db")
    arguments = parser.parse_args()
    if arguments.store == "memory://":
        parser.error("the demo restarts the shop, which would lose what is in memory")
    config = Config()
    config.bind = [f"{arguments.host}:{arguments.port}"]
    with TemporaryDirectory(prefix="shop-") as folder:
        database = f"sqlite:///{Path(folder, 'sessions.db')}"
        asyncio.run(serve(Deployment(create_demo_app, store=arguments.store, DEMO_DATABASE=database), config))


if __name__ == "__main__":
    main()
