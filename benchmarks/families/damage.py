"""Accidents of the log itself: restarts, two writers, broken files, series never logged."""

import copy

from families import files, labels, logs


def part_of(trace, first, last, by=0.0):
    """The steps first..last-1 of a trace as one of their own; evaluations and looks with them; losses moved by a share."""
    t = copy.copy(trace)
    keep = lambda s: first < s <= last  # noqa: E731
    t.evals = [dict(e, val_loss=e["val_loss"] * (1 + by)) for e in trace.evals if keep(e["step"])]
    t.deep = [d for d in trace.deep if first <= d["step"] < last]
    t.keep = (first, last)
    t.loss = [q * (1 + by) for q in trace.loss]
    return t


def write_part(case, trace, root, start, first, last, shift=0.0, by=0.0):
    """Write only some steps, `shift` seconds later than the clock of the whole run says."""
    t = part_of(trace, first, last, by)
    real = logs.folded
    logs.folded = lambda v, fold, every, per=0: [(i, q) for i, q in real(v, fold, every, per) if first <= i < last]
    try:
        seen = logs.write(t, case.conv, case.extras, root, start + shift, case.side)
    finally:
        logs.folded = real
    return seen


def write(case, trace, root, start):
    """Write the log and let the accident happen; returns what was seen of the whole run."""
    n, conv = len(trace.loss), case.conv
    seen = logs.write(trace, conv, case.extras, root.parent / "whole", start, case.side)
    import shutil

    shutil.rmtree(root.parent / "whole")
    if not conv.every:
        per = trace.setup.steps_per_epoch
        half, back, fourth, fifth = (int(n * q) // per * per for q in (0.6, 0.4, 0.8, 0.2))
    else:
        half, back, fourth, fifth = (int(n * q) for q in (0.6, 0.4, 0.8, 0.2))
    stage = root.parent / "stage"
    pieces = {
        "resume_old_steps": [(0, half, 0.0, 0.0), (back, n, 4000.0, 0.02)],
        "two_writers": [(0, n, 0.0, 0.0), (0, n, 900.0, 0.12)],
        "restarted_from_zero": [(0, half, 0.0, 0.0), (0, n, 9000.0, 0.03)],
        "resumed_cleanly": [(0, half, 0.0, 0.0), (half, n, 600.0, 0.0)],
        "resumed_with_purge": [(0, half, 0.0, 0.0), (half, n, 900.0, 0.0)],
        "resumed_next_day": [(0, half, 0.0, 0.0), (half, n, 72000.0, 0.0)],
        "three_resumes": [(0, half, 0.0, 0.0), (back, fourth, 1500.0, 0.0), (half, n, 3000.0, 0.0)],
        "crash_loop": [(0, back, 0.0, 0.0), (fifth, half, 700.0, 0.01), (back, fourth, 1500.0, 0.0), (half, n, 2400.0, 0.01)],
        "rolled_back_far": [(0, fourth, 0.0, 0.0), (fifth, n, 2500.0, 0.01)],
        "second_half_done_again": [(0, fourth, 0.0, 0.0), (back, n, 6500.0, 0.015)],
        "begun_three_times": [(0, fifth, 0.0, 0.0), (0, back, 1200.0, 0.02), (0, n, 5000.0, 0.04)],
        "writers_of_two_ranks": [(0, n, 0.0, 0.0), (0, n, 3.0, 0.05)],
    }.get(case.damage, [(0, n, 0.0, 0.0)])
    for k, (first, last, shift, by) in enumerate(pieces):
        write_part(case, trace, stage, start, first, last, shift, by)
        files.settle(stage, start + shift + (trace.wall[first] if first else 0.0), case.index + k)
        for p in sorted(stage.rglob("events*")):
            to = root / p.relative_to(stage)
            to.parent.mkdir(parents=True, exist_ok=True)
            p.rename(to.with_name(to.name + (f".{k}" if to.exists() else "")))
        shutil.rmtree(stage)
    if hasattr(files, case.damage):
        getattr(files, case.damage)(root)
    return seen


TABLE = {
    "resume_old_steps": (["restart-overlap"], ["spikes", "stalled", "sudden-shift", "unconverged", "instability"]),
    "two_writers": (["restart-overlap"], ["instability", "noisy-validation", "spikes", "sudden-shift", "truncated-log", "unconverged"]),
    "restarted_from_zero": (["restart-overlap"], ["spikes", "stalled", "sudden-shift", "unconverged", "instability"]),
    "cut_tail": (["truncated-log"], ["unconverged"]),
    "flip_bits": (["truncated-log"], ["unconverged", "stalled", "missing-evidence"]),
    "zero_hole": (["truncated-log"], ["unconverged", "stalled", "missing-evidence"]),
    "lose_half_of_last": (["truncated-log"], ["unconverged", "missing-evidence", "lr-schedule"]),
    "train_loss_only": (["missing-evidence"], ["unconverged"]),
    "loss_and_time_only": (["missing-evidence"], ["unconverged"]),
    "three_resumes": (["restart-overlap"], ["spikes", "stalled", "sudden-shift", "unconverged", "instability"]),
    "crash_loop": (["restart-overlap"], ["spikes", "stalled", "sudden-shift", "unconverged", "instability"]),
    "garbage_tail": (["truncated-log"], ["unconverged"]),
    "cut_in_a_header": (["truncated-log"], ["unconverged"]),
    "bad_length": (["truncated-log"], ["unconverged", "stalled", "missing-evidence", "lr-schedule"]),
    "no_validation": (["missing-evidence"], ["unconverged"]),
    "clock_set_back": ([], ["unconverged", "stalled"]),
    "empty_second_file": ([], ["unconverged"]),
    "written_twice": ([], ["unconverged", "restart-overlap"]),
    "other_rank": ([], ["unconverged"]),
    "resumed_next_day": ([], ["unconverged", "stalled"]),
    "resumed_cleanly": ([], ["unconverged", "stalled"]),
    "resumed_with_purge": ([], ["unconverged", "stalled"]),
    "rolled_back_far": (["restart-overlap"], ["spikes", "stalled", "sudden-shift", "unconverged", "instability"]),
    "second_half_done_again": (["restart-overlap"], ["spikes", "stalled", "sudden-shift", "unconverged", "instability"]),
    "begun_three_times": (["restart-overlap"], ["spikes", "stalled", "sudden-shift", "unconverged", "instability"]),
    "writers_of_two_ranks": (["restart-overlap"], ["instability", "noisy-validation", "spikes", "sudden-shift", "unconverged"]),
    "copied_too_early": (["truncated-log"], ["unconverged", "missing-evidence", "lr-schedule"]),
    "lost_block": (["truncated-log"], ["unconverged", "stalled", "missing-evidence", "lr-schedule"]),
    "zeros_at_the_end": (["truncated-log"], ["unconverged"]),
}


def decide(case, f, trace, seen):
    """Labels of accidents follow from what was done to the bytes; the training itself has to be healthy."""
    st, lo = labels.strict(f, {}, True), labels.loose(f, {})
    if st - {"unconverged", "val-better"}:
        return None
    primary, allowed = TABLE[case.damage]
    return {
        "primary": primary,
        "alt": {},
        "allowed": sorted((set(allowed) | lo & labels.HEALTHY_ALLOWED | st) - set(primary)),
        "strict": sorted(st),
        "loose": sorted(lo),
    }
