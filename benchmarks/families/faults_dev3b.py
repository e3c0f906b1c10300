"""More mechanisms of the split `dev3`: gradients, weights, optimiser, schedule, numerics, loss."""

import numpy as np
import torch
from torch import nn

from families import nets
from families.setups import shows
from families.training import cross_entropy


def table_net(s, hidden, act=nn.ReLU):
    """A fully connected network of the task's sizes."""
    d = s.task.train[0].shape[1]
    out = {"ordinal": 4, "forecast": 12, "distil": 8, "quantiles": 3, "two_heads": 5}[s.task.name]
    return nets.Mlp([d, *hidden, out], act=act)


@shows("gnorm", "lr")
def unit_normal_weights(s):
    """All weights start from a standard normal distribution, under SGD."""

    def start(model):
        for p in model.parameters():
            if p.dim() > 1:
                nn.init.normal_(p)

    s.on_model.append(start)
    s.opt, s.lr, s.momentum = "sgd", 0.002, 0.9


@shows("layergrads", "gnorm")
def small_normal_weights(s):
    """Nine GELU layers, all weights of deviation 0.02 as for a transformer, without skips or norms."""

    def build():
        m = table_net(s, [40] * 9, nn.GELU)
        for p in m.parameters():
            if p.dim() > 1:
                nn.init.normal_(p, std=0.02)
        return m

    s.data(build=build)


@shows("ahist")
def years_not_scaled(s):
    """Two columns hold years (about 2000) as they are; tanh layers."""
    s.data(build=lambda: table_net(s, [48, 48], nn.Tanh))
    for part in ("train", "val", "test"):
        x, y = getattr(s.task, part)
        x = x.clone()
        x[:, :2] = 2000 + 6 * x[:, :2]
        s.data(**{part: (x, y)})


@shows("dead", "ahist")
def kernels_all_negative(s):
    """Inputs are scaled to [0, 1] and the first layers' weights start below zero: their units never fire."""

    def below(model):
        layers = [m for m in model.modules() if isinstance(m, nn.Linear)][:-1]
        for m in layers:
            with torch.no_grad():
                m.weight.copy_(-m.weight.abs())
                m.bias.fill_(-0.01)

    s.on_model.append(below)
    for part in ("train", "val", "test"):
        x, y = getattr(s.task, part)
        s.data(**{part: (x.sigmoid(), y)})


@shows("whist", "layergrads")
def head_made_after_the_optimizer(s):
    """The head is replaced after the optimiser was built: the new one never moves."""
    s.params = lambda model: list(model.parameters())[:-2]
    s.truth["frozen"] = "head"


@shows("whist", "lr")
def rate_of_the_first_group_zero(s):
    """Parameter groups: the rate of all layers but the last is 0 by a wrong prefix; the rate that is logged is the head's."""

    def make(setup, model):
        p = list(model.parameters())
        return torch.optim.AdamW([{"params": p[-2:]}, {"params": p[:-2], "factor": 0.0}], setup.lr, weight_decay=0.0)

    s.optimizer = make
    s.truth["frozen"] = "backbone"


@shows("whist", "ghist", "layergrads")
def memory_detached(s):
    """The encoder's memory is detached before the decoder sees it, and decay is off: the encoder stays as it was."""
    s.wd = 0.0

    def cut(model):
        model.cut = True

    s.on_model.append(cut)


@shows("wnorm", "gnorm")
def weights_diffuse(s):
    """Noise meant for Langevin sampling is added to the weights at every step without the factor of the rate."""
    g = torch.Generator().manual_seed(s.seed)

    def add(step, model):
        with torch.no_grad():
            for p in model.parameters():
                p.add_(torch.randn(p.shape, generator=g) * 0.05)

    s.after_step.append(add)
    s.truth["grow"] = True


