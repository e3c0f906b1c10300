"""Roots that are no directories: a night over an fsspec file system."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

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
