# `make seed` and `make test` do all the set-up: Python 3.11 to 3.13 is all that they need.
PYTHON ?= python3
BIN := .venv/bin
PIP := -m pip install --quiet --disable-pip-version-check
# Each has a server of its own, and takes a half of the suite, so that most worlds are made in one of them only.
WORKERS := -n auto --maxprocesses 4 --dist worksteal

# $(call run,What it does,command): says so, does it, and says how long it took.
run = @echo "==> $(1)"; begin=$$(date +%s); $(2); status=$$?; echo "    $$(($$(date +%s) - begin)) s"; exit $$status

.DEFAULT_GOAL := help
.PHONY: help quick test thorough test-wheel seed check format bench soak docs mutants clean

help: ## list these commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))
	@echo 'ARGS are passed on: make seed ARGS="demo --seed 7", make test ARGS="tests/unit -x"'

seed: .venv/ready ## fill a development database in .data/ with a small world
	$(call run,Seeding,$(BIN)/python -m seed $(ARGS))

quick: .venv/ready ## test the units, one rule of every repository and the plans, while a change is made
	$(call run,Testing a part of the suite,$(BIN)/pytest $(WORKERS) -m quick tests/unit tests/community tests/stories tests/plans $(ARGS))

test: .venv/ready ## run every test but the thorough ones and those of the documentation, before a change is committed
	$(call run,Testing,$(BIN)/pytest $(WORKERS) --ignore=tests/documentation $(ARGS))

thorough: .venv/ready ## run every test, with more examples of each property
	$(call run,Testing thoroughly,$(BIN)/pytest $(WORKERS) --thorough $(ARGS))

# The suite is run beside everything that the sdist holds but the package.
test-wheel: .venv-wheel/ready ## run the tests against the built wheel
	@rm -rf .venv-wheel/dist .venv-wheel/suite && mkdir .venv-wheel/suite
	$(call run,Building the wheel,$(BIN)/python -m build --no-isolation --outdir .venv-wheel/dist > .venv-wheel/build.log || { cat .venv-wheel/build.log; false; })
	@.venv-wheel/bin/python $(PIP) --force-reinstall --no-deps .venv-wheel/dist/*.whl
	@tar -xzf .venv-wheel/dist/*.tar.gz -C .venv-wheel/suite --strip-components=1
	@rm -r .venv-wheel/suite/datalayer .venv-wheel/suite/tests/packaging
	$(call run,Testing the wheel,cd .venv-wheel/suite && ../bin/pytest $(WORKERS) $(ARGS))

check: .venv/ready ## run the linters, the import rules and the type checkers
	$(call run,Checking the format,$(BIN)/ruff format --check .)
	$(call run,Linting,$(BIN)/ruff check .)
	$(call run,Checking the imports,$(BIN)/lint-imports --no-logo --no-cache)
	$(call run,Checking the types with pyright,$(BIN)/pyright)
	$(call run,Checking the types with mypy,$(BIN)/mypy)

format: .venv/ready ## format the code and fix what the linter can fix
	$(call run,Formatting,$(BIN)/ruff format .)
	$(call run,Fixing,$(BIN)/ruff check --fix .)

docs: .venv/docs ## build the documentation as a site, and run its code
	$(call run,Building the documentation,NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet)
	$(call run,Running its code,$(BIN)/pytest $(WORKERS) tests/documentation $(ARGS))
	@echo "The site is $(CURDIR)/site/index.html"

bench: .venv/bench ## measure against the driver and other libraries
	$(call run,Measuring,$(BIN)/python -m benchmarks $(ARGS))

soak: .venv/ready ## inject faults for a quarter of an hour; SOAK_SECONDS=3600 takes over an hour
	$(call run,Injecting faults,SOAK_SECONDS=$(or $(SOAK_SECONDS),600) $(BIN)/pytest -o python_files='soak_*.py' tests/soak $(ARGS))

mutants: .venv/ready ## name small changes of the code that no test notices: ARGS="datalayer/engine --sample 60"
	$(call run,Testing changes of the code,$(BIN)/python -m tests.mutants $(ARGS))

clean: ## remove the environments, the data and what was built
	@rm -rf .venv .venv-wheel .data dist site .mypy_cache .pytest_cache .ruff_cache .hypothesis
	@echo "Removed the environments, .data/ and what was built."

# Each environment is made again when the dependencies change.
.venv/ready: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' || \
		{ echo "Python 3.11 to 3.13 is needed; name one with: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	@echo "==> Setting up .venv, which takes about half a minute"
	@echo "    creating it with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv .venv || { echo "Install the venv module of $(PYTHON) (Debian: apt-get install python3-venv)." >&2; exit 1; }
	@$(BIN)/python $(PIP) --upgrade 'pip>=25.1'
	@echo "    installing the library, its extras and the development tools"
	@$(BIN)/python $(PIP) --editable '.[embedded,cli,memory]' --group dev
	@touch $@

.venv-wheel/ready: .venv/ready
	@echo "==> Setting up .venv-wheel, which takes about half a minute"
	@$(PYTHON) -m venv --clear .venv-wheel
	@.venv-wheel/bin/python $(PIP) --upgrade 'pip>=25.1'
	@.venv-wheel/bin/python $(PIP) '.[embedded,cli,memory]' --group dev
	@touch $@

.venv/bench: .venv/ready
	@echo "==> Installing the libraries to compare with"
	@$(BIN)/python $(PIP) --group bench
	@touch $@

.venv/docs: .venv/ready
	@echo "==> Installing the tools of the documentation"
	@$(BIN)/python $(PIP) --group docs
	@touch $@
