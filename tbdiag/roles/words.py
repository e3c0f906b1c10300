"""Tags as words: how a tag is cut into tokens, and which words name a split. Case and separators carry no meaning."""

from __future__ import annotations

import re
from functools import lru_cache

from tbdiag.model import Split
from tbdiag.roles.languages import WORDS, translate

_CAMEL = re.compile(
    r"(?<=[a-z])(?=[A-Z][a-z])|(?<=[A-Z])(?=[A-Z][a-z]{2,})|(?<=[a-z]{2})(?=[A-Z]\d)|(?<=[a-z]{2})(?=[A-Z]{2})|(?<=[a-z]\d)(?=[A-Z][a-z]{2})"
)
_TOKEN = re.compile(r"[^\W_]+")
_GLUED = re.compile(
    r"^(train|training|valid|validation|val|test|eval|epoch|batch|total|avg|mean|running|loss|grad|gradient|learning|step|f1|r2|weight|param|batch|mean)"
    r"(loss|acc|accuracy|error|norm|rate|scale|size|score|time|f1|auc|iterstats|epochstats|stats|train|val|test|mse|mae|iou"
    r"|rmse|mrr|ndcg|dice|bleu|rouge|ppl|perplexity|wer|cer|recall|precision|top1|top5|snr)$"
)

_MISSPELT = re.compile(r"^ac+[ua]*r+[ua]*c+y$")
"""accuarcy and the like are found in one public script in a hundred."""

_CLASS = re.compile(r"^(class|cls|loss|losses|norm|psnr|ssim|iou|dice|ndcg|recall|precision|reward|kl|hits|share|pred)(\d{1,3})$")
"""A word with the number of its class, head or rank."""

_VALIDATION = re.compile(r"^vali[dt]+a[a-z]*[io]ns?$")

TRAIN_WORDS = frozenset({"train", "training", "trn", "tr", "trains", "trainset", "fit"})
VAL_WORDS = frozenset(
    {
        "val",
        "valid",
        "validation",
        "validate",
        "eval",
        "evaluation",
        "evaluator",
        "evaluate",
        "evaluating",
        "validating",
        "dev",
        "heldout",
        "holdout",
        "oof",
        "cv",
        "va",
        "vl",
        "vld",
        "valset",
        "devset",
        "hold",
        "unseen",
    }
)
TEST_WORDS = frozenset({"test", "te", "testing", "tst", "testset"})
_BARS = re.compile(r"(?:\|{1,2}|‖)\s*([A-Za-z_]+)\s*(?:\|{1,2}|‖)(?:_?2\b)?")
"""``|grad|``, ``||w||_2``: how a norm is written by hand."""
_OUTSIDE = re.compile(r"(?<![^\W_])out[\W_]?of[\W_]?samples?(?![^\W_])", re.IGNORECASE)
_INSIDE = re.compile(r"(?<![^\W_])in[\W_]?sample(?![^\W_])", re.IGNORECASE)
_BY = re.compile(r"(?<=[A-Za-z])[\W_]?[Bb]y[\W_]?(tokens?|steps?|epochs?|iters?|iterations?|samples?|examples?)(?![^\W_])", re.IGNORECASE)
"""``loss_by_tokens``: what the axis counts."""
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
        text = _BY.sub("", text)
    if "mean of" in text:
        text = _MEAN_OF.sub("", text)
    for word in _TOKEN.findall(_CAMEL.sub(" ", text)):
        low = word.lower()
        low = WORDS.get(low, low)
        if "_" in low:
            out += low.split("_")
            continue
        glued = (_GLUED.match(low) or _CLASS.match(low)) if low not in _WHOLE else None
        for part in glued.groups() if glued else ("accuracy",) if _MISSPELT.match(low) else (low,):
            joined = _JOIN.get((out[-1], part)) if out else None
            if joined:
                out[-1] = joined
            else:
                out.append(part)
    return tuple(out)


_WHOLE = frozenset({"validation", "training", "testing", "evaluation"})


def split_word(token: str) -> Split | None:
    """Split that a token names, or None."""
    if token in TRAIN_WORDS:
        return Split.TRAIN
    if (
        token in VAL_WORDS
        or _VALIDATION.match(token)
        or (token[:5] == "valid" and token[5:].isdigit())
        or (token[:3] == "val" and token[3:].isdigit())
    ):
        return Split.VAL
    if token in TEST_WORDS:
        return Split.TEST
    return None


def find_splits(tokens: tuple[str, ...]) -> list[tuple[int, Split]]:
    """Position and split of every token that names one (``std dev`` does not)."""
    found = []
    for i, token in enumerate(tokens):
        split = split_word(token)
        if split is None or (token == "dev" and i and tokens[i - 1] in {"std", "standard", "stdev"}):
            continue
        if token == "eval" and i and tokens[i - 1] == "train":
            continue  # train_eval/loss: training data seen through the evaluation code, as a first action asks for it
        found.append((i, split))
    return found


@lru_cache(maxsize=4096)
def subrun_split(subrun: str) -> Split | None:
    """Split that a sub-run's directory names: ``validation``, ``eval_news``, ``loss_val``, ``training_eval/task``, ``train_inner``."""
    tokens = tokenize(subrun)
    if "training" in tokens and "eval" in tokens:
        return Split.VAL
    found = find_splits(tokens)
    return found[-1][1] if found else None
