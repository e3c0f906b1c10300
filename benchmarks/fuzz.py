"""Structured fuzzer of the event file reader.

    python benchmarks/fuzz.py --inputs 200000 --seed 0          (some 20 to 40 minutes on one core)

Each input is a small file of real records (every kind of summary that writers produce), mutated at one of three levels: bytes (flips,
holes, garbage, cuts), frames (records dropped, repeated, swapped, cut and written on) and protos (a payload changed or made up, its
checksum made right again). Checked for every input:

- no exception, and no more time than `SECONDS_PER_INPUT`;
- no more memory than `MEMORY_BYTES` (address space, over all inputs);
- every point of every record that was not touched comes back bit for bit and in order, and nothing is made up by byte damage.
"""

from __future__ import annotations

import argparse
import random
import resource
import struct
import sys
import time
from collections import Counter
from itertools import accumulate
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parent))

import inputs as make

from tbdiag.events.columns import FileColumns
from tbdiag.events.reader import read_events
from tbdiag.events.source import BytesSource

SECONDS_PER_INPUT = 10.0
MEMORY_BYTES = 1 << 30

Point = tuple[str, bytes, int, bytes]


def points_of(columns: FileColumns) -> list[tuple[int, Point]]:
    """Every point with its place in the file, in file order."""
    found: list[tuple[int, Point]] = []
    for tag, points in columns.scalars.items():
        for place, step, wall, value in zip(points.position.tolist(), points.step.tolist(), points.wall_time, points.value, strict=True):
            found.append((place, ("scalar", tag, step, wall.tobytes() + value.tobytes())))
    for kind, table in (("histo", columns.histos), ("tensor", columns.histogram_tensors)):
        for tag, h in table.items():
            for i in range(h.step.size):
                a, b = int(h.offset[i]), int(h.offset[i + 1])
                bits = h.wall_time[i].tobytes() + h.right[a:b].tobytes() + h.count[a:b].tobytes()
                found.append((int(h.position[i]), (kind, tag, int(h.step[i]), bits)))
    for kind, items_of in (("text", columns.texts), ("media", columns.media), ("array", columns.tensors)):
        for tag, items in items_of.items():
            for place, step, wall, value in zip(items.position, items.step, items.wall_time, items.value, strict=True):
                bits = value.encode() if isinstance(value, str) else value.tobytes() if value is not None else b""
                found.append((place, (kind, tag, step, struct.pack("<d", wall) + bits)))
    return sorted(found, key=lambda pair: pair[0])


def seed_records(rng: random.Random) -> list[bytes]:
    """Frames of one small file."""
    if rng.random() < 0.03:
        return regular_records(rng)
    parts = [make.simple(t) for t in make.tags(rng.randint(1, 4))]
    parts += [make.tensor("keras/loss")] if rng.random() < 0.5 else []
    frames = [make.opening()]
    regular = rng.random() < 0.5
    for step in range(rng.choice([3, 10, 40, 90])):
        order = parts if regular else rng.sample(parts, len(parts))
        frames += [make.event(1.7e9 + step, step, before + struct.pack("<f", rng.gauss(0, 1)) + after) for before, after in order]
        if rng.random() < 0.1:
            frames.append(odd_record(rng, step))
    return frames


def regular_records(rng: random.Random) -> list[bytes]:
    """Frames of a loop that is long enough to be read as blocks, in some files with images between."""
    parts = [rng.choice([make.simple, make.tensor])(t) for t in make.tags(rng.randint(2, 6))]
    frames = [make.opening()]
    first, every, phase = rng.choice([0, 100, 16_300]), rng.choice([0, 0, 40]), rng.randrange(len(parts))
    for step in range(first, first + rng.choice([120, 250])):
        for k, (before, after) in enumerate(parts):
            if every and step % every == 0 and k == phase:
                picture = make.field(4, b"\x08\x01" + make.field(4, bytes(70_000)))
                frames.append(make.event(1.7e9 + step, step, make.field(5, make.field(1, make.field(1, b"picture") + picture))))
            frames.append(make.event(1.7e9 + step, step, before + struct.pack("<f", rng.random()) + after))
    return frames


def odd_record(rng: random.Random, step: int) -> bytes:
    """A record that is no scalar."""
    field, kind = make.field, rng.randrange(6)
    if kind == 0:
        k = rng.randint(0, 5)
        doubles = b"".join(struct.pack("<d", float(i)) for i in range(k))
        moments = b"".join(bytes([i << 3 | 1]) + struct.pack("<d", 1.0 + i) for i in range(1, 6))
        rest = field(5, field(1, field(1, b"grads") + field(5, moments + field(6, doubles) + field(7, doubles))))
    elif kind == 1:
        body = b"\x08\x02" + field(2, field(2, b"\x08\x02") + field(2, b"\x08\x03")) + field(4, struct.pack("<6d", *range(6)))
        rest = field(5, field(1, field(1, b"weights") + field(8, body) + field(9, field(1, field(1, b"histograms")))))
    elif kind == 2:
        body = b"\x08\x07" + field(2, b"") + field(8, b"learning rate 0.1")
        rest = field(5, field(1, field(1, b"config") + field(8, body) + field(9, field(1, field(1, b"text")))))
    elif kind == 3:
        rest = field(5, field(1, field(1, b"picture") + field(4, b"\x08\x01" + field(4, rng.randbytes(rng.choice([20, 3000, 70_000]))))))
    elif kind == 4:
        rest = field(7, b"\x08\x01")
    else:
        rest = field(4, rng.randbytes(100))
    return make.event(1.7e9 + step, step, rest)


