"""The ONE next experiment of a run: the change itself where the log shows the cause, else what separates the causes at least cost.

A head's first action is its cure for the leading cause. It is chosen where one hypothesis leads by two to one. Where more are alive, the
experiment with the most information per cost is chosen: the entropy (bits) of its outcomes over the hypotheses that are alive, as in
de Kleer and Williams, "Diagnosing multiple faults" (1987), divided by what it costs.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from tbdiag.diagnosis.facts import Case
from tbdiag.diagnosis.hypotheses import TOLD, Hypothesis, head_kind, list_alive, list_hypotheses
from tbdiag.diagnosis.trials import CURES, TRIALS, Cost, Outcome, Trial
from tbdiag.diagnosis.verdict import holds_curves
from tbdiag.features import Features
from tbdiag.model import Domain, Finding, MissingEvidence, SuccessRule
from tbdiag.model.report import verify_command
from tbdiag.success import compile_rule

RESUMES = ("resume", "checkpoint", "continue")
"""Words of a first action that costs a part of a run only."""
WORTH_LOGGING = 2
"""Checks that must have been impossible without an artefact before a run without findings is asked to log it; fewer are no reason to rerun."""
FEW, ENOUGH = 3, 10
"""Evaluations below which validation has no course, and how many are asked for."""
LOOKS = ("print", "read", "log", "check", "compare", "diff", "count", "look", "evaluate", "hash")
"""Words with which a first action begins that is a look and no change."""


def choose_experiment(
    findings: tuple[Finding, ...], features: Features, missing: tuple[MissingEvidence, ...], verdict: str = "unclear"
) -> dict[str, Any] | None:
    """What to do next, why, and the rule that reads its outcome; None where nothing is to do.

    Keys: ``finding``, ``kind`` (``change``, ``test``: a trial with a rule of its own, ``check``: a look, after which the finding's rule
    judges the mended run, ``log``: evidence to be logged), ``trial`` (name of a test), ``cost`` (``look``, ``short-run``, ``rerun``),
    ``action``, ``why``, ``outcomes`` (dicts ``if``, ``means``, ``then``; the first is what the rule passes on), ``success_rule`` (a sentence),
    ``rule`` (the same as data, or None), ``command``.
    """
    heads = [f for f in findings if f.caused_by is None and f.severity.rank < 2]
    if heads:
        return _experiment(heads, findings, features)
    if verdict == "healthy":
        return None
    return _log_training(features) or _evaluate_more(features) or _log_first(findings, missing)


def _log_training(features: Features) -> dict[str, Any] | None:
    """Where no series has two points (a graph, texts, final metrics only), there is no training to validate."""
    if holds_curves(features):
        return None
    key = "reward" if features.signals.domain is Domain.REINFORCEMENT else "train_loss"
    name = "reward" if key == "reward" else "training loss"
    rule = compile_rule(f"points({key}) >= {ENOUGH}", sentence=f"The next run logs the {name} at {ENOUGH} points or more.", guards=())
    return _ask(
        f"Log the {name} in the next run.", "No scalar series of this log has two points: nothing tells how the training went.", rule
    )


def _evaluate_more(features: Features) -> dict[str, Any] | None:
    """Where validation was logged at one or two points, which tell no course."""
    key = next((k for k in ("val_loss", "val_metric") if (c := features.curve(k)) is not None and 0 < c.n < FEW), None)
    curve = features.curve(key) if key else None
    if key is None or curve is None:
        return None
    rule = compile_rule(f"points({key}) >= {ENOUGH}", sentence=f"The next run logs at least {ENOUGH} evaluations.", guards=())
    seen = f"{curve.n} evaluation{'s' * (curve.n != 1)}"
    return _ask(
        f"Evaluate at least {ENOUGH} times in the next run.",
        f"Nothing wrong was found, but {seen} tell{'s' * (curve.n == 1)} no course.",
        rule,
    )


def _log_first(findings: tuple[Finding, ...], missing: tuple[MissingEvidence, ...]) -> dict[str, Any] | None:
    """The artefact that the audit ranks first, where enough depends on it."""
    absent = [m for m in missing if not m.present]
    note = next((f for f in findings if f.id == "missing-evidence"), None)
    if not absent or len(absent[0].decides) < WORTH_LOGGING or note is None:
        return None
    nothing = "Nothing certain" if any(f.id not in ("missing-evidence", "restart-overlap") for f in findings) else "Nothing wrong"
    why = f"{nothing} was found in what was logged; the {absent[0].title} {absent[0].why}."
    return _ask(note.first_action, why, note.success_rule)


def _ask(action: str, why: str, rule: SuccessRule) -> dict[str, Any]:
    """An experiment that is a run as before with more in its log."""
    return {
        "finding": "missing-evidence",
        "kind": "log",
        "trial": "",
        "cost": "rerun",
        "action": action,
        "why": why,
        "outcomes": (),
        "success_rule": rule.sentence,
        "rule": rule,
        "command": verify_command(),
    }


@dataclass(frozen=True, slots=True)
class _Choice:
    kind: str
    trial: Trial
    alive: tuple[Hypothesis, ...]
    all: tuple[Hypothesis, ...]


def _experiment(heads: list[Finding], findings: tuple[Finding, ...], features: Features) -> dict[str, Any]:
    case = Case(heads[0], findings, features)
    choice = _choose(case)
    rule = choice.trial.rule or case.head.success_rule
    return {
        "finding": case.head.id,
        "kind": choice.kind,
        "trial": choice.trial.id,
        "cost": choice.trial.cost.word,
        "action": choice.trial.action,
        "why": _why(choice, case, heads),
        "outcomes": tuple(_outcomes(choice)),
        "success_rule": rule.sentence,
        "rule": rule,
        "command": verify_command(),
    }


def _choose(case: Case) -> _Choice:
    hypotheses = list_hypotheses(case)
    change = _change(case, hypotheses)
    first = "check" if change.cost is Cost.LOOK else "change"
    if not hypotheses:
        return _Choice(first, change, (), ())
    alive = list_alive(hypotheses)
    if all(_cures(change, h) for h in alive):  # where the change remedies all of them, nothing need be told apart
        return _Choice(first, change, alive, hypotheses)
    # One cause that the first action would not remedy is tested against the others before anything is changed.
    pool = alive if len(alive) > 1 else hypotheses
    best, most = change, _bits(change, pool) / change.cost
    for make in TRIALS.get(head_kind(case), ()):
        trial = make(case)
        if trial is not None and _bits(trial, pool) / trial.cost > most:
            best, most = trial, _bits(trial, pool) / trial.cost
    kind = first if best is change else "check" if best.rule is None else "test"
    return _Choice(kind, best, alive, hypotheses)


def _change(case: Case, hypotheses: tuple[Hypothesis, ...]) -> Trial:
    """The finding's first action as an experiment: it passes if a cause that it remedies was the cause."""
    action = case.head.first_action
    words = action.lower()
    if words.startswith(LOOKS) and "rerun" not in words:  # what it would show is not said, so that it separates nothing by itself
        return Trial(action, Cost.LOOK, ())
    cost = Cost.SHORT if any(word in words for word in RESUMES) else Cost.RERUN
    acted_on = frozenset(h.kind for h in hypotheses if h.acted_on)
    cured = acted_on or CURES.get(case.head.id, frozenset(h.kind for h in hypotheses[:1]))
    rest = frozenset(h.kind for h in hypotheses) - cured
    outcomes = (Outcome("the success rule passes", cured, "keep the change"), Outcome("it fails", rest))
    return Trial(action, cost, outcomes, case.head.success_rule)


