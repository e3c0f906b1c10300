"""Shared marks: what a test needs that a plain machine may lack. Absent: skipped with the reason; with TBDIAG_REQUIRE_ALL=1: failed."""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Iterator

import pytest
from hypothesis import settings

settings.register_profile("tbdiag", deadline=None)  # no test looks at the clock: on a busy machine, at a first import, it lies
settings.load_profile("tbdiag")


def _need(present: bool, what: str) -> pytest.MarkDecorator:
    if present:
        return pytest.mark.skipif(False, reason="")
    if os.environ.get("TBDIAG_REQUIRE_ALL") == "1":
        return pytest.mark.usefixtures("_absent_resource")
    return pytest.mark.skipif(True, reason=f"needs {what}")


@pytest.fixture
def _absent_resource() -> None:
    pytest.fail("a resource that TBDIAG_REQUIRE_ALL=1 promises is absent")


def find_chromium() -> str | None:
    """Path of a Chromium or Chrome, or None."""
    return next((p for p in map(shutil.which, ("chromium", "chromium-browser", "google-chrome")) if p), None)


needs_chromium = _need(find_chromium() is not None, "Chromium on the PATH")
needs_node = _need(shutil.which("node") is not None, "Node.js on the PATH")
needs_shared = _need(bool(os.environ.get("TBDIAG_SHARED")), "the variable TBDIAG_SHARED")


def needs_module(name: str) -> pytest.MarkDecorator:
    """Mark of tests that need an optional Python package."""
    import importlib.util

    return _need(importlib.util.find_spec(name) is not None, f"the Python package {name}")


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """An S3 server on loopback; gives its URL."""
    from moto.server import ThreadedMotoServer

    for key, value in {"AWS_ACCESS_KEY_ID": "k", "AWS_SECRET_ACCESS_KEY": "s", "AWS_DEFAULT_REGION": "us-east-1"}.items():
        monkeypatch.setenv(key, value)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=port, verbose=False)
    server.start()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
    yield f"http://127.0.0.1:{port}"
    server.stop()