def damage(rng: random.Random, part: bytes) -> bytes:
    """The same number of bytes, changed."""
    data = bytearray(part)
    for _ in range(rng.choice([1, 1, 1, 2, 8])):
        at, kind = rng.randrange(len(data)), rng.randrange(4)
        run = data[at : at + rng.choice([1, 1, 4, 8, 64])]
        if kind == 0:
            data[at] ^= 1 << rng.randrange(8)
        elif kind == 1:
            data[at : at + len(run)] = bytes(len(run))
        elif kind == 2:
            data[at : at + len(run)] = rng.randbytes(len(run))
        else:
            data[at : at + len(run)] = b"\xff" * len(run)
    return bytes(data)


def mutate_proto(rng: random.Random, frame: bytes) -> bytes:
    """A frame whose checksums are right and whose payload was changed."""
    payload = bytearray(frame[12:-4])
    kind = rng.randrange(5)
    if kind == 0 and payload:
        payload = bytearray(damage(rng, bytes(payload)))
    elif kind == 1:
        at = rng.randrange(len(payload) + 1)
        payload[at:at] = rng.randbytes(rng.randint(1, 12))
    elif kind == 2 and payload:
        at = rng.randrange(len(payload))
        del payload[at : at + rng.randint(1, 12)]
    elif kind == 3:
        payload = bytearray(rng.randbytes(rng.choice([0, 1, 10, 200])))
    else:
        payload += make.field(rng.choice([1, 2, 5, 7, 19]), rng.randbytes(rng.randint(0, 40)))
    return make.frame(bytes(payload))


def make_input(rng: random.Random) -> tuple[bytes, list[bytes], bool, list[bytes]]:
    """A mutated file, the frames in it that are whole and untouched in order, whether other points may be found in it, and its seed."""
    seed = seed_records(rng)
    frames = list(seed)
    k = rng.randrange(len(frames))
    kind = rng.randrange(9)
    if kind <= 1:
        changed = damage(rng, frames[k])
        rest = frames[:k] + frames[k + 1 :] if changed != frames[k] else frames
        return b"".join([*frames[:k], changed, *frames[k + 1 :]]), rest, False, seed
    if kind == 2:
        return b"".join([*frames[:k], mutate_proto(rng, frames[k]), *frames[k + 1 :]]), frames[:k] + frames[k + 1 :], True, seed
    if kind == 3:
        frames[k : k + 1] = [frames[k]] * rng.randint(0, 3)
        return b"".join(frames), frames, False, seed
    if kind == 4:
        garbage = rng.choice([bytes(rng.randint(1, 5000)), rng.randbytes(rng.randint(1, 5000))])
        return b"".join([*frames[:k], garbage, *frames[k:]]), frames, False, seed
    whole = b"".join(frames)
    ends = list(accumulate(map(len, frames)))
    cut = rng.randrange(len(whole) + 1)
    before = [f for f, end in zip(frames, ends, strict=True) if end <= cut]
    if kind == 5:
        return whole[:cut], before, False, seed
    if kind == 6:
        return whole[:cut] + whole, before + frames, False, seed
    if kind == 7:
        stop = min(len(whole), cut + rng.choice([1, 12, 300, 4096]))
        after = [f for f, end in zip(frames, ends, strict=True) if end - len(f) >= stop]
        return whole[:cut] + whole[stop:], before + after, False, seed
    header = struct.pack("<Q", rng.choice([1 << 20, 1 << 33, 1 << 62, (1 << 64) - 1]))
    return b"".join([*frames[:k], header + make.masked(header), *frames[k:]]), frames, False, seed


def check(rng: random.Random) -> None:
    """Make one input and read it.

    Raises:
        AssertionError: a promise was broken.
    """
    data, whole, more, seed = make_input(rng)
    began = time.perf_counter()
    got = [point for _, point in points_of(read_events(BytesSource(data)))]
    assert time.perf_counter() - began < SECONDS_PER_INPUT, "too slow"
    wanted = [point for _, point in points_of(read_events(BytesSource(b"".join(whole))))]
    before = {point for _, point in points_of(read_events(BytesSource(b"".join(seed))))} if got != wanted else set()
    if more:
        # A made-up record may say something of its own tag: another dtype, another plugin.
        new = Counter(got) - Counter(wanted)
        missing = [p for p in Counter(wanted) - Counter(got) if p[1] not in {q[1] for q in new}]
        assert not missing, f"an untouched point is missing: {missing[:3]}"
    elif got != wanted:
        # Where bytes were taken out, two halves of a record may meet and make it whole again; it is then one of the seed's, and where the
        # byte before the cut equals the one behind it, it may be whole in place of its neighbour.
        extra, missing = Counter(got) - Counter(wanted), Counter(wanted) - Counter(got)
        assert all(p in before for p in extra), "a point was made up"
        assert extra.total() <= 1, "points count twice"
        assert missing.total() <= extra.total(), "an untouched point is missing"
        moved = {*extra, *missing}
        assert [p for p in got if p not in moved] == [p for p in wanted if p not in moved], "the order is another"


def main() -> None:
    parser = argparse.ArgumentParser(description="Fuzz the event file reader.")
    parser.add_argument("--inputs", type=int, default=200_000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    began = time.perf_counter()
    for number in range(options.inputs):
        try:
            check(random.Random(f"{options.seed}/{number}"))
        except BaseException:
            print(f"input {number} of seed {options.seed} failed", file=sys.stderr)
            raise
        if number % 10_000 == 9_999:
            print(f"{number + 1:,} inputs in {time.perf_counter() - began:.0f} s", flush=True)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(f"{options.inputs:,} inputs, no crash, no hang, no lost point; peak memory {peak} MB")


if __name__ == "__main__":
    main()
