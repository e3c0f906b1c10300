"""ESPnet2: ``train/`` and ``valid/`` sub-runs (older: add_scalars children ``loss_train``, ``loss_valid``)."""

from tbdiag.model import Axis, Role, Writer
from tbdiag.roles.convention import Convention, Tag

CONVENTION = Convention(
    name="ESPnet",
    source="espnet/espnet: espnet2/train/reporter.py, espnet2/train/trainer.py",
    signs={
        "train/iter_time": 0.5,
        "train/forward_time": 0.4,
        "train/backward_time": 0.4,
        "train/optim0_lr0": 0.6,
        "valid/loss": 0.2,
        "*optim0_lr0*": 0.5,
        "*iter_time*": 0.3,
        "*forward_time*": 0.3,
    },
    axis=Axis.EPOCH,
    writer=Writer(mean_window=None),
    tags=(
        Tag("*optim*_lr0*", Role.LR),
        Tag("*iter_time*", Role.LOADER_TIME),
        Tag("*train_time*", Role.STEP_TIME),
        Tag("*forward_time*", Role.STEP_TIME, main=False),
        Tag("*backward_time*", Role.STEP_TIME, main=False),
        Tag("*optim_step_time*", Role.STEP_TIME, main=False),
        Tag("*::loss_ctc", Role.LOSS_COMPONENT, stem="loss_ctc"),
        Tag("*::loss_att", Role.LOSS_COMPONENT, stem="loss_att"),
        Tag("*::cer_ctc", Role.METRIC, stem="cer_ctc", main=False),
    ),
)
