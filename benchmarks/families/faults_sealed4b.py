"""More mechanisms of the split `sealed4`: gradients, weights, optimiser, schedule, numerics, loss."""

import math

import torch
from torch import nn

from families.nets import Mlp
from families.nets4 import Centres, Field, Frames
from families.setups import shows


@shows("whist", "layergrads")
def only_biases(s):
    """A filter for fine-tuning left only the biases in the optimiser."""
    s.params = lambda model: [p for p in model.parameters() if p.dim() == 1]
    s.truth["frozen"] = "weights"


@shows("whist", "layergrads")
def surgery(s):
    """After the first layers were replaced by loaded ones, they are not among the parameters of the optimiser."""
    s.params = lambda model: list(model.parameters())[len(list(model.parameters())) * 2 // 3 :]
    s.truth["frozen"] = "first layers"


@shows("lr")
def warmup_of_a_billion(s):
    """The warm-up counts tokens and ends after a billion of them; the rate stays at nothing."""
    s.sched = lambda step, total: 0.0


@shows("lr")
def cosine_of_the_first_stage(s):
    """The cosine belongs to a first stage that takes a seventh of the run; the rate is 0 from then on."""
    s.sched = lambda step, total: 0.5 * (1 + math.cos(math.pi * min(1.0, 7 * step / total))) if step < total / 7 else 0.0


@shows("lr")
def rate_in_the_wrong_field(s):
    """The weight decay's value stands in the field of the rate: three thousand times too small."""
    s.lr /= 3000


@shows("lr")
def rate_of_a_linear_model(s):
    """The rate of an earlier linear model, two hundred times what this one bears."""
    s.lr *= 200


def far_too_eager(s):
    """Short memories (betas 0.3 and 0.5) and thirty times the rate."""
    s.betas, s.lr = (0.3, 0.5), s.lr * 30


far_too_eager.without = {"lr"}


def edge_of_stability(s):
    """Momentum descent with batches of eight at the edge of what converges."""
    s.opt, s.momentum, s.lr, s.batch, s.epochs = "sgd", 0.9, 0.1, 8, max(8, s.epochs // 2)
    s.truth["hot"] = True


edge_of_stability.without = {"lr"}


def secret_growth(s):
    """A scheduler that nobody logs multiplies the rate by a fixed factor from 35 % on, up to three hundred times."""
    s.sched = lambda step, total: 300 ** max(0.0, (step / total - 0.35) / 0.65)
    s.truth["hot"] = True


secret_growth.without = {"lr"}


@shows("gnorm")
def noise_on_gradients_grows(s):
    """The noise for privacy grows with the steps from 40 % on instead of staying, under momentum descent."""
    at = int(s.total * 0.4)
    s.sched = lambda step, total: 1.0 if step < at else 4.0
    g = torch.Generator().manual_seed(s.seed)

    def add(step, model):
        if step < at:
            return
        sd = 1e-4 * math.exp(12 * (step - at) / (s.total - at))
        for p in model.parameters():
            if p.grad is not None:
                p.grad.add_(sd * torch.randn(p.shape, generator=g))

    s.on_grad.append(add)
    s.truth.update(event_step=at, hot=True)


@shows("wnorm")
def scaled_every_step(s):
    """From 45 % on all weights are multiplied by 1.006 at each step, a decay with the wrong sign and without the rate."""
    at = int(s.total * 0.45)
    factor = 30 ** (1 / (s.total - at))

    def grow(step, model):
        if step >= at:
            with torch.no_grad():
                for p in model.parameters():
                    if p.dim() > 1:
                        p.mul_(factor)

    s.after_step.append(grow)
    s.truth.update(event_step=at, grow=True)


def bits_lowered(s):
    """At 55 % the plan lowers the weights from four bits to fewer than one, and training does not recover."""
    at = int(s.total * 0.55)

    def lower(step, model):
        if step == at:
            model.bits = 0.6

    s.after_step.append(lower)
    s.sched = lambda step, total: 1.0 if step < at else 0.1
    s.truth.update(event_step=at, shift="train")


class Shrunk(nn.Module):
    """An ELU whose result is multiplied by 0.08."""

    def __init__(self):
        super().__init__()
        self.act = nn.ELU()

    def forward(self, x):
        return 0.08 * self.act(x)


@shows("layergrads", "gnorm")
def residuals_without_skips(s):
    """Ten layers scaled down for residual branches, but the skips were left out."""
    d, out = {"taxonomy": (18, 20), "hetero": (6, 2)}[s.task.name]
    s.data(build=lambda: Mlp([d, *[40] * 10, out], act=Shrunk))


@shows("gnorm", "layergrads")
def field_expands(s):
    """The field's weights start at three times their size: trajectories run away, and so do the gradients."""

    def start(model):
        with torch.no_grad():
            for p in model.parameters():
                if p.dim() > 1:
                    p.mul_(3.0)

    s.data(build=lambda: Field(act=nn.ReLU))
    s.on_model.append(start)
    s.opt, s.lr, s.momentum = "sgd", 1e-8, 0.0


@shows("gnorm", "layergrads")
def sums_over_points(s):
    """Points are summed instead of averaged, layers start four times too large; momentum descent with a tiny rate holds it."""

    class Summed(Centres):
        def forward(self, x):
            h = self.each(x)
            return self.dec(torch.cat([h.sum(1) * 40, h.max(1).values * 40], -1)).reshape(len(x), self.k, 2)

    s.data(build=lambda: Summed(3))
    s.opt, s.lr, s.momentum = "sgd", 2e-6, 0.9


def in_thousandths(s):
    """The loss is logged and minimised in thousandths of a nat."""
    f = s.task.loss
    s.data(loss=lambda out, b: 1000 * f(out, b))
    s.truth["start_factor"] = 1000.0


@shows("conf")
def normalised_twice(s):
    """The output layer's probabilities go through a second softmax inside the loss."""
    s.on_out.append(lambda step, out: out.softmax(-1))
    k = s.task.classes
    s.truth.update(floor=math.log(math.e + k - 1) - 1, twice=True)


class ReLU(nn.ReLU):
    """A threshold that was typed as 8."""

    def forward(self, x):
        return torch.relu(x - 8.0)


@shows("dead", "ahist")
def threshold_of_eight(s):
    """The units' threshold was typed as 8: no input of usual size passes."""
    s.data(
        build={
            "phones": lambda: Frames(12, 8, act=ReLU),
            "set_centres": lambda: Centres(3, act=ReLU),
            "listwise": lambda: Mlp([8, 48, 24, 1], act=ReLU, squeeze=True),
        }[s.task.name]
    )


@shows("ahist")
def raw_samples(s):
    """Inputs are sixteen-bit integers before tanh layers without norms."""
    s.data(
        build={
            "phones": lambda: Frames(12, 8, act=nn.Tanh, norm=False),
            "listwise": lambda: Mlp([8, 48, 24, 1], act=nn.Tanh, squeeze=True),
        }[s.task.name]
    )
    f = 3000.0
    for part in ("train", "val", "test"):
        x, y = getattr(s.task, part)
        s.data(**{part: (f * x, y)})


@shows("ahist")
def weights_times_thirty(s):
    """Weights were loaded from a file of integers and never rescaled; tanh layers."""

    def load(model):
        with torch.no_grad():
            for p in list(model.parameters())[:-2]:
                if p.dim() > 1:
                    p.mul_(30.0)

    s.data(build=lambda: Mlp([6, 40, 24, 2], act=nn.Tanh) if s.task.name == "hetero" else Mlp([18, 64, 64, 20], act=nn.Tanh))
    s.on_model.append(load)
    s.lr /= 2


@shows(fine=True)
def overflow_in_a_third(s):
    """Mixed precision: from 35 % on, sums over long rows overflow in one step of three."""
    at, s.scaler = int(s.total * 0.35), 8192.0

    def burst(step, model):
        if step >= at and step % 3 == 2:
            for p in model.parameters():
                if p.grad is not None:
                    p.grad.mul_(float("inf"))

    s.on_grad.append(burst)
    s.truth["event_step"] = at


@shows("gnorm", "text")
def clipped_to_a_thousandth(s):
    """The gradient is clipped to a norm of 0.001 under plain descent."""
    s.opt, s.momentum, s.clip, s.lr = "sgd", 0.0, 0.001, 0.5


@shows("lr")
def decay_per_batch(s):
    """The decay per epoch (0.9) is applied after every batch."""
    s.sched = lambda step, total: max(0.9**step, 2e-4)


@shows("lr", "conf")
def peak_at_the_end(s):
    """The decay runs backwards: the rate rises with the fourth power of the steps, up to eighty times the sound one."""
    s.sched = lambda step, total: 80 * (step / total) ** 4


@shows("conf")
def rewarded_for_doubt(s):
    """A bonus for the entropy of the predictions, ten times too large, is part of what is minimised."""
    f = s.task.loss

    def loss(out, b):
        p = out.softmax(-1)
        h = -(p * out.log_softmax(-1)).sum(-1)
        return f(out, b) - 1.0 * (h if h.dim() == 1 else h.mean(1)) + 1.0 * math.log(out.shape[-1])

    s.data(loss=loss, loss_name="regularised")
    s.truth["own_scale"] = True


@shows("conf")
def wrong_labels_learned(s):
    """Three hundred rows, a quarter of them mislabelled, learned to the last one."""
    g = torch.Generator().manual_seed(s.seed)
    x, y = s.task.train
    x, y, k = x[:240], y[:240], s.task.classes
    y = torch.where(torch.rand(y.shape, generator=g) < 0.25, torch.randint(0, k, y.shape, generator=g), y)
    s.data(train=(x, y))
    s.batch, s.epochs, s.wd = 24, 45, 0.0
    s.truth["noise"] = 0.25


def halved_at_every_look(s):
    """The rate is halved at every evaluation; it is not logged."""
    per = s.steps_per_epoch
    s.sched = lambda step, total: 0.5 ** (1 + 1.0 * step / per)


halved_at_every_look.without = {"lr"}

FAULTS = {
    only_biases: ("hash_codes", "set_centres"),
    surgery: ("quant_cnn", "listwise", "style_ae"),
    warmup_of_a_billion: ("phones", "listwise"),
    cosine_of_the_first_stage: ("set_centres", "slots_bio", "hash_codes"),
    rate_in_the_wrong_field: ("taxonomy", "style_ae"),
    rate_of_a_linear_model: ("slots_bio", "protonet", "set_centres"),
    far_too_eager: ("set_centres", "style_ae", "ode_fit"),
    edge_of_stability: ("hash_codes",),
    secret_growth: ("set_centres", "slots_bio", "style_ae"),
    noise_on_gradients_grows: ("hetero", "listwise", "taxonomy"),
    scaled_every_step: ("hash_codes", "protonet"),
    bits_lowered: ("quant_cnn",),
    residuals_without_skips: ("taxonomy", "hetero"),
    field_expands: ("ode_fit",),
    sums_over_points: ("set_centres",),
    in_thousandths: ("phones", "protonet"),
    normalised_twice: ("quant_cnn", "intents_ft"),
    threshold_of_eight: ("phones", "set_centres", "listwise"),
    raw_samples: ("phones", "listwise"),
    weights_times_thirty: ("hetero", "taxonomy"),
    overflow_in_a_third: ("slots_bio", "ode_fit", "phones"),
    clipped_to_a_thousandth: ("protonet", "listwise"),
    decay_per_batch: ("style_ae", "phones"),
    peak_at_the_end: ("slots_bio", "set_centres"),
    rewarded_for_doubt: ("quant_cnn", "intents_ft"),
    wrong_labels_learned: ("quant_cnn", "phones"),
    halved_at_every_look: ("quant_cnn", "taxonomy", "style_ae"),
}
