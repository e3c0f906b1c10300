"""rl_games: every reward three times, by frame, epoch and second."""

from tbdiag.model import Axis, Direction, Domain, Role, Split
from tbdiag.roles.convention import Convention, Tag

CONVENTION = Convention(
    name="rl_games",
    source="Denys88/rl_games: rl_games/common/a2c_common.py",
    signs={"rewards/step": 0.5, "rewards/iter": 0.4, "rewards/time": 0.3, "losses/a_loss": 0.5, "losses/c_loss": 0.3, "info/last_lr": 0.3},
    axis=Axis.ENV_STEP,
    domain=Domain.REINFORCEMENT,
    tags=(
        Tag("rewards/step", Role.REWARD, Split.TRAIN, stem="reward", main=True),
        Tag("rewards/iter", Role.IGNORED, why="rewards/step by epoch"),
        Tag("rewards/time", Role.IGNORED, why="rewards/step by second"),
        Tag("rewards*/iter", Role.IGNORED, why="by epoch what /step holds by frame"),
        Tag("rewards*/time", Role.IGNORED, why="by second what /step holds by frame"),
        Tag("shaped_rewards/step", Role.REWARD, Split.TRAIN, stem="shaped_reward", main=False),
        Tag("shaped_rewards/*", Role.IGNORED),
        Tag("episode_lengths/step", Role.EPISODE_LENGTH),
        Tag("episode_lengths/*", Role.IGNORED),
        Tag(
            "consecutive_successes/frame",
            Role.METRIC,
            Split.TRAIN,
            Direction.HIGHER,
            stem="consecutive_successes",
            main=False,
            why="goals in a row that an episode reaches",
        ),
        Tag("losses/a_loss", Role.POLICY_LOSS, main=True),
        Tag("losses/c_loss", Role.VALUE_LOSS, main=True),
        Tag("losses/cval_loss", Role.VALUE_LOSS),
        Tag("losses/bounds_loss", Role.LOSS_COMPONENT, direction=Direction.NONE, stem="bounds_loss"),
        Tag("losses/entropy", Role.ENTROPY, main=True),
        Tag("info/kl", Role.APPROX_KL, main=True),
        Tag("info/last_lr", Role.LR, why="adaptive: jumps with the KL"),
        Tag("info/lr_mul", Role.COUNTER),
        Tag("info/e_clip", Role.COUNTER),
        Tag("info/epochs", Role.COUNTER),
        Tag("performance/*fps", Role.THROUGHPUT),
        Tag("performance/*time", Role.STEP_TIME),
    ),
    notes="the learning rate follows the KL divergence in jumps; /iter and /time repeat /step on other axes.",
)
