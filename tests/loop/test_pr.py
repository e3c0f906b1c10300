"""`tbdiag pr`: the comment, the four files, the exit code by policy, and posting against a stand-in for GitHub's API."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from loop.making import overfitting, run, side, write_log
from tbdiag.cli.app import run as tbdiag
from tbdiag.compare import compare_sides
from tbdiag.pr import POLICIES, Review
from tbdiag.pr import post as posting
from tbdiag.pr.tell import BUDGET, comment, verdict_line
from tbdiag.verify import verify_sides

ROOT = Path(__file__).resolve().parents[2]


def broken(seed: int = 5) -> dict[str, Any]:
    return {k: [*list(v)[:40], *([float("nan")] * 20)] for k, v in overfitting(seed, slope=0.0).items()}


def review(base: Any, head: Any) -> Review:
    if base is None:
        return Review(None, "main.json", head, None, None)
    return Review(base, base.label, head, compare_sides(base, head), verify_sides(base, head))


GOOD, FAULTY, BROKEN = side(run(overfitting(2, slope=0.0))), side(run(overfitting(1))), side(run(broken()))


@pytest.mark.parametrize(
    ("base", "head", "codes"),
    [
        (GOOD, GOOD, (0, 0, 0, 0)),
        (GOOD, BROKEN, (1, 1, 1, 0)),
        (BROKEN, BROKEN, (0, 1, 0, 0)),
        (BROKEN, GOOD, (0, 0, 0, 0)),
        (None, BROKEN, (1, 1, 1, 0)),
        (None, GOOD, (0, 0, 0, 0)),
    ],
    ids=["nothing", "new error", "old error", "fixed", "no base, error", "no base"],
)
def test_exit_codes_follow_the_policy(base: Any, head: Any, codes: tuple[int, ...]) -> None:
    result = review(base, head)
    assert tuple(result.exit_code(p) for p in POLICIES) == codes


def test_a_measure_that_got_worse_is_a_regression_but_no_new_error() -> None:
    worse = side(run(overfitting(3, slope=0.0, best=1.4)))
    result = review(GOOD, worse)
    assert result.exit_code("regression") == 1
    assert result.exit_code("new-error") == 0
    assert "val_loss worse" in verdict_line(result)


def test_the_comment_tells_what_is_new_with_action_and_rule() -> None:
    text = comment(review(GOOD, BROKEN), name="nightly", link="https://ci.example/report.html")
    assert text.startswith("<!-- tbdiag:nightly -->\n<!-- tbdiag-verdict: 1 new error")
    assert "**New**" in text
    assert "Do first: " in text
    assert "Fixed when: " in text
    assert "[Full report](https://ci.example/report.html)" in text


def test_the_comment_tells_what_was_fixed_and_by_which_rule() -> None:
    text = comment(review(FAULTY, side(run(overfitting(2, slope=0.0, best=0.5)))))
    assert "1 fixed" in text
    assert "**No longer found**" in text
    assert re.search(r"\| overfitting \| fixed \|", text)


def test_without_a_base_the_comment_says_so_and_every_error_is_new() -> None:
    text = comment(review(None, BROKEN))
    assert "There is no base to compare with yet" in text
    assert "every error counts as new" in text
    assert "1 new error" in text


def test_the_comment_stays_within_its_budget_and_keeps_the_errors() -> None:
    many = side(*(run(broken(i), f"run {i:04d} " + "x" * 150) for i in range(12)))
    data = [r.data for r in many.runs]
    wide = replace(
        many,
        runs=tuple(replace(many.runs[0], name=f"{d['name']} {i}", data={**d, "name": f"{d['name']} {i}"}) for i in range(40) for d in data),
    )
    text = comment(review(None, wide), link="https://ci.example/r")
    assert len(text) <= BUDGET
    assert "nan" in text
    assert text.rstrip().endswith("[Full report](https://ci.example/r)")
    assert text.startswith("<!-- tbdiag:report -->")


def test_hostile_names_stay_text() -> None:
    name = "x --> <script>alert(1)</script> | **b** @everyone\n# head"
    text = comment(review(None, side(run(broken(), name))), name=name)
    assert "<script>" not in text
    assert text.count("\n# ") == 0
    assert "@everyone" not in text.split("\n", 2)[2]


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("pr")
    write_log(root / "base" / "exp", overfitting(2, slope=0.0))
    write_log(root / "head" / "exp", broken())
    return root


def test_the_command_writes_four_files_that_serve_as_the_next_base(logs: Path, capfd: pytest.CaptureFixture[str]) -> None:
    out = logs / "out"
    assert tbdiag(["pr", "--base", str(logs / "base"), "--head", str(logs / "head"), "--out", str(out)]) == 1
    assert sorted(p.name for p in out.iterdir()) == ["comment.md", "junit.xml", "report.html", "report.json"]
    assert "1 new error" in (out / "comment.md").read_text(encoding="utf-8")
    assert "<testsuite" in (out / "junit.xml").read_text(encoding="utf-8")
    for report in ("report.json", "report.html"):
        again = ["pr", "--base", str(out / report), "--head", str(logs / "head"), "--out", str(logs / "out2")]
        assert tbdiag(again) == 0
        assert tbdiag([*again, "--fail-on", "error"]) == 1
    capfd.readouterr()
    assert tbdiag(["pr", "--base", str(logs / "none.json"), "--head", str(logs / "head"), "--out", str(logs / "out3")]) == 1
    assert "there is no base" in capfd.readouterr().err
    (logs / "bad.json").write_text("{", encoding="utf-8")
    assert tbdiag(["pr", "--base", str(logs / "bad.json"), "--head", str(logs / "head"), "--out", str(logs / "out4")]) == 2


class StandIn(BaseHTTPRequestHandler):
    """GitHub's comment API as far as the action uses it: list by pages, create, update; or every write refused."""

    comments: list[dict[str, Any]]
    refuse: int
    asked: list[str]

    def log_message(self, *args: object) -> None:
        pass

    def _answer(self, code: int, data: object) -> None:
        body = json.dumps(data).encode()
        self.send_response(code)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _take(self) -> dict[str, Any]:
        assert self.headers["Authorization"] == "Bearer secret"
        length = int(self.headers.get("Content-Length") or 0)
        self.asked.append(f"{self.command} {self.path.split('?')[0]}")
        data: dict[str, Any] = json.loads(self.rfile.read(length) or b"{}")
        return data

    def do_GET(self) -> None:
        self._take()
        query = dict(part.split("=") for part in self.path.split("?")[1].split("&"))
        page, size = int(query["page"]), int(query["per_page"])
        self._answer(200, self.comments[(page - 1) * size : page * size])

    def do_POST(self) -> None:
        data = self._take()
        if self.refuse:
            return self._answer(self.refuse, {"message": "Resource not accessible by integration"})
        self.comments.append({"id": len(self.comments) + 1, "body": data["body"]})
        return self._answer(201, {})

    def do_PATCH(self) -> None:
        data = self._take()
        if self.refuse:
            return self._answer(self.refuse, {})
        next(c for c in self.comments if str(c["id"]) == self.path.rsplit("/", 1)[1])["body"] = data["body"]
        return self._answer(200, {})


