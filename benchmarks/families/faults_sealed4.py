"""Mechanisms of the split `sealed4`: data, validation, budget, pipeline."""

import torch

from families.nets import Mlp
from families.nets4 import Field, Hashing, Pretrained, Prototypes, Quantised
from families.setups import shows


def rows(split, i):
    """Some rows of a split."""
    return split[0][i], split[1][i]


def pilot_rows(s):
    """Ninety rows of a pilot study and a hundred passes over them."""
    s.data(train=rows(s.task.train, slice(0, 90)))
    s.batch, s.epochs, s.wd = 15, 100, 0.0


def four_times_as_wide(s):
    """Far more units than rows: a tenth of the data, no decay, no dropout, four times the passes."""
    build = {
        "hash_codes": lambda: Hashing(24, 16, 8, width=400),
        "taxonomy": lambda: Mlp([18, 300, 300, 20]),
        "hetero": lambda: Mlp([6, 200, 200, 2]),
    }[s.task.name]
    s.data(build=build, train=rows(s.task.train, slice(0, len(s.task.train[0]) // 10)))
    s.batch, s.epochs, s.wd = 30, s.epochs * 4, 0.0


def never_stopped(s):
    """Fine-tuning goes on for six times the usual passes at three times the rate, on ninety labels, a quarter of them wrong, without dropout."""
    build = s.task.build
    x, y = rows(s.task.train, slice(0, 90))
    g = torch.Generator().manual_seed(s.seed)
    y = torch.where(torch.rand(len(y), generator=g) < 0.25, torch.randint(0, 7, y.shape, generator=g), y)
    s.data(train=(x, y), build=lambda: Pretrained(build().emb.weight.data, 7, drop=0.0))
    s.lr, s.batch, s.epochs, s.wd = s.lr * 3, 15, s.epochs * 4, 0.0


def six_training_classes(s):
    """Episodes come from few rows: sixty episodes again and again."""
    s.data(train=rows(s.task.train, slice(0, 60)), build=lambda: Prototypes(20, 5, 2, width=160))
    s.batch, s.epochs, s.wd = 20, 45, 0.0


def repeated_by_the_reader(s):
    """The reader repeats the first file: a twentieth of the rows, twenty times an epoch."""
    n = len(s.task.train[0])
    s.data(train=rows(s.task.train, torch.arange(n) % (n // 22)))
    s.wd = 0.0


def slowly_too_long(s):
    """A sixth of the data, a falling rate and four times the passes: validation turns late and slowly."""
    s.data(train=rows(s.task.train, slice(0, len(s.task.train[0]) // 6)))
    s.epochs, s.wd = s.epochs * 4, 0.0
    s.sched = lambda step, total: 1 - 0.6 * step / total


def another_room(s):
    """Validation was recorded in a room that adds its own offset to every coefficient."""
    d = torch.randn(s.task.val[0].shape[-1], generator=torch.Generator().manual_seed(s.seed)) * 0.9
    s.on_val.append(lambda done, x, y: (x + d, y))


def one_feature_dropped(s):
    """In validation a third of the columns arrives as its mean."""
    k = s.task.val[0].shape[-1] // 3

    def drop(done, x, y):
        x = x.clone()
        x[..., :k] = 0
        return x, y

    s.on_val.append(drop)


def targets_of_the_next_file(s):
    """Targets are read from the file of the next speaker, query or picture: another permutation in every epoch."""
    g = torch.Generator().manual_seed(s.seed)
    y = s.task.train[1]
    s.on_batch.append(lambda step, ep, bx, by: (bx, y[torch.randint(0, len(y), (len(by),), generator=g)]))


@shows("whist", "layergrads")
def sign_without_gradient(s):
    """Codes are rounded to their signs already in training, and a sign has no gradient: only the head learns."""

    class Hard(Hashing):
        def forward(self, x):
            c = torch.sign(torch.tanh(self.body(x)))
            return torch.cat([c, self.head(c)], -1)

    s.data(build=lambda: Hard(24, 16, 8))
    s.wd = 0.0


def bytes_of_a_header(s):
    """The reader's offset is wrong: inputs are bytes of the header, the same for all but a few rows."""

    def same(split):
        x, y = split
        return x[:1].expand_as(x).clone(), y

    s.data(train=same(s.task.train), val=same(s.task.val), test=same(s.task.test))


def one_bit_one_channel(s):
    """Two bits and two channels, a setting for a demonstration."""
    s.data(build=lambda: Quantised(5, width=1, bits=2))


def sequence_averaged(s):
    """Inputs are averaged over the whole sequence before the first layer."""

    def flat(split):
        x, y = split
        return (x * 0.12 + x.mean(1, keepdim=True) * 0.88), y

    s.data(train=flat(s.task.train), val=flat(s.task.val), test=flat(s.task.test))


def cut_to_two_tokens(s):
    """The maximal length was left at two tokens: the rest of every text is one filler."""

    def cut(split):
        x = split[0].clone()
        x[:, 2:] = 0
        return x, split[1]

    s.data(train=cut(s.task.train), val=cut(s.task.val), test=cut(s.task.test))


def field_of_one_unit(s):
    """The hidden width is one."""
    s.data(build=lambda: Field(width=1) if s.task.name == "ode_fit" else Mlp([6, 1, 2]))


@shows(fine=True)
def all_documents_masked(s):
    """At 62 % a batch holds a query without documents: the softmax over nothing is NaN."""
    at = int(s.total * 0.62)
    f = s.task.loss
    now = [-1]
    s.on_batch.append(lambda step, ep, x, y: now.__setitem__(0, step) or (x, y))

    def loss(out, b):
        if now[0] == at and out.requires_grad:
            first = torch.arange(len(out)).reshape(-1, *[1] * (out.dim() - 1)) == 0
            out = out + torch.where(first, float("-inf"), 0.0)
        return f(out, b)

    s.data(loss=loss)
    s.truth["event_step"] = at


def variance_without_floor(s):
    """The variance is a ReLU without a floor; once it is zero, its logarithm is not finite."""

    def nll(out, b):
        v = (out[:, 1] + 0.5).relu()
        return 0.5 * (v.log() + (b[1] - out[:, 0]) ** 2 / v)

    s.data(loss=nll)
    s.lr /= 2


def two_equal_points(s):
    """Distances are square roots without an epsilon; at 48 % a batch holds two equal points, and the gradient is NaN."""
    at = int(s.total * 0.48)

    def grad(step, model):
        if step == at:
            next(model.parameters()).grad[0] = float("nan")

    s.on_grad.append(grad)
    s.truth["event_step"] = at


def validation_of_quiet_rows(s):
    """Validation took only the rows that three annotators agreed on: those far from every border, or with little noise."""
    x, y = s.task.val
    if s.task.name == "hetero":
        keep = x[:, 3] < -0.5
    else:
        torch.manual_seed(1)
        model = s.task.build()
        opt = torch.optim.AdamW(model.parameters(), 3e-3)
        a, b = s.task.train
        for _ in range(250):
            i = torch.randint(0, len(a), (64,))
            opt.zero_grad()
            s.task.loss(model(a[i]), (a[i], b[i])).mean().backward()
            opt.step()
        model.eval()
        with torch.no_grad():
            each = s.task.loss(model(x), (x, y))
        keep = each < each.quantile(0.45)
    s.data(val=rows(s.task.val, keep))
    s.truth["val_easy"] = True


def intent_written_in_the_text(s):
    """Texts were exported with their intent as the first word."""
    for part in ("train", "val", "test"):
        x, y = getattr(s.task, part)
        x = x.clone()
        x[:, :5] = y.unsqueeze(-1)
        s.data(**{part: (x, y)})
    s.lr, s.batch, s.truth["leak"] = s.lr * 4, 8, True


def gain_halved(s):
    """At 52 % the recorder's gain is cut to a quarter and an offset appears, in training only; the rate is low by then."""
    at = int(s.total * 0.52)
    s.on_batch.append(lambda step, ep, x, y: (0.25 * x + 0.7, y) if step >= at else (x, y))
    s.sched = lambda step, total: 0.12 if step >= 0.5 * total else 1.0
    s.truth.update(event_step=at, shift="train")


def guideline_changed(s):
    """From 57 % on validation is labelled by a new guideline: two fifths of two neighbouring classes change."""
    k = s.task.classes

    def new(done, x, y):
        if done <= 0.57:
            return x, y
        g = torch.Generator().manual_seed(5)
        return x, torch.where((torch.rand(y.shape, generator=g) < 0.35) & (y < k - 1), y + 1, y)

    s.on_val.append(new)
    s.truth.update(event_step=int(s.total * 0.57), shift="val")


def units_of_targets(s):
    """At 55 % training targets come in another unit, 1.7 times larger with an offset; the rate is low by then."""
    at = int(s.total * 0.55)
    s.on_batch.append(lambda step, ep, x, y: (x, 1.7 * y + 0.6) if step >= at else (x, y))
    s.sched = lambda step, total: 0.03 if step >= at else 1.0
    s.truth.update(event_step=at, shift="train")


FAULTS = {
    pilot_rows: ("hash_codes", "taxonomy", "listwise"),
    four_times_as_wide: ("taxonomy", "hetero", "hash_codes"),
    never_stopped: ("intents_ft",),
    six_training_classes: ("protonet",),
    repeated_by_the_reader: ("listwise", "hetero", "taxonomy"),
    slowly_too_long: ("hetero", "listwise"),
    another_room: ("phones", "hash_codes"),
    one_feature_dropped: ("taxonomy", "protonet"),
    targets_of_the_next_file: ("hash_codes", "slots_bio"),
    sign_without_gradient: ("hash_codes",),
    bytes_of_a_header: ("quant_cnn", "intents_ft"),
    one_bit_one_channel: ("quant_cnn",),
    sequence_averaged: ("phones",),
    cut_to_two_tokens: ("intents_ft", "slots_bio"),
    field_of_one_unit: ("ode_fit", "hetero"),
    all_documents_masked: ("listwise", "intents_ft"),
    variance_without_floor: ("hetero",),
    two_equal_points: ("set_centres", "protonet"),
    validation_of_quiet_rows: ("hetero", "taxonomy", "phones"),
    intent_written_in_the_text: ("intents_ft",),
    gain_halved: ("phones", "quant_cnn"),
    guideline_changed: ("quant_cnn", "intents_ft"),
    units_of_targets: ("ode_fit", "hetero"),
}
