"""Some or all weights do not change although training goes on.

What it means
    The parameters of a layer are bit for bit the same at every logged point: they get no gradient, or the optimiser does not hold them.

Why it matters
    What does not change is not trained. A model whose first layers are random and frozen reaches a part of what it could.

How it is told
    The weight norm or the weight histogram of a weight matrix is identical over at least three logged points and to the end
    of the run, for at least half of it, while the learning rate is above zero; biases, norms, running statistics, masks and
    fixed tables are left out. Or the logged gradient norm (or every gradient histogram) is exactly zero throughout. Or a
    logged update-to-weight ratio is zero; or, under a loss that stands where it began, every ratio is below 6e-8 in its median, which
    float32 does not resolve, or the norm, smallest and largest value of every weight histogram stay within a hundred thousandth
    of what they were. An error if nothing changes at all, a warning if some layers do not; a note if
    names or configuration speak of freezing on purpose (adapters, frozen backbones, embedding tables below two matrices or
    more that do change), or the first eight matrices or more, and no others, stand while the loss falls by half. They do not excuse a head that stands still while the rest changes and the loss loses less than half, nor
    matrices whose logged gradient is never zero (what is frozen by choice has none).

First check
    Print, for each parameter, whether it requires a gradient and whether the optimiser holds it.

First action
    Print the largest change of every parameter after one step, and give the optimiser the parameters that did not move.

Success rule
    Every weight matrix changes between any two logged points; without weights in the log, the gradient norm is never zero.

Not to be confused with
    lr-zero (the log shows the learning rate at zero), lr-too-low (weights move by less than rounding), vanishing-gradients (small but
    not zero), layers frozen by design.

Limits
    A norm in float32 hides changes below one part in ten million. Weights logged once or twice cannot be judged. A histogram bounds
    the updates from below only: that its ends and its norm stand tells of single weights, which a loss that stands confirms.

Sources
    SageMaker Debugger UnchangedTensor (three equal saves); literature 7.3.
"""

from __future__ import annotations

import numpy as np

from tbdiag.detectors import _synth
from tbdiag.detectors._base import (
    EVERY,
    GRADIENTS,
    Cause,
    Detector,
    Evidence,
    Example,
    Finding,
    Interval,
    NotApplicable,
    Severity,
    SuccessRule,
    Threshold,
    View,
    predicate,
)
from tbdiag.detectors._small_updates import find_small_updates
from tbdiag.detectors._still_weights import points, share, stands, steps
from tbdiag.detectors._tails import name_some, say
from tbdiag.detectors._unreached import find_unreached, frozen_by_choice, unfreeze
from tbdiag.features import CurveFacts, LayerFacts
from tbdiag.model import Role
from tbdiag.stats.confidence import confidence

_WEIGHTS = ("layer_weight_norm", "weight_histogram", "weight_norm", "update_ratio", "grad_norm", "layer_grad_norm", "gradient_histogram")


def detect(view: View) -> Finding | NotApplicable | None:
    """Weights by layer first, then the total norm, gradients and update ratios."""
    lr = view.curve("lr")
    if lr is not None and float(np.max(np.abs(lr.value))) == 0:
        return None  # a learning rate of zero freezes everything and has its own name
    layers = [x for x in view.layers("weight") if x.matrix and not x.buffer and points(x) >= view["points"]]
    if layers:
        found = _by_layers(view, layers, lr)
        if found is not None:
            return found
    small = find_small_updates(view, layers)
    if small is not None or len(layers) > 1:
        return small
    return _by_gradient(view, bool(layers)) or _by_part(view) or _by_total(view, bool(layers), lr)


