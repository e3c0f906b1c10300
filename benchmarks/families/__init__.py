"""Families of labelled trainings: real ones in PyTorch, with faults and with healthy shapes that are easily misjudged.

    python3 -m venv /tmp/families && /tmp/families/bin/pip install torch==2.13.0 numpy scikit-learn tensorboard
    cd benchmarks && /tmp/families/bin/python -m families.generate OUT --split dev
    cd benchmarks && /tmp/families/bin/python -m families.generate OUT --split dev --special

Each case is ``OUT/NAME/logs`` (event files, written by torch's own SummaryWriter, the clock simulated) and ``OUT/NAME/label.json`` (as
`benchmarks/accuracy.py` reads it). Torch is no dependency of the project, so no test runs this; the same arguments give the same runs.

The generator was written by an examiner who had not read the detectors, their thresholds or the other generator's faults
(`benchmarks/generate.py`), so that what it finds is not what the detectors were made to find. The two splits share neither tasks nor
mechanisms (but the plain training and the fine-tuning from a good start) nor conventions of logging; `sealed` is for scoring only.

- `tasks_dev`, `tasks_sealed`: the problems; `nets`: their models; `setups`: what a mechanism may change; `training`: the loop
- `faults_*`, `healthy_*`: one function a mechanism, its docstring says what is done
- `conventions`: tag names and layouts; `logs`: the writing; `files`, `damage`: restarts, two writers, broken files
- `facts`: what is measured on a training and its healthy twin of the same seed; `labels`, `onsets`: the rules from facts to a label
- `special`, `special_cases`: reinforcement learning and adversarial nets, with rules of their own
- `plan`: which training is written how; `generate`: the command line

A label is what shows in the log: ids follow from measured facts by the rules in `labels`, not from what was injected, and a training on
which nothing shows is left out.
"""
