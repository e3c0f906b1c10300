"""VITS family: RVC, so-vits-svc. Adversarial losses, the mel loss is the only directed one."""

from tbdiag.model import Direction, Domain, Role, Split
from tbdiag.roles.convention import Convention, Tag

CONVENTION = Convention(
    name="VITS",
    source="RVC-Project: infer/modules/train/train.py; svc-develop-team/so-vits-svc: train.py",
    signs={"loss/g/total": 0.6, "loss/d/total": 0.5, "loss/g/mel": 0.4, "grad_norm_g": 0.2, "grad_norm_d": 0.2},
    domain=Domain.GAN,
    tags=(
        Tag("loss/g/total", Role.GENERATOR_LOSS, Split.TRAIN, main=True),
        Tag("loss/d/total", Role.DISCRIMINATOR_LOSS, Split.TRAIN, main=True),
        Tag(
            "loss/g/mel",
            Role.LOSS,
            Split.TRAIN,
            Direction.LOWER,
            "loss",
            main=True,
            why="reconstruction of the mel spectrogram, the only loss with a direction",
        ),
        Tag("loss/g/kl", Role.LOSS_COMPONENT, Split.TRAIN, Direction.NONE, "kl"),
        Tag("loss/g/fm", Role.LOSS_COMPONENT, Split.TRAIN, Direction.NONE, "fm"),
        Tag("loss/g/*", Role.LOSS_COMPONENT, Split.TRAIN, Direction.NONE),
        Tag("loss/d_*", Role.LOSS_COMPONENT, Split.TRAIN, Direction.NONE),
        Tag("grad_norm_g", Role.GRAD_NORM, stem="grad_norm", main=True),
        Tag("grad_norm_d", Role.GRAD_NORM, stem="grad_norm_d"),
        Tag("learning_rate", Role.LR),
    ),
    notes="losses of generator and discriminator have no direction; a discriminator loss near 0 with a rising generator loss is a discriminator that won.",
)