@shows("gnorm", "text")
def clipped_before_unscaling(s):
    """Gradients are clipped to 1 while they still carry the static loss scale of 1024; SGD."""
    s.opt, s.lr, s.momentum, s.clip = "sgd", 0.004, 0.0, 1.0

    def scaled(step, model):
        for p in model.parameters():
            if p.grad is not None:
                p.grad.mul_(1024.0)

    s.on_grad.append(scaled)


@shows("lr")
def epsilon_of_one(s):
    """Adam with epsilon 1 and a tenth of the rate: steps shrink with the gradients, as under slow plain descent."""
    s.optimizer = lambda setup, model: torch.optim.Adam(model.parameters(), setup.lr * 0.3, eps=1.0)


@shows("lr", "gnorm")
def betas_swapped(s):
    """Adam's two betas are swapped and the rate is ten times larger."""
    s.betas, s.lr = (0.99, 0.5), s.lr * 12


@shows("lr")
def finder_left_on(s):
    """The learning-rate finder's exponential sweep was never turned off."""
    s.sched = lambda step, total: 0.02 * 10 ** (5.2 * step / total)


@shows("lr", fine=True)
def cycle_too_high(s):
    """A cyclic schedule whose upper rate is eighty times what the task bears."""
    s.sched = lambda step, total: 0.2 + 80 * (1 - abs(((step * 10 / total) % 2) - 1))


@shows("lr")
def milestones_in_steps(s):
    """The milestones of a step schedule were given in epochs and are counted in steps: three drops within the first epochs."""
    s.sched = lambda step, total: 0.1 ** ((step >= 10) + (step >= 20) + (step >= 30))


@shows("lr")
def polynomial_too_short(s):
    """A polynomial decay whose length was that of another data set: at zero after a tenth."""
    n = 0.1
    s.sched = lambda step, total: max(0.0, 1 - step / (n * total)) ** 2


@shows("lr")
def warmup_of_another_run(s):
    """The warm-up of 30,000 steps was copied from a large run; this one has some hundred."""
    s.sched = lambda step, total: (step + 1) / 30000


@shows("lr", "gnorm")
def rate_of_another_optimizer(s):
    """Adam with the rate of LARS (1.5)."""
    s.lr = 1.5


@shows(fine=True)
def scaler_meets_attention(s):
    """Mixed precision: from 30 % on long sequences overflow the scores, one step in five."""
    at, s.scaler = int(s.total * 0.3), 2048.0

    def burst(step, model):
        if step >= at and step % 5 == 0:
            for p in model.parameters():
                if p.grad is not None:
                    p.grad.mul_(float("inf"))

    s.on_grad.append(burst)
    s.truth["event_step"] = at


def class_weights_not_normalised(s):
    """Weights of the classes are their inverse frequencies, unnormalised: the loss is dozens of times ln K."""
    y = s.task.train[1].reshape(-1)
    w = 6.0 * len(y) / torch.bincount(y, minlength=s.task.classes).clamp_min(1).float()
    f = s.task.loss
    k = float(w.median())
    s.data(loss=lambda out, b: f(out, b) * k)
    s.lr /= 2
    s.truth["start_factor"] = k


@shows("conf")
def focal_gamma_eight(s):
    """Focal loss with gamma 8: what is right at all is left alone, so that the model stays unsure."""

    def focal(out, batch):
        p = out.softmax(-1).gather(-1, batch[1].unsqueeze(-1)).squeeze(-1)
        e = (1 - p) ** 8 * -p.clamp_min(1e-9).log()
        return e if e.dim() == 1 else e.mean(1)

    s.data(loss=focal, loss_name="focal")
    s.truth["own_scale"] = True


@shows("conf")
def learned_by_heart(s):
    """Sixty labelled samples, a fifth of them wrong, until the loss is gone."""
    x, y = s.task.train
    g = np.random.default_rng(s.seed)
    y = y.clone()
    flip = torch.as_tensor(g.random(len(y)) < 0.2)
    y = torch.where(flip, torch.as_tensor(g.integers(0, s.task.classes, len(y))), y)
    s.data(train=(x[:90], y[:90]))
    s.batch, s.epochs, s.wd = 30, 60, 0.0
    s.truth["noise"] = 0.2


