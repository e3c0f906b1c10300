"""Text -> syntax tree. A hand-written recursive descent: small, no evaluation of code, every error with its column."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable

from tbdiag.features import DERIVED
from tbdiag.features.statistics import LOG_STATISTICS, STATISTICS
from tbdiag.model import Role, Split, Window
from tbdiag.model.signals import SPLIT_ROLES
from tbdiag.success.syntax import COMPARISONS, Call, Clause, Quantity, Term, Token, cut, fail

LOG_ROLE = "log"
"""Pseudo role of statistics about the files themselves (`LOG_STATISTICS`)."""

SERIES_ROLE = "series"
"""Pseudo role of a series that is named by its tag alone: ``end(series "my/tag")``."""


def known_roles() -> frozenset[str]:
    """Every word that may stand where a rule names a role: role keys, derived series, ``log`` and ``series``."""
    words = {LOG_ROLE, SERIES_ROLE, *DERIVED}
    for role in Role:
        words.add(role.value)
        if role in SPLIT_ROLES:
            words.update(f"{split.value}_{role.value}" for split in Split if split is not Split.NONE)
    return frozenset(words)


def parse(text: str) -> tuple[Clause, ...]:
    """Clauses of a rule such as ``best(val_loss) < 0.412 - 1 sd and end(val_loss) - best(val_loss) <= 4 sd``.

    Raises:
        RuleError: the text does not parse; the message points at the column and names the near match.
    """
    parser = _Parser(text)
    clauses = [parser.clause()]
    while parser.take("name", "and"):
        clauses.append(parser.clause())
    token = parser.token
    if token.kind != "end":
        hint = "; only 'and' joins conditions" if token.text.lower() in ("or", "not", "&&", "||") else ""
        raise fail(text, token.column, f"expected 'and' or the end of the rule, found {token.text!r}{hint}")
    return tuple(clauses)


class _Parser:
    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens = cut(text)
        self.at = 0

    @property
    def token(self) -> Token:
        return self.tokens[self.at]

    def take(self, kind: str, text: str | None = None) -> Token | None:
        token = self.token
        if token.kind == kind and (text is None or token.text == text):
            self.at += 1
            return token
        return None

    def need(self, kind: str, text: str | None, what: str) -> Token:
        token = self.take(kind, text)
        if token is None:
            found = f"found {self.token.text!r}" if self.token.text else "the rule ends here"
            raise fail(self.text, self.token.column, f"expected {what}, {found}")
        return token

    def clause(self) -> Clause:
        column = self.token.column
        left = self.side()
        token = self.token
        if token.kind != "mark" or token.text not in COMPARISONS:
            found = f"found {token.text!r}" if token.text else "the rule ends here"
            raise fail(self.text, token.column, f"expected a comparison ({' '.join(COMPARISONS)}), {found}")
        self.at += 1
        right = self.side()
        if_logged = self.take("name", "if") is not None
        if if_logged:
            self.need("name", "logged", "'logged' after 'if'")
        return Clause(left, token.text, right, column, if_logged)

    def side(self) -> tuple[Term, ...]:
        sign = -1.0 if self.take("mark", "-") else 1.0
        terms = [self.term(sign)]
        while self.token.kind == "mark" and self.token.text in "+-":
            sign = -1.0 if self.token.text == "-" else 1.0
            self.at += 1
            terms.append(self.term(sign))
        return tuple(terms)

    def term(self, sign: float) -> Term:
        column = self.token.column
        if self.token.kind != "number":
            return Term(sign, self.call(), False, column)
        factor = sign * self.number()
        after = self.tokens[self.at + 1] if self.at + 1 < len(self.tokens) else self.token
        if self.token.text == "sd" and after.text != "(":
            self.at += 1
            return Term(factor, None, True, column)
        if self.take("mark", "*") or self.token.text == "sd":
            return Term(factor, self.call(), False, column)
        if self.token.text == "%":
            raise fail(self.text, self.token.column, "a percentage stands only in a window; write 5 % as 0.05")
        return Term(factor, None, False, column)

    def number(self) -> float:
        return float(self.need("number", None, "a number").text.replace("_", ""))

    def call(self) -> Call:
        earlier = False
        if self.token.text == "this" and self.tokens[self.at + 1].text == ".":
            self.at += 2
            earlier = True
        name = self.need("name", None, "a statistic such as best(val_loss), or a number")
        self.need("mark", "(", f"'(' after {name.text}")
        role = self.need("name", None, "a role such as val_loss")
        self.check_word(role, known_roles(), "role")
        table: Iterable[str] = LOG_STATISTICS if role.text == LOG_ROLE else STATISTICS
        self.check_word(name, table, "statistic" + (" of the log" if role.text == LOG_ROLE else ""))
        tag = self.take("text")
        if role.text == SERIES_ROLE and tag is None:
            raise fail(self.text, self.token.column, 'expected a tag in quotation marks, as in end(series "my/tag")')
        argument, window = None, None
        while self.take("mark", ","):
            if self.token.kind == "number" and self.tokens[self.at + 1].text not in ("%", ".."):
                argument = self.number()
            elif self.token.text == "-" and self.tokens[self.at + 1].kind == "number":
                self.at += 1
                argument = -self.number()
            else:
                window = self.window()
        self.need("mark", ")", "')'")
        quantity = Quantity(name.text, role.text, unquote(tag.text) if tag else None, argument, window)
        return Call(quantity, earlier, name.column)

    def check_word(self, token: Token, table: Iterable[str], what: str) -> None:
        words = sorted(table)
        if token.text not in words:
            near = difflib.get_close_matches(token.text, words, 1)
            hint = f"; did you mean {near[0]}?" if near else f"; known: {', '.join(words[:12])} ..."
            raise fail(self.text, token.column, f"unknown {what} {token.text!r}{hint}")

    def window(self) -> Window:
        word = self.token
        if self.take("name", "last"):
            return Window(first_share=round(1.0 - self.share(), 12), last_share=1.0)
        if self.take("name", "first"):
            return Window(first_share=0.0, last_share=self.share())
        if self.take("name", "steps"):
            first = self.integer() if self.token.kind == "number" else None
            self.need("mark", "..", "'..' between the steps")
            last = self.integer() if self.token.kind == "number" else None
            if first is None and last is None:
                raise fail(self.text, word.column, "a window of steps needs a first or a last step")
            if first is not None and last is not None and first > last:
                raise fail(self.text, word.column, f"the window ends before it begins ({first}..{last})")
            return Window(first_step=first, last_step=last)
        if word.kind == "number":
            low = self.share()
            self.need("mark", "..", "'..' between the shares")
            high = self.share()
            if low >= high:
                raise fail(self.text, word.column, "the window ends before it begins")
            return Window(first_share=low, last_share=high)
        found = f"found {word.text!r}" if word.text else "the rule ends here"
        raise fail(self.text, word.column, f"expected a number or a window (last 20%, first 10%, 10%..50%, steps 100..500), {found}")

    def share(self) -> float:
        column = self.token.column
        value = self.number()
        self.need("mark", "%", "'%' after the share of the run")
        if not 0 <= value <= 100:
            raise fail(self.text, column, "a share of the run lies between 0% and 100%")
        return value / 100.0

    def integer(self) -> int:
        token = self.token
        value = self.number()
        if value != int(value):
            raise fail(self.text, token.column, "a step is a whole number")
        return int(value)


def quote(tag: str) -> str:
    """A tag as the language writes it."""
    return '"' + tag.replace("\\", "\\\\").replace('"', '\\"') + '"'


def unquote(text: str) -> str:
    """The tag that `quote` wrote."""
    return re.sub(r"\\(.)", r"\1", text[1:-1])
