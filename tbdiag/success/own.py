"""The user's own rules: ``[tool.tbdiag.success]``, checked in every report."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tbdiag.errors import RuleError
from tbdiag.model.report import to_plain
from tbdiag.success.bind import compile_rule
from tbdiag.success.check import RuleResult, check

if TYPE_CHECKING:
    from tbdiag.config import Config
    from tbdiag.features import Features

OWN_GUARDS = ("nothing-non-finite",)
"""A user's rule has no earlier run to compare signals with; one that is not logged is "cannot tell" by itself."""


def check_config_rules(config: Config, features: Features) -> list[dict[str, Any]]:
    """Every rule of the configuration judged on a run, in order of their names: what `RunReport.own_rules` holds.

    Each is ``{"name", "rule", "sentence", "status", "reason", "predicates": [...]}``; status is ``passed``, ``failed`` or
    ``cannot-tell``.

    Raises:
        RuleError: a rule does not parse; the message names the configuration file, the rule and the column.
    """
    out = []
    for name, text in sorted(config.success.items()):
        try:
            rule = compile_rule(text, guards=OWN_GUARDS)
        except RuleError as error:
            raise RuleError(f"{config.source or 'configuration'}: success.{name}: {error}") from None
        out.append({"name": name, "rule": text, "sentence": rule.sentence, **result_to_dict(check(rule, features))})
    return out


def result_to_dict(result: RuleResult) -> dict[str, Any]:
    """A rule's result as plain data: ``{"status", "reason", "predicates"}``."""
    plain: dict[str, Any] = to_plain(result)
    return {k: plain[k] for k in ("status", "reason", "predicates")}
