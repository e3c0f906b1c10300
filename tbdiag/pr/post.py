"""Put the comment on the pull request: create it, or update the one that stands there and keep its verdict line.

Run by the action as ``python -m tbdiag.pr.post COMMENT_FILE``. A token that may not write (pull requests from forks) leaves the
job summary alone, and never fails the job.
"""

from __future__ import annotations

import json
import os
import re
import sys
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tbdiag.compare.document import escape_markdown

SUMMARY_LIMIT = 1_000_000
"""Bytes of a job summary; GitHub drops the whole summary above 1 MiB."""
COMMENT_LIMIT = 65_000
PAGE = 100
MOST_PAGES = 50
_MARKER = re.compile(r"<!-- tbdiag:[^\n]*? -->")
_VERDICT = re.compile(r"<!-- tbdiag-verdict: ([^\n]*?) -->")


class RefusedError(Exception):
    """The API did not take a request; `status` is the HTTP status, or 0 where nothing answered."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def main(arguments: list[str] | None = None, environment: Mapping[str, str] | None = None) -> int:
    """Write the job summary, then the comment; 0 whatever the API says, 2 where there is no comment to post."""
    args = sys.argv[1:] if arguments is None else arguments
    env = os.environ if environment is None else environment
    if len(args) != 1 or not Path(args[0]).is_file():
        return _say("usage: python -m tbdiag.pr.post COMMENT_FILE", 2)
    body = Path(args[0]).read_text(encoding="utf-8")
    write_summary(body, env.get("GITHUB_STEP_SUMMARY"))
    number = pull_number(env)
    token, repository = env.get("GITHUB_TOKEN", ""), env.get("GITHUB_REPOSITORY", "")
    if number is None or not token or not repository:
        return _say("no pull request or no token: the summary alone was written")
    api = env.get("GITHUB_API_URL", "https://api.github.com").rstrip("/")
    try:
        done = post(api, repository, number, token, body)
    except RefusedError as error:
        if error.status in (401, 403, 404):
            return _say(f"the token may not comment (HTTP {error.status}, as for pull requests from forks): the summary alone was written")
        return _say(f"the comment was not written ({error}): the summary alone was written")
    return _say(f"comment {done} on pull request {number}")


def write_summary(body: str, path: str | None) -> None:
    """Append the comment to the job summary, cut to what GitHub keeps."""
    if not path:
        return
    data = body.encode("utf-8", "replace")
    if len(data) > SUMMARY_LIMIT:
        data = data[:SUMMARY_LIMIT].rsplit(b"\n", 1)[0] + b"\n\n_cut here: see the full report_"
    with Path(path).open("ab") as file:
        file.write(data + b"\n")


def pull_number(env: Mapping[str, str]) -> int | None:
    """Number of the pull request: ``TBDIAG_PR``, else from the event's payload; None for other events."""
    if env.get("TBDIAG_PR", "").isdigit():
        return int(env["TBDIAG_PR"])
    try:
        event = json.loads(Path(env.get("GITHUB_EVENT_PATH", "")).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    found = (event.get("pull_request") or {}).get("number") if isinstance(event, dict) else None
    return found if isinstance(found, int) else None


def post(api: str, repository: str, number: int, token: str, body: str) -> str:
    """Create or update the comment whose marker is the body's; ``"created"`` or ``"updated"``.

    Raises:
        RefusedError: the API did not take it.
    """
    marker = _MARKER.search(body)
    place = f"{api}/repos/{urllib.parse.quote(repository)}/issues"
    for old in _comments(f"{place}/{number}/comments", token):
        text = old.get("body") or ""
        if marker is not None and text.startswith(marker.group()):
            _call("PATCH", f"{place}/comments/{old['id']}", token, {"body": with_previous(body, text)[:COMMENT_LIMIT]})
            return "updated"
    _call("POST", f"{place}/{number}/comments", token, {"body": body[:COMMENT_LIMIT]})
    return "created"


def with_previous(body: str, old: str) -> str:
    """The new comment with the old one's verdict line below its own."""
    verdict = _VERDICT.search(old)
    if verdict is None:
        return body
    lines = body.split("\n")
    at = next((i for i, line in enumerate(lines) if line.startswith("#")), len(lines) - 1)
    return "\n".join([*lines[: at + 1], "", f"Before: {escape_markdown(verdict.group(1))}", *lines[at + 1 :]])


def _comments(url: str, token: str) -> Iterator[dict[str, Any]]:
    for page in range(1, MOST_PAGES + 1):
        many = _call("GET", f"{url}?per_page={PAGE}&page={page}", token)
        if not isinstance(many, list):
            return
        yield from (c for c in many if isinstance(c, dict))
        if len(many) < PAGE:
            return


def _call(method: str, url: str, token: str, data: object = None) -> Any:
    headers = {
        "Accept": "application/vnd.github+json",
        "Authorization": f"Bearer {token}",
        "User-Agent": "tbdiag",
        "X-GitHub-Api-Version": "2022-11-28",
    }
    payload = None if data is None else json.dumps(data).encode()
    request = urllib.request.Request(url, data=payload, method=method, headers=headers)  # noqa: S310 - GITHUB_API_URL is the runner's
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
            return json.loads(answer.read() or b"null")
    except urllib.error.HTTPError as error:
        raise RefusedError(error.code, f"HTTP {error.code} from {method} {urllib.parse.urlsplit(url).path}") from None
    except (OSError, ValueError) as error:
        raise RefusedError(0, f"{method} {urllib.parse.urlsplit(url).path}: {error}") from None


def _say(text: str, code: int = 0) -> int:
    sys.stderr.write(f"tbdiag: {text}\n")
    return code


if __name__ == "__main__":
    sys.exit(main())
