"""Reinforcement learning and adversarial nets of the splits `dev3` and `sealed3`.

Returns are judged between those of a random policy (0) and of the healthy twin at its best (1), over windows of a tenth of the run:
healthy if the last window is over 0.7 and within 0.15 of the best one; no learning if no window passes 0.2; fallen (reported as divergence)
if the last window lost more than 0.4 after a best one over 0.5.  An adversarial run is healthy if the samples' first two moments end within
0.3 of the data's.
"""

import copy

import numpy as np
import torch
from torch import nn

from families.nets import Mlp


class Slope:
    """A mass on a line is pushed left, not at all or right; reward is high near the centre; 30 steps an episode."""

    actions, features, limit = 3, 3, 30

    def __init__(self, n, rng, sparse=False):
        self.n, self.rng, self.sparse = n, rng, sparse
        self.x, self.v, self.t = np.zeros(n), np.zeros(n), np.zeros(n, int)
        self.reset(np.ones(n, bool))

    def reset(self, who):
        k = int(who.sum())
        self.x[who], self.v[who], self.t[who] = self.rng.uniform(-2, 2, k), self.rng.normal(0, 0.2, k), 0

    def look(self):
        return np.stack([self.x, self.v, self.t / 30.0], 1).astype(np.float32)

    def step(self, push):
        self.v = 0.95 * self.v + 0.12 * np.clip(push, -1, 1) + self.rng.normal(0, 0.02, self.n)
        self.x = np.clip(self.x + self.v, -3, 3)
        self.t += 1
        done = self.t >= self.limit
        near = np.exp(-4 * self.x**2)
        reward = (near > 0.999) * (np.abs(self.v) < 1e-3) * 1.0 if self.sparse else near
        self.reset(done)
        return reward.astype(np.float32), done


def train_q(seed, lr=1e-3, sync=100, end=0.05, memory=20000, gamma=0.97, rounds=50, sparse=False, reward_scale=1.0, decay=0.4):
    """Deep Q-learning on Slope; one row a round of 240 environment steps."""
    torch.manual_seed(seed)
    torch.set_num_threads(1)
    rng = np.random.default_rng(seed)
    env = Slope(8, rng, sparse)
    q = Mlp([3, 48, 48, 3])
    target, opt = copy.deepcopy(q), torch.optim.Adam(q.parameters(), lr)
    so, sn = np.zeros((memory, 3), np.float32), np.zeros((memory, 3), np.float32)
    sa, sr, sd = np.zeros(memory, np.int64), np.zeros(memory, np.float32), np.zeros(memory, np.float32)
    rows, total, recent, updates, put = [], np.zeros(8), [], 0, 0
    for it in range(rounds):
        eps = max(end, 1 - (1 - end) * it / (decay * rounds))
        losses, qs, norms = [], [], []
        for _ in range(30):
            o = env.look()
            with torch.no_grad():
                a = q(torch.as_tensor(o)).argmax(1).numpy()
            a = np.where(rng.random(8) < eps, rng.integers(0, 3, 8), a)
            r, done = env.step(a - 1.0)
            total += r
            recent += total[done].tolist()
            total[done] = 0
            nxt = env.look()
            i = np.arange(put, put + 8) % memory
            so[i], sa[i], sr[i], sn[i], sd[i] = o, a, r * reward_scale, nxt, done
            put += 8
            if put < 200:
                continue
            for _ in range(2):
                j = rng.integers(0, min(put, memory), 64)
                with torch.no_grad():
                    best = target(torch.as_tensor(sn[j])).max(1).values
                    want = torch.as_tensor(sr[j]) + gamma * best * torch.as_tensor(1 - sd[j])
                have = q(torch.as_tensor(so[j])).gather(1, torch.as_tensor(sa[j]).unsqueeze(1)).squeeze(1)
                loss = nn.functional.mse_loss(have, want)
                opt.zero_grad()
                loss.backward()
                norms.append(float(nn.utils.clip_grad_norm_(q.parameters(), 1e9)))
                opt.step()
                losses.append(float(loss.detach()))
                qs.append(float(have.detach().mean()))
                updates += 1
                if updates % sync == 0:
                    target.load_state_dict(q.state_dict())
        if losses:
            rows.append(
                {
                    "return": float(np.mean(recent[-24:])),
                    "td": float(np.mean(losses)),
                    "q": float(np.mean(qs)),
                    "eps": eps,
                    "lr": lr,
                    "gnorm": float(np.mean(norms)),
                    "x": (it + 1) * 240,
                }
            )
    return rows


