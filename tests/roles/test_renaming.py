"""Harmless renames and unrelated tags change no role."""

from __future__ import annotations

from collections.abc import Mapping

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, given, settings

from tbdiag.detectors import _synth
from tbdiag.model import Role, Run
from tbdiag.roles import resolve

RISING = [0.1 + 0.02 * i for i in range(30)]
FALLING = [2.3 - 0.05 * i for i in range(30)]

TAGS: dict[str, list[float]] = {
    "train/loss": FALLING,
    "val/loss": FALLING,
    "train/accuracy": RISING,
    "val/accuracy": RISING,
    "val/f1": RISING,
    "learning_rate": [1e-3] * 30,
    "grad_norm": [1.0] * 30,
    "loss_scale": [65536.0] * 30,
    "train/box_loss": FALLING,
    "val/confidence": RISING,
    "grad_norm/layers.0.weight": [1.0] * 30,
    "grad_norm/layers.1.weight": [1.0] * 30,
    "weight_norm/layers.0.weight": [3.0] * 30,
    "val/pred_share/0": [0.5] * 30,
    "val/pred_share/1": [0.5] * 30,
    "activations/layers.1/zero_fraction": [0.4] * 30,
    "batch_size": [64.0] * 30,
    "steps_per_second": [8.0] * 30,
    "data_time": [0.1] * 30,
    "epoch": [float(i // 3) for i in range(30)],
}
UNRELATED = ["debug/foo", "queue/depth", "temperature_gpu0", "my/thing", "alpha", "notes/x_1", "weather/rain"]

CASES = {"as is": str, "lower": str.lower, "upper": str.upper, "title": str.title}
SEPARATORS = ("/", "_", "-", " ", ".", ":")
PREFIXES = ("", "exp42/", "run-a/", "my_model/", "v2/stage/", "Experiment 3/")


def rename(tag: str, case: str, separator: str, prefix: str) -> str:
    """The tag with other case, another separator between its words (not inside layer names) and a folder before it."""
    head, _, layer = tag.partition("/layers")
    new = CASES[case](head).replace("/", separator).replace("_", separator if separator != "/" else "_")
    return prefix + new + (f"/layers{layer}" if layer else "")


def meaning(run: Run, names: Mapping[str, str]) -> dict[str, tuple[object, ...]]:
    """Role, split, direction, class, kind and whether it stands for its role, by the name that the tag had before."""
    found = {s.name: s for s in resolve(run).all}
    keys = {}
    for old, new in names.items():
        s = found[new]
        keys[old] = (s.role, s.split, s.direction, s.main, s.class_id, s.sub_kind, s.depth, s.stem)
    return keys


PLAIN = meaning(_synth.make_run(TAGS), {t: t for t in TAGS})


def test_the_plain_reading_is_the_expected_one() -> None:
    roles = {tag: m[0] for tag, m in PLAIN.items()}
    assert roles["train/loss"] is roles["val/loss"] is Role.LOSS
    assert roles["val/accuracy"] is Role.METRIC
    assert roles["learning_rate"] is Role.LR
    assert roles["grad_norm"] is Role.GRAD_NORM
    assert roles["grad_norm/layers.1.weight"] is Role.LAYER_GRAD_NORM
    assert roles["train/box_loss"] is Role.LOSS_COMPONENT
    assert roles["val/pred_share/1"] is Role.PREDICTION_SHARE
    assert roles["activations/layers.1/zero_fraction"] is Role.ACTIVATION_STAT
    assert all(
        m[3] for t, m in PLAIN.items() if t in {"train/loss", "val/loss", "learning_rate", "grad_norm", "val/accuracy", "train/accuracy"}
    )


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    case=st.sampled_from(sorted(CASES)),
    separator=st.sampled_from(SEPARATORS),
    prefix=st.sampled_from(PREFIXES),
    extra=st.lists(st.sampled_from(UNRELATED), unique=True, max_size=5),
    order=st.permutations(sorted(TAGS)),
)
def test_harmless_renames_and_unrelated_tags_change_no_role(
    case: str, separator: str, prefix: str, extra: list[str], order: list[str]
) -> None:
    names = {tag: rename(tag, case, separator, prefix) for tag in order}
    series = {names[t]: TAGS[t] for t in order} | dict.fromkeys(extra, RISING)
    assert meaning(_synth.make_run(series), names) == PLAIN


@pytest.mark.parametrize(
    ("train", "val"),
    [
        ("Loss/train", "Loss/val"),
        ("loss_train", "loss_valid"),
        ("train_loss", "validation_loss"),
        ("trainLoss", "valLoss"),
        ("Train Loss", "Test Loss"),
        ("training loss", "evaluation loss"),
        ("L_total/train", "L_total/dev"),
        ("train/total_loss", "val/total_loss"),
        ("cross_entropy/train", "cross_entropy/val"),
        ("loss", "val_loss"),
        ("Train/NLL", "Valid/NLL"),
        ("mse/train", "mse/val"),
        ("train_loss_epoch", "val_loss_epoch"),
        ("metrics/train/loss", "metrics/eval/loss"),
    ],
)
def test_habits_of_plain_writers(train: str, val: str) -> None:
    signals = resolve(_synth.make_run({train: FALLING, val: FALLING, "lr": [0.1] * 30}))
    assert signals.main("train_loss").name == train
    assert signals.main("val_loss").name == val
    assert signals.main("train_loss").stem == signals.main("val_loss").stem
