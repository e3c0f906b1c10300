"""What can be measured on a training, its healthy twin and the series that were logged.

Levels are shares of the range R = L0 - T: L0 is the loss of the best constant prediction (the twin's first loss where there is no such
prediction), T the twin's final training loss.  `strict` facts are plain to see, `loose` ones can be defended.
"""

import numpy as np

from families.logs import folded


def robust_sd(x):
    """1.4826 times the median absolute deviation."""
    x = np.asarray(x, float)
    return float(1.4826 * np.median(np.abs(x - np.median(x)))) if len(x) else 0.0


def running_median(x, k):
    """Median over k points, shorter at the ends."""
    h = k // 2
    return np.array([np.median(x[max(0, i - h) : i + h + 1]) for i in range(len(x))])


def tail_mean(x, share=0.1):
    """Mean of the last tenth (at least two points if there are five)."""
    n = max(2 if len(x) >= 5 else 1, int(len(x) * share))
    return float(np.mean(x[-n:]))


def chance_loss(trace):
    """Loss of the best constant prediction for plain cross-entropy, else the mean of the first three steps."""
    task = trace.setup.task
    if task.chance is not None and "start_factor" not in trace.setup.truth:
        return task.chance
    if task.loss_name in ("ce", "bce") and "start_factor" not in trace.setup.truth:
        y = task.train[1].reshape(-1).numpy()
        p = np.bincount(y.astype(int)) / len(y)
        p = p[p > 0]
        return float(-(p * np.log(p)).sum())
    return float(np.mean(trace.loss[:3]))


def residual_sd(v):
    """Robust sd of a curve around its running median of five."""
    v = np.asarray(v, float)
    return robust_sd(v - running_median(v, 5)) * 1.2 if len(v) >= 6 else robust_sd(np.diff(v)) / 1.4


def event_jump(seen, truth, r):
    """(size, noise) of the change of level that the logged series shows where something happened, in R."""
    side = "val" if truth.get("shift") == "val" else "train"
    x, v = np.asarray(seen[side][0], float), np.asarray(seen[side][1], float)
    k = int(np.searchsorted(x, seen["event"][side == "val"]))
    before, after = v[max(0, k - 5) : k], v[k + 1 : k + 4]
    if len(before) < 3 or len(after) < 2:
        return 0.0, 1.0
    return float(np.median(after) - np.median(before)) / r, robust_sd(np.diff(before)) / 1.4 / r


def count_spikes(v, scale):
    """Isolated excursions over 8 sd and 0.15 R that are gone within 4 % of the points."""
    v = np.asarray(v, float)
    if len(v) < 40 or not np.isfinite(v).all():
        return 0
    z = v - running_median(v, 21)
    sd = max(robust_sd(z), 1e-9)
    high = (z > 8 * sd) & (z > 0.15 * scale)
    runs, i, n = 0, int(0.05 * len(v)), len(v)
    while i < n:
        if high[i]:
            j = i
            while j < n and high[j]:
                j += 1
            runs += j - i <= max(3, 0.04 * n) and j < n
            i = j
        i += 1
    return int(runs)


