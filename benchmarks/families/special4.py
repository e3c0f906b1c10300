"""Reinforcement learning of `dev4` (a table of values in a windy grid) and `sealed4` (a clipped policy gradient on contexts and arms).

Judged by the rules of `families.special3`.
"""

import numpy as np
import torch
from torch import nn

from families.nets import Mlp

WIND = (0, 0, 1, 1, 0, 0)
MOVES = ((0, 1), (0, -1), (1, 0), (-1, 0))


def walk(place, action):
    """The next place in a grid of six by six whose middle columns blow upwards; -1 a step, the goal ends an episode."""
    x = min(5, max(0, place[0] + MOVES[action][0]))
    return x, min(5, max(0, place[1] + MOVES[action][1] + WIND[x]))


def train_table(seed, rate=0.3, gamma=0.98, end=0.02, rounds=80, greedy=True):
    """Q-learning from a table; one row a round of ten episodes of at most sixty steps."""
    rng = np.random.default_rng(seed)
    q, rows, steps = np.zeros((6, 6, 4)), [], 0
    for it in range(rounds):
        eps = max(end, 1 - (1 - end) * it / (0.5 * rounds)) if greedy else 1.0
        total, error, length = [], [], []
        for _ in range(10):
            place, back, begun = (0, int(rng.integers(0, 3))), 0.0, steps
            for _ in range(60):
                free = rng.random() < eps
                a = int(rng.integers(4)) if free else int(np.argmax(q[place] + 1e-9 * rng.random(4)))
                new = walk(place, a)
                done = new == (5, 2)
                r = 5.0 if done else -1.0
                e = r + (0.0 if done else gamma * q[new].max()) - q[place][a]
                q[place][a] += rate * e
                error.append(abs(e))
                back, place, steps = back + r, new, steps + 1
                if done:
                    break
            total.append(back)
            length.append(steps - begun)
        row = {"return": np.mean(total), "length": np.mean(length), "td": np.mean(error), "q": q.mean(), "eps": eps, "lr": rate, "x": steps}
        rows.append({k: float(v) for k, v in row.items()})
    return rows


def arms(rng, n, w):
    """Contexts (n, 6) and the arm of four that pays."""
    c = rng.normal(size=(n, 6)).astype(np.float32)
    return c, (np.tanh(c @ w[0]) @ w[1] + rng.gumbel(0, 0.25, (n, 4))).argmax(1)


def train_arms(seed, lr=6e-3, rounds=90, entropy=0.003, jump=1.0, noise=0.0):
    """Clipped policy gradient with a learned baseline; one row a batch of 160 decisions of sixteen-step episodes."""
    torch.manual_seed(seed)
    torch.set_num_threads(1)
    rng = np.random.default_rng(seed)
    w = rng.normal(size=(6, 6)), rng.normal(size=(6, 4)) * 1.5
    pi, value = Mlp([6, 32, 32, 4], act=nn.Tanh), Mlp([6, 32, 1], act=nn.Tanh, squeeze=True)
    opt, rows = torch.optim.Adam([*pi.parameters(), *value.parameters()], lr), []
    for it in range(rounds):
        rate = lr * (jump if it >= 0.5 * rounds else 1.0)
        opt.param_groups[0]["lr"] = rate
        c, good = arms(rng, 480, w)
        x = torch.as_tensor(c)
        with torch.no_grad():
            old = torch.distributions.Categorical(logits=pi(x))
            a = old.sample()
            logp, v0 = old.log_prob(a), value(x)
        r = torch.as_tensor((a.numpy() == good).astype(np.float32))
        if noise:
            r = torch.as_tensor(rng.permutation(r.numpy()))
        adv = r - v0
        adv = (adv - adv.mean()) / (adv.std() + 1e-6)
        seen = []
        for _ in range(4):
            i = torch.as_tensor(rng.permutation(480)[:240])
            d = torch.distributions.Categorical(logits=pi(x[i]))
            ratio = (d.log_prob(a[i]) - logp[i]).exp()
            pg = -torch.min(ratio * adv[i], ratio.clamp(0.8, 1.2) * adv[i]).mean()
            vf, h = ((value(x[i]) - r[i]) ** 2).mean(), d.entropy().mean()
            loss = pg + 0.5 * vf - entropy * h
            opt.zero_grad()
            loss.backward()
            opt.step()
            kl = float((logp[i] - d.log_prob(a[i])).mean().detach())
            seen.append((float(loss.detach()), float(pg.detach()), float(vf.detach()), -float(h.detach()), kl))
        last = dict(zip(("loss", "pg", "vf", "ent", "kl"), np.mean(seen, 0).tolist(), strict=True))
        explained = float(1 - (r - v0).var() / (r.var() + 1e-9))
        rows.append({**last, "return": 16 * float(r.mean()), "explained": explained, "lr": rate, "clip": 0.2, "x": (it + 1) * 480})
    return rows


TAGS = {
    "table": {
        "return": "rollout/ep_rew_mean",
        "length": "rollout/ep_len_mean",
        "eps": "rollout/exploration_rate",
        "td": "train/mean_td_error",
        "q": "train/mean_q",
        "lr": "train/step_size",
    },
    "arms": {
        "return": "rollout/ep_rew_mean",
        "pg": "train/policy_gradient_loss",
        "vf": "train/value_loss",
        "ent": "train/entropy_loss",
        "kl": "train/approx_kl",
        "loss": "train/loss",
        "explained": "train/explained_variance",
        "clip": "train/clip_range",
        "lr": "train/learning_rate",
    },
}
CASES = {
    "dev4": [("table", "healthy", {}, 61), ("table", "healthy", {}, 62), ("table", "rate_1e-9", {"rate": 1e-9}, 61)],
    "sealed4": [
        ("arms", "healthy", {}, 71),
        ("arms", "healthy", {}, 72),
        ("arms", "rate_1e-9", {"lr": 1e-9}, 71),
        ("arms", "rate_jumps", {"jump": 100.0}, 72),
        ("arms", "rewards_of_other_rows", {"noise": 1.0}, 71),
    ],
}


def random_return(kind):
    """Mean return of random actions."""
    return float(np.mean([q["return"] for q in train_table(5, greedy=False, rounds=20)])) if kind == "table" else 4.0
