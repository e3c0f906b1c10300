"""Reinforcement learning on two toy worlds and small adversarial nets; their own logs and labels.

Rules: a reinforcement run is healthy if the mean return of its last tenth is over 0.6 (1 is the best) and within 0.1 of its best window of
the same length.  It shows no learning if that return stays under the 95 % quantile of a random policy's windows plus 0.05.  It fell if it
lost more than 0.4 after a best window over 0.5; these are reported as divergence.  An adversarial run is healthy if the samples' first two
moments end within 0.35 of the data's; its losses have no direction.
"""

import numpy as np
import torch
from torch import nn

from families.nets import Mlp


class Grid:
    """Reach a random goal on a 6 by 6 grid within 18 steps; return 1 minus a small cost of time."""

    size, actions, features, limit = 6, 4, 4, 18

    def __init__(self, n, rng):
        self.n, self.rng = n, rng
        self.pos, self.goal, self.t = np.zeros((n, 2), int), np.zeros((n, 2), int), np.zeros(n, int)
        self.reset(np.ones(n, bool))

    def reset(self, who):
        k = int(who.sum())
        self.pos[who], self.goal[who] = self.rng.integers(0, 6, (k, 2)), self.rng.integers(0, 6, (k, 2))
        self.t[who] = 0

    def look(self):
        return np.concatenate([self.pos, self.goal], 1).astype(np.float32) / 3 - 0.8

    def step(self, a):
        move = np.array([[1, 0], [-1, 0], [0, 1], [0, -1]])[a]
        self.pos = np.clip(self.pos + move, 0, 5)
        self.t += 1
        hit = (self.pos == self.goal).all(1)
        done = hit | (self.t >= self.limit)
        reward = hit * 1.0 - 0.01
        self.reset(done)
        return reward.astype(np.float32), done


class Catch:
    """Move a paddle under a falling ball (8 columns, 7 rows); 1 if caught, 0 if not."""

    actions, features, limit = 3, 3, 7

    def __init__(self, n, rng):
        self.n, self.rng = n, rng
        self.ball, self.paddle, self.t = np.zeros(n, int), np.zeros(n, int), np.zeros(n, int)
        self.reset(np.ones(n, bool))

    def reset(self, who):
        k = int(who.sum())
        self.ball[who], self.paddle[who], self.t[who] = self.rng.integers(0, 8, k), self.rng.integers(0, 8, k), 0

    def look(self):
        return np.stack([self.ball / 4 - 0.9, self.paddle / 4 - 0.9, self.t / 4 - 0.8], 1).astype(np.float32)

    def step(self, a):
        self.paddle = np.clip(self.paddle + a - 1, 0, 7)
        self.t += 1
        done = self.t >= self.limit
        reward = (done & (np.abs(self.paddle - self.ball) <= 0)) * 1.0
        self.reset(done)
        return reward.astype(np.float32), done


def train_policy(world, seed, lr=3e-3, iters=45, passes=3, clip=0.2, sign=1.0, lr_at=None, envs=24, horizon=24):
    """Clipped policy gradient with a value net; returns rows of figures, one an iteration."""
    torch.manual_seed(seed)
    torch.set_num_threads(1)
    rng = np.random.default_rng(seed)
    env = world(envs, rng)
    actor, critic = Mlp([env.features, 48, 48, env.actions], act=nn.Tanh), Mlp([env.features, 48, 48, 1], act=nn.Tanh, squeeze=True)
    opt = torch.optim.Adam([*actor.parameters(), *critic.parameters()], lr)
    rows, total, recent = [], np.zeros(envs), []
    for it in range(iters):
        rate = lr * (lr_at(it / iters) if lr_at else 1.0)
        opt.param_groups[0]["lr"] = rate
        obs, acts, logps, rews, dones = [], [], [], [], []
        for _ in range(horizon):
            o = torch.as_tensor(env.look())
            with torch.no_grad():
                d = torch.distributions.Categorical(logits=actor(o))
                a = d.sample()
            r, done = env.step(a.numpy())
            total += r
            recent += total[done].tolist()
            total[done] = 0
            for s, v in zip((obs, acts, logps, rews, dones), (o, a, d.log_prob(a), r, done), strict=True):
                s.append(v)
        with torch.no_grad():
            values = torch.stack([critic(o) for o in obs])
            last = critic(torch.as_tensor(env.look()))
        adv, nxt, run = torch.zeros_like(values), last, torch.zeros(envs)
        for t in reversed(range(horizon)):
            alive = torch.as_tensor(1.0 - dones[t]).float()
            delta = torch.as_tensor(rews[t]) + 0.97 * nxt * alive - values[t]
            run = delta + 0.97 * 0.95 * alive * run
            adv[t], nxt = run, values[t]
        ret = (adv + values).reshape(-1)
        o, a, old, adv = torch.cat(obs), torch.cat(acts), torch.cat(logps), adv.reshape(-1)
        adv = sign * (adv - adv.mean()) / (adv.std() + 1e-6)
        for _ in range(passes):
            for i in torch.randperm(len(o)).split(144):
                d = torch.distributions.Categorical(logits=actor(o[i]))
                ratio = (d.log_prob(a[i]) - old[i]).exp()
                pg = -torch.min(ratio * adv[i], ratio.clamp(1 - clip, 1 + clip) * adv[i]).mean()
                vf = (critic(o[i]) - ret[i]).pow(2).mean()
                loss = pg + 0.5 * vf - 0.01 * d.entropy().mean()
                opt.zero_grad()
                loss.backward()
                g = nn.utils.clip_grad_norm_([*actor.parameters(), *critic.parameters()], 5.0)
                opt.step()
        with torch.no_grad():
            d = torch.distributions.Categorical(logits=actor(o))
            log_ratio = d.log_prob(a) - old
            rows.append(
                {
                    "return": float(np.mean(recent[-100:])) if recent else 0.0,
                    "pg": float(pg.detach()),
                    "vf": float(vf.detach()),
                    "entropy": float(d.entropy().mean()),
                    "kl": float((log_ratio.exp() - 1 - log_ratio).mean()),
                    "clipfrac": float(((log_ratio.exp() - 1).abs() > clip).float().mean()),
                    "ev": float(1 - (ret - values.reshape(-1)).var() / (ret.var() + 1e-8)),
                    "lr": rate,
                    "gnorm": float(g),
                    "frames": (it + 1) * envs * horizon,
                }
            )
    return rows


