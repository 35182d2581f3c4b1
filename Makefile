# Everything below sets up by itself: a bare Linux machine with Python 3.11 and pip is enough.
#   make demo   export, verify and reconstruct a sample; then look at build/demo/report.html
#   make test   the test suite            make lint   style and types
#   make clean  remove build/             make distclean   also the virtual environment

VENV := .venv
BIN := $(VENV)/bin
PYTHON ?= $(firstword $(foreach p,python3.11 python3.12 python3.13 python3,$(shell command -v $(p))))
PIP := $(BIN)/python -m pip --disable-pip-version-check
INSTALLED := $(VENV)/.installed
# PyTorch without gigabytes of CUDA libraries, where the machine has no use for them.
CPU_TORCH := https://download.pytorch.org/whl/cpu

.PHONY: demo test lint setup clean distclean
.DELETE_ON_ERROR:

demo: $(INSTALLED)
	$(BIN)/priorraw-edge demo

test: $(INSTALLED)
	$(BIN)/python -m pytest

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

setup: $(INSTALLED)

$(INSTALLED): pyproject.toml constraints.txt | $(BIN)/python
	@echo "make: installing into $(VENV), some minutes the first time"
	@command -v nvidia-smi >/dev/null || \
	    $(PIP) install -q --no-deps --retries 0 --timeout 15 -c constraints.txt --index-url $(CPU_TORCH) torch || \
	    echo "make: no CPU build of torch from $(CPU_TORCH), taking the default one"
	@$(PIP) install -q -c constraints.txt -e '.[test,lint]'
	@touch $@

# Debian splits ensurepip off: without it, the system's pip fills the environment.
$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "make: Python 3.11 is needed: apt-get install python3 python3-pip"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' || \
	    { echo "make: $(PYTHON) is not Python 3.11 to 3.13; name one with make PYTHON=..."; exit 1; }
	@$(PYTHON) -m venv $(VENV) 2>/dev/null || { \
	    rm -rf $(VENV) && $(PYTHON) -m venv --without-pip $(VENV) && \
	    $(PYTHON) -m pip --python $(VENV)/bin/python install -q pip; }

clean:
	rm -rf build

distclean: clean
	rm -rf $(VENV)
