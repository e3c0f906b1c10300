"""A quality metric that never leaves its worst value, or one constant value, while the losses fall: predictions are not what is measured."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np

from tbdiag.detectors._at_odds import Odds
from tbdiag.detectors._base import Cause, View, predicate
from tbdiag.detectors._collapses import answers_one_class
from tbdiag.detectors._no_labels import find_empty_parts
from tbdiag.detectors._words import label, say
from tbdiag.features import CurveFacts
from tbdiag.features.levels import metric_level
from tbdiag.stats.confidence import confidence
from tbdiag.stats.noise import running_median

_GENERATED = re.compile(r"(^|[^a-z])(s?bleu|sacre_?bleu|rouge|chrf|meteor|cider|spice)")
"""Scores of generated text: no best value is known, but zero is the worst."""


def dead_metric(view: View) -> Odds | None:
    """The main metric of validation stays within 2 % of its worst value in six evaluations and more while the losses fall by two fifths.

    Or, an accuracy of unknown chance, within 2 % of its scale of one value below one half. A validation loss that does not fall is another story
    (a gap, or no learning) unless the metric is one constant.
    """
    metric, train, val = view.curve("val_metric"), view.curve("train_loss"), view.curve("val_loss")
    if metric is None or train is None or metric.n < 6 or train.n < 8 or metric.bad_step.size or not _fell(view, train):
        return None
    constant = float(np.ptp(metric.value)) == 0
    losses = [train] + ([val] if val is not None and val.n >= 4 else [])
    if val is not None and val.n >= 4 and not (_fell(view, val) or (constant and val.end_cost <= val.first_cost)):
        return None
    level, value = metric_level(metric, view.features), running_median(metric.value, 3)
    if level is not None:
        quality = [level.quality(float(v)) for v in (value.min(), value.max())]
        best, spread = max(quality), abs(quality[1] - quality[0])
        unknown = "acc" in metric.signal.stem and level.chance == 0.0  # guessing has some value, which nothing tells
        dead = best <= view["dead"] or (unknown and spread <= view["dead"] and best < 0.5 and metric.n >= 8)
    else:
        dead = (
            bool(_GENERATED.search(f"{metric.signal.stem} {metric.name}".lower()))
            and float(np.abs(value).max()) < view["dead"]
            and metric.n >= 8
        )
    if not dead or answers_one_class(view, view["one_answer"]):  # prediction-collapse names that
        return None
    where = "at most {best:.3g}" if metric.sign < 0 else "at least {best:.3g}"
    evidence = [
        say(
            f"In all {{n}} evaluations the {label(metric)} is {where}, and ends at {{end:.4g}}.",
            (metric,),
            n=metric.n,
            best=float(metric.value[np.argmin(metric.cost)]),
            end=metric.end,
        )
    ]
    for loss in losses:
        did = "fell" if _fell(view, loss) else "went"
        evidence.append(
            say(f"The {label(loss)} {did} from {{first:.4g}} to {{last:.4g}} meanwhile.", (loss,), first=loss.first, last=loss.end)
        )
    better = metric.best - metric.sign * 0.1 * (abs(level.best - level.chance) if level is not None else max(abs(metric.best), 0.01))
    odds = Odds(
        train,
        tuple(evidence),
        confidence(1.5, supports=int(val is not None), doubts=1 + int(level is None)),
        f"The {label(metric)} never leaves {metric.end:.3g} while the loss falls: what is measured is not what is learned",
        (
            Cause(
                "The metric is computed from other predictions or labels than the loss: a wrong mapping of classes, threshold, decoding or post-processing"
            ),
            Cause("The labels of the evaluation are empty or of another format"),
            Cause("The loss falls by what all samples share, and nothing tells them apart"),
        ),
        "Print predictions and labels of ten validation samples as the metric gets them, and compute it by hand.",
        predicate("val_metric", "best", ">" if metric.sign < 0 else "<", better, source="a tenth of its scale better than here"),
        f"The best {label(metric)} is {'above' if metric.sign < 0 else 'below'} {better:.3g}.",
    )
    empty = find_empty_parts(view)
    return _lacks_labels(odds, metric, empty) if empty else odds


def _lacks_labels(odds: Odds, metric: CurveFacts, empty: tuple[CurveFacts, ...]) -> Odds:
    """The same, where parts of the validation loss are exactly zero as well: then it is the labels that are missing."""
    parts = [c.signal.stem.replace("_", " ") for c in empty[:3]]
    names, verb = " and ".join(parts), "is" if len(parts) == 1 else "are"
    text = f"The {names} of validation {verb} exactly {{zero:g}} in all {{n}} evaluations, as without any label; in training never."
    both = " and ".join((", ".join(parts), metric.signal.stem.replace("_", " ")))
    return replace(
        odds,
        evidence=(say(text, empty, zero=0.0, n=empty[0].n), *odds.evidence),
        sure=confidence(2.0, supports=2),
        title=f"The evaluation seems to have no labels: its {both} are exactly 0 throughout",
        causes=(Cause("The labels of the evaluation are empty or were not found", f"its {names} {verb} exactly 0"), odds.causes[0]),
        check="Are the label files of the validation set where its loader looks for them, and not empty?",
        action="Count the labels of the validation set as its loader delivers them (paths, format, class numbers), and print those of ten samples.",
    )


def _fell(view: View, loss: CurveFacts) -> bool:
    """Whether a loss fell by a good part of its start, or a signed one by eight times its noise."""
    if loss.signed:
        return loss.start_cost - loss.end_cost > 8 * loss.sigma > 0
    return loss.end_cost < (1 - view["dead_fall"]) * loss.start_cost
