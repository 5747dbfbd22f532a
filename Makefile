# The commands of people and of CI. `make` alone lists them.
#
# Only Python >= 3.11, make and git must be installed by hand. A target that needs the environment
# depends on its stamp, which is rebuilt only when a lock has changed.

.DEFAULT_GOAL := help
SHELL := /bin/sh
VENV := .venv
PYTHON_IN_VENV := $(VENV)/bin/python
STAMP := $(VENV)/.installed
WEB := web/node_modules
WEB_STAMP := $(WEB)/.installed
WEB_TOOLS_STAMP := $(WEB)/.tools-installed

# The interpreter that makes the environment. `make install PYTHON=/path/to/python3` overrides.
PYTHONS := $(if $(PYTHON),$(PYTHON),python3 python3.14 python3.13 python3.12 python3.11)

# uv and npm bring their own certificate roots, and uv reads none of pip's settings. The bundle of
# the machine, if there is one, is the right one: it includes a company's proxy. PIP_INDEX_URL holds
# for uv too.
CERTIFICATES := $(firstword $(wildcard /etc/ssl/certs/ca-certificates.crt \
	/etc/pki/tls/certs/ca-bundle.crt /etc/ssl/cert.pem))
ifneq ($(CERTIFICATES),)
export UV_SYSTEM_CERTS ?= true
export NODE_EXTRA_CA_CERTS ?= $(CERTIFICATES)
endif
ifneq ($(PIP_INDEX_URL),)
export UV_DEFAULT_INDEX ?= $(PIP_INDEX_URL)
endif

# Bytecode is kept whatever the caller's environment says: without it, every process of a test run
# or a stack compiles 2,000 modules at its start (2.4 s of CPU instead of none).
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help install lock sbom advisories up demo test bench evidence screenshots check lint lint-style \
	lint-types lint-imports lint-web chaos attack fuzz huge check-system

help: ## List the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

install: $(STAMP) $(WEB_STAMP) ## Make .venv and web/node_modules, exactly as locked (skipped when nothing changed)

