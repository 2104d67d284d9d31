# Lambent. `make demo` shows it; `make test` is all that a change must pass.
export CGO_ENABLED = 0
GO ?= go

.PHONY: build demo test stores unit race lint tools failover conformance bench fuzz generate clean

build: ## bin/lambent
	$(GO) build -trimpath -o bin/lambent ./cmd/lambent

demo: ## deploy examples/hello with the real Serverless Framework and call it
	@./demo.sh

test: lint tools ## everything
	@echo "== tests of every package, and the real clients against the real binary"
	$(GO) test -timeout 20m ./...
	@$(MAKE) --no-print-directory stores

stores: ## tests of the services over other stores: PostgreSQL, started for them, and one that refuses every second transaction
	@echo "== the services' tests again, over other stores"
	$(GO) run ./tool/withpostgres $(GO) test -timeout 10m ./service/... ./source/... ./invoke/... ./blob/...
	LAMBENT_TEST_STORE=refusing $(GO) test -timeout 10m ./service/... ./source/...

unit: ## tests of every package that need no clients
	$(GO) test $$($(GO) list ./... | grep -v /conformance)

race: ## the concurrent packages under the race detector (needs a C compiler)
	CGO_ENABLED=1 $(GO) test -race -timeout 20m ./kv/... ./cluster ./blob/... ./backup ./check ./upgrade ./gateway/... ./invoke/... ./sandbox ./source/... ./service/...

lint: ## format, vet, generated files, layers
	@echo "== format, vet, generated files, layers"
	@test -z "$$(gofmt -l $$(git ls-files '*.go'))" || { gofmt -l $$(git ls-files '*.go'); exit 1; }
	$(GO) vet ./...
	$(GO) run honnef.co/go/tools/cmd/staticcheck@v0.8.2 ./...
	$(GO) run ./tool/apigen
	@git diff --exit-code --stat -- 'service/*/*_gen.go' || { echo "generated files are stale: commit what tool/apigen wrote"; exit 1; }
	$(GO) test ./internal/layers

tools: ## the clients that tests run
	@echo "== clients for the tests (Debian packages, Python, npm)"
	@./conformance/tools/install.sh

failover: ## kill the leader of a replicated PostgreSQL under load (a minute or two; Patroni, etcd)
	@./conformance/tools/failover.sh
	LAMBENT_TEST_FAILOVER=1 $(GO) test -count=1 -v -timeout 10m ./conformance/failover

conformance: tools ## the real clients against the real binary
	$(GO) test -count=1 ./conformance

conformance-pair: tools ## the same against two servers on one PostgreSQL, with connections dealt out by turns
	$(GO) run ./tool/withpostgres $(GO) test -count=1 -timeout 40m -run TestScripts ./conformance

bench: tools ## measure against peers and write docs/bench.md
	$(GO) run ./tool/bench -out docs/bench.md
	$(GO) run ./tool/storebench -out docs/bench-store.md

FUZZTIME ?= 20s
fuzz: ## every fuzz target for FUZZTIME each
	@./tool/fuzz.sh $(FUZZTIME)

generate: ## service/*/api_gen.go from the API models
	$(GO) run ./tool/apigen

clean:
	rm -rf bin .tools
