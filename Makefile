# make up     serve the bundled digits model: a gateway on port 8000, three workers (ARGS="--workers 2 my.onnx")
# make test   everything that CI checks: `make check` and all tests
# make check  format, lint, types, import contract, tidy rules
# make test-lowest  all tests with the lowest versions that pyproject.toml allows, in .venv-lowest
# make sim    many seeds of the simulation (N=20000; SEED=17 replays one and tells its story)
# make faults real servers killed, hung, cut and flooded many times, and a table (REPEAT=20 OTHERS=5)
# make soak   ten minutes of load with a fault every few seconds (MINUTES=10)
# make fuzz   search at every door for bytes that break a promise (SECONDS=60 for each; TARGET=http for one)
# make models real models from packages, served and compared with onnxruntime, and a table (ONLY="magika silero" for some)
# make kserve the inference clients of the KServe SDK against served models, from an environment of its own
# make hostile  how hostile clients change what a well-behaved one beside them sees, as a table
# make bench  the data plane beside an empty app; also bench-reference, bench-ring, bench-startup, bench-protocols
# make docs   the documents that are generated from the code
# make proto  the descriptors of gRPC's messages, from their .proto files
# make lock   resolve the dependencies anew
# make clean  remove what the others made
#
# Each does its own set-up, with nothing but make and Python >= 3.11 on the machine, into .venv beside this file.

PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input -q
N ?= 2000
SECONDS ?= 60
TARGET ?= grpc hello http infer link nested oip records signature

# Where Python may not keep what it compiled, each of the hundreds of servers that the tests start compiles anew
# what it imports: half a second of a processor.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help up test test-lowest check bench bench-reference bench-ring bench-startup bench-protocols docs faults fuzz hostile kserve models soak \
	sim proto lock clean

help:
	@sed -n 's/^# \{0,1\}//p' Makefile

up: .venv/run.stamp
	@exec $(BIN)/ringserve up $(ARGS)

check: .venv/dev.stamp
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports --no-logo
	$(BIN)/mypy & types=$$!; $(BIN)/pytest -q -p no:randomly tests/tidy; tidy=$$?; wait $$types && exit $$tidy

# Tests of how a fleet behaves under load have the machine to themselves; the others share its cores.
test: check
	$(BIN)/pytest -n 3 --dist loadfile -m "not alone" --ignore=tests/tidy $(ARGS)
	$(BIN)/pytest -m alone $(ARGS)

# The tidy and packaging tests are left out: they look at files and locks, not at versions.
LOWEST := .venv-lowest/bin
test-lowest: .venv/dev.stamp
	$(PYTHON) -m venv --clear .venv-lowest
	$(BIN)/uv pip compile -q --resolution lowest-direct --only-binary :all: --python $(LOWEST)/python --no-header \
		--no-annotate pyproject.toml --group dev -o .venv-lowest/lowest.txt
	$(LOWEST)/python -m pip --disable-pip-version-check --no-input -q install --no-deps -r .venv-lowest/lowest.txt
	$(LOWEST)/python -m pip --disable-pip-version-check --no-input -q install --no-deps --no-build-isolation -e .
	$(LOWEST)/pytest --ignore=tests/tidy --ignore=tests/packaging $(ARGS)

sim: .venv/dev.stamp
	@N=$(N) SEED=$(SEED) $(BIN)/python -m tests.simulation

faults: .venv/dev.stamp
	REPEAT=$(REPEAT) OTHERS=$(OTHERS) $(BIN)/python -m tests.faults.table

soak: .venv/dev.stamp
	MINUTES=$(MINUTES) SEED=$(SEED) $(BIN)/python -m tests.faults.soak

fuzz: .venv/dev.stamp .venv/fuzz.stamp
	@for target in $(TARGET); do $(BIN)/python -m tests.fuzz.search $$target $(SECONDS) || exit 1; done

hostile: .venv/dev.stamp
	$(BIN)/python -m tests.hostile.table