def _cures(trial: Trial, hypothesis: Hypothesis) -> bool:
    """Whether a change would remedy a cause."""
    return bool(trial.outcomes) and hypothesis.kind in trial.outcomes[0].kinds


def _shares(trial: Trial, hypotheses: tuple[Hypothesis, ...]) -> list[tuple[Outcome, tuple[Hypothesis, ...]]]:
    """Each outcome with the hypotheses that predict it; what no outcome names belongs to the last."""
    if not trial.outcomes:
        return []
    named = frozenset[str]().union(*(o.kinds for o in trial.outcomes))
    last = len(trial.outcomes) - 1
    return [
        (o, tuple(h for h in hypotheses if h.kind in o.kinds or (i == last and h.kind not in named))) for i, o in enumerate(trial.outcomes)
    ]


def _bits(trial: Trial, alive: tuple[Hypothesis, ...]) -> float:
    """Entropy of a trial's outcome under the hypotheses that are alive, in bits: what it is expected to tell."""
    total = sum(h.weight for h in alive)
    parts = [sum(h.weight for h in told) / total for _, told in _shares(trial, alive)]
    return -sum(p * math.log2(p) for p in parts if p > 0)


def _why(choice: _Choice, case: Case, heads: list[Finding]) -> str:
    head, parts = case.head, []
    lead, trial = choice.all[0] if choice.all else None, choice.trial
    if trial.action != head.first_action and lead is not None:
        cost = "a look" if trial.cost is Cost.LOOK else "a short run"
        if len(choice.alive) > 1:
            parts.append(f"The log does not separate {len(choice.alive)} causes: {_or(choice.alive)}. This does, at the cost of {cost}")
        else:
            parts.append(f"{_speaks_for(lead)}. This tests it at the cost of {cost}")
    elif lead is not None and len(choice.alive) > 1:
        remedy = ". This would remedy each of them" if all(_cures(trial, h) for h in choice.alive) else ""
        apart = ". Nothing cheaper separates them" if trial.outcomes and not remedy else ""
        parts.append(f"The log does not separate {len(choice.alive)} causes: {_or(choice.alive)}{remedy or apart}")
    elif lead is not None and (_cures(trial, lead) or not trial.outcomes):
        parts.append(f"{_speaks_for(lead)}{', and this tests it' if trial.outcomes and not lead.support else ''}")
    explained = [f.id for f in case.findings if f.caused_by == head.id and f.severity.rank < 2]
    if explained:
        parts.append(f"It is settled first because {head.id} also explains {_and(explained)}")
    if rest := [f.id for f in heads[1:]]:
        parts.append(f"Change one thing at a time: leave {_and(rest)} for later")
    return ". ".join(parts or [f"It is the first thing to settle about {head.id}"]) + "."


def _speaks_for(lead: Hypothesis) -> str:
    return f"The log speaks for {lead.said}: {_and(lead.support)}" if lead.support else f"The likeliest cause is {lead.said}"


def _outcomes(choice: _Choice) -> list[dict[str, str]]:
    told = []
    for outcome, likely in _shares(choice.trial, choice.all):
        named = tuple(h for h in likely if h.weight >= TOLD * choice.all[0].weight) or likely[:1]
        if named:
            told.append({"if": outcome.seen, "means": _or(named), "then": outcome.then or named[0].remedy})
    return told if len(told) > 1 else []


def _and(words: tuple[str, ...] | list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def _or(hypotheses: tuple[Hypothesis, ...]) -> str:
    words = [h.said for h in hypotheses]
    return words[0] if len(words) == 1 else f"{'; '.join(words[:-1])}; or {words[-1]}"
