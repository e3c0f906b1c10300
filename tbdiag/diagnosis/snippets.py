"""The lines that log an artefact, in the words of the framework that wrote the log.

What an artefact needs is a list of scalars or a text; each family of frameworks has one way to write either (`SCALAR`, `TEXT`). Where a
framework does it by a setting, that setting stands in `OWN`. Every snippet parses as Python and logs what the audit then finds.
"""

from __future__ import annotations

from tbdiag.features import Features
from tbdiag.features.tasks import uses_tensorflow

FAMILIES: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("lightning", ("lightning", "nemo speech", "pytorch-forecasting")),
    ("hf", ("hf trainer", "trl", "transformers", "huggingface")),
    ("keras", ("keras",)),
    ("tf", ("tf ", "tensor2tensor", "opennmt", "tf-agents")),
    ("fastai", ("fastai",)),
    ("mmengine", ("mmengine",)),
    ("sb3", ("stable-baselines3",)),
    ("flax", ("flax", "t5x")),
    ("detectron2", ("detectron2",)),
)
"""Family -> words of a convention's name; everything else writes with a plain SummaryWriter."""

SCALAR = {
    "writer": 'writer.add_scalar("{tag}", {value}, step)',
    "lightning": 'self.log("{tag}", {value})',
    "hf": 'trainer.log({"{tag}": {value}})',
    "keras": 'tf.summary.scalar("{tag}", {value}, step=epoch)  # in a callback, inside writer.as_default()',
    "tf": 'tf.summary.scalar("{tag}", {value}, step=step)',
    "fastai": 'learn.tensor_board.writer.add_scalar("{tag}", {value}, learn.train_iter)  # in a Callback',
    "mmengine": 'runner.message_hub.update_scalar("{tag}", {value})  # in a Hook',
    "sb3": 'self.logger.record("{tag}", {value})  # in a BaseCallback',
    "flax": 'summary_writer.scalar("{tag}", {value}, step)',
    "detectron2": 'get_event_storage().put_scalar("{tag}", {value})',
}
TEXT = {
    "writer": 'writer.add_text("{tag}", {value})',
    "lightning": 'self.logger.experiment.add_text("{tag}", {value})',
    "hf": "class LogMore(TensorBoardCallback):  # Trainer(callbacks=[LogMore()]), with report_to='none'\n"
    "    def on_train_begin(self, args, state, control, **kwargs):\n        super().on_train_begin(args, state, control, **kwargs)\n"
    '        self.tb_writer.add_text("{tag}", {value})',
    "keras": 'with tf.summary.create_file_writer(logdir).as_default():\n    tf.summary.text("{tag}", {value}, step=0)',
    "tf": 'tf.summary.text("{tag}", {value}, step=0)',
    "fastai": 'learn.tensor_board.writer.add_text("{tag}", {value})',
    "mmengine": 'runner.visualizer.get_backend("TensorboardVisBackend").experiment.add_text("{tag}", {value})',
    "sb3": 'self.logger.record("{tag}", {value})  # in a BaseCallback',
    "flax": 'summary_writer.text("{tag}", {value}, step=0)',
    "detectron2": 'SummaryWriter(cfg.OUTPUT_DIR).add_text("{tag}", {value})',
}

SCALARS: dict[str, tuple[tuple[str, str], ...]] = {
    "val-curve": (("val/loss", "val_loss"), ("val/accuracy", "val_accuracy")),
    "return-curve": (("charts/episodic_return", "episode_return"),),
    "train-curve": (("train/loss", "loss"),),
    "learning-rate": (("train/lr", 'optimizer.param_groups[0]["lr"]'),),
    "gradient-statistics": (("train/grad_norm", "norm"),),
    "prediction-samples": (("val/confidence", "confidence"),),
}
"""Artefact -> tag and value of what is to be logged."""

TEXTS: dict[str, tuple[str, str]] = {
    "seed": ("seed", "str(seed)"),
    "code-version": ("git_commit", 'subprocess.check_output(["git", "rev-parse", "HEAD"], text=True)'),
    "split-version": ("split", 'hashlib.sha256("".join(sorted(val_ids)).encode()).hexdigest()'),
    "best-checkpoint": ("best_checkpoint", 'f"step {step}: {path}"'),
}

_NORM = 'norm = torch.nn.utils.clip_grad_norm_({parameters}, float("inf"))  # the norm before clipping'
_COUNTS = "counts = torch.bincount(predictions, minlength=classes) / len(predictions)\nfor i, share in enumerate(counts):\n    "
_SHARE = "val/pred_share/class_{i}"