kserve: .venv/dev.stamp .venv-kserve/stamp
	$(BIN)/python -m tests.conformance.run_kserve .venv-kserve/bin/python

.venv-kserve/stamp: locks/kserve.txt
	@echo "Installing locks/kserve.txt into .venv-kserve (once)"
	@$(PYTHON) -m venv --clear .venv-kserve
	@.venv-kserve/bin/python -m pip --disable-pip-version-check --no-input -q install --require-hashes --no-deps \
		--only-binary :all: -r locks/kserve.txt
	@touch $@

models: build/models.stamp
	@ONLY="$(ONLY)" MODELS=build/models $(BIN)/python -m tests.real_models.table

# Beside .venv, not in it: what these packages depend on is left out, and would be gigabytes.
build/models.stamp: locks/models.txt | .venv/dev.stamp
	@echo "Installing locks/models.txt into build/models (once)"
	@rm -rf build/models
	@$(PIP) install --require-hashes --no-deps --only-binary :all: --target build/models -r locks/models.txt
	@touch $@

bench: .venv/dev.stamp
	$(BIN)/python -m benchmarks.data_plane

bench-reference: .venv/dev.stamp
	$(BIN)/python -m benchmarks.reference

bench-ring: .venv/dev.stamp
	$(BIN)/python -m benchmarks.ring_shares

bench-startup: .venv/dev.stamp
	$(BIN)/python -m benchmarks.start_up

bench-protocols: .venv/dev.stamp
	$(BIN)/python -m benchmarks.protocols

docs: .venv/dev.stamp
	$(BIN)/python -m ringserve.tools.settings_doc
	$(BIN)/python -m ringserve.tools.flags_table
	$(BIN)/python -m ringserve.tools.limits_table
	$(BIN)/python -m ringserve.tools.metrics_doc

proto: .venv/dev.stamp
	$(BIN)/python -m grpc_tools.protoc -I src/ringserve/wire/proto \
		--descriptor_set_out=src/ringserve/wire/proto/descriptors.binpb src/ringserve/wire/proto/*.proto

# The second resolution is bound by the first, so that running and testing never differ in a version.
LOCK := $(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	--no-header --no-annotate pyproject.toml
lock: .venv/dev.stamp
	$(LOCK) --upgrade --group dev -o locks/dev.txt
	$(LOCK) --constraints locks/dev.txt --group build -o locks/run.txt
	$(subst pyproject.toml,,$(LOCK)) --group fuzz -o locks/fuzz.txt
	$(subst pyproject.toml,,$(LOCK)) --group models --no-deps -o locks/models.txt
	$(subst pyproject.toml,,$(LOCK)) --group kserve -o locks/kserve.txt

clean:
	rm -rf .venv .venv-kserve .venv-lowest .fuzz build dist src/*.egg-info .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	find src tests benchmarks training -name __pycache__ -prune -exec rm -rf {} +

.venv/bin/python:
	@command -v $(PYTHON) >/dev/null 2>&1 || { \
	  echo "ringserve needs Python 3.11 or newer, and '$(PYTHON)' is not on the path." \
	    "Name one: make PYTHON=/path/to/python3.11 $(MAKECMDGOALS)" >&2; exit 2; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "ringserve needs Python 3.11 or newer, and '$(PYTHON)' is $$($(PYTHON) -V 2>&1)." \
	    "Name another: make PYTHON=python3.11 $(MAKECMDGOALS)" >&2; exit 2; }
	@$(PYTHON) -m venv .venv

# The stamps make a second run start at once. Build isolation is off because it would fetch a build backend
# outside the lock; the backend is in both locks. Most of what is installed for tests is never imported: it is
# not compiled beforehand, which takes a third of the time.
.venv/%.stamp: locks/%.txt pyproject.toml | .venv/bin/python
	@echo "Installing locks/$*.txt into .venv (once)"
	@$(PIP) install $(if $(filter dev,$*),--no-compile) --require-hashes --no-deps -r locks/$*.txt
	@$(PIP) install --no-deps --no-build-isolation -e .
	@touch $@
