"""What is said of a class that is missed: title, causes, what to check, what to do."""

from __future__ import annotations

from tbdiag.detectors._base import PREDICTIONS, Cause, Finding, Severity, SuccessRule, predicate
from tbdiag.detectors._classes import Sign
from tbdiag.stats.confidence import confidence

_THRESHOLD = Cause("A decision threshold of 0.5 on probabilities that follow the class frequencies")
_RARE = (
    Cause("Few samples of the class and an unweighted loss"),
    _THRESHOLD,
    Cause("Wrong labels or different preprocessing for the rare class"),
)
_UNMAPPED = (
    Cause("The class has another number in the labels than in the list of classes, or is remapped or ignored by the loss"),
    Cause("Training samples that lack the class: sampler, crops, or the split"),
    Cause("Few samples of the class and an unweighted loss"),
)
_BROKE = (
    Cause("The data of this class changed there: labels, class numbers, preprocessing or files"),
    Cause("Its samples left the training stream: sampler, filter, curriculum or a new task"),
    Cause("The evaluation changed there, not the model"),
)


def advise(sign: Sign, high: bool, accuracy: bool, classes: int) -> tuple[tuple[Cause, ...], str, str]:
    """Causes, first check and first action of a class that broke, of one that was never found beside learned ones, of a rare one."""
    known, weighted = sign.weakest, "Rerun unchanged except for a class-weighted loss (weights inverse to class frequency)."
    if known is not None and known.before is not None:
        step = f"{sign.onset.last_step:,}"
        return (
            _BROKE,
            f"Look at 20 validation samples of class '{known.name}' with their labels, and at the predictions from before and after step {step}.",
            f"Evaluate the last checkpoint before step {step} on today's validation samples of class '{known.name}': if it finds them, "
            "training lost the class there (data, sampler, labels); if not, the evaluation changed.",
        )
    if known is not None and known.unseen and not high:
        return (
            _UNMAPPED,
            f"List the label values that occur in the training and validation data with their counts: does class '{known.name}' occur in "
            "both, under the same number as in the list of classes?",
            f"Draw 10 training samples that hold class '{known.name}' with the labels as the loss receives them: where the class is absent or "
            "has another number, mend the mapping; else rerun with a class-weighted loss.",
        )
    counts = "Print class counts for training and validation"
    check = (
        f"{counts} and compare the accuracy with that of always predicting the majority." if accuracy else f"{counts}, the rarest first."
    )
    return tuple(c for c in _RARE if c is not _THRESHOLD or classes <= 2), check, weighted


def note_mean(signs: list[Sign]) -> Finding:
    """A mean over many classes, or over an unknown number, far below the accuracy: ordinary in long tails, and worth the classes' values."""
    first = signs[0]
    low, high = first.evidence.numbers["value"], first.evidence.numbers["accuracy"]
    return Finding(
        id="class-imbalance",
        severity=Severity.NOTE,
        confidence=confidence(first.margin, doubts=2),
        title=f"The {first.mean} of {low:.4g} is far below the accuracy of {high:.4g}: frequent classes are found more often",
        onset=first.onset,
        extent=first.extent,
        evidence=tuple(s.evidence for s in signs),
        causes=(Cause("Many classes of very different size, of which the rare ones are harder"), Cause("Classes that are never found")),
        first_check="Print the recall of every class, lowest first, beside its number of training samples.",
        first_action="Log the recall of every class in the next run: where there are many a mean this low is ordinary, and only they tell "
        "whether one is lost.",
        fixes=("Choose the checkpoint by balanced accuracy or macro F1", "Oversample rare classes, or weight the loss, if they matter"),
        success_rule=SuccessRule(
            all=(predicate("min_class_recall", "points", ">=", 5, source="five evaluations are enough to see a class that is lost"),),
            sentence="The next run logs the recall of every class at least 5 times.",
            guards=(),
        ),
        phase=PREDICTIONS,
        roles=tuple(dict.fromkeys(r for s in signs for r in s.roles)),
    )


def title(sign: Sign, accuracy: float | None) -> str:
    """What is wrong, with the class where it is known; `accuracy` where it is high."""
    known = sign.weakest
    if known is not None and known.before is not None:
        return f"A class breaks at step {sign.onset.last_step:,}: the {known.kind} of '{known.name}' falls from {known.before:.2g} to {known.level:.2g}"
    if accuracy is not None:
        which = f"class '{known.name}', which is hardly found" if known is not None else "a class that is hardly found"
        return f"Class imbalance: the accuracy of {accuracy:.4g} hides {which}"
    if sign.roles[0] == "prediction_share":
        return "Class imbalance: one class holds the predictions, and the low loss tells that it holds the samples"
    weak = int(sign.evidence.numbers.get("weak", 1))
    if known is None or weak > 1:
        return f"Class imbalance: {'one class is' if weak == 1 else f'{weak} classes are'} hardly found while the others are"
    return f"Class imbalance: class '{known.name}' is hardly found ({known.kind} {known.level:.2g}) while the others are"
