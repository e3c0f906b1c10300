"""Language models and classifiers of text: what the model's configuration says of the loss of guessing."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from test_told_apart import said

from tbdiag.detectors import _synth
from tbdiag.model import Domain, Run, TextSeries
from tbdiag.roles import resolve


def tuned(config: dict[str, object], loss: np.ndarray) -> Run:
    """A run of the HF Trainer, with the configuration of its model as that writes it."""
    n = loss.size
    rate = 5e-5 * np.linspace(1, 0.01, n)
    run = _synth.make_run({"train/loss": loss, "train/learning_rate": rate, "train/epoch": np.linspace(0, 2, n)}, every=10)
    text = TextSeries("model_config/text_summary", "", np.zeros(1, dtype=np.int64), np.zeros(1), (json.dumps(config, indent=2),))
    return replace(run, texts={text.tag: text})


def stands_at(share: float, vocabulary: int) -> Run:
    """A loss that stays at a share of the loss of guessing, as a model that cannot be trained has it."""
    loss = share * np.log(vocabulary) + np.random.default_rng(71).normal(0, 0.05, 300)
    return tuned({"model_type": "chatglm", "vocab_size": vocabulary}, loss)


def test_no_text_is_read_where_nine_tenths_of_guessing_are_left() -> None:
    assert "no-learning" in said(stands_at(0.945, 130_528))


@pytest.mark.parametrize(("share", "vocabulary"), [(0.7, 130_528), (0.945, 1_024)])
def test_frequent_words_and_the_codes_of_a_quantiser_may_stay_where_they_began(share: float, vocabulary: int) -> None:
    assert "no-learning" not in said(stands_at(share, vocabulary))


@pytest.mark.parametrize(
    ("config", "first", "domain"),
    [
        ({"model_type": "bert", "vocab_size": 30522}, 0.70, Domain.SUPERVISED),
        ({"model_type": "bert", "vocab_size": 30522}, 2.3, Domain.LANGUAGE_MODEL),
        ({"model_type": "xlm-roberta", "vocab_size": 250002, "problem_type": "single_label_classification"}, 1.6, Domain.SUPERVISED),
        ({"model_type": "llama", "vocab_size": 128256, "problem_type": None}, 0.7, Domain.LANGUAGE_MODEL),
    ],
)
def test_an_encoder_with_two_labels_is_no_language_model(config: dict[str, object], first: float, domain: Domain) -> None:
    loss = first * np.exp(-np.arange(60) / 60)
    assert resolve(tuned(config, loss)).domain is domain


def test_the_trainer_of_transformers_is_known_by_its_arguments_where_it_was_killed_early() -> None:
    run = tuned({"model_type": "llama", "vocab_size": 32000}, 2.0 + 0.5 * np.exp(-np.arange(60) / 20))
    assert resolve(run).framework == ""
    args = TextSeries("args/text_summary", "", np.zeros(1, dtype=np.int64), np.zeros(1), ('{"learning_rate": 5e-05}',))
    assert resolve(replace(run, texts={**run.texts, args.tag: args})).framework == "HF Trainer"
