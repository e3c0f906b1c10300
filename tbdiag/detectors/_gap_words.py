"""What a gap between training and validation is called, and what validation did all the while."""

from __future__ import annotations

from tbdiag.features import CurveFacts
from tbdiag.stats.monotone import FEWEST


def tell_course(val: CurveFacts, quality: float | None, random: bool, never: bool) -> tuple[str, dict[str, float]]:
    """How the sentence on both levels ends, and its numbers; `quality`: the best of a metric of which it is known what guessing scores."""
    if random and quality is not None:
        return f", and validation was {'seldom' if quality >= 0.05 else 'never'} better than guessing.", {}
    if random or never:
        if random and _rose(val):
            return ", and validation rose from {first:.3g} to {end:.3g}, never clearly better than at first.", {
                "first": val.first,
                "end": val.end,
            }
        return ", and validation hardly left its first values." if random else ", never better than at first.", {}
    # Said is what the curve did: where it ended worse than its best, by how much. Of few points a steep descent makes up the noise.
    if val.rise > 0.01 * abs(val.best) and (val.n < FEWEST or val.beyond_noise(val.rise, 2)):
        side, smoothed = "above" if val.sign > 0 else "below", "smoothed " if val.n >= 10 else ""
        return f", which ended {{risen:.3g}} {side} its {smoothed}best of {{best:.4g}}.", {"risen": val.rise, "best": val.best}
    return f", without {'rising' if val.sign > 0 else 'falling'}{' beyond its noise' if val.rise > 0 else ''}.", {}


def name_gap(train: float, level: float, val: CurveFacts, *, random: bool, guess: bool, never: bool) -> str:
    """Title of a gap; `train` and `level`: training's and validation's over the second half."""
    reaches = f"while training reaches {train:.4g}"
    if random and _rose(val):
        return f"Validation never got better than {'guessing' if guess else 'at its start'} and rose to {val.end:.4g} {reaches}"
    if random:
        return f"Validation {'is at chance' if guess else 'is bad'} from the start ({level:.4g}) {reaches}"
    if never:
        return f"Validation never got better than its first evaluation ({val.best:.4g}) {reaches}"
    return f"Generalisation gap: validation stays at {level:.4g} {reaches}"


def _rose(val: CurveFacts) -> bool:
    """Whether a validation loss ended half as high again as it began."""
    return val.sign > 0 and val.end > 1.5 * val.first > 0
