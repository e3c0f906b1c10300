"""The webhook: told of new findings only, its address a secret."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from tests.nightly.world import DAY, LATER, Nights, write


class Hook:
    """A local server that keeps what it was sent."""

    def __init__(self) -> None:
        self.got: list[dict[str, object]] = []
        self.status = 200
        hook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                hook.got.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                self.send_response(hook.status)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}/services/T0/SECRET"


@pytest.fixture
def hook() -> Iterator[Hook]:
    hook = Hook()
    yield hook
    hook.server.shutdown()
    hook.server.server_close()
    hook.thread.join()


def test_only_new_findings_are_told_and_only_once(tmp_path: Path, hook: Hook) -> None:
    nights = Nights(tmp_path, site=tmp_path / "site", webhook=hook.address, link="https://runs.example/nightly/")
    write(nights.logs / "mia" / "<b>&co", "nan")
    write(nights.logs / "mia" / "fine", "healthy", seed=2)
    nights.run(LATER)
    nights.run(LATER + DAY)
    assert len(hook.got) == 1
    message = hook.got[0]
    assert message["text"] == "Training runs: 1 new finding, 1 error, 0 warnings, 0 fixed in 2 runs"
    text = json.dumps(message)
    assert "<https://runs.example/nightly/runs/mia-b-co-" in text
    assert "mia/&lt;b&gt;&amp;co" in text
    assert "fine" not in text


@pytest.mark.parametrize("trouble", ["answers 500", "unreachable", "no address"])
def test_a_broken_webhook_costs_a_line_that_does_not_name_it(tmp_path: Path, hook: Hook, trouble: str) -> None:
    address = {"answers 500": hook.address, "unreachable": "http://127.0.0.1:9/SECRET", "no address": "file:///SECRET"}[trouble]
    hook.status = 500
    nights = Nights(tmp_path, site=tmp_path / "site", webhook=address)
    write(nights.logs / "a", "nan")
    assert nights.run(LATER).closing.new == 1
    assert (nights.site / "index.html").exists()
    assert any("webhook" in line for line in nights.said)
    assert not any("SECRET" in line for line in nights.said)
    for file in (p for p in tmp_path.rglob("*") if p.is_file()):
        assert b"SECRET" not in file.read_bytes()
