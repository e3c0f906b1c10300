"""Write a trace as event files with torch's SummaryWriter, in one convention, and tell what was written."""

import json
from pathlib import Path

import numpy as np
from torch.utils.tensorboard import SummaryWriter

from families.conventions import TRAIN_LOSS_TOO, TRAIN_SCORE, VAL_LOSS, VAL_SCORE

START = 1760000000.0
DEEP = {"whist", "ghist", "ahist", "dead", "layergrads"}


class Book:
    """Writers by directory; all values with simulated wall times."""

    def __init__(self, conv, root, start):
        self.conv, self.root, self.start, self.writers = conv, Path(root), start, {}
        self.scalars = {}

    def writer(self, sub):
        if sub not in self.writers:
            path = self.root / self.conv.top / sub
            self.writers[sub] = SummaryWriter(str(path))
        return self.writers[sub]

    def put(self, tag, value, x, wall, sub=""):
        if not tag or value is None:
            return
        v = round(float(value), self.conv.digits) if self.conv.digits and np.isfinite(value) else float(value)
        self.writer(sub).add_scalar(tag, v, int(x), walltime=self.start + wall, new_style=self.conv.style == "tensor")

    def pair(self, tag, key, value, x, wall):
        self.writer("").add_scalars(tag, {key: float(value)}, int(x), walltime=self.start + wall)

    def histogram(self, tag, values, x, wall, sub=""):
        if len(values) and np.isfinite(values).any():
            self.writer(sub).add_histogram(tag, values, int(x), walltime=self.start + wall)

    def close(self):
        for w in self.writers.values():
            w.close()


