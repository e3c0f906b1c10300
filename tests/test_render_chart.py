"""Charts: no spike lost, nothing finite hidden, ticks and units right, a text alternative."""

from __future__ import annotations

import math
import re
import xml.etree.ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tbdiag.render.chart import Frame, Line, describe, line_chart
from tbdiag.render.decimate import keep_extremes
from tbdiag.render.scale import Scale, log_ticks, nice_ticks, suits_log, value_range
from tbdiag.render.words import duration, interval, number, plural, size, tick

SVG = "{http://www.w3.org/2000/svg}"


def parse(svg: str) -> ET.Element:
    return ET.fromstring(svg.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1))


def texts(svg: str) -> list[str]:
    return [e.text or "" for e in parse(svg).iter(f"{SVG}text")]


def drawn(svg: str, css: str = "c4") -> list[list[tuple[float, float]]]:
    """Points of each piece of the line, in pixels."""
    group = next(g for g in parse(svg).iter(f"{SVG}g") if g.get("transform") == "scale(.1)" and g[0].get("class") == css)
    pieces: list[list[tuple[float, float]]] = []
    for x, y, moves in re.findall(r"M(-?\d+) (-?\d+)l([-\d ]+)", group[0].get("d")):
        at = (int(x), int(y))
        piece = [at]
        numbers = list(map(int, moves.split()))
        for dx, dy in zip(numbers[::2], numbers[1::2], strict=True):
            at = (at[0] + dx, at[1] + dy)
            piece.append(at)
        pieces.append([(a / 10, b / 10) for a, b in (piece[:1] if numbers == [0, 0] else piece)])
    return pieces


@given(
    st.lists(st.one_of(st.none(), st.floats(-1e6, 1e6)), min_size=1, max_size=3000),
    st.integers(8, 400),
)
def test_decimation_keeps_ends_and_extremes(values, limit):
    kept = keep_extremes(values, limit)
    assert len(kept) <= max(limit, 4)
    assert kept == sorted(set(kept))
    assert kept[0] == 0
    assert kept[-1] == len(values) - 1
    finite = [v for v in values if v is not None]
    if finite:
        shown = [values[i] for i in kept if values[i] is not None]
        assert (min(shown), max(shown)) == (min(finite), max(finite))


def test_single_step_spike_is_drawn_or_marked_at_every_position():
    for at in range(0, 5000, 501):
        values = [1.0 + 0.01 * math.sin(i) for i in range(5000)]
        values[at] = 50.0
        kept = keep_extremes(values, 400)
        svg = line_chart([Line(kept, [values[i] for i in kept], label="x", n=5000)], Frame())
        assert any("50" in t and f"{at:,}" in t for t in texts(svg)), at


def test_gap_and_marks_where_values_are_not_finite():
    steps = list(range(0, 100, 10))
    values = [5.0, 4.0, 3.0, None, None, 2.5, 2.0, None, 1.9, 1.8]
    bad = [(30, "nan"), (40, "inf"), (70, "-inf")]
    svg = line_chart([Line(steps, values, nonfinite=bad)], Frame())
    assert [len(p) for p in drawn(svg)] == [3, 2, 2]
    assert any("NaN ×1" in t and "Inf ×1" in t and "−Inf ×1" in t and "from 30" in t for t in texts(svg))
    assert "3 non-finite values from 30" in parse(svg).get("aria-label")


def test_points_lie_where_the_axis_says():
    steps, values = [0, 250, 1000], [0.0, 1.0, 4.0]
    svg = line_chart([Line(steps, values, key="0:0")], Frame())
    root = parse(svg)
    lo, hi, a, b = map(float, root.get("data-x").split())
    ylo, yhi, ya, yb, kind = root.get("data-y").split()
    assert kind == "lin"
    for (px, py), s, v in zip(drawn(svg)[0], steps, values, strict=True):
        assert px == pytest.approx(a + (s - lo) / (hi - lo) * (b - a), abs=0.06)
        assert py == pytest.approx(float(ya) + (v - float(ylo)) / (float(yhi) - float(ylo)) * (float(yb) - float(ya)), abs=0.06)


def test_outlier_is_clipped_with_a_mark_and_its_value():
    values = [1.0 + 0.01 * (i % 7) for i in range(100)]
    values[40] = 1e6
    svg = line_chart([Line(list(range(100)), values)], Frame())
    assert "1,000,000 at 40" in texts(svg)
    ticks = [t for t in texts(svg) if re.fullmatch(r"[\d.]+", t)]
    assert all(float(t) < 110 for t in ticks)


@pytest.mark.parametrize("n", [0, 1, 2, 3])
def test_few_points(n):
    svg = line_chart([Line(list(range(n)), [0.5] * n)], Frame())
    parse(svg)
    assert "nan" not in svg.lower().replace("nan ×", "")


@given(
    st.lists(st.one_of(st.none(), st.floats(allow_nan=False, allow_infinity=False)), min_size=1, max_size=60),
    st.booleans(),
)
def test_any_values_give_finite_coordinates(values, log):
    svg = line_chart([Line(list(range(len(values))), values, log=log, role="train_loss")], Frame(bands=[(0, 3, "onset")]))
    root = parse(svg)
    for piece in drawn(svg):
        for px, py in piece:
            assert -1 <= px <= 321
            assert -1 <= py <= 151
    assert not re.search(r'="[^"]*(?:nan|inf)[ ,"]', svg.replace(root.get("aria-label"), ""))


def test_text_alternative_has_first_best_and_last():
    line = Line([0, 10, 20], [3.0, 1.0, 2.0], label="val", best=(10, 1.0))
    assert describe([line]) == "val: first 3 at 0, best 1 at 10, last 2 at 20"
    assert describe([line], Frame(bands=[(10, 20, "onset")])).endswith("onset 10–20")