def random_return(seed, gauss):
    """Mean return of the untrained policy: random pushes."""
    rng = np.random.default_rng(seed + 5)
    env, total = Slope(200, rng), np.zeros(200)
    for _ in range(30):
        total += env.step(rng.normal(0, 1, 200) if gauss else rng.integers(-1, 2, 200))[0]
    return float(total.mean())


def train_gauss(seed, lr=4e-3, entropy=0.003, rounds=70, baseline=True, sparse=False, sign_from=2.0, lr_grows=False):
    """REINFORCE with a Gaussian policy and a learned baseline on Slope; one row a batch of 24 episodes."""
    torch.manual_seed(seed)
    torch.set_num_threads(1)
    rng = np.random.default_rng(seed)
    env = Slope(24, rng, sparse)
    pi, value = Mlp([3, 32, 32, 1], act=nn.Tanh, squeeze=True), Mlp([3, 32, 1], act=nn.Tanh, squeeze=True)
    log_sd = nn.Parameter(torch.zeros(()))
    opt = torch.optim.Adam([*pi.parameters(), *value.parameters(), log_sd], lr)
    rows = []
    for it in range(rounds):
        rate = lr * (1.0 if not lr_grows or it < rounds / 2 else 60.0)
        opt.param_groups[0]["lr"] = rate
        env.reset(np.ones(24, bool))
        obs, acts, rews = [], [], []
        for _ in range(30):
            o = torch.as_tensor(env.look())
            with torch.no_grad():
                a = pi(o) + log_sd.exp() * torch.randn(24)
            r, _ = env.step(a.numpy())
            obs.append(o)
            acts.append(a)
            rews.append(r)
        ret = torch.as_tensor(np.cumsum(np.stack(rews)[::-1], 0)[::-1].copy()).reshape(-1)
        o, a = torch.cat(obs), torch.cat(acts)
        d = torch.distributions.Normal(pi(o), log_sd.exp())
        v = value(o)
        adv = (ret - v.detach()) if baseline else ret
        adv = (adv - adv.mean()) / (adv.std() + 1e-6)
        adv = -adv if it / rounds > sign_from else adv
        pg, vf, h = -(d.log_prob(a) * adv).mean(), (v - ret).pow(2).mean(), d.entropy().mean()
        loss = pg + 0.05 * vf - entropy * h
        opt.zero_grad()
        loss.backward()
        g = nn.utils.clip_grad_norm_([*pi.parameters(), *value.parameters(), log_sd], 5.0)
        opt.step()
        rows.append(
            {
                "return": float(np.stack(rews).sum(0).mean()),
                "pg": float(pg.detach()),
                "vf": float(vf.detach()),
                "entropy": float(h.detach()),
                "sd": float(log_sd.detach().exp()),
                "lr": rate,
                "gnorm": float(g),
                "x": it + 1,
            }
        )
    return rows


