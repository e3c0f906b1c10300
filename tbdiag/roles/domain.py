"""Kind of training, told by the roles and words of the tags."""

from __future__ import annotations

from collections.abc import Iterable

from tbdiag.model import Domain, Role
from tbdiag.model.splits import VAL_WORDS
from tbdiag.roles.convention import Convention
from tbdiag.roles.words import tokenize

_POLICY = frozenset({Role.POLICY_LOSS, Role.POLICY_CLIP_FRACTION, Role.EXPLAINED_VARIANCE, Role.APPROX_KL, Role.EPISODE_LENGTH})
_OUTCOMES = frozenset({"win", "wins", "won", "success", "solved", "elo"})
"""Words of a metric that tells how episodes end."""
_DIFFUSION_WORDS = frozenset({"diffusion", "ddpm", "ddim", "denoising", "denoiser", "edm"})
_SSL_WORDS = frozenset({"simclr", "byol", "dino", "ibot", "moco", "ssl", "infonce", "contrastive", "ntxent", "barlow", "vicreg", "jepa"})
_LM_WORDS = frozenset({"lm", "perplexity", "ppl", "bpb", "bpc"})
_LM_PHRASES = ("tokens per sec", "num tokens", "tokens seen", "token accuracy", "bits per byte")


def find_domain(tags: Iterable[tuple[Role, str]], convention: Convention | None, *, classifies: bool = False) -> Domain:
    """Domain of a run from its roles and lower-case tags; the convention's where the framework implies one.

    Args:
        tags: role and lower-case tag of every series.
        classifies: a classification metric is logged that the framework does not log by itself, so a language-model or
            diffusion framework is used for a classifier.
    """
    items = list(tags)
    roles = {role for role, _ in items}
    names = [name for _, name in items]
    if {Role.CHOSEN_REWARD, Role.REJECTED_REWARD} <= roles or (
        Role.REWARD_MARGIN in roles and (Role.PREFERENCE_ACCURACY in roles or Role.CHOSEN_REWARD in roles)
    ):
        return Domain.PREFERENCE
    if convention is not None and convention.domain is not None:
        other = classifies and convention.domain in {Domain.LANGUAGE_MODEL, Domain.DIFFUSION}
        return Domain.SUPERVISED if other else convention.domain
    if {Role.GENERATOR_LOSS, Role.DISCRIMINATOR_LOSS} <= roles or sum(role is Role.DISCRIMINATOR_SCORE for role, _ in items) >= 2:
        return Domain.GAN
    words = {word for name in names for word in tokenize(name)}
    if {Role.GENERATOR_LOSS, Role.VALUE_LOSS} <= roles and not roles & {Role.REWARD, Role.POLICY_LOSS}:
        return Domain.GAN  # the critic of a Wasserstein GAN
    others = [(role, set(tokenize(name))) for role, name in items if role not in {Role.REWARD, Role.EPISODE_LENGTH}]
    others = [(role, own) for role, own in others if not own & _OUTCOMES]
    metrics, measured = any(role is Role.METRIC for role, _ in others), {word for _, own in others for word in own}
    if Role.REWARD in roles and (roles & _POLICY or (not metrics and not measured & VAL_WORDS)):
        return Domain.REINFORCEMENT
    if "epsilon" in words and not words & VAL_WORDS and words & {"score", "scores", "episode", "episodes"}:
        return Domain.REINFORCEMENT
    if {Role.POLICY_LOSS, Role.VALUE_LOSS} <= roles or Role.POLICY_CLIP_FRACTION in roles:
        return Domain.REINFORCEMENT
    if roles & {Role.POLICY_LOSS, Role.VALUE_LOSS} and not metrics and not measured & VAL_WORDS:
        return Domain.REINFORCEMENT
    if words & _DIFFUSION_WORDS and not roles & {Role.METRIC, Role.REWARD}:
        return Domain.DIFFUSION
    if words & _SSL_WORDS:
        return Domain.SELF_SUPERVISED
    phrases = [" ".join(tokenize(name)) for name in names]
    modelling = bool(words & _LM_WORDS) or any(p in phrase for phrase in phrases for p in _LM_PHRASES)
    if modelling and not any(r is Role.METRIC and "acc" in n and "token" not in n for r, n in items):
        return Domain.LANGUAGE_MODEL
    return Domain.SUPERVISED