def test_onset_band_and_best_ring_and_events_and_levels():
    line = Line([0, 10, 20], [3.0, 1.0, 2.0], label="val", best=(10, 1.0), colour=1)
    frame = Frame(width=600, height=236, bands=[(10, 12, "onset")], events=[(5, "restart")], levels=[(2.5, "chance")])
    svg = line_chart([line], frame)
    root = parse(svg)
    assert len(root.findall(f".//{SVG}rect")) == 1
    assert len(root.findall(f".//{SVG}circle")) == 1
    said = texts(svg)
    assert {"onset 10–12", "restart", "chance", "best 1 at 10"} <= set(said)


def test_labels_do_not_cover_each_other():
    line = Line(list(range(0, 400)), [2.0 - i / 400 for i in range(400)], label="x", best=(200, 1.5), colour=1)
    frame = Frame(width=600, height=236, events=[(198, "first"), (200, "second"), (203, "third")], bands=[(195, 205, "onset")])
    boxes = []
    for e in parse(line_chart([line], frame)).iter(f"{SVG}text"):
        if "hl" in (e.get("class") or ""):
            x, y, w = float(e.get("x")), float(e.get("y")), len(e.text) * 11 * 0.55
            boxes.append((x, y - 11, x + w, y))
    assert len(boxes) == 5
    for i, a in enumerate(boxes):
        for b in boxes[i + 1 :]:
            assert not (a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3])


@given(st.floats(-1e9, 1e9), st.floats(1e-6, 1e9), st.integers(2, 8))
def test_ticks_are_inside_and_evenly_spaced(lo, span, count):
    hi = lo + span
    if hi - lo < 1e-9 * max(abs(lo), abs(hi)):
        return
    values = nice_ticks(lo, hi, count)
    assert len(values) <= count + 2
    assert all(lo - 1e-6 * span <= v <= hi + 1e-6 * span for v in values)


def test_log_axis():
    assert log_ticks(1e-5, 2.0, 4) == pytest.approx([1e-5, 1e-3, 1e-1])
    assert suits_log([1, 10, 100, 1000] * 10, "grad_norm", wanted=False)
    assert not suits_log([0.9, 1.0, 1.1] * 20 + [1e6], "train_loss", wanted=False)
    assert not suits_log([0, 1, 1e6], "grad_norm", wanted=True)
    assert not suits_log([15.0, 60.0] * 20, "train_reward", wanted=True)
    y = Scale(1e-3, 1e3, 100, 0, log=True)
    assert y.place(1.0) == pytest.approx(50)
    lo, hi, clipped = value_range([10.0 ** (i / 10) for i in range(60)], log=True)
    assert (lo <= 1, hi >= 10**5.9, clipped) == (True, True, False)


def test_words():
    assert [tick(v) for v in (0, 0.05, 250, 2500, 1e6, 1e-5, -3000)] == ["0", "0.05", "250", "2.5k", "1M", "1e-5", "−3k"]
    assert [number(v) for v in (None, 0.62134, 12400.0, 3e-5, -1.5, 1234.567)] == ["–", "0.6213", "12,400", "3e-5", "−1.5", "1,235"]
    assert [duration(v) for v in (None, 42, 1080, 12000, 187200)] == ["", "42 s", "18 min", "3 h 20 min", "2 d 4 h"]
    assert [size(v) for v in (812, 14336, 1258291)] == ["812 B", "14 KiB", "1.2 MiB"]
    assert [plural(n, w) for n, w in ((1, "note"), (2, "note"), (2, "series"), (3, "class"), (2, "entry"))] == [
        "1 note",
        "2 notes",
        "2 series",
        "3 classes",
        "2 entries",
    ]
    assert interval({"first_step": 4000, "last_step": 4400}) == "4,000–4,400"


def test_first_steps_are_no_outliers():
    values = [0.52, 0.80, *([0.97, 0.98] * 20)]
    lo, _, clipped = value_range(values, log=False, starts=values[:2])
    assert lo < 0.52
    assert not clipped
    _, hi, clipped = value_range([1e6, 2.0, *([0.97, 0.98] * 20)], log=False, starts=[1e6, 2.0])
    assert hi < 10
    assert clipped


def test_names_stand_where_the_lines_end():
    steps = list(range(0, 1000, 10))
    whole, cut = Line(steps, [1.0] * 100, label="whole"), Line(steps, [2.0] * 30 + [None] * 70, label="cut", colour=1)
    named = {e.text: float(e.get("x")) for e in parse(line_chart([whole, cut], Frame(width=600, height=236))).iter(f"{SVG}text")}
    assert named["whole"] > 520
    assert 150 < named["cut"] < 260


@pytest.mark.parametrize(("level", "log"), [(3e4, True), (2.0, False)])
def test_runs_that_lie_decades_apart_share_a_log_axis(level, log):
    """Each of them alone needs none; on a linear axis the lower one would be a line on the ground."""
    steps = list(range(20))
    low = Line(steps, [0.5 - 0.02 * i for i in steps], role="val_loss", label="low")
    high = Line(steps, [level * (1 - 0.02 * i) for i in steps], role="val_loss", label="high")
    assert ("log" in texts(line_chart([low, high], Frame()))) is log


def test_validation_that_turns_is_not_flattened_by_the_decades_of_training():
    steps = list(range(40))
    train = Line(steps, [2.3 * 0.8**i for i in steps], role="train_loss", label="train")
    val = Line(steps, [1.1 + 0.007 * i for i in steps], role="val_loss", label="val")
    assert "log" not in texts(line_chart([train, val], Frame()))
