"""The shop as its visitors reach it: one application at a time, and the next one takes over while it serves."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from hypercorn.typing import ASGIReceiveCallable, ASGISendCallable, Scope
from quart import Quart, current_app


class Deployment:
    """Serves an application, and puts another one with other settings in its place, as a deploy does.

    Args:
        create_app: makes an application.
        settings: what it is given the first time. The others get these, too, with what is changed, and the same
            `SECRET_KEY`, for nobody's cookie would open otherwise.
    """

    def __init__(self, create_app: Callable[..., Quart], **settings: object) -> None:
        self._create_app = create_app
        self.app = self._created(settings)
        self._first = self._settings = {**settings, "SECRET_KEY": self.app.secret_key}
        self.lock = asyncio.Lock()
        """For whoever restarts, and counts on being the only one."""

    @property
    def config(self) -> Mapping[str, Any]:
        return self.app.config

    @staticmethod
    def current() -> Deployment:
        """Return that of the application that handles a request."""
        deployment: Deployment = current_app.extensions["deployment"]
        return deployment

    async def __call__(self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        if scope["type"] != "lifespan":
            return await self.app(scope, receive, send)
        await receive()
        try:
            await self.app.startup()
        except Exception as error:
            await send({"type": "lifespan.startup.failed", "message": str(error)})
            raise
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self.app.shutdown()
        return await send({"type": "lifespan.shutdown.complete"})

    async def restart(self, **changes: object) -> None:
        """Put another application in the place of this one, which ends the requests that it has begun."""
        chosen = {"SESSION_SERIALIZER": self.config["SESSION_SERIALIZER"]}  # by a customer, perhaps
        await self._replace({**self._settings, **chosen, **changes})

    async def start_over(self) -> None:
        await self._replace(self._first)

    async def _replace(self, settings: dict[str, object]) -> None:
        following = self._created(settings)
        await following.startup()
        former, self.app, self._settings = self.app, following, settings
        await former.shutdown()

    def _created(self, settings: dict[str, object]) -> Quart:
        app = self._create_app(**settings)
        app.extensions["deployment"] = self
        return app
