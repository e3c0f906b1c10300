"""Directories become runs: what belongs together, what stays apart, names."""

from __future__ import annotations

import os
import sys
import time

import pytest
from tensorboard.compat.proto import event_pb2

from tbdiag import logs
from tbdiag.config import Config
from tbdiag.roles import resolve
from tests.reader.writers import NAME, regular_events, write_run

_LOSS = ("loss",)


def _names(path) -> dict[str, tuple[str, ...]]:
    return {run.name: run.subruns for run in logs.read_runs(path)}


def _write(root, *relative: str, tags=_LOSS, steps: int = 5) -> None:
    for name in relative:
        write_run(root / name, regular_events(steps, tags))


@pytest.mark.parametrize(
    ("directories", "expected"),
    [
        (["train", "validation"], {".": ("train", "validation")}),
        (["tb/tr", "tb/va"], {"tb": ("tr", "va")}),
        (["train_logs", "valid_logs"], {".": ("train_logs", "valid_logs")}),
        (["train_summaries", "test_summaries"], {".": ("test_summaries", "train_summaries")}),
        (["a/train", "a/validation", "b/train", "b/validation"], {"a": ("train", "validation"), "b": ("train", "validation")}),
        (["c/_base_log", "c/train_log", "c/valid_log"], {"c": ("_base_log", "train_log", "valid_log")}),
        (["c/_base_log", "c/exp1", "c/exp2"], {"c/_base_log": (), "c/exp1": (), "c/exp2": ()}),
        (["x/train", "x/train_inner", "x/valid"], {"x": ("train", "train_inner", "valid")}),
        ([".", "eval"], {".": ("eval",)}),
        (["model", "model/eval_coco"], {"model": ("eval_coco",)}),
        (["train", "training_eval/glue", "inference_eval/glue"], {".": ("inference_eval/glue", "train", "training_eval/glue")}),
        (["t/rank_0", "t/rank_1"], {"t": ("rank_0", "rank_1")}),
        (["lightning_logs/version_0", "lightning_logs/version_1"], {"lightning_logs/version_0": (), "lightning_logs/version_1": ()}),
        (["runs/Mar01_host", "runs/Mar02_host"], {"runs/Mar01_host": (), "runs/Mar02_host": ()}),
        (["train", "train2", "train3"], {"train": (), "train2": (), "train3": ()}),
        (["only/train"], {"only": ("train",)}),
        ([".", "exp1", "exp2"], {".": (), "exp1": (), "exp2": ()}),
        (["A2C_1", "A2C_2"], {"A2C_1": (), "A2C_2": ()}),
        (["a_train", "a_val", "b_train", "b_val"], {"a": ("a_train", "a_val"), "b": ("b_train", "b_val")}),
        (["x/Train.r7", "x/Test.r7", "x/Dev.r7"], {"x/r7": ("Train.r7", "Dev.r7", "Test.r7")}),
        (["a_train", "a_val", "a"], {"a": (), "a_train": ("a_train", "a_val")}),
        (["m/addestramento", "m/verifica"], {"m": ("addestramento", "verifica")}),
        (["a_train", "b_val"], {"a_train": (), "b_val": ()}),
        (["logs/train", "logs/train/eval/val"], {"logs/train": ("eval/val",)}),
        (["exp", "exp/eval/test"], {"exp": ("eval/test",)}),
        (["exp/eval/val"], {"exp/eval": ("val",)}),
        (["bert_dev", "bert_test"], {"bert_dev": (), "bert_test": ()}),
        ([".", "a_train", "a_val"], {".": (), "a_train": (), "a_val": ()}),
    ],
)
def test_layouts_of_the_writers(tmp_path, directories, expected):
    _write(tmp_path, *directories)
    assert _names(tmp_path) == expected


def test_runs_below_the_folders_of_their_splits(tmp_path):
    for name, process in (("a", 77), ("b", 78)):
        for split, at in (("train", 0), ("valid", 2)):
            write_run(tmp_path / split / name, regular_events(9, _LOSS), f"events.out.tfevents.{1764208400 + at}.node.{process}.{at}")
    write_run(tmp_path / "test" / "a", regular_events(9, _LOSS), "events.out.tfevents.1764308400.node.99.0")
    assert _names(tmp_path) == {"a": ("train", "valid"), "b": ("train", "valid"), "test/a": ()}


@pytest.mark.parametrize("form", ["{run}/{measure}", "{measure}/{run}"])
def test_a_writer_for_each_curve(tmp_path, form):
    for run, process in (("a", 77), ("b", 78)):
        for i, measure in enumerate(("loss_trn", "loss_val", "acc_val", "gradnorm")):
            place = tmp_path / form.format(run=run, measure=measure)
            write_run(place, regular_events(9, ("value",)), f"events.out.tfevents.{1764208400 + 100 * i}.node.{process}.{i}")
    found = {run.name: {s.name: s.key for s in resolve(run, Config()).all} for run in logs.read_runs(tmp_path)}
    read = {"loss_trn/value": "train_loss", "loss_val/value": "val_loss", "acc_val/value": "val_metric", "gradnorm/value": "grad_norm"}
    assert found == {"a": read, "b": read}


