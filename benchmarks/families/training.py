"""Train a task as its setup says and keep everything that could be logged."""

import copy
import time

import numpy as np
import torch
import torch.nn.functional as fn
from torch import nn

from families.setups import Setup, Trace

ACTIVATIONS = (nn.ReLU, nn.Tanh, nn.Sigmoid, nn.GELU)
FP16_MAX = 65504.0


def probabilities(task, out, batch):
    """Class probabilities (m, K) and labels (m,) of a classifier, or None."""
    if task.kind == "cls":
        k = out.shape[-1]
        return out.reshape(-1, k).softmax(-1), batch[1].reshape(-1).clamp(0, k - 1)
    if task.kind == "bin":
        p = out.reshape(-1).sigmoid()
        return torch.stack([1 - p, p], 1), batch[1].reshape(-1).round().long()
    return None


def score_of(task, out, batch):
    """Accuracy of classifiers, the task's own score otherwise (None if it has none)."""
    if task.kind == "cls":
        return float((out.argmax(-1) == batch[1]).float().mean())
    if task.kind == "bin":
        return float(((out > 0) == (batch[1] > 0.5)).float().mean())
    return None if task.score is None else float(task.score(out, batch))


def components_of(task, out, batch):
    """Mean of each component of the loss."""
    return {k: float(v.detach().float().mean()) for k, v in task.components(out, batch).items()}


def make_optimizer(setup, params):
    """The optimiser by name."""
    if setup.opt == "sgd":
        return torch.optim.SGD(params, lr=setup.lr, momentum=setup.momentum, weight_decay=setup.wd)
    if setup.opt == "rmsprop":
        return torch.optim.RMSprop(params, lr=setup.lr, weight_decay=setup.wd)
    return torch.optim.AdamW(params, lr=setup.lr, betas=setup.betas, weight_decay=setup.wd, fused=True)


def forward_loss(setup, model, batch, step):
    """Per-sample losses and the output, hooks applied."""
    out = model(batch[0])
    seen = out
    for h in setup.on_out:
        seen = h(step, seen)
    return setup.task.loss(seen, batch), out


def evaluate(setup, model, split, done, rng, light=False):
    """Mean loss, score and what the predictions look like on one split."""
    task = setup.task
    x, y = split
    if split is task.val:
        for h in setup.on_val:
            x, y = h(done, x, y)
        if setup.val_rows:
            i = torch.as_tensor(rng.choice(len(x), setup.val_rows, replace=False))
            x, y = x[i], y[i]
    model.train(setup.eval_train_mode and split is task.val)
    with torch.no_grad():
        losses, out = forward_loss(setup, model, (x, y), -1)
        res = {"loss": float(losses.mean()), "score": score_of(task, out, (x, y))}
        pair = probabilities(task, out, (x, y))
        if not light and pair is not None:
            p, t = pair
            k, top = p.shape[-1], p.argmax(-1)
            res["conf"] = float(p.max(-1).values.mean())
            res["acc"] = float((top == t).float().mean())
            res["shares"] = [float((top == c).float().mean()) for c in range(k)]
            res["true"] = [float((t == c).float().mean()) for c in range(k)]
            res["recalls"] = [float((top[t == c] == c).float().mean()) if (t == c).any() else None for c in range(k)]
            res["precision"] = [float((t[top == c] == c).float().mean()) if (top == c).any() else 0.0 for c in range(k)]
        elif not light and task.kind == "reg":
            res["spread"] = float(out.float().std(0).mean() / (y.float().std(0).mean() + 1e-12))
            res["preds"] = out.float().reshape(-1)[:2000].numpy().copy()
        if not light and task.components:
            res["parts"] = components_of(task, out, (x, y))
        if not light and task.more:
            res["more"] = task.more(res, out, (x, y))
    model.train()
    return res