def train_gan(seed, kind="hinge", steps=1500, lr=1.5e-3):
    """Two-dimensional data (a grid of nine points for hinge, two moons for least squares); returns rows and the distance of moments."""
    torch.manual_seed(seed)
    torch.set_num_threads(1)
    rng = np.random.default_rng(seed)

    def real(n):
        if kind == "hinge":
            z = rng.integers(-1, 2, (n, 2)) + rng.normal(0, 0.1, (n, 2))
        else:
            t, up = rng.uniform(0, np.pi, n), rng.integers(0, 2, n)
            z = np.stack([np.cos(t) + up - 0.5, np.sin(t) * (1 - 2 * up) + 0.3 * up], 1) + rng.normal(0, 0.08, (n, 2))
        return torch.as_tensor(z).float()

    gen, dis = Mlp([4, 48, 48, 2]), Mlp([2, 48, 48, 1], act=nn.LeakyReLU, squeeze=True)
    og, od = torch.optim.Adam(gen.parameters(), lr, betas=(0.5, 0.99)), torch.optim.Adam(dis.parameters(), lr, betas=(0.5, 0.99))
    rows = []
    for step in range(steps):
        a, b = dis(real(128)), dis(gen(torch.randn(128, 4)).detach())
        dl = (1 - a).relu().mean() + (1 + b).relu().mean() if kind == "hinge" else ((a - 1) ** 2).mean() + (b**2).mean()
        od.zero_grad()
        dl.backward()
        od.step()
        c = dis(gen(torch.randn(128, 4)))
        gl = -c.mean() if kind == "hinge" else ((c - 1) ** 2).mean()
        og.zero_grad()
        gl.backward()
        og.step()
        if step % 8 == 7:
            rows.append(
                {
                    "x": step + 1,
                    "d": float(dl.detach()),
                    "g": float(gl.detach()),
                    "real": float(a.detach().mean()),
                    "fake": float(b.detach().mean()),
                }
            )
    with torch.no_grad():
        f, x = gen(torch.randn(2000, 4)), real(2000)
    return rows, float((f.mean(0) - x.mean(0)).abs().max() + (f.std(0) - x.std(0)).abs().max())


TAGS = {
    "q": {
        "return": "episode/return_mean_24",
        "td": "dqn/td_loss",
        "q": "dqn/q_mean",
        "eps": "dqn/epsilon",
        "lr": "dqn/lr",
        "gnorm": "dqn/grad_norm",
    },
    "gauss": {
        "return": "Return/mean",
        "pg": "Loss/policy",
        "vf": "Loss/baseline",
        "entropy": "Policy/entropy",
        "sd": "Policy/action_std",
        "lr": "Optim/lr",
        "gnorm": "Optim/grad_norm",
    },
    "hinge": {"d": "Loss/D/loss", "g": "Loss/G/loss", "real": "Loss/scores/real", "fake": "Loss/scores/fake"},
    "lsgan": {"d": "netD_loss", "g": "netG_loss", "real": "D_x", "fake": "D_G_z"},
}
CASES = {
    "dev3": [
        ("q", "healthy", {}, 31),
        ("q", "healthy", {}, 32),
        ("q", "target_never_synced_high_rate", {"lr": 0.05, "sync": 1}, 31),
        ("q", "epsilon_stays_at_one", {"end": 1.0}, 31),
        ("q", "reward_out_of_reach", {"sparse": True}, 31),
        ("q", "rate_1e-9", {"lr": 1e-9}, 31),
        ("hinge", "healthy", {}, 37),
        ("hinge", "healthy", {}, 38),
    ],
    "sealed3": [
        ("gauss", "healthy", {}, 41),
        ("gauss", "healthy", {}, 42),
        ("gauss", "healthy_without_baseline", {"baseline": False}, 41),
        ("gauss", "entropy_bonus_too_large", {"entropy": 3.0}, 41),
        ("gauss", "reward_out_of_reach", {"sparse": True}, 41),
        ("gauss", "sign_turns", {"sign_from": 0.5}, 41),
        ("gauss", "rate_jumps", {"lr_grows": True}, 41),
        ("gauss", "rate_1e-9", {"lr": 1e-9}, 41),
        ("lsgan", "healthy", {}, 49),
        ("lsgan", "healthy", {}, 50),
        ("lsgan", "healthy", {}, 51),
    ],
}
