# make run | serve | test | test-faults | test-page | test-notebook | test-slow | notebook | lint | format | docs | bench | wheel | lock | clean
# The environment is made from requirements.lock where it is missing.
PYTHON ?= python3.11
ENV := .venv
BIN := $(ENV)/bin
# uv does not read pip's setting of where local wheels lie
export UV_FIND_LINKS ?= $(PIP_FIND_LINKS)
# Compiled modules are kept, whatever the environment says: an import of torch takes a third of the time with them, and
# the tests start a hundred processes.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: run serve test test-faults test-page test-notebook test-slow notebook lint format docs bench wheel lock clean
.DEFAULT_GOAL := run

$(ENV)/.stamp: requirements.lock pyproject.toml
	$(PYTHON) -m venv --clear $(ENV)
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip install --quiet --python $(BIN)/python --requirement requirements.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	touch $@

$(ENV)/.bench-stamp: $(ENV)/.stamp requirements-bench.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --requirement requirements-bench.lock
	touch $@

$(ENV)/.docs-stamp: $(ENV)/.stamp requirements-docs.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --requirement requirements-docs.lock
	touch $@

# RUN=...: parameters of the run; without any it is the paper's training on all texts
RUN ?= -P limit=4000 -P epochs=2 -P lr=2e-3 -P batch_size=16

run: $(ENV)/.stamp
	@echo "Trains a TextCNN by PCT on the embedded corpus ($(RUN)), measures it, tracks it in MLflow and registers it:"
	@echo "about two minutes on two idle cores. All texts with the paper's settings, some ten minutes: make run RUN="
	PATH="$(CURDIR)/$(BIN):$$PATH" mlflow run . --env-manager local -P method=pct $(RUN)

# MODEL=...: any model that `pct serve --help` names; without it the champion of the embedded corpus, trained
# first if nothing was tracked
MODEL ?= models:/pct-planted-textcnn@champion

serve: $(ENV)/.stamp
	@test "$(MODEL)" != models:/pct-planted-textcnn@champion -o -n "$$MLFLOW_TRACKING_URI" -o -f mlflow.db || $(MAKE) run
	$(BIN)/pct serve $(MODEL)

# JOBS=...: in how many processes
JOBS ?= 2

test: $(ENV)/.stamp
	$(BIN)/python -m pytest -m "not slow and not faults and not page and not notebook" -n $(JOBS) \
		--dist loadfile --no-loadscope-reorder --durations=30

# in two processes at most: each has Ray clusters
test-faults: $(ENV)/.stamp
	$(BIN)/python -m pytest -m "faults and not slow" -n 2 --dist loadfile --no-loadscope-reorder

test-page: $(ENV)/.stamp
	$(BIN)/python -m pytest -m "page and not slow"

test-notebook: $(ENV)/.stamp
	$(BIN)/python -m pytest -m "notebook"

# executes the notebooks of examples/ and makes their pages of docs/
notebook: $(ENV)/.stamp
	$(BIN)/python docs/scripts/notebook_page.py

test-slow: $(ENV)/.stamp
	$(BIN)/python -m pytest -m slow

lint: $(ENV)/.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

format: $(ENV)/.stamp
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

# into build/site
docs: $(ENV)/.docs-stamp
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --quiet

bench: $(ENV)/.bench-stamp
	$(BIN)/python -m benchmarks

# the wheels and the source distribution, into build/dist
wheel: $(ENV)/.stamp
	rm -rf build/dist
	$(BIN)/uv build --quiet --out-dir build/dist .
	$(BIN)/uv build --quiet --wheel --out-dir build/dist packaging/pct-explain

# torch's CPU build carries a local version label, which no index has. It has another hash than the build of the index, and
# pip takes hashes of all packages or of none: locks with torch have none.
lock: $(ENV)/.stamp
	$(BIN)/uv pip compile --quiet --upgrade --no-header --no-annotate requirements.in pyproject.toml --extra dev \
		--python-version 3.11 | sed 's/^\(torch==[^+ ]*\)+cpu/\1/' > requirements.lock.part
	mv requirements.lock.part requirements.lock
	$(BIN)/uv pip compile --quiet --no-header --no-annotate requirements.in pyproject.toml --extra bench \
		--python-version 3.11 -c requirements.lock | sed 's/^\(torch==[^+ ]*\)+cpu/\1/' > requirements-bench.lock.part
	mv requirements-bench.lock.part requirements-bench.lock
	$(BIN)/uv pip compile --quiet --no-header --no-annotate --generate-hashes pyproject.toml --extra serve \
		--python-version 3.11 -c requirements.lock > requirements-serve.lock.part
	mv requirements-serve.lock.part requirements-serve.lock
	$(BIN)/uv pip compile --quiet --no-header --no-annotate --generate-hashes requirements-docs.in \
		--python-version 3.11 -c requirements.lock > requirements-docs.lock.part
	mv requirements-docs.lock.part requirements-docs.lock

clean:
	rm -rf $(ENV) build .pytest_cache .mypy_cache .ruff_cache .hypothesis
