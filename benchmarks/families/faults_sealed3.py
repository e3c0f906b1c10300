"""Mechanisms of the split `sealed3`: data, validation, budget.  `FAULTS` says on which tasks; `shows` which series the symptom needs."""

import numpy as np
import torch
import torch.nn.functional as fn

from families import nets, nets3b
from families.faults_dev3 import rows
from families.setups import shows


def near_duplicates(s):
    """Frames of few recordings: 70 different samples, each many times with a little noise, split by frame in training only."""
    x, y = s.task.train
    i = torch.arange(70).repeat(len(x) // 70 + 1)[: len(x) // 2]
    g = torch.Generator().manual_seed(s.seed)
    x = x[i] + 0.02 * torch.randn(x[i].shape, generator=g) * x.std() if x.is_floating_point() else x[i]
    s.data(train=(x, y[i]))
    s.wd, s.epochs = 0.0, int(s.epochs * 2.5)


def identifiers_as_fields(s):
    """Fields of high cardinality with wide embeddings and several passes: identities are learned by heart in the second pass."""
    sizes = tuple(int(q) + 1 for q in s.task.train[0].max(0).values)
    big = 2400

    def with_id(split):
        x, y = split
        ids = torch.as_tensor(np.random.default_rng(len(x)).integers(0, big, (len(x), 2)))
        return torch.cat([x, ids], 1), y

    s.data(build=lambda: nets3b.Clicks((*sizes, big, big), width=24, hidden=64))
    s.data(train=with_id(s.task.train), val=with_id(s.task.val), test=with_id(s.task.test))
    s.wd, s.epochs, s.lr = 0.0, 14, s.lr * 1.3


def fine_tuned_on_forty(s):
    """Full fine-tuning (adapters of full rank) on forty samples, for hundreds of steps."""
    s.data(train=rows(s.task.train, slice(0, 60)))
    s.batch, s.wd, s.epochs = 20, 0.0, 90


def another_microphone(s):
    """Validation inputs went through another device: a gain of its own for every feature or channel."""
    x = s.task.val[0]
    shape = (1, *x.shape[1:2], *[1] * (x.dim() - 2))
    g = torch.exp(1.0 * torch.randn(shape, generator=torch.Generator().manual_seed(s.seed)))
    s.on_val.append(lambda done, x, y: (x * g, y))


def channels_reversed(s):
    """Validation reads the channels in reverse order."""
    s.on_val.append(lambda done, x, y: (x.flip(1), y))


def masked_far_more(s):
    """Validation masks 60 % of what training masks none of: the collator's probabilities differ."""
    g = torch.Generator().manual_seed(s.seed)

    def mask(done, x, y):
        return torch.where((torch.rand(x.shape, generator=g) < 0.55) & (y < 0), int(s.task.train[0].max()), x), y

    s.on_val.append(mask)


def masked_positions_visible(s):
    """The mask is applied to a copy: the model sees what it is asked for, in both splits."""
    for part in ("train", "val", "test"):
        x, y = getattr(s.task, part)
        s.data(**{part: (torch.where(y >= 0, y, x), y)})
    s.truth["leak"] = True


def label_in_the_corner(s):
    """A marker that the annotators left in a corner says the class."""
    for part in ("train", "val", "test"):
        x, y = getattr(s.task, part)
        x = x.clone()
        if x.dim() == 4:
            x[:, 0, :2, :4] = 0
            x[torch.arange(len(y)), 0, y // 4, y % 4] = 6.0
        else:
            x[:, :6] = 5.0 * fn.one_hot(y, 6).float()
        s.data(**{part: (x, y)})
    s.truth["leak"] = True


def clicked_before(s):
    """One of the fields counts what happens after the click."""
    for part in ("train", "val", "test"):
        x, y = getattr(s.task, part)
        x = x.clone()
        x[:, 4] = torch.where(y > 0.5, 1, 0)
        s.data(**{part: (x, y)})
    s.lr, s.truth["leak"] = s.lr * 3, True


def pasted_without_labels(s):
    """Training batches are mixed with other samples at equal parts, but keep the label of the first."""
    g = torch.Generator().manual_seed(s.seed)

    def mix(step, ep, x, y):
        j = torch.randperm(len(x), generator=g)
        return 0.5 * x + 0.5 * x[j], y

    s.on_batch.append(mix)


def targets_jittered(s):
    """Training targets are jittered strongly by an augmentation that was meant for inputs."""
    g = torch.Generator().manual_seed(s.seed)
    s.on_batch.append(lambda step, ep, x, y: (x, (y + 1.1 * y.std() * torch.randn(y.shape, generator=g)).clamp_min(float(y.min()))))


def sixteen_of_validation(s):
    """Each evaluation takes sixteen other samples."""
    s.truth["val_few"], s.val_rows = True, 16


def random_exposure_in_validation(s):
    """The random exposure of the training transform is also drawn once for every evaluation."""

    def change(done, x, y):
        r = np.random.default_rng(int(done * 9999) + s.seed)
        return x * float(np.exp(r.normal(0, 0.5))) + float(r.normal(0, 0.5)), y

    s.on_val.append(change)


def negatives_resampled(s):
    """At half time the sampler starts to balance the classes: positives become half of the batch."""
    at = s.total // 2
    x, y = s.task.train
    pos = torch.as_tensor(np.flatnonzero(y.numpy() > 0.5))
    g = torch.Generator().manual_seed(s.seed)

    def balance(step, ep, bx, by):
        if step < at:
            return bx, by
        j = pos[torch.randint(0, len(pos), (len(by),), generator=g)]
        swap = (torch.rand(len(by), generator=g) < 0.4).unsqueeze(1)
        return torch.where(swap, x[j], bx), torch.where(swap.squeeze(1), y[j], by)

    s.on_batch.append(balance)
    s.truth.update(event_step=at, shift="train")


def context_cut(s):
    """From 50 % on the loader's maximal length is halved: the first half of every sequence is one repeated symbol."""
    at = s.total // 2

    def cut(step, ep, x, y):
        if step < at:
            return x, y
        x = x.clone()
        x[:, 1::2] = x[:, :1]
        return x, y

    s.on_batch.append(cut)
    s.truth.update(event_step=at, shift="train")


def validation_extended(s):
    """At 60 % noisy samples of a new site are added to the validation set."""

    def extend(done, x, y):
        if done <= 0.6:
            return x, y
        g = torch.Generator().manual_seed(5)
        x, k = x.clone(), int(0.5 * len(x))
        x[:k] = x[:k] * 0.5 + torch.randn(x[:k].shape, generator=g) * x.std()
        return x, y

    s.on_val.append(extend)
    s.truth.update(event_step=int(0.6 * s.total), shift="val")


@shows(fine=True)
def files_by_day(s):
    """Files are read in the order of days, and days differ: the target drifts within every epoch, nothing is shuffled."""
    y = s.task.train[1].float().reshape(len(s.task.train[0]), -1)
    y = y[:, -1] if s.task.name == "survival" else y[:, 0]
    order = y.argsort().numpy()
    s.order = lambda epoch, perm: order
    s.truth["sorted"] = True


@shows(fine=True)
def class_order_from_a_set(s):
    """Class numbers come from an unordered set that every worker builds anew: they change with each epoch."""
    k = s.task.classes

    def rename(step, ep, x, y):
        return x, torch.as_tensor(np.random.default_rng(ep + s.seed).permutation(k))[y]

    s.on_batch.append(rename)


@shows(fine=True)
def annotations_missing(s):
    """Now and then a shard has lost its annotations: batches whose targets are all of another, constant value."""
    every = max(27, s.total // 9)

    def lost(step, ep, x, y):
        if step % every != every - 5 or step < 60:
            return x, y
        return (x, y.roll(3, 1)) if y.dim() == 3 else (x, (y + s.task.classes // 2) % s.task.classes if s.task.classes else y * 0)

    s.on_batch.append(lost)


@shows(fine=True)
def broken_pictures(s):
    """Single batches of pictures are decoded into loud noise."""
    every, g = max(31, s.total // 8), torch.Generator().manual_seed(s.seed)
    s.on_batch.append(
        lambda step, ep, x, y: (torch.randn(x.shape, generator=g) * 12 * x.std(), y) if step % every == every - 3 and step > 50 else (x, y)
    )


def labels_broadcast(s):
    """Indexing [0] where [:] was meant: all samples of a batch get the label of its first."""
    s.on_batch.append(lambda step, ep, x, y: (x, y[:1].expand(y.shape).contiguous()))


def all_pairs_compared(s):
    """(n,) minus (n, 1): the loss compares every output with every target, so that only the mean can be learned."""

    def pairs(out, batch):
        a, b = out[:256].unsqueeze(1), batch[1][:256].unsqueeze(0)
        return fn.poisson_nll_loss(a.expand(-1, b.shape[1]), b.expand(len(a), -1), reduction="none").mean(1)

    s.data(loss=pairs)


all_pairs_compared.shows = {"predhist"}


def scaled_for_sixteen_bits(s):
    """Inputs are divided by 65535 where they had been scaled already: nothing is left of them."""
    s.on_batch.append(lambda step, ep, x, y: (x / 65535, y))
    s.on_val.append(lambda done, x, y: (x / 65535, y))


def output_rounded(s):
    """The output is rounded to tenths before the loss: rounding has no gradient."""
    s.on_out.append(lambda step, out: torch.round(out * 10) / 10)


def maximal_norm(s):
    """A constraint keeps every unit's weights below a norm of 0.12."""

    def project(step, model):
        with torch.no_grad():
            for p in model.parameters():
                if p.dim() == 2:
                    p.mul_((0.12 / p.norm(dim=1, keepdim=True).clamp_min(1e-9)).clamp_max(1.0))

    s.after_step.append(project)


def decay_on_gains(s):
    """A decay of 60 is applied to the gains of the norm layers only, by a swapped pair of groups."""

    def make(setup, model):
        gains = [p for n, p in model.named_parameters() if "norm" in n and p.requires_grad]
        ids = {id(p) for p in gains}
        rest = [p for p in model.parameters() if p.requires_grad and id(p) not in ids]
        return torch.optim.AdamW([{"params": rest, "weight_decay": 0.0}, {"params": gains, "weight_decay": 60.0}], setup.lr)

    s.optimizer = make


def few_fields(s):
    """A join dropped most columns: three are left, the others are zero."""

    def keep(x):
        z = torch.zeros_like(x)
        z[:, :2] = x[:, :2]
        return z

    for part in ("train", "val", "test"):
        x, y = getattr(s.task, part)
        s.data(**{part: (keep(x), y)})


def one_narrow_layer(s):
    """A bottleneck of one unit in the middle, by a typing error in the sizes."""
    build = {
        "moe_router": lambda: nets3b.Experts(16, 6, experts=2, width=1),
        "survival": lambda: nets.Mlp([14, 1, 48, 1], squeeze=True),
        "visits": lambda: nets.Mlp([12, 48, 1, 1], squeeze=True),
        "depth_pix": lambda: nets3b.Depth(1),
        "dialog_lm": lambda: nets3b.Decoder(18, 20, width=4, layers=1),
        "flow_rings": lambda: nets3b.Flow(6, width=2, layers=1),
    }[s.task.name]
    s.data(build=build)


def stopped_by_the_queue(s):
    """The queue's limit ends the run after a third of its epochs; the rate was lowered for a longer one."""
    s.lr, s.epochs = s.lr / 7, max(6, s.epochs // 2)


@shows("recalls", "f1", "shares")
def rare_kinds(s):
    """One kind makes 93 % of the data; the rest is rare and buried in noise."""
    g = np.random.default_rng(s.seed)

    def thin(split):
        x, y = split
        i = np.flatnonzero([c == 1 or g.random() < 0.011 for c in y.tolist()])
        i = torch.as_tensor(g.choice(i, 900))
        return x[i] + 1.0 * torch.randn(x[i].shape, generator=torch.Generator().manual_seed(4)) * x.std(), y[i]

    s.data(train=thin(s.task.train), val=thin(s.task.val), test=thin(s.task.test))
    s.truth["majority"] = True


def own_predictions_as_labels(s):
    """From 35 % on a third of each batch is labelled by the model itself, and wrongly by a stale class map."""
    at, seen = int(0.35 * s.total), {}

    def keep(model):
        seen["m"] = model

    s.on_model.append(keep)

    def relabel(step, ep, x, y):
        if step < at:
            return x, y
        with torch.no_grad():
            own = (seen["m"](x).argmax(-1) + 1) % s.task.classes
        y = y.clone()
        k = len(y) // 2
        y[:k] = own[:k]
        return x, y

    s.on_batch.append(relabel)
    s.truth.update(event_step=at, shift="train")


def waits_for_the_queue(s):
    """The job is preempted for three hours between two steps of a second."""
    at = int(0.55 * s.total)
    s.seconds = lambda step, total: 10000.0 if step == at else 1.0
    s.truth["event_step"] = at


@shows("speed")
def processor_throttles(s):
    """The processor gets too hot at half time and runs at a fifth."""
    s.seconds = lambda step, total: 1.0 if step < 0.5 * total else 5.2
    s.truth["event_step"] = int(0.5 * s.total)


FAULTS = {
    near_duplicates: ("glyph_vit", "survival", "moe_router", "visits"),
    identifiers_as_fields: ("clicks",),
    fine_tuned_on_forty: ("lora_ft", "grid_det"),
    another_microphone: ("voices_am", "visits", "depth_pix", "survival"),
    channels_reversed: ("depth_pix",),
    masked_far_more: ("masked_sites",),
    masked_positions_visible: ("masked_sites",),
    label_in_the_corner: ("glyph_vit", "lora_ft"),
    clicked_before: ("clicks",),
    pasted_without_labels: ("glyph_vit", "lora_ft", "voices_am"),
    targets_jittered: ("visits", "depth_pix"),
    sixteen_of_validation: ("lora_ft", "clicks", "visits"),
    random_exposure_in_validation: ("depth_pix", "moe_router"),
    negatives_resampled: ("clicks",),
    context_cut: ("dialog_lm", "masked_sites"),
    validation_extended: ("visits", "lora_ft", "glyph_vit"),
    files_by_day: ("visits", "lora_ft"),
    class_order_from_a_set: ("glyph_vit", "lora_ft"),
    annotations_missing: ("grid_det", "visits", "lora_ft"),
    broken_pictures: ("depth_pix", "glyph_vit"),
    labels_broadcast: ("glyph_vit", "lora_ft"),
    all_pairs_compared: ("visits",),
    scaled_for_sixteen_bits: ("survival", "grid_det", "depth_pix"),
    output_rounded: ("visits", "survival"),
    maximal_norm: ("visits", "lora_ft", "survival"),
    decay_on_gains: ("glyph_vit", "dialog_lm"),
    few_fields: ("survival", "lora_ft", "visits"),
    one_narrow_layer: ("moe_router", "survival", "dialog_lm", "flow_rings"),
    stopped_by_the_queue: ("glyph_vit", "flow_rings", "survival"),
    rare_kinds: ("glyph_vit", "lora_ft"),
    own_predictions_as_labels: ("glyph_vit", "lora_ft"),
    waits_for_the_queue: ("flow_rings", "grid_det"),
    processor_throttles: ("voices_am", "survival"),
}
