"""TF Object Detection API (TF2): ``train/`` and ``eval*/`` sub-runs with ``Loss/*``."""

from tbdiag.model import Role
from tbdiag.roles.convention import Convention, Tag

CONVENTION = Convention(
    name="TF Object Detection API",
    source="tensorflow/models: research/object_detection/model_lib_v2.py",
    signs={
        "*loss/total_loss": 0.6,
        "*loss/localization_loss": 0.3,
        "*loss/normalized_total_loss": 0.6,
        "*detectionboxes_precision/map": 0.7,
        "*loss/classification_loss": 0.3,
    },
    tags=(
        Tag("*loss/total_loss", Role.LOSS, stem="loss", main=True, why="classification, localisation and regularisation together"),
        Tag(
            "*loss/normalized_total_loss",
            Role.LOSS_COMPONENT,
            stem="loss_mean_normalized",
            why="the total divided by the number of replicas",
        ),
        Tag("*detectionboxes_precision/map", Role.METRIC, stem="map", main=True),
        Tag("*detectionboxes_precision/map@.50iou", Role.METRIC, stem="map50"),
        Tag(
            "*detectionboxes_precision/*",
            Role.METRIC,
            stem="map_part",
            main=False,
            why="precision of one size or overlap; -1 where no object has that size",
        ),
        Tag("*detectionboxes_recall/*", Role.METRIC, stem="recall", main=False),
        Tag("*steps_per_sec", Role.THROUGHPUT),
    ),
    notes="total_loss includes regularisation; -1 in a mAP by size means that no object has that size.",
)
