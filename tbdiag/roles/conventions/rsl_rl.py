"""rsl_rl (legged gym, Isaac Lab): ``Train/``, ``Loss/``, ``Policy/``, ``Perf/`` by iteration."""

from tbdiag.model import Direction, Domain, Role, Split, Writer
from tbdiag.roles.convention import Convention, Tag

CONVENTION = Convention(
    name="rsl_rl",
    source="leggedrobotics/rsl_rl: rsl_rl/utils/logger.py, runners/on_policy_runner.py",
    signs={
        "train/mean_reward": 0.7,
        "perf/total_fps": 0.3,
        "loss/surrogate": 0.3,
        "policy/mean_noise_std": 0.3,
        "policy/mean_std": 0.3,
        "train/mean_episode_length": 0.2,
    },
    domain=Domain.REINFORCEMENT,
    tags=(
        Tag(
            "train/mean_reward",
            Role.REWARD,
            Split.TRAIN,
            stem="reward",
            main=True,
            writer=Writer(running_mean=True),
            why="mean return of the last 100 episodes",
        ),
        Tag("train/mean_episode_length", Role.EPISODE_LENGTH, writer=Writer(running_mean=True)),
        Tag("train/*/time", Role.IGNORED, why="the same by second"),
        Tag("episode*/rew_*", Role.UNKNOWN, direction=Direction.NONE, why="one term of the reward"),
        Tag("episode*", Role.UNKNOWN, direction=Direction.NONE, why="statistics of episodes"),
        Tag("loss/learning_rate", Role.LR, why="adaptive: follows the KL"),
        Tag("loss/surrogate", Role.POLICY_LOSS, main=True),
        Tag("loss/value*", Role.VALUE_LOSS, main=True),
        Tag("loss/entropy", Role.ENTROPY),
        Tag("loss/*", Role.LOSS_COMPONENT, Split.TRAIN, Direction.NONE),
        Tag("policy/mean*std", Role.UNKNOWN, why="standard deviation of the policy's actions"),
        Tag("perf/total_fps", Role.THROUGHPUT),
        Tag("perf/collection*time", Role.LOADER_TIME),
        Tag("perf/learning_time", Role.STEP_TIME),
    ),
)
