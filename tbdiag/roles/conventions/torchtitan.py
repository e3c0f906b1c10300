"""torchtitan: pre-training of language models."""

from tbdiag.model import Domain, Role, Split, Writer
from tbdiag.roles.convention import Convention, Tag

CONVENTION = Convention(
    name="torchtitan",
    source="pytorch/torchtitan: torchtitan/components/metrics.py",
    signs={"loss_metrics/global_avg_loss": 1.0, "time_metrics/data_loading(%)": 0.3},
    domain=Domain.LANGUAGE_MODEL,
    writer=Writer(mean_window=1),
    tags=(
        Tag("loss_metrics/global_avg_loss", Role.LOSS, Split.TRAIN, stem="loss", main=True, why="mean over the ranks of one step"),
        Tag("loss_metrics/global_max_loss", Role.LOSS_COMPONENT, Split.TRAIN, stem="loss_max", why="worst rank of one step"),
        Tag("validation_metrics/loss", Role.LOSS, Split.VAL, stem="loss", main=True),
        Tag("validation_metrics/memory*", Role.MEMORY, main=False),
        Tag("validation_metrics/throughput*", Role.THROUGHPUT, main=False),
        Tag("lr/*", Role.LR),
        Tag("time_metrics/data_loading(%)", Role.LOADER_TIME, main=False),
        Tag("throughput(tps)", Role.THROUGHPUT, main=True),
        Tag("n_tokens_seen", Role.COUNTER),
    ),
)
