# `make demo` and `make test` are all a newcomer needs; the rest is for maintainers.
# PYTHON chooses the interpreter (3.11 or newer) that .venv is made from.
PYTHON ?= python3
BIN := .venv/bin
PACKAGES := ttdata ttflow ttmodels tttrain
SOURCES := packages tests benchmarks examples tools
DEMO := demo
# A video of the demo's test players.
UNSEEN := video_0014
ANNOTATE_DEMO := annotate_demo
# Without cached bytecode every process compiles torch and Ray anew: half of its start.
unexport PYTHONDONTWRITEBYTECODE
# One process per core, each with one thread; the tests of a file share what it sets up.
PARALLEL := -n auto --maxprocesses 4 --dist loadscope --no-loadscope-reorder

.PHONY: demo annotate-demo test check format test-isolated bench bench-gpu setup clean

setup: .venv/.ready

.venv/.ready: constraints.txt tools/setup.sh tools/development.txt \
		packages/ttdata/pyproject.toml packages/ttflow/pyproject.toml packages/ttmodels/pyproject.toml packages/tttrain/pyproject.toml
	PYTHON="$(PYTHON)" sh tools/setup.sh

# From synthetic videos to a tested model and the strokes of a whole video; each step skips what is already there.
demo: .venv/.ready
	$(BIN)/ttdata synth $(DEMO)/source --config examples/demo/synth.json
	$(BIN)/ttdata curate $(DEMO)/source --out $(DEMO)/dataset --config examples/demo/curation.json
	$(BIN)/ttdata split $(DEMO)/dataset --strategy grouped --group player --shares 0.6,0.15,0.25
	$(BIN)/ttflow extract $(DEMO)/dataset --out $(DEMO)/shards --config examples/demo/flow.json
	$(BIN)/tttrain fit --data $(DEMO)/shards --out $(DEMO)/run --recipe demo
	$(BIN)/tttrain evaluate $(DEMO)/run --data $(DEMO)/shards
	rm -rf $(DEMO)/report && cp -r $(DEMO)/run/report $(DEMO)/report
	$(BIN)/tttrain fit-detector $(DEMO)/run --dataset $(DEMO)/dataset
	$(BIN)/tttrain index $(DEMO)/run $(DEMO)/source/videos/$(UNSEEN).mp4 --out $(DEMO)/index
	@echo "Open $(DEMO)/report/index.html and $(DEMO)/index/videos/$(UNSEEN)/index.html in a browser."

# A room of simulated annotators: open the link that is printed, as their teacher.
annotate-demo: .venv/.ready
	$(BIN)/python examples/annotate_demo/room.py $(ANNOTATE_DEMO) $(ANNOTATE_DEMO_ARGS)

test: .venv/.ready
	OMP_NUM_THREADS=1 $(BIN)/pytest tests $(PARALLEL) $(PYTEST_ARGS)

check: .venv/.ready
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/mypy $(PACKAGES:%=packages/%/src)
	$(BIN)/lint-imports

format: .venv/.ready
	$(BIN)/ruff format $(SOURCES)
	$(BIN)/ruff check --fix $(SOURCES)

test-isolated: .venv/.ready
	OMP_NUM_THREADS=1 $(BIN)/python tools/test_isolated.py $(PACKAGES)

bench: .venv/.ready
	for script in benchmarks/bench_*.py; do $(BIN)/python $$script || exit 1; done

# On a machine with CUDA; nothing needs to be installed but what docs/running_on_a_gpu.md names.
bench-gpu:
	$(if $(wildcard .venv/.ready),$(BIN)/python,$(PYTHON)) benchmarks/gpu.py $(GPU_ARGS)

clean:
	rm -rf $(DEMO) $(ANNOTATE_DEMO) .venv