def train_gan(seed, spiral=False, steps=900, lr=2e-3):
    """A generator against a discriminator on two-dimensional data; returns rows and the distance of moments."""
    torch.manual_seed(seed)
    torch.set_num_threads(1)
    rng = np.random.default_rng(seed)

    def real(n):
        t = rng.uniform(0.5, 3.0, n) if spiral else rng.integers(0, 4, n) * 1.57
        r = t / 2.2 if spiral else 1.0
        return torch.as_tensor(
            np.stack([r * np.cos(2 * t if spiral else t), r * np.sin(2 * t if spiral else t)], 1) + rng.normal(0, 0.1, (n, 2))
        ).float()

    gen, dis = Mlp([4, 48, 48, 2]), Mlp([2, 48, 48, 1], act=nn.LeakyReLU, squeeze=True)
    og, od = torch.optim.Adam(gen.parameters(), lr, betas=(0.5, 0.99)), torch.optim.Adam(dis.parameters(), lr, betas=(0.5, 0.99))
    bce, rows = nn.functional.binary_cross_entropy_with_logits, []
    for step in range(steps):
        x, fake = real(128), gen(torch.randn(128, 4))
        a, b = dis(x), dis(fake.detach())
        dl = bce(a, torch.full_like(a, 0.9)) + bce(b, torch.zeros_like(b))
        od.zero_grad()
        dl.backward()
        od.step()
        c = dis(gen(torch.randn(128, 4)))
        gl = bce(c, torch.ones_like(c))
        og.zero_grad()
        gl.backward()
        og.step()
        if step % 6 == 5:
            rows.append(
                {
                    "step": step + 1,
                    "d": float(dl.detach()),
                    "g": float(gl.detach()),
                    "dx": float(a.detach().sigmoid().mean()),
                    "dgz": float(b.detach().sigmoid().mean()),
                }
            )
    with torch.no_grad():
        f, x = gen(torch.randn(2000, 4)), real(2000)
    off = float((f.mean(0) - x.mean(0)).abs().max() + (f.std(0) - x.std(0)).abs().max())
    return rows, off


RL_TAGS = {
    "dev": {
        "return": "rollout/mean_return",
        "pg": "ppo/policy_loss",
        "vf": "ppo/value_loss",
        "entropy": "ppo/entropy",
        "kl": "ppo/approx_kl",
        "clipfrac": "ppo/clip_fraction",
        "ev": "ppo/explained_variance",
        "lr": "ppo/learning_rate",
        "gnorm": "ppo/grad_norm",
    },
    "sealed": {
        "return": "charts/episodic_return",
        "pg": "losses/policy_loss",
        "vf": "losses/value_loss",
        "entropy": "losses/entropy",
        "kl": "losses/approx_kl",
        "clipfrac": "losses/clipfrac",
        "ev": "losses/explained_variance",
        "lr": "charts/learning_rate",
    },
}
GAN_TAGS = {
    "dev": {"d": "D/loss", "g": "G/loss", "dx": "D/real_prob", "dgz": "D/fake_prob"},
    "sealed": {"d": "loss_disc", "g": "loss_gen", "dx": "score_real", "dgz": "score_fake"},
}
RL_CASES = {
    "healthy": {},
    "healthy_linear_rate": {"lr_at": lambda p: 1 - p},
    "rate_1e-8": {"lr": 1e-8},
    "advantage_sign": {"sign": -1.0},
    "rate_grows": {"lr_at": lambda p: 1.0 if p < 0.5 else 80.0, "clip": 5.0, "passes": 6},
}
