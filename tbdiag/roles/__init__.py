"""Which series plays which role: `resolve` reads the tags of a run as their authors meant them.

`words` and `vocabulary` hold the field's words, `reading` what one tag says, `convention` and `conventions/` what each
framework means by its tags, `plan` the reading of a set of tags, `choose` the series that stand for a role, `axes` and
`epochs` their steps, `chance` the level of guessing, `found` the configuration that was logged.
"""

from tbdiag.roles.resolve import resolve

__all__ = ["resolve"]
