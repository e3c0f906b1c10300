"""The published schema describes what is written."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
import sample_reports

import tbdiag
from tbdiag.render import render

ROOT = Path(__file__).resolve().parent.parent
SCHEMA = json.loads((ROOT / "docs" / "report.schema.json").read_text(encoding="utf-8"))
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)


def test_package_and_docs_hold_the_same_schema():
    shipped = Path(tbdiag.__file__).parent / "render" / "report.schema.json"
    assert shipped.read_bytes() == (ROOT / "docs" / "report.schema.json").read_bytes()
    VALIDATOR.check_schema(SCHEMA)


@pytest.mark.parametrize("name", sorted(sample_reports.ALL))
def test_samples_are_valid(name):
    VALIDATOR.validate(json.loads(render(sample_reports.ALL[name](), "json")))


@pytest.mark.parametrize("log", ["overfitting", "vanishing-gradients", "truncated", "keras-overfitting"])
def test_reports_of_real_logs_are_valid(log):
    report = tbdiag.diagnose(tbdiag.read(ROOT / "fixtures" / log / "logs"))
    VALIDATOR.validate(json.loads(render(report, "json")))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("runs", 0, "verdict"), "fine"),
        (("runs", 0, "findings", 0, "severity"), "fatal"),
        (("runs", 0, "findings", 0, "confidence"), 1.2),
        (("runs", 0, "findings", 0, "success_rule", "all", 0, "comparison"), "~"),
        (("runs", 0, "curves", 0, "values"), ["0.5"]),
        (("schema_version",), "2.0"),
    ],
)
def test_what_is_wrong_is_refused(path, value):
    data = json.loads(render(sample_reports.overfitting(), "json"))
    place = data
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    assert not VALIDATOR.is_valid(data)
