"""Soak: hundreds of live runs that grow, die, restart, corrupt and are renamed, while a nightly runs every minute and is killed at times.

    python benchmarks/soak.py --folder /var/tmp/soak --runs 300 --minutes 30
    python benchmarks/soak.py --folder /var/tmp/kill --runs 120 --kills 50

A reader polls the site all the while and follows every link. At the end the logs are frozen, one more night is run, and everything in
its state must equal that of a state built afresh; no run may be there twice.
"""

# Names that are no Unicode are joined as the strings that they are.
# ruff: noqa: PTH103, PTH104, PTH118, PTH123
from __future__ import annotations

import argparse
import json
import os
import random
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.eventlog import scalar_record, version_record

HOSTILE = (
    "quote'\"run",
    "<script>alert(1)</script>",
    "new\nline",
    "naïve-ünïcode-实验",
    "percent%20&amp;#hash?query",
    "-rf --site",
    "[link](javascript:alert(1))",
    "caf\udce9-not-utf8",
    " leading and trailing ",
    "..dots..",
)
KINDS = ("steady", "nan", "overfit", "dies", "restarts", "corrupts", "halves", "renamed", "deleted", "flat")


@dataclass
class Member:
    """One run of the fleet: what it is going to do, and where it stands."""

    folder: str
    kind: str
    rng: np.random.Generator
    event_at: int
    step: int = 0
    file: str = ""
    pending: bytes = b""
    over: bool = False


class Fleet:
    """Live runs that all write at every tick; seeded, and driven by the time that the caller gives."""

    def __init__(self, folder: Path, runs: int, seed: int = 0, steps: int = 3) -> None:
        self.folder = folder
        self.steps = steps
        self.random = random.Random(seed)
        self.members = []
        for i in range(runs):
            name = HOSTILE[i] if i < len(HOSTILE) else f"run_{i:03d}"
            place = os.path.join(f"user{i % 7}", f"exp{i % 5}", name)
            self.members.append(Member(place, KINDS[i % len(KINDS)], np.random.default_rng([seed, i]), self.random.randint(20, 120)))
        (folder / "links").mkdir(parents=True, exist_ok=True)

    def tick(self, now: float) -> None:
        """Let every run write its next steps, and whatever else its kind does."""
        for member in self.members:
            if not member.over:
                self._advance(member, now)
        latest = self.folder / "links" / "latest"
        target = os.path.join(os.fspath(self.folder), self.random.choice(self.members).folder)
        latest.unlink(missing_ok=True)
        latest.symlink_to(target)

    def _path(self, member: Member) -> str:
        return os.path.join(os.fspath(self.folder), member.folder)

    def _advance(self, member: Member, now: float) -> None:
        if not member.file:
            os.makedirs(self._path(member), exist_ok=True)
            self._begin_file(member, now)
        data = member.pending + b"".join(self._records(member, now))
        member.pending = b""
        passed = member.step >= member.event_at
        if passed and member.kind == "corrupts":
            # Damage that was written so. (Bytes that change after a night read them are seen when the run is next read afresh.)
            at = int(member.rng.integers(0, len(data) - 9))
            data = data[:at] + bytes(member.rng.integers(0, 256, 9, dtype=np.uint8)) + data[at + 9 :]
            member.event_at = member.step + 150
        file = os.path.join(self._path(member), member.file)
        if member.kind == "halves" and len(data) > 40:
            cut = len(data) - int(member.rng.integers(1, 40))
            data, member.pending = data[:cut], data[cut:]
        with open(file, "ab") as sink:
            sink.write(data)
        if not passed:
            return
        if member.kind == "dies":
            with open(file, "ab") as sink:
                sink.write(scalar_record("loss/train", member.step, 0.1, now)[:17])
            member.over = True
        elif member.kind == "restarts":
            member.step = max(0, member.step - 15)
            member.event_at = member.step + 200
            self._begin_file(member, now + 1)
        elif member.kind == "renamed":
            old = self._path(member)
            member.folder += "-moved"
            os.rename(old, self._path(member))
            member.event_at = member.step + 500
        elif member.kind == "deleted":
            shutil.rmtree(self._path(member))
            member.over = True

    def _begin_file(self, member: Member, now: float) -> None:
        member.file = f"events.out.tfevents.{int(now)}.host.{member.step}"
        with open(os.path.join(self._path(member), member.file), "wb") as sink:
            sink.write(version_record(now))

    def _records(self, member: Member, now: float) -> list[bytes]:
        out = []
        for _ in range(self.steps):
            x = member.step / 150
            loss = 0.3 + 2 * np.exp(-3 * x) + member.rng.normal(0, 0.02)
            val = loss + 0.1 + (0.8 * max(0.0, x - 0.3) if member.kind == "overfit" else 0.0)
            if member.kind == "nan" and member.step >= member.event_at:
                loss = float("nan")
            if member.kind == "flat":
                loss = val = 2.3 + member.rng.normal(0, 0.005)
            for tag, value in (("loss/train", loss), ("loss/val", val), ("lr", 1e-3)):
                out.append(scalar_record(tag, member.step, float(value), now))
            member.step += 1
        return out


