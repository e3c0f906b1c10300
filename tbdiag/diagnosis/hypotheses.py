"""Rival hypotheses behind a symptom: what may have caused it, and how far the log already tells them apart.

Weights before the log are relative frequencies as the troubleshooting guides order the causes (most likely first, about two to one from
one place to the next); a fact of the log multiplies them, as a likelihood ratio would: 4 for what is usually seen with a cause, 0.25 for
what rarely is. They choose an experiment and are never shown as probabilities.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from tbdiag.diagnosis.facts import FACTS, Case, known_facts
from tbdiag.features.tasks import trains_language_policy
from tbdiag.model import Domain

ALIVE = 0.5
"""A hypothesis is alive at half of the leading one's weight."""
TOLD = 0.15
"""An outcome names the hypotheses that predict it down to this share of the leading one's weight."""
SUPPORTED, FIRST, ACTED_ON = 4.0, 2.0, 2.0
"""Factor for a cause of which the detector itself says what in the log speaks for it, another one if it puts that cause first, and the
factor for the cause that its first action would remedy."""


@dataclass(frozen=True, slots=True)
class Rival:
    """A row of the table.

    Attributes:
        kind: short name by which experiments say what they separate.
        said: the cause as a noun phrase; remedy: what to do once it is known.
        weight: before the log; facts: fact -> factor.
        cause: words of the detector's own cause, whose reason (if it has one) supports this hypothesis.
        acts: words of a first action that would remedy it: what the detector acts on is what it saw in the log.
    """

    kind: str
    said: str
    remedy: str
    weight: float
    facts: Mapping[str, float] = field(default_factory=dict)
    cause: str = ""
    acts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """A rival with its weight in this run (all of a head sum to 1) and what in the log speaks for it."""

    kind: str
    said: str
    remedy: str
    weight: float
    support: tuple[str, ...] = ()
    acted_on: bool = False


