"""Tags as words: how a tag is cut into tokens. Case and separators carry no meaning."""

from __future__ import annotations

import re
from functools import lru_cache

from tbdiag.roles.languages import WORDS, translate

_CAMEL = re.compile(
    r"(?<=[a-z])(?=[A-Z][a-z])|(?<=[A-Z])(?=[A-Z][a-z]{2,})|(?<=[a-z]{2})(?=[A-Z]\d)|(?<=[a-z]{2})(?=[A-Z]{2})|(?<=[a-z]\d)(?=[A-Z][a-z]{2})"
)
_TOKEN = re.compile(r"[^\W_]+")
_GLUED = re.compile(
    r"^(train|training|valid|validation|val|test|eval|heldout|holdout|epoch|batch|total|avg|mean|running|loss|grad|gradient|learning|step|f1|r2|weight|param|batch|mean)"
    r"(loss|acc|accuracy|error|norm|rate|scale|size|score|time|f1|auc|iterstats|epochstats|stats|train|val|test|mse|mae|iou"
    r"|rmse|mrr|ndcg|dice|bleu|rouge|ppl|perplexity|wer|cer|recall|precision|top1|top5|snr)$"
)

_GLUED_SPLIT = re.compile(
    r"^(?:(trn?|te|tst|va|vld|dv|dev)(loss|acc|nll|mse|mae|err|error|f1|auc|iou|dice|ce|bce|xent|ppl)"
    r"|(ls|loss|nll|ce|acc|err|mse|mae)(tr|va|te)"
    r"|(l|j|ls|loss|nll|ce|bce|xe|mse|mae|acc|err|f1|auc|iou|dice|ppl)(train|trn|val|vld|valid|test|tst|dev))$"
)
"""``trloss``, ``accval``, ``Ltrain``: a split and a measure without anything between them."""

_MISSPELT = re.compile(r"^ac+[ua]*r+[ua]*c+y$")
"""accuarcy and the like are found in one public script in a hundred."""

_CLASS = re.compile(r"^(class|cls|loss|losses|norm|psnr|ssim|iou|dice|ndcg|recall|precision|reward|kl|hits|share|pred)(\d{1,3})$")
"""A word with the number of its class, head or rank."""

_BARS = re.compile(r"(?:\|{1,2}|‖)\s*([A-Za-z_]+)\s*(?:\|{1,2}|‖)(?:_?2\b)?")
"""``|grad|``, ``||w||_2``: how a norm is written by hand."""
_OUTSIDE = re.compile(r"(?<![^\W_])out[\W_]?of[\W_]?samples?(?![^\W_])", re.IGNORECASE)
_INSIDE = re.compile(r"(?<![^\W_])in[\W_]?sample(?![^\W_])", re.IGNORECASE)
_BY = re.compile(r"(?<=[A-Za-z])[\W_]?[Bb]y[\W_]?(tokens?|steps?|epochs?|iters?|iterations?|samples?|examples?)(?![^\W_])", re.IGNORECASE)
"""``loss_by_tokens``: what the axis counts."""
_EVERY = re.compile(
    r"(?<![^\W_])every[\W_]?(n|\d+)([\W_]?(steps?|batch(es)?|iters?|iterations?|epochs?|samples?))?(?![^\W_])", re.IGNORECASE
)
"""``running_loss_every_12``: how often it was written."""
_KEPT_BACK = re.compile(r"(?<![^\W_])(held|kept|set|left)[\W_]?(back|aside)(?![^\W_])|(?<![^\W_])withheld(?![^\W_])", re.IGNORECASE)
_WHOLE_SPLIT = re.compile(
    r"(?<![^\W_])(full|news|sub|inner|outer|small|big|id|ood|smallset)(train|val|valid|dev|test)(?![^\W_])", re.IGNORECASE
)
"""``newsdev``, ``fullval``: which part of a split, written in one word with it."""
_COMPLEMENT = re.compile(r"(?:^|(?<=[/ ]))1 ?[-−] ?([A-Za-z]+)")
"""``1-dice``: what a score lacks to be perfect, which is a loss."""
_MEAN_OF = re.compile(r"\(?\bmean of \d+\b\)?", re.IGNORECASE)
_JOIN = {
    ("held", "out"): "heldout",
    ("hold", "out"): "holdout",
    ("m", "iou"): "miou",
    ("m", "ap"): "map",
    ("t", "flops"): "tflops",
    ("p", "flops"): "pflops",
}


@lru_cache(maxsize=65536)
def tokenize(text: str) -> tuple[str, ...]:
    """Lower-case words of a tag: cut at every separator, between camelCase words, and inside common compounds."""
    out: list[str] = []
    text = translate(text)
    if "|" in text or "‖" in text:
        text = _BARS.sub(r" \1 norm ", text)
    if "²" in text:
        text = text.replace("²", "2")
    if "ample" in text:
        text = _OUTSIDE.sub("holdout", _INSIDE.sub("train", text))
    if "y" in text:
        text = _EVERY.sub("", _BY.sub("", text))
    text = _WHOLE_SPLIT.sub(r"\1 \2", _KEPT_BACK.sub("heldout", text))
    if "1" in text:
        text = _COMPLEMENT.sub(r"\1 loss", text)
    if "mean of" in text:
        text = _MEAN_OF.sub("", text)
    for word in _TOKEN.findall(_CAMEL.sub(" ", text)):
        low = word.lower()
        low = WORDS.get(low, low)
        if "_" in low:
            out += low.split("_")
            continue
        glued = (_GLUED.match(low) or _CLASS.match(low) or _GLUED_SPLIT.match(low)) if low not in _WHOLE else None
        for part in filter(None, glued.groups()) if glued else ("accuracy",) if _MISSPELT.match(low) else (low,):
            joined = _JOIN.get((out[-1], part)) if out else None
            if joined:
                out[-1] = joined
            else:
                out.append(part)
    return tuple(out)


_WHOLE = frozenset({"validation", "training", "testing", "evaluation"})
