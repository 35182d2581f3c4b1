# Everything below sets up by itself: a bare Linux machine with Python 3.11 and pip is enough.
#   make demo   export, verify and reconstruct a sample; then look at build/demo/report.html
#   make test   the test suite            make lint   style and types
#   make native the C++ runner for this machine, built and self-tested; make native-arm64: for ARM boxes, emulated
#   make android  the Android demo's tests and a packaging check, without Gradle: docs/android.md
#   make fuzz crash  damaged files for every reader; commands killed anywhere and started again: docs/reliability.md
#   make guided soak audit   fuzzing led by coverage; thousands of reconstructions; licences and a bill of materials
#   make clean  remove build/             make distclean   also the virtual environment
#   make assets DATA=folder   prepare, train and measure what prior_assets/ ships; goes on where it stopped
#   make bit-depth DATA=folder   the same for prior_assets/bit-depth-4to8: docs/bit-depth.md
#   make results              train the networks it is compared with, measure all, fill in the README

VENV := .venv
BIN := $(VENV)/bin
PYTHON ?= $(firstword $(foreach p,python3.11 python3.12 python3.13 python3,$(shell command -v $(p))))
PIP := $(BIN)/python -m pip --disable-pip-version-check
INSTALLED := $(VENV)/.installed
TESTABLE := $(VENV)/.testable
# The extra `arm`. Its tools ask for an older NumPy than the other extras and work with this one too: the tests lower.
ARM := tosa-tools ai_ml_sdk_model_converter

.PHONY: demo test lint fuzz crash guided soak audit setup clean distclean assets bit-depth results ablation parity bench scaling cameras native native-arm64 android android-assets
.DELETE_ON_ERROR:

demo: $(INSTALLED)
	$(BIN)/priorraw-edge demo

test: $(TESTABLE)
	$(BIN)/python -m pytest

lint: $(TESTABLE)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# Bounded by minutes; the long runs are in docs/reliability.md.
fuzz: $(TESTABLE)
	$(BIN)/python -m reliability.fuzz --inputs 2000

crash: $(TESTABLE)
	OMP_NUM_THREADS=1 $(BIN)/python -m reliability.crash --kills 10 --operations 5

guided: $(TESTABLE)
	@$(PIP) install -q -c constraints.txt -e '.[fuzz]'
	OMP_NUM_THREADS=1 $(BIN)/python -m reliability.guided --seconds 30

soak: $(TESTABLE) build/native/bundles/fp32-128
	$(BIN)/python -m reliability.soak --rounds 2000 --bundle build/native/bundles/fp32-128
	$(BIN)/python -m reliability.soak --rounds 400 --engines 8 --bundle build/native/bundles/fp32-128

audit: $(TESTABLE)
	@$(PIP) install -q -c constraints.txt -e '.[audit]'
	$(BIN)/python -m reliability.audit --out build/sbom.json

setup: $(INSTALLED)

$(INSTALLED): pyproject.toml constraints.txt | $(BIN)/python
	@echo "make: installing into $(VENV), some minutes the first time"
	@$(PIP) install -q -c constraints.txt -e .
	@touch $@

# The tests lower for every target that this kind of machine can lower for: half a gigabyte of tools more.
$(TESTABLE): $(INSTALLED)
	@echo "make: installing what the tests need"
	@$(PIP) install -q -c constraints.txt -e '.[test,lint]'
	@$(PIP) install -q -c constraints.txt --no-deps $(ARM)
	@touch $@

# What prior_assets/ ships. DATA holds nus64/, tau64/ and imx135/ as data sources; data/ and runs/ are made.
PRIORRAW := $(BIN)/priorraw-edge
NUS := sony-slt-a57 olympus-e-pl6 samsung-nx2000
SETS := $(addprefix data/,samsung-nx2000 olympus-e-pl6 sony-slt-a57 sony-imx135 sony-imx135-scenes)
# The NUS cameras share scenes: each keeps the test scenes of those before it.
data/olympus-e-pl6: private LIKE := --like data/sony-slt-a57
data/samsung-nx2000: private LIKE := --like data/sony-slt-a57 --like data/olympus-e-pl6
data/olympus-e-pl6: | data/sony-slt-a57
data/samsung-nx2000: | data/sony-slt-a57 data/olympus-e-pl6

