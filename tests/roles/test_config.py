"""Configuration files: where they are found, what they may say, and how wrong ones are refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from tbdiag.config import Config, Suppression, check_detectors, find_config, load_config, parse_key
from tbdiag.errors import ConfigError
from tbdiag.model import Role, Split

FULL = """
[project]
name = "x"

[tool.tbdiag]
select = ["overfitting", "nan-inf"]
ignore = ["spikes"]

[tool.tbdiag.roles]
train_loss = "objective/total"

[tool.tbdiag.directions]
"val/sharpness" = "lower"

[tool.tbdiag.success]
good = "best(val_loss) < 0.5"

[tool.tbdiag.detectors.overfitting]
sigmas = 5

[[tool.tbdiag.suppressions]]
finding = "plateau"
run = "exp/*"
reason = "warm restarts"
expires = 2027-01-31
"""


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def test_everything_that_can_be_set(tmp_path: Path) -> None:
    path = write(tmp_path / "pyproject.toml", FULL)
    config = load_config(tmp_path / "runs" / "exp1")
    assert config == Config(
        select=("overfitting", "nan-inf"),
        ignore=("spikes",),
        thresholds={"overfitting": {"sigmas": 5.0}},
        roles={"train_loss": "objective/total"},
        directions={"val/sharpness": "lower"},
        success={"good": "best(val_loss) < 0.5"},
        suppressions=(Suppression("plateau", "warm restarts", "exp/*", "2027-01-31"),),
        source=str(path),
    )


def test_nearest_file_counts_and_foreign_projects_do_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    outer = write(tmp_path / "tbdiag.toml", 'ignore = ["spikes"]\n')
    write(tmp_path / "a" / "pyproject.toml", '[project]\nname = "no table of ours"\n')
    inner = write(tmp_path / "a" / "b" / "pyproject.toml", '[tool.tbdiag]\nignore = ["plateau"]\n')
    logs = tmp_path / "a" / "b" / "logs"
    assert find_config(logs) == inner
    assert find_config(tmp_path / "a") == outer
    elsewhere = tmp_path / "a" / "b"
    monkeypatch.chdir(elsewhere)
    assert find_config(Path("/nonexistent/logs")) == inner


def test_explicit_file_and_command_line(tmp_path: Path) -> None:
    write(tmp_path / "tbdiag.toml", 'ignore = ["spikes"]\n')
    other = write(tmp_path / "other.toml", 'ignore = ["plateau"]\n[roles]\nlr = "rate"\n')
    config = load_config(tmp_path, other, {"roles": ["train-loss=a=b", "lr=group0"], "select": ["x,y", "x"], "ignore": ["plateau", "z"]})
    assert config.roles == {"lr": "group0", "train_loss": "a=b"}
    assert config.select == ("x", "y")
    assert config.ignore == ("plateau", "z")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('selct = ["a"]', 'tbdiag.toml:2: unknown key "selct": did you mean "select"?'),
        ('select = "a"', 'tbdiag.toml:2: "select" must be a list'),
        ('[roles]\ntrain_los = "x"', 'tbdiag.toml:3: unknown role "train_los": did you mean "train_loss"?'),
        ('[directions]\n"val/x" = "down"', 'tbdiag.toml:3: direction "down" of "val/x" is unknown'),
        ('[detectors.overfitting]\nsigmas = "many"', 'tbdiag.toml:3: threshold "sigmas" of overfitting must be a number'),
        ('[[suppressions]]\nfinding = "plateau"', 'a suppression needs "reason"'),
        ('[[suppressions]]\nfinding = "plateau"\nreason = "r"\nexpires = "soon"', '"expires" must be a date'),
        ('[[suppressions]]\nfinding = "plateau"\nreason = "r"\nuntil = "soon"', 'unknown key "until" in a suppression'),
        ("select = [", "is not valid TOML"),
    ],
)
def test_wrong_files_name_line_and_near_match(tmp_path: Path, text: str, message: str) -> None:
    write(tmp_path / "tbdiag.toml", "# comment\n" + text + "\n")
    with pytest.raises(ConfigError) as error:
        load_config(tmp_path)
    assert message in str(error.value)
    assert "\n" not in str(error.value).strip() or "TOML" in message


def test_missing_or_binary_file_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        load_config(None, tmp_path / "absent.toml")
    bad = tmp_path / "bad.toml"
    bad.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="UTF-8"):
        load_config(None, bad)


def test_detectors_and_thresholds_are_checked(tmp_path: Path) -> None:
    known = {"overfitting": ("sigmas", "range_share"), "plateau": ("share",)}
    write(tmp_path / "tbdiag.toml", 'ignore = ["overfiting"]\n')
    with pytest.raises(ConfigError, match=r'tbdiag.toml:1: unknown detector "overfiting" in ignore: did you mean "overfitting"\?'):
        check_detectors(load_config(tmp_path), known)
    write(tmp_path / "tbdiag.toml", "[detectors.overfitting]\nsigma = 3\n")
    with pytest.raises(ConfigError, match=r'tbdiag.toml:2: unknown threshold "sigma" of overfitting: did you mean "sigmas"\?'):
        check_detectors(load_config(tmp_path), known)
    check_detectors(Config(select=("plateau",), thresholds={"plateau": {"share": 1.0}}), known)


def test_role_keys() -> None:
    assert parse_key("train_loss") == (Role.LOSS, Split.TRAIN)
    assert parse_key("Val-Metric") == (Role.METRIC, Split.VAL)
    assert parse_key("lr") == (Role.LR, None)
    assert parse_key("reward") == (Role.REWARD, None)
    with pytest.raises(ConfigError, match="did you mean"):
        parse_key("grad_nrm")
    with pytest.raises(ConfigError, match="KEY=TAG"):
        load_config(None, None, {"roles": ["train_loss"]})
