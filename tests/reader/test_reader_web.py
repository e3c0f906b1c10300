"""Logs behind a web server on this machine: directory pages, range requests, servers that do not know them, and growth."""

from __future__ import annotations

import datetime
import functools
import http.server
import ipaddress
import os
import re
import ssl
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from tbdiag import logs
from tbdiag.errors import LogdirError
from tests.conftest import needs_module
from tests.reader.reference import frame
from tests.reader.writers import NAME, image_event, opening, regular_events, write_events, write_run

ROOT = Path(__file__).resolve().parents[2]
pytestmark = [needs_module("fsspec"), needs_module("aiohttp")]


class _Handler(http.server.SimpleHTTPRequestHandler):
    """Directory pages and files as the standard library serves them, and single ranges of files."""

    def log_message(self, *_: object) -> None: ...

    def send_head(self):
        wanted = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
        path = Path(self.translate_path(self.path))
        server = self.server
        if path.is_file() and self.command == "GET":
            server.asked.append(self.headers.get("Range", "whole"))
        if not wanted or not server.ranges or not path.is_file():
            return super().send_head()
        first, last = int(wanted[1]), int(wanted[2])
        data = path.read_bytes()
        part = data[first : last + 1]
        self.send_response(206)
        self.send_header("Content-Range", f"bytes {first}-{first + len(part) - 1}/{len(data)}")
        self.send_header("Content-Length", str(len(part)))
        self.end_headers()
        self.wfile.write(part)
        return None


@pytest.fixture
def web(tmp_path):
    """A server of `tmp_path`; `asked` are the ranges of the files that were sent."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_Handler, directory=str(tmp_path)))
    server.ranges, server.asked = True, []
    server.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def _same(a, b):
    assert [run.name for run in a] == [run.name for run in b]
    for one, other in zip(a, b, strict=True):
        assert list(one.series) == list(other.series)
        for name, series in one.series.items():
            assert np.array_equal(series.step, other.series[name].step)
            assert series.value.tobytes() == other.series[name].value.tobytes()


@pytest.mark.parametrize("ranges", [True, False])
def test_a_tree_of_pages_reads_as_the_directory_does(tmp_path, web, ranges):
    web.ranges = ranges
    write_run(tmp_path / "exp" / "a", regular_events(700))
    write_run(tmp_path / "exp" / "b" / "c", regular_events(30))
    _same(logs.read_runs(f"{web.url}/exp/"), logs.read_runs(tmp_path / "exp"))


def test_images_are_skipped_by_range_requests(tmp_path, web):
    events = [opening()]
    for step in range(6):
        events += [*regular_events(1, first=step), image_event(step, 3_000_000)]
    path = write_events(tmp_path / "run" / NAME, events)
    (run,) = logs.read_runs(f"{web.url}/run")
    assert len(run.series["lr"]) == 6
    sent = [int(b) - int(a) + 1 for a, b in (r.removeprefix("bytes=").split("-") for r in web.asked)]
    assert sum(sent) < path.stat().st_size / 3


def test_a_server_without_ranges_sends_a_file_once(tmp_path, web):
    web.ranges = False
    events = [opening(), *regular_events(20), image_event(20, 3_000_000), *regular_events(20, first=21)]
    write_events(tmp_path / "run" / NAME, events)
    (run,) = logs.read_runs(f"{web.url}/run")
    assert len(run.series["lr"]) == 40
    assert len(web.asked) == 1


def test_one_file_is_read_without_being_searched_for_links(tmp_path, web):
    path = write_run(tmp_path / "run", regular_events(50))
    (run,) = logs.read_runs(f"{web.url}/run/{NAME}")
    assert len(run.series["lr"]) == 50
    assert web.asked == [f"bytes=0-{path.stat().st_size - 1}"]


def test_a_file_that_grew_is_read_on(tmp_path, web):
    path = write_run(tmp_path / "run", regular_events(50))
    (listing,) = logs.list_runs(f"{web.url}/run")
    assert listing.files[0].size == path.stat().st_size
    state = logs.open_run(listing)
    size = path.stat().st_size
    with path.open("ab") as out:
        out.write(b"".join(frame(e.SerializeToString()) for e in regular_events(5, first=50)))
    (grown,) = logs.list_runs(f"{web.url}/run")
    assert state.changed(grown)
    web.asked.clear()
    assert len(logs.refresh(state, grown).run.series["lr"]) == 55
    assert web.asked == ["bytes=0-4095", f"bytes={size}-{path.stat().st_size - 1}"]


def test_what_is_not_there_is_said(tmp_path, web):
    (tmp_path / "empty").mkdir()
    for place in ("nothing", "empty", "events.out.tfevents.1"):
        with pytest.raises(LogdirError, match=place):
            logs.read_runs(f"{web.url}/{place}")
    web.shutdown()
    web.server_close()
    with pytest.raises(LogdirError, match="Cannot connect"):
        logs.read_runs(f"{web.url}/run")


@pytest.fixture
def certificate(tmp_path):
    """A certificate for 127.0.0.1 that signs itself, and its key, in one file."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.timezone.utc)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path / "certificate.pem"
    form = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    path.write_bytes(made.public_bytes(serialization.Encoding.PEM) + key.private_bytes(serialization.Encoding.PEM, *form))
    return path


@needs_module("cryptography")
def test_https_with_a_certificate_that_is_trusted_and_one_that_is_not(tmp_path, web, certificate):
    write_run(tmp_path / "run", regular_events(50))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    web.socket = context.wrap_socket(web.socket, server_side=True)
    url = f"{web.url.replace('http', 'https')}/run"
    with pytest.raises(LogdirError, match="certificate"):
        logs.read_runs(url)
    code = f"from tbdiag import logs; print(len(logs.read_runs({url!r})[0].series['lr']))"
    trusting = {**os.environ, "SSL_CERT_FILE": str(certificate)}
    done = subprocess.run([sys.executable, "-c", code], env=trusting, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.stdout == "50\n", done.stderr
