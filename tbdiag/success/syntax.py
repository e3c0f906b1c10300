"""The typed syntax tree of the success-rule language, and how its text is cut into tokens."""

from __future__ import annotations

import re
from dataclasses import dataclass

from tbdiag.errors import RuleError
from tbdiag.model import Window

COMPARISONS = ("<=", ">=", "==", "!=", "<", ">")


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of a rule: `kind` is ``name``, ``number``, ``text``, ``mark`` or ``end``; `column` counts from 1."""

    kind: str
    text: str
    column: int


@dataclass(frozen=True, slots=True)
class Quantity:
    """``statistic(role "tag", argument, window)``: one number of a run."""

    statistic: str
    role: str
    tag: str | None = None
    argument: float | None = None
    window: Window | None = None


@dataclass(frozen=True, slots=True)
class Call:
    """A quantity where it stands in the text; `earlier` for ``this.statistic(...)``, the run that the rule was written for."""

    quantity: Quantity
    earlier: bool
    column: int


@dataclass(frozen=True, slots=True)
class Term:
    """``factor * call``, ``factor sd`` (a unit: noise of the role on the left), or the plain number `factor`."""

    factor: float
    call: Call | None
    unit_sd: bool
    column: int


@dataclass(frozen=True, slots=True)
class Clause:
    """``left comparison right [if logged]``, each side a sum of terms."""

    left: tuple[Term, ...]
    comparison: str
    right: tuple[Term, ...]
    column: int
    if_logged: bool = False


_TOKEN = re.compile(
    r"""\s*(?:
        (?P<name>[A-Za-z_][A-Za-z0-9_]*)
      | (?P<number>(?:\d+(?:_\d+)*(?:\.(?!\.)\d*)?|\.\d+)(?:[eE][+-]?\d+)?)
      | (?P<text>"(?:[^"\\]|\\.)*")
      | (?P<mark>\.\.|<=|>=|==|!=|[<>(),+\-*%.])
    )""",
    re.VERBOSE,
)


def fail(text: str, column: int, message: str) -> RuleError:
    """The error of a rule that does not parse, pointing at a column (from 1) of its text."""
    return RuleError(f"success rule, column {column}: {message} (in: {text})")


def cut(text: str) -> list[Token]:
    """Tokens of a rule, closed by one of kind ``end``.

    Raises:
        RuleError: a character that begins no token.
    """
    tokens: list[Token] = []
    at = 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            rest = len(text) - len(text[at:].lstrip())
            if rest >= len(text):
                break
            what = "this quotation mark is not closed" if text[rest] == '"' else f"unexpected character {text[rest]!r}"
            raise fail(text, rest + 1, what)
        kind = str(match.lastgroup)
        tokens.append(Token(kind, match.group(kind), match.start(kind) + 1))
        at = match.end()
    tokens.append(Token("end", "", len(text) + 1))
    return tokens
