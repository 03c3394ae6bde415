# `make seed` and `make test` do all the set-up: Python 3.11 to 3.13 is all that they need.
PYTHON ?= python3
BIN := .venv/bin
# Each has a server of its own, and takes a half of the suite, so that most worlds are made in one of them only.
WORKERS := -n auto --maxprocesses 4 --dist worksteal

.PHONY: quick test thorough test-wheel seed check format bench soak docs clean

# While a change is made: the units, one rule of every repository, and the plans of all queries.
quick: .venv/ready
	$(BIN)/pytest $(WORKERS) -m quick tests/unit tests/community tests/stories tests/plans $(ARGS)

# Before it is committed: every test but the thorough ones.
test: .venv/ready
	$(BIN)/pytest $(WORKERS) $(ARGS)

# Every test, with more examples of each property.
thorough: .venv/ready
	$(BIN)/pytest $(WORKERS) --thorough $(ARGS)

# The suite against the built wheel, beside everything that the sdist holds but the package.
test-wheel: .venv-wheel/ready
	rm -rf .venv-wheel/dist .venv-wheel/suite && mkdir .venv-wheel/suite
	$(BIN)/python -m build --no-isolation --outdir .venv-wheel/dist
	.venv-wheel/bin/python -m pip install --quiet --force-reinstall --no-deps .venv-wheel/dist/*.whl
	tar -xzf .venv-wheel/dist/*.tar.gz -C .venv-wheel/suite --strip-components=1
	rm -r .venv-wheel/suite/datalayer .venv-wheel/suite/tests/packaging
	cd .venv-wheel/suite && ../bin/pytest $(WORKERS) $(ARGS)

seed: .venv/ready
	$(BIN)/python -m seed $(ARGS)

check: .venv/ready
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports --no-logo --no-cache
	$(BIN)/pyright
	$(BIN)/mypy

bench: .venv/bench
	$(BIN)/python -m benchmarks $(ARGS)

# About a quarter of an hour; make soak SOAK_SECONDS=3600 takes over an hour.
soak: .venv/ready
	SOAK_SECONDS=$(or $(SOAK_SECONDS),600) $(BIN)/pytest -o python_files='soak_*.py' tests/soak $(ARGS)

docs: .venv/docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
	@echo "The site is in site/index.html."

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

.venv-wheel/ready: .venv/ready
	$(PYTHON) -m venv --clear .venv-wheel
	.venv-wheel/bin/python -m pip install --quiet --disable-pip-version-check --upgrade 'pip>=25.1'
	.venv-wheel/bin/python -m pip install --quiet --disable-pip-version-check '.[embedded,cli,memory]' --group dev
	@touch $@

.venv/bench: .venv/ready
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --group bench
	@touch $@

.venv/docs: .venv/ready
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --group docs
	@touch $@

clean:
	rm -rf .venv .venv-wheel .data dist site .mypy_cache .pytest_cache .ruff_cache .hypothesis

# Changes the code in small ways, and names the changes that no test notices: ARGS="datalayer/engine --sample 60 --seed 2".
.PHONY: mutants
mutants: .venv/ready
	$(BIN)/python -m tests.mutants $(ARGS)
