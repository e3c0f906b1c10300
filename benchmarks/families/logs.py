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

    def text(self, sub, text):
        self.writer(sub).add_text(self.conv.text, text, 0, walltime=self.start)

    def hparams(self, values, best):
        name = f"{self.start + 0.25:.2f}"
        self.writer("").add_hparams(values, {"hparam/best_val_loss": best}, run_name=name, global_step=0)

    def close(self):
        for w in self.writers.values():
            w.close()


def open_book(conv, root, start):
    """The book that writes through the convention's logger."""
    if conv.logger == "torch":
        return Book(conv, root, start)
    from families import books

    return books.BOOKS[conv.logger](conv, root, start)


def axis(kind, setup):
    """Step number (1-based count of optimiser steps) to the log's x."""
    per = setup.steps_per_epoch
    return {
        "step": lambda s: s,
        "epoch": lambda s: max(1, -(-s // per)),
        "epoch0": lambda s: max(0, -(-s // per) - 1),
        "samples": lambda s: s * setup.batch * setup.accum,
        "epoch1000": lambda s: 1000 * s // per,
        "tokens": lambda s: s * setup.batch * setup.accum * 64,
        "micro": lambda s: 4 * s,
    }[kind]


def folded(values, fold, every, per=0):
    """Points (index of the last step, value) every so many steps; `per` steps make an epoch (for running means since its start)."""
    v, out, state = np.asarray(values, float), [], None
    for i in range(every - 1, len(v), every):
        part = v[i - every + 1 : i + 1]
        if fold == "running" and per:
            out.append((i, v[i // per * per : i + 1].mean()))
        elif fold == "median":
            out.append((i, np.median(part)))
        elif fold == "last":
            out.append((i, part[-1]))
        elif fold == "ema":
            for q in part:
                state = q if state is None else (0.95 * state + 0.05 * q if np.isfinite(q) else q)
            out.append((i, state))
        else:
            out.append((i, part.mean()))
    return out


def turned(conv, name, value):
    """A score or a loss as the convention shows it."""
    if name == "loss":
        return {"ppl": np.exp(min(value, 60.0)), "bits": value / np.log(2), "likelihood": -value}.get(conv.turn_loss, value)
    if value is None or name not in ("acc", "top1"):
        return value
    return {"percent": 100 * value, "error": 1 - value}.get(conv.turn, value)


def write(trace, conv, extras, root, start=START, noise_tags=()):
    """Write all; returns what can be seen: train and val as (x, value), axes, roles."""
    setup, task = trace.setup, trace.setup.task
    book = open_book(conv, root, start)
    book.setup = setup
    tx = axis(conv.x, setup)
    vx = axis(conv.xv or conv.x, setup)
    s0, s1 = conv.splits
    d0, d1 = conv.dirs
    name = conv.names.get(task.score_name, task.score_name)
    seen = {"tx": tx, "vx": vx, "roles": set()}
    tag0 = conv.loss.format(s=s0)
    tag1 = conv.val_loss or VAL_LOSS.get(conv.name, conv.loss.format(s=s1))
    score0 = conv.train_score if conv.train_score is not None else TRAIN_SCORE.get(conv.name, conv.score)
    score1 = conv.val_score or VAL_SCORE.get(conv.name, conv.score)
    epoch_loss = conv.epoch_loss or TRAIN_LOSS_TOO.get(conv.name, "")
    if "only_loss" in extras:
        name = ""
    two = conv.style == "add_scalars"
    train = (
        folded(trace.loss, conv.fold, conv.every, setup.steps_per_epoch)
        if conv.every
        else [(e["step"] - 1, e["train_loss"]) for e in trace.evals]
    )
    seen["train"] = ([tx(i + 1) for i, _ in train], [v for _, v in train])
    seen["val"] = ([vx(e["step"]) for e in trace.evals], [e["val_loss"] for e in trace.evals])
    hidden = set(conv.hidden) | ({"val_loss"} if "no_val_loss" in extras else set())
    seen["roles"] |= ({"train"} - {h.replace("_loss", "") for h in hidden}) | ({"val"} if "no_val" not in extras else set())
    seen["hidden"] = sorted(hidden)
    epoch_parts = bool(trace.parts) and "no_parts" not in extras and bool(conv.component)
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
            elif "train_loss" not in hidden:
                book.put(tag0, turned(conv, "loss", v), x, wall, d0)
            width = conv.every or setup.steps_per_epoch
            if conv.every and trace.acc[at] is not None and "no_val" not in extras and not two:
                tag = score0.format(s=s0, m=name) if name else ""
                tag = f"{name}_batch" if tag == "acc" and task.score_name != "acc" else tag
                if tag and conv.name not in ("batch-epoch",):
                    book.put(tag, turned(conv, task.score_name, np.mean(trace.acc[max(0, at - width + 1) : at + 1])), x, wall, d0)
            if epoch_parts and conv.every:
                for n in trace.parts[at]:
                    book.put(
                        conv.component.format(s=s0, n=n),
                        np.mean([q[n] for q in trace.parts[max(0, at - width + 1) : at + 1]]),
                        x,
                        wall,
                        d0,
                    )
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
                    (at + 1) / setup.steps_per_epoch if "/" in conv.extra_epoch or conv.logger == "hf" else at // setup.steps_per_epoch,
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
                if "val_loss" not in hidden:
                    book.put(tag1, turned(conv, "loss", v["val_loss"]), x, wall, d1)
                if epoch_loss:
                    book.put(epoch_loss, turned(conv, "loss", v["train_loss"]), x, wall, d0)
                if epoch_parts:
                    for n, q in v["parts"].items():
                        if "{s}" not in conv.component and d0 == d1:
                            continue  # one name for both splits
                        book.put(conv.component.format(s=s1, n=n), q, x, wall, d1)
                        if not conv.every:
                            book.put(conv.component.format(s=s0, n=n), v["train_parts"][n], x, wall, d0)
                for n, q in v.get("more", {}).items() if "no_more" not in extras else ():
                    book.put((conv.more or score1).format(s=s1, m=n, n=n), q, x, wall, d1)
                if "test_loss" in v:
                    book.put(tag1, turned(conv, "loss", v["test_loss"]), x, wall, conv.test_dir)
                if name:
                    book.put(
                        score1.format(s=s1, m=name),
                        turned(conv, task.score_name, v["val_score"]),
                        x,
                        wall,
                        d1,
                    )
                    if (not conv.every or conv.name == "batch-epoch") and conv.train_score != "":
                        book.put(
                            (conv.train_score or conv.score).format(s=s0, m=name),
                            turned(conv, task.score_name, v["train_score"]),
                            x,
                            wall,
                            d0,
                        )
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
                book.put(score1.format(s=s1, m="macro_f1"), np.mean(f), x, wall, d1)
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
        book.text(d0, text)
    if "hparams" in extras:
        best = min((e["val_loss"] for e in trace.evals), default=0.0)
        book.hparams({"lr": setup.lr, "bs": setup.batch, "opt": setup.opt}, float(best))
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
