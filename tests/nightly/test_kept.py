"""A page is taken over from the night before exactly as long as nothing that it shows has changed."""

from __future__ import annotations

from pathlib import Path

import pytest

from tbdiag.config import Suppression
from tbdiag.nightly.digest import gather_digest
from tbdiag.nightly.publish import publish
from tbdiag.nightly.state import DATABASE, State, open_state
from tests.nightly.test_site import check_site, fill, rows
from tests.nightly.world import DAY, LATER

PAGES = [f"page-{n}.html" for n in range(2, 8)]


class Site:
    """A site of 1,230 runs, the first night published."""

    def __init__(self, folder: Path) -> None:
        self.state, self.site, self.night = folder / "state", folder / "site", 0
        self.go(1230)

    def go(self, runs: int = 0, *, at: float | None = None, change: str = "", mutes: tuple[Suppression, ...] = ()) -> set[str]:
        """One more night after a change; the pages that were written anew."""
        before = self.inodes()
        self.night += 1
        now = at if at is not None else LATER + self.night * DAY
        with open_state(self.state) as state:
            self.close(state, runs, now, change, mutes)
            publish(state, gather_digest(state, self.night, "Runs"), self.site, pages=True, now=now, keep_days=30)
        assert check_site(self.site)[1] == []
        after = self.inodes()
        return {name for name in after if after[name] != before.get(name)}

    def close(self, state: State, runs: int, now: float, change: str, mutes: tuple[Suppression, ...]) -> None:
        fill(state, runs, self.night, mutes)
        state.db.execute("UPDATE nights SET now = ? WHERE id = ?", (now, self.night))
        state.db.executescript(change)

    def inodes(self) -> dict[str, int]:
        return {name: (self.site / name).stat().st_ino for name in PAGES if (self.site / name).exists()}

    def failures(self) -> int:
        return (self.site / "junit.xml").read_text().count("<failure")


@pytest.fixture
def site(tmp_path: Path) -> Site:
    site = Site(tmp_path)
    site.go()  # warnings of the first night become new
    site.go()  # and are known from the third on
    return site


def test_a_night_without_changes_writes_the_index_alone(site: Site) -> None:
    index = (site.site / "index.html").read_text()
    assert site.go() == set()
    assert (site.site / "index.html").read_text() != index
    assert f"night {site.night}, judged" in (site.site / "index.html").read_text()
    assert "judged as of" not in (site.site / "page-2.html").read_text()


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE runs SET owner = 'someone else' WHERE id = 1203",
        "UPDATE runs SET last_write = last_write + 60 WHERE id = 1203",
        "UPDATE history SET state = 'regressed' WHERE run = 30 AND finding = 'overfitting'",
        "UPDATE findings SET title = 'Another title' WHERE run = 30",
        "INSERT INTO reports VALUES('run-1203.html', 1203, NULL)",
    ],
)
def test_what_a_row_shows_has_its_page_written_anew(site: Site, change: str) -> None:
    if "reports" in change:
        (site.state / "reports" / "run-1203.html").write_text("<html></html>")
    shown = {name: rows(site.site / name) for name in ("index.html", *PAGES)}
    anew = site.go(change=change)
    differ = {name for name in shown if rows(site.site / name) != shown[name]}
    assert len(differ) == 1
    assert anew == differ - {"index.html"} or (anew == set(PAGES) and "owner" in change)  # owners are named by number


def test_a_status_that_changes_with_time_is_no_change_of_the_state(site: Site) -> None:
    live = site.go(at=LATER + 60)
    assert live == set(PAGES)  # every run is live at this time
    assert site.go(at=LATER + 61) == set()
    assert site.go(at=LATER + 40 * DAY) == set(PAGES)


def test_a_mute_shows_and_ends(site: Site) -> None:
    mute = Suppression("overfitting", "known", run="*run_00030")

    def row() -> str:
        return next(row for row in rows(site.site / "index.html") if "run_00030" in row)

    assert "t-muted" not in row()
    for _ in range(2):
        site.go(mutes=(mute,))
        assert "t-muted" in row()
    site.go()
    assert "t-muted" not in row()


def test_a_mute_that_stays_is_no_change(site: Site) -> None:
    mute = Suppression("overfitting", "known", run="*")
    site.go(mutes=(mute,))
    changed = "SELECT max(changed) FROM runs"
    with open_state(site.state) as state:
        before = state.db.execute(changed).fetchone()
    site.go(mutes=(mute,))
    with open_state(site.state) as state:
        assert state.db.execute(changed).fetchone() == before


def test_a_rebuilt_state_trusts_no_page(site: Site) -> None:
    for name in ("", "-wal", "-shm"):
        (site.state / f"{DATABASE}{name}").unlink(missing_ok=True)
    site.night = 0
    with open_state(site.state) as state:
        fill(state, 1230, 1)
        state.db.execute("DROP TRIGGER findings_update")  # were the numbers of two states mixed up, this would go unnoticed
        state.db.execute("UPDATE findings SET title = 'Of another state'")
    site.night = 1
    site.go()
    assert "Of another state" in (site.site / "index.html").read_text()


@pytest.mark.parametrize("change", ["DELETE FROM parts", "UPDATE parts SET stamp = 'x'", "DELETE FROM parts WHERE name = 'page-2.html'"])
def test_kept_rows_that_are_lost_are_made_again(site: Site, change: str) -> None:
    assert site.go(change=change) == set()  # made again, found the same and shared
    with open_state(site.state) as state:
        assert state.db.execute("SELECT count(*), sum(length(data)) > 10000 FROM parts").fetchone() == (7, 1)


def test_a_page_that_is_missing_is_written(site: Site) -> None:
    (site.site / "page-3.html").unlink()
    assert site.go() == {"page-3.html"}


def test_a_page_of_another_night_is_noticed(site: Site) -> None:
    assert check_site(site.site)[1] == []
    page = site.site / "page-2.html"
    text = page.read_text()
    page.unlink()
    page.write_text(text.replace("run_00", "run_99", 1))
    assert "page-2.html" in str(check_site(site.site)[1])


def test_junit_is_kept_while_nothing_of_it_changes(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    import tbdiag.nightly.publish as module

    written = []
    real = module.write_junit
    monkeypatch.setattr(module, "write_junit", lambda *given: (written.append(1), real(*given)))
    before = site.failures()
    site.go()
    assert (written, site.failures()) == ([], before)
    site.go(change="UPDATE history SET state = 'ongoing' WHERE state = 'new'; UPDATE runs SET last_write = last_write + 1")
    assert (written, site.failures()) == ([], before)
    site.go(change="UPDATE history SET state = 'fixed', fixed_by = 1 WHERE run = 30")
    assert (len(written), site.failures()) == (1, before - 1)
    site.go(change="UPDATE runs SET gone_night = 3 WHERE id = 40")
    assert (len(written), site.failures()) == (2, before - 2)
    site.go(mutes=(Suppression("overfitting", "known", run="*run_00050"),))
    assert (len(written), site.failures()) == (3, before - 3)
    site.go()
    assert (len(written), site.failures()) == (4, before - 2)
