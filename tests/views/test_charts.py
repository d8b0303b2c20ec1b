from __future__ import annotations

import numpy as np
import pytest

from gainstage.recording import MemoryRecording, Window
from gainstage.records import Finding, Site
from gainstage.sketch import Histogram
from gainstage.views import (
    finding_cards,
    heat_maps,
    histories,
    loss_chart,
    norm_chart,
    ridges,
    update_chart,
)


def _run(**series):
    site = Site(0, "run", "run", "run", "", 0)
    return MemoryRecording([site], {(0, key): value for key, value in series.items()})


def _finding(code, rank, because=(), **more):
    return Finding(code, "error", 0.9, "a", 0, "", because=because, rank=rank, **more)


class TestLoss:
    def test_what_is_not_measured_is_none(self, recordings):
        chart = loss_chart(recordings.handmade())
        assert chart.steps == (0, 10, 20, 30)
        assert chart.loss == (2.4, 2.3, None, 2.2)
        assert (chart.first, chart.last, chart.chance) == (2.4, 2.2, 2.3)
        assert chart.low == chart.high == ()
        assert [(mark.step, mark.code) for mark in chart.events] == [(3, "lr-changed")]

    def test_an_infinite_loss_is_told(self):
        chart = loss_chart(_run(loss=[1.0, np.inf]))
        assert chart.infinite == 1
        assert chart.loss == (1.0, None)

    def test_a_long_run_keeps_its_extremes(self):
        loss = np.ones(5000)
        loss[3333] = 100.0
        chart = loss_chart(_run(loss=loss), limit=100)
        assert len(chart.loss) == 100
        assert max(chart.high) == 100.0
        assert min(chart.low) == 1.0

    def test_the_smooth_curve_has_no_lag(self):
        chart = loss_chart(_run(loss=np.linspace(10, 0, 400)))
        assert chart.smooth[200] == pytest.approx(chart.loss[200], rel=1e-3)


class TestHeatMaps:
    def test_which_maps_there_are(self, recordings):
        maps = {m.key: m for m in heat_maps(recordings.handmade()).maps}
        assert set(maps) == {
            "output",
            "output_grad",
            "weight",
            "grad",
            "update_ratio",
            "dead_units",
        }
        assert maps["output"].layers == ("body.0", "body.1", "body.2", "body.3")
        assert maps["dead_units"].cells[0] == (0.0, 0.25, 0.25, 0.5)
        assert maps["update_ratio"].cells[0] == pytest.approx((-3, -3, None, -3))

    def test_units_that_are_saturated_for_every_sample_are_told_from_elements_that_are(self):
        site = Site(0, "act", "output", "act", "Tanh", 0)
        values = {(0, "saturated"): [0.8, 0.8], (0, "saturated_units"): [0.25, 0.5]}
        maps = {m.title: m.cells for m in heat_maps(MemoryRecording([site], values)).maps}
        assert maps == {
            "Saturated units": ((0.25, 0.5),),
            "Saturated elements": ((0.8, 0.8),),
        }

    def test_silence_is_none_with_a_flag(self, recordings):
        grad = next(m for m in heat_maps(recordings.handmade()).maps if m.key == "output_grad")
        assert grad.cells[0][3] is None
        assert grad.silent[0] == ((3, 4),)
        assert grad.silent[1] == ()

    def test_a_spike_survives_gathering(self):
        site = Site(0, "fc", "output", "fc", "Linear", 0)
        rms, nan = np.ones(3000), np.zeros(3000)
        rms[1234], nan[777] = 1e4, 5
        maps = heat_maps(MemoryRecording([site], {(0, "rms"): rms, (0, "nan"): nan}))
        level, count = maps.maps
        assert len(maps.first) == 300
        assert (level.reduced, max(level.high[0])) == ("mean", 80.0)
        assert (count.key, count.reduced, max(count.cells[0])) == ("non_finite", "max", 5.0)

    def test_the_mean_of_a_column_leaves_silent_steps_out(self):
        site = Site(0, "fc", "output", "fc", "Linear", 0)
        maps = heat_maps(MemoryRecording([site], {(0, "rms"): [0.0, 0.1]}), limit=1)
        assert maps.maps[0].cells == ((-20.0,),)
        assert maps.maps[0].silent == ((),)