def axis(kind, setup):
    """Step number (1-based count of optimiser steps) to the log's x."""
    per = setup.steps_per_epoch
    return {
        "step": lambda s: s,
        "epoch": lambda s: max(1, -(-s // per)),
        "epoch0": lambda s: max(0, -(-s // per) - 1),
        "samples": lambda s: s * setup.batch * setup.accum,
    }[kind]


def folded(values, fold, every):
    """Points (index of the last step, value) every so many steps."""
    v, out, state = np.asarray(values, float), [], None
    for i in range(every - 1, len(v), every):
        part = v[i - every + 1 : i + 1]
        if fold == "last":
            out.append((i, part[-1]))
        elif fold == "ema":
            for q in part:
                state = q if state is None else (0.95 * state + 0.05 * q if np.isfinite(q) else q)
            out.append((i, state))
        else:
            out.append((i, part.mean()))
    return out


def turned(conv, name, value):
    """A score as the convention shows it."""
    if value is None or name not in ("acc", "top1"):
        return value
    return {"percent": 100 * value, "error": 1 - value}.get(conv.turn, value)


def write(trace, conv, extras, root, start=START, noise_tags=()):
    """Write all; returns what can be seen: train and val as (x, value), axes, roles."""
    setup, task = trace.setup, trace.setup.task
    book = Book(conv, root, start)
    tx = axis(conv.x, setup)
    vx = axis(conv.xv or conv.x, setup)
    s0, s1 = conv.splits
    d0, d1 = conv.dirs
    name = conv.names.get(task.score_name, task.score_name)
    seen = {"tx": tx, "vx": vx, "roles": set()}
    tag0 = conv.loss.format(s=s0)
    tag1 = VAL_LOSS.get(conv.name, conv.loss.format(s=s1))
    two = conv.style == "add_scalars"
    train = folded(trace.loss, conv.fold, conv.every) if conv.every else [(e["step"] - 1, e["train_loss"]) for e in trace.evals]
    seen["train"] = ([tx(i + 1) for i, _ in train], [v for _, v in train])
    seen["val"] = ([vx(e["step"]) for e in trace.evals], [e["val_loss"] for e in trace.evals])
    seen["roles"] |= {"train"} | ({"val"} if "no_val" not in extras else set())
    rows = (
        [(trace.wall[i], "t", i, v) for i, v in train]
        + [(e["wall"], "v", e["step"], e) for e in trace.evals]
        + [(trace.wall[d["step"]], "d", d["step"], d) for d in trace.deep]
    )
    looked = set()
    for wall, what, at, v in sorted(rows, key=lambda r: (r[0], r[1])):
        if what == "t":
            x = tx(at + 1)
            if two:
                book.pair(tag0, s0, v, x, wall)
            else:
                book.put(tag0, v, x, wall, d0)
            width = conv.every or setup.steps_per_epoch
            if conv.every and trace.acc[at] is not None and "no_val" not in extras and not two:
                tag = TRAIN_SCORE.get(conv.name, conv.score.format(s=s0, m=name))
                tag = f"{name}_batch" if tag == "acc" and task.score_name != "acc" else tag
                if tag and conv.name not in ("batch-epoch",):
                    book.put(tag, turned(conv, task.score_name, np.mean(trace.acc[max(0, at - width + 1) : at + 1])), x, wall, d0)
            if "lr" in extras:
                book.put(conv.lr, trace.lr[at], x, wall, d0)
            if "gnorm" in extras:
                g = trace.gnorm[max(0, at - width + 1) : at + 1]
                book.put(conv.gnorm, g[-1] if conv.every else np.mean(g), x, wall, d0)
            if "wnorm" in extras:
                book.put(conv.wnorm, trace.wnorm[at], x, wall, d0)
            if trace.scale:
                book.put(conv.scale, trace.scale[at], x, wall, d0)
            lo = max(0, at - width + 1)
            span = (trace.wall[at] - (trace.wall[lo - 1] if lo else 0)) / (at - lo + 1)
            if "speed" in extras:
                book.put(conv.speed, (1 if "step/sec" in conv.speed else setup.batch * setup.accum) / span, x, wall, d0)
            if conv.step_time:
                book.put(conv.step_time, span, x, wall, d0)
            if conv.extra_epoch:
                book.put(
                    conv.extra_epoch,
                    (at + 1) / setup.steps_per_epoch if "/" in conv.extra_epoch else at // setup.steps_per_epoch,
                    x,
                    wall,
                    d0,
                )
            for t in noise_tags:
                book.put(t, side_value(t, at, len(trace.loss)), x, wall, d0)
        elif what == "v" and "no_val" not in extras:
            x = vx(at)
            if two:
                book.pair(tag1, s1, v["val_loss"], x, wall)
                if v["val_score"] is not None and name:
                    book.pair(conv.score.format(m=name), s0, v["train_score"], x, wall)
                    book.pair(conv.score.format(m=name), s1, v["val_score"], x, wall)
            else:
                book.put(tag1, v["val_loss"], x, wall, d1)
                if conv.name in TRAIN_LOSS_TOO:
                    book.put(TRAIN_LOSS_TOO[conv.name], v["train_loss"], x, wall, d0)
                if name:
                    book.put(
                        VAL_SCORE.get(conv.name, conv.score).format(s=s1, m=name),
                        turned(conv, task.score_name, v["val_score"]),
                        x,
                        wall,
                        d1,
                    )
                    if not conv.every or conv.name == "batch-epoch":
                        book.put(conv.score.format(s=s0, m=name), turned(conv, task.score_name, v["train_score"]), x, wall, d0)
            for key, tag in (("recalls", conv.recall), ("shares", conv.share)):
                if key in extras and key in v:
                    for c, q in enumerate(v[key]):
                        book.put(tag.format(n=c), q, x, wall, d1)
            if "conf" in extras and "conf" in v:
                book.put(conv.conf, v["conf"], x, wall, d1)
            if "f1" in extras and "recalls" in v:
                f = [
                    2 * p * r / (p + r) if r and p + r else 0.0 for p, r in zip(v["precision"], v["recalls"], strict=True) if r is not None
                ]
                book.put(VAL_SCORE.get(conv.name, conv.score).format(s=s1, m="macro_f1"), np.mean(f), x, wall, d1)
            if "predhist" in extras and "preds" in v:
                book.histogram(conv.preds, v["preds"], x, wall, d1)
        elif what == "d" and tx(at + 1) not in looked:
            looked.add(tx(at + 1))
            deep(book, conv, extras, v, tx(at + 1), wall, d0)
    if "text" in extras:
        text = json.dumps(
            {
                "lr": setup.lr,
                "batch_size": setup.batch,
                "epochs": setup.epochs,
                "optimizer": setup.opt,
                "seed": setup.seed,
                "weight_decay": setup.wd,
                **({"max_grad_norm": setup.clip} if setup.clip else {}),
            },
            indent=1,
        )
        book.writer(d0).add_text(conv.text, text, 0, walltime=start)
    if "hparams" in extras:
        best = min((e["val_loss"] for e in trace.evals), default=0.0)
        book.writer("").add_hparams(
            {"lr": setup.lr, "bs": setup.batch, "opt": setup.opt},
            {"hparam/best_val_loss": float(best)},
            run_name=f"{start + 0.25:.2f}",
            global_step=0,
        )
    book.close()
    e0 = trace.evals[0] if trace.evals else {}
    seen["roles"] |= (
        {k for k in extras if k not in ("no_val",)} | ({"scale"} if trace.scale else set()) | ({"step_time"} if conv.step_time else set())
    )
    seen["roles"] |= {"score"} if (e0.get("val_score") is not None and "no_val" not in extras and name) else set()
    return seen


def deep(book, conv, extras, d, x, wall, sub):
    """Histograms and per-layer figures of one look."""
    for n, w in d["weights"].items():
        if not n.endswith("weight"):
            continue
        if "whist" in extras:
            book.histogram(conv.weights.format(n=n), w, x, wall, sub)
        g = d["grads"].get(n)
        if "ghist" in extras and g is not None:
            book.histogram(conv.grads.format(n=n), g, x, wall, sub)
        if "layergrads" in extras:
            book.put(conv.layer_grad.format(n=n), 0.0 if g is None else float(np.linalg.norm(g.astype(np.float64))), x, wall, sub)
    for n, a in d["acts"].items():
        if "ahist" in extras:
            book.histogram(conv.acts.format(n=n or "act"), a, x, wall, sub)
        if "dead" in extras:
            book.put(conv.dead.format(n=n or "act"), float((a <= 0).mean()), x, wall, sub)


def side_value(tag, i, n):
    """Tags that have nothing to do with the training's health."""
    if "nan" in tag or "bleu" in tag:
        return float("nan")
    if "mem" in tag:
        return 1200 + 3 * (i % 7)
    if "temp" in tag:
        return 61 + np.sin(i / 9) * 4
    if "queue" in tag:
        return (i * 7919) % 13
    return i / max(1, n)
