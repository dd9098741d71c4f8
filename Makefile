# Everything happens in .venv, with the versions that constraints.txt pins.
PYTHON ?= python3
VENV := .venv
DONE := $(VENV)/.installed
DEMO_SIZE ?= -S synthetic.records=1000 -S train.epochs=5 -S 'train.seeds=[0]' -S train.batch_size=32 \
	-S 'trunk.channels=[16,32,64]'

export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)
export DVC_NO_ANALYTICS := 1
export MLFLOW_DISABLE_TELEMETRY := true
unexport PYTHONPATH

.PHONY: help setup demo test lint audit bench
help:
	@echo 'make setup   install everything into $(VENV)'
	@echo 'make demo    run the whole DAG on synthetic ECGs, beside the committed results'
	@echo 'make test    run the tests'
	@echo 'make lint    ruff and mypy'
	@echo 'make audit   known vulnerabilities in the pinned packages'
	@echo 'make bench   measure training, reading, evaluation and DVC on this machine: benchmarks/results.md'

setup: $(DONE)

$(DONE): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@

# An experiment in a copy of the project (--temp): the workspace and its metrics stay as they are.
demo: setup
	@! printf '%s' '$(CURDIR)' | LC_ALL=C grep -q '[^ -~]' || { echo 'DVC runs no experiment in a copy where the path is not ASCII: $(CURDIR)'; exit 1; }
	dvc exp run --temp --force -n demo -S dataset=synthetic $(DEMO_SIZE)
	rm -rf demo && mkdir demo
	git archive "$$(git for-each-ref --sort=-creatordate --count=1 --format='%(refname)' 'refs/exps/**/demo')" \
		params.yaml dvc.lock metrics reports MODEL_CARD.md | tar -x -C demo
	@cat demo/reports/comparison.md
	@echo
	@echo 'Report and figures: demo/reports, figures by class and epoch: demo/metrics, model card: demo/MODEL_CARD.md.'
	@echo 'The runs in the browser: $(VENV)/bin/mlflow ui --backend-store-uri sqlite:///mlflow.db'
	@echo 'The experiment: $(VENV)/bin/dvc exp show, $(VENV)/bin/dvc exp remove demo.'

# As many at a time as there are cores, with one thread each: PyTorch's threads wait busily for a core.
test: setup
	OMP_NUM_THREADS=1 pytest --numprocesses=auto --dist=loadscope --no-loadscope-reorder --max-worker-restart=0

# Needs data/processed (dvc repro preprocess), for its rows about DVC all results, committed; give it the machine for
# itself, for half an hour.
bench: setup
	PYTHONPATH=src python -m benchmarks

lint: setup
	ruff check .
	ruff format --check .
	mypy

# Asks PyPI; a package that the index at hand can't tell about is named, and is no failure.
audit: setup
	pip-audit --disable-pip --no-deps --requirement constraints.txt --progress-spinner off
