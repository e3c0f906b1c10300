"""From measured facts to a label, by rules that are written here and nowhere else.

1. `strict(f)` and `loose(f)` say which symptoms the numbers show.
2. A symptom counts only if the log holds the series that shows it (`VISIBLE`).
3. `primary` is the first visible strict symptom in `ORDER` (what explains comes before what follows from it), and with it the second
   symptoms of `ALSO`.  Nothing strict and visible: the fault did not show, the case is dropped.
4. `allowed`: every other strict or loose symptom, and the companions that the vocabulary makes near synonyms (`COMPANIONS`).
5. `alt`: near synonyms of the primary id that the numbers support as well (`NEAR`).
A healthy case is one whose test loss is within 0.06 R of its twin's, with no strict symptom but those its design explains (`tolerated`, which
   does not make them allowed) and no doubtful rise of the validation loss.
   `families.later` has what was added for the later splits.
6. What was done (`truth`) enters only where a curve cannot say it: leakage, label noise, a learning rate far from the twin's, the kind of loss.
"""

from families.later import later_near, later_rules
from families.later4 import healthy_allowed, newest_near, newest_rules

VISIBLE = {
    "lr-zero": {"lr"},
    "lr-schedule": {"lr"},
    "lr-too-low": {"lr"},
    "frozen-weights": {"whist", "ghist", "layergrads"},
    "exploding-gradients": {"gnorm", "layergrads", "ghist"},
    "vanishing-gradients": {"gnorm", "layergrads", "ghist"},
    "dead-units": {"ahist", "dead"},
    "saturated-activations": {"ahist"},
    "weight-growth": {"wnorm", "whist"},
    "loss-scale-collapse": {"scale"},
    "over-confidence": {"conf"},
    "low-confidence": {"conf"},
    "prediction-collapse": {"shares", "recalls", "predhist", "f1"},
    "class-imbalance": {"shares", "recalls", "f1"},
    "loss-mismatch": {"score"},
    "leakage": {"val"},
}
NEEDS_BOTH = {"clipping-saturated": {"gnorm", "text"}}
NEEDS_VAL = {"overfitting", "generalization-gap", "val-better", "noisy-validation", "leakage"}
ORDER = [
    "nan-inf",
    "loss-scale-collapse",
    "lr-zero",
    "lr-too-low",
    "clipping-saturated",
    "frozen-weights",
    "dead-units",
    "saturated-activations",
    "vanishing-gradients",
    "exploding-gradients",
    "weight-growth",
    "loss-mismatch",
    "leakage",
    "sudden-shift",
    "divergence",
    "prediction-collapse",
    "class-imbalance",
    "lr-schedule",
    "no-learning",
    "epoch-sawtooth",
    "overfitting",
    "noisy-validation",
    "instability",
    "generalization-gap",
    "val-better",
    "spikes",
    "low-confidence",
    "unconverged",
    "plateau",
    "underfitting",
    "over-confidence",
    "stalled",
]
ALSO = {
    "overfitting": ["over-confidence"],
    "weight-growth": ["divergence", "overfitting"],
    "exploding-gradients": ["divergence"],
    "generalization-gap": ["over-confidence"],
}
BROKEN = [
    "instability",
    "spikes",
    "exploding-gradients",
    "weight-growth",
    "noisy-validation",
    "over-confidence",
    "prediction-collapse",
    "dead-units",
    "no-learning",
    "underfitting",
    "plateau",
    "lr-too-high",
    "unconverged",
]
COMPANIONS = {
    "nan-inf": ["divergence", "exploding-gradients", "instability", "weight-growth", "prediction-collapse", "unconverged"],
    "loss-scale-collapse": ["exploding-gradients", "nan-inf", "plateau", "unconverged", "underfitting", "frozen-weights"],
    "lr-zero": ["lr-schedule", "plateau", "underfitting", "no-learning", "frozen-weights", "lr-too-low"],
    "lr-schedule": [*BROKEN, "divergence", "lr-too-low", "lr-zero", "sudden-shift"],
    "lr-too-low": ["no-learning", "unconverged", "underfitting", "plateau", "frozen-weights", "lr-zero"],
    "clipping-saturated": ["lr-too-low", "unconverged", "underfitting", "plateau", "no-learning", "exploding-gradients"],
    "frozen-weights": [
        "no-learning",
        "plateau",
        "underfitting",
        "unconverged",
        "vanishing-gradients",
        "generalization-gap",
        "prediction-collapse",
    ],
    "dead-units": [*BROKEN, "vanishing-gradients", "frozen-weights", "divergence", "loss-mismatch"],
    "saturated-activations": [*BROKEN, "vanishing-gradients", "overfitting", "generalization-gap", "loss-mismatch", "divergence"],
    "vanishing-gradients": [
        "no-learning",
        "plateau",
        "underfitting",
        "prediction-collapse",
        "dead-units",
        "saturated-activations",
        "frozen-weights",
        "unconverged",
    ],
    "exploding-gradients": [*BROKEN, "divergence", "loss-mismatch", "generalization-gap", "overfitting", "clipping-saturated"],
    "weight-growth": [*BROKEN, "divergence", "overfitting", "generalization-gap"],
    "loss-mismatch": [
        "plateau",
        "underfitting",
        "no-learning",
        "low-confidence",
        "over-confidence",
        "exploding-gradients",
        "prediction-collapse",
    ],
    "leakage": ["val-better"],
    "prediction-collapse": [
        "class-imbalance",
        "no-learning",
        "plateau",
        "underfitting",
        "dead-units",
        "over-confidence",
        "vanishing-gradients",
        "generalization-gap",
        "overfitting",
        "leakage",
    ],
    "class-imbalance": ["prediction-collapse", "plateau", "underfitting", "no-learning", "unconverged"],
    "sudden-shift": ["divergence", "generalization-gap", "overfitting", "noisy-validation", "over-confidence", "instability", "spikes"],
    "divergence": [*BROKEN, "sudden-shift", "nan-inf", "generalization-gap", "overfitting", "lr-schedule", "loss-mismatch"],
    "no-learning": ["plateau", "underfitting", "prediction-collapse", "frozen-weights", "vanishing-gradients", "label-noise", "lr-too-low"],
    "epoch-sawtooth": [
        "instability",
        "spikes",
        "noisy-validation",
        "val-better",
        "prediction-collapse",
        "plateau",
        "underfitting",
        "generalization-gap",
        "overfitting",
        "unconverged",
    ],
    "overfitting": ["generalization-gap", "over-confidence", "label-noise", "weight-growth"],
    "noisy-validation": ["instability", "spikes", "val-better", "generalization-gap", "overfitting"],
    "instability": [*BROKEN, "divergence", "val-better", "generalization-gap", "epoch-sawtooth", "loss-mismatch", "vanishing-gradients"],
    "generalization-gap": ["overfitting", "over-confidence", "plateau", "sudden-shift", "label-noise"],
    "val-better": ["leakage", "underfitting", "low-confidence"],
    "spikes": ["instability", "exploding-gradients", "clipping-saturated", "loss-mismatch"],
    "unconverged": ["lr-too-low", "underfitting"],
    "plateau": ["underfitting", "low-confidence", "no-learning"],
    "underfitting": ["plateau", "low-confidence", "no-learning"],
    "stalled": [],
    "over-confidence": ["overfitting", "generalization-gap"],
    "low-confidence": ["underfitting", "plateau", "loss-mismatch", "no-learning"],
    "lr-too-high": [*BROKEN, "divergence", "loss-mismatch", "lr-schedule", "vanishing-gradients", "generalization-gap"],
}
NEAR = {
    "plateau": ["underfitting", "no-learning", "unconverged"],
    "underfitting": ["plateau", "no-learning", "unconverged"],
    "no-learning": ["underfitting", "plateau"],
    "overfitting": ["generalization-gap"],
    "generalization-gap": ["overfitting"],
    "lr-zero": ["lr-schedule"],
    "unconverged": ["underfitting", "lr-too-low"],
    "lr-too-low": ["no-learning", "unconverged", "underfitting"],
    "instability": ["divergence", "spikes", "noisy-validation"],
    "divergence": ["instability", "sudden-shift", "lr-schedule"],
    "lr-schedule": ["lr-zero", "lr-too-low", "instability", "lr-too-high"],
    "sudden-shift": ["divergence"],
    "epoch-sawtooth": ["instability"],
    "exploding-gradients": ["divergence"],
    "prediction-collapse": ["no-learning"],
    "low-confidence": ["plateau", "underfitting", "loss-mismatch"],
}
ALWAYS_NEAR = {"val-better": ["leakage"], "leakage": ["val-better"]}