class TestUpdates:
    def test_only_matrices_and_exact_updates(self, recordings):
        chart = update_chart(recordings.handmade())
        assert [pace.name for pace in chart.paces] == [f"body.{i}.weight" for i in (0, 2, 3)]
        assert chart.guide == -3
        assert chart.paces[0].ratio == pytest.approx((-3, -3, None, -3))
        assert (chart.paces[0].still, chart.paces[0].median) == pytest.approx((0.25, -3))


class TestRidges:
    def _ridges(self, *arrays):
        sites = [Site(i, f"s{i}", "output", f"s{i}", "", i) for i in range(len(arrays))]
        histograms = {i: Histogram.of(np.asarray(a, np.float32)) for i, a in enumerate(arrays)}
        return ridges(MemoryRecording(sites, {}, histograms=histograms)).groups

    @pytest.mark.parametrize("scale", [1e-38, 1e-7, 1.0, 1e30])
    def test_the_axis_fits_and_nothing_is_lost(self, scale):
        rng = np.random.default_rng(0)
        (group,) = self._ridges(rng.normal(size=10_000) * scale, rng.normal(size=99) * scale)
        ridge = group.ridges[0]
        assert 20 <= len(group.x) <= 81
        assert list(group.x) == sorted(group.x)
        assert group.x[len(group.x) // 2] == 0
        assert len(ridge.density) == len(group.x)
        assert ridge.density[len(group.x) // 2] is None
        assert ridge.zeros <= 0.05
        assert ridge.total == 10_000

    def test_the_density_adds_up(self):
        rng = np.random.default_rng(1)
        (group,) = self._ridges(rng.normal(size=50_000))
        x, density = np.array(group.x), np.array([d or 0 for d in group.ridges[0].density])
        half = len(x) // 2
        side = x[half + 1 :]
        edges = [0.0]
        for middle in side:
            edges.append(2 * middle - edges[-1])
        widths = np.diff(edges)
        total = (density[half + 1 :] * widths).sum() + (density[:half][::-1] * widths).sum()
        assert total + group.ridges[0].zeros == pytest.approx(1, abs=1e-3)

    def test_wide_ranges_are_cut_near_zero(self):
        (group,) = self._ridges(10.0 ** np.arange(-30, 30, 0.01))
        assert len(group.x) <= 81
        assert group.ridges[0].zeros > 0.3

    def test_zeros_only(self):
        (group,) = self._ridges(np.zeros(10))
        assert group.ridges[0].zeros == 1.0

    def test_deep_networks_are_thinned(self):
        (group,) = self._ridges(*[[1.0, -2.0]] * 150)
        assert (len(group.ridges), group.left_out) == (120, 30)


class TestFindings:
    def test_a_cause_stands_above_its_symptoms(self, recordings):
        cards = finding_cards(recordings.empty(), recordings.VANISHING_FINDINGS, recordings.MANUALS)
        assert not cards.healthy
        assert [(card.code, card.depth, card.under) for card in cards.cards] == [
            ("poor-initialization", 0, None),
            ("vanishing-gradient", 1, 0),
            ("loss-not-decreasing", 2, 1),
            ("unnormalized-input", 0, None),
        ]
        assert cards.cards[0].manual.startswith("A weight fails")
        assert cards.cards[2].evidence["slope"] == "NaN"

    def test_circles_and_strangers_end(self, recordings):
        found = [
            _finding("a", 1, ("b",)),
            _finding("b", 2, ("a",)),
            _finding("c", 3, ("c", "unknown")),
        ]
        cards = finding_cards(recordings.empty(), found).cards
        assert sorted(card.code for card in cards) == ["a", "b", "c"]

    def test_notes_alone_are_healthy(self, recordings):
        note = Finding("x", "info", 0.5, "", 0, "")
        assert finding_cards(recordings.empty(), [note]).healthy
        assert finding_cards(recordings.empty(), []).healthy

    def test_evidence_becomes_plain(self, recordings):
        odd = {"a": np.float32(2.0), "b": np.arange(2), "c": {1: -np.inf}, "d": object, "e": {3}}
        (card,) = finding_cards(recordings.empty(), [_finding("x", 1, evidence=odd)]).cards
        assert card.evidence["a"] == 2.0
        assert card.evidence["b"] == [0, 1]
        assert card.evidence["c"] == {"1": "-Inf"}
        assert card.evidence["d"] == "<class 'object'>"
        assert card.evidence["e"] == [3]


class _Windowed(MemoryRecording):
    """One output whose values double from window to window: windows of 10 within one of 100."""

    def __init__(self, steps=60):
        site = Site(0, "fc", "output", "fc", "Linear", 0)
        super().__init__([site], {(0, "rms"): np.ones(steps)})
        self.parts = {
            Window(10, start, 10): Histogram.of(
                2.0 ** (start // 10) * np.linspace(-1, 1, 101, dtype=np.float32)
            )
            for start in range(0, steps, 10)
        }
        whole = sum(self.parts.values(), Histogram.empty())
        self.parts[Window(100, 0, steps)] = whole

    def windows(self, site):
        del site  # there is one
        return self.parts


class TestHistories:
    def test_the_finest_windows_are_the_ridges_of_a_site(self):
        (one,) = histories(_Windowed(), only="output", site="fc").histories
        assert one.first == (0, 10, 20, 30, 40, 50)
        assert one.last == (9, 19, 29, 39, 49, 59)
        assert [ridge.total for ridge in one.ridges] == [101] * 6
        tops = [ridge.quantiles[2] for ridge in one.ridges]
        assert tops == pytest.approx([2.0**i for i in range(6)], rel=1 / 8)

    def test_all_ridges_of_a_site_share_an_axis(self):
        (one,) = histories(_Windowed(), only="output", site="fc").histories
        assert {len(ridge.density) for ridge in one.ridges} == {len(one.x)}

    def test_some_steps(self):
        (one,) = histories(_Windowed(), start=25, stop=40, only="output").histories
        assert one.first == (20, 30)

    def test_many_windows_are_gathered_and_none_is_lost(self):
        (one,) = histories(_Windowed(600), only="output").histories
        assert len(one.ridges) <= 14
        assert sum(ridge.total for ridge in one.ridges) == 60 * 101
        assert one.first[0] == 0
        assert one.last[-1] == 599

    def test_an_unknown_site_is_the_first_there_is(self):
        found = histories(_Windowed(), only="nothing", site="nothing")
        assert [one.name for one in found.histories] == ["fc"]
        assert found.choices == (("output", "Outputs", ("fc",)),)

    def test_without_a_question_sites_are_picked_over_depth(self, recordings):
        found = histories(recordings.deep(40))
        names = {kind: names for kind, _, names in found.choices}
        assert len(found.histories) <= 40
        assert names["output"][0] == "layers.0"
        assert names["output"][-1] == "layers.58"
        assert set(names) == {"output", "output_grad", "weight", "grad", "update"}

    def test_without_histograms_there_is_nothing(self, recordings):
        assert histories(recordings.handmade()).choices == ()
        assert histories(recordings.empty(), only="output").histories == ()


class TestNorms:
    def _run(self, gap, shape=(64, 32), op="BatchNorm1d"):
        site = Site(0, "norm", "output", "norm", op, 0, shape)
        return MemoryRecording([site], {(0, "running_gap"): gap})

    def test_a_spike_survives_gathering(self):
        gap = np.zeros(3000)
        gap[1700] = 5.0
        (norm,) = norm_chart(self._run(gap)).norms
        assert len(norm.gap) == 300
        assert max(norm.gap) == 5.0

    def test_the_noise_is_that_of_the_batch(self):
        (norm,) = norm_chart(self._run([1.0, 0.5])).norms
        assert norm.noise == pytest.approx(3 * np.sqrt(1.5 / 64), rel=1e-5)
        assert norm.late == 0.5

    def test_looks_are_rare_and_the_rest_is_none(self):
        (norm,) = norm_chart(self._run([1.0, np.nan, np.nan, 0.5])).norms
        assert norm.gap == (1.0, None, None, 0.5)

    @pytest.mark.parametrize("op", ["Linear", "LayerNorm"])
    def test_only_what_keeps_statistics_is_shown(self, op):
        assert norm_chart(self._run([1.0], op=op)).norms == ()

    def test_one_that_was_never_looked_at_is_left_out(self):
        assert norm_chart(self._run([np.nan, np.nan])).norms == ()