class Watch:
    """Histograms, dead units and moved weights at some points of the run."""

    def __init__(self, model, x):
        self.model, self.x = model, x
        self.before = None

    def look(self, step):
        acts, hooks, res = {}, [], {"step": step}
        for name, m in self.model.named_modules():
            if isinstance(m, ACTIVATIONS):

                def keep(mod, _, out, name=name):
                    acts[name] = (type(mod).__name__, out.detach())

                hooks.append(m.register_forward_hook(keep))
        self.model.eval()
        with torch.no_grad():
            self.model(self.x)
        self.model.train()
        for h in hooks:
            h.remove()
        res["acts"], dead, sat = {}, [], []
        for name, (kind, a) in acts.items():
            flat = a.transpose(1, -1).reshape(-1, a.shape[1]) if a.dim() == 4 else a.reshape(-1, a.shape[-1])
            res["acts"][name] = flat.reshape(-1)[:8000].numpy().copy()
            if kind == "ReLU":
                dead.append(float((flat <= 0).all(0).float().mean()))
            if kind == "Tanh":
                sat.append(float((flat.abs() > 0.95).float().mean()))
            if kind == "Sigmoid":
                sat.append(float(((flat < 0.05) | (flat > 0.95)).float().mean()))
        res["dead"], res["sat"] = (max(dead) if dead else None), (max(sat) if sat else None)
        named = {n: p.detach().reshape(-1).numpy().copy() for n, p in self.model.named_parameters() if "ref." not in n}
        res["weights"] = named
        res["grads"] = {n: p.grad.reshape(-1).numpy().copy() for n, p in self.model.named_parameters() if p.grad is not None and n in named}
        if self.before is not None:
            res["still"] = [n for n in named if n.endswith("weight") and np.array_equal(named[n], self.before[n])]
        self.before = named
        return res