@shows("shares", "recalls")
def weight_on_one_class(s):
    """The weight of one class was meant as 1.5 and typed as 150."""
    f = s.task.loss

    def weighted(out, batch):
        e = fn_ce(out, batch)
        w = torch.where(batch[1] == 2, 150.0, 1.0)
        return (e * w) if e.dim() == 1 else (e * w).mean(1)

    def fn_ce(out, batch):
        if out.dim() == 3:
            return nn.functional.cross_entropy(out.transpose(1, 2), batch[1], reduction="none")
        return f(out, batch)

    s.data(loss=weighted, loss_name="weighted")
    s.truth["own_scale"] = True


def argmax_inside(s):
    """The features pass an argmax in the middle of the network: nothing before it can learn, what follows sees almost nothing."""

    class Hard(nn.Module):
        def forward(self, x):
            return nn.functional.one_hot(x.argmax(-1) % 2, x.shape[-1]).float()

    def put(model):
        model.net[1] = Hard()

    s.on_model.append(put)


@shows("lr")
def decayed_by_layer(s):
    """Layer-wise decay of the rate by 0.01 a layer, counted from the wrong end."""
    s.lr /= 250


@shows("lr", fine=True)
def jumps_between_two_schedulers(s):
    """Two schedulers write the rate in turn; at 55 % the second one wins, sixty times higher."""
    at = int(s.total * 0.55)
    s.sched = lambda step, total: 1.0 if step < at else 60.0
    s.truth["event_step"] = at


def smoothing_grows(s):
    """Label smoothing of 0.8 in both splits."""
    k = s.task.classes

    def smooth(out, batch):
        p = out.log_softmax(-1)
        u = p.mean(-1)
        return 0.2 * cross_entropy(out, batch) - 0.8 * (u if u.dim() == 1 else u.mean(1))

    s.data(loss=smooth)
    hit = 0.2 + 0.8 / k
    s.truth["floor"] = float(-hit * np.log(hit) - (k - 1) * (0.8 / k) * np.log(0.8 / k))


smoothing_grows.shows = {"conf"}

FAULTS = {
    unit_normal_weights: ("ordinal", "forecast"),
    small_normal_weights: ("ordinal", "distil", "quantiles"),
    years_not_scaled: ("ordinal", "distil"),
    kernels_all_negative: ("forecast", "ordinal", "distil"),
    head_made_after_the_optimizer: ("spectra6", "ordinal", "grammar_lm"),
    rate_of_the_first_group_zero: ("superres", "forecast"),
    memory_detached: ("reverse_s2s",),
    weights_diffuse: ("two_heads", "gcn_nodes"),
    clipped_before_unscaling: ("two_heads", "superres"),
    epsilon_of_one: ("grammar_lm", "quantiles"),
    betas_swapped: ("grammar_lm", "superres"),
    finder_left_on: ("two_heads", "reverse_s2s", "superres"),
    cycle_too_high: ("ordinal", "spectra6"),
    milestones_in_steps: ("spectra6", "reverse_s2s"),
    polynomial_too_short: ("grammar_lm", "quantiles", "superres"),
    warmup_of_another_run: ("reverse_s2s", "spectra6"),
    rate_of_another_optimizer: ("recommend", "grammar_lm", "two_heads"),
    scaler_meets_attention: ("reverse_s2s", "ddpm_knots"),
    class_weights_not_normalised: ("gcn_nodes", "spectra6"),
    focal_gamma_eight: ("spectra6", "gcn_nodes"),
    learned_by_heart: ("spectra6", "gcn_nodes"),
    weight_on_one_class: ("spectra6", "grammar_lm"),
    argmax_inside: ("distil", "forecast"),
    decayed_by_layer: ("superres", "reverse_s2s"),
    jumps_between_two_schedulers: ("quantiles", "grammar_lm"),
    smoothing_grows: ("spectra6",),
}
