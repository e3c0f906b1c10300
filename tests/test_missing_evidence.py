"""The audit of what to save: ranked by what is at stake in this run, with lines that run and that the audit then finds."""

from __future__ import annotations

import ast
import hashlib
from typing import Any

import numpy as np
import pytest

from tbdiag.detectors import _synth
from tbdiag.diagnosis import diagnose_run
from tbdiag.diagnosis.hypotheses import RIVALS
from tbdiag.diagnosis.missing import TELLS, WANTED
from tbdiag.diagnosis.snippets import FAMILIES, SCALAR, TEXT, TEXTS, choose_snippet, find_family
from tbdiag.features import Features
from tbdiag.features.evidence import ARTEFACTS, is_present
from tbdiag.model import EventFile, Run, TextSeries
from tbdiag.roles import resolve

EVERY = [family for family, _ in FAMILIES] + ["writer"]
SCALAR_CALLS = {"add_scalar", "log", "scalar", "record", "put_scalar", "update_scalar"}
TEXT_CALLS = {"add_text", "text"}


def rank(series: dict[str, Any]) -> list[Any]:
    return [m for m in diagnose_run(_synth.make_run(series)).missing_evidence if not m.present]


def test_a_flat_loss_asks_for_the_learning_rate_and_the_gradients() -> None:
    rng = np.random.default_rng(1)
    flat = {
        "train/loss": 2.3026 + rng.normal(0, 0.01, 100),
        "val/loss": 2.304 + rng.normal(0, 0.003, 100),
        "val/accuracy": 0.1 + rng.normal(0, 0.003, 100),
    }
    first, second = rank(flat)[:2]
    assert {first.id, second.id} == {"learning-rate", "gradient-statistics"}
    assert "a learning rate that is too low" in first.why + second.why
    assert "parameters that the optimiser does not reach" in first.why + second.why


def test_a_flat_loss_that_is_only_noted_asks_for_them_before_a_validation() -> None:
    run = _synth.make_run({"train/loss": 2.3026 + np.random.default_rng(1).normal(0, 0.004, 300)})
    told = diagnose_run(run)
    assert [f.severity.value for f in told.findings if f.id == "no-learning"] == ["note"]
    ranked = [m for m in told.missing_evidence if not m.present]
    assert {ranked[0].id, ranked[1].id} == {"learning-rate", "gradient-statistics"}
    assert not {"overfitting", "generalization-gap", "label-noise"} & {i for m in ranked for i in m.decides}
    assert "does not move" in told.headline
    assert "does not move" in told.note.curve_pattern


def test_a_gap_asks_for_the_version_of_the_split() -> None:
    x = np.linspace(0, 1, 100)
    rng = np.random.default_rng(2)
    gap = {
        "train/loss": 0.02 + 2.2 * np.exp(-8 * x) + rng.normal(0, 0.004, 100),
        "val/loss": 1.2 + 1.1 * np.exp(-20 * x) + rng.normal(0, 0.01, 100),
        "train/accuracy": 0.99 - 0.8 * np.exp(-8 * x),
        "val/accuracy": 0.45 - 0.3 * np.exp(-20 * x) + rng.normal(0, 0.004, 100),
        "train/lr": np.full(100, 1e-3),
        "train/grad_norm": 1 + 0.1 * rng.normal(0, 1, 100),
    }
    assert diagnose_run(_synth.make_run(gap)).findings[0].id == "generalization-gap"
    assert rank(gap)[0].id == "split-version"


def test_a_nan_out_of_the_blue_asks_for_what_would_have_told_its_cause() -> None:
    loss = np.concatenate([2 * np.exp(-np.arange(80) / 20) + 0.3, np.full(20, np.nan)])
    absent = rank({"train/loss": loss, "val/loss": np.nan_to_num(loss, nan=0.4)[::5]})
    ids = [m.id for m in absent]
    assert ids.index("seed") < ids.index("split-version")
    assert ids.index("config") < ids.index("code-version")
    assert "overflow in half precision" in next(m.why for m in absent if m.id == "config")


def test_the_note_about_missing_evidence_asks_first_for_what_the_audit_ranks_first() -> None:
    rng = np.random.default_rng(3)
    report = diagnose_run(_synth.make_run({"train/loss": 2.3 + rng.normal(0, 0.01, 60), "val/accuracy": 0.1 + rng.normal(0, 0.003, 60)}))
    note = next(f for f in report.findings if f.id == "missing-evidence")
    first = next(m for m in report.missing_evidence if not m.present)
    assert first.title in note.first_action
    assert first.title in note.success_rule.sentence


def test_a_healthy_run_is_not_asked_for_a_rerun_over_a_trifle() -> None:
    x = np.linspace(0, 1, 100)
    rng = np.random.default_rng(4)
    series = {k: 0.3 + d + 2 * np.exp(-7 * x) + rng.normal(0, 0.01, 100) for k, d in (("train/loss", 0), ("val/loss", 0.03))}
    series |= {"train/lr": np.full(100, 1e-3), "train/grad_norm": 1 + 0.1 * rng.normal(0, 1, 100)}
    series |= {f"val/pred_share/class_{i}": 0.5 + rng.normal(0, 0.01, 100) for i in range(2)}
    report = diagnose_run(_synth.make_run(series))
    assert report.verdict == "healthy"
    assert report.next_experiment is None