def test_a_sweep_of_rates_by_one_process_stays_apart(tmp_path):
    for i, rate in enumerate(("lr_0.1", "lr_0.01", "loss_weight_2")):
        write_run(tmp_path / rate, regular_events(9, _LOSS), f"events.out.tfevents.{1764208400 + i}.node.77.{i}")
    assert _names(tmp_path) == {"lr_0.1": (), "lr_0.01": (), "loss_weight_2": ()}


@pytest.mark.parametrize(
    ("first", "second", "together"),
    [
        ("fit/events.out.tfevents.1764208400.node.example.77.1", "check/events.out.tfevents.1764208401.node.example.77.0", True),
        ("A_fit/events.out.tfevents.1764208400.node.77.0", "B_check/events.out.tfevents.1764208400.node.77.1", True),
        ("fit/events.out.tfevents.1764208400.node.77.1", "check/events.out.tfevents.1764208400.node.78.0", False),
        ("fit/events.out.tfevents.1764208400.node.77.1", "check/events.out.tfevents.1764209400.node.77.0", False),
        ("train/events.out.tfevents.1764208400.node.77.1", "train2/events.out.tfevents.1764208401.node.77.0", False),
        ("one/events.out.tfevents.1764208400.node.77.1", "two/events.out.tfevents.1764208401.node.77.0", False),
    ],
)
def test_two_writers_that_one_process_opens_are_one_run(tmp_path, first, second, together):
    for path in (tmp_path / "job" / first, tmp_path / "job" / second):
        write_run(path.parent, regular_events(12, _LOSS), path.name)
    run, *others = logs.read_runs(tmp_path)
    assert bool(others) != together
    if together:
        names = [path.partition("/")[0] for path in (first, second)]
        expected = {(f"{names[0]}/loss", "train_loss"), (f"{names[1]}/loss", "val_loss")}
        assert {(s.name, s.key) for s in resolve(run, Config()).all} == expected


@pytest.mark.parametrize(
    ("own", "together"), [("events.out.tfevents.1764208400.node.77.0", True), ("events.out.tfevents.1764208400.node.9.0", False)]
)
def test_two_writers_below_a_third_are_one_run_where_one_process_opened_all(tmp_path, own, together):
    write_run(tmp_path / "job", regular_events(12, ("lr",)), own)
    for i, name in enumerate(("A_fit", "B_check")):
        write_run(tmp_path / "job" / name, regular_events(12, _LOSS), f"events.out.tfevents.1764208400.node.77.{i + 1}")
    runs = logs.read_runs(tmp_path)
    assert (len(runs) == 1) == together


def test_folders_called_learn_and_check_of_one_process_are_one_run(tmp_path):
    for i, name in enumerate(("learn", "check")):
        write_run(tmp_path / "job" / name, regular_events(12, _LOSS), f"events.out.tfevents.1764208400.node.77.{i}")
        write_run(tmp_path / "sweep" / name, regular_events(12, _LOSS), f"events.out.tfevents.176420{8400 + 900 * i}.node.{77 + i}.0")
    assert [run.name for run in logs.read_runs(tmp_path)] == ["job", "sweep/check", "sweep/learn"]
    signals = resolve(logs.read_runs(tmp_path)[0], Config())
    assert {signals.mains[key].name for key in ("train_loss", "val_loss")} == {"learn/loss", "check/loss"}


def test_children_of_add_scalars_belong_to_their_parent(tmp_path):
    _write(tmp_path, ".", tags=("lr",))
    _write(tmp_path, "metrics_loss_train", "metrics_loss_val", tags=("metrics/loss",))
    _write(tmp_path, "other_run", tags=("metrics/loss",))
    runs = {run.name: run for run in logs.read_runs(tmp_path)}
    assert set(runs) == {".", "other_run"}
    assert set(runs["."].series) == {"lr", "metrics_loss_train/metrics/loss", "metrics_loss_val/metrics/loss"}


