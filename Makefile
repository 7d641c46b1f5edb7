# make without a target prints the targets.

STATICCHECK  := honnef.co/go/tools/cmd/staticcheck@v0.8.2
GOLANGCI     := github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
BENCHSTAT    := golang.org/x/perf/cmd/benchstat@v0.0.0-20260908200009-22c9c6c9d4da
WITHPOSTGRES := go run ./internal/store/storetest/withpostgres

# Packages in which make cover requires a coverage of COVER_MIN percent.
COVERED   := guard token session account
COVER_MIN := 85

# Dependencies that compute a lot and share nothing between goroutines are built without the race detector. With it,
# SQLite (C translated to Go) took almost half of the CPU time of all tests.
RACE := -race $(foreach module,modernc.org golang.org/x/crypto golang.org/x/text,-gcflags=$(module)/...=-race=false)

BENCH    ?= .
PKG      ?= ./...
FUZZTIME ?= 50000x
USERS    ?= 1000000
STREAMS  ?= 5000

.PHONY: help run build assets generate test test-long test-clients mail-pictures lint cover bench bench-admin bench-login bench-revocation bench-streams bench-flood bench-peers abuse fuzz

help:
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 14

run: ## start the server; ARGS are its flags
	@if command -v npm >/dev/null; then \
		$(MAKE) --no-print-directory assets || echo "npm failed: the page at / will load GraphiQL from a CDN"; \
	fi
	go run . $(ARGS)

build: ## build bin/graphwarden: static, and the same bytes on each machine
	CGO_ENABLED=0 go build -trimpath -ldflags='-s -w' -o bin/graphwarden .

assets: ## download GraphiQL from npm; the next build embeds it in the page at /
	@node clients/graphiql/assets.mjs

generate: ## generate Go code from the schema
	go generate ./...
	cd clients/genqlient && go generate ./...
	cd bench/peers/gqlgen && go generate ./...

test: ## run all tests on SQLite and a temporary Postgres; PKG=package selects a package
	$(WITHPOSTGRES) go test $(RACE) -shuffle=on -timeout 9m $(PKG)
	$(if $(filter ./...,$(PKG)),go test -run '^TestAllocations$$' ./internal/app)
	$(if $(filter ./...,$(PKG)),@$(MAKE) --no-print-directory test-clients)

test-clients: ## test real frontends and the page at / in Node.js and Chromium
	cd clients/genqlient && go vet ./... && go test ./...
	@if command -v npm >/dev/null; then \
		$(MAKE) --no-print-directory assets clients/node_modules/.complete && \
		folder=$$(mktemp -d) && trap 'rm -rf "$$folder"' EXIT && \
		go build -o "$$folder/graphwarden" . && \
		$(WITHPOSTGRES) sh -c "cd clients && GRAPHWARDEN_BINARY=$$folder/graphwarden node --test --test-concurrency=2"; \
	elif test "$$CI" = true; then \
		echo "npm is missing"; exit 1; \
	else \
		echo "SKIPPED: the tests of clients/ need Node.js 20 with npm (Debian: apt-get install nodejs npm)"; \
	fi

mail-pictures: clients/node_modules/.complete ## write pictures of all mails to docs/mail
	cd clients && PICTURES=$(CURDIR)/docs/mail node --test shared/pictures.test.mjs

clients/node_modules/.complete: clients/package-lock.json
	cd clients && npm ci
	@touch $@

LONGTESTS := grep -rl --include='*_test.go' '^//go:build long$$' .

test-long: ## run the slow tests: those with the build tag long, of the manifests in deploy/, and fuzzing
	go test -tags long -timeout 45m -run "$$($(LONGTESTS) | xargs sed -n 's/^func \(Test[A-Za-z0-9_]*\).*/^\1$$/p' | paste -sd '|')" \
		$$($(LONGTESTS) | xargs -n 1 dirname | sort -u)
	cd deploy/check && go vet ./... && go test ./...
	@$(MAKE) --no-print-directory fuzz

lint: ## run gofmt, go vet, staticcheck and golangci-lint
	@files=$$(gofmt -s -l $$(git ls-files -co --exclude-standard '*.go' ':!*/generated/*')) && \
		{ test -z "$$files" || { echo "run gofmt -s -w on:"; echo "$$files"; exit 1; }; }
	go vet ./...
	go vet -tags long ./...
	cd bench/peers/gqlgen && go vet ./...
	go run $(STATICCHECK) ./...
	go run $(GOLANGCI) run

cover: ## measure the coverage of the security packages by all tests
	$(WITHPOSTGRES) go test -coverprofile=coverage.out \
		-coverpkg=$$(printf './internal/%s,' $(COVERED) | sed 's/,$$//') ./...
	go run ./bench/cover -min $(COVER_MIN) $(COVERED)

bench: ## run benchmarks; BENCH=regexp and PKG=package select some
	@mkdir -p bench
	$(WITHPOSTGRES) go test -run=NONE -bench='$(BENCH)' -benchmem -count=6 $(PKG) > bench/latest.txt || { cat bench/latest.txt; exit 1; }
	go run $(BENCHSTAT) bench/latest.txt

bench-admin: ## compare admin pages with 1,000 users and with USERS=1000000, on both databases
	$(WITHPOSTGRES) go test -run=NONE -bench=BenchmarkAdminPages -benchtime=1x -timeout=60m ./internal/account -users=$(USERS)

bench-login: ## measure logins per second, and how they slow down other requests
	go test -run=NONE -bench=BenchmarkLogin ./internal/app

abuse: ## send hostile requests to a new server, or to URL=http://…/graphql (PID=… measures its CPU time)
	go run ./bench/abuse $(if $(URL),-url '$(URL)') $(if $(PID),-pid $(PID))

bench-revocation: ## measure how soon a logout takes effect on other replicas
	$(WITHPOSTGRES) go run ./bench/revocation

bench-streams: ## measure the memory of STREAMS=5000 subscriptions, and how soon a logout ends them
	go run ./bench/streams -streams=$(STREAMS)

bench-flood: ## measure how 200 concurrent logins slow down a signed-in user
	go run ./bench/flood

bench-peers: ## compare requests per second with other servers; ARGS are flags such as -rounds=5 and -only=gqlgen
	$(WITHPOSTGRES) go run ./bench/peers $(ARGS)

# FUZZTIME is a number of executions, because with a duration go test sometimes reports its own deadline as a failure.
fuzz: ## run each fuzz target with FUZZTIME=50000x inputs; make test runs only the corpora
	@grep -rHo --include='*_test.go' '^func Fuzz[A-Za-z0-9_]*' . | sed 's|/[^/]*_test.go:func | |' | sort -u | while read -r package target; do \
		echo "$$package $$target"; \
		go test -run=NONE -fuzz="^$$target\$$" -fuzztime=$(FUZZTIME) "$$package" || exit 1; \
	done
