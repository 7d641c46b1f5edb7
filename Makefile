# `make` alone prints the targets.

STATICCHECK  := honnef.co/go/tools/cmd/staticcheck@v0.8.2
BENCHSTAT    := golang.org/x/perf/cmd/benchstat@v0.0.0-20260908200009-22c9c6c9d4da
WITHPOSTGRES := go run ./internal/store/storetest/withpostgres

# What `make cover` holds to COVER_MIN percent of its statements.
COVERED   := guard token session account
COVER_MIN := 85

# The race detector leaves alone what shares nothing between goroutines but computes a lot, most of all
# SQLite's C, translated to Go: watching it took almost half of the processor time of all tests.
RACE := -race $(foreach module,modernc.org golang.org/x/crypto golang.org/x/text,-gcflags=$(module)/...=-race=false)

BENCH    ?= .
PKG      ?= ./...
FUZZTIME ?= 50000x
USERS    ?= 1000000
STREAMS  ?= 5000

.PHONY: help run assets generate test test-long test-clients lint cover bench bench-admin bench-login bench-revocation bench-streams bench-flood abuse fuzz

help:
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 14

run: ## start the server; flags go in ARGS
	@if command -v npm >/dev/null; then \
		$(MAKE) --no-print-directory assets || echo "npm did not answer: the page at / will load GraphiQL from a CDN"; \
	fi
	go run . $(ARGS)

assets: ## bring GraphiQL for the page at / from npm, for the next build to embed
	@node clients/graphiql/assets.mjs

generate: ## write the code that follows from the schema
	go generate ./...
	cd clients/genqlient && go generate ./...

test: ## all tests, on SQLite and on a throwaway Postgres; PKG=package narrows them
	$(WITHPOSTGRES) go test $(RACE) -shuffle=on -timeout 9m $(PKG)
	$(if $(filter ./...,$(PKG)),@$(MAKE) --no-print-directory test-clients)

test-clients: ## real frontends and the page at /, in Node and Chromium, on the built server
	cd clients/genqlient && go vet ./... && go test ./...
	@if command -v npm >/dev/null; then \
		$(MAKE) --no-print-directory assets clients/node_modules/.complete && \
		folder=$$(mktemp -d) && trap 'rm -rf "$$folder"' EXIT && \
		go build -o "$$folder/graphwarden" . && \
		cd clients && GRAPHWARDEN_BINARY="$$folder/graphwarden" node --test --test-concurrency=2; \
	elif test "$$CI" = true; then \
		echo "npm is missing"; exit 1; \
	else \
		echo "SKIPPED: the tests of clients/ need Node.js 20 with npm (Debian: apt-get install nodejs npm)"; \
	fi

clients/node_modules/.complete: clients/package-lock.json
	cd clients && npm ci
	@touch $@

LONGTESTS := grep -rl --include='*_test.go' '^//go:build long$$' .

test-long: ## those that take minutes: the tests behind the tag long, and fuzzing guided by coverage
	go test -tags long -timeout 30m -run "$$($(LONGTESTS) | xargs sed -n 's/^func \(Test[A-Za-z0-9_]*\).*/^\1$$/p' | paste -sd '|')" \
		$$($(LONGTESTS) | xargs -n 1 dirname | sort -u)
	@$(MAKE) --no-print-directory fuzz

lint: ## gofmt, go vet, staticcheck
	@files=$$(gofmt -s -l $$(git ls-files -co --exclude-standard '*.go' ':!*/generated/*')) && \
		{ test -z "$$files" || { echo "run gofmt -s -w on:"; echo "$$files"; exit 1; }; }
	go vet ./...
	go vet -tags long ./...
	go run $(STATICCHECK) ./...

cover: ## how much of the security packages all tests together run
	$(WITHPOSTGRES) go test -coverprofile=coverage.out \
		-coverpkg=$$(printf './internal/%s,' $(COVERED) | sed 's/,$$//') ./...
	go run ./bench/cover -min $(COVER_MIN) $(COVERED)

bench: ## benchmarks; BENCH=regexp and PKG=package narrow them
	@mkdir -p bench
	$(WITHPOSTGRES) go test -run=NONE -bench='$(BENCH)' -benchmem -count=6 $(PKG) > bench/latest.txt || { cat bench/latest.txt; exit 1; }
	go run $(BENCHSTAT) bench/latest.txt

bench-admin: ## pages of administration with 1,000 users and with a million, on both databases; USERS=number changes it
	$(WITHPOSTGRES) go test -run=NONE -bench=BenchmarkAdminPages -benchtime=1x -timeout=60m ./internal/account -users=$(USERS)

bench-login: ## logins a second, and what they leave for everyone else
	go test -run=NONE -bench=BenchmarkLogin ./internal/app

abuse: ## hostile requests to a server of its own, or to URL=http://…/graphql (with PID=… its CPU is measured)
	go run ./bench/abuse $(if $(URL),-url '$(URL)') $(if $(PID),-pid $(PID))

bench-revocation: ## how soon a logout is in force on other replicas, against what is promised
	$(WITHPOSTGRES) go run ./bench/revocation

bench-streams: ## what 5,000 open subscriptions cost, and how soon they end; STREAMS=number changes it
	go run ./bench/streams -streams=$(STREAMS)

bench-flood: ## what 200 logins at a time leave for a user who is signed in
	go run ./bench/flood

# FUZZTIME is a number of executions: given a time, go test now and then takes its own deadline for a failure.
fuzz: ## every fuzz target, guided by coverage, FUZZTIME inputs each; make test runs their corpora
	@grep -rHo --include='*_test.go' '^func Fuzz[A-Za-z0-9_]*' . | sed 's|/[^/]*_test.go:func | |' | sort -u | while read -r package target; do \
		echo "$$package $$target"; \
		go test -run=NONE -fuzz="^$$target\$$" -fuzztime=$(FUZZTIME) "$$package" || exit 1; \
	done
