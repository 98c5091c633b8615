# `make` prints the targets. All of them work on a bare Debian machine with Go,
# make and git: what else they need, .ci/need installs.

GO ?= go
# What `make run` hands to `congdanso dev`, and `make test` or `make bench` to `go test`.
ARGS ?=
PACKAGES ?= ./...
FUZZTIME ?= 20s

.DEFAULT_GOAL := help
.PHONY: help run test bench fuzz lint build

help: ## print this
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-6s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: ## install what is missing, then everything on this machine, with stand-ins (congdanso dev)
	@.ci/need postgres
	@$(GO) build -o bin/congdanso ./cmd/congdanso && exec bin/congdanso dev $(ARGS)

test: ## install what is missing, then every test: unit, Postgres, Redis, browser, with -race
	@.ci/need
	CGO_ENABLED=1 $(GO) test -race -timeout 20m $(ARGS) $(PACKAGES)

bench: ## the benchmarks that hold the figures, one package after the other
	@.ci/need postgres redis
	@echo "machine: $$(uname -sr), $$(getconf _NPROCESSORS_ONLN) cores, $$($(GO) version)"
	$(GO) test -p 1 -timeout 60m -run '^$$' -bench . -benchmem $(ARGS) $(PACKAGES)

fuzz: ## every fuzz test for FUZZTIME (20s)
	@.ci/need postgres
	@set -e; for package in $$($(GO) list -f '{{if or .TestGoFiles .XTestGoFiles}}{{.ImportPath}}{{end}}' $(PACKAGES)); do \
		dir=$$($(GO) list -f '{{.Dir}}' $$package); \
		for fuzz in $$(sed -n 's/^func \(Fuzz[A-Za-z0-9_]*\)(.*/\1/p' $$dir/*_test.go); do \
			$(GO) test -run '^$$' -fuzz "^$$fuzz\$$" -fuzztime $(FUZZTIME) $$package; \
		done; \
	done

lint: ## gofmt, go vet, staticcheck, and govulncheck where its database can be reached
	@.ci/lint
	@.ci/vulnerabilities

build: ## the binary, in bin/
	$(GO) build -trimpath -o bin/congdanso ./cmd/congdanso
