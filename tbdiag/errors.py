"""Every error that tbdiag raises on purpose: one tree, each with a slug and an exit code.

The slug is the anchor of the message's explanation in ``docs/messages.md``; the exit code is what the command line
returns. Anything that is not a `TbdiagError` is a defect of tbdiag and ends as one line with exit code 2 as well.
"""

from __future__ import annotations


class TbdiagError(Exception):
    """Base of all deliberate errors: a message of one line that names the file and what to do."""

    slug = "error"
    exit_code = 2


class UsageError(TbdiagError):
    """The command line or a call was wrong."""

    slug = "usage"


class LogdirError(TbdiagError):
    """A logdir does not exist, holds no event file, or none of its event files holds a valid record."""

    slug = "no-readable-log"


class ConfigError(TbdiagError):
    """A configuration file or option is wrong; the message names the file, the key and the near match."""

    slug = "config"


class ReportError(TbdiagError):
    """An earlier report could not be read, or a report could not be written."""

    slug = "report"


class RuleError(TbdiagError):
    """A success rule does not parse; the message points at the column."""

    slug = "success-rule"


class ExtraMissingError(TbdiagError):
    """An optional dependency is missing; the message names the extra that installs it."""

    slug = "extra-missing"


class StateError(TbdiagError):
    """The nightly state could not be opened, locked or written."""

    slug = "nightly-state"


class NightBusyError(StateError):
    """Another night is at work on the same state; this one did nothing."""

    slug = "nightly-busy"
    exit_code = 3
