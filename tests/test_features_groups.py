"""Facts that are made of groups of series: layers, class shares, confidence, progress."""

from __future__ import annotations

import numpy as np
import pytest

from tbdiag.config import Config
from tbdiag.detectors import _synth
from tbdiag.features import DERIVED, Features
from tbdiag.features.progress import measure_progress
from tbdiag.logs import read_runs
from tbdiag.roles import resolve
from tests.event_files import write_log


def features(series, histograms=(), **options):
    return Features(resolve(_synth.make_run(series, histograms=histograms, **options), Config()))


LOSS = {"train/loss": np.linspace(2, 1, 10)}


def test_layers_come_from_the_input_to_the_output_whatever_their_order_of_names():
    tags = ["grad_norm/0.bias", "grad_norm/0.weight", "grad_norm/10.weight", "grad_norm/2.weight"]
    f = features(LOSS | {t: np.full(10, i + 1.0) for i, t in enumerate(tags)})
    assert [x.layer for x in f.layers("gradient") if x.matrix] == ["0.weight", "2.weight", "10.weight"]
    ratio = f.curve("grad_depth_ratio")
    assert ratio is not None
    assert np.allclose(ratio.value, 2.0 / 3.0)


def test_series_stand_in_the_order_in_which_they_were_logged_which_is_that_of_the_layers(tmp_path):
    names = [
        "tok.weight",
        "blocks.0.fc.weight",
        "blocks.0.proj.weight",
        "blocks.1.fc.weight",
        "blocks.10.fc.weight",
        "norm_f.weight",
        "unembed.weight",
    ]
    write_log(tmp_path, {f"grad_norm/{n}": [0.1 * (i + 1)] * 12 for i, n in enumerate(names)} | {"train/loss": list(np.linspace(2, 1, 12))})
    (run,) = read_runs([tmp_path])
    assert [tag for tag in run.series if tag.startswith("grad_norm")] == [f"grad_norm/{n}" for n in names]
    layers = Features(resolve(run, Config())).layers("gradient")
    assert [x.layer for x in layers] == names


def test_histograms_stand_in_for_scalars_that_were_not_logged():
    rng = np.random.default_rng(0)
    samples = [rng.normal(0, 1, 200) for _ in range(5)]
    made = [_synth.make_histograms("gradients/0.weight", samples), _synth.make_histograms("gradients/2.weight", [3 * s for s in samples])]
    f = features(LOSS, made)
    norms = [x.curve.value for x in f.layers("gradient")]
    assert np.allclose(norms[0], [np.linalg.norm(s) for s in samples])
    total = f.curve("grad_norm")
    assert total is not None
    assert np.allclose(total.value, [np.linalg.norm(np.concatenate((s, 3 * s))) for s in samples])


def test_nan_in_a_gradient_histogram_is_a_point_without_a_norm():
    sick = np.append(np.ones(9), np.nan)
    f = features(LOSS, [_synth.make_histograms("gradients/0.weight", [np.ones(10), sick, np.ones(10)])])
    (layer,) = f.layers("gradient")
    assert layer.curve.bad_step.tolist() == [1]
    share = f.curve("nonfinite_gradients")
    assert share is not None
    assert share.value.tolist() == pytest.approx([0.0, 0.1, 0.0])


@pytest.mark.parametrize("scale", [1.0, 100.0, 400.0])
def test_shares_percentages_and_counts_give_the_same_largest_share(scale):
    share = np.array([[0.2, 0.1, 0.0], [0.3, 0.2, 0.02], [0.5, 0.7, 0.98]])
    f = features(LOSS | {f"val/pred_share/class_{i}": share[i] * scale for i in range(3)})
    curve = f.curve("max_class_share")
    assert curve is not None
    assert np.allclose(curve.value, [0.5, 0.7, 0.98], atol=1e-6)
    count = f.curve("predicted_classes")
    assert count is not None
    assert count.value.tolist() == [3, 3, 2]


