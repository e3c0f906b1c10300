"""Which training is written in which convention with which extras; the same split gives the same list."""

import dataclasses as dc
import zlib

import numpy as np

from families import conventions, faults_dev, faults_dev2, healthy_dev, tasks_dev

SHOWS = {
    "encoder_without_gradient": {"whist", "layergrads"},
    "optimizer_of_a_copy": set(),
    "deep_small_tanh": {"layergrads", "gnorm"},
    "recurrent_gain": {"gnorm"},
    "growing_head": {"wnorm", "gnorm"},
    "bias_minus_six": {"ahist", "dead"},
    "input_times_40": {"ahist"},
    "clip_tiny": {"gnorm", "text"},
    "cosine_ends_early": {"lr"},
    "rate_zero_by_config": {"lr"},
    "rate_over_300": {"lr"},
    "jump_at_resume": {"lr"},
    "decay_every_batch": {"lr"},
    "warmup_without_end": {"lr"},
    "adam_rate_1": {"lr", "gnorm"},
    "sgd_rate_for_adam": {"lr", "gnorm"},
    "softmax_before_ce": {"conf"},
    "summed_loss": {"recalls"},
    "class_map_bug": {"shares"},
    "head_times_zero": {"shares", "recalls"},
    "rare_classes": {"recalls", "f1"},
    "sharp_temperature": {"conf"},
    "smoothing_06": {"conf"},
    "momentum_099_sgd": {"gnorm"},
    "residual_gain": {"gnorm"},
    "sigmoid_tower": {"layergrads"},
    "shock_at_start": {"ahist", "lr"},
    "relu_at_the_end": {"dead", "ahist"},
    "gain_25_sigmoid": {"ahist"},
    "encoder_not_in_optimizer": {"whist"},
    "norm_reward": {"wnorm"},
    "clip_in_wrong_unit": {"gnorm", "text"},
    "integer_warmup": {"lr"},
    "linear_to_zero_early": {"lr"},
    "grows_to_the_end": {"lr"},
    "restart_too_high": {"lr"},
    "impatient_scheduler": {"lr"},
    "adam_rate_03": {"lr", "gnorm"},
    "rmsprop_hot": {"lr"},
    "rate_over_batch": {"lr"},
    "sigmoid_before_logits_loss": {"conf"},
    "summed_over_positions": {"recalls"},
    "probabilities_as_logits": {"recalls"},
    "sampler_of_one_class": {"shares", "recalls"},
    "gate_at_zero": {"predhist", "shares"},
    "three_percent_positive": {"recalls", "f1"},
    "sharpened_at_inference": {"conf"},
    "capped_logits": {"conf"},
    "groups_split": {"recalls"},
}
POOL = [
    "lr",
    "gnorm",
    "wnorm",
    "layergrads",
    "whist",
    "ghist",
    "ahist",
    "dead",
    "recalls",
    "shares",
    "conf",
    "f1",
    "text",
    "hparams",
    "speed",
    "predhist",
]
SIDE_TAGS = [(), (), ("sys/gpu_mem_mb", "sys/gpu_temp"), ("data/queue_len",), ("eval/bleu", "progress"), ("sys/gpu_temp", "val/nan_metric")]


@dc.dataclass
class Case:
    """One training to write."""

    index: int
    split: str
    task: str
    mechanism: object
    healthy: bool
    seed: int
    conv: object
    extras: set
    side: tuple = ()
    damage: str = ""


def parts(split):
    """Tasks, faults, healthy mechanisms, conventions and damages of a split."""
    if split == "dev":
        return tasks_dev.TASKS, {**faults_dev.FAULTS, **faults_dev2.FAULTS}, healthy_dev.HEALTHY, conventions.DEV, DAMAGES_DEV
    from families import faults_sealed, faults_sealed2, healthy_sealed, tasks_sealed

    return tasks_sealed.TASKS, {**faults_sealed.FAULTS, **faults_sealed2.FAULTS}, healthy_sealed.HEALTHY, conventions.SEALED, DAMAGES_SEALED


DAMAGES_DEV = ["resume_old_steps", "cut_tail", "flip_bits", "train_loss_only", "resumed_cleanly"]
DAMAGES_SEALED = ["two_writers", "zero_hole", "lose_half_of_last", "loss_and_time_only", "restarted_from_zero", "resumed_with_purge"]


def cases(split):
    """The whole list, shuffled so that any prefix is varied."""
    tasks, faults, healthy, convs, damages = parts(split)
    out = []
    for group, fine in ((faults, False), (healthy, True)):
        for f, names in group.items():
            for k, t in enumerate(names):
                again = 2 if fine and len(names) < 4 else 1
                out += [(t, f, fine, k + r, "") for r in range(again)]
    plain = healthy_dev.default
    names = [n for n in tasks if n not in ("gan_ring", "ppo_grid")]
    for i, d in enumerate(damages):
        out += [(names[(3 * i + j) % len(names)], plain, d.startswith("resumed"), j, d) for j in range(2)]
    rng = np.random.default_rng(zlib.crc32(split.encode()))
    order = rng.permutation(len(out))
    use = {c.name: 0 for c in convs}
    res = []
    for i in order:
        t, f, fine, k, d = out[i]
        least = min(use.values())
        free = [c for c in convs if use[c.name] <= least + 1]
        free = [c for c in free if fits(c, f, t, d)] or [c for c in convs if fits(c, f, t, d)]
        c = free[rng.integers(len(free))]
        use[c.name] += 1
        extras = {e for e in POOL if rng.random() < (0.6 if e == "lr" else 0.4 if e == "gnorm" else 0.22)} | SHOWS.get(f.__name__, set())
        side = SIDE_TAGS[rng.integers(len(SIDE_TAGS))]
        side = () if not c.every else side
        if d in ("train_loss_only", "loss_and_time_only"):
            extras, side = {"no_val"}, ()
        res.append(
            Case(
                len(res) + 1,
                split,
                t,
                f,
                fine,
                11 + (zlib.crc32((t + split).encode()) % 50) * 3 + k % (3 if split == "dev" else 2),
                c,
                extras,
                side,
                d,
            )
        )
    return res


def fits(conv, mechanism, task, damage):
    """Some symptoms need values of single steps; damage needs one plain file; a classifier's tag wants a classifier."""
    name = mechanism.__name__
    if damage and (conv.style == "add_scalars" or any(conv.dirs)):
        return False
    if damage == "train_loss_only" and not conv.every:
        return False
    if conv.name == "every50" and task not in ("shapes_cnn", "tag_gru", "blobs5", "modadd_tf"):
        return False
    if any(w in name for w in ("outlier", "sorted", "batch_of_one", "glitch", "spike", "order", "small_batches", "curriculum")):
        return 0 < conv.every <= 8 and conv.fold != "ema"
    if "scaler" in name or "amp" in name:
        return conv.every and conv.every < 11
    return True