def phase_pattern(trace, v, every):
    """Share of the detrended variance that the position in the epoch explains, and its amplitude."""
    per = trace.setup.steps_per_epoch
    v = np.asarray(v, float)
    if not every or per // every < 4 or len(v) < 24 or not np.isfinite(v).all():
        return 0.0, 0.0
    width = max(3, per // every)
    kernel = np.ones(width) / width
    trend = np.convolve(np.pad(v, width, mode="edge"), kernel, "same")[width:-width]
    r = (v - trend)[len(v) // 5 :]
    at = ((np.arange(len(v)) * every + every - 1) % per * 8 // per)[len(v) // 5 :]
    means = np.array([r[at == k].mean() if (at == k).any() else 0.0 for k in range(8)])
    left = np.array([r[i] - means[at[i]] for i in range(len(r))])
    return float(1 - left.var() / (r.var() + 1e-18) - 8 / len(r)), float(means.max() - means.min())


def biggest_step(v):
    """(index, size) of the largest lasting change of level between neighbours, with three points on both sides."""
    best = (None, 0.0)
    for i in range(3, len(v) - 2):
        d = np.median(v[i : i + 4]) - np.median(v[max(0, i - 4) : i])
        if abs(v[i] - v[i - 1]) > 0.6 * abs(d) and abs(d) > abs(best[1]):
            best = (i, float(d))
    return best


def measure(trace, twin, seen, conv):
    """All figures as a flat dict; NaN curves are measured up to their first non-finite value."""
    f, setup = {}, trace.setup
    own = "own_scale" in setup.truth or "start_factor" in setup.truth
    base = trace if own else twin
    f["L0"] = l0 = chance_loss(base)
    twin_train = tail_mean([e["train_loss"] for e in twin.evals])
    twin_l0 = chance_loss(twin)
    f["target"] = target = l0 * twin_train / twin_l0 if own and twin_l0 > 0 else twin_train
    f["R"] = r = max(l0 - target, 1e-9)
    x = np.asarray(seen["train"][1], float)
    v, te = np.array([e["val_loss"] for e in trace.evals]), np.array([e["train_loss"] for e in trace.evals])
    bad_t, bad_v = ~np.isfinite(x), ~np.isfinite(v)
    f["nonfinite_train"] = int(np.argmax(bad_t)) if bad_t.any() else None
    f["nonfinite_val"] = int(np.argmax(bad_v)) if bad_v.any() else None
    keep = np.isfinite(v) & np.isfinite(te)
    v, te = v[keep], te[keep]
    f["n_evals"] = n = len(v)
    if n < 2:
        return f
    k = 5 if n >= 25 else 3
    vs = running_median(v, k) if n >= 6 else v
    f["best_i"] = b = int(np.argmin(vs))
    f["val_noise"], f["twin_val_noise"] = residual_sd(v[n // 4 :]), residual_sd([e["val_loss"] for e in twin.evals][len(twin.evals) // 4 :])
    f["val_best"], f["val_end"], f["train_end"] = float(vs[b]), tail_mean(v), tail_mean(te)
    f["twin_val_best"] = twin_val = float(np.min([e["val_loss"] for e in twin.evals]))
    f["rise"] = (f["val_end"] - f["val_best"]) / r
    f["train_after_best"] = (te[b] - f["train_end"]) / r
    f["progress"], f["vprogress"] = (l0 - f["train_end"]) / r, (l0 - f["val_best"]) / max(l0 - twin_val, 1e-9)
    f["best_progress"] = (l0 - te.min()) / r
    f["gap"] = (f["val_end"] - f["train_end"]) / r
    f["twin_gap"] = (tail_mean([e["val_loss"] for e in twin.evals]) - twin_train) / max(twin_l0 - twin_train, 1e-9)
    q = max(1, n // 4)
    f["late_gain"] = (np.mean(te[-2 * q : -q]) - np.mean(te[-q:])) / r if n >= 4 else 0.0
    f["late_val_gain"] = (np.mean(v[-2 * q : -q]) - np.mean(v[-q:])) / r if n >= 4 else 0.0
    h = max(2, int(0.4 * n))
    f["flat_change"] = abs(np.mean(te[-h : -h // 2]) - np.mean(te[-h // 2 :])) / r if n >= 5 else 1.0
    i = int(np.argmin(te))
    f["train_best_at"], f["lost"] = i / n, (f["train_end"] - float(te.min())) / r
    f["ups"] = int(((te[1:] - te[:-1]) > 0.08 * r).sum())
    f["worst_up"] = float((te[1:] - te[:-1]).max() / r)
    f["vups"] = int(((v[1:] - v[:-1]) > 0.1 * r).sum())
    xs = x[np.isfinite(x)]
    tw = folded(twin.loss, conv.fold, conv.every, twin.setup.steps_per_epoch) if conv.every else [(0, e["train_loss"]) for e in twin.evals]
    tw = np.array([q for _, q in tw])
    f["step_sd"], f["twin_step_sd"] = residual_sd(xs[len(xs) // 5 :]) / r, residual_sd(tw[len(tw) // 5 :]) / max(twin_l0 - twin_train, 1e-9)
    f["spikes"], f["twin_spikes"] = count_spikes(xs, r), count_spikes(tw, r)
    f["phase_r2"], f["phase_amp"] = phase_pattern(trace, xs, conv.every)
    f["phase_amp"] /= r
    j, d = biggest_step(v)
    f["val_step_at"], f["val_step"] = j, d / r
    j, d = biggest_step(te)
    f["train_step_at"], f["train_step"] = j, d / r
    e = trace.evals[min(len(trace.evals), n) - 1]
    if "shares" in e:
        last = trace.evals[:n][-max(2, n // 5) :]
        f["top_share"], f["true_top"] = float(np.mean([max(q["shares"]) for q in last])), max(e["true"])
        f["min_recall"] = min(float(np.mean([q["recalls"][c] or 0.0 for q in last])) for c in range(len(e["true"])) if e["true"][c] > 0)
        f["conf"], f["acc"] = float(np.mean([q["conf"] for q in last])), float(np.mean([q["acc"] for q in last]))
        f["first_acc"] = float(np.mean([q["acc"] for q in trace.evals[: max(1, n // 8)]]))
    f["spread"] = e.get("spread")
    f["twin_spread"] = twin.evals[-1].get("spread")
    f["first_val"] = float(v[: max(1, n // 8)].mean())
    internals(f, trace, twin)
    f["test"], f["twin_test"] = trace.final["test"]["loss"], twin.final["test"]["loss"]
    f["test_excess"] = (f["test"] - f["twin_test"]) / r
    scores = trace.final["test"]["score"], twin.final["test"]["score"]
    if own and None not in scores:  # losses of another scale cannot be compared
        f["test_excess"] = scores[1] - scores[0]
    return f


def internals(f, trace, twin):
    """Gradients, weights, activations, learning rate, loss scale, clock."""
    g, tg = np.asarray(trace.gnorm, float), np.asarray(twin.gnorm, float)
    ok = np.isfinite(g)
    f["gnorm_inf"] = int((~ok).sum())
    f["gnorm"], f["twin_gnorm"] = float(np.median(g[ok])) if ok.any() else None, float(np.median(tg))
    if ok.sum() > 20:
        head, smooth = np.median(g[ok][: max(5, ok.sum() // 5)]), running_median(g[ok][::3], 5)
        f["gnorm_growth"] = float(smooth.max() / (head + 1e-12))
    w, tw = trace.wnorm, twin.wnorm
    f["wgrowth"], f["twin_wgrowth"] = w[-1] / w[len(w) // 2], tw[-1] / tw[len(tw) // 2]
    f["wgrowth_all"], f["twin_wgrowth_all"] = w[-1] / w[0], tw[-1] / tw[0]
    d, td = trace.deep, twin.deep
    last, tlast = d[-3:], td[-3:]
    for k in ("dead", "sat"):
        have = [q[k] for q in last if q[k] is not None]
        f[k] = float(np.mean(have)) if have else None
        have = [q[k] for q in tlast if q[k] is not None]
        f[f"twin_{k}"] = float(np.mean(have)) if have else None
    weights = [n for n in d[0]["weights"] if n.endswith("weight")]
    still = set(weights)
    for q in d[1:]:
        still &= set(q["still"])
    f["still_share"] = len(still) / max(1, len(weights))
    ratios = []
    for q in d[1:]:
        names = [n for n in weights if n in q["grads"] and np.isfinite(q["grads"][n]).all()]
        if len(names) >= 3:
            a, b = (float(np.abs(q["grads"][n].astype(np.float64)).mean()) for n in (names[0], names[-1]))
            ratios.append(a / (b + 1e-30))
    f["first_over_last_grad"] = float(np.median(ratios)) if ratios else None
    lr = np.asarray(trace.lr)
    f["lr_max"], n = float(lr.max()), len(lr)
    same = trace.setup.opt == twin.setup.opt  # rates of two optimisers cannot be compared
    f["lr_ratio"] = float(lr.max() / max(twin.lr)) if max(twin.lr) > 0 and same else None
    f["lr_zero_share"] = float((lr <= 1e-6 * lr.max()).mean()) if lr.max() > 0 else 1.0
    f["lr_zero_tail"] = bool(lr.max() == 0 or (lr[int(0.8 * n) :] <= 1e-6 * lr.max()).all())
    f["lr_peak_at"] = float(np.argmax(lr) / n)
    f["lr_at_half"] = float(lr[n // 2] / lr.max()) if lr.max() > 0 else 0.0
    late = lr[int(0.12 * n) :]
    f["lr_jumps"] = int(((late[1:] + 1e-30) / (late[:-1] + 1e-30) > 5).sum()) if lr.max() > 0 else 0
    if trace.setup.clip:
        f["clipped"] = float((g >= trace.setup.clip).mean())  # a norm logged after clipping sits on the threshold
    if trace.scale:
        s = np.asarray(trace.scale)[int(0.05 * n) :]
        f["halvings"], f["scale_fall"] = int((s[1:] < s[:-1]).sum()), float(s.max() / s[-1])
    step = np.diff(trace.wall, prepend=0.0)
    f["longest_gap"], f["slow"] = float(step.max() / np.median(step)), float(np.median(step[-n // 5 :]) / np.median(step[: n // 2]))
