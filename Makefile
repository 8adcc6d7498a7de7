# What a person types. `make` alone lists it; CONTRIBUTING.md tells more.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-builtin-rules

GO ?= go
PKG ?= ./...
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
LDFLAGS ?= -X github.com/udtcp/udtcp/internal/cli.version=$(VERSION)

# The tools' versions stand in scripts/tools/go.mod; each is built from source
# once and again when that file changes.
TOOLS := scripts/tools/go.mod scripts/tools/go.sum
tool = cd scripts/tools && GOBIN=$(CURDIR)/bin $(GO) install $(1) && touch $(CURDIR)/$@

.PHONY: help
help: ## this list
	@awk -F ' *## ' '/^[a-z-]+:.* ## / { sub(/:.*/, "", $$1); printf "  make %-15s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: build
build: ## ./udtcp, one static binary
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '$(LDFLAGS)' -o udtcp ./cmd/udtcp

.PHONY: test
test: ## vet and all tests under the race detector, then on the portable UDP path; PKG=
	scripts/test.sh $(PKG)

.PHONY: race
race: ## all tests under the race detector on 1, 2 and 4 processors; PKG=
	scripts/install-deps.sh race
	CGO_ENABLED=1 $(GO) test -race -shuffle=on -cpu 1,2,4 -timeout 30m $(PKG)

.PHONY: interop
interop: ## only the tests against the C++ library, with a matrix of what ran; fails where they cannot run
	scripts/install-deps.sh interop
	matrix=$$(mktemp) && trap 'cat "$$matrix"; rm -f "$$matrix"' EXIT && \
	UDTCP_REQUIRE_INTEROP=1 UDTCP_INTEROP_RUNS=$(INTEROP_RUNS) UDTCP_INTEROP_MATRIX="$$matrix" \
		$(GO) test -shuffle=on -count=1 -timeout 30m -v -run Interop $(PKG)

# How often the matrix repeats each run that has faults on the way: 200 and more in all.
INTEROP_RUNS ?= 5

.PHONY: lint
lint: bin/golangci-lint bin/govulncheck ## formatting, vet, golangci-lint with the import and clock rules, govulncheck
	scripts/lint.sh

.PHONY: fuzz
fuzz: ## every fuzz target for FUZZTIME (10s); FUZZ=regexp picks some
	scripts/fuzz.sh $(PKG)

.PHONY: fuzz-long
fuzz-long: ## the same for hours: FUZZTIME (15m) each
	FUZZTIME=$${FUZZTIME:-15m} scripts/fuzz.sh $(PKG)

.PHONY: attack
attack: ## forged, spoiled and flooding packets at full length, with the counts; minutes
	UDTCP_ATTACK=1 $(GO) test -count=1 -v -timeout 60m -run 'Forged|Flood|Malformed|Stalled' ./internal/udt/... ./internal/cli

.PHONY: bench
bench: bin/benchstat ## Go benchmarks, then bench-loopback
	scripts/bench.sh $(PKG)
	$(MAKE) --no-print-directory bench-loopback

.PHONY: bench-loopback
bench-loopback: build ## udtcp, libudt, TCP and bare UDP beside each other; BENCH_BRIEF=1, see scripts/bench-loopback.sh
	scripts/install-deps.sh bench || true
	if scripts/install-deps.sh interop 2>/dev/null; then $(MAKE) --no-print-directory peers; fi
	if command -v "$${CXX:-g++}" >/dev/null; then $(MAKE) --no-print-directory -C testdata/peers gsoceiling; fi
	$(GO) build -o bin/ ./scripts/measure ./scripts/pipeend ./scripts/filework
	scripts/bench-loopback.sh

.PHONY: bench-wan
bench-wan: build ## files over modelled wide-area links: udtcp, TCP, libudt; needs root; BENCH_WAN_SUITES and more
	if scripts/install-deps.sh interop 2>/dev/null; then $(MAKE) --no-print-directory peers; fi
	scripts/bench-wan.sh

.PHONY: torture
torture: build ## kill -9, crashes, cuts and full disks in transfers; TORTURE_BRIEF=1, see scripts/torture.sh
	scripts/torture.sh

.PHONY: demo
demo: build ## real files and pipes over loopback, compared, with throughput, RTT and loss
	scripts/demo.sh

.PHONY: peers
peers: ## the C++ programs the interop tests talk to
	scripts/install-deps.sh interop
	$(MAKE) --no-print-directory -C testdata/peers

.PHONY: tools
tools: bin/golangci-lint bin/govulncheck bin/benchstat ## the linters and benchstat into ./bin

.PHONY: clean
clean: ## everything built here
	rm -rf udtcp bin testdata/peers/build

bin/golangci-lint: $(TOOLS)
	$(call tool,github.com/golangci/golangci-lint/v2/cmd/golangci-lint)

bin/govulncheck: $(TOOLS)
	$(call tool,golang.org/x/vuln/cmd/govulncheck)

bin/benchstat: $(TOOLS)
	$(call tool,golang.org/x/perf/cmd/benchstat)
