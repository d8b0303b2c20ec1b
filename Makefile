# Everything that a newcomer types. `make demo` and `make test` need nothing but python3.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
export PIP_DISABLE_PIP_VERSION_CHECK = 1

.PHONY: demo test test-slow lint bench docs docs-lab lock clean

demo: $(READY)
	@$(BIN)/python examples/demo.py

test: $(READY) lint chromium
	$(BIN)/python -m pytest -m "not slow"

test-slow: $(READY) chromium
	$(BIN)/python -m pytest -m slow

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

bench: $(READY)
	$(BIN)/gainstage bench --baseline
	$(BIN)/gainstage bench doctor --half held --vary 2
	$(BIN)/gainstage bench doctor --half held --trials

docs: $(READY)
	$(BIN)/python docs/make.py

# Half an hour; `make docs-lab REUSE=--reuse` makes the page of the results under runs/lab.
docs-lab: $(READY)
	$(BIN)/python docs/lab.py $(REUSE)

$(READY): pyproject.toml constraints.txt
	@command -v $(PYTHON) >/dev/null || { echo "python3 (3.10 or newer) is needed"; exit 1; }
	@test -d .venv || $(PYTHON) -m venv .venv
	@echo "Setting up .venv (a minute or two)"
	@$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[dev]"
	@touch $@

# The page is tested in a real browser.
.PHONY: chromium
chromium:
	@command -v chromium >/dev/null || command -v google-chrome >/dev/null \
	|| { test "$$(id -u)" = 0 && command -v apt-get >/dev/null \
	     && echo "Installing Chromium for the tests of the page" \
	     && apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq chromium >/dev/null; } \
	|| echo "Chromium is missing: install it, the tests of the page need it"

lock: $(READY)
	@{ head -2 constraints.txt; $(BIN)/python -m pip freeze --exclude-editable \
	| sed 's/+cpu$$//' ; } > constraints.new && mv constraints.new constraints.txt

clean:
	rm -rf .venv build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
