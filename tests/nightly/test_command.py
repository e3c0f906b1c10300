"""The commands ``tbdiag nightly`` and ``tbdiag watch``."""

from __future__ import annotations

from pathlib import Path

import pytest

from tbdiag.cli.app import run
from tbdiag.cli.nightly import parse_bytes, parse_seconds, parse_time
from tbdiag.errors import UsageError
from tbdiag.nightly.state import open_state
from tbdiag.nightly.watch import Watch
from tests.nightly.world import DAY, LATER, START, append, write


@pytest.fixture
def logs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TBDIAG_WEBHOOK", raising=False)
    write(tmp_path / "logs" / "bad", "nan")
    write(tmp_path / "logs" / "good", "healthy", seed=2)
    return tmp_path / "logs"


def nightly(*more: str) -> int:
    return run(["nightly", "logs", "--scheduler", "inline", "--now", str(LATER), *more])


def test_a_night_prints_its_digest_and_publishes(logs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert nightly("--site", "site") == 0
    out, err = capsys.readouterr()
    assert out.startswith("# Training runs: 1 new finding, 1 error")
    assert "listed 2 runs: 2 new" in err
    assert Path("site/index.html").exists()
    assert Path("site.state/nightly.sqlite").exists()


def test_a_night_with_worker_processes_is_the_same(logs: Path) -> None:
    assert nightly("--site", "one", "-q") == 0
    assert run(["nightly", "logs", "--now", str(LATER), "--site", "two", "--workers", "1", "-q"]) == 0
    assert Path("one/index.html").read_bytes() == Path("two/index.html").read_bytes()


def test_a_dry_run_writes_nothing(logs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = sorted(tmp_path.rglob("*"))
    assert nightly("--once", "--dry-run") == 0
    assert "would judge bad (new)" in capsys.readouterr().err
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(("policy", "first", "second"), [("never", 0, 0), ("new", 1, 0), ("new-error", 1, 0), ("error", 1, 1)])
def test_exit_codes_by_policy(logs: Path, policy: str, first: int, second: int) -> None:
    assert nightly("--no-site", "-q", "--fail-on", policy) == first
    assert run(["nightly", "logs", "--scheduler", "inline", "--now", str(LATER + DAY), "--no-site", "-q", "--fail-on", policy]) == second


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (["nightly", "logs"], "--site"),
        (["nightly", "absent", "--no-site"], "absent"),
        (["nightly", "logs", "--no-site", "--time-limit", "soon"], "90s"),
        (["nightly", "logs", "--no-site", "--memory-limit", "much"], "4G"),
        (["nightly", "logs", "--no-site", "--now", "yesterday"], "2026"),
        (["nightly", "logs", "--no-site", "--owner", "("], "--owner"),
        (["nightly", "logs", "--no-site", "--owner", "x"], "owner"),
        (["nightly", "logs", "--no-site", "--once", "--every", "1h"], "exclude"),
        (["nightly", "logs", "--no-site", "--scheduler", "slurm"], "dask"),
    ],
)
def test_wrong_use_is_one_line_and_exit_2(logs: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], hint: str) -> None:
    assert run(arguments) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert lines[-1].startswith("tbdiag: ")
    assert hint in lines[-1]


def test_a_second_job_has_its_own_exit_code(logs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with open_state(Path("site.state")):
        assert nightly("--site", "site") == 3
    assert "another night is at work" in capsys.readouterr().err


def test_units() -> None:
    assert [parse_seconds(t, "--x") for t in ("90", "90s", "15m", "2h", "1d", "0")] == [90, 90, 900, 7200, 86400, 0]
    assert [parse_bytes(t) for t in ("0", "1K", "500M", "4G", "4GiB", "1.5g")] == [0, 1024, 500 << 20, 4 << 30, 4 << 30, 3 << 29]
    assert parse_time("2023-11-14T22:13:20") == parse_time("2023-11-14T22:13:20Z") == parse_time("1700000000") == 1.7e9
    for bad in ("-1", "x", "nan", "inf"):
        with pytest.raises(UsageError):
            parse_seconds(bad, "--x")
        with pytest.raises(UsageError):
            parse_bytes(bad)


def test_watch_tells_changes_only(tmp_path: Path) -> None:
    watch = Watch(str(tmp_path / "logs"))
    assert watch.step(START) == []
    file = write(tmp_path / "logs" / "a", "nan", n=20)
    with file.open("r+b") as data:
        data.truncate(0)
    file.write_bytes(b"")
    write(tmp_path / "logs" / "a", "healthy", n=10)
    assert [c.kind for c in watch.step(START + 600)] == ["run"]
    assert watch.step(START + 660) == []
    append(file, "nan", 10, 60)
    told = watch.step(START + 60 * 60)
    assert [(c.kind, c.severity, c.finding) for c in told] == [("finding", "error", "nan-inf")]
    assert watch.step(START + 61 * 60) == []
    append(file, "nan", 60, 80)
    assert watch.step(START + 80 * 60) == []
    told = watch.step(START + 3 * DAY)
    assert ("status", "live -> crashed") in [(c.kind, c.text) for c in told]
    assert watch.statuses == {"a": "crashed"}


def test_watch_ends_by_itself(logs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["watch", "logs", "--until", "finding", "--fail-on", "error"]) == 1
    assert run(["watch", "logs", "--until", "finished"]) == 0
    assert "bad: ERROR: " in capsys.readouterr().out
