"""More mechanisms of the split `sealed`: gradients, weights, optimiser, numerics, labels, clock."""

import numpy as np
import torch
from torch import nn

from families import nets


def size(s):
    """Inputs and outputs of a table's network."""
    out = s.task.train[1].shape[1] if s.task.kind == "reg" else max(1, s.task.classes)
    return s.task.train[0].shape[1], 1 if s.task.kind == "bin" else out


class Residual(nn.Module):
    """Ten residual blocks without norm layers."""

    def __init__(self, d, k, gain):
        super().__init__()
        self.first, self.last = nn.Linear(d, 48), nn.Linear(48, k)
        self.blocks = nn.ModuleList([nn.Linear(48, 48) for _ in range(10)])
        for b in self.blocks:
            b.weight.data.mul_(gain)

    def forward(self, x):
        h = self.first(x)
        for b in self.blocks:
            h = h + torch.relu(b(h))
        return self.last(h)


def residual_gain(s):
    """Residual blocks without norm layers start with a gain of three."""
    d, k = size(s)
    s.data(build=lambda: Residual(d, k, 3.0))
    s.opt, s.lr = "sgd", 1e-6


def sigmoid_tower(s):
    """Ten sigmoid layers."""
    d, k = size(s)
    s.data(build=lambda: nets.Mlp([d] + [40] * 10 + [k], act=nn.Sigmoid, squeeze=s.task.kind == "bin"))


def shock_at_start(s):
    """The first steps run with a rate 400 times too large (a warm-up that falls instead of rising) and kill the units."""
    s.sched = lambda step, total: 400.0 if step < 6 else 1.0
    s.truth["hot"] = True


def relu_at_the_end(s):
    """The network ends in a ReLU; targets below zero and logits of rare classes are out of reach."""

    class Ended(nn.Module):
        def __init__(self, m):
            super().__init__()
            self.m, self.act = m, nn.ReLU()
            for p in m.parameters():
                if p.dim() == 1:
                    p.data.fill_(-1.2)

        def forward(self, x):
            return self.act(self.m(x))

    s.on_model.append(Ended)


def gain_25_sigmoid(s):
    """A sigmoid network whose weights start 25 times too large."""
    d, k = size(s)

    def build():
        m = nets.Mlp([d, 64, 64, k], act=nn.Sigmoid, squeeze=s.task.kind == "bin")
        for p in list(m.parameters())[:-2]:
            p.data.mul_(25)
        return m

    s.data(build=build)


def encoder_not_in_optimizer(s):
    """Only the head's parameters were handed to the optimiser."""
    s.params = lambda model: list(model.parameters())[-2:]
    s.truth["frozen"] = "encoder"


def norm_reward(s):
    """The penalty on the weights has the wrong sign."""
    s.on_penalty.append(lambda step, model: -0.02 * sum((p**2).sum() for p in model.parameters()).sqrt())
    s.truth["grow"] = True


def clip_in_wrong_unit(s):
    """The clipping threshold is meant per element but applied to the global norm (0.003), under SGD."""
    s.opt, s.lr, s.momentum, s.clip = "sgd", 0.6, 0.9, 0.004


