"""The success-rule language: parse, bind, evaluate (passed, failed, cannot tell), say as a sentence.

``compile_rule(text, this)`` makes the model's `SuccessRule` from text, ``check(rule, features, earlier)`` judges it on a run,
``rule_text`` and ``rule_sentence`` say it, ``rule_to_dict`` and ``rule_from_dict`` store it, and ``check_config_rules`` judges
the rules of the configuration.
"""

from __future__ import annotations

from tbdiag.success.bind import compile_rule
from tbdiag.success.check import PredicateResult, RuleResult, Status, check
from tbdiag.success.own import check_config_rules, result_to_dict
from tbdiag.success.parse import parse
from tbdiag.success.say import predicate_text, rule_sentence, rule_text
from tbdiag.success.store import rule_from_dict, rule_to_dict

__all__ = [
    "PredicateResult",
    "RuleResult",
    "Status",
    "check",
    "check_config_rules",
    "compile_rule",
    "parse",
    "predicate_text",
    "result_to_dict",
    "rule_from_dict",
    "rule_sentence",
    "rule_text",
    "rule_to_dict",
]
