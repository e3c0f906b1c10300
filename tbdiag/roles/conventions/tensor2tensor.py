"""Tensor2Tensor on TF Estimator: ``losses/*`` and ``metrics-<problem>/targets/<metric>``."""

from tbdiag.model import Direction, Domain, Role, Split
from tbdiag.roles.convention import Convention, Tag

CONVENTION = Convention(
    name="Tensor2Tensor",
    source="tensorflow/tensor2tensor: tensor2tensor/utils/t2t_model.py, metrics.py, optimize.py",
    signs={"*metrics-*/targets/*": 1.2, "*losses/training": 0.5, "*neg_log_perplexity": 0.5},
    domain=Domain.LANGUAGE_MODEL,
    tags=(
        Tag("*metrics-*/targets/accuracy", Role.METRIC, Split.VAL, stem="accuracy"),
        Tag("*metrics-*/targets/accuracy_*", Role.METRIC, Split.VAL, stem="accuracy_part", main=False),
        Tag("*metrics-*/targets/approx_bleu_score", Role.METRIC, Split.VAL, stem="bleu"),
        Tag(
            "*metrics-*/targets/neg_log_perplexity",
            Role.METRIC,
            Split.VAL,
            Direction.HIGHER,
            stem="neg_log_perplexity",
            main=False,
            why="minus the loss",
        ),
        Tag("eval*::loss", Role.LOSS, Split.VAL, stem="loss"),
        Tag("losses/training", Role.LOSS_COMPONENT, stem="training_loss", why="the loss before regularisation"),
        Tag("*learning_rate", Role.LR),
    ),
    notes="neg_log_perplexity is negative and better when higher.",
)