def integer_warmup(s):
    """step // warmup_steps is 0 through the whole run."""
    s.sched = lambda step, total: float(step // (total * 3))


def linear_to_zero_early(s):
    """The linear schedule counts micro-batches: it is at zero after a sixth of the run."""
    s.sched = lambda step, total: max(0.0, 1 - 8 * step / total)


def grows_to_the_end(s):
    """The schedule's progress is inverted: the rate rises until the last step, fifty-fold."""
    s.sched = lambda step, total: 0.4 * 90 ** (step / total)
    s.truth["hot"] = True


def restart_too_high(s):
    """At 60 % a restart multiplies the rate by forty."""
    at = int(s.total * 0.6)
    s.sched = lambda step, total: 1.0 if step < at else 40.0
    s.truth["event_step"] = at


class Impatient:
    """Halve the rate after four batches without a new best loss."""

    def __init__(self, s):
        self.factor, self.best, self.since = 1.0, np.inf, 0
        s.sched = lambda step, total: self.factor
        s.on_loss.append(self.see)

    def see(self, step, loss, model):
        v = float(loss.detach())
        self.since = 0 if v < self.best else self.since + 1
        self.best = min(v, self.best)
        if self.since >= 4:
            self.factor, self.since = self.factor / 2, 0
        return loss


def impatient_scheduler(s):
    """ReduceLROnPlateau is stepped with the loss of every batch."""
    Impatient(s)


def adam_rate_03(s):
    """AdamW with a rate of 0.3."""
    s.lr = 0.3


def rmsprop_hot(s):
    """RMSprop with a rate forty times too large."""
    s.opt, s.lr = "rmsprop", s.lr * 30
    s.truth["hot"] = True


def short_memory(s):
    """AdamW with beta2 = 0.3 and twelve times the rate."""
    s.betas, s.lr = (0.9, 0.3), s.lr * 14


def sgd_too_hot(s):
    """SGD with a rate beyond the stable one."""
    s.opt, s.lr = "sgd", 2.5 if s.task.loss_name in ("ce", "bce") else 1.2
    s.truth["hot"] = True


def rate_over_batch(s):
    """The linear scaling rule is applied the wrong way: the rate is divided by the batch size."""
    s.lr /= s.batch * 1.5


def rate_glitches(s):
    """A race in the scheduler gives single steps a rate a hundred times too large."""
    every = max(41, s.total // 7)
    s.sched = lambda step, total: 60.0 if step % every == every - 7 else 1.0
    s.opt, s.lr = "sgd", 0.02


def overflow_comes_back(s):
    """Mixed precision: from a third on one batch in four overflows."""
    at, s.scaler = int(s.total * 0.33), 4096.0

    def burst(step, model):
        if step >= at and step % 4 == 0:
            for p in model.parameters():
                if p.grad is not None:
                    p.grad.mul_(float("inf"))

    s.on_grad.append(burst)
    s.truth["event_step"] = at


def sigmoid_before_logits_loss(s):
    """The model ends in a sigmoid and the loss expects logits."""
    s.on_out.append(lambda step, out: out.sigmoid())
    y = s.task.train[1].float().mean()
    s.truth["floor"], s.truth["twice"] = float(y * np.log1p(np.exp(-1)) + (1 - y) * np.log(2)), True


def probabilities_as_logits(s):
    """The head's softmax stays in front of a loss that takes logits."""
    s.on_out.append(lambda step, out: out.softmax(-1))
    k = s.task.classes
    s.truth["floor"], s.truth["twice"] = float(np.log(np.e + k - 1) - 1), True
    s.epochs *= 2


def summed_over_positions(s):
    """The loss is the sum over positions and batch instead of the mean."""
    f, n = s.task.loss, float(s.batch)
    s.data(loss=lambda out, b: f(out, b) * n)
    s.truth["start_factor"] = n


def neighbour_classes_confused(s):
    """Labels of a class are those of the next one in 42 cases of a hundred, in training and validation."""
    g = np.random.default_rng(s.seed)
    for part in ("train", "val"):
        x, y = getattr(s.task, part)
        flip = torch.as_tensor(g.random(y.shape) < 0.42)
        s.data(**{part: (x, torch.where(flip, (y + 1) % s.task.classes, y))})
    s.truth["noise"] = 0.42


def target_encoded_column(s):
    """A target encoding fitted on all rows puts the answer into a column."""
    g = torch.Generator().manual_seed(s.seed)
    for part in ("train", "val", "test"):
        x, y = getattr(s.task, part)
        lead = y.float().reshape(len(y), -1)
        lead = (lead - lead.mean(0)) * 3 + 0.02 * torch.randn(lead.shape, generator=g)
        s.data(**{part: (torch.cat([x[:, : -lead.shape[1]], lead], 1), y)})
    s.truth["leak"] = True


def quarter_of_the_budget(s):
    """The job's time limit ends the run at a quarter of what it needs, with a cautious rate."""
    s.lr, s.epochs = s.lr / 8, max(6, s.epochs // 2)


def one_unit_bottleneck(s):
    """The bottleneck has one unit."""
    d, k = size(s)
    s.data(build=lambda: nets.Mlp([d, 24, 1, 24, k], squeeze=s.task.kind == "bin"))


def leak_slows_down(s):
    """Memory fills, steps get slower and slower after half time."""
    s.seconds = lambda step, total: 1.0 + max(0.0, step / total - 0.5) * 16
    s.truth["event_step"], s.truth["gradual"] = int(s.total * 0.5), True


def node_paused(s):
    """The node was suspended for hours in the middle of the run."""
    at = int(0.62 * s.total)
    s.seconds = lambda step, total: 60000.0 if step == at else 1.0
    s.truth["event_step"] = at


FAULTS = {
    residual_gain: ("motor", "twenty"),
    sigmoid_tower: ("motor", "twenty"),
    shock_at_start: ("motor", "twenty", "denoise_ae"),
    relu_at_the_end: ("motor", "denoise_ae"),
    gain_25_sigmoid: ("twenty", "churn2"),
    encoder_not_in_optimizer: ("texture_net", "bracket_lm", "ctc_lstm"),
    norm_reward: ("motor", "churn2", "denoise_ae"),
    clip_in_wrong_unit: ("twenty", "churn2"),
    integer_warmup: ("rank_pair", "texture_net"),
    linear_to_zero_early: ("bracket_lm", "twenty", "denoise_ae"),
    grows_to_the_end: ("motor", "twenty", "bracket_lm"),
    restart_too_high: ("churn2", "motor", "bracket_lm"),
    impatient_scheduler: ("ctc_lstm", "motor", "twenty"),
    adam_rate_03: ("bracket_lm", "sort_tf"),
    rmsprop_hot: ("twenty", "motor"),
    short_memory: ("bracket_lm", "sort_tf"),
    sgd_too_hot: ("twenty", "motor"),
    rate_over_batch: ("ctc_lstm", "churn2", "denoise_ae"),
    rate_glitches: ("motor", "twenty"),
    overflow_comes_back: ("twenty", "denoise_ae"),
    sigmoid_before_logits_loss: ("churn2",),
    probabilities_as_logits: ("twenty", "texture_net"),
    summed_over_positions: ("bracket_lm", "twenty"),
    neighbour_classes_confused: ("twenty", "texture_net"),
    target_encoded_column: ("churn2", "motor", "twenty"),
    quarter_of_the_budget: ("bracket_lm", "denoise_ae", "twenty"),
    one_unit_bottleneck: ("twenty", "motor"),
    leak_slows_down: ("triplet_id", "rank_pair"),
    node_paused: ("sort_tf", "churn2"),
}
