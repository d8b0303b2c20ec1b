"""The benchmark of import times: what is measured; the modules are held by test_package.py."""

from gainstage.bench import Settings
from gainstage.bench.benches import imports


def test_each_command_is_measured_beside_python_itself(monkeypatch):
    monkeypatch.setattr(imports, "ROUNDS", 1)
    lines = imports.imports(Settings()).lines
    assert [line.name for line in lines] == ["python", "import gainstage", "gainstage --help"]
    assert all(line.value > 0 for line in lines)
    assert lines[0].reach is None
    assert all(line.reach == ("<=", 1.0) for line in lines[1:])
