"""Configuration found in the log: hparams plugin, HF args, Lightning hparams, fairseq's sys.argv, Coqui's model-config, tables in text."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from tbdiag.model import Role, Run, Signal

Value = float | str | bool

NAMES: dict[str, tuple[str, ...]] = {
    "learning_rate": ("learning_rate", "lr", "base_lr", "init_lr", "initial_lr", "lr0", "max_lr", "learningrate", "peak_lr", "lr_gen"),
    "batch_size": (
        "batch_size",
        "per_device_train_batch_size",
        "train_batch_size",
        "train_micro_batch_size_per_gpu",
        "micro_batch_size",
        "global_batch_size",
        "batch",
        "bs",
        "batchsize",
    ),
    "gradient_accumulation_steps": (
        "gradient_accumulation_steps",
        "accumulate_grad_batches",
        "update_freq",
        "grad_accum_steps",
        "accumulation_steps",
    ),
    "epochs": ("epochs", "num_train_epochs", "max_epochs", "max_epoch", "n_epochs", "num_epochs"),
    "total_steps": (
        "max_steps",
        "total_steps",
        "max_update",
        "train_iters",
        "num_steps",
        "num_training_steps",
        "total_timesteps",
        "max_iters",
    ),
    "max_grad_norm": (
        "max_grad_norm",
        "clip_norm",
        "gradient_clip_val",
        "grad_clip",
        "clip_grad_norm",
        "clip_grad",
        "gradient_clipping",
        "grad_clip_norm",
        "clipnorm",
        "max_norm",
    ),
    "seed": ("seed", "random_seed", "manual_seed", "training_seed"),
    "precision": ("precision", "mixed_precision", "dtype", "amp_dtype"),
    "weight_decay": ("weight_decay", "wd", "l2", "decay"),
    "optimizer": ("optimizer", "optim", "optimizer_name", "opt"),
    "scheduler": ("lr_scheduler_type", "lr_scheduler", "scheduler", "lr_schedule"),
    "warmup_steps": ("warmup_steps", "warmup_updates", "num_warmup_steps", "lr_warmup_steps", "warmup_iters"),
    "warmup_ratio": ("warmup_ratio", "lr_warmup_fraction", "warmup_fraction"),
    "logging_steps": ("logging_steps", "log_interval", "log_every_n_steps", "log_freq", "print_step"),
    "dropout": ("dropout", "dropout_rate", "drop_rate", "p_dropout"),
    "label_smoothing": ("label_smoothing", "label_smoothing_factor", "smoothing"),
    "mixup": ("mixup_alpha", "mixup", "mix_up", "mixup_prob"),
    "cutmix": ("cutmix_alpha", "cutmix", "cut_mix", "cutmix_prob"),
    "mosaic": ("mosaic", "mosaic_prob"),
    "label_noise": (
        "label_noise",
        "label_noise_rate",
        "label_noise_ratio",
        "noisy_label_rate",
        "label_corruption",
        "corrupt_prob",
        "noise_rate",
        "noise_ratio",
    ),
    "classes": ("num_classes", "n_classes", "num_labels", "nclass", "nc", "n_class", "classes"),
    "majority_share": (
        "class_counts",
        "label_counts",
        "samples_per_class",
        "cls_num_list",
        "class_distribution",
        "label_distribution",
        "class_frequencies",
    ),
    "problem_type": ("problem_type",),
    "vocab_size": ("vocab_size", "padded_vocab_size", "n_vocab"),
    "model": ("model_name", "model_type", "_name_or_path", "model", "arch", "architecture", "backbone"),
    "dataset": ("dataset", "data", "dataset_name", "dataset_path", "data_path"),
    "run_name": ("run_name", "experiment_name", "exp_name", "experiment"),
    "training_samples": (
        "num_train_samples",
        "n_train_samples",
        "train_samples",
        "num_train_examples",
        "train_set_size",
        "n_train",
        "num_train",
    ),
    "max_train_samples": ("max_train_samples", "max_train_examples", "train_subset_size", "train_subset", "subset_size", "max_samples"),
    "overfit_batches": ("overfit_batches",),
    "limit_train_batches": ("limit_train_batches",),
    "overfit_test": (
        "overfit_test",
        "tiny_overfit",
        "overfit_one_batch",
        "overfit_single_batch",
        "overfit_batch",
        "overfit_small",
        "overfit",
    ),
}
"""Name in tbdiag -> names in configurations, most telling first."""

_LOOKUP = {alias: (name, rank) for name, aliases in NAMES.items() for rank, alias in enumerate(aliases)}
_TEXT_TAGS = ("args", "config", "hparams", "hyperparam", "argv", "model-config", "cfg", "setting", "option", "parameters", "command")
_SWITCHED_ON: dict[str, Value] = {"precision": "mixed", "overfit_test": "true", "mixup": 1.0, "cutmix": 1.0, "mosaic": 1.0}
"""What a bare ``true`` means for a name; for all others nothing."""
_NUMERIC = frozenset(NAMES) - {"optimizer", "scheduler", "precision", "model", "dataset", "run_name", "overfit_test", "problem_type"}
_LINE = re.compile(r"^[\s|*\-]*([A-Za-z_][\w./\-]*)\s*[|:=]\s*([^|\n]+?)\s*\|?\s*$", re.MULTILINE)
_OPTIMIZER = re.compile(r"(?:lr|learning_?rate)[-_/ ](adam\w?|sgd|rmsprop|lion|adagrad|nadam|radam|lamb|adafactor)(?![a-z])", re.IGNORECASE)
"""Lightning's ``lr-AdamW`` and Keras' ``epoch_learning_rate_adam`` name the optimiser."""
LONGEST_TEXT = 200_000
"""Longer texts are not looked at."""


def find_config(run: Run, signals: list[Signal]) -> tuple[dict[str, Value], dict[str, str]]:
    """Configuration values by name, and the source of each (``hparams``, a text tag, or a series)."""
    config: dict[str, Value] = {}
    source: dict[str, str] = {}
    ranks: dict[str, int] = {}

    def offer(alias: str, value: Any, where: str, penalty: int) -> None:
        known = _LOOKUP.get(alias.lower().replace("-", "_").rsplit("/", 1)[-1].rsplit(".", 1)[-1])
        if known is None:
            return
        name, rank = known
        clean = _clean(name, value)
        if clean is None or ranks.get(name, 1 << 30) <= rank + penalty:
            return
        config[name], source[name], ranks[name] = clean, where, rank + penalty

    for key, value in run.hparams.items():
        offer(key, value, "hparams", 0)
    for text in run.texts.values():
        tag = text.name if hasattr(text, "name") else text.tag
        if text.value and any(w in tag.lower() for w in _TEXT_TAGS):
            for depth, key, value in _parse(text.value[-1]):
                offer(key, value, f"text {text.tag}", 100 * depth + (50 if "model" in tag.lower() else 10))
    _precision(run, config, source)
    for signal in signals:
        named = _OPTIMIZER.search(signal.name) if signal.role is Role.LR and "optimizer" not in config else None
        if named is not None:
            config["optimizer"], source["optimizer"] = named[1].lower(), f"series {signal.name}"
        if (
            signal.role is Role.COUNTER
            and signal.stem in {"batch_size", "bsz", "global_batch_size"}
            and "batch_size" not in config
            and signal.series is not None
        ):
            sizes = signal.series.value
            if sizes.size and np.all(sizes == sizes[0]) and np.isfinite(sizes[0]):
                config["batch_size"], source["batch_size"] = float(sizes[0]), f"series {signal.name}"
    return config, source


def _clean(name: str, value: Any) -> Value | None:
    if name == "majority_share":
        return _majority(value)
    if isinstance(value, Mapping):
        return float(len(value)) if name == "classes" and value else None
    if value is None or isinstance(value, (list, tuple)):
        return float(value[0]) if isinstance(value, (list, tuple)) and len(value) == 1 and isinstance(value[0], (int, float)) else None
    if isinstance(value, bool):
        return _SWITCHED_ON.get(name) if value else None
    if isinstance(value, (int, float)):
        number = float(value)
        if not np.isfinite(number) or (
            number <= 0 and name in {"total_steps", "epochs", "batch_size", "learning_rate", "classes", "vocab_size"}
        ):
            return None
        return number if name in _NUMERIC else f"{number:g}"
    text = str(value).strip().strip("'\"`").strip()
    if not text or text.lower() in {"none", "null", "nan"}:
        return None
    if name in _NUMERIC:
        try:
            return _clean(name, float(text))
        except ValueError:
            return None
    return text[:120]


def _majority(value: Any) -> float | None:
    """Share of the most frequent class, from the counts (or shares) of all classes: a list, a mapping, or either as text."""
    if isinstance(value, str):
        try:
            value = json.loads(value.strip().replace("'", '"').replace("(", "[").replace(")", "]"))
        except ValueError:
            return None
    counts = list(value.values()) if isinstance(value, Mapping) else value if isinstance(value, (list, tuple)) else []
    if len(counts) < 2 or not all(isinstance(c, (int, float)) and not isinstance(c, bool) and 0 <= c < float("inf") for c in counts):
        return None
    return float(max(counts) / sum(counts)) if sum(counts) > 0 else None


def _parse(text: str) -> Iterator[tuple[int, str, Any]]:
    """Depth, key and value of everything in a text that looks like configuration."""
    text = text[:LONGEST_TEXT].strip()
    text = re.sub(r"^\s*<pre>|</pre>\s*$|^```\w*|```$", "", text).strip()
    if text.startswith("{"):
        try:
            yield from _walk(json.loads(text), 0)
        except (ValueError, RecursionError):
            pass
        else:
            return
    if re.search(r"(^|[\s'\"\[,])--[A-Za-z]", text):
        yield from _arguments(re.split(r"[\s,\[\]'\"]+", text))
        return
    for match in _LINE.finditer(text):
        yield 0, match[1], match[2]


def _arguments(words: list[str]) -> Iterator[tuple[int, str, Any]]:
    """``--lr 0.1 --fp16 --seed=3`` as keys and values; a switch without a value is True."""
    for i, word in enumerate(words):
        if not word.startswith("--") or len(word) < 3:
            continue
        key, sep, value = word[2:].partition("=")
        following = words[i + 1] if i + 1 < len(words) else ""
        yield 0, key, value if sep else following if following and not following.startswith("--") else True


def _walk(tree: Any, depth: int) -> Iterator[tuple[int, str, Any]]:
    if depth > 4 or not isinstance(tree, dict):
        return
    for key, value in tree.items():
        if key in {"id2label", "label2id"} and isinstance(value, dict):
            yield depth, "classes", value
        else:
            yield depth, str(key), value
            yield from _walk(value, depth + 1)


def _precision(run: Run, config: dict[str, Value], source: dict[str, str]) -> None:
    """HF and Coqui name precision by switches: ``"bf16": true``."""
    if "precision" in config:
        return
    for text in run.texts.values():
        if not text.value or not any(w in text.tag.lower() for w in _TEXT_TAGS):
            continue
        body = text.value[-1][:LONGEST_TEXT]
        for name in ("bf16", "fp16"):
            if re.search(rf"['\"]?{name}['\"]?\s*[:=|]\s*(true|True)\b|--{name}\b", body):
                config["precision"], source["precision"] = name, f"text {text.tag}"
                return
