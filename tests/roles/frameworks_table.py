"""The table of docs/frameworks.md: for every framework's log, what the roles must resolve to and what they resolve to.

python tests/roles/frameworks_table.py          prints it; with --write it replaces the table in docs/frameworks.md
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FIXTURES = ROOT / "fixtures" / "frameworks"
DOC = ROOT / "docs" / "frameworks.md"
sys.path[:0] = [str(ROOT), str(FIXTURES)]

from layouts import LAYOUTS, Layout  # noqa: E402

from tbdiag.logs import read_runs  # noqa: E402
from tbdiag.model import Role, Signals, Split  # noqa: E402
from tbdiag.roles import resolve  # noqa: E402

COLUMNS = ("train loss", "val loss", "lr", "grad norm", "main metric", "axis")
BEGIN, END = "<!-- table: written by tests/roles/frameworks_table.py -->", "<!-- end of table -->"

REAL = (
    Layout("torch", "", "", "Loss/train", "Loss/val", "LR", "GradNorm", "Accuracy/val"),
    Layout("tensorboardx", "", "", "loss/train/loss", "loss/val/loss", "learning_rate", "", "accuracy/val/accuracy"),
    Layout("lightning", "PyTorch Lightning", "", "train_loss_step", "val_loss", "lr-AdamW", "grad_2.0_norm_total", "val_acc"),
    Layout("hf_trainer", "HF Trainer", "", "train/loss", "eval/loss", "train/learning_rate", "train/grad_norm", ""),
    Layout("stable_baselines3", "Stable-Baselines3", "", "train/loss", "", "train/learning_rate", "", "rollout/ep_rew_mean", "env_step"),
    Layout(
        "keras",
        "Keras",
        "",
        "train/epoch_loss",
        "validation/epoch_loss",
        "train/epoch_learning_rate",
        "",
        "validation/epoch_accuracy",
        "epoch",
    ),
)
"""Logs that the frameworks themselves wrote (fixtures/frameworks/make_real.py)."""
TITLES = {"torch": "PyTorch SummaryWriter", "tensorboardx": "tensorboardX add_scalars"}


@dataclass(frozen=True)
class Row:
    """One framework: expected and resolved names in the order of `COLUMNS`."""

    layout: Layout
    real: bool
    framework: str
    expected: tuple[str, ...]
    resolved: tuple[str, ...]

    @property
    def right(self) -> bool:
        return self.expected == self.resolved and self.framework == self.layout.framework


def main_metric(signals: Signals) -> str:
    """Name of the series that says how good the model is: the return, the preference accuracy, or the main metric."""
    for role, split in (
        (Role.REWARD, Split.TRAIN),
        (Role.PREFERENCE_ACCURACY, Split.VAL),
        (Role.PREFERENCE_ACCURACY, Split.TRAIN),
        (Role.METRIC, Split.VAL),
        (Role.METRIC, Split.TRAIN),
    ):
        found = next((s for s in signals.all if s.main and s.role is role and s.split is split), None)
        if found is not None:
            return found.name
    return ""


def resolve_names(signals: Signals) -> tuple[str, ...]:
    """What was resolved, in the order of `COLUMNS`."""

    def name(key: str) -> str:
        signal = signals.main(key)
        return signal.name if signal is not None else ""

    leading = signals.main("train_loss") or next((s for s in signals.all if s.name == main_metric(signals)), None)
    axis = leading.axis.value if leading is not None else "step"
    return (*(name(k) for k in ("train_loss", "val_loss", "lr", "grad_norm")), main_metric(signals), axis)


def make_rows() -> list[Row]:
    """Read and resolve every framework's log."""
    rows = []
    for layout in (*REAL, *LAYOUTS):
        runs = read_runs(FIXTURES / layout.folder / "logs")
        signals = max((resolve(r) for r in runs), key=lambda s: len(s.all))
        expected = (layout.train_loss, layout.val_loss, layout.lr, layout.grad_norm, layout.metric, layout.axis)
        rows.append(Row(layout, layout in REAL, signals.framework, expected, resolve_names(signals)))
    return rows


def make_table(rows: list[Row]) -> str:
    """The table as Markdown; a wrong cell shows expected and resolved."""
    lines = [f"| framework | log | {' | '.join(COLUMNS)} | right |", f"|---|---|{'---|' * len(COLUMNS)}---|"]
    for row in sorted(rows, key=lambda r: (not r.real, (r.layout.framework or "~").lower(), r.layout.folder)):
        cells = [
            f"`{a}`" if a == b and a else "–" if a == b else f"expected `{a or '–'}`, resolved `{b or '–'}`"
            for a, b in zip(row.expected, row.resolved, strict=True)
        ]
        title = TITLES.get(row.layout.folder) or row.layout.framework or "no framework"
        kind = "its own" if row.real else "layout"
        lines.append(
            f"| {title} | {kind}: `{row.layout.folder}` | {' | '.join(c.replace('|', chr(92) + '|') for c in cells)} | {'yes' if row.right else 'no'} |"
        )
    return "\n".join(lines)


def main() -> None:
    rows = make_rows()
    table = make_table(rows)
    wrong = [r for r in rows if not r.right]
    if "--write" in sys.argv:
        text = DOC.read_text(encoding="utf-8")
        head, _, rest = text.partition(BEGIN)
        _, _, tail = rest.partition(END)
        DOC.write_text(f"{head}{BEGIN}\n{table}\n{END}{tail}", encoding="utf-8")
    else:
        sys.stdout.write(table + "\n")
    for row in wrong:
        sys.stderr.write(
            f"{row.layout.folder}: framework {row.framework!r}, expected {row.layout.framework!r}\n  {row.expected}\n  {row.resolved}\n"
        )
    sys.stderr.write(f"{len(rows) - len(wrong)} of {len(rows)} right\n")


if __name__ == "__main__":
    main()
