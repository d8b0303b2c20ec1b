"""The benchmark of sweeps, on a few trials."""

from gainstage.bench import Settings
from gainstage.bench.benches import sweep


def test_each_backend_that_is_installed_has_a_row(monkeypatch):
    monkeypatch.setattr(sweep, "MANY", 12)
    monkeypatch.setattr(sweep, "WAITING", 10)
    monkeypatch.setattr(sweep, "ROUNDS", 1)
    outcome = sweep.cost(Settings())
    (grid,) = outcome.grids
    assert [row[0] for row in grid.rows] == ["loky"]
    assert len(outcome.lines) == len(grid.header) - 1 == 5
    assert all(
        row[1:] == tuple(f"{line.value:.3g} ms" for line in outcome.lines) for row in grid.rows
    )


def test_a_backend_that_is_missing_is_left_out(monkeypatch):
    def missing(_):
        raise sweep.MissingExtraError

    monkeypatch.setattr(sweep, "_measured", missing)
    assert sweep.cost(Settings(peers=True)).lines == []