def _by_layers(view: View, layers: list[LayerFacts], lr: CurveFacts | None) -> Finding | None:
    still = [s for s in (stands(x) for x in layers) if s is not None and s.points >= view["points"]]
    still = [s for s in still if share(s) >= view["share"] and _lr_alive(lr, steps(s.layer)[s.index])]
    if not still:
        return None
    whole = len(still) == len(layers)
    first = min(still, key=lambda s: s.index)
    step = steps(first.layer)
    from_start = first.index == 0
    names = [s.layer.layer for s in still]
    statement = (
        f"Between steps {{first:,.0f}} and {{last:,.0f}} the weights of {name_some(names)} are identical at {{points:.0f}} logged points "
        "({still:.0f} of {layers:.0f} weight matrices)."
    )
    evidence = [
        say(
            statement,
            [s.layer.name for s in still],
            first=float(step[first.index]),
            last=float(step[-1]),
            points=float(first.points),
            still=float(len(still)),
            layers=float(len(layers)),
        )
    ]
    if lr is not None:
        evidence.append(say("The learning rate is up to {lr:.3g} meanwhile.", (lr,), lr=float(lr.value.max())))
    purpose = not whole and frozen_by_choice(view, names, [x.layer for x in layers])
    severity = Severity.ERROR if whole else Severity.NOTE if purpose else Severity.WARNING
    title = (
        "Frozen weights: no weight matrix changes"
        if whole
        else f"Frozen weights: {len(still)} of {len(layers)} weight matrices never change"
        if from_start
        else f"Frozen weights: {len(still)} of {len(layers)} weight matrices stop changing at step {int(step[first.index]):,}"
    )
    onset = Interval(int(step[max(first.index - 1, 0)]) if not from_start else int(step[0]), int(step[min(first.index + 1, step.size - 1)]))
    sure = confidence(min(s.points for s in still) / view["points"], supports=int(whole), doubts=3 * int(purpose))
    target = names[0] if len(names) == 1 else "the frozen layers"
    return _finding(
        view,
        severity=severity,
        sure=sure,
        title=title,
        onset=onset,
        extent=Interval(int(step[first.index]), int(step[-1])),
        evidence=tuple(evidence),
        whole=whole,
        target=target,
    )


def _lr_alive(lr: CurveFacts | None, since_step: float) -> bool:
    if lr is None:
        return True
    later = lr.value[lr.step >= since_step]
    # A schedule that has run down to nothing leaves the weights alone; that is the schedule's matter.
    return bool(later.size == 0 or float(np.median(np.abs(later))) > 1e-3 * float(np.max(np.abs(lr.value))))


def _by_gradient(view: View, weights_move: bool) -> Finding | None:
    if weights_move:
        return None
    norm = view.curve("grad_norm")
    layers = [x for x in view.layers("gradient") if x.curve.n >= view["points"]]
    zero = [x for x in layers if float(np.max(np.abs(x.curve.value))) == 0.0]
    dead_total = norm is not None and norm.n >= view["points"] and not norm.bad_step.size and float(np.max(np.abs(norm.value))) == 0.0
    if not dead_total and not (zero and len(zero) == len(layers)):
        return None
    loss = view.curve("train_loss") or view.curve("val_loss")
    flat = loss is not None and loss.n >= 4 and abs(loss.drop) <= 0.05 * abs(loss.first) + 2 * loss.sigma
    if not flat:
        return None  # a writer that puts zeros for gradients it did not compute; the loss shows that weights move
    source = norm if dead_total and norm is not None else zero[0].curve
    names = [norm.name] if norm is not None and norm.name in view.features.run.series else [x.name for x in zero]
    evidence = say(
        "The gradient is exactly zero at all {points:.0f} logged points while the loss stays at {loss:.4g}.",
        [*names, *([loss.name] if loss else [])],
        points=float(source.n),
        loss=loss.end if loss else 0.0,
    )
    whole = Interval(int(source.step[0]), int(source.step[-1]))
    first = Interval(whole.first_step, whole.first_step)
    title = "Frozen weights: the gradient is exactly zero from the start"
    return _finding(
        view,
        severity=Severity.ERROR,
        sure=confidence(source.n / view["points"], supports=1),
        title=title,
        onset=first,
        extent=whole,
        evidence=(evidence,),
        whole=True,
        target="the model",
    )


def _by_part(view: View) -> Finding | None:
    found = find_unreached(view)
    if found is None:
        return None
    return _finding(
        view,
        severity=Severity.NOTE if found.purpose else Severity.WARNING,
        sure=confidence(found.points / view["points"], doubts=3 * int(found.purpose)),
        title=f"Frozen weights: no gradient ever reaches {len(found.names)} of {found.layers} weight matrices",
        onset=Interval(found.extent.first_step, found.extent.first_step),
        extent=found.extent,
        evidence=(found.evidence,),
        whole=False,
        target=found.names[0] if len(found.names) == 1 else "these layers",
    )


