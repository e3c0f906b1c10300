"""Healthy trainings of the split `dev` whose shape is easily misjudged."""

import numpy as np
import torch


def default(s):
    """As the task comes."""


def small_batches(s):
    """Batches of eight: a noisy but sound training curve."""
    s.batch, s.lr, s.epochs = 8, s.lr / 3, max(5, s.epochs // 3)
    s.truth["tolerated"] = ["instability", "spikes"]
    s.truth["noisy"] = True


def triangular_rate(s):
    """A triangular cyclic learning rate; the loss follows it."""
    s.sched = lambda step, total: 0.1 + 0.9 * abs(((step * 8 / total) % 2) - 1)
    s.truth["tolerated"] = ["lr-schedule"]


def input_dropout(s):
    """Dropout on the inputs in training only: validation is better than training throughout."""
    s.on_batch.append(lambda step, ep, x, y: (x * (torch.rand_like(x) > 0.2) / 0.8, y))
    s.truth["tolerated"] = ["val-better", "underfitting", "plateau"]


def good_start(s):
    """Fine-tuning: the model starts from a training of the same data."""
    import copy

    from families.setups import Setup
    from families.training import make_optimizer

    pre = Setup(s.task, s.seed + 1000)
    torch.manual_seed(pre.seed)
    model = s.task.build()
    opt = make_optimizer(pre, list(model.parameters()))
    x, y = s.task.train
    rng = np.random.default_rng(1)
    for _ in range(int(pre.total * 0.6)):
        i = torch.as_tensor(rng.choice(len(x), pre.batch))
        opt.zero_grad()
        s.task.loss(model(x[i]), (x[i], y[i])).mean().backward()
        opt.step()
    state = copy.deepcopy(model.state_dict())
    s.on_model.append(lambda m: m.load_state_dict(state) and None)
    s.lr, s.epochs = s.lr / 4, max(8, s.epochs // 2)
    s.truth["tolerated"] = ["lr-too-low"]


def warmup_and_cosine(s):
    """Linear warm-up over 5 %, then a cosine to zero."""
    s.sched = lambda step, total: min(1, (step + 1) / (0.05 * total)) * 0.5 * (1 + np.cos(np.pi * step / total))


def long_flat_end(s):
    """Twice the epochs with decaying rate: the second half is flat at a good level."""
    s.epochs *= 2
    s.sched = lambda step, total: 0.01 ** min(1, 2 * step / total) * 1.5


def steps_down(s):
    """The rate falls tenfold at half and three quarters."""
    s.sched = lambda step, total: 0.1 ** ((step > 0.5 * total) + (step > 0.75 * total))
    s.truth["tolerated"] = ["sudden-shift"]


def weak_augmentation(s):
    """Noise on the training inputs."""
    s.on_batch.append(lambda step, ep, x, y: (x + 0.15 * torch.randn_like(x), y))


def clip_at_one(s):
    """Gradient clipping that acts now and then."""
    s.clip = 1.5


def amp_calibrates(s):
    """Mixed precision whose loss scale settles in the first steps."""
    s.scaler = 2.0**17
    s.truth["tolerated"] = ["nan-inf"]


def plain_sgd(s):
    """SGD with momentum."""
    s.opt, s.lr = "sgd", 0.08


ALLOWED_TASKS = ("shapes_cnn", "modadd_tf", "tag_gru", "blobs5", "friedman", "curves_vae", "views_nce", "discs_seg", "dpo_toy")
HEALTHY = {
    default: ALLOWED_TASKS,
    small_batches: ("blobs5", "friedman", "shapes_cnn"),
    triangular_rate: ("blobs5", "tag_gru", "curves_vae"),
    input_dropout: ("blobs5", "shapes_cnn"),
    good_start: ("shapes_cnn", "blobs5", "tag_gru"),
    warmup_and_cosine: ("modadd_tf", "discs_seg", "views_nce", "tag_gru"),
    long_flat_end: ("discs_seg", "friedman", "tag_gru"),
    steps_down: ("shapes_cnn", "curves_vae", "friedman"),
    weak_augmentation: ("blobs5", "shapes_cnn"),
    clip_at_one: ("blobs5", "modadd_tf"),
    amp_calibrates: ("friedman", "shapes_cnn"),
    plain_sgd: ("blobs5", "shapes_cnn"),
}
