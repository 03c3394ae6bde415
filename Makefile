# `make seed` and `make test` do all the set-up: Python 3.11 to 3.13 is all that they need.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: test seed check format bench soak clean

test: .venv/ready
	$(BIN)/pytest $(ARGS)

seed: .venv/ready
	$(BIN)/python -m seed $(ARGS)

check: .venv/ready
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/pyright

bench: .venv/bench
	$(BIN)/python -m benchmarks $(ARGS)

# About ten minutes; make soak SOAK_SECONDS=3600 takes an hour.
soak: .venv/ready
	SOAK_SECONDS=$(or $(SOAK_SECONDS),600) $(BIN)/pytest -o python_files='soak_*.py' tests/soak $(ARGS)

format: .venv/ready
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# Made again when the dependencies change.
.venv/ready: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' || \
		{ echo "Python 3.11 to 3.13 is needed; name one with: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	$(PYTHON) -m venv .venv || { echo "Install the venv module of $(PYTHON) (Debian: apt-get install python3-venv)." >&2; exit 1; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade 'pip>=25.1'
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[embedded,cli,memory]' --group dev
	@touch $@

.venv/bench: .venv/ready
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --group bench
	@touch $@

clean:
	rm -rf .venv .data dist .pytest_cache .ruff_cache .hypothesis
