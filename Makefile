# Everything to work on Slipway is a target here; `make help` lists them.
# Only Go, git, make and curl have to be there: tools come through tools/go.mod and tools/lint/go.mod, at the versions
# pinned there, and stay in Go's build cache.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-builtin-rules

GO       ?= go
NPM      ?= npm
BUF      := $(GO) tool -modfile=tools/go.mod buf
GOLANGCI := $(GO) tool -modfile=tools/lint/go.mod golangci-lint

# Go itself stamps the version: the tag or the commit. Where git gives none (an archive, another user's clone) there is none.
GOBUILD  := CGO_ENABLED=0 $(GO) build -trimpath -buildvcs=$(shell git rev-parse --quiet --verify HEAD >/dev/null 2>&1 && echo true || echo false) -ldflags '-s -w'
# A service is a folder of services/ with a main.go.
SERVICES := $(patsubst services/%/main.go,%,$(wildcard services/*/main.go))

NODE_MODULES := gen/ts/node_modules/.package-lock.json

# What `make test` and `make race` run; e.g. `make test PKG=./services/hooks/... ARGS='-run Retry -v'`.
PKG  ?= ./...
ARGS ?=
# Packages where goroutines share memory; the race detector needs a C compiler.
RACE ?= ./platform/... ./drivers/... $(patsubst %,./%/...,$(wildcard services/*/internal/engine services/*/internal/feed services/proxy))
# The branch against which `buf breaking` compares the contract; a CI clone of another branch has it as origin/main only.
BASE ?= $(shell git rev-parse --quiet --verify --abbrev-ref main 2>/dev/null || echo origin/main)

.PHONY: help
help: ## Print every target
	@awk -F ':.*## ' '/^[a-z][a-z-]*:.*## / { printf "  %-18s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

##@ Build and run

.PHONY: build
build: ## Build bin/slipway and one static bin/slipway-<service> for each service
	@mkdir -p bin
	$(GOBUILD) -o bin/slipway ./cmd/slipway
	$(GOBUILD) -o bin/slipway-example-web ./examples/web
	@set -e; for s in $(SERVICES); do echo "build bin/slipway-$$s"; $(GOBUILD) -o bin/slipway-$$s ./services/$$s; done

.PHONY: dev
dev: deps build ## Run all of Slipway in one program, with a Postgres of its own
	bin/slipway dev $(ARGS)

.PHONY: demo
demo: deps build ## Play four deployments of real processes under load and print what happens
	bin/slipway demo $(ARGS)

.PHONY: images
images: ## Build the images slipway/<service>, slipway/cli and slipway/example-web, without any base image
	@scripts/build-images

.PHONY: release
release: ## Build the archives of a release into dist/, with checksums and a bill of materials
	@scripts/release

.PHONY: postgres-image
postgres-image: ## Build POSTGRES_IMAGE (slipway/postgres:debian) from Debian packages, where no registry is reached
	@scripts/build-base-images postgres $(or $(POSTGRES_IMAGE),slipway/postgres:debian)

.PHONY: up
up: build ## Start all of Slipway as containers (docker-compose.yml) and wait until it is healthy
	@scripts/compose up

.PHONY: down
down: ## Remove what `make up` started, with its volumes and tasks
	@scripts/compose down

.PHONY: demo-compose
demo-compose: ## Play the four stories on what `make up` started, as containers
	@scripts/compose demo

.PHONY: deps
deps: ## Install what is missing here (PostgreSQL programs), or say what to install
	@scripts/install-deps

.PHONY: deps-ts
deps-ts: ## Install Node and npm if missing, or say what to install: only gen/ts needs them
	@scripts/install-node

# Tests that need an engine say so and are skipped without one; with SLIPWAY_REQUIRE_DOCKER set they fail.
.PHONY: deps-docker
deps-docker: ## Install and start Docker if missing, or say what to install
	@scripts/install-docker || test -z "$${SLIPWAY_REQUIRE_DOCKER:-}"

##@ Test

.PHONY: test
.PHONY: deps-prometheus
deps-prometheus: ## Install Prometheus if missing, or say what to install
	@scripts/install-prometheus || test -z "$${SLIPWAY_REQUIRE_PROMETHEUS:-}"

.PHONY: test
test: deps deps-docker deps-prometheus ## Run every test: PKG=./services/hooks/... and ARGS='-run X' narrow it
ifeq ($(PKG),./...)
	$(GO) test -timeout 15m $(ARGS) $$($(GO) list ./... | grep -v /test/integration$$)
	$(GO) test -timeout 15m $(ARGS) ./test/integration # alone: it is a machine full of containers
else
	$(GO) test -timeout 15m $(ARGS) $(PKG)
endif

.PHONY: simulate
simulate: ## Play SEEDS=10000 runs of the engine in a world that misbehaves; SEED=n replays one and tells its story
	$(GO) test -count=1 -timeout 60m $(ARGS) ./test/simulation -run 'TestSimulation$$' $(if $(SEED),-seed $(SEED) -story -v,-seeds $(or $(SEEDS),10000) -v | grep -v '^ *\(=== \|--- PASS\)')

.PHONY: mutations
mutations: ## Make bugs on purpose, one after the other, and check that the simulation finds each
	SLIPWAY_MUTATIONS=1 $(GO) test -count=1 -timeout 60m $(ARGS) ./test/simulation -run 'TestMutations$$' -v

.PHONY: chaos
chaos: deps ## Break a system of real processes in every way for MINUTES=10 while deployments and requests go on; report in bin/chaos.md
	@mkdir -p bin
	$(GO) test -count=1 -timeout $$(($(or $(MINUTES),10) + 20))m $(ARGS) ./test/faults -run 'TestChaos$$' -v -minutes $(or $(MINUTES),10) -report $(CURDIR)/bin/chaos.md $(if $(SEED),-seed $(SEED)) $(if $(ONLY),-only '$(ONLY)')

.PHONY: race
race: deps ## Run the packages where goroutines share memory under the race detector
	CGO_ENABLED=1 $(GO) test -race -timeout 15m $(ARGS) $(RACE)

.PHONY: bench
bench: deps ## Run the benchmarks: BENCH=Name narrows it (HAProxy, if installed, is a peer in them)
	$(GO) test -run '^$$' -bench '$(or $(BENCH),.)' -benchmem -timeout 60m $(ARGS) ./bench/... ./services/orchestrator/internal/engine

.PHONY: test-ts
test-ts: deps build $(NODE_MODULES) ## Build the TypeScript client and run its tests against bin/slipway dev
	$(NPM) --prefix gen/ts test

##@ Generate and check

.PHONY: generate
generate: ## Generate gen/go from proto/
	$(BUF) generate

.PHONY: generate-ts
generate-ts: $(NODE_MODULES) ## Generate gen/ts/src/gen, the TypeScript client's part that comes from proto/
	$(BUF) generate --template buf.gen.ts.yaml

# What npm installed there, as npm notes it.
$(NODE_MODULES): gen/ts/package-lock.json | deps-ts
	$(NPM) --prefix gen/ts ci --loglevel=error
	@touch $@

.PHONY: vendor-proto
vendor-proto: ## Copy third_party/proto from the module that publishes it
	scripts/vendor-proto third_party/proto

.PHONY: fmt
fmt: ## Format Go (gofumpt, gci) and proto files
	$(GOLANGCI) fmt
	$(BUF) format --write proto

.PHONY: lint
lint: lint-tree lint-proto lint-go ## Check everything: tree, contract, Go

.PHONY: lint-go
lint-go: ## Check Go code with golangci-lint (.golangci.yml says what and why)
	$(GOLANGCI) run $(ARGS)

.PHONY: lint-proto
lint-proto: ## Check the contract: buf lint, format, and breaking changes against BASE
	$(BUF) lint
	$(BUF) format --diff --exit-code proto
	@if git cat-file -e '$(BASE):buf.yaml' 2>/dev/null; then \
		echo "$(BUF) breaking --against .git#branch=$(BASE)"; \
		$(BUF) breaking --against '.git#branch=$(BASE)'; \
	else \
		echo "buf breaking: skipped, because there is no contract on $(BASE) yet to compare with."; \
	fi

.PHONY: lint-tree
lint-tree: ## Check file lengths and paths that only exist on one machine
	@scripts/check-tree

.PHONY: verify
verify: verify-generate verify-tidy lint ## Check that generated code and go.mod are up to date, then lint

.PHONY: verify-generate
verify-generate: ## Fail if gen/ or third_party/proto is not what their sources give
	@rm -rf bin/verify
	$(BUF) generate --output bin/verify
	diff -r gen/go bin/verify/gen/go
	scripts/vendor-proto bin/verify/proto
	diff -r --exclude=README.md third_party/proto bin/verify/proto
	@rm -rf bin/verify

.PHONY: verify-generate-ts
verify-generate-ts: $(NODE_MODULES) ## Fail if gen/ts/src/gen is not what proto/ gives
	@rm -rf bin/verify-ts
	$(BUF) generate --template buf.gen.ts.yaml --output bin/verify-ts
	diff -r gen/ts/src/gen bin/verify-ts/gen/ts/src/gen
	@rm -rf bin/verify-ts

.PHONY: verify-tidy
verify-tidy: ## Fail if go mod tidy would change a go.mod or go.sum
	$(GO) mod tidy -diff
	$(GO) -C tools mod tidy -diff
	$(GO) -C tools/lint mod tidy -diff
	$(GO) -C tools/toxiproxy mod tidy -diff

.PHONY: clean
clean: ## Remove what was built
	rm -rf bin dist gen/ts/dist gen/ts/build gen/ts/node_modules
