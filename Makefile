# Three commands on a fresh machine: `make demo`, `make serve` and `make test`. Each sets up of .venv what it needs.
PYTHON  ?= python3
VENV    := .venv
BIN     := $(VENV)/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile --constraint constraints.txt --editable

# What is installed: the search product alone, with its service, or with all that developers use.
PRODUCT := $(VENV)/.product
SERVE   := $(VENV)/.serve
READY   := $(VENV)/.dev

.PHONY: setup demo serve test test-fast flips cuts fuzz soak attacks container lint docs sbom lock clean

setup: $(READY)

$(PRODUCT): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "dermquery needs Python 3.11 or newer, this is " + sys.version.split()[0] + "; set PYTHON=python3.12, say")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(INSTALL) .
	touch $@

$(SERVE) $(READY): $(VENV)/.%: $(PRODUCT)
	$(INSTALL) '.[$*]'
	# The teacher's weights, without the TensorFlow that reads them elsewhere.
	test $* != dev || $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps sklesion==0.2.2
	touch $@

demo: $(PRODUCT)
	$(BIN)/dermquery demo --out demo

# The web page and the API on http://127.0.0.1:8420, over the synthetic cases of the demo.
serve: $(SERVE)
	test -f demo/base/manifest.json || $(BIN)/dermquery demo --out demo
	$(BIN)/dermquery serve --base demo/base --notice 'All lesions here are synthetic.'

test: $(READY)
	$(BIN)/python -m pytest -n 3 --dist worksteal --durations 5

test-fast: $(READY)
	$(BIN)/python -m pytest -n 3 --dist worksteal -m 'not slow'

# 400 flipped bits, each of which is noticed or changes no answer; and the power cut at every point of every scenario.
flips cuts: $(READY)
	$(BIN)/python -m tests.durability.$@

# Every reader of what others write, FUZZ_SECONDS each; what is found lies under fuzz-found/.
FUZZ_SECONDS ?= 60
fuzz: $(READY)
	$(BIN)/python -m tests.fuzz --seconds $(FUZZ_SECONDS)

soak: $(READY)
	$(BIN)/python -m tests.soak --minutes 10

attacks: $(READY)
	$(BIN)/python -m tests.attacks

# The container, built and used; as root, with Debian's podman, buildah and debootstrap.
container: $(READY)
	$(BIN)/python -m tests.container --bootstrap

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# The documentation as a site, strictly, in build/site.
docs: $(READY)
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --quiet

# What the search product with its service is made of, as a CycloneDX list, of an environment that holds nothing else.
sbom:
	rm -rf build/sbom && $(PYTHON) -m venv build/sbom
	build/sbom/bin/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt '.[serve]'
	$(BIN)/cyclonedx-py environment build/sbom --pyproject pyproject.toml --output-reproducible --of JSON -o build/dermquery.cdx.json

# Pin what is installed now; run it in an environment that passes `make test`.
lock: $(READY)
	$(BIN)/python -m pip freeze --exclude-editable --disable-pip-version-check | sed 's/+cpu$$//' > constraints.txt

clean:
	rm -rf $(VENV) demo