$(addprefix data/,$(NUS)): data/%: | $(INSTALLED)
	$(PRIORRAW) prepare $(DATA)/nus64/$*.npz --camera $* --out $@ $(LIKE)

data/sony-imx135: | $(INSTALLED)
	$(PRIORRAW) prepare $(DATA)/tau64/sony-imx135.npz --camera sony-imx135 --out $@ --split train=0.8,val=0.05,test=0.15

data/sony-imx135-scenes: | $(INSTALLED)
	$(PRIORRAW) prepare $(DATA)/imx135 --camera sony-imx135 --out $@ --split train=0.65,val=0.05,test=0.3

ENCODER := runs/search/encoder.safetensors
assets: | $(SETS)
	$(PRIORRAW) train search $(SETS) -o runs/search --steps 3000
	$(PRIORRAW) train light $(SETS) --encoder $(ENCODER) -o runs/light --steps 8000
	$(PRIORRAW) train reconstruct $(SETS) -o runs/reconstruct-first --steps 12000
	$(PRIORRAW) train reconstruct $(SETS) -o runs/reconstruct-second --steps 5000 --batch 32 --learning-rate 4e-4 \
	    --start runs/reconstruct-first/reconstructor.safetensors
	$(PRIORRAW) train reconstruct $(SETS) -o runs/reconstruct-third --steps 12000 --batch 32 --learning-rate 8e-4 \
	    --start runs/reconstruct-second/reconstructor.safetensors
	$(PRIORRAW) train reconstruct $(SETS) -o runs/reconstruct --steps 7000 --batch 32 --learning-rate 5e-4 \
	    --start runs/reconstruct-third/reconstructor.safetensors \
	    --blend runs/reconstruct-second/reconstructor.safetensors 0.25
	$(BIN)/python -m priorraw.release --runs runs --data data --out prior_assets

# What prior_assets/bit-depth-4to8 is made of. DATA as above, with raws/, simplecube/, mcmaster18/, hdri/ and kodak24/ too;
# the pictures of two Python packages come with the extra `test`.
DEEP := runs/bit-depth
DEPTH := --task bit-depth
DEEPEN = $(PRIORRAW) train reconstruct $(DEPTH) $(DEPTH_SETS) --encoder $(DEEP)/search/encoder.safetensors \
    --bank $(DEEP)/bank.safetensors --batch 32 --crop 192
DEPTH_SETS := $(addprefix data/depth-,raws2 raws4 imx135 simplecube hdri mcmaster packages)
SITE = $(shell $(BIN)/python -c 'import sysconfig; print(sysconfig.get_paths()["purelib"])')
RENDERED := canon-eos-30d.cr2 canon-eos-550d.dng canon-powershot-g10.cr2 nikon-d5000.dng

# The two runs of the reconstructor are nine minutes of an H100, in bfloat16; for 2 cores lower the steps (and see
# --bfloat16 of train).
bit-depth: $(TESTABLE) | $(DEPTH_SETS)
	$(PRIORRAW) train search $(DEPTH) $(DEPTH_SETS) -o $(DEEP)/search --steps 1000 --learning-rate 2e-3
	$(PRIORRAW) bank build $(DEPTH) $(DEPTH_SETS) --encoder $(DEEP)/search/encoder.safetensors --entries 2000 \
	    -o $(DEEP)/bank.safetensors
	$(DEEPEN) -o $(DEEP)/first --steps 8500
	$(DEEPEN) -o $(DEEP)/reconstruct --steps 4700 --learning-rate 5e-4 --start $(DEEP)/first/reconstructor.safetensors
	$(BIN)/python -m benchmarks.bit_depth $(DATA)/kodak24 $(addprefix --train ,$(DEPTH_SETS)) \
	    --out benchmarks/results/bit-depth.json
	$(BIN)/python -m benchmarks.bit_depth.curve $(DATA)/kodak24 $(addprefix --train ,$(DEPTH_SETS)) \
	    --out benchmarks/results/bit-depth-curve.json
	$(BIN)/python -m priorraw.release_depth --runs $(DEEP) --pictures $(DATA)/kodak24 --out prior_assets \
	    --results benchmarks/results/bit-depth.json
	$(BIN)/python -m benchmarks.bit_depth.views $(DATA)/kodak24 --out benchmarks/results/bit-depth.json
	$(BIN)/python -m benchmarks.bit_depth.page benchmarks/results/bit-depth.json docs/bit-depth.md

