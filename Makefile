# `make demo` and `make test` make their own virtual environment in .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
DLIB := $(VENV)/.dlib

.PHONY: demo test lint types pytest kernels faults fuzz bench-quick docs clean
.DELETE_ON_ERROR:

demo: $(READY)
	$(BIN)/glee demo

test: lint types pytest

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

# The package's folder is this one, whatever its name; mypy finds it by a link called glee.
types: $(READY)
	mkdir -p $(VENV)/typed && ln -sfn ../.. $(VENV)/typed/glee
	MYPYPATH=$(VENV)/typed $(BIN)/mypy -p glee

# A file's tests stay in one process, since they share what is costly to make.
PROCESSES ?= 2
pytest: $(READY) $(DLIB)
	$(BIN)/python -m pytest -n $(PROCESSES) --dist loadfile --cov --cov-report=term:skip-covered --durations=15

$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "glee needs Python 3.11 or later; found $$($(PYTHON) --version). Try: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -e .
	touch $(READY)

# No part of the installation: the tests of the extra dlib skip where it cannot be had.
$(DLIB): requirements-dlib.lock $(READY)
	@if $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -r requirements-dlib.lock; \
		then touch $(DLIB); else echo "dlib cannot be installed here; its tests will skip"; fi

# Numba keeps compiled kernels beside their sources and does not see that a called kernel changed.
kernels:
	find . -name '*.nbi' -not -path './$(VENV)/*' -delete
	find . -name '*.nbc' -not -path './$(VENV)/*' -delete
	find . -name 'glee-kernels-*' -not -path './$(VENV)/*' -delete

faults: $(READY)
	$(BIN)/python -m pytest tests/faults -m 'campaign or not campaign' --campaign long

# Whether each benchmark still works; its figures are not for the pages. Seconds for each script.
LIMIT ?= 600
bench-quick: $(READY)
	$(BIN)/python benchmarks/run_quick.py --limit $(LIMIT)

SECONDS ?= 60
fuzz: $(READY)
	$(BIN)/python -m tests.fuzz --seconds $(SECONDS)

# The API pages' reader walks all that lies in the package's folder, so it is shown the code alone.
CODE := __init__.py $(filter-out __init__.py,$(wildcard *.py)) commands fitting model pipeline reports
docs: $(READY)
	mkdir -p $(VENV)/documented/glee
	for part in $(CODE); do ln -sfn ../../../$$part $(VENV)/documented/glee/$$part; done
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

clean: kernels
	rm -rf $(VENV) build dist demo *.egg-info .pytest_cache .ruff_cache .mypy_cache .coverage