def _by_total(view: View, known: bool, lr: CurveFacts | None) -> Finding | None:
    for curve, what in (
        (view.curve("weight_norm"), "weight norm"),
        *((c, "update-to-weight ratio") for c in view.group(Role.UPDATE_RATIO)),
    ):
        if curve is None or curve.n < view["total_points"] or curve.bad_step.size or (known and what == "weight norm"):
            continue
        ratio = what != "weight norm"
        still = curve.value == 0.0 if ratio else np.concatenate(([False], np.diff(curve.value) == 0.0))
        moved = np.flatnonzero(~still)
        index = int(moved[-1]) if moved.size else 0
        if not still[-1] or curve.n - index < view["total_points"] or (not ratio and float(curve.value[-1]) == 0.0):
            continue
        if (curve.step[-1] - curve.step[index]) < view["share"] * (curve.step[-1] - curve.step[0]) or not _lr_alive(
            lr, float(curve.step[index])
        ):
            continue
        evidence = say(
            f"The {what} is exactly {{value:.6g}} at {{points:.0f}} logged points to the end of the run.",
            (curve,),
            value=float(curve.value[-1]),
            points=float(curve.n - index),
        )
        onset = Interval(int(curve.step[max(index - 1, 0)]), int(curve.step[min(index + 1, curve.n - 1)]))
        extent = Interval(int(curve.step[index]), int(curve.step[-1]))
        title = f"Frozen weights: the {what} does not change after step {int(curve.step[index]):,}"
        return _finding(
            view,
            severity=Severity.ERROR,
            sure=confidence((curve.n - index) / view["total_points"]),
            title=title,
            onset=onset,
            extent=extent,
            evidence=(evidence,),
            whole=True,
            target="the model",
        )
    return None


def _finding(
    view: View,
    *,
    severity: Severity,
    sure: float,
    title: str,
    onset: Interval,
    extent: Interval,
    evidence: tuple[Evidence, ...],
    whole: bool,
    target: str,
) -> Finding:
    layered = bool(view.layers("weight"))
    if layered:
        rule = predicate("min_weight_change", "min", ">", 0.0, source="any change at all")
        said = "Every weight matrix changes between any two logged points."
    elif view.curve("weight_norm") is not None:
        rule = predicate("weight_norm", "distinct", ">", 2.0, source="more than two different values")
        said = "The weight norm takes more than two different values."
    else:
        rule = predicate("grad_norm", "min", ">", 0.0, source="a gradient that is not zero")
        said = "The gradient norm is above zero at every logged point."
    return Finding(
        id="frozen-weights",
        severity=severity,
        confidence=sure,
        title=title,
        onset=onset,
        extent=extent,
        evidence=evidence,
        causes=(
            Cause("The optimiser was built without these parameters, or before they were replaced"),
            Cause("requires_grad (trainable) is off, or the graph is detached before the loss"),
            Cause(
                "Every step is skipped (mixed precision overflow), or the step is never called"
                if whole
                else "The layers were frozen on purpose"
            ),
            Cause("Updates below the resolution of the number format (bfloat16 weights with a tiny learning rate)"),
        ),
        first_check="Print, for each parameter, whether it requires a gradient and whether the optimiser holds it.",
        first_action=unfreeze(view, target, severity),
        fixes=(
            "Compare the number of trainable parameters with the number that the optimiser holds",
            "Look for detach(), no_grad() or stop_gradient between the layer and the loss",
            "Check that the optimiser's step is called and not skipped",
            "Raise the learning rate modestly (2 to 5 times) if updates are below the number format's resolution",
        ),
        success_rule=SuccessRule(all=(rule,), sentence=said),
        phase=GRADIENTS,
        roles=("layer_weight_norm",) if layered else ("grad_norm",),
    )


def _first_frozen() -> object:
    n = 20
    rng = np.random.default_rng(61)
    return _synth.make_run(
        {
            "loss/train": _synth.decay(n, 1.0, 0.4) + rng.normal(0, 0.005, n),
            "weight_norm/0.weight": np.full(n, 2.699),
            "weight_norm/2.weight": np.linspace(3.0, 4.7, n),
            "weight_norm/4.weight": np.linspace(0.8, 2.0, n),
        }
    )


def _all_move() -> object:
    n = 20
    return _synth.make_run(
        {
            "loss/train": _synth.decay(n, 1.0, 0.1),
            "weight_norm/0.weight": 2.699 + 1e-4 * np.arange(n),
            "weight_norm/2.weight": np.linspace(3.0, 4.7, n),
            "weight_norm/2.bias": np.zeros(n),
        }
    )