$(addprefix data/render-,$(RENDERED)): data/render-%: | $(INSTALLED)
	$(PRIORRAW) prepare $(DATA)/raws/$* --out $@ --split train --srgb-bits 16

data/render-imx135: | $(INSTALLED)
	$(PRIORRAW) prepare $(DATA)/imx135 --camera sony-imx135 --out $@ --split train --srgb-bits 16

data/render-simplecube: | $(INSTALLED)
	$(PRIORRAW) prepare $(DATA)/simplecube --camera canon-eos-550d --black-level 2048 --white-level 16383 --out $@ \
	    --split train --srgb-bits 16 --color-matrix "6941 -1164 -857 -3825 11597 2534 -416 1540 6039"

data/depth-raws2 data/depth-raws4: data/depth-raws%: | $(addprefix data/render-,$(RENDERED))
	$(PRIORRAW) prepare $(DEPTH) $(addsuffix /train/srgb,$(addprefix data/render-,$(RENDERED))) --shrink $* \
	    --out $@ --split train

data/depth-imx135 data/depth-simplecube: data/depth-%: | data/render-%
	$(PRIORRAW) prepare $(DEPTH) data/render-$*/train/srgb --out $@ --split train

data/depth-hdri: | $(INSTALLED)
	$(PRIORRAW) prepare $(DEPTH) $(DATA)/hdri --out $@ --split train

data/depth-mcmaster: | $(INSTALLED)
	$(PRIORRAW) prepare $(DEPTH) $(DATA)/mcmaster18 --out $@ --split train

data/depth-packages: $(TESTABLE)
	$(PRIORRAW) prepare $(DEPTH) $(addprefix $(SITE)/skimage/data/,astronaut.png coffee.png chelsea.png \
	    motorcycle_left.png rocket.jpg retina.jpg) $(addprefix $(SITE)/sklearn/datasets/images/,china.jpg flower.jpg) \
	    --out $@ --split train

# What it is compared with: the light without the bank, and rivals from the literature.
results: assets
	$(PRIORRAW) train light $(SETS) --encoder $(ENCODER) -o runs/light-without-prior --steps 8000 --without-prior
	for camera in $(NUS) sony-imx135; do \
	    $(BIN)/python -m benchmarks.rivals --dataset data/$$camera --budget-minutes 4 \
	        --out benchmarks/results/rivals-$$camera.json || exit 1; \
	done
	$(BIN)/python -m priorraw.release --runs runs --data data --out prior_assets --results docs/results.json
	$(BIN)/python -m priorraw.results docs/results.json benchmarks/results README.md docs/results.md

# The paper's Table 1 on our data; finished rows are kept, so that a second call only fills in the page.
ablation: | data/olympus-e-pl6
	$(BIN)/python -m priorraw.ablation data/olympus-e-pl6 --encoder $(ENCODER) --out benchmarks/results \
	    --steps 1500 --seeds 0,1,2 --network-seeds 0 --page docs/ablation.md

# The runner for edge boxes: see docs/native.md. Small tiles, since an emulated processor is slow.
NATIVE_BUNDLES := $(patsubst %,build/native/bundles/%,fp32-128 int8-72)

native: $(NATIVE_BUNDLES)
	PYTHON=$(BIN)/python edge/native/build.sh
	for bundle in $^; do build/native/$$(uname -m)/bin/priorraw-native --self-test $$bundle --bench || exit 1; done

native-arm64: $(NATIVE_BUNDLES)
	PYTHON=$(BIN)/python edge/native/build.sh aarch64
	for bundle in $^; do \
	    $(if $(filter aarch64,$(shell uname -m)),,qemu-aarch64-static -cpu cortex-a76 -L /) \
	        build/native/aarch64/bin/priorraw-native --self-test $$bundle --threads 1 || exit 1; \
	done