SCRIPT = re.compile(r"<script.*?</script>", re.DOTALL)
LINK = re.compile(r'(?:href|src)="([^"#][^"]*)"')


def check_site(site: Path) -> tuple[int, list[str]]:
    """Read the index and follow every link of the site; number of links followed, and what is wrong.

    Pages that show other rows than the index promises are of another night, unless the site was switched while it was read.
    """
    from html import unescape

    problems: list[str] = []
    seen: set[str] = set()
    waiting = ["index.html"]
    pages: dict[str, str] = {}
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        try:
            text = (site / name).read_text(encoding="utf-8")
        except OSError as error:
            problems.append(f"{name}: {error}")
            continue
        if name.endswith(".html"):
            if not text.rstrip().endswith("</html>"):
                problems.append(f"{name}: cut off after {len(text)} characters")
            if name.startswith(("index", "page-")):
                pages[name] = text
                waiting += [unescape(link).partition("#")[0] for link in LINK.findall(SCRIPT.sub("", text)) if "://" not in link]
        elif not text.strip():
            problems.append(f"{name}: empty")
    strange = [name for name, text in pages.items() if not text_agrees(name, text, pages["index.html"])]
    if strange:
        try:
            switched = read_night((site / "index.html").read_text(encoding="utf-8")) != read_night(pages["index.html"])
        except OSError:
            switched = True
        if not switched:
            problems.append(f"pages that are not of the index's night: {strange}")
    return len(seen), problems


def read_night(index: str) -> str:
    """The night that an index tells of."""
    found = re.search(r"night (\d+), judged", index)
    return found[1] if found else ""


def text_agrees(name: str, page: str, index: str) -> bool:
    """Whether a page shows the runs, verdicts and states that the index's data promise for it."""
    from html import unescape

    block = re.search(r'<script type="application/json" id="data">(.*?)</script>', index, re.DOTALL)
    if block is None:
        return False
    data = json.loads(block[1])
    size = max(1, page_rows())
    first = 0 if name == "index.html" else (int(name.removeprefix("page-").removesuffix(".html")) - 1) * size
    promised = [(row[0], data["kinds"][row[2]][1], data["statuses"][row[3]]) for row in data["rows"][first : first + size]]
    body = page[page.index('id="rows"') :].partition("</tbody>")[0]
    shown = [
        (unescape(run.replace("<wbr>", "")), word.strip(), status)
        for word, run, status in re.findall(
            r'<tr><td class="v [^>]*>.*?</svg>([^<]*)</td><th scope="row">(?:<a [^>]*>)?(.*?)(?:</a>)?(?:<span class="hd">[^<]*</span>)?</th>'
            r'.*?<td class="st [^>]*>([^<]*)</td>',
            body,
            re.DOTALL,
        )
    ]
    return shown == promised


def page_rows() -> int:
    """Rows of a page."""
    from tbdiag.nightly.site import ROWS

    return ROWS


class Reader(threading.Thread):
    """Polls a site and keeps what was wrong with it."""

    def __init__(self, site: Path, pause: float = 0.2) -> None:
        super().__init__(daemon=True)
        self.site, self.pause = site, pause
        self.polls = self.links = 0
        self.problems: list[str] = []
        self.stop = threading.Event()

    def run(self) -> None:
        """Poll until told to stop."""
        while not self.stop.wait(self.pause):
            if self.site.exists():
                links, problems = check_site(self.site)
                self.polls += 1
                self.links += links
                self.problems += problems


