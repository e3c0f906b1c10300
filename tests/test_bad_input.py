"""Bad input through the command line: one clear line and exit code 2, or a report and exit code 0; never a traceback."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tbdiag.cli.app import run
from tests.event_files import healthy, write_log, writer

NAN, INF = float("nan"), float("inf")


@pytest.fixture
def refuse(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> Any:
    """Run ``report`` and expect exit code 2 with exactly one line that names the path, and no report."""

    def check(path: Path, *words: str) -> str:
        out = tmp_path / "refused.html"
        assert run(["report", str(path), "-o", str(out)]) == 2
        said = capfd.readouterr()
        assert said.out == ""
        lines = said.err.splitlines()
        assert len(lines) == 1, said.err
        assert lines[0].startswith("tbdiag: ")
        assert "internal error" not in lines[0]
        assert "Traceback" not in said.err
        for word in (path.name, *words):
            assert word in lines[0]
        assert not out.exists()
        return lines[0]

    return check


@pytest.fixture
def diagnose(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> Any:
    """Run ``report`` in every format, expect exit code 0, and return the runs of the JSON report."""

    def check(path: Path) -> list[dict[str, Any]]:
        for kind in ("html", "markdown", "text"):
            assert run(["report", str(path), "--format", kind, "-o", str(tmp_path / f"r.{kind}")]) == 0
        out = tmp_path / "r.json"
        assert run(["report", str(path), "--format", "json", "-o", str(out)]) == 0
        assert "Traceback" not in capfd.readouterr().err
        report = json.loads(out.read_text(encoding="utf-8"), parse_constant=lambda name: pytest.fail(f"{name} in JSON"))
        for found in report["runs"]:
            crashed = [(c["id"], c["why"]) for c in found["checks"] if c["outcome"] == "crashed"]
            assert crashed == []
        return report["runs"]  # type: ignore[no-any-return]

    return check


def issues(found: dict[str, Any]) -> set[str]:
    return {i["kind"] for i in found["read_issues"]}


# nothing to read: exit 2


def test_missing_path(refuse: Any, tmp_path: Path) -> None:
    refuse(tmp_path / "no-such-dir")


def test_empty_directory(refuse: Any, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    refuse(tmp_path / "empty")


def test_directory_without_event_files(refuse: Any, tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "train.log").write_text("loss 0.3\n")
    refuse(tmp_path / "logs")


def test_file_that_is_no_event_file(refuse: Any, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("hello")
    refuse(tmp_path / "notes.txt")


def test_zero_byte_file_alone(refuse: Any, tmp_path: Path) -> None:
    (tmp_path / "zero").mkdir()
    (tmp_path / "zero" / "events.out.tfevents.1").touch()
    refuse(tmp_path / "zero")


@pytest.mark.parametrize("data", [b"this is not an event file, only its name is", bytes(range(256)) * 40, b"\xff" * 4096, b"\0" * 4096])
def test_garbage_named_like_an_event_file(refuse: Any, tmp_path: Path, data: bytes) -> None:
    (tmp_path / "garbage").mkdir()
    (tmp_path / "garbage" / "events.out.tfevents.1").write_bytes(data)
    refuse(tmp_path / "garbage")


def test_file_that_cannot_be_opened(refuse: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_log(tmp_path / "locked", healthy())
    deny(monkeypatch, path)
    refuse(tmp_path / "locked")


def deny(monkeypatch: pytest.MonkeyPatch, path: Path) -> None:
    """Opening `path` fails, as for a user without the right to read it (root is not stopped by modes)."""
    really = os.open

    def opened(name: Any, *rest: Any, **options: Any) -> int:
        if not isinstance(name, int) and Path(os.fsdecode(name)).name == path.name and path.parent.name in os.fsdecode(name):
            raise PermissionError(13, "Permission denied", os.fsdecode(name))
        return really(name, *rest, **options)

    monkeypatch.setattr(os, "open", opened)


def test_usage_errors_are_one_line(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    write_log(tmp_path / "run", healthy())
    for arguments in (
        ["report"],
        ["report", str(tmp_path), "--format", "pdf"],
        ["nonsense"],
        ["report", str(tmp_path), "--select", "no-such-id"],
    ):
        assert run(arguments) == 2, arguments
        err = capfd.readouterr().err
        assert err.count("\n") == 1, err
        assert "internal error" not in err


def test_unwritable_output_is_one_line_and_leaves_nothing(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    write_log(tmp_path / "run", healthy())
    (tmp_path / "file").write_text("x")
    assert run(["report", str(tmp_path / "run"), "-o", str(tmp_path / "file" / "report.html")]) == 2
    err = capfd.readouterr().err
    assert err.count("\n") == 1
    assert "report.html" in err
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file", "run"]


# something was readable: a report


def test_header_only(diagnose: Any, tmp_path: Path) -> None:
    write_log(tmp_path / "header", {})
    (found,) = diagnose(tmp_path / "header")
    assert found["verdict"] in ("unclear", "unreadable")
    assert all(f["severity"] == "note" for f in found["findings"])


def test_truncated_last_record(diagnose: Any, tmp_path: Path) -> None:
    path = write_log(tmp_path / "cut", healthy())
    path.write_bytes(path.read_bytes()[:-5])
    (found,) = diagnose(tmp_path / "cut")
    assert "truncated" in issues(found)
    assert "truncated-log" in {f["id"] for f in found["findings"]}
    assert max(c["n"] for c in found["curves"]) == 39


def test_corrupt_record_in_the_middle(diagnose: Any, tmp_path: Path) -> None:
    path = write_log(tmp_path / "corrupt", healthy())
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(bytes(data))
    (found,) = diagnose(tmp_path / "corrupt")
    assert "corrupt" in issues(found)
    assert "truncated-log" in {f["id"] for f in found["findings"]}


def test_nan_and_infinite_values(diagnose: Any, tmp_path: Path) -> None:
    series = healthy()
    series["train/loss"][20:] = [NAN] * 20
    series["val/loss"][25:] = [INF] * 15
    write_log(tmp_path / "nan", series)
    (found,) = diagnose(tmp_path / "nan")
    assert found["findings"][0]["id"] == "nan-inf"
    assert found["verdict"] == "findings"


@pytest.mark.parametrize("values", [[NAN] * 30, [INF] * 30, [-INF, INF, NAN] * 10])
def test_nothing_but_non_finite_values(diagnose: Any, tmp_path: Path, values: list[float]) -> None:
    write_log(tmp_path / "all", {"train/loss": values, "val/loss": values})
    (found,) = diagnose(tmp_path / "all")
    assert found["findings"][0]["id"] == "nan-inf"


@pytest.mark.parametrize("wall", [[NAN] * 40, [INF] * 40, [0.0] * 40, [-1e300] * 40, [1.7e9 - i for i in range(40)]])
def test_wall_times_that_make_no_sense(diagnose: Any, tmp_path: Path, wall: list[float]) -> None:
    write_log(tmp_path / "wall", healthy(), wall=wall)
    (found,) = diagnose(tmp_path / "wall")
    assert found["verdict"] == "healthy"


@pytest.mark.parametrize("n", [1, 2])
def test_one_or_two_points(diagnose: Any, tmp_path: Path, n: int) -> None:
    write_log(tmp_path / "short", {k: v[:n] for k, v in healthy().items()})
    (found,) = diagnose(tmp_path / "short")
    assert found["verdict"] in ("unclear", "findings")
    assert all(f["severity"] == "note" for f in found["findings"])


def test_one_point_among_long_series(diagnose: Any, tmp_path: Path) -> None:
    write_log(tmp_path / "one", {**healthy(), "test/loss": [0.4], "lr": [0.1]})
    assert diagnose(tmp_path / "one")[0]["verdict"] == "healthy"


@pytest.mark.parametrize("value", [0.0, 0.5, -3.0, 3.0e38, 1e-38])
def test_constant_series(diagnose: Any, tmp_path: Path, value: float) -> None:
    write_log(tmp_path / "constant", {"train/loss": [value] * 40, "val/loss": [value] * 40, "lr": [1e-3] * 40})
    (found,) = diagnose(tmp_path / "constant")
    assert found["verdict"] != "healthy"


def test_values_at_the_edge_of_float32(diagnose: Any, tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    wild = list(10.0 ** rng.uniform(-45, 38.5, 40) * rng.choice([-1.0, 1.0], 40))
    write_log(tmp_path / "wild", {"train/loss": wild, "val/loss": wild[::-1], "lr": wild, "grad_norm": wild})
    diagnose(tmp_path / "wild")


def test_unreadable_siblings_do_not_stop_the_rest(diagnose: Any, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    write_log(tmp_path / "many" / "good", healthy())
    (tmp_path / "many" / "zero").mkdir()
    (tmp_path / "many" / "zero" / "events.out.tfevents.1").touch()
    (tmp_path / "many" / "bad").mkdir()
    (tmp_path / "many" / "bad" / "events.out.tfevents.1").write_bytes(b"garbage" * 99)
    found = {r["name"].split("/")[-1]: r["verdict"] for r in diagnose(tmp_path / "many")}
    assert found["good"] == "healthy"
    assert found["bad"] == "unreadable"
    assert run(["report", str(tmp_path / "many"), "--strict", "-o", str(tmp_path / "s.html")]) == 2


def test_one_file_of_a_run_that_cannot_be_opened(diagnose: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_log(tmp_path / "part", healthy())
    deny(monkeypatch, write_log(tmp_path / "part", healthy(), name="events.out.tfevents.2"))
    (found,) = diagnose(tmp_path / "part")
    assert "unreadable-file" in issues(found)


def test_a_thousand_tiny_runs(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    for i in range(1000):
        write_log(tmp_path / "many" / f"run{i:04d}", {"train/loss": [2.0, 1.5, 1.0]})
    out = tmp_path / "report.html"
    assert run(["report", str(tmp_path / "many"), "-o", str(out)]) == 0
    assert out.stat().st_size < 5 * 2**20
    text = out.read_text(encoding="utf-8")
    told = len(set(re.findall(r"run\d{4}", text)))
    left_out = sum(map(int, re.findall(r"Not in the table: (\d+) ", text)))
    assert told >= 500
    assert told + left_out == 1000
    assert run(["report", str(tmp_path / "many"), "--format", "json", "-o", str(tmp_path / "report.json"), "-q"]) == 0
    assert len(json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))["runs"]) == 1000
    assert len(capfd.readouterr().out.splitlines()) < 80


HOSTILE = [
    "<script>alert(1)</script>",
    "a\"b'c`d",
    "two\nlines\tand tab",
    "naïve/损失/\U0001f525",
    "</style><img src=x onerror=alert(1)>",
    "{{7*7}}{%x%}",
    "\x1b[31mred",
]


@pytest.mark.parametrize("tag", HOSTILE)
def test_hostile_tags(diagnose: Any, tmp_path: Path, tag: str) -> None:
    write_log(tmp_path / "tags", {**healthy(), tag: [1.0, 2.0, 3.0], f"{tag}/loss": healthy()["val/loss"]})
    diagnose(tmp_path / "tags")
    check_harmless((tmp_path / "r.html").read_text(encoding="utf-8"))
    assert "\x1b" not in (tmp_path / "r.text").read_text(encoding="utf-8")


def check_harmless(page: str) -> None:
    for bad in ("<script>alert", "<img src=x", "onerror=alert(1)>"):
        assert bad not in page
    assert "49{%x%}" not in page


@pytest.mark.parametrize("name", [h.replace("/", "_") for h in HOSTILE] + [b"not-utf8-\xff\xfe".decode("utf-8", "surrogateescape")])
def test_hostile_run_names(diagnose: Any, tmp_path: Path, name: str) -> None:
    write_log(tmp_path / "runs" / name, healthy())
    write_log(tmp_path / "runs" / "plain", healthy())
    assert len(diagnose(tmp_path / "runs")) == 2
    check_harmless((tmp_path / "r.html").read_text(encoding="utf-8"))


def test_tag_that_is_not_utf8(diagnose: Any, tmp_path: Path) -> None:
    file = writer.EventFile(tmp_path / "bytes" / "events.out.tfevents.1", 1.7e9)
    for step in range(20):
        value = writer.scalar("TAG", 1.0).replace(b"TAG", b"\xff\xfeg")
        file.add(1.7e9 + step, step, value, writer.scalar("train/loss", 2.0 - step / 20), writer.scalar("val/loss", 2.0 - step / 20))
    file.save()
    diagnose(tmp_path / "bytes")
