"""What people open in the morning: complete without scripts, safe against names, switched as a whole."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path

import pytest

from tbdiag.config import Suppression
from tbdiag.errors import StateError
from tbdiag.nightly import digest as digests
from tbdiag.nightly import history
from tbdiag.nightly.digest import gather_digest, write_json, write_markdown
from tbdiag.nightly.publish import publish, switch
from tbdiag.nightly.rows import spark_svg
from tbdiag.nightly.state import State, open_state
from tests.conftest import find_chromium, needs_chromium
from tests.nightly.world import DAY, LATER, Nights, load_benchmark, write

check_site = load_benchmark("soak").check_site
HOSTILE = "<script>alert(1)</script>\"'&\n| [x](javascript:1)"


def fill(state: State, runs: int, night: int = 1, mutes: tuple[Suppression, ...] = ()) -> None:
    """A closed night over many runs: every twentieth with an error, every tenth with a warning, names hostile at times."""
    db = state.db
    db.execute("INSERT INTO nights(id, now) VALUES(?, ?)", (night, LATER + night * DAY))
    state.number_changes()
    with state.transaction():
        for i in range(1, runs + 1):
            name = f"user{i % 9}/run_{i:05d}" + (HOSTILE if i == 20 else "")
            db.execute(
                """
                INSERT OR REPLACE INTO runs(id, path, root, name, listing, files, owner, family, judge, verdict, last_write, live_until, spark,
                    judged_night, first_night) VALUES(?, ?, ?, ?, x'00', '[]', ?, '', 'x', ?, ?, ?, ?, ?, ?)
                """,
                (
                    i,
                    name.encode(),
                    b"/root",
                    name,
                    f"user{i % 9}",
                    "findings" if i % 10 == 0 else "healthy",
                    LATER,
                    LATER + 1800,
                    "zzyxwvutsrq--0123456789abcde",
                    night,
                    night,
                ),
            )
            if i % 10 == 0:
                severity = 0 if i % 20 == 0 else 1
                db.execute(
                    "INSERT OR REPLACE INTO findings VALUES(?, ?, ?, 0.9, 0, ?, ?, 1, 2, NULL, 'f', '{}')",
                    (
                        i,
                        "nan-inf" if severity == 0 else "overfitting",
                        severity,
                        f"Something of {name} broke at step 3",
                        "Rerun with care.",
                    ),
                )
    history.close_night(state, night, LATER + night * DAY, mutes, 1.0)


@pytest.fixture
def big(tmp_path: Path) -> Path:
    """A published site of 1,230 runs."""
    with open_state(tmp_path / "state") as state:
        fill(state, 1230)
        publish(state, gather_digest(state, 1, "Runs"), tmp_path / "site", pages=True, now=LATER + DAY, keep_days=30)
    return tmp_path / "site"


def rows(page: Path) -> list[str]:
    text = page.read_text(encoding="utf-8")
    return re.findall(r"<tr>.*?</tr>", text[text.index('id="rows"') :], re.DOTALL)


def test_pages_hold_at_most_200_rows_worst_first_and_all_runs(big: Path) -> None:
    pages = [rows(big / name) for name in ("index.html", *(f"page-{n}.html" for n in range(2, 8)))]
    assert [len(p) for p in pages] == [200] * 6 + [30]
    kinds = [re.search(r"</svg> (\w+)</td>", row)[1] for page in pages for row in page]  # type: ignore[index]
    assert kinds == ["Error"] * 61 + ["Warning"] * 62 + ["Healthy"] * 1107
    names = {re.search(r"run_(\d{5})", row)[1] for page in pages for row in page}  # type: ignore[index]
    assert len(names) == 1230
    assert not (big / "page-8.html").exists()


def test_names_are_text_everywhere(big: Path) -> None:
    index = (big / "index.html").read_text(encoding="utf-8")
    assert "<script>alert" not in index
    assert "&lt;script&gt;alert" in index
    block = re.search(r'<script type="application/json" id="data">(.*?)</script>', index, re.DOTALL)
    assert block is not None
    assert "<" not in block[1]
    assert any("<script>alert" in row[0] for row in json.loads(block[1])["rows"])
    digest = (big / "digest.md").read_text(encoding="utf-8")
    assert "<script>" not in digest
    assert "[x](javascript" not in digest
    json.loads((big / "digest.json").read_text(encoding="utf-8"), parse_constant=pytest.fail)


def test_junit_is_valid_and_complete(big: Path) -> None:
    suite = ET.parse(big / "junit.xml").getroot()[0]
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("1230", "123", "0")
    assert sum(case.find("failure") is not None for case in suite) == 123


def test_every_link_leads_somewhere_and_nothing_is_fetched(big: Path) -> None:
    links, problems = check_site(big)
    assert links >= 6
    assert problems == []
    index = (big / "index.html").read_text(encoding="utf-8")
    assert not re.search(r'(?:src|href)="(?:https?:)?//', index)
    assert not re.search(r"\son\w+=|\sstyle=", index)
    assert len(index) < 1_000_000


def test_pages_that_are_no_longer_needed_still_lead_back(big: Path, tmp_path: Path) -> None:
    with open_state(tmp_path / "state") as state:
        state.db.execute("UPDATE runs SET gone_night = 2 WHERE id > 400")
        fill(state, 0, night=2)
        publish(state, gather_digest(state, 2, "Runs"), big, pages=True, now=LATER + 2 * DAY, keep_days=30)
    assert [len(rows(big / name)) for name in ("index.html", "page-2.html")] == [200, 200]
    assert "This page is empty now" in (big / "page-3.html").read_text()
    assert check_site(big)[1] == []


def test_the_same_state_gives_the_same_bytes(big: Path, tmp_path: Path) -> None:
    with open_state(tmp_path / "state") as state:
        publish(state, gather_digest(state, 1, "Runs"), tmp_path / "again", pages=True, now=LATER + DAY, keep_days=30)
    for file in (p for p in big.rglob("*") if p.is_file()):
        assert file.read_bytes() == (tmp_path / "again" / file.relative_to(big)).read_bytes()


def test_unchanged_files_are_shared_and_changed_reports_are_not(tmp_path: Path) -> None:
    nights = Nights(tmp_path, site=tmp_path / "site")
    for i in range(2):
        write(nights.logs / f"run{i}", "nan", seed=i)
    nights.run(LATER)
    before = {p.name: (p.stat().st_ino, p.read_text()) for p in (nights.site / "runs").iterdir()}
    assert len(before) == 2
    write(nights.logs / "run1", "nan", seed=7, n=90)
    nights.run(LATER + DAY)
    after = {p.name: (p.stat().st_ino, p.read_text()) for p in (nights.site / "runs").iterdir()}
    same = [name for name in before if before[name] == after[name]]
    assert [name[:4] for name in same] == ["run0"]
    assert len(after) == 2


def test_a_report_that_is_no_longer_listed_stays_for_a_while(tmp_path: Path) -> None:
    nights = Nights(tmp_path, site=tmp_path / "site", keep_days=3)
    file = write(nights.logs / "a", "nan")
    write(nights.logs / "b", "nan", seed=3)
    nights.run(LATER)
    file.unlink()
    write(nights.logs / "a", "healthy", n=90, seed=4)
    nights.run(LATER + DAY)
    assert len(list((nights.site / "runs").iterdir())) == 2
    assert 'href="runs/a-' not in (nights.site / "index.html").read_text().split('id="rows"')[1]
    nights.run(LATER + 6 * DAY)
    assert [p.name[0] for p in (nights.site / "runs").iterdir()] == ["b"]


def test_the_report_of_a_run_that_is_gone_goes_with_it(tmp_path: Path) -> None:
    nights = Nights(tmp_path, site=tmp_path / "site", keep_days=3)
    write(nights.logs / "a", "nan")
    gone = write(nights.logs / "b", "nan", seed=3)
    nights.run(LATER)
    gone.unlink()
    nights.run(LATER + DAY)
    assert {p.name[0] for p in (nights.site / "runs").iterdir()} == {"a", "b"}
    write(nights.logs / "c", "healthy", seed=4)
    nights.run(LATER + 6 * DAY)
    write(nights.logs / "d", "healthy", seed=5)
    nights.run(LATER + 7 * DAY)
    assert [p.name[0] for p in (nights.site / "runs").iterdir()] == ["a"]
    assert [p.name[0] for p in (nights.options.state / "reports").iterdir()] == ["a"]
    rows = (nights.site / "index.html").read_text().split('id="rows"')[1]
    assert re.findall(r'href="runs/(.)-', rows) == ["a"]


def test_all_reports_on_demand(tmp_path: Path) -> None:
    nights = Nights(tmp_path, site=tmp_path / "site")
    write(nights.logs / "a", "healthy")
    write(nights.logs / "b", "nan", seed=2)
    nights.run(LATER)
    assert len(list((nights.site / "runs").iterdir())) == 1
    assert nights.run(LATER + 60, reports="all").reasons == {"report": 1}
    assert len(list((nights.site / "runs").iterdir())) == 2


def test_the_digest_alone(tmp_path: Path) -> None:
    nights = Nights(tmp_path, site=tmp_path / "site", pages=False)
    write(nights.logs / "a", "nan")
    nights.run(LATER)
    assert {p.name for p in nights.site.iterdir()} == {"digest.md", "digest.json", "junit.xml", ".tbdiag-site"}
    nights.run(LATER + DAY, pages=True)
    assert (nights.site / "index.html").exists()
    assert check_site(nights.site)[1] == []


def test_old_digests_are_kept_and_then_dropped(tmp_path: Path) -> None:
    nights = Nights(tmp_path, site=tmp_path / "site", keep_days=2)
    write(nights.logs / "a", "nan")
    for day in range(5):
        nights.run(LATER + day * DAY)
    assert sorted(p.name for p in (nights.site / "nights").glob("*.md")) == ["3.md", "4.md", "5.md"]


def test_a_night_that_dies_while_publishing_leaves_the_last_site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import tbdiag.nightly.publish as module

    nights = Nights(tmp_path, site=tmp_path / "site")
    write(nights.logs / "a", "nan")
    nights.run(LATER)
    before = (nights.site / "index.html").read_bytes()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device", "digest.json")

    monkeypatch.setattr(module, "write_json", full)
    with pytest.raises(StateError, match="the disk is full"):
        nights.run(LATER + DAY)
    assert (nights.site / "index.html").read_bytes() == before
    monkeypatch.undo()
    nights.run(LATER + DAY)
    assert not (tmp_path / ".site.next").exists()


def test_a_directory_of_somebody_else_is_not_replaced(tmp_path: Path) -> None:
    nights = Nights(tmp_path, site=tmp_path / "home")
    write(nights.logs / "a", "healthy")
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "thesis.tex").touch()
    with pytest.raises(StateError, match="did not write"):
        nights.run(LATER)
    assert (tmp_path / "home" / "thesis.tex").exists()


def test_switching_without_the_atomic_call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import tbdiag.nightly.publish as module

    monkeypatch.setattr(module, "_exchange", lambda *_: False)
    for name in ("old", "new"):
        (tmp_path / name).mkdir()
        (tmp_path / name / name).touch()
    switch(tmp_path / "new", tmp_path / "old")
    assert (tmp_path / "old" / "new").exists()
    assert (tmp_path / "new" / "old").exists()


def test_state_and_site_on_different_disks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nights = Nights(tmp_path, site=tmp_path / "site")
    write(nights.logs / "a", "nan")
    link = os.link

    def apart(source: Path, target: Path) -> None:
        if "reports" in source.parts:
            raise OSError(18, "Invalid cross-device link")
        link(source, target)

    monkeypatch.setattr(os, "link", apart)
    nights.run(LATER)
    before = {p.name: p.stat().st_ino for p in (nights.site / "runs").iterdir()}
    assert before
    nights.run(LATER + DAY)
    assert {p.name: p.stat().st_ino for p in (nights.site / "runs").iterdir()} == before


def test_a_digest_fits_a_comment_however_much_is_new(big: Path, tmp_path: Path) -> None:
    with open_state(tmp_path / "state") as state:
        digest = gather_digest(state, 1, "Runs")
        assert len(digest.new) <= digests.MOST
        long = replace(digest, new=tuple(replace(line, title="x" * 5000, action="y" * 5000, run="z" * 5000) for line in digest.new))
        assert len(write_markdown(long)) < 60_000
        assert json.loads(write_json(digest))["counts"]["runs"] == 1230


def test_gaps_in_sparklines() -> None:
    assert spark_svg("") == spark_svg("----") == ""
    assert spark_svg("z0-5").count("M") == 3  # two pieces and the mark of the gap


@needs_chromium
@pytest.mark.parametrize(
    ("query", "shown", "total"),
    [("run_00777", 1, 1230), ("user3", 137, 1230), ("overfitting user1", 7, 1230), ("run_", 200, 1230)],
)
def test_filtering_all_runs_in_a_browser(big: Path, tmp_path: Path, query: str, shown: int, total: int) -> None:
    dom = dump_dom(f"{(big / 'index.html').as_uri()}#q={query.replace(' ', '%20')}", tmp_path)
    body = dom[dom.index('id="rows"') :].partition("</tbody>")[0]
    assert body.count("<tr>") == shown
    matched = re.search(r'<output id="shown">([\d,]+) of ([\d,]+) runs', dom)
    assert matched is not None
    assert matched[2] == f"{total:,}"
    assert "<script>alert(1)" not in body


@needs_chromium
def test_the_script_draws_the_same_rows_as_the_page(big: Path, tmp_path: Path) -> None:
    plain = dump_dom((big / "index.html").as_uri(), tmp_path)
    drawn = dump_dom((big / "index.html").as_uri() + "#q=run_", tmp_path)

    def cells(dom: str) -> list[str]:
        body = dom[dom.index('id="rows"') :].partition("</tbody>")[0]
        return [re.sub(r"\s+", " ", re.sub(r"<[^>]+>", "|", row)).replace("> |", ">|").strip() for row in body.split("</tr>")]

    assert cells(plain) == cells(drawn)


def dump_dom(address: str, folder: Path) -> str:
    profile = folder / "profile"
    command = [
        str(find_chromium()),
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--virtual-time-budget=4000",
        f"--user-data-dir={profile}",
        "--dump-dom",
        address,
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    shutil.rmtree(profile, ignore_errors=True)
    return done.stdout
