"""Families of labelled trainings: real ones in PyTorch, with faults and with healthy shapes that are easily misjudged.

    python3 -m venv /tmp/families && /tmp/families/bin/pip install torch==2.13.0 numpy scikit-learn tensorboard
    cd benchmarks && /tmp/families/bin/python -m families.generate OUT --split dev
    cd benchmarks && /tmp/families/bin/python -m families.generate OUT --split dev --special
    /tmp/families/bin/pip install lightning transformers accelerate tensorboardX    # for the later splits
    cd benchmarks && /tmp/families/bin/python -m families.generate OUT --split dev3
    cd benchmarks && /tmp/families/bin/python -m families.generate OUT --split dev4

Each case is ``OUT/NAME/logs`` (event files, written by torch's own SummaryWriter, the clock simulated) and ``OUT/NAME/label.json`` (as
`benchmarks/accuracy.py` reads it). Torch is no dependency of the project, so no test runs this; the same arguments give the same runs.

The generator was written by an examiner who had not read the detectors, their thresholds or the other generator's faults
(`benchmarks/generate.py`), so that what it finds is not what the detectors were made to find. The splits `dev` and `sealed` share neither tasks nor
mechanisms (but the plain training and the fine-tuning from a good start) nor conventions of logging; `sealed` is for scoring only.
A second examiner, who had read neither the detectors nor the results, added `dev3` and `sealed3`: again other tasks, mechanisms and
conventions than all splits before, among them losses of several parts, validation by scores only, perplexities, evaluation by an average
of the weights, and logs written by the loggers of Lightning, Transformers, Accelerate and tensorboardX themselves; `sealed3` is for scoring only.
A third examiner added `dev4` and `sealed4`, which are meant to be representative: the mix of symptoms, the share of sound runs and the sizes
of the logs are those of the labelled runs that the project started from (`plan4.WANTED`), with tasks and mechanisms of their own again.
A fourth examiner added `sealed5` in the same way, half as large: seven other tasks, other mechanisms, and conventions that are mostly of the
kind that people write for themselves; its labels follow the rules of `sealed4`, and it is for scoring only.
`dev5` came next, by an examiner who had read neither the detectors nor any result: eight tasks on sequences, sets, graphs and pictures, mistakes
of loaders, reductions, schedules and optimisers, and conventions of its own.  Its labels follow the rules of `sealed5` and those of
`plan_dev5.Mended`.
`sealed6` is by one more independent examiner, with the rules of `sealed5` and nine tenths of `plan4.WANTED`: nine other tasks, other mechanisms,
and twelve conventions of frameworks as people use them and of names that people make up.  It is for scoring only.
`sealed7` follows `sealed6` with half of `plan4.WANTED`, two of most symptoms: seven tasks on strokes, weather, grasps, dates, heat, routes and
melodies, fifty-four mechanisms, and twelve conventions.  It is small, quick to make, and for scoring only as well.
`sealed8` is by another independent examiner, with the rules of `dev5` and `sealed7`: eight tasks on addresses, nights, crowds, captions, binding,
splice sites, molecules as text and parcels, sixty-two mechanisms, thirteen conventions, a hundred and twenty cases.  It takes ten minutes to make
and is for scoring only.
`sealed9` is by an examiner who wrote it as the counterpart of the labelled runs that the project started from: their proportions of symptoms,
but other tasks (sprites, movements, loans, code, a flow, patches in codes, answers in a text, fuel), causes and names; thirteen conventions, two
of them with axes of their own (thousandths of an epoch, tokens).  It takes ten minutes to make and is for scoring only.
`sealed10` is by one more independent examiner, again with the proportions of the labelled runs of the start and a third of it sound: six other
tasks (dials, grain, waiting times, recipes, calls of birds, profiles of hills), sixty-five other mechanisms, twelve conventions of frameworks
and of people, a hundred and eighteen cases.  It takes five minutes to make and is for scoring only.
`sealed11` is by an examiner who wrote it once more as the closed counterpart of the first labelled runs: nine other tasks (pulses, gases,
knitting, films, winds, welds, carpets, leaves, fruit; one loss is below zero and one a bound in nats), seventy-eight mechanisms, and fifteen
conventions, among them Chinese names, names that are keys with values, and an axis of micro-steps.  It holds a hundred and thirty-one cases, a
third of them sound, takes six minutes to make, and is for scoring only.
`sealed12` is by another independent examiner, once more with the proportions of the first labelled runs: eight other tasks (stars, an editor's
keys, panels, tiles, wafers, veins, reviews, gaits), ninety mechanisms, and fourteen conventions, among them loaders with an index, files
that say log-likelihood instead of loss, and curves of both splits under one name.  It takes eight minutes to make and is for scoring only.
`sealed13` is by one more independent examiner, as a closed counterpart of the first labelled runs with their proportions and sizes: eight
other tasks (sums of pictured digits, a disease, diagnoses, verse, stress, rare calls, tides, spirals; two are data of scikit-learn), causes of
its own, and fifteen conventions.  It takes about seven minutes to make and is for scoring only.
`sealed14` is by another independent examiner, as one more closed counterpart of the first labelled runs: eight other tasks (tremors, a game of
cells, forests, concrete, missed visits, command lines, sugar, a student of a teacher), ninety-eight causes and sixteen conventions of its own, a
hundred and thirty cases or so of which a third is sound.  It takes about seven minutes to make and is for scoring only.
`sealed15` is by another independent examiner, written in the same way: eight other tasks (turned digits, languages, rented bicycles, slides,
openings, tones, punctuation, glass; one is data of scikit-learn), a hundred and two causes and eighteen conventions of its own, with the
proportions of the first labelled runs.  It takes about fifteen minutes on one core and is for scoring only.
`sealed16` is by another independent examiner, written in the same way: nine other tasks (mushrooms, chords, batteries, fingerprints, a river,
tickets, helices, drums, demand for power; one loss is that of quantiles), eighty-seven causes and eighteen conventions of its own, with
the proportions of the first labelled runs.  It takes about six minutes on one core and is for scoring only.
`sealed17` is by another independent examiner, written in the same way: ten other tasks (beans, used cars, Morse, the moon, dances, comments,
trips, spectra, roads, paints; one loss is Huber's), eighty-nine causes and eighteen conventions of its own, with the proportions of the first
labelled runs.  It takes about ten minutes on one core and is for scoring only.
`sealed18` is by another independent examiner, written in the same way: ten other tasks (signs, pumps, abalones, names, sounds of letters, eyes,
ratings, colours, questions, lesions; one loss is absolute, one has two parts), about a hundred causes and nineteen conventions of its own, with
the proportions of the first labelled runs.  It takes about ten minutes on one core and is for scoring only.
`sealed19` is by another independent examiner, written in the same way: eleven other tasks (penguins, garments, headlines, gazes, genomes, pupils,
coughs, flights, steering, traffic, X-rays; one loss is absolute, one is over five findings, one has two parts), about a hundred causes and nineteen
conventions of its own, with the proportions of the first labelled runs.  It takes about ten minutes on one core and is for scoring only.
`sealed20` is by another independent examiner, written in the same way: eleven other tasks (muscles, census, shops, blood, captchas, football, blur,
air, tweets, galaxies, streets; one loss is a logarithm of a cosine, one is over six things heard), about a hundred causes and twenty conventions of
its own, with the proportions of the first labelled runs.  It takes about ten minutes on one core and is for scoring only.

- `tasks_*`: the problems; `nets`: their models; `setups`: what a mechanism may change; `training`: the loop
- `faults_*`, `healthy_*`: one function a mechanism, its docstring says what is done
- `conventions*`: tag names and layouts; `logs`: the writing; `books`: writing through other packages; `files`, `damage`: restarts, two writers, broken files
- `facts`: what is measured on a training and its healthy twin of the same seed; `labels`, `onsets`: the rules from facts to a label
- `later`, `later4`: rules of labels that hold for the later splits only (`later4` from the fourth on), so that the labels of the older ones stay as they are
- `special*`: reinforcement learning and adversarial nets, with rules of their own
- `plan`, `plan3`, `plan4`, `plan5`, `plan_*5`, `plan_*6`, `plan_*7`, `plan_*8`, `plan_*9`, `plan_*10`, `plan_*11`, `plan_*12`, `plan_*13`, `plan_*14`, `plan_*15`, `plan_*16`, `plan_*17`, `plan_*18`, `plan_*19`, `plan_*20`: which training is written how; `generate`: the command line

A label is what shows in the log: ids follow from measured facts by the rules in `labels`, not from what was injected, and a training on
which nothing shows is left out.
"""
