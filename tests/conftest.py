"""Settings of all tests: how hypothesis runs here, and by hand for longer with `HYPOTHESIS_PROFILE=long`."""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, settings

from typed_sessions import codec

pytest.register_assert_rewrite("typed_sessions.testing")

settings.register_profile("short", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True)
settings.register_profile("long", settings.get_profile("short"), max_examples=5_000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "short"))


@pytest.fixture(params=["short way", "long way"])
def both_ways(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run a test with the compiled forms of schemas and without: for modules that say so in `pytestmark`."""
    if request.param == "long way":
        monkeypatch.setattr(codec, "form_of", lambda *_, **__: None)
