# The commands of the project; `make` lists them. CI (.ci/run) calls the same ones.
#   JOBS=n      compile and test jobs (default: all processors)
#   BENCH=...   arguments of `make bench`
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

JOBS ?= $(shell nproc)
BENCH ?= ttft --context 4096 --chunk 512 --budget 0.2 --method primary_probe --json
CTEST = ctest --output-on-failure --no-tests=error -j $(JOBS) --test-dir
# Test executables whose AddressSanitizer build is small enough for every CI run: bytes from outside, storage, text.
ASAN_SAMPLE = kv_test select_test store_test text_test
CXX_FILES = $(shell git ls-files -co --exclude-standard -- '*.cc' '*.h')

define heading
@printf '\n== %s\n' '$(1)'
endef

.PHONY: help install test-servers models build demo test test-asan test-asan-sample test-tsan test-slow test-deploy bench quality-baseline format format-check clean

help:  ## this list
	@echo 'Usage: make TARGET [JOBS=n]'
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  \1|\2/p' Makefile | awk -F'|' '{printf "%-20s%s\n", $$1, $$2}'

install:  ## install what is missing (packages, Rust, libtorch) and say what
	$(call heading,install what is missing)
	@tools/setup/install.sh

# Without Go the tests that need these servers are skipped, except in CI, which has Go.
test-servers:  ## install the servers that tests run against (needs Go)
	$(call heading,install test servers)
	@tools/setup/test_servers.sh || [ -z "$${CI:-}" ]

models: install  ## fetch and convert the demo model
	$(call heading,fetch the demo model)
	@python3 -m tools.models fetch

build: install  ## build what users run, in build/release
	$(call heading,build release)
	@cmake --preset release
	@cmake --build --preset release -j $(JOBS)

demo: build  ## from documents to answers: ingest examples/corpus, ask, compare methods
	$(call heading,demo)
	@tools/demo/demo.sh

test: install test-servers  ## build and run the test suite (unit, tidy, integration, samples)
	$(call heading,configure and build dev)
	@cmake --preset dev
	@cmake --build --preset dev -j $(JOBS)
	@$(MAKE) models
	$(call heading,run the tests)
	@$(CTEST) build/dev -L '^(unit|tidy|integration|sample)$$'

test-asan: install  ## all unit tests under AddressSanitizer and UBSan
	$(call heading,configure and build asan)
	@cmake --preset asan
	@cmake --build --preset asan -j $(JOBS)
	$(call heading,run the unit tests under ASan and UBSan)
	@$(CTEST) build/asan -L '^unit$$'

test-asan-sample: install  ## the part of test-asan that CI runs every time
	$(call heading,configure and build $(ASAN_SAMPLE) under ASan and UBSan)
	@cmake --preset asan
	@cmake --build --preset asan -j $(JOBS) --target $(ASAN_SAMPLE)
	$(call heading,run them)
	@$(CTEST) build/asan -R '^($(shell echo $(ASAN_SAMPLE) | tr ' ' '|'))$$'

test-tsan: install  ## all unit tests under ThreadSanitizer
	$(call heading,configure and build tsan)
	@cmake --preset tsan
	@cmake --build --preset tsan -j $(JOBS)
	$(call heading,run the unit tests under TSan)
	@$(CTEST) build/tsan -L '^unit$$'

test-slow: install models  ## long suites and live comparisons (downloads what they compare with)
	$(call heading,configure and build dev)
	@cmake --preset dev
	@cmake --build --preset dev -j $(JOBS)
	$(call heading,run the slow tests)
	@$(CTEST) build/dev -L '^slow$$'

test-deploy:  ## Dockerfiles, compose file and Helm chart: lint and schemas (installs helm and the linters)
	$(call heading,install the tools)
	@tools/setup/deploy_tools.sh
	$(call heading,check what deploys)
	@cd tests/deploy && "$${CACHECLIP_CACHE:-$${XDG_CACHE_HOME:-$$HOME/.cache}/cacheclip}/venv-deploy/bin/python" -B -m unittest

bench: build models  ## time to first token on this machine (BENCH='...')
	$(call heading,cacheclip bench $(BENCH))
	@build/release/bin/cacheclip bench $(BENCH)

# Commit the file together with the change that moves the numbers, and say in the commit why.
quality-baseline: install models  ## measure the baseline of the quality gate anew (tests/data/quality)
	$(call heading,build cacheclip as the tests do)
	@cmake --preset dev
	@cmake --build --preset dev -j $(JOBS) --target cacheclip
	$(call heading,measure)
	@python3 -m tools.eval.gate build/dev/bin/cacheclip --renew

format:  ## rewrite C++ sources with clang-format
	@clang-format -i $(CXX_FILES)

format-check:  ## list C++ sources that clang-format would change
	$(call heading,check formatting)
	@clang-format --dry-run --Werror $(CXX_FILES)

clean:  ## remove build/
	$(call heading,remove build/)
	@rm -rf build