# PRECISION-TILE; made again when what makes it changes.
build/native/bundles/%: $(wildcard edge/priorraw_edge/export/*.py training/priorraw/*.py) | $(INSTALLED)
	$(PRIORRAW) export --target xnnpack --precision $(word 1,$(subst -, ,$*)) --tile $(word 2,$(subst -, ,$*)) --out $@

# The Android demo without Gradle: tests on the desktop JVM, then an APK as a packaging check. See docs/android.md.
ANDROID_BUNDLE := build/android/assets/bundle

android: $(ANDROID_BUNDLE)
	PYTHON=$(BIN)/python android_demo/ci/jvm.sh test $<
	PYTHON=$(BIN)/python android_demo/ci/apk.sh $<

# The bundle that the app ships, with every camera's bank; Android Studio packs it too.
android-assets: $(ANDROID_BUNDLE)

$(ANDROID_BUNDLE): $(wildcard edge/priorraw_edge/export/*.py training/priorraw/*.py prior_assets/*/*.safetensors) | $(INSTALLED)
	$(PRIORRAW) export --target xnnpack --out $@
	for camera in $(NUS); do $(PRIORRAW) bundle add-bank $@ --camera $$camera || { rm -rf $@; exit 1; }; done
	touch $@

# Time, memory and work beside rivals and the machine's limits; an hour on two idle cores.
BENCH := benchmarks/results
bench: $(TESTABLE) | $(SETS)
	$(PRIORRAW) bench --out $(BENCH)/bench.json
	$(BIN)/python -m benchmarks.lookup $(SETS) --out $(BENCH)/lookup.json
	for precision in fp32 int8; do \
	    $(PRIORRAW) export --target xnnpack --precision $$precision --out build/bench/default-$$precision || exit 1; \
	done
	$(BIN)/python -m benchmarks.scaling --bundle build/bench/default-fp32 --bundle build/bench/default-int8 --rounds 3 \
	    --out $(BENCH)/scaling.json
	$(BIN)/python -m benchmarks.performance $(BENCH) docs/performance.md

# The figures of docs/scaling.md: a bank of 26 million pixels and archives; half an hour of two idle cores, 5 GB of disk.
scaling: $(TESTABLE)
	test -d data/cost-mixture || $(BIN)/python -m benchmarks.full_bank_data $(DATA) --out data/cost-mixture
	$(BIN)/python -m benchmarks.full_bank --out $(BENCH)/full-bank.json
	$(BIN)/python -m benchmarks.archive --out $(BENCH)/archive.json
	$(BIN)/python -m benchmarks.scaling_page $(BENCH) docs/scaling.md

# The four-way table of docs/cameras.md: generic models without each camera in turn; over an hour of a core.
cameras: | $(SETS)
	$(BIN)/python -m benchmarks.cameras_train nothing $(NUS) sony-imx135
	$(BIN)/python -m benchmarks.cameras $(addprefix --camera ,$(NUS) sony-imx135) --page docs/cameras.md

# Every backend and precision that lowers here against PyTorch; 20 minutes on two cores.
parity: $(TESTABLE) | data/sony-imx135 data/sony-imx135-scenes
	$(BIN)/python -m benchmarks.parity --images data/sony-imx135-scenes --images data/sony-imx135 --page docs/parity.md

.PHONY: docs screenshots page-load wheel wheel-check

# The site of docs/*.md, without a warning; the pictures of the local page in it; how the page bears a hundred clients.
docs: $(VENV)/.documentable
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build -q

$(VENV)/.documentable: $(INSTALLED)
	@$(PIP) install -q -c constraints.txt -e '.[docs]'
	@touch $@

screenshots: $(TESTABLE)
	$(BIN)/python -m benchmarks.page.screenshots docs/images

page-load: $(TESTABLE)
	$(BIN)/python -m benchmarks.page.load --clients 100 --rounds 3 --page docs/page.md

# What users install: a wheel with the assets inside, and the sources. The check installs nothing but the wheel.
wheel: $(INSTALLED)
	rm -rf dist
	$(PIP) wheel -q --no-deps -w dist .
	$(PIP) install -q -c constraints.txt build && $(BIN)/python -m build -q --sdist -o dist .
	ls -l dist

wheel-check: wheel
	PYTHON=$(BIN)/python .ci/wheel_check.sh dist/*.whl

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
