"""The rule language: what parses, what does not and where the error points, and that text, data and rule are one thing."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tbdiag.errors import ReportError, RuleError
from tbdiag.features.statistics import LOG_STATISTICS, MEANINGS, STATISTICS
from tbdiag.model import Predicate, SuccessRule, Window
from tbdiag.success import compile_rule, parse, rule_from_dict, rule_text, rule_to_dict
from tbdiag.success.parse import known_roles
from tbdiag.success.syntax import COMPARISONS


def test_the_issues_example_binds_to_two_predicates() -> None:
    rule = compile_rule("best(val_loss) < 0.412 - 1 sd and end(val_loss) - best(val_loss) <= 4 sd")
    assert rule.all == (
        Predicate("val_loss", "best", "<", 0.412, sd_times=-1.0),
        Predicate("val_loss", "end", "<=", 0.0, sd_times=4.0, minus="best"),
    )
    assert rule.guards == ("same-signals", "half-the-points", "nothing-non-finite")
    assert rule.sentence.startswith("The best validation loss is below 0.412")


@pytest.mark.parametrize(
    ("text", "column", "hint"),
    [
        ("best(val_los) < 1", 6, "did you mean val_loss?"),
        ("bst(val_loss) < 1", 1, "did you mean best?"),
        ("best(val_loss) 1", 16, "expected a comparison"),
        ("best(val_loss < 1", 15, "expected ')'"),
        ("best(val_loss) < 5%", 19, "0.05"),
        ("best(val_loss) < 1 or end(val_loss) < 2", 20, "only 'and'"),
        ("__import__('os')", 12, "unexpected character"),
        ("best(val_loss) < this.best(val_loss)", 23, "earlier run"),
        ("1 < 2", 1, "nothing of the next run"),
        ("best(val_loss) <", 17, "the rule ends here"),
        ("", 1, "the rule ends here"),
        ('end(series "x) < 1', 12, "not closed"),
        ("mean(lr, 20%..10%) < 1", 10, "ends before it begins"),
        ("mean(lr, last 120%) < 1", 15, "between 0% and 100%"),
        ("end(log) < 1", 1, "statistic of the log"),
        ("best(val_loss) - best(val_loss) < 1", 1, "zero"),
        ("best(lr) - end(lr) - first(lr) < 1", 22, "at most two"),
        ("mean(lr, last 10%) < mean(lr)", 22, "same window"),
    ],
)
def test_errors_point_at_the_column(text: str, column: int, hint: str) -> None:
    with pytest.raises(RuleError) as caught:
        compile_rule(text)
    assert f"column {column}:" in str(caught.value)
    assert hint in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("3 > end(val_loss)", "end(val_loss) < 3"),
        ("quantile(grad_norm, 0.99) <= 3 * median(grad_norm)", "quantile(grad_norm, 0.99) - 3 * median(grad_norm) <= 0"),
        ("2 * end(lr) >= 1", "end(lr) >= 0.5"),
        ("-end(lr) < -1", "end(lr) > 1"),
        ("best(val_loss) + 1 sd < 0.4", "best(val_loss) < 0.4 - 1 sd"),
    ],
)
def test_sums_are_brought_to_one_form(text: str, same: str) -> None:
    assert rule_text(compile_rule(text)) == same


_numbers = st.floats(-1e9, 1e9, allow_nan=False).map(lambda x: x + 0.0)
_positive = st.floats(1e-6, 1e6).map(float)
_windows = st.one_of(
    st.none(),
    st.integers(1, 99).map(lambda k: Window(first_share=round(1 - k / 100, 12), last_share=1.0)),
    st.integers(1, 99).map(lambda k: Window(first_share=0.0, last_share=k / 100)),
    st.tuples(st.integers(1, 40), st.integers(50, 98)).map(lambda p: Window(first_share=p[0] / 100, last_share=p[1] / 100)),
    st.tuples(st.integers(0, 10**6), st.integers(10**6, 10**9)).map(lambda p: Window(first_step=p[0], last_step=p[1])),
    st.integers(0, 10**9).map(lambda s: Window(first_step=s)),
)


@st.composite
def _predicates(draw: st.DrawFn) -> Predicate:
    role = draw(st.sampled_from(sorted(known_roles() - {"log", "series"})))
    tag = draw(st.none() | st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=8))
    minus = draw(st.none() | st.sampled_from(sorted(STATISTICS)))
    argument = draw(st.none() | _numbers)
    statistic = draw(st.sampled_from(sorted(STATISTICS)))
    minus_role = draw(st.none() | st.sampled_from(["train_loss", "lr"]).filter(lambda r: r != role)) if minus else None
    if minus == statistic and minus_role is None:
        minus = None
    return Predicate(
        role=role,
        statistic=statistic,
        comparison=draw(st.sampled_from(COMPARISONS)),
        threshold=draw(_numbers),
        sd_times=draw(_numbers),
        argument=argument,
        minus=minus,
        window=draw(_windows),
        tag=tag,
        minus_role=minus_role,
        minus_times=draw(_positive) if minus else 1.0,
        minus_argument=draw(st.none() | _numbers) if minus else None,
        if_logged=draw(st.booleans()),
    )


@given(_predicates())
def test_what_is_written_reads_back_as_the_same_rule(predicate: Predicate) -> None:
    rule = SuccessRule(all=(predicate,), sentence="s")
    assert compile_rule(rule_text(rule), sentence="s").all == rule.all


@given(_predicates())
def test_a_rule_survives_json(predicate: Predicate) -> None:
    rule = SuccessRule(all=(predicate, predicate), sentence="Said so.", guards=("same-signals",))
    text = json.dumps(rule_to_dict(rule), allow_nan=False)
    assert rule_from_dict(json.loads(text)) == rule


@given(st.text(max_size=40))
def test_any_text_parses_or_is_a_rule_error(text: str) -> None:
    try:
        parse(text)
    except RuleError as error:
        assert "column" in str(error)  # noqa: PT017


@pytest.mark.parametrize(
    "data",
    [
        None,
        {},
        {"all": [1]},
        {"all": [{"role": "lr", "statistic": "nope", "comparison": "<", "threshold": 1}]},
        {"all": [{"role": "lr", "statistic": "end", "comparison": "<", "threshold": "1"}]},
    ],
)
def test_damaged_data_is_a_report_error(data: object) -> None:
    with pytest.raises(ReportError):
        rule_from_dict(data)


def test_every_statistic_has_a_meaning() -> None:
    assert set(STATISTICS) | set(LOG_STATISTICS) <= set(MEANINGS)