# --no-build-isolation: a build environment would fetch setuptools past the lock.
$(STAMP): bootstrap.lock requirements.lock pyproject.toml
	@python=$$(for candidate in $(PYTHONS); do \
		"$$candidate" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' \
			2>/dev/null && command -v "$$candidate" && break; \
	done); \
	if [ -z "$$python" ]; then \
		echo "Python 3.11 or newer, with its venv module, is needed; looked for: $(PYTHONS)." >&2; \
		echo "(On Debian and Ubuntu: apt install python3-venv. Or: make $(MAKECMDGOALS) PYTHON=/path/to/python3)" >&2; \
		exit 1; \
	fi; \
	if ! $(PYTHON_IN_VENV) -c '' 2>/dev/null; then "$$python" -m venv --clear $(VENV); fi
	@$(PYTHON_IN_VENV) -m pip install --quiet --disable-pip-version-check --require-hashes --only-binary :all: -r bootstrap.lock
	@$(VENV)/bin/uv pip sync --quiet --compile-bytecode --only-binary :all: --python $(PYTHON_IN_VENV) --require-hashes requirements.lock
	@$(VENV)/bin/uv pip install --quiet --python $(PYTHON_IN_VENV) --no-deps --no-build-isolation --editable .
	@touch $@

# npm comes with the Python packages and asks the registry that it is configured for. If that one
# does not answer, npm gives up after two minutes instead of fifteen.
NPM_CI := PATH="$(CURDIR)/$(VENV)/bin:$$PATH" npm ci --prefix web --ignore-scripts --no-audit --no-fund \
	--loglevel=error --fetch-retries=1 --fetch-timeout=60000

# The scripts that pages load. Without them pages play the single-file version, and a demo succeeds.
$(WEB_STAMP): web/package.json web/package-lock.json | $(STAMP)
	@if $(NPM_CI) --omit=dev >/dev/null; then touch $@; else \
		echo "hls.js could not be fetched (npm's message is above): pages play the MP4 or native HLS." >&2; \
		echo "The next make tries again. npm asks the registry of ~/.npmrc or npm_config_registry." >&2; \
	fi

# The tools that lint and test them: several times as large, so installed only when needed.
$(WEB_TOOLS_STAMP): web/package.json web/package-lock.json | $(STAMP) $(WEB_STAMP)
	@$(NPM_CI) >/dev/null
	@touch $(WEB_STAMP) $@

lock: $(STAMP) ## Resolve the dependencies anew (hashes, no download address)
	$(VENV)/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
		--no-emit-index-url --no-header --upgrade --all-extras pyproject.toml --output-file requirements.lock
	$(VENV)/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
		--no-emit-index-url --no-header --constraints requirements.lock --extra production pyproject.toml \
		--output-file requirements.production.lock
	@$(MAKE) --no-print-directory install
	@$(PYTHON_IN_VENV) -m stack.licences

sbom: $(STAMP) ## Write khronika.cdx.json: every locked package, its hashes and licence (CycloneDX)
	@$(PYTHON_IN_VENV) -m stack.sbom khronika.cdx.json

advisories: $(STAMP) ## Ask for known advisories of every locked package (needs the network)
	@$(PYTHON_IN_VENV) -m stack.advisories

# `exec`, here and below: the shell becomes Python, so that a signal reaches it.
up: $(STAMP) $(WEB_STAMP) ## Run the whole stack until Ctrl-C (PORT= DATABASE_URL= BROKER_URL= STORAGE_URL=)
	@exec $(PYTHON_IN_VENV) -m stack up

demo: $(STAMP) $(WEB_STAMP) ## Send a real video through the whole stack (VIDEO=path for your own)
	@exec $(PYTHON_IN_VENV) -m stack demo $(if $(VIDEO),--video "$(VIDEO)")

test: $(STAMP) $(WEB_TOOLS_STAMP) ## Run the tests, but those of check-system, on real servers (ARGS= for pytest)
	@exec $(PYTHON_IN_VENV) -m pytest -n auto $(or $(ARGS),-m "not system")

bench: $(STAMP) $(WEB_STAMP) ## Measure, and print the benchmark tables
	@exec $(PYTHON_IN_VENV) -m bench

evidence: $(STAMP) ## Tell the stories and write docs/evidence (PART=ours or PART=vendors for one part)
	@exec $(PYTHON_IN_VENV) -m tests.acceptance.evidence $(if $(PART),--part "$(PART)") \
		$(if $(PROVIDER),--provider "$(PROVIDER)") $(if $(PUBLIC_URL),--public-url "$(PUBLIC_URL)")

screenshots: $(STAMP) $(WEB_STAMP) ## Take pictures of every page and state (docs/screenshots; ARGS="element" or "stack")
	@exec $(PYTHON_IN_VENV) -m tests.browser.screenshots $(ARGS)

# Side by side: each uses one CPU.
LINTERS := lint-style lint-types lint-imports lint-web

lint: $(STAMP) $(WEB_TOOLS_STAMP) ## ruff, mypy --strict, import-linter; eslint and tsc --strict on web/ and examples/
	@$(MAKE) --no-print-directory --jobs $(LINTERS)

lint-style:
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/ruff format --check .

lint-types:
	@$(VENV)/bin/mypy

lint-imports:
	@$(VENV)/bin/lint-imports

lint-web:
	@cd web && PATH="$(CURDIR)/$(VENV)/bin:$$PATH" && node_modules/.bin/eslint . && node_modules/.bin/tsc --project .
	@cd examples/site && PATH="$(CURDIR)/$(VENV)/bin:$$PATH" && ../../web/node_modules/.bin/eslint . \
		&& ../../web/node_modules/.bin/tsc --project .

check: lint test ## What CI runs: lint, then test

chaos: $(STAMP) ## Attack the whole stack and check its promises (SEED= ASSETS= MINUTES=)
	@exec $(PYTHON_IN_VENV) -m tests.chaos $(if $(SEED),--seed $(SEED)) \
		$(if $(ASSETS),--assets $(ASSETS)) $(if $(MINUTES),--minutes $(MINUTES)) $(ARGS)

attack: $(STAMP) ## Attack a production on this machine and print what held (ARGS="decoder broker" for some)
	@exec $(PYTHON_IN_VENV) -W ignore -m tests.attack $(ARGS)

fuzz: $(STAMP) ## Throw new random input at every parser (EXAMPLES= for each property)
	@exec env KHRONIKA_FUZZ_EXAMPLES=$(or $(EXAMPLES),20000) $(PYTHON_IN_VENV) -m pytest tests/fuzz $(ARGS)

huge: $(STAMP) $(WEB_STAMP) ## Send a file of 2 GiB from a browser and the command line, in bounded memory (MIB= for another)
	@exec env KHRONIKA_HUGE_MIB=$(or $(MIB),2048) KHRONIKA_REQUIRE_BROWSER=1 \
		$(PYTHON_IN_VENV) -m pytest tests/browser/test_huge.py $(ARGS)

check-system: $(STAMP) $(WEB_TOOLS_STAMP) ## Run the tests that need root or a system package, and install it where that is possible
	@tests/system/install.sh
	@exec $(PYTHON_IN_VENV) -m pytest -m "$(or $(MARKS),system or browser)"