def run(setup: Setup, deep_points=12) -> Trace:
    """Train; the same setup gives the same trace."""
    torch.set_num_threads(1)
    torch.manual_seed(setup.seed)
    rng = np.random.default_rng(setup.seed)
    clock = np.random.default_rng(setup.seed + 77)
    task, trace = setup.task, Trace(setup)
    trace.started = time.process_time()
    model = task.build()
    for h in setup.on_model:
        model = h(model) or model
    params = [p for p in (setup.params(model) if setup.params else model.parameters()) if p.requires_grad]
    optim = (setup.optimizer(setup, model) if setup.optimizer else make_optimizer(setup, params)) if params else None
    everything = list(model.parameters())
    x, y = task.train
    n, total, per = len(x), setup.total, setup.steps_per_epoch
    watch, every = Watch(model, task.val[0][:128]), max(1, total // deep_points)
    base = float(clock.lognormal(-1.2, 0.5))
    wall, step, stop, best, since = 0.0, 0, False, np.inf, 0
    scale, good = setup.scaler, 0
    part = []
    for epoch in range(setup.epochs):
        perm = rng.permutation(n) if setup.shuffle else np.arange(n)
        perm = setup.order(epoch, perm) if setup.order else perm
        for b in range(per):
            for g in optim.param_groups if optim else []:
                g["lr"] = setup.lr * setup.sched(step, total) * g.get("factor", 1.0)
            if setup.zero_grad and optim:
                for p in everything:
                    p.grad = None
            losses, scores = [], []
            for a in range(setup.accum):
                lo = (b * setup.accum + a) * setup.batch
                i = torch.as_tensor(perm[lo : lo + setup.batch])
                bx, by = x[i], y[i]
                for h in setup.on_batch:
                    bx, by = h(step, epoch, bx, by)
                each, out = forward_loss(setup, model, (bx, by), step)
                loss = each.mean()
                for h in setup.on_loss:
                    loss = h(step, loss, model)
                losses.append(float(loss.detach()))
                if task.components and a == 0:
                    trace.parts.append(components_of(task, out, (bx, by)))
                scores.append(score_of(task, out.detach() if torch.is_tensor(out) else out, (bx, by)))
                for h in setup.on_penalty:
                    loss = loss + h(step, model)
                if loss.requires_grad:
                    (loss / (setup.accum if setup.accum_mean else 1)).backward()
            for h in setup.on_grad:
                h(step, model)
            grads = [p.grad for p in params if p.grad is not None]
            norm = float(torch.stack(torch._foreach_norm(grads)).norm()) if grads else 0.0
            skip = False
            if scale is not None:
                top = max((float(g.abs().max()) for g in grads), default=0.0)
                skip = not np.isfinite(norm) or top * scale > FP16_MAX
                trace.scale.append(scale)
                good = 0 if skip else good + 1
                if skip:
                    scale, norm = scale / 2, float("inf")
                elif good >= 200:
                    scale, good = scale * 2, 0
            if setup.clip and grads and np.isfinite(norm) and norm > setup.clip:
                torch._foreach_mul_(grads, setup.clip / (norm + 1e-6))
            if step % every == 0 or step == total - 1:
                trace.deep.append(watch.look(step))
            if optim and not skip:
                optim.step()
            for h in setup.after_step:
                h(step, model)
            trace.loss.append(float(np.mean(losses)))
            trace.acc.append(None if scores[0] is None else float(np.mean(scores)))
            trace.lr.append(optim.param_groups[0]["lr"] if optim else setup.lr)
            trace.gnorm.append(setup.logged_norm(norm) if setup.logged_norm else norm)
            if step % 5 == 0:
                w = float(torch.stack(torch._foreach_norm([p.detach() for p in everything])).norm())
            trace.wnorm.append(w)
            wall += base * float(clock.lognormal(0, 0.08)) * setup.seconds(step, total)
            trace.wall.append(wall)
            part.append(step)
            step += 1
            if setup.truth.get("killed_at") == step:
                stop = True
                break
            if not (step % setup.eval_every == 0 if setup.eval_every else b == per - 1):
                continue
            judged = setup.eval_model(model) if setup.eval_model else model
            res = evaluate(setup, judged, task.val, step / total, rng)
            model.train()
            seen = [trace.loss[i] for i in part]
            res = {f"val_{k}" if k in ("loss", "score") else k: v for k, v in res.items()}
            res["train_loss"] = float(np.mean(seen))
            if setup.with_test:
                res["test_loss"] = evaluate(setup, judged, task.test, step / total, rng, light=True)["loss"]
                model.train()
            res["train_score"] = None if trace.acc[-1] is None else float(np.mean([trace.acc[i] for i in part]))
            if trace.parts:
                res["train_parts"] = {k: float(np.mean([trace.parts[i][k] for i in part])) for k in trace.parts[-1]}
            wall += 3 * base
            res.update(step=step, epoch=epoch + 1, wall=wall)
            trace.evals.append(res)
            for h in setup.after_eval:
                h(res)
            part = []
            if res["val_loss"] < best - 1e-4:
                best, since = res["val_loss"], 0
            else:
                since += 1
            if setup.patience and since >= setup.patience:
                stop = True
                break
        if stop:
            break
    clean = copy.copy(setup)
    clean.on_val, clean.val_rows, clean.eval_train_mode, clean.on_out = [], None, False, setup.on_out
    take = slice(0, min(n, 600))
    if setup.eval_model:
        model = setup.eval_model(model)
    trace.final["test"] = evaluate(clean, model, task.test, 1.0, rng)
    trace.final["train"] = evaluate(clean, model, (x[take], y[take]), 1.0, rng, light=True)
    trace.final["seconds"] = time.process_time() - trace.started
    return trace


def cross_entropy(out, batch):
    """(n,) cross-entropy in nats; the mean over positions for sequences."""
    if out.dim() == 3:
        return fn.cross_entropy(out.transpose(1, 2), batch[1], reduction="none").mean(1)
    return fn.cross_entropy(out, batch[1], reduction="none")


def squared(out, batch):
    """(n,) squared error, the mean over outputs."""
    e = (out - batch[1]) ** 2
    return e if e.dim() == 1 else e.flatten(1).mean(1)


def binary(out, batch):
    """(n,) binary cross-entropy of logits."""
    return fn.binary_cross_entropy_with_logits(out, batch[1].float(), reduction="none")
