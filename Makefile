# make demo and make test set up what they need; the rest expects `make setup` to have run.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: setup demo test ray-test sign-test image-test lock audit sbom lint type manifests proto bench clean

setup: $(VENV)/installed

# pip alone resolves torch to the wheel that the constraints name.
$(VENV)/installed: pyproject.toml constraints.txt
	@echo 'installing into $(VENV): this takes some minutes'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[serving,training,dev]'
	touch $@

demo: setup
	$(BIN)/python examples/demo.py

# The tests also check that `make proto` would change nothing. Test files run in parallel, on at most four cores.
test: lint type
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 --dist loadfile

# Batch jobs on a Ray cluster of two nodes. Ray is half a gigabyte, so it is installed here and not by `make setup`.
ray-test: setup
	$(BIN)/pip install --quiet --disable-pip-version-check 'ray>=2.40'
	$(BIN)/python -m pytest tests/ray

# Signing and verifying packages. The extra takes 190 MB, so it is installed here and not by `make setup`.
sign-test: setup
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[sign]'
	$(BIN)/python -m pytest tests/vaeserve/package/test_signing.py

# Containers: builds the images, brings docker-compose.yml up, and attacks it. Takes minutes, and a Docker engine: it starts
# one if none runs and it may. IMAGE_TEST_OVERLAY names one more compose file, for example with secrets for the build.
image-test: setup
	IMAGE_TEST=1 $(BIN)/python -m pytest tests/images --verbose --timeout 1800

# What the images install: exact versions with the hashes of their files, from pyproject.toml and constraints.txt. TORCH says where
# the builds of PyTorch for the CPU are.
TORCH := --torch-backend cpu
LOCK := $(BIN)/uv pip compile --quiet --no-config --python-version 3.11 --python-platform linux --generate-hashes --upgrade \
	--constraints constraints.txt --custom-compile-command 'make lock' --output-file deploy/requirements
lock: setup
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt uv
	$(LOCK)/serving.txt pyproject.toml --extra serving --extra otel
	$(LOCK)/serving-gpu.txt pyproject.toml --extra serving-gpu --extra otel
	$(LOCK)/jobs.txt pyproject.toml --extra serving --extra jobs
	$(LOCK)/training.txt pyproject.toml --extra serving --extra training $(TORCH)
	echo hatchling | $(LOCK)/build.txt -

# Licences and known vulnerabilities of what the images install, and lists of it in CycloneDX's format, in dist/sbom. What audits has
# an environment of its own. No network: `make audit` fails, because what nobody answered for was not audited.
SUPPLY := build/supply
SHIPPED := serving serving-gpu jobs training
$(SUPPLY)/installed:
	$(PYTHON) -m venv $(SUPPLY)
	$(SUPPLY)/bin/pip install --quiet --disable-pip-version-check --upgrade pip==26.3 pip-audit==2.10.1 cyclonedx-bom==7.5.0
	touch $@

audit: $(SUPPLY)/installed
	$(SUPPLY)/bin/python deploy/audit.py $(SHIPPED:%=deploy/requirements/%.txt)

sbom: $(SUPPLY)/installed
	mkdir -p dist/sbom
	for name in $(SHIPPED); do $(SUPPLY)/bin/cyclonedx-py requirements deploy/requirements/$$name.txt --pyproject pyproject.toml \
		--output-reproducible --validate --output-file dist/sbom/$$name.cdx.json || exit $$?; done

lint: setup
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/lint-imports
	cd proto && ../$(BIN)/buf lint
	$(BIN)/hadolint deploy/*.Dockerfile

type: setup
	$(BIN)/mypy

# What deploy/kubernetes makes from its own manifests and from deploy/monitoring: the Helm chart, and the alerts. Needs kubectl.
manifests: setup
	$(BIN)/python deploy/kubernetes/generate.py

proto: setup
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m grpc_tools.protoc -Ivaeserve=proto/vae --python_out=. --grpc_python_out=. --mypy_out=quiet:. --mypy_grpc_out=quiet:. \
		vaeserve/v1/vae.proto

# Every figure of the service in benchmarks/README.md, or those named: make bench FIGURES="small_calls lone_call". About 40 minutes.
FIGURES := limits start small_calls lone_call shared_stream mlp_calls bulk_rows priorities overload reload tuning waiting memory sizing batch_jobs batch_priorities batch_kills batch_memory
bench: setup
	for figure in $(FIGURES); do echo "== $$figure"; $(BIN)/python -m benchmarks.$$figure || exit $$?; done

clean:
	rm -rf $(VENV) demo dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis *.egg-info
