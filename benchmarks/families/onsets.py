"""When a symptom starts, and which evaluation was the best, in the log's own step unit."""

import numpy as np

from families.facts import running_median


def interval_of(x, i, j=None, slack=1):
    """From the point before i to the point after j, widened by 3 % of the run."""
    x = np.asarray(x, float)
    j = i if j is None else j
    pad = 0.03 * (x[-1] - x[0])
    return [float(np.floor(x[max(0, i - slack)] - pad)), float(np.ceil(x[min(len(x) - 1, j + slack)] + pad))]


def onsets(f, trace, seen, primary):
    """Intervals, in the log's own unit, in which the symptom starts."""
    out, truth = {}, trace.setup.truth
    tx, vx = np.asarray(seen["train"][0], float), np.asarray(seen["val"][0], float)
    at = truth.get("event_step")
    for i in primary:
        if i == "nan-inf":
            k, x = (f["nonfinite_train"], tx) if f["nonfinite_train"] is not None else (f["nonfinite_val"], vx)
            out[i] = interval_of(x, k)
        elif i == "overfitting":
            v = np.array([e["val_loss"] for e in trace.evals])
            near = np.flatnonzero(v <= f["val_best"] + 0.15 * (f["val_end"] - f["val_best"]))
            after = np.flatnonzero(
                (np.arange(len(v)) > f["best_i"]) & (v > f["val_best"] + max(5 * f["val_noise"], 0.5 * (f["val_end"] - f["val_best"])))
            )
            if len(near) and len(after):
                out[i] = interval_of(vx, int(near[0]), int(after[0]))
        elif i == "sudden-shift" and at is not None:
            x = vx if truth["shift"] == "val" else tx
            k = int(np.searchsorted(x, seen["event"][truth["shift"] == "val"]))
            out[i] = interval_of(x, min(k, len(x) - 1))
        elif i == "divergence":
            t = np.asarray(seen["train"][1], float)
            s = running_median(t, 5)
            b = int(np.argmin(s))
            up = np.flatnonzero((np.arange(len(s)) > b) & (s > s[b] + 0.3 * (tail(s) - s[b])))
            if at is not None:
                b = int(np.searchsorted(tx, seen["event"][0]))
            if len(up):
                out[i] = interval_of(tx, min(b, int(up[0])), max(b, int(up[0])))
        elif i in ("stalled", "loss-scale-collapse") and at is not None:
            k = min(int(np.searchsorted(tx, seen["event"][0])), len(tx) - 1)
            out[i] = interval_of(tx, k, min(len(tx) - 1, k + max(2, int(len(tx) * (0.3 if truth.get("gradual") else 0.083)))))
    return out


def tail(v):
    """Mean of the last tenth."""
    return float(np.mean(v[-max(1, len(v) // 10) :]))


def best_step(f, trace, seen):
    """The log's x of the lowest validation loss, or None where other evaluations far from it are as good within the noise."""
    v = np.array([e["val_loss"] for e in trace.evals])
    if "val" not in seen["roles"] or len(v) < 4 or not np.isfinite(v).any():
        return None
    if "val_loss" in seen.get("hidden", ()):
        return None
    v = np.where(np.isfinite(v), v, np.inf)
    b = int(np.argmin(v))
    noise = f.get("val_noise") or 0.0
    rivals = np.flatnonzero(v <= v[b] + (0.5 * noise if np.isfinite(noise) else 0.0))
    x = np.asarray(seen["val"][0], float)
    if np.abs(x[rivals] - x[b]).max() > max(1.0, 0.05 * abs(x[b])):
        return None
    if getattr(trace, "later", False) and trace.evals[0]["val_score"] is not None and "score" in seen["roles"]:
        s = np.array([e["val_score"] for e in trace.evals]) * (1 if trace.rising else -1)
        good = np.flatnonzero(s >= np.nanmax(s) - 0.02 * max(np.ptp(s[np.isfinite(s)]), 1e-9))
        if len(good) and np.abs(x[good] - x[b]).min() > max(1.0, 0.05 * abs(x[b])):
            return None  # loss and score disagree on the best evaluation
    return int(x[b])
