"""Kind of training, told by the roles and words of the tags."""

from __future__ import annotations

from collections.abc import Iterable

from tbdiag.model import Domain, Role
from tbdiag.roles.convention import Convention

_POLICY = frozenset({Role.POLICY_LOSS, Role.POLICY_CLIP_FRACTION, Role.EXPLAINED_VARIANCE, Role.APPROX_KL, Role.EPISODE_LENGTH})
_DIFFUSION_WORDS = ("diffusion", "ddpm", "ddim", "denois", "noise_pred", "timestep", "unet")
_SSL_WORDS = (
    "simclr",
    "byol",
    "dino",
    "moco",
    "ssl",
    "infonce",
    "info_nce",
    "contrastive",
    "ntxent",
    "nt_xent",
    "mae_loss",
    "mim_loss",
    "barlow",
    "vicreg",
)
_LM_WORDS = (
    "lm loss",
    "lm_loss",
    "perplexity",
    "/ppl",
    "ppl",
    "bits_per_byte",
    "bpb",
    "tokens_per_sec",
    "num_tokens",
    "mean_token_accuracy",
    "num_input_tokens_seen",
)


def find_domain(tags: Iterable[tuple[Role, str]], convention: Convention | None) -> Domain:
    """Domain of a run from its roles and lower-case tags; the convention's where the framework implies one."""
    items = list(tags)
    roles = {role for role, _ in items}
    names = [name for _, name in items]
    if {Role.CHOSEN_REWARD, Role.REJECTED_REWARD} <= roles or (
        Role.REWARD_MARGIN in roles and (Role.PREFERENCE_ACCURACY in roles or Role.CHOSEN_REWARD in roles)
    ):
        return Domain.PREFERENCE
    if convention is not None and convention.domain is not None:
        return convention.domain
    if {Role.GENERATOR_LOSS, Role.DISCRIMINATOR_LOSS} <= roles:
        return Domain.GAN
    if Role.REWARD in roles and (roles & _POLICY or not roles & {Role.LOSS, Role.METRIC}):
        return Domain.REINFORCEMENT
    if {Role.POLICY_LOSS, Role.VALUE_LOSS} <= roles or Role.POLICY_CLIP_FRACTION in roles:
        return Domain.REINFORCEMENT
    if any(word in name for name in names for word in _DIFFUSION_WORDS) and not roles & {Role.METRIC, Role.REWARD}:
        return Domain.DIFFUSION
    if any(word in name for name in names for word in _SSL_WORDS):
        return Domain.SELF_SUPERVISED
    if any(word in name for name in names for word in _LM_WORDS) and not any(
        r is Role.METRIC and ("acc" in n and "token" not in n) for r, n in items
    ):
        return Domain.LANGUAGE_MODEL
    return Domain.SUPERVISED