def nightly(folder: Path, work: Path, name: str, *more: str) -> subprocess.Popen[bytes]:
    """Start a night."""
    command = [
        sys.executable,
        "-m",
        "tbdiag",
        "nightly",
        str(folder),
        "--site",
        str(work / name),
        "--state",
        str(work / f"{name}.state"),
        "-q",
    ]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen([*command, *more], env=env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


STORED = """
SELECT r.path, r.verdict, r.failed, r.was_live, r.points, r.last_step, r.ending, f.finding, f.severity, f.confidence, f.title, f.onset_first,
       f.onset_last, f.caused_by, f.fingerprint
FROM runs r LEFT JOIN findings f ON f.run = r.id WHERE r.gone_night IS NULL ORDER BY r.path, f.position
"""


def compare(one: Path, other: Path) -> tuple[int, int, list[str]]:
    """Runs and findings in two states, and how they differ; duplicates and damage count as differences."""
    tables = []
    problems: list[str] = []
    for folder in (one, other):
        db = sqlite3.connect(folder / "nightly.sqlite")
        if db.execute("PRAGMA integrity_check").fetchone()[0] != "ok":
            problems.append(f"{folder.name} is damaged")
        twice = db.execute(
            "SELECT name, count(*) FROM runs WHERE gone_night IS NULL GROUP BY head, listing HAVING count(*) > 1 AND head IS NOT NULL"
        )
        problems += [f"{folder.name}: {name!r} is there {n} times" for name, n in twice]
        tables.append([tuple(row) for row in db.execute(STORED)])
        db.close()
    mine, fresh = map(set, tables)
    problems += [f"only in {one.name}: {row}" for row in sorted(mine - fresh, key=repr)[:10]]
    problems += [f"only in {other.name}: {row}" for row in sorted(fresh - mine, key=repr)[:10]]
    return len({row[0] for row in tables[1]}), sum(row[7] is not None for row in tables[1]), problems


def soak(folder: Path, runs: int, minutes: float, every: float) -> dict[str, object]:
    """The long soak; returns its figures."""
    logs, work = folder / "logs", folder / "work"
    fleet, reader, durations, errors = Fleet(logs, runs), Reader(work / "site"), [], []
    stop = threading.Event()

    def write() -> None:
        while not stop.wait(2.0):
            fleet.tick(time.time())

    fleet.tick(time.time())
    writer = threading.Thread(target=write, daemon=True)
    writer.start()
    reader.start()
    end = time.time() + 60 * minutes
    while time.time() < end:
        begun = time.time()
        process = nightly(logs, work, "site")
        _, said = process.communicate()
        durations.append(time.time() - begun)
        if process.returncode:
            errors.append(said.decode(errors="replace")[-300:])
        stop.wait(max(0.0, every - (time.time() - begun)))
    stop.set()
    writer.join()
    return finish(logs, work, reader, {"nights": len(durations), "slowest night s": round(max(durations), 1), "errors": errors})


def kill(folder: Path, runs: int, kills: int) -> dict[str, object]:
    """Nights that are killed at random moments, each followed by a whole one whose site and state are checked."""
    logs, work = folder / "logs", folder / "work"
    fleet, reader, errors = Fleet(logs, runs), Reader(work / "site"), []
    chance = random.Random(7)
    for i in range(5):
        fleet.tick(time.time() + i)
    reader.start()
    begun = time.time()
    nightly(logs, work, "site").communicate()
    typical = time.time() - begun
    landed = 0
    for i in range(kills):
        for k in range(3):
            fleet.tick(time.time() + k)
        process = nightly(logs, work, "site")
        time.sleep(chance.uniform(0.05, 1.0) * typical)
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
            landed += 1
        process.communicate()
        if i % 5 == 4:
            process = nightly(logs, work, "site")
            _, said = process.communicate()
            if process.returncode:
                errors.append(said.decode(errors="replace")[-300:])
            errors += check_site(work / "site")[1]
    return finish(logs, work, reader, {"kills": kills, "hit a night at work": landed, "errors": errors})


def finish(logs: Path, work: Path, reader: Reader, figures: dict[str, object]) -> dict[str, object]:
    """Freeze, run one more night, judge afresh at the same time, compare."""
    now = str(time.time())
    for name in ("site", "fresh"):
        process = nightly(logs, work, name, "--now", now)
        _, said = process.communicate()
        if process.returncode:
            raise SystemExit(said.decode(errors="replace"))
    reader.stop.set()
    reader.join()
    judged, findings, problems = compare(work / "site.state", work / "fresh.state")
    return {
        **figures,
        "runs": judged,
        "findings": findings,
        "polls": reader.polls,
        "links followed": reader.links,
        "broken": sorted(set(reader.problems))[:20],
        "differences": problems,
    }


def main() -> int:
    """Soak or kill; prints the figures and ends with 1 if anything was wrong."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--runs", type=int, default=300)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--every", type=float, default=60, help="seconds from one night's beginning to the next")
    parser.add_argument("--kills", type=int, default=0, help="instead of the long soak: kill this many nights at random moments")
    options = parser.parse_args()
    shutil.rmtree(options.folder, ignore_errors=True)
    if options.kills:
        figures = kill(options.folder, options.runs, options.kills)
    else:
        figures = soak(options.folder, options.runs, options.minutes, options.every)
    print(json.dumps(figures, indent=1, ensure_ascii=True))
    return int(bool(figures["errors"] or figures["broken"] or figures["differences"]))


if __name__ == "__main__":
    sys.exit(main())