RIVALS: dict[str, tuple[Rival, ...]] = {
    "no-learning": (
        Rival("wiring", "parameters that the optimiser does not reach", "list the parameters with a gradient and those that the optimiser holds", 3.0,
              {"gradients-zero": 4.0, "evaluations-equal": 4.0, "gradients-alive": 0.25, "weights-move": 0.05}, "does not step"),
        Rival("rate", "a learning rate that is too low", "raise the learning rate 3 times", 2.0, {"rate-tiny": 8.0, "rate-usual": 0.5}, "rate is too low"),
        Rival("labels", "labels that do not belong to their inputs", "look at 20 training samples with their labels", 2.0, {"weights-move": 2.0},
              "Labels are shuffled"),
        Rival("output", "an output activation that does not fit the loss", "give the loss raw logits and labels in the form that it expects", 2.0, {},
              "Loss and output"),
        Rival("lost", "a learning rate so high that the model was lost at once", "lower the learning rate 10 times", 1.0,
              {"rate-huge": 6.0, "rate-usual": 0.25}, "rate is so high"),
    ),
    "no-learning/agent": (
        Rival("sparse", "a reward that is too sparse to be found by exploring", "shape the reward, or start from easier states", 2.0, {}, "too sparse"),
        Rival("rate", "a learning rate that is too low, or a policy that is not updated", "raise the learning rate 3 times", 2.0, {"rate-tiny": 4.0},
              "rate is too low"),
        Rival("sign", "a wrong sign of the advantage, of the reward or of the policy loss", "check the signs on one batch by hand", 1.5, {},
              "sign of the advantage"),
        Rival("scale", "observations or rewards that are not scaled", "normalise observations and rewards", 1.5, {}, "not scaled"),
    ),
    "no-learning/completions": (
        Rival("parser", "a reward function that cannot read the completions", "raise the length limit, or mend the prompt and the parser", 3.0, {},
              "cannot read"),
        Rival("hard", "prompts that are too hard or too easy", "begin with easier prompts, or with supervised fine-tuning on the format", 2.0, {}, "too hard"),
        Rival("rate", "a learning rate that is too low, or a policy that is not updated", "raise the learning rate 3 times", 1.0, {"rate-tiny": 4.0},
              "rate is too low"),
    ),
    "underfitting": (
        Rival("rate", "a learning rate or schedule with which optimisation is not effective", "raise the learning rate 3 times", 3.0, {"rate-tiny": 4.0}, "",
              ("learning rate",)),
        Rival("capacity", "a model that is too small or regularised too strongly", "double the width, or take the regularisation away", 2.0,
              {"weight-decay": 4.0}, "Model too small", ("width", "weight decay", "dropout")),
        Rival("inputs", "inputs that lack signal or are not normalised", "print mean and spread of each input feature", 1.5, {}, "Inputs lack signal"),
        Rival("budget", "too few steps", "train for twice as many steps", 1.0, {"still-improving": 6.0}, "Too few epochs", ("as many steps", "longer")),
        Rival("labels", "labels that are noisy or wrongly encoded", "look at 20 training samples with their labels", 1.0, {}, "Labels too noisy"),
    ),
    "overfitting": (
        Rival("capacity", "too much training or capacity for the amount of data", "stop at the best checkpoint and regularise more", 6.0, {},
              "Too many epochs"),
        Rival("preprocessing", "validation data that are preprocessed or evaluated differently", "use one preprocessing and evaluation code for both splits", 1.0, {},
              "split, labelled or preprocessed"),
        Rival("split", "splits that hold different data or labels", "compare label counts, sources and dates of both splits", 1.0, {},
              "split, labelled or preprocessed"),
        Rival("noise", "label noise that is memorised", "look at the 50 training samples with the highest loss", 1.0, {}, "Label noise"),
    ),
    "generalization-gap": (
        Rival("preprocessing", "validation data that are preprocessed or evaluated differently", "use one preprocessing and evaluation code for both splits", 3.0,
              {"validation-random": 3.0}, "preprocessed or evaluated"),
        Rival("split", "splits that hold different data or labels", "compare label counts, sources and dates of both splits", 2.0,
              {"validation-random": 3.0}, "The splits differ"),
        Rival("capacity", "far more capacity than the data support", "regularise more, or add data", 2.0, {"validation-random": 0.25},
              "Far more capacity"),
    ),
    "val-better": (
        Rival("handicap", "a training loss measured with dropout, augmentation or penalty terms",
              "compare both splits in evaluation mode from now on", 3.0, {"dropout": 3.0}, "measured with dropout"),
        Rival("leak", "validation samples that are in the training data, too", "drop duplicates by hash and split by group and time", 2.0, {},
              "also in the training data"),
        Rival("easy", "a validation set that is small, easy or filtered", "draw it anew from the same source as the training data", 2.0, {}, "small, easy"),
        Rival("labels", "training labels of which a part is wrong", "relabel the training samples with the highest loss", 1.0, {}, "Training labels are noisier"),
    ),
    "nan-inf": (
        Rival("rate", "a learning rate that is too high", "lower the learning rate 10 times", 3.0,
              {"gradients-grew": 6.0, "loss-grew": 6.0, "gradients-calm": 0.25, "from-start": 0.5}, "Learning rate too high",
              ("learning rate",)),
        Rival("precision", "overflow in half precision", "train in bfloat16, or scale the loss", 2.0,
              {"half-precision": 4.0, "full-precision": 0.1}, "half precision", ("bfloat16", "float32")),
        Rival("operation", "a logarithm, root or quotient of zero in the loss", "use the numerically stable form of that operation", 2.0, {},
              "Logarithm or division"),
        Rival("sample", "a broken sample in that batch", "repair or drop that sample", 2.0, {}, "broken sample", ("skip", "batch")),
    ),
    "divergence": (
        Rival("rate", "a learning rate that is too high for this stage", "keep the lower learning rate", 5.0,
              {"gradients-grew": 2.0, "rate-huge": 2.0}, "Learning rate too high", ("learning rate",)),
        Rival("batch", "a bad batch without gradient clipping", "clip the gradient norm and look at the samples of that step", 2.0, {}, "bad batch"),
        Rival("precision", "overflow in half precision", "train in bfloat16, or scale the loss", 1.0,
              {"half-precision": 4.0, "full-precision": 0.1}, "half precision"),
        Rival("objective", "data, loss or objective that changed at that step", "compare code, data and settings before and after that step", 1.5,
              {"restarted": 4.0}, "changed at that step", ("changed in the training data",)),
    ),
    "divergence/agent": (
        Rival("rate", "a learning rate that is too high for this stage", "keep the lower learning rate", 4.0, {"rate-huge": 2.0},
              "Learning rate too high", ("learning rate",)),
        Rival("updates", "updates of the policy that are too large", "set a target KL divergence, or take fewer epochs over the same samples", 2.5,
              {"updates-large": 2.0}, "Updates of the policy"),
        Rival("critic", "estimates of the critic that diverge", "slow the critic's targets and clip its gradients", 0.5, {}, "of the critic"),
        Rival("objective", "an environment, reward or objective that changed at that step", "compare code and settings before and after that step", 1.0,
              {"restarted": 4.0}, "changed at that step"),
    ),
    "exploding-gradients": (
        Rival("rate", "a learning rate that is too high, or a warm-up that is too short", "lower the learning rate 10 times", 4.0, {"from-start": 0.25},
              "learning rate that is too high", ("learning rate", "clip")),
        Rival("scale", "weights that are initialised too large, or layers that nothing normalises", "use the framework's standard initialisation", 1.5,
              {"from-start": 2.0, "pretrained": 0.0}, "initialised too large"),
        Rival("inputs", "inputs that are not normalised", "standardise each input feature", 1.5, {"from-start": 2.0, "tokens": 0.0}, "unnormalised inputs"),
    ),
    "instability": (
        Rival("rate", "a learning rate that is too high", "keep the lower learning rate", 4.0, {"rate-huge": 2.0}, "rate is too high"),
        Rival("batch", "batches that are too small or too different from each other", "double the batch size", 1.5, {}, "Batches too small"),
        Rival("clip", "gradients that nothing clips, or momentum that is too high", "clip the gradient norm", 1.0, {}, "No gradient clipping"),
        Rival("inputs", "inputs that are not normalised", "standardise each input feature", 1.0, {"tokens": 0.0}, "not normalised"),
    ),
    "plateau": (
        Rival("rate", "a learning rate that is too high for this stage", "keep the lower learning rate", 3.0, {"rate-fell": 0.1}, "too high for this stage",
              ("lower the learning rate",)),
        Rival("decayed", "a learning rate that decayed too early", "decay later", 1.0, {"rate-fell": 8.0}, "decayed too early", ("hold the learning rate",)),
        Rival("capacity", "a model that is too small, or features that lack signal", "double the width for one run", 2.0, {}, "Model too small"),
        Rival("floor", "a floor set by label noise or by a loss that does not fit the output", "look at the 50 samples with the highest loss", 2.0, {},
              "A floor set by"),
    ),
    "spikes": (
        Rival("batch", "rare bad batches", "look at the samples of the batches at the spikes", 3.0, {}, "Bad or rare batches", ("batches",)),
        Rival("rate", "a learning rate near the limit of stability", "lower the learning rate to a third", 2.0, {}, "", ("learning rate",)),
        Rival("clip", "jumps of the gradient that nothing clips", "clip the gradient norm at its 90th percentile", 2.0, {}, "No gradient clipping", ("clip",)),
    ),
    "sudden-shift": (
        Rival("evaluation", "evaluation data or a metric's code that changed", "pin the versions of validation data and evaluation code", 3.0,
              {"training-still": 3.0}, "evaluation set or the metric"),
        Rival("data", "training data or preprocessing that changed", "compare the batches before and after that step", 2.0,
              {"training-moves": 3.0, "restarted": 3.0}),
        Rival("hardware", "a hardware fault that damaged the weights", "continue from the checkpoint before it on another machine", 0.5, {}, "hardware fault"),
    ),
    "prediction-collapse": (
        Rival("labels", "labels or sampling that show the model one class only, or wrongly encoded labels", "repair the encoding or the sampler", 3.0,
              {"from-start": 2.0, "no-classes": 0.3, "learned-before": 0.25}, "one class only"),
        Rival("output", "an output layer of the wrong shape or activation for the loss", "give the loss raw logits of the right shape", 2.0,
              {"learned-before": 0.0},
              "output layer has the wrong"),
        Rival("killed", "a learning rate that killed the features", "lower the learning rate 10 times", 2.0, {"later": 2.0, "rate-huge": 2.0, "learned-before": 4.0},
              "killed the features", ("learning rate",)),
        Rival("imbalance", "strong class imbalance with an unweighted loss", "weight the loss by inverse class frequency", 1.0, {"no-classes": 0.05, "learned-before": 0.0},
              "class imbalance"),
    ),
    "loss-scale-collapse": (
        Rival("overflow", "activations, logits or a summed loss that overflow in float16", "stay with bfloat16, or compute the loss in float32", 3.0, {},
              "overflow in float16"),
        Rival("rate", "training that diverges", "lower the learning rate 10 times", 1.5, {"gradients-grew": 2.0}, "Training diverges"),
        Rival("operation", "a NaN or an infinity in the data or in an operation", "rerun the steps before it with anomaly detection", 1.0, {}, "infinite or NaN"),
    ),
    "unconverged": (
        Rival("budget", "a budget of steps that was too small", "train to the end of the gain", 3.0, {}, "budget of steps"),
        Rival("rate", "a learning rate that is too low", "raise the learning rate 3 times", 1.5,
              {"rate-tiny": 4.0, "updates-large": 0.0}, "rate is too low", ("learning rate",)),
    ),
    "dead-units": (
        Rival("initialisation", "an initialisation or biases that leave the layer dead from the first step", "use the standard initialisation", 3.0,
              {"died-later": 0.25}, "", ("initialisation",)),
        Rival("rate", "a learning rate or a jump of the loss that killed the layer", "lower the learning rate 10 times, or warm it up", 2.0,
              {"died-later": 4.0, "broke-before": 6.0}, "learning rate that is too high", ("learning rate",)),
        Rival("inputs", "inputs that are not normalised", "standardise each input feature", 1.0, {}, "not normalised"),
    ),
    "stalled": (
        Rival("loader", "a data loader or storage that is too slow", "raise the number of loader workers, or cache the data", 3.0, {}, "Data loader"),
        Rival("pause", "preemption, suspension or a deadlock", "keep the job from being suspended, and resume from checkpoints", 2.0, {}, "Preemption"),
        Rival("contention", "another job on the machine, or thermal throttling", "give the job the machine to itself", 1.5, {}, "Another job"),
    ),
    "leakage": (
        Rival("feature", "a feature that encodes the target", "remove the feature", 2.0, {}, "feature encodes"),
        Rival("duplicates", "the same or nearly the same samples in both splits", "drop the duplicates", 2.0, {}, "same samples"),
        Rival("groups", "groups or times that the splits share", "split by group and time", 2.0, {}, "Groups"),
        Rival("easy", "an easy task", "keep it", 1.0, {}, "The task is easy"),
    ),
    "frozen-weights": (
        Rival("optimiser", "an optimiser that does not hold these parameters", "build the optimiser from model.parameters() after the layers are made", 3.0,
              {"gradients-alive": 2.0}, "optimiser was built without"),
        Rival("graph", "requires_grad that is off, or a graph that is cut before these parameters", "set requires_grad and remove the detach", 2.5,
              {"gradients-zero": 6.0, "gradients-alive": 0.5}, "requires_grad"),
    ),
}  # fmt: skip
"""Finding -> its rivals. A finding without a row goes by its first action alone."""