def _kept_base(kept: int) -> object:
    """Ten matrices, of which the first ones never change."""
    n = 20
    norms = {f"weight_norm/{k}.weight": np.full(n, 2.7 + k) if k < kept else np.linspace(3.0, 4.7, n) for k in range(10)}
    return _synth.make_run({"loss/train": _synth.decay(n, 1.0, 0.2), **norms})


def _frozen_histograms(encoding: str, moves: float) -> object:
    rng = np.random.default_rng(62)
    one, two = rng.normal(0, 0.1, 300), rng.normal(0, 0.1, 300)
    first = [one + moves * k * rng.normal(0, 1, 300) for k in range(6)]
    second = [two + 0.003 * k * rng.normal(0, 1, 300) for k in range(6)]
    made = [
        _synth.make_histograms("dense/kernel", first, encoding=encoding),
        _synth.make_histograms("dense_1/kernel", second, encoding=encoding),
    ]
    return _synth.make_run({"epoch_loss/train": _synth.decay(6, 1.0, 0.4)}, histograms=made)


def _small_updates(ratio: float, end: float) -> object:
    rng = np.random.default_rng(63)
    n = 100
    ratios = {f"update_ratio/fc{k}": ratio * np.exp(rng.normal(0, 0.3, n)) for k in (1, 2)}
    return _synth.make_run({"loss": _synth.decay(n, 2.3, end) + rng.normal(0, 0.01, n), **ratios}, every=10)


def _hardly(moves: float, end: float) -> object:
    rng = np.random.default_rng(64)
    weights, n = [rng.normal(0, 0.1, 300) for _ in range(2)], 20
    made = [_synth.make_histograms(f"weights/l{k}", [w * (1 + moves * i) for i in range(n)], every=50) for k, w in enumerate(weights)]
    loss = _synth.decay(1000, 2.3, end) + rng.normal(0, 0.01, 1000)
    return _synth.make_run({"loss": loss, "lr": np.full(1000, 1e-3)}, histograms=made)


EXAMPLES = (
    Example("updates of a billionth of the weights, and nothing is learned", lambda: _small_updates(1e-9, 2.3), fires=True),
    Example("updates of a ten thousandth, and nothing is learned", lambda: _small_updates(1e-4, 2.3), fires=False),
    Example("ratios in another unit, and it learns", lambda: _small_updates(1e-9, 0.4), fires=False),
    Example("histograms that move by a ten millionth between points, and nothing is learned", lambda: _hardly(1e-7, 2.3), fires=True),
    Example("histograms that move by a hundredth in all, and nothing is learned", lambda: _hardly(5e-4, 2.3), fires=False),
    Example("the first layer's norm never changes", _first_frozen, fires=True),
    Example("two of ten matrices stand", lambda: _kept_base(2), fires=True),
    Example("a base of eight matrices that was kept, under a head that learns", lambda: _kept_base(8), fires=False),
    Example("a kernel that stands still in TensorFlow histograms", lambda: _frozen_histograms("tensor", 0.0), fires=True),
    Example("a slow first layer and a bias of zero", _all_move, fires=False),
    Example("a kernel that moves by a millionth in TensorFlow histograms", lambda: _frozen_histograms("tensor", 1e-6), fires=False),
)

DETECTOR = Detector(
    id="frozen-weights",
    title="Frozen weights",
    summary="Some or all weights do not change although training goes on.",
    severity=Severity.WARNING,
    phase=GRADIENTS,
    detect=detect,
    doc=__doc__ or "",
    needs=(_WEIGHTS,),
    wants=(*_WEIGHTS, "lr", "train_loss", "val_loss", "train_metric", "val_metric"),
    domains=EVERY,
    thresholds={
        "points": Threshold(3, "SageMaker Debugger UnchangedTensor: three saves"),
        "total_points": Threshold(5, "one number for all weights is weaker evidence than a histogram"),
        "share": Threshold(0.5, "shorter stretches end with the schedule"),
        "hardly": Threshold(1e-5, "over the whole run: a hundredth of one usual update"),
    },
    examples=EXAMPLES,
    scale_free=True,
    explains=("no-learning", "plateau"),
)