def test_class_counts_are_asked_for_only_where_classes_are_told_apart() -> None:
    loss = {"train/loss": _synth.decay(60, 2.0, 0.3), "val/loss": _synth.decay(60, 2.0, 0.4)}
    regression = {m.id: m for m in rank(loss | {"val/mae": _synth.decay(60, 1.0, 0.2)})}["prediction-samples"]
    assert regression.title == "prediction samples"
    assert not regression.decides
    classes = {m.id: m for m in rank(loss | {"val/accuracy": 0.9 - _synth.decay(60, 0.6, 0.0)})}["prediction-samples"]
    assert "class counts" in classes.title
    assert classes.decides


def test_a_configuration_decides_only_what_lacks_the_learning_rate() -> None:
    loss = {"train/loss": _synth.decay(60, 2.0, 0.3), "val/loss": _synth.decay(60, 2.0, 0.4)}
    without = {m.id: m for m in rank(loss)}["config"]
    assert without.decides == ("lr-too-high", "lr-too-low")
    with_rate = {m.id: m for m in rank(loss | {"train/lr": _synth.decay(60, 1e-3, 1e-5)})}["config"]
    assert not with_rate.decides


def test_tables_name_what_exists() -> None:
    known = {a.id for a in ARTEFACTS}
    kinds = {row.kind for rows in RIVALS.values() for row in rows}
    assert set(TELLS) | set(WANTED) <= known
    assert {kind for told in TELLS.values() for kind in told} <= kinds
    assert set(SCALAR) == set(TEXT) == set(EVERY)


class Recorder:
    """Stands for any object of a framework: remembers the tags that are logged through it."""

    def __init__(self, calls: list[tuple[str, str]], name: str = "") -> None:
        self._calls, self._name = calls, name

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return Recorder(self._calls, name)

    def __call__(self, *args: Any, **_: Any) -> Any:
        if args and isinstance(args[0], str):
            self._calls.append((self._name, args[0]))
        elif args and isinstance(args[0], dict):
            self._calls.extend((self._name, str(key)) for key in args[0])
        return Recorder(self._calls, self._name)

    def __getitem__(self, _: Any) -> Any:
        return self

    def __iter__(self) -> Any:
        return iter([self, self])

    def __len__(self) -> int:
        return 10

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *_: Any) -> None:
        return None

    def __truediv__(self, _: Any) -> Any:
        return self

    def __add__(self, _: Any) -> str:
        return "logdir"


def logged_by(snippet: str, *, text: bool) -> Run:
    """The run that the calls of a snippet would log."""
    calls: list[tuple[str, str]] = []
    names = {n.id for n in ast.walk(ast.parse(snippet)) if isinstance(n, ast.Name)} - {
        "str",
        "float",
        "sorted",
        "enumerate",
        "dict",
        "range",
    }
    space: dict[str, Any] = {n: Recorder(calls, n) for n in names}
    space |= {name: value for name, value in (("classes", 2), ("val_ids", ["a", "b"]), ("hashlib", hashlib)) if name in names}
    exec(compile(snippet, "snippet", "exec"), space)
    scalars = {tag: np.linspace(0.4, 0.6, 20) for call, tag in calls if call in SCALAR_CALLS and not text}
    run = _synth.make_run({"train/other": np.linspace(1, 0.5, 20), **scalars})
    step, wall = run.series["train/other"].step[:1], run.series["train/other"].wall_time[:1]
    texts = {tag: TextSeries(tag, "", step, wall, ("1",)) for call, tag in calls if call in TEXT_CALLS or (text and call == "record")}
    return Run(name=run.name, path=run.path, series=run.series, texts=texts, files=run.files)


@pytest.mark.parametrize("family", EVERY)
@pytest.mark.parametrize("artefact", [a.id for a in ARTEFACTS])
def test_every_snippet_parses(artefact: str, family: str) -> None:
    snippet = choose_snippet(artefact, family)
    ast.parse(snippet)
    assert "..." not in snippet
    assert "{tag}" not in snippet
    assert "{value}" not in snippet


@pytest.mark.parametrize("family", EVERY)
@pytest.mark.parametrize("artefact", [a.id for a in ARTEFACTS if a.id != "config"])
def test_what_a_snippet_logs_is_what_the_audit_looks_for(artefact: str, family: str) -> None:
    snippet = choose_snippet(artefact, family)
    logs = any(f".{call}(" in snippet for call in SCALAR_CALLS | TEXT_CALLS) and "def " not in snippet and "import" not in snippet
    if not logs:
        pytest.skip("a setting of the framework, which logs by itself")
    assert is_present(artefact, Features(resolve(logged_by(snippet, text=artefact in TEXTS)))), snippet


def test_the_writer_of_a_log_is_known_by_its_convention_or_the_suffix_of_its_files() -> None:
    plain = _synth.make_run({"loss": np.linspace(1, 0.5, 20)})
    assert find_family(Features(resolve(plain))) == "writer"
    file = EventFile("logs/events.out.tfevents.1700000000.host.77.0.v2", 10, 10, 1)
    newer = Run(name=plain.name, path=plain.path, series=plain.series, files=(file,))
    assert find_family(Features(resolve(newer))) == "tf"
    keras = _synth.make_run(
        {"epoch_loss": np.linspace(1, 0.5, 20), "epoch_accuracy": np.linspace(0.1, 0.5, 20), "epoch_learning_rate": np.ones(20)}
    )
    assert find_family(Features(resolve(keras))) in ("keras", "writer")