def test_stubs_of_add_hparams_give_their_values_to_the_run(tmp_path):
    from google.protobuf import struct_pb2
    from tensorboard.plugins.hparams import plugin_data_pb2

    _write(tmp_path, "run", steps=50)
    content = plugin_data_pb2.HParamsPluginData()
    content.session_start_info.hparams["lr"].CopyFrom(struct_pb2.Value(number_value=0.01))
    content.session_start_info.hparams["optimizer"].CopyFrom(struct_pb2.Value(string_value="adam"))
    content.session_start_info.hparams["amp"].CopyFrom(struct_pb2.Value(bool_value=True))
    start = event_pb2.Event(wall_time=1.7e9)
    value = start.summary.value.add(tag="_hparams_/session_start_info")
    value.metadata.plugin_data.plugin_name = "hparams"
    value.metadata.plugin_data.content = content.SerializeToString()
    metric = regular_events(1, ("hparam/accuracy",))
    write_run(tmp_path / "run" / "1700000000.123", [start, *metric])
    (run,) = logs.read_runs(tmp_path)
    assert run.name == "run"
    assert run.hparams == {"lr": 0.01, "optimizer": "adam", "amp": True}
    assert "1700000000.123/hparam/accuracy" in run.series


def test_several_logdirs_get_distinct_names_and_no_run_twice(tmp_path):
    _write(tmp_path, "a/exp/r1", "b/exp/r1")
    names = [run.name for run in logs.read_runs([tmp_path / "a" / "exp", tmp_path / "b" / "exp"])]
    assert names == ["a/exp/r1", "b/exp/r1"]
    assert len(logs.read_runs([tmp_path / "a", tmp_path / "a" / "exp"])) == 1
    (single,) = logs.read_runs(tmp_path / "a" / "exp" / "r1" / NAME)
    assert single.name == NAME
    assert len(single.series["loss"]) == 5


@pytest.mark.skipif(sys.platform != "linux", reason="file names of any bytes need Linux")
def test_hostile_names(tmp_path):
    for name in (b"q\"uo'te", b"<script>alert(1)", b"new\nline", "Ünïcödé 漢".encode(), b"bytes\xff\xfe"):
        write_run(tmp_path / os.fsdecode(name), regular_events(2, ('<script>"\n',)))
    runs = logs.read_runs(tmp_path)
    assert len(runs) == 5
    for run in runs:
        assert len(run.series['<script>"\n']) == 2
        (run.name + run.path + "".join(f.path for f in run.files)).encode("utf-8")
    assert "bytes\\xff\\xfe" in [run.name for run in runs]


def test_links_are_followed_once_and_loops_are_reported(tmp_path):
    _write(tmp_path, "logs/run", "elsewhere/far")
    (tmp_path / "logs" / "latest").symlink_to(tmp_path / "logs" / "run")
    (tmp_path / "logs" / "run" / "up").symlink_to(tmp_path / "logs")
    (tmp_path / "logs" / "far").symlink_to(tmp_path / "elsewhere" / "far")
    (tmp_path / "logs" / "run" / "events.out.tfevents.9.gone").symlink_to(tmp_path / "nowhere")
    runs = logs.read_runs(tmp_path / "logs")
    assert [run.name for run in runs] == ["far", "run"]
    kinds = sorted(issue.kind for run in runs for issue in run.issues)
    assert kinds == ["symlink-loop", "symlink-loop", "vanished"]


def test_companions_of_a_mac_and_empty_profiles_are_not_read(tmp_path):
    _write(tmp_path, ".")
    (tmp_path / f"._{NAME}").write_bytes(b"\0\5\x16\7" * 50)
    (tmp_path / f"{NAME}.profile-empty").touch()
    (run,) = logs.read_runs(tmp_path)
    assert [i.kind for i in run.issues] == ["not-an-event-file"]
    assert len(run.files) == 1


def test_a_directory_of_many_runs_is_read_one_at_a_time(tmp_path):
    first = write_run(tmp_path / "r0000", regular_events(2))
    for i in range(1, 1000):
        (tmp_path / f"r{i:04d}").mkdir()
        os.link(first, tmp_path / f"r{i:04d}" / NAME)
    runs = logs.iter_runs(tmp_path)
    began = time.process_time()
    assert next(runs).name == "r0000"
    assert sum(1 for _ in runs) == 999
    assert time.process_time() - began < 30


def test_deep_directories_end_with_an_issue(tmp_path):
    _write(tmp_path, "run")
    deep = tmp_path / "run"
    for _ in range(70):
        deep = deep / "d"
    deep.mkdir(parents=True)
    (run,) = logs.read_runs(tmp_path)
    assert [i.kind for i in run.issues] == ["limit"]


def test_a_listing_tells_once_that_something_is_newer(tmp_path) -> None:
    _write(tmp_path, "a", "b", "c/d")
    for name, seconds in (("a", 100), ("b", 300), ("c/d", 300)):
        os.utime(next((tmp_path / name).iterdir()), (seconds, seconds))
    told: list[int] = []
    for after in (99, 100, 299, 300):
        told.append(0)
        listed = logs.survey(tmp_path, after=after * 1e9, on_newer=lambda: told.append(told.pop() + 1))
        assert len(listed.runs()) == 3
    assert told == [1, 1, 1, 0]
