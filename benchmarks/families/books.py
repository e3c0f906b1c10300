"""Books that write through other packages' own loggers, their clock replaced by the simulated one."""

import contextlib
import json
import os
import types
from unittest import mock

import numpy as np
from torch.utils.tensorboard import writer

from families.logs import Book


class PatchedBook(Book):
    """`put` under the simulated clock; subclasses say how one value is written."""

    def __init__(self, conv, root, start):
        super().__init__(conv, root, start)
        self.loggers = {}

    @contextlib.contextmanager
    def at(self, wall):
        clock = types.SimpleNamespace(time=lambda: self.start + wall)
        with mock.patch.object(writer, "time", clock):  # in torch's writer only: threads elsewhere need the real clock
            yield

    def logger(self, sub, wall):
        if sub not in self.loggers:
            with self.at(wall):
                self.loggers[sub] = self.make(sub)
        return self.loggers[sub]

    def put(self, tag, value, x, wall, sub=""):
        if not tag or value is None:
            return
        v = round(float(value), self.conv.digits) if self.conv.digits and np.isfinite(value) else float(value)
        logger = self.logger(sub, wall)
        with self.at(wall):
            self.one(logger, tag, v, int(x))


class TensorboardXBook(PatchedBook):
    """tensorboardX; its values carry their wall time."""

    def put(self, tag, value, x, wall, sub=""):
        if tag and value is not None:
            self.logger(sub, wall).add_scalar(tag, float(value), int(x), walltime=self.start + wall)

    def make(self, sub):
        from tensorboardX import SummaryWriter

        return SummaryWriter(str(self.root / self.conv.top / sub))

    def histogram(self, tag, values, x, wall, sub=""):
        self.logger(sub, wall).add_histogram(tag, values, int(x), walltime=self.start + wall)

    def text(self, sub, text):
        self.logger(sub, 0.0).add_text(self.conv.text, text, 0, walltime=self.start)

    def hparams(self, values, best):
        pass

    def close(self):
        for w in self.loggers.values():
            w.close()


class LightningBook(PatchedBook):
    """Lightning's TensorBoardLogger, `logs/lightning_logs/version_0`."""

    def make(self, sub):
        from lightning.pytorch.loggers import TensorBoardLogger

        return TensorBoardLogger(str(self.root), version=0)

    def one(self, logger, tag, v, x):
        logger.log_metrics({tag: v}, x)

    def histogram(self, tag, values, x, wall, sub=""):
        logger = self.logger(sub, wall)
        with self.at(wall):
            logger.experiment.add_histogram(tag, values, int(x))

    def text(self, sub, text):
        logger = self.logger(sub, 0.0)
        with self.at(0.0):
            logger.log_hyperparams(json.loads(text))

    def hparams(self, values, best):
        pass

    def close(self):
        for w in self.loggers.values():
            w.finalize("success")


class TransformersBook(PatchedBook):
    """The Transformers Trainer's TensorBoardCallback; tags are keys of its `logs` (loss, eval_loss ...)."""

    def make(self, sub):
        from transformers import TrainerControl, TrainerState, TrainingArguments
        from transformers.integrations import TensorBoardCallback

        where = self.root / "runs" / "Oct04_09-12-55_gpu2"
        os.environ["TENSORBOARD_LOGGING_DIR"] = str(where)
        s = self.setup
        args = TrainingArguments(
            output_dir="outputs",
            report_to=[],
            use_cpu=True,
            learning_rate=s.lr,
            num_train_epochs=s.epochs,
            per_device_train_batch_size=s.batch,
            gradient_accumulation_steps=s.accum,
            max_grad_norm=s.clip or 0.0,
            weight_decay=s.wd,
            seed=s.seed,
            logging_nan_inf_filter=False,
            logging_steps=self.conv.every or 500,
        )
        state, control = TrainerState(is_world_process_zero=True), TrainerControl()
        call = TensorBoardCallback()
        call.on_train_begin(args, state, control)
        return call, args, state, control

    def one(self, logger, tag, v, x):
        call, args, state, control = logger
        state.global_step = x
        call.on_log(args, state, control, logs={tag: v})

    def histogram(self, tag, values, x, wall, sub=""):
        pass

    def text(self, sub, text):
        pass

    def hparams(self, values, best):
        pass

    def close(self):
        for call, args, state, control in self.loggers.values():
            call.on_train_end(args, state, control)


class AccelerateBook(PatchedBook):
    """Accelerate's TensorBoardTracker."""

    def make(self, sub):
        from accelerate.tracking import TensorBoardTracker

        tracker = TensorBoardTracker("finetune", str(self.root))
        if hasattr(tracker, "start"):
            tracker.start()
        return tracker

    def one(self, logger, tag, v, x):
        logger.log({tag: v}, step=x)

    def histogram(self, tag, values, x, wall, sub=""):
        pass

    def text(self, sub, text):
        logger = self.logger(sub, 0.0)
        with self.at(0.0):
            logger.store_init_configuration({k: v for k, v in json.loads(text).items() if v is not None})

    def hparams(self, values, best):
        pass

    def close(self):
        for w in self.loggers.values():
            w.finish()


BOOKS = {"tensorboardx": TensorboardXBook, "lightning": LightningBook, "hf": TransformersBook, "accelerate": AccelerateBook}