OWN: dict[tuple[str, str], str] = {
    ("val-curve", "lightning"): 'self.log("val_loss", loss)  # in validation_step',
    ("val-curve", "hf"): 'TrainingArguments(output_dir, eval_strategy="steps", eval_steps=500)  # and Trainer(eval_dataset=eval_dataset)',
    ("val-curve", "keras"): "model.fit(x, y, validation_data=(x_val, y_val), callbacks=[keras.callbacks.TensorBoard(logdir)])",
    ("val-curve", "fastai"): "dls = DataLoaders(train_loader, valid_loader)\n"
    "learn = Learner(dls, model, metrics=accuracy, cbs=TensorBoardCallback(log_dir, log_preds=False))  # logs valid_loss",
    ("val-curve", "mmengine"): 'train_cfg = dict(by_epoch=True, max_epochs=100, val_interval=1)\nval_cfg, val_evaluator = dict(), dict(type="Accuracy")',
    ("return-curve", "hf"): 'trainer.log({"reward": episode_return})',
    ("return-curve", "sb3"): "model.learn(steps, callback=EvalCallback(eval_env, eval_freq=10_000))  # logs eval/mean_reward",
    ("val-curve", "flax"): 'summary_writer.scalar("eval_loss", eval_loss, step)\nsummary_writer.scalar("eval_accuracy", eval_accuracy, step)',
    ("train-curve", "lightning"): 'self.log("train_loss", loss)  # in training_step',
    ("train-curve", "hf"): "TrainingArguments(output_dir, logging_steps=50)",
    ("train-curve", "keras"): "keras.callbacks.TensorBoard(logdir, update_freq=100)",
    ("train-curve", "flax"): 'summary_writer.scalar("train_loss", loss, step)',
    ("train-curve", "mmengine"): 'default_hooks = dict(logger=dict(type="LoggerHook", interval=50))',
    ("learning-rate", "lightning"): 'Trainer(callbacks=[LearningRateMonitor(logging_interval="step")])',
    ("learning-rate", "hf"): "TrainingArguments(output_dir, logging_steps=50)  # logs learning_rate",
    ("learning-rate", "keras"): 'tf.summary.scalar("learning_rate", model.optimizer.learning_rate, step=epoch)  # in a callback, inside writer.as_default()',
    ("learning-rate", "tf"): 'tf.summary.scalar("learning_rate", optimizer.learning_rate, step=step)',
    ("learning-rate", "flax"): 'summary_writer.scalar("train_learning_rate", schedule(step), step)',
    ("learning-rate", "sb3"): 'self.logger.record("train/learning_rate", self.model.policy.optimizer.param_groups[0]["lr"])  # in a BaseCallback',
    ("learning-rate", "fastai"): "learn.add_cb(TensorBoardCallback(log_dir, log_preds=False))  # logs lr_0",
    ("gradient-statistics", "writer"): _NORM.format(parameters="model.parameters()") + '\nwriter.add_scalar("train/grad_norm", norm, step)',
    ("gradient-statistics", "lightning"): "from lightning.pytorch.utilities import grad_norm\n\n"
    "def on_before_optimizer_step(self, optimizer):\n    self.log_dict(grad_norm(self, norm_type=2))",
    ("gradient-statistics", "hf"): "TrainingArguments(output_dir, max_grad_norm=1.0)  # logs grad_norm",
    ("gradient-statistics", "keras"): 'tf.summary.scalar("grad_norm", tf.linalg.global_norm(gradients), step=step)  # in train_step, after tape.gradient',
    ("gradient-statistics", "tf"): 'tf.summary.scalar("grad_norm", tf.linalg.global_norm(gradients), step=step)',
    ("gradient-statistics", "fastai"): "class LogGradNorm(Callback):\n    def after_backward(self):\n        "
    + _NORM.format(parameters="self.model.parameters()")
    + '\n        self.learn.tensor_board.writer.add_scalar("grad_norm", norm, self.train_iter)\n\nlearn.add_cb(LogGradNorm())',
    ("gradient-statistics", "mmengine"): 'optim_wrapper = dict(type="OptimWrapper", optimizer=optimizer, clip_grad=dict(max_norm=1e9))  # logs grad_norm',
    ("gradient-statistics", "sb3"): "class LogGradNorm(BaseCallback):  # the norm after clipping by max_grad_norm\n"
    "    def _on_step(self):\n        return True\n\n    def _on_rollout_start(self):\n"
    "        norms = [p.grad.norm() for p in self.model.policy.parameters() if p.grad is not None]\n"
    '        if norms:\n            self.logger.record("train/grad_norm", float(torch.stack(norms).norm()))',
    ("gradient-statistics", "flax"): 'summary_writer.scalar("grad_norm", optax.global_norm(grads), step)',
    ("gradient-statistics", "detectron2"): _NORM.format(parameters="model.parameters()") + '\nget_event_storage().put_scalar("grad_norm", norm)',
    ("prediction-samples", "writer"): _COUNTS
    + f'writer.add_scalar(f"{_SHARE}", share, step)\nwriter.add_scalar("val/confidence", probabilities.max(dim=1).values.mean(), step)',
    ("prediction-samples", "lightning"): _COUNTS
    + f'self.log(f"{_SHARE}", share)\nself.log("val/confidence", probabilities.max(dim=1).values.mean())',
    ("prediction-samples", "hf"): "def compute_metrics(eval_prediction):\n"
    "    predictions = eval_prediction.predictions.argmax(-1).ravel()\n"
    "    counts = np.bincount(predictions, minlength=classes) / len(predictions)\n"
    '    return {f"pred_share/class_{i}": float(share) for i, share in enumerate(counts)}',
    ("prediction-samples", "keras"): 'tf.summary.histogram("predictions", model.predict(x_val).argmax(axis=1), step=epoch)  # in a callback, inside writer.as_default()',
    ("prediction-samples", "tf"): 'tf.summary.histogram("predictions", tf.argmax(logits, axis=1), step=step)',
    ("prediction-samples", "flax"): 'summary_writer.histogram("predictions", logits.argmax(-1), step)',
    ("prediction-samples", "fastai"): "probabilities, _ = learn.get_preds()\n"
    "counts = torch.bincount(probabilities.argmax(dim=1), minlength=classes) / len(probabilities)\nfor i, share in enumerate(counts):\n"
    f'    learn.tensor_board.writer.add_scalar(f"{_SHARE}", share, learn.train_iter)',
    ("config", "writer"): 'writer.add_hparams({"lr": lr, "batch_size": batch_size, "weight_decay": wd, "seed": seed}, {"val/loss": best})',
    ("config", "lightning"): "self.save_hyperparameters()  # in __init__",
    ("config", "hf"): 'TrainingArguments(output_dir, report_to="tensorboard")  # logs all arguments',
    ("config", "keras"): 'with tf.summary.create_file_writer(logdir).as_default():\n    hp.hparams({"lr": lr, "batch_size": batch_size, "seed": seed})  # tensorboard.plugins.hparams.api',
    ("config", "tf"): 'hp.hparams({"lr": lr, "batch_size": batch_size, "seed": seed})  # tensorboard.plugins.hparams.api',
    ("config", "mmengine"): 'visualizer = dict(type="Visualizer", vis_backends=[dict(type="TensorboardVisBackend")])  # logs the whole config',
    ("config", "sb3"): 'self.logger.record("hparams", HParam({"learning_rate": lr, "seed": seed}, {"rollout/ep_rew_mean": 0.0}))  # in a BaseCallback',
    ("config", "flax"): 'summary_writer.hparams({"learning_rate": lr, "batch_size": batch_size, "seed": seed})',
    ("config", "fastai"): 'learn.tensor_board.writer.add_hparams({"lr": lr, "batch_size": batch_size, "seed": seed}, {"valid_loss": best})',
    ("config", "detectron2"): 'SummaryWriter(cfg.OUTPUT_DIR).add_text("config", cfg.dump())',
    ("seed", "lightning"): "seed_everything(seed)\nself.hparams.seed = seed\nself.save_hyperparameters(self.hparams)",
    ("seed", "hf"): "TrainingArguments(output_dir, seed=seed)  # logged with all arguments",
    ("best-checkpoint", "lightning"): 'Trainer(callbacks=[ModelCheckpoint(monitor="val_loss")])\nself.logger.experiment.add_text("best_checkpoint", trainer.checkpoint_callback.best_model_path)',
    ("best-checkpoint", "hf"): 'TrainingArguments(output_dir, load_best_model_at_end=True, eval_strategy="steps", save_strategy="steps")\n\n'
    "class LogBest(TensorBoardCallback):  # Trainer(callbacks=[LogBest()]), with report_to='none'\n"
    "    def on_train_end(self, args, state, control, **kwargs):\n"
    '        self.tb_writer.add_text("best_checkpoint", str(state.best_model_checkpoint))\n'
    "        super().on_train_end(args, state, control, **kwargs)",
}  # fmt: skip
"""(artefact, family) -> lines, where a framework does it in its own way."""


def find_family(features: Features) -> str:
    """The family of frameworks that wrote a log, ``"writer"`` where none is known."""
    name = features.signals.framework.lower()
    known = next((family for family, words in FAMILIES if any(word in f"{name} " for word in words)), None)
    return known or ("tf" if uses_tensorflow(features) else "writer")


def choose_snippet(artefact: str, family: str) -> str:
    """The lines that log an artefact of `tbdiag.features.evidence.ARTEFACTS` in a family of frameworks."""
    own = OWN.get((artefact, family))
    if own is not None:
        return own
    if artefact in TEXTS:
        tag, value = TEXTS[artefact]
        return TEXT[family].replace("{tag}", tag).replace("{value}", value)
    if artefact in SCALARS:
        return "\n".join(SCALAR[family].replace("{tag}", tag).replace("{value}", value) for tag, value in SCALARS[artefact])
    return OWN[artefact, "writer"]
