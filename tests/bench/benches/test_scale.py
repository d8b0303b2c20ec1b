"""What thousands of ranks cost: measured small here."""

from gainstage.bench.benches.scale import measure, write_rank
from gainstage.quantities import SUMMARY_KEYS
from gainstage.store import StoredRecording


def test_a_rank_has_all_moments_of_its_sites(tmp_path):
    run = StoredRecording(write_rank(tmp_path / "a", 2, sites=3, steps=40))
    assert len(run.steps) == 40
    for site in run.sites:
        assert set(run.quantities(site)) == set(SUMMARY_KEYS)
        assert site.merge == "sum"
        assert run.histogram(site).total == 4096 * 18  # steps 0 to 15, 16 and 32


def test_figures_of_few_ranks():
    outcome = measure(ranks=20, sites=10, steps=20)
    found = {line.name: line.value for line in outcome.lines}
    assert all(value is not None for value in found.values())
    sizes = [value for name, value in found.items() if name.startswith("merged file of")]
    assert len(sizes) == 4
    assert max(sizes) < 1.3 * min(sizes)  # of eight times the ranks: fuller histograms alone
    _, paper = outcome.grids
    (one,) = (value for name, value in found.items() if name.endswith("of a long training"))
    assert dict(paper.rows)["all ranks' files: a step"] == f"{20 * one / 1e6:.2f} GB"