@pytest.fixture
def github(tmp_path: Path) -> Iterator[tuple[type[StandIn], dict[str, str]]]:
    handler = type("Handler", (StandIn,), {"comments": [], "refuse": 0, "asked": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    event = tmp_path / "event.json"
    event.write_text(json.dumps({"pull_request": {"number": 7}}), encoding="utf-8")
    env = {
        "GITHUB_API_URL": f"http://127.0.0.1:{server.server_port}",
        "GITHUB_TOKEN": "secret",
        "GITHUB_REPOSITORY": "some/where",
        "GITHUB_EVENT_PATH": str(event),
        "GITHUB_STEP_SUMMARY": str(tmp_path / "summary.md"),
    }
    yield handler, env
    server.shutdown()
    server.server_close()
    thread.join()


def posted(tmp_path: Path, text: str, env: dict[str, str]) -> int:
    file = tmp_path / "comment.md"
    file.write_text(text, encoding="utf-8")
    return posting.main([str(file)], env)


def test_one_comment_is_created_then_updated_and_keeps_the_previous_verdict(tmp_path: Path, github: Any) -> None:
    handler, env = github
    handler.comments.extend({"id": 1000 + i, "body": f"somebody says {i}"} for i in range(130))
    assert posted(tmp_path, comment(review(GOOD, BROKEN)), env) == 0
    assert posted(tmp_path, comment(review(BROKEN, GOOD)), env) == 0
    [mine] = [c["body"] for c in handler.comments if c["body"].startswith("<!-- tbdiag:")]
    assert "\nBefore: 1 new error" in mine
    assert "### tbdiag: 1 fixed" in mine
    assert posted(tmp_path, comment(review(GOOD, GOOD)), env) == 0
    [mine] = [c["body"] for c in handler.comments if c["body"].startswith("<!-- tbdiag:")]
    assert mine.count("Before: ") == 1
    assert "\nBefore: 1 fixed" in mine


def test_workflows_keep_comments_of_their_own(tmp_path: Path, github: Any) -> None:
    handler, env = github
    for name in ("vision", "speech", "vision"):
        assert posted(tmp_path, comment(review(GOOD, BROKEN), name=name), env) == 0
    assert len(handler.comments) == 2


@pytest.mark.parametrize("status", [401, 403, 404, 500])
def test_a_token_that_may_not_write_leaves_the_summary_and_never_fails(tmp_path: Path, github: Any, status: int) -> None:
    handler, env = github
    handler.refuse = status
    assert posted(tmp_path, comment(review(GOOD, BROKEN)), env) == 0
    assert "1 new error" in Path(env["GITHUB_STEP_SUMMARY"]).read_text(encoding="utf-8")
    assert not handler.comments


def test_no_pull_request_no_token_or_no_network_is_no_failure(tmp_path: Path, github: Any, capfd: pytest.CaptureFixture[str]) -> None:
    handler, env = github
    text = comment(review(GOOD, BROKEN))
    assert posted(tmp_path, text, {**env, "GITHUB_EVENT_PATH": str(tmp_path / "none")}) == 0
    assert posted(tmp_path, text, {**env, "GITHUB_TOKEN": ""}) == 0
    assert posted(tmp_path, text, {**env, "GITHUB_API_URL": "http://127.0.0.1:9"}) == 0
    assert not handler.asked
    assert "secret" not in capfd.readouterr().err
    assert posting.main([], env) == 2


def test_the_summary_stays_below_what_github_keeps(tmp_path: Path) -> None:
    path = tmp_path / "summary.md"
    posting.write_summary("é" * 900_000, str(path))
    assert path.stat().st_size < 1024 * 1024


def test_the_action_runs_the_commands_that_exist(logs: Path) -> None:
    """The shell of action.yml, executed as the runner would, with its inputs as environment variables."""
    import subprocess
    import sys

    text = (ROOT / "action.yml").read_text(encoding="utf-8")
    script = re.search(r"- id: judge.*?run: \|\n(.*?)\n    - ", text, re.DOTALL)
    assert script is not None
    shell = "\n".join(line.removeprefix("        ") for line in script[1].splitlines())
    output = logs / "github-output"
    env = {
        "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",
        "PYTHONPATH": str(ROOT),
        "GITHUB_OUTPUT": str(output),
        "RUNNER_TEMP": str(logs / "runner"),
        "TBDIAG_BASE": str(logs / "base"),
        "TBDIAG_HEAD": str(logs / "head"),
        "TBDIAG_FAIL_ON": "new-error",
        "TBDIAG_NAME": "report",
        "TBDIAG_LINK": "",
        "TBDIAG_PYTHON": sys.executable,
    }
    done = subprocess.run(["bash", "-e", "-c", shell], env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    said = dict(line.split("=", 1) for line in output.read_text(encoding="utf-8").splitlines())
    assert said["code"] == "1"
    assert Path(said["out"], "comment.md").is_file()
    missing = subprocess.run(["bash", "-e", "-c", shell], env={**env, "TBDIAG_BASE": ""}, capture_output=True, text=True, check=False)
    assert missing.returncode == 0, missing.stderr
