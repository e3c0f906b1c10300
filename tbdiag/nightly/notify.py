"""Tells a webhook what is new, in the JSON that Slack, Mattermost and their kin understand. Silent when nothing is new."""

from __future__ import annotations

import json
from collections.abc import Callable

from tbdiag.nightly.digest import Digest, headline

MOST = 10
TIMEOUT = 15.0


def make_message(digest: Digest, link: str = "") -> dict[str, object]:
    """A Slack-compatible message: ``text`` for the notification, ``blocks`` for the channel.

    Args:
        link: address of the published site; without it nothing is linked.
    """
    base = link.rstrip("/")
    first = f"{_escape(digest.title)}: {headline(digest)}"
    lines = []
    for line in digest.new[:MOST]:
        name = f"<{base}/{line.page}|{_escape(line.run[:80])}>" if base and line.page else f"*{_escape(line.run[:80])}*"
        owner = f" ({_escape(line.owner[:40])})" if line.owner else ""
        lines.append(f"• *{line.severity}* {name}{owner}: {_escape(line.title[:200])}")
    if digest.counts["new"] > MOST:
        more = f"and {digest.counts['new'] - MOST:,} more"
        lines.append(f"<{base}/index.html|{more}>" if base else more)
    return {
        "text": first,
        "blocks": [
            {"type": "section", "text": {"type": "mrkdwn", "text": f"*{first}*"}},
            {"type": "section", "text": {"type": "mrkdwn", "text": "\n".join(lines)[:2900]}},
        ],
    }


def post_new(url: str, digest: Digest, link: str, say: Callable[[str], None]) -> bool:
    """Post the night's new findings; nothing is sent when there are none. A webhook that fails costs a log line, never the night.

    The address is a secret: it is never logged, nor is anything that quotes it.
    """
    if not digest.new:
        return False
    from urllib.error import HTTPError
    from urllib.request import Request, urlopen

    if not url.startswith(("https://", "http://")):
        say("the webhook was not called: its address must begin with https:// or http://")
        return False
    request = Request(url, json.dumps(make_message(digest, link)).encode(), {"Content-Type": "application/json"})  # noqa: S310 - scheme checked above
    try:
        with urlopen(request, timeout=TIMEOUT) as answer:  # noqa: S310
            answer.read(1000)
    except HTTPError as error:
        say(f"the webhook answered {error.code}; the site is published all the same")
        return False
    except Exception as error:  # noqa: BLE001 - whatever the network does; the message could quote the address, its type cannot
        say(f"the webhook could not be reached ({type(error).__name__}); the site is published all the same")
        return False
    say(f"told the webhook of {digest.counts['new']:,} new findings")
    return True


def _escape(text: str) -> str:
    """Slack's three special characters; names are untrusted."""
    return " ".join(text.split()).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