def head_kind(case: Case) -> str:
    """Key of a head in the tables: its id, with what is trained where the same symptom has other causes there."""
    if case.head.id == "no-learning" and case.features.signals.domain is Domain.REINFORCEMENT:
        if any("left what had been learned" in c.text for c in case.head.causes):  # a return that was kept for a while, and lost
            return "divergence/agent"
        return "no-learning/completions" if trains_language_policy(case.features.signals) else "no-learning/agent"
    if case.head.id == "divergence" and case.head.roles and case.head.roles[0].endswith("reward"):
        return "divergence/agent"
    return case.head.id


def list_hypotheses(case: Case) -> tuple[Hypothesis, ...]:
    """The rivals of a head, heaviest first (ties in the table's order); empty where the table has none."""
    rows = RIVALS.get(head_kind(case), ())
    if not rows:
        return ()
    facts = known_facts(case)
    weighed = [_weigh(row, case, facts) for row in rows]
    total = sum(h.weight for h in weighed)
    weighed = [replace(h, weight=h.weight / total) for h in weighed]
    weighed = [h for h in weighed if h.weight > 0]  # what cannot be in this run is no rival
    return tuple(sorted(weighed, key=lambda h: -round(h.weight, 6)))


def list_alive(hypotheses: tuple[Hypothesis, ...]) -> tuple[Hypothesis, ...]:
    """Those that the log leaves open: at least half as heavy as the heaviest."""
    return tuple(h for h in hypotheses if h.weight >= ALIVE * hypotheses[0].weight)


def _weigh(row: Rival, case: Case, facts: frozenset[str]) -> Hypothesis:
    weight = row.weight
    support = [FACTS[fact][1] for fact, factor in row.facts.items() if fact in facts and factor > 1]
    for fact, factor in row.facts.items():
        weight *= factor if fact in facts else 1.0
    place, said = next(((i, c.why) for i, c in enumerate(case.head.causes) if row.cause and row.cause in c.text and c.why), (0, ""))
    if said and not support:  # the same observation is not counted twice
        weight *= SUPPORTED * (FIRST if place == 0 else 1.0)
        support.append(said)
    acted_on = any(word in case.head.first_action.lower() for word in row.acts)
    weight *= ACTED_ON if acted_on else 1.0
    return Hypothesis(row.kind, row.said, row.remedy, weight, tuple(support), acted_on)
