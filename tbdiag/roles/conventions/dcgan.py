"""The PyTorch DCGAN example and its many copies: ``Loss_D``, ``Loss_G``, ``D(x)``, ``D(G(z))``."""

from tbdiag.model import Direction, Domain, Role, Split
from tbdiag.roles.convention import Convention, Tag

CONVENTION = Convention(
    name="DCGAN",
    source="pytorch/examples: dcgan/main.py",
    signs={"loss_d": 0.6, "loss_g": 0.6, "d(x)": 0.4, "d(g(z))*": 0.4, "errd": 0.4, "errg": 0.4},
    domain=Domain.GAN,
    tags=(
        Tag("loss_d", Role.DISCRIMINATOR_LOSS, Split.TRAIN, Direction.NONE, main=True),
        Tag("loss_g", Role.GENERATOR_LOSS, Split.TRAIN, Direction.NONE, main=True),
        Tag("d(x)", Role.DISCRIMINATOR_SCORE, Split.TRAIN, Direction.NONE, sub_kind="real", why="mean score of real samples"),
        Tag("d(g(z))*", Role.DISCRIMINATOR_SCORE, Split.TRAIN, Direction.NONE, sub_kind="fake", why="mean score of generated samples"),
    ),
)
