"""Logs behind URLs: memory, and a real S3 server on this machine."""

from __future__ import annotations

import builtins
import socket
from pathlib import Path

import numpy as np
import pytest

from tbdiag import logs
from tbdiag.errors import ExtraMissingError, LogdirError
from tests.conftest import needs_module
from tests.reader.writers import NAME, image_event, opening, regular_events, write_events, write_run

pytestmark = needs_module("fsspec")


def _same(a, b):
    assert list(a.series) == list(b.series)
    for name, series in a.series.items():
        assert np.array_equal(series.step, b.series[name].step)
        assert series.value.tobytes() == b.series[name].value.tobytes()


@pytest.fixture
def local(tmp_path):
    """A Keras-like run and a PyTorch-like one."""
    write_run(tmp_path / "keras" / "train", regular_events(40, ("epoch_loss",)))
    write_run(tmp_path / "keras" / "validation", regular_events(40, ("epoch_loss",)))
    write_run(tmp_path / "torch", regular_events(700))
    return tmp_path


def _copy(local: Path, system, top: str) -> None:
    for path in local.rglob("*tfevents*"):
        target = f"{top}/{path.relative_to(local).as_posix()}"
        system.makedirs(target.rpartition("/")[0], exist_ok=True)
        system.pipe_file(target, path.read_bytes())


@pytest.fixture
def memory():
    import fsspec

    system = fsspec.filesystem("memory")
    system.store.clear()
    system.pseudo_dirs[:] = [""]
    yield system
    system.store.clear()


def test_memory_reads_as_a_directory_does(local, memory):
    _copy(local, memory, "/logs")
    remote, here = logs.read_runs("memory://logs"), logs.read_runs(local)
    assert [r.name for r in remote] == [r.name for r in here] == ["keras", "torch"]
    assert remote[0].subruns == ("train", "validation")
    for a, b in zip(here, remote, strict=True):
        _same(a, b)
    (one,) = logs.read_runs(f"memory://logs/torch/{NAME}")
    _same(one, here[1])


def test_a_remote_file_that_grew_costs_only_its_new_bytes(local, memory):
    from tbdiag.logs.remote import RemoteSource

    _copy(local, memory, "/logs")
    url = f"memory://logs/torch/{NAME}"
    (listing,) = logs.list_runs("memory://logs/torch")
    state = logs.open_run(listing)
    more = regular_events(50, first=700)
    write_events(local / "more", more)
    memory.pipe_file(url.removeprefix("memory:/"), (local / "torch" / NAME).read_bytes() + (local / "more").read_bytes())
    (listing,) = logs.list_runs("memory://logs/torch")
    asked = []
    whole = RemoteSource._fetch
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(RemoteSource, "_fetch", lambda self, offset, count: asked.append((offset, count)) or whole(self, offset, count))
        state = logs.refresh(state, listing)
    assert len(state.run.series["lr"]) == 750
    assert [offset for offset, _ in asked] == [0, len((local / "torch" / NAME).read_bytes())]
    assert asked[0][1] == 4096


def test_images_are_skipped_where_that_saves_traffic(tmp_path, memory):
    events = [opening()]
    for step in range(6):
        events += [*regular_events(1, first=step), image_event(step, 3_000_000)]
    path = write_events(tmp_path / NAME, events)
    memory.pipe_file(f"/logs/{NAME}", path.read_bytes())
    fetched = []
    whole = memory.cat_file
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            type(memory), "cat_file", lambda self, p, start=None, end=None, **k: fetched.append(end - start) or whole(p, start, end)
        )
        (run,) = logs.read_runs("memory://logs")
    assert len(run.series["lr"]) == 6
    assert len(run.media["samples"].step) == 6
    assert sum(fetched) < path.stat().st_size / 3


def test_missing_things_are_named(local, memory, monkeypatch):
    with pytest.raises(LogdirError, match=r"memory://nothing"):
        logs.read_runs("memory://nothing")
    with pytest.raises(LogdirError, match="nosuch"):
        logs.read_runs("nosuch://bucket/logs")
    whole = builtins.__import__

    def without_fsspec(name, *rest, **options):
        if name.partition(".")[0] == "fsspec":
            raise ImportError(name)
        return whole(name, *rest, **options)

    monkeypatch.setattr(builtins, "__import__", without_fsspec)
    with pytest.raises(ExtraMissingError, match=r"tbdiag\[remote\]"):
        logs.read_runs("s3://bucket/logs")


@needs_module("moto")
@needs_module("s3fs")
@pytest.mark.filterwarnings("ignore")
def test_a_bucket_of_a_real_server(local, s3):
    import s3fs

    s3fs.S3FileSystem.clear_instance_cache()
    system = s3fs.S3FileSystem(endpoint_url=s3)
    system.mkdir("bucket")
    _copy(local, system, "bucket/exp")
    s3fs.S3FileSystem.clear_instance_cache()
    remote, here = logs.read_runs("s3://bucket/exp"), logs.read_runs(local)
    assert [r.name for r in remote] == ["keras", "torch"]
    for a, b in zip(here, remote, strict=True):
        _same(a, b)
    with pytest.raises(LogdirError, match="s3://bucket/none"):
        logs.read_runs("s3://bucket/none")
    with pytest.raises(LogdirError, match="s3://absent"):
        logs.read_runs("s3://absent/logs")


@needs_module("s3fs")
@pytest.mark.filterwarnings("ignore")
def test_missing_credentials_say_what_to_set(monkeypatch, tmp_path):
    import s3fs

    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    s3fs.S3FileSystem.clear_instance_cache()
    with pytest.raises(LogdirError, match="AWS_PROFILE"):
        logs.read_runs("s3://bucket/logs")


@needs_module("gcsfs")
@needs_module("gcp_storage_emulator")
@pytest.mark.filterwarnings("ignore")
def test_a_bucket_of_a_stand_in_for_google_storage(local, monkeypatch):
    """Neither package is among the test extra's: pip install gcsfs gcp-storage-emulator."""
    monkeypatch.setenv("GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT", "false")  # asks by gRPC, which the stand-in does not speak
    import gcsfs
    from gcp_storage_emulator.server import create_server

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = create_server("127.0.0.1", port, in_memory=True, default_bucket="bucket")
    server.start()
    try:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", f"http://127.0.0.1:{port}")
        gcsfs.GCSFileSystem.clear_instance_cache()
        system = gcsfs.GCSFileSystem(token="anon", project="p")
        for path in local.rglob("*tfevents*"):
            system.pipe_file(f"bucket/exp/{path.relative_to(local).as_posix()}", path.read_bytes())
        gcsfs.GCSFileSystem.clear_instance_cache()
        remote, here = logs.read_runs("gs://bucket/exp"), logs.read_runs(local)
        assert [r.name for r in remote] == ["keras", "torch"]
        for a, b in zip(here, remote, strict=True):
            _same(a, b)
        for place in ("gs://bucket/none", "gs://absent/logs"):
            with pytest.raises(LogdirError, match=place):
                logs.read_runs(place)
    finally:
        gcsfs.GCSFileSystem.clear_instance_cache()
        server.stop()