def strict(f, truth, finite):
    """Symptoms that the numbers show plainly."""
    s = set()
    if not finite:
        s.add("nan-inf")
    if f["n_evals"] < 4:
        return s
    p, n = f["progress"], f["n_evals"]
    add = lambda i, ok: s.add(i) if ok else None  # noqa: E731
    add(
        "divergence",
        f["lost"] > 0.5 * max(f["best_progress"], 0) and f["lost"] > 0.25 and f["best_progress"] > 0.15 and f["train_best_at"] < 0.9,
    )
    add("divergence", p < -0.6 and f["train_best_at"] < 0.5 and f["lost"] > 0.6)
    rising = f["rise"] > 0.05 and f["rise"] * f["R"] > 5 * f["val_noise"]
    add("overfitting", rising and f["best_i"] < 0.85 * n and f["train_after_best"] > 0.01 and f["lost"] < 0.15)
    add("generalization-gap", f["gap"] > max(0.25, f["twin_gap"] + 0.2) and p > 0.7 and not (rising and f["train_after_best"] > 0.01))
    add("no-learning", f["best_progress"] < 0.08 and p > -0.4)
    add("underfitting", p < 0.6 and f["best_progress"] >= 0.08 and abs(f["gap"]) < 0.2 and f["lost"] < 0.15)
    add("plateau", 0.08 <= p < 0.75 and f["flat_change"] < 0.02 and f["lost"] < 0.1)
    add("unconverged", f["late_gain"] > 0.05 and f["late_val_gain"] > 0.03 and p < 0.93 and f["train_best_at"] > 0.8)
    rough = f["step_sd"] > max(0.08, 3 * f["twin_step_sd"]) and f["ups"] >= 2
    add("instability", (rough or f["ups"] >= max(3, n // 6)) and p < 0.95 and f["phase_r2"] < 0.4)
    add("spikes", f["spikes"] >= 2 and f["twin_spikes"] == 0)
    add(
        "noisy-validation",
        f["val_noise"] > max(0.12, 0.25 * f["gap"]) * f["R"]
        and f["val_noise"] > 4 * f["twin_val_noise"]
        and f["step_sd"] < 0.1
        and f["ups"] < 3,
    )
    add("val-better", -f["gap"] > 0.2 and -f["gap"] > -f["twin_gap"] + 0.15 and p > 0.2 and f["lost"] < 0.1)
    add("epoch-sawtooth", f["phase_r2"] > 0.4 and f["phase_amp"] > 0.1)
    if truth.get("shift"):
        add("sudden-shift", abs(f.get("event_jump", 0.0)) > 0.15 and abs(f["event_jump"]) > 5 * f["event_noise"])
    if "top_share" in f:
        add("prediction-collapse", f["top_share"] > 0.95 and f["true_top"] < 0.8)
        add(
            "class-imbalance",
            bool(truth.get("majority")) and f["true_top"] > 0.75 and f["min_recall"] < 0.15 and f["acc"] > f["true_top"] - 0.05,
        )
        add("over-confidence", f["conf"] - f["acc"] > 0.1)
        add("low-confidence", f["acc"] - f["conf"] > 0.15)
    if f["spread"] is not None:
        add("prediction-collapse", f["spread"] < 0.05 and f["twin_spread"] > 0.4)
    g, t = f["gnorm"], f["twin_gnorm"] * truth.get("start_factor", 1.0)
    if g is not None:
        add(
            "exploding-gradients",
            (g > 100 * t or (f.get("gnorm_growth", 0) > 30 and g > 0.1 * t and f["gnorm_growth"] * g > 10 * t))
            and (p < 0.9 or f["lost"] > 0.1),
        )
        small = f["first_over_last_grad"] is not None and f["first_over_last_grad"] < 1e-3
        add("vanishing-gradients", p < 0.6 and (g < 1e-3 * t or small) and f["still_share"] < 1 and not truth.get("hot"))
    add("dead-units", f["dead"] is not None and f["dead"] > 0.9 and f["dead"] > (f["twin_dead"] or 0) + 0.3)
    add("saturated-activations", f["sat"] is not None and f["sat"] > 0.6 and f["sat"] > (f["twin_sat"] or 0) + 0.3)
    add("frozen-weights", f["still_share"] >= 0.3 and f["lr_zero_share"] < 0.5)
    grown = f["wgrowth"] > max(1.5, 1.3 * f["twin_wgrowth"]) or f["wgrowth_all"] > max(5, 2.5 * f["twin_wgrowth_all"])
    add("weight-growth", grown and bool(truth.get("grow")))  # elsewhere it follows from something else
    add("clipping-saturated", f.get("clipped", 0) > 0.9 and p < 0.9)
    add("lr-zero", f["lr_zero_share"] > 0.25 and f["lr_zero_tail"] and p < 0.9)
    late_peak = f["lr_peak_at"] > 0.9 and f["lr_at_half"] < 0.4
    dropped = f["lr_at_half"] < 0.01 and f["lr_zero_share"] < 0.25 and p < 0.9 and f["lr_peak_at"] < 0.3
    add(
        "lr-schedule",
        f["lr_max"] > 0 and (late_peak or dropped or (f["lr_jumps"] == 1 and (f["lost"] > 0.1 or p < 0.8 or f["worst_up"] > 0.15))),
    )
    add("lr-too-low", 0 < (f["lr_ratio"] or 1) < 0.05 and p < 0.5)
    add("loss-scale-collapse", f.get("halvings", 0) >= 6 and f.get("scale_fall", 1) >= 64)
    near_floor = "floor" in truth and abs(f["train_end"] - truth["floor"]) < 0.1 * f["L0"] and f.get("acc", 0) > 0.7
    add("loss-mismatch", (near_floor and truth.get("twice")) or truth.get("start_factor", 1) > 4)
    add("leakage", bool(truth.get("leak")) and (f["first_val"] < 0.05 * f["L0"] or f.get("first_acc", 0) > 0.985))
    add("stalled", f["longest_gap"] > 200 or f["slow"] > 3)
    return s


def loose(f, truth):
    """Symptoms that can be defended from the numbers."""
    s = set()
    if f["n_evals"] < 4:
        return s
    p, n = f["progress"], f["n_evals"]
    add = lambda i, ok: s.add(i) if ok else None  # noqa: E731
    add("overfitting", f["rise"] > 0.015 and f["rise"] * f["R"] > 2.5 * f["val_noise"] and f["best_i"] < 0.92 * n)
    add("generalization-gap", f["gap"] > max(0.08, f["twin_gap"] + 0.06))
    add("underfitting", p < 0.85)
    add("no-learning", f["best_progress"] < 0.25)
    add("plateau", p < 0.92 and f["flat_change"] < 0.04)
    add("unconverged", f["late_gain"] > 0.015)
    add("instability", f["step_sd"] > max(0.04, 2 * f["twin_step_sd"]) or f["ups"] >= 2)
    add("spikes", f["spikes"] >= 1 or f["ups"] >= 1)
    add("noisy-validation", f["val_noise"] > 0.05 * f["R"] and f["val_noise"] > 2 * f["twin_val_noise"])
    add("val-better", -f["gap"] > 0.05)
    add("divergence", f["lost"] > 0.12 or p < -0.1)
    add("epoch-sawtooth", f["phase_r2"] > 0.25 and f["phase_amp"] > 0.04)
    add("sudden-shift", abs(f["val_step"]) > 0.12 or abs(f["train_step"]) > 0.2)
    if "top_share" in f:
        add("prediction-collapse", f["top_share"] > 0.8 and f["true_top"] < 0.8)
        add("class-imbalance", f["true_top"] > 0.7 and f["min_recall"] < 0.4)
        add("over-confidence", f["conf"] - f["acc"] > 0.04)
        add("low-confidence", f["acc"] - f["conf"] > 0.06)
    g, t = f["gnorm"], f["twin_gnorm"]
    add("exploding-gradients", f["gnorm_inf"] > 0 or (g is not None and (g > 10 * t or f.get("gnorm_growth", 0) > 8)))
    add("vanishing-gradients", g is not None and (g < 0.02 * t or (f["first_over_last_grad"] or 1) < 1e-2) and p < 0.9)
    add("dead-units", f["dead"] is not None and f["dead"] > 0.4)
    add("saturated-activations", f["sat"] is not None and f["sat"] > 0.3)
    add("frozen-weights", f["still_share"] > 0)
    add("weight-growth", f["wgrowth"] > 1.2 or f["wgrowth_all"] > 2.5)
    add("clipping-saturated", f.get("clipped", 0) > 0.5)
    add("lr-too-high", (f["lr_ratio"] or 1) > 2 or truth.get("hot", False))
    add("lr-too-low", 0 < (f["lr_ratio"] or 1) < 0.3 or (f["lr_at_half"] < 0.03 and f["lr_peak_at"] < 0.3))
    add("lr-schedule", f["lr_jumps"] > 0 or (f["lr_peak_at"] > 0.8 and f["lr_at_half"] < 0.6) or f["lr_at_half"] < 0.03)
    add("lr-zero", f["lr_zero_share"] > 0.03)
    add("nan-inf", f["gnorm_inf"] > 0)
    add("loss-scale-collapse", f.get("halvings", 0) >= 3)
    add("loss-mismatch", "floor" in truth or "start_factor" in truth or "own_scale" in truth or f["first_val"] > 3 * f["L0"])
    add("prediction-collapse", f["spread"] is not None and f["spread"] < 0.3)
    add("label-noise", truth.get("noise", 0) > 0)
    add("stalled", f["longest_gap"] > 60 or f["slow"] > 1.8)
    return s


def written(f, roles):
    """Roles less those that were asked for but that this kind of task cannot log."""
    gone = set()
    if "top_share" not in f:
        gone |= {"shares", "recalls", "f1", "conf"}
    if f.get("spread") is None:
        gone |= {"predhist"}
    if f.get("dead") is None and f.get("sat") is None:
        gone |= {"ahist", "dead"}
    return roles - gone


def visible(i, roles):
    """Is there a series in the log that shows this symptom?"""
    if i in NEEDS_BOTH:
        return NEEDS_BOTH[i] <= roles
    if i in NEEDS_VAL and "val" not in roles:
        return False
    return i not in VISIBLE or bool(VISIBLE[i] & roles)


def decide(f, trace, seen, healthy):
    """The label's primary, alt and allowed ids, or None if the case has to be dropped."""
    truth, roles = trace.setup.truth, written(f, seen["roles"])
    finite = f["nonfinite_train"] is None and f["nonfinite_val"] is None
    if f["n_evals"] < 4 and finite:
        return None
    st, lo = strict(f, truth, finite), loose(f, truth)
    shown = [i for i in ORDER if i in st and visible(i, roles)]
    tiny = f.get("gnorm") is not None and f["gnorm"] < 1e-3 * f["twin_gnorm"]
    if "vanishing-gradients" in shown and not tiny and not {"layergrads", "ghist"} & roles:
        shown.remove("vanishing-gradients")  # the total norm does not show which layer gets nothing
    if healthy:
        unclear = "overfitting" in lo and f["rise"] > 0.06
        if (st - set(truth.get("tolerated", ()))) or f["test_excess"] > 0.06 or unclear:
            return None
        may = lo & HEALTHY_ALLOWED | (healthy_allowed(f) if getattr(trace, "later", 0) >= 4 else set())
        return {"primary": [], "alt": {}, "allowed": sorted(may), "strict": sorted(st), "loose": sorted(lo)}
    if not shown:
        return None
    later = getattr(trace, "later", False)
    if later:
        shown = later_rules(f, truth, seen, shown, ORDER)
        shown = newest_rules(f, truth, seen, shown) if later >= 4 else shown
        if not shown:
            return None
    p = shown[0]
    primary = [p] + [j for j in ALSO.get(p, ()) if j in shown]
    near = [j for j in NEAR.get(p, ()) if j in (st | lo)] + ALWAYS_NEAR.get(p, [])
    near += later_near(p, f, truth, seen, st, lo) if later and finite else []
    near += newest_near(p, f, truth, seen, shown) if later >= 4 else []
    if p in ("instability", "divergence", "no-learning", "plateau", "underfitting", "spikes") and "lr-too-high" in lo:
        near.append("lr-too-high")
    if p in ("no-learning", "unconverged", "underfitting") and 0 < (f.get("lr_ratio") or 1) < 0.1:
        near.append("lr-too-low")
    if truth.get("noise") and p in ("overfitting", "plateau", "underfitting", "generalization-gap"):
        near.append("label-noise")
    if p in ("frozen-weights", "vanishing-gradients") and "no-learning" in st:
        near.append("no-learning")
    if truth.get("sorted") and p in ("spikes", "instability"):
        near.append("epoch-sawtooth")
    if truth.get("val_easy") and p == "val-better":
        near.append("leakage")
    near = [j for j in dict.fromkeys(near) if j not in primary]
    if truth.get("sorted"):
        lo |= {"epoch-sawtooth", "instability"}
    allowed = (st | lo | set(COMPANIONS.get(p, ())) | set(near)) - set(primary)
    return {"primary": primary, "alt": {p: near} if near else {}, "allowed": sorted(allowed), "strict": sorted(st), "loose": sorted(lo)}


HEALTHY_ALLOWED = {"unconverged", "val-better", "dead-units", "noisy-validation", "low-confidence", "over-confidence", "nan-inf"}
