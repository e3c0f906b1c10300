"""How reports say numbers, steps, spans and names; shared by every format."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tbdiag.model.findings import own_unit

SEVERITIES = ("error", "warning", "note")

_HIDDEN = re.compile(
    "[\x00-\x1f\x7f-\x9f\u00ad\u061c\u115f\u1160\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164\ufeff\uffa0\ufff9-\ufffb"
    "\ud800-\udfff\U000e0000-\U000e007f]"
)
_COMBINING = re.compile(
    "([\u0300-\u036f\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]{3})[\u0300-\u036f\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]+"
)
_VISIBLE = {"\n": "\u23ce", "\r": "\u23ce", "\t": "\u21e5"}
_UNITS = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))
NAME_LIMIT = 120
TEXT_LIMIT = 1200


def number(value: float | None, digits: int = 4) -> str:
    """A value with `digits` significant digits: ``0.6213``, ``12,400``, ``3e-5``; an en dash for None."""
    if value is None:
        return "\u2013"
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else ("\u2212Inf" if value < 0 else "Inf")
    if value == int(value) and abs(value) < 1e7:
        return minus(f"{int(value):,}")
    if abs(value) >= 1e7 or abs(value) < 1e-4:
        mantissa, _, exponent = f"{value:.{digits - 1}e}".partition("e")
        mantissa = mantissa.rstrip("0").rstrip(".") if "." in mantissa else mantissa
        return minus(f"{mantissa}e{int(exponent)}")
    text = f"{value:,.{max(0, digits - 1 - math.floor(math.log10(abs(value))))}f}"
    return minus(text.rstrip("0").rstrip(".") if "." in text else text)


def minus(text: str) -> str:
    """The text with a real minus sign in front."""
    return "\u2212" + text[1:] if text.startswith("-") else text


def tick(value: float) -> str:
    """A tick label: ``0``, ``250``, ``2.5k``, ``1M``, ``0.05``, ``1e-5``."""
    if value == 0:
        return "0"
    size = abs(value)
    for unit, letter in _UNITS:
        if unit <= size < 1e15:
            return minus(f"{value / unit:.4g}{letter}")
    if size < 1e-3 or size >= 1e15:
        mantissa, _, exponent = f"{value:.2e}".partition("e")
        mantissa = mantissa.rstrip("0").rstrip(".")
        return minus(f"{mantissa}e{int(exponent)}")
    return minus(f"{value:.4g}")


def step(value: float | None) -> str:
    """A step with thousands separators."""
    return "\u2013" if value is None else minus(f"{int(value):,}")


def interval(value: Mapping[str, Any] | None) -> str:
    """An inclusive step interval: ``4,000\u20134,400``, one number where both ends agree, ``""`` for None."""
    if not value:
        return ""
    first, last = value["first_step"], value["last_step"]
    return step(first) if first == last else f"{step(first)}\u2013{step(last)}"


def onset(finding: Mapping[str, Any]) -> str:
    """Where a finding begins on the axis of the curves; where its series count another unit, there too: ``68-114 (epoch 3-5)``."""
    drawn = finding.get("drawn_onset")
    if not drawn:
        return interval(finding["onset"])
    return f"{interval(drawn)} ({own_unit(finding.get('onset_axis'))} {interval(finding['onset'])})"


def extent_end(finding: Mapping[str, Any]) -> str:
    """The last step of a finding's extent, as `onset` tells the first."""
    drawn, logged = finding.get("drawn_extent"), finding["extent"]
    if not drawn:
        return step(logged["last_step"]) if logged else ""
    return f"{step(drawn['last_step'])} ({own_unit(finding.get('onset_axis'))} {step(logged['last_step'])})"


def best_step(best: Mapping[str, Any] | None) -> str:
    """Step of the best checkpoint, as `onset` tells a finding's; ``8 by loss, 30 by accuracy`` where they go apart; ``""`` without one."""
    if not best:
        return ""
    drawn = best.get("drawn_step")
    told = step(best["step"]) if drawn is None else f"{step(drawn)} ({own_unit(best.get('axis'))} {step(best['step'])})"
    other = best.get("other")
    return f"{told} by loss, {best_step(other)} by {other['name']}" if other else told


def problem(issue: Mapping[str, Any]) -> str:
    """What could not be read, or which suppression no longer serves, in one line."""
    said = "" if issue.get("kind") == "suppression" else "not read: "
    return f"{said}{issue['file']}: {issue['message']}"


def chain(finding: Mapping[str, Any], axis: str = "step") -> str:
    """A story in order of onset: ``learning rate schedule (step 800-801), then exploding gradients (step 803)``; ``""`` without one."""
    return ", then ".join(f"{link['name']} ({axis} {interval(link['onset'])})" for link in finding.get("chain") or ())


