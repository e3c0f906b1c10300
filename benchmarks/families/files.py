"""Event files as bytes: wall times of the simulated clock, names, and the accidents that befall files."""

import struct
from pathlib import Path

from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.tensorflow_stub.pywrap_tensorflow import masked_crc32c


def records(data):
    """Payloads of an intact event file."""
    at = 0
    while at < len(data):
        (n,) = struct.unpack_from("<Q", data, at)
        yield data[at + 12 : at + 12 + n]
        at += 16 + n


def framed(payload):
    """One record with its checksums."""
    head = struct.pack("<Q", len(payload))
    return head + struct.pack("<I", masked_crc32c(head)) + payload + struct.pack("<I", masked_crc32c(payload))


def settle(root, start, seed):
    """Give records written by the real clock the simulated one, and files names that repeat."""
    for i, path in enumerate(sorted(Path(root).rglob("events.out.tfevents.*"))):
        out, last = [], start
        for payload in records(path.read_bytes()):
            e = Event.FromString(payload)
            if abs(e.wall_time - start) > 5e6:  # no simulated run is two months long
                e.wall_time = last
            last = max(last, e.wall_time)
            out.append(framed(e.SerializeToString()))
        path.unlink()
        path.with_name(f"events.out.tfevents.{int(start)}.host{seed % 7}.{1000 + seed % 9000}.{i}").write_bytes(b"".join(out))


def main_file(root):
    """The largest event file."""
    return max(sorted(Path(root).rglob("events.out.tfevents.*")), key=lambda p: p.stat().st_size)


def cut_tail(root):
    """The process was killed while it wrote: the last record lacks its end."""
    p = main_file(root)
    p.write_bytes(p.read_bytes()[:-11])


def zero_hole(root):
    """A block of the disk came back as zeros in the middle of the file."""
    p = main_file(root)
    d = bytearray(p.read_bytes())
    a = int(len(d) * 0.6)
    d[a : a + 512] = bytes(512)
    p.write_bytes(bytes(d))


def flip_bits(root):
    """Some bits of one record turned over in a copy."""
    p = main_file(root)
    d = bytearray(p.read_bytes())
    at, stop = 0, int(len(d) * 0.5)
    while at < stop:
        (n,) = struct.unpack_from("<Q", d, at)
        last, at = at, at + 16 + n
    d[last + 12 + 3] ^= 0x5A
    p.write_bytes(bytes(d))


def lose_half_of_last(root):
    """The quota was full: the file ends inside a record at three quarters."""
    p = main_file(root)
    d = p.read_bytes()
    at = 0
    while at < len(d) * 0.75:
        (n,) = struct.unpack_from("<Q", d, at)
        last, at = at, at + 16 + n
    p.write_bytes(d[: last + 14])


def garbage_tail(root):
    """A crashed file system left a block of rubbish after the last record."""
    p = main_file(root)
    p.write_bytes(p.read_bytes() + bytes((i * 73 + 41) % 256 for i in range(300)))


def cut_in_a_header(root):
    """The file ends inside the length field of a record, at 92 %."""
    p = main_file(root)
    d = p.read_bytes()
    at = 0
    while at < len(d) * 0.92:
        (n,) = struct.unpack_from("<Q", d, at)
        at += 16 + n
    p.write_bytes(d[: at + 5] if at + 5 < len(d) else d[:-20])


def bad_length(root):
    """The length of a record in the middle is wrong."""
    p = main_file(root)
    d = bytearray(p.read_bytes())
    at = 0
    while at < len(d) * 0.55:
        (n,) = struct.unpack_from("<Q", d, at)
        last, at = at, at + 16 + n
    d[last] ^= 0x11
    p.write_bytes(bytes(d))


def clock_set_back(root):
    """The clock was set back by an hour at half time."""
    p = main_file(root)
    events = [Event.FromString(q) for q in records(p.read_bytes())]
    for e in events[len(events) // 2 :]:
        e.wall_time -= 3600
    p.write_bytes(b"".join(framed(e.SerializeToString()) for e in events))


def empty_second_file(root):
    """A second process opened a writer and wrote nothing but the version."""
    p = main_file(root)
    first = next(records(p.read_bytes()))
    p.with_name(p.name + ".7").write_bytes(framed(first))
    p.with_name(p.name + ".8").write_bytes(b"")


def written_twice(root):
    """Two handlers were attached: every record after the first third appears twice."""
    p = main_file(root)
    every = [framed(q) for q in records(p.read_bytes())]
    k = len(every) // 3
    p.write_bytes(b"".join(every[:k] + [q + q for q in every[k:]]))


def other_rank(root):
    """A second rank writes its own tags into its own file of the same directory."""
    p = main_file(root)
    out = []
    for q in records(p.read_bytes()):
        e = Event.FromString(q)
        if e.HasField("summary") and len(e.summary.value) and e.summary.value[0].HasField("simple_value"):
            v = e.summary.value[0]
            v.tag, v.simple_value = "rank1/gpu_util", 80.0 + (e.step * 37 % 11)
            out.append(framed(e.SerializeToString()))
        elif not e.HasField("summary"):
            out.append(framed(q))
    p.with_name(p.name + ".rank1").write_bytes(b"".join(out[:400]))


def copied_too_early(root):
    """The file was copied while its writer still worked: it ends inside a record at 85 %."""
    p = main_file(root)
    d = p.read_bytes()
    at = 0
    while at < len(d) * 0.85:
        (n,) = struct.unpack_from("<Q", d, at)
        last, at = at, at + 16 + n
    p.write_bytes(d[: last + 12 + (at - last) // 3])


def lost_block(root):
    """Nine hundred bytes in the middle did not arrive."""
    p = main_file(root)
    d = p.read_bytes()
    a = int(len(d) * 0.5) + 5
    p.write_bytes(d[:a] + d[a + 900 :])


def zeros_at_the_end(root):
    """The file system had reserved a page that was never written: zeros follow the last record."""
    p = main_file(root)
    p.write_bytes(p.read_bytes() + bytes(4096))