def test_weakest_class_and_mean_recall():
    f = features(LOSS | {"val/recall/class_0": [0.9, 0.95], "val/recall/class_1": [0.0, 0.1], "val/recall/class_2": [0.6, 0.6]})
    assert f.curve("min_class_recall").value.tolist() == pytest.approx([0.0, 0.1])
    assert f.curve("val_balanced_accuracy").value.tolist() == pytest.approx([0.5, 0.55])


def test_confidence_is_compared_with_the_accuracy_of_its_own_split():
    series = LOSS | {"train/accuracy": np.full(10, 0.99), "val/accuracy": np.full(10, 60.0), "val/confidence": np.full(10, 0.95)}
    gap = features(series).curve("confidence_gap")
    assert gap is not None
    assert np.allclose(gap.value, 0.35, atol=1e-6)


def test_clip_share_is_read_from_percentages_and_from_fractions():
    for scale in (1.0, 100.0):
        curve = features(LOSS | {"train/clip_fraction": np.array([0.0, 0.5, 1.0]) * scale}).curve("clip_share")
        assert curve is not None
        assert np.allclose(curve.value, [0.0, 0.5, 1.0])


def test_clip_share_is_read_from_norms_before_and_after_clipping():
    before = np.linspace(0.5, 5.0, 10)
    pair = {"grad_norm/before_clip": before, "grad_norm/after_clip": np.minimum(before, 2.0)}
    curve = features(LOSS | pair).curve("clip_share")
    assert curve is not None
    assert np.allclose(curve.value, before > 2.0)
    assert features(LOSS | {"grad_norm/layer_a": before, "grad_norm/layer_b": 0.5 * before}).curve("clip_share") is None


def test_smallest_weight_change_is_zero_while_a_matrix_stands_still():
    moving = [np.arange(20.0) + 0.1 * k for k in range(4)]
    still = [np.arange(20.0)] * 4
    f = features(LOSS, [_synth.make_histograms("weights/0.weight", still), _synth.make_histograms("weights/2.weight", moving)])
    assert f.curve("min_weight_change").value.max() == 0
    f = features(LOSS, [_synth.make_histograms("weights/0.weight", moving), _synth.make_histograms("weights/2.weight", moving)])
    assert f.curve("min_weight_change").value.min() > 0


def test_progress_is_bad_at_chance_and_good_where_the_accuracy_says_so():
    def bad(series):
        f = features(series)
        return measure_progress(f.curve, f.signals).bad

    assert bad({"train/loss": np.full(20, 2.3), "val/accuracy": np.full(20, 0.1)})
    assert not bad({"train/loss": np.linspace(2.3, 2.1, 20), "val/accuracy": np.linspace(0.1, 0.98, 20)})
    assert not bad({"train/loss": np.linspace(2.3, 0.2, 20)})
    assert not bad({"train/loss": np.linspace(0.9, -1.2, 20)})
    assert bad({"val/accuracy": np.full(20, 0.1)})


def test_every_derived_series_is_absent_rather_than_wrong_where_nothing_was_logged():
    f = features(LOSS)
    assert {name for name in DERIVED if f.curve(name) is not None} == set()


def test_unrelated_tags_and_shifted_steps_change_no_derived_series():
    series = LOSS | {f"val/pred_share/class_{i}": np.linspace(0.3, 0.1 + 0.3 * i, 10) for i in range(3)}
    series |= {f"grad_norm/{i}.weight": np.linspace(1, 2 + i, 10) for i in range(3)}
    plain = features(series)
    more = features(series | {"gpu/temperature": np.linspace(50, 70, 10), "zeta": np.ones(10)})
    for name in DERIVED:
        a, b = plain.curve(name), more.curve(name)
        assert (a is None) == (b is None), name
        if a is not None and b is not None:
            assert np.array_equal(a.value, b.value), name


def test_counts_of_dead_units_are_not_taken_for_shares_and_percentages_are():
    f = features(LOSS | {"dead_neurons/fc1": np.full(10, 12.0), "dead_neurons_percent/fc2": np.full(10, 80.0)})
    assert [x.curve.value.tolist() for x in f.layers("zero") if x.curve.n] == [[0.8] * 10]