def outcomes(experiment: Mapping[str, Any]) -> list[str]:
    """What each outcome of an experiment would mean, a sentence each; empty where none is told."""
    return [f"If {o['if']}: {o['means']}. Then {o['then']}." for o in experiment.get("outcomes") or ()]


def in_short(action: str, limit: int = 110) -> str:
    """An action for a table: whole where it is short, else its first clause."""
    if len(action) <= limit:
        return action
    clause = re.split(r"(?<=\w)[:;.](?= )|, (?=and |with |the )", action, maxsplit=1)[0]
    return f"{clause if len(clause) <= limit else clause[:limit].rpartition(' ')[0]} \u2026"


def rule_label(experiment: Mapping[str, Any]) -> str:
    """Heading of an experiment's rule: a test passes, everything else succeeds."""
    return "Passes when" if experiment.get("kind") == "test" else "Success when"


def axis_word(run: Mapping[str, Any]) -> str:
    """Word for one step of a run: ``step``, ``epoch``, ``env step``."""
    return str(run["span"].get("axis") or "step").replace("_", " ")


def duration(seconds: float | None) -> str:
    """``42 s``, ``18 min``, ``3 h 20 min``, ``2 d 4 h``; ``""`` where unknown."""
    if seconds is None or seconds < 0:
        return ""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 90:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    days, hours = divmod(hours, 24)
    return f"{days} d {hours} h" if hours else f"{days} d"


def size(count: float | None) -> str:
    """A number of bytes: ``812 B``, ``14 KiB``, ``1.2 MiB``."""
    if count is None:
        return ""
    if count < 1024:
        return f"{int(count)} B"
    for unit in ("KiB", "MiB", "GiB", "TiB"):
        count /= 1024
        if count < 1024 or unit == "TiB":
            return f"{count:.0f} {unit}" if count >= 10 else f"{count:.1f} {unit}"
    raise AssertionError


def plural(count: int, noun: str) -> str:
    """``1 note``, ``12 notes``, ``2 series``."""
    if count == 1 or noun.endswith("series"):
        return f"{count:,} {noun}"
    if noun.endswith("ss"):
        return f"{count:,} {noun}es"
    return f"{count:,} {noun[:-1]}ies" if noun.endswith("y") else f"{count:,} {noun}s"


def listed(items: Iterable[str], limit: int = 6) -> str:
    """``a, b and c``; beyond `limit` items ``a, b and 12 more``."""
    words = list(items)
    if len(words) > limit:
        words = [*words[: limit - 1], f"{len(words) - limit + 1} more"]
    return words[0] if len(words) == 1 else " and ".join(part for part in (", ".join(words[:-1]), words[-1] if words else "") if part)


def visible(text: str, limit: int = TEXT_LIMIT, *, lines: bool = False) -> str:
    """The text with everything that could hide or reorder it made visible, cut to `limit` characters.

    Control, bidirectional, zero-width and surrogate characters become escapes such as ``\\u202e``, stacks of combining
    marks are cut to three. With `lines`, line feeds and tabs stay.
    """
    if len(text) > limit:
        text = f"{text[: limit * 2 // 3]}\u2026{text[-limit // 3 :]}"
    if text.isascii() and text.isprintable():  # nearly every text
        return text
    text = _COMBINING.sub(r"\1", text)
    return _HIDDEN.sub(lambda m: m[0] if lines and m[0] in "\n\t" else _escape(m[0]), text)


def _escape(character: str) -> str:
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:  # a byte that was no UTF-8, kept by surrogateescape
        return f"\\x{code - 0xDC00:02x}"
    return _VISIBLE.get(character) or (f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}" if code < 65536 else f"\\U{code:08x}")


_LIMITS = {
    **dict.fromkeys(("name", "tag", "layer", "file", "path", "role", "label"), NAME_LIMIT),
    **dict.fromkeys(("title", "headline"), 300),
}
_NUMERIC = frozenset({"steps", "values", "quantiles", "zero", "epoch_steps", "numbers", "nonfinite"})


def visible_tree(value: Any, key: str = "") -> Any:
    """A copy of plain data in which every string went through `visible`."""
    if isinstance(value, str):
        if key == "snippet":
            return visible(value, lines=True)
        return visible(value, _LIMITS.get(key, TEXT_LIMIT))
    if key in _NUMERIC:
        return value
    if isinstance(value, dict):
        return {visible(k, NAME_LIMIT): visible_tree(v, k) for k, v in value.items()}
    if isinstance(value, list):
        return [visible_tree(v, key) for v in value]
    return value


