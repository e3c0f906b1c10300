"""Roots that are no directories: a night over an fsspec file system."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.conftest import needs_module
from tests.nightly.world import DAY, LATER, START, Nights, curves, eventlog

pytestmark = needs_module("fsspec")


def test_a_night_over_a_remote_root(tmp_path: Path) -> None:
    import fsspec

    remote = fsspec.filesystem("memory")
    for name, kind in (("a", "nan"), ("b", "healthy")):
        remote.pipe_file(f"/nightly/{name}/events.out.tfevents.1.host", eventlog.scalar_file(curves(kind), START, 60.0))
    nights = Nights(tmp_path, site=tmp_path / "site")
    nights.options = replace(nights.options, roots=("memory://nightly",))
    night = nights.run(LATER)
    assert (night.closing.runs, night.closing.errors, night.closing.failed) == (2, 1, 0)
    night = nights.run(LATER + DAY)
    assert (night.reasons, night.unchanged) == ({}, 2)
    remote.pipe_file("/nightly/b/events.out.tfevents.2.host", eventlog.scalar_file(curves("nan", seed=5), START + DAY, 60.0))
    night = nights.run(LATER + 2 * DAY)
    assert night.reasons == {"grown": 1}
    remote.rm("/nightly", recursive=True)


@needs_module("moto")
@needs_module("s3fs")
@pytest.mark.filterwarnings("ignore")
def test_nights_over_a_bucket_of_a_real_server(tmp_path: Path, s3: str) -> None:
    """Listed here, read by worker processes of their own; growth is seen, unchanged runs are not read again."""
    import s3fs

    s3fs.S3FileSystem.clear_instance_cache()
    system = s3fs.S3FileSystem(endpoint_url=s3)
    system.mkdir("team")
    for name, kind in (("mia/a", "nan"), ("mia/b", "healthy"), ("noah/c", "overfit")):
        system.pipe(f"team/runs/{name}/events.out.tfevents.1.host", eventlog.scalar_file(curves(kind), START, 60.0))
    nights = Nights(tmp_path, site=tmp_path / "site")
    nights.options = replace(nights.options, roots=("s3://team/runs",), scheduler="processes", workers=2)
    night = nights.run(LATER)
    assert (night.closing.runs, night.closing.errors, night.closing.warnings, night.closing.failed) == (3, 1, 1, 0)
    assert "mia/a" in (tmp_path / "site" / "index.html").read_text()
    assert len(list((tmp_path / "site" / "runs").iterdir())) == 2
    night = nights.run(LATER + DAY)
    assert (night.reasons, night.unchanged) == ({}, 3)
    system.pipe("team/runs/mia/b/events.out.tfevents.2.host", eventlog.scalar_file(curves("nan", seed=5), START + DAY, 60.0))
    s3fs.S3FileSystem.clear_instance_cache()
    night = nights.run(LATER + 2 * DAY)
    assert (night.reasons, night.unchanged, night.closing.new_errors) == ({"grown": 1}, 2, 1)