def heads(run: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Findings of a run that are not a consequence of another one that is listed."""
    ids = {f["id"] for f in run["findings"]}
    return [f for f in run["findings"] if f.get("caused_by") not in ids or f.get("caused_by") == f["id"]]


def consequences(run: Mapping[str, Any], head: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Findings that `head` explains, directly or through another one, in their order."""
    wanted, out = {head["id"]}, []
    todo = [f for f in run["findings"] if f.get("caused_by") and f["id"] != head["id"]]
    while True:
        more = [f for f in todo if f["caused_by"] in wanted and f not in out]
        if not more:
            return [f for f in run["findings"] if f in out]
        out += more
        wanted |= {f["id"] for f in more}


def counts(findings: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    """Number of findings by severity, in the order error, warning, note."""
    found = [f["severity"] for f in findings]
    return {s: found.count(s) for s in SEVERITIES}


def counted(findings: Iterable[Mapping[str, Any]]) -> str:
    """``1 error, 2 notes``; ``no findings``."""
    return ", ".join(plural(n, s) for s, n in counts(findings).items() if n) or "no findings"


def worst(run: Mapping[str, Any]) -> str:
    """What a run's mark shows: ``error``, ``warning`` or ``note``, the worst of its findings, consequences too; else the verdict."""
    if run["verdict"] != "findings":
        return str(run["verdict"])
    return next((s for s, n in counts(run["findings"]).items() if n), "note")


def label(run: Mapping[str, Any]) -> str:
    """Name of a run as people know it: its name, or the logdir's own name for the logdir itself."""
    if run["name"] != ".":
        return str(run["name"])
    named, colon, _ = str(run["headline"]).partition(": ")
    return named if colon and named else str(run["path"]).replace("\\", "/").rstrip("/").rpartition("/")[2] or "."


def headline(run: Mapping[str, Any]) -> str:
    """What became of a run, without its name."""
    text = str(run["headline"] or run["verdict"])
    for name in (label(run), str(run["name"])):
        text = text.removeprefix(f"{name}: ")
    return text


def run_title(run: Mapping[str, Any]) -> str:
    """``name: what became of it``."""
    return f"{label(run)}: {headline(run)}"


def report_title(report: Mapping[str, Any]) -> str:
    """The verdict of the whole report in one line."""
    runs = report["runs"]
    if len(runs) == 1:
        return run_title(runs[0])
    return f"{plural(len(runs), 'run')}: {counted_runs(runs)}" if runs else "no runs"


def counted_runs(runs: Sequence[Mapping[str, Any]]) -> str:
    """``2 with errors, 3 with warnings, 5 healthy``; ``""`` without runs."""
    kinds = [worst(run) for run in runs]
    said = {"error": "with errors", "warning": "with warnings", "note": "with notes only", "unreadable": "unreadable"}
    order = ("error", "warning", "unreadable", "unclear", "note", "healthy")
    return ", ".join(f"{kinds.count(k):,} {said.get(k, k)}" for k in order if k in kinds)


def _logged_steps(run: Mapping[str, Any]) -> tuple[int, int]:
    """First and last step of all series with a role that were logged on the axis of the main one, whose range the span is."""
    first, last = run["span"]["first_step"], run["span"]["last_step"]
    curves = [c for c in run["curves"] if c["steps"] and c["role"] not in ("unknown", "counter", "step_time")]
    axes = {c["axis"] for c in curves if c["main"] and (c["steps"][0], c["steps"][-1]) == (first, last)}
    alike = [c["steps"] for c in curves if len(axes) == 1 and c["axis"] in axes]
    return min([first, *(s[0] for s in alike)]), max([last, *(s[-1] for s in alike)])


def what_was_read(run: Mapping[str, Any]) -> str:
    """What the verdict rests on: points, series, steps, time, files, and what was lost."""
    span = run["span"]
    parts = []
    if span.get("points"):
        parts.append(f"{plural(int(span['points']), 'point')} in {plural(len(run['signals']), 'series')}")
    if span.get("first_step") is not None:
        first, last = _logged_steps(run)
        parts.append(f"{axis_word(run)}s {step(first)}\u2013{step(last)}")
    if (span.get("seconds") or 0) >= 1:
        parts.append(duration(span["seconds"]))
    if span.get("files"):
        total, readable = span.get("bytes"), span.get("bytes_readable")
        text = plural(int(span["files"]), "event file")
        if total is not None:
            text += f", {size(total)}"
        if total is not None and readable is not None:
            text += " read completely" if readable >= total else f", {size(total - readable)} of it unreadable"
        parts.append(text)
    return " \u00b7 ".join(parts)


__all__ = [name for name in dir() if not name.startswith("_")]
