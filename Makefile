# make demo and make check need Go and make (and bash), nothing else.

SHELL       := bash
.SHELLFLAGS := -euo pipefail -c

GO        ?= go
# Runs of each fuzz target; a count, since a duration can end a slow run with
# "context deadline exceeded". Pictures take milliseconds each.
FUZZTIME  ?= 20000x
PICTURES  ?= 1000x
BENCHTIME ?= 1s
# The packages with concurrency in them, which the race detector is run on.
RACE      ?= . ./graph ./onnx ./baseline ./refine ./internal/sample ./internal/kernel
# The packages that hold assembly, and those tested on every instruction set.
KERNELS   := ./internal/kernel ./internal/vec ./internal/bench
ISA       := . ./internal/... ./activation ./layer ./graph ./optest
MODELS    := testdata/models
DEMO      := testdata/demo

# The product is pure Go; only the race detector needs a C compiler.
export CGO_ENABLED := 0

.PHONY: help build demo test check format vet staticcheck tidy cross generate generated isa race fuzz bench cover clean

help: ## list the targets (the default)
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: ## build bin/covprop
	@mkdir -p bin
	$(GO) build -trimpath -o bin/covprop ./cmd/covprop

demo: build ## build, then propagate real sensor noise through real networks
	@run() { printf '\n$$ %s\n' "$$*"; PATH="$$PWD/bin:$$PATH" "$$@"; }; \
	printf '\n== A power plant: four noisy sensors, one of them correlated with another (%s/README.md)\n' $(DEMO); \
	run covprop inspect $(MODELS)/power_gelu.onnx; \
	run covprop propagate $(MODELS)/power_gelu.onnx --mean $(DEMO)/power_mean.csv --cov $(DEMO)/power_cov.csv --explain; \
	run covprop compare $(MODELS)/power_gelu.onnx --mean $(DEMO)/power_mean.csv --cov $(DEMO)/power_cov.csv --samples 100000; \
	printf '\n== ACAS Xu collision avoidance: five advisories, and how far the Gaussian closure holds\n'; \
	run covprop propagate $(MODELS)/acasxu_1_1.onnx --mean $(ACAS) --std 0.001; \
	run covprop compare $(MODELS)/acasxu_1_1.onnx --mean $(ACAS) --std 0.001 --samples 100000; \
	run covprop compare $(MODELS)/acasxu_1_1.onnx --mean $(ACAS) --std 0.005 --samples 100000

# An encounter: distance, two angles and two speeds, normalised.
ACAS := -0.1624,0.0477,-0.4615,0.0455,0.0417

test: ## run the tests
	$(GO) test ./...

# The tests come last, so that the log ends with their lines.
check: format vet staticcheck tidy cross generated fuzz race isa test ## everything a change must pass

format: ## check the formatting (gofumpt)
	@out=$$($(GO) tool gofumpt -l . | awk '!/^internal\/onnxpb\//'); \
	if [ -n "$$out" ]; then echo "not gofumpt-formatted (run: go tool gofumpt -w FILE):"; echo "$$out"; exit 1; fi

vet: ## go vet
	$(GO) vet ./...

staticcheck: ## staticcheck, at the version go.mod pins
	$(GO) tool staticcheck ./...

tidy: ## check that go.mod and go.sum are tidy
	$(GO) mod tidy -diff

cross: ## compile for other systems, and without assembly
	GOOS=linux GOARCH=arm64 $(GO) build ./...
	GOOS=darwin GOARCH=arm64 $(GO) build ./...
	GOOS=windows GOARCH=amd64 $(GO) build ./...
	$(GO) vet -tags noasm ./internal/...

generate: ## write the assembly anew from its generators
	$(GO) generate $(KERNELS)

generated: ## check that the assembly is what its generators write
	@sums() { find internal -name '*_amd64.s' -o -name '*stubs*_amd64.go' | sort | xargs sha256sum; }; \
	before=$$(sums); $(GO) generate $(KERNELS); \
	if [ "$$before" != "$$(sums)" ]; then echo "the assembly is not what the generators write: run make generate"; exit 1; fi

# The tests choose the best instruction set; the golden values and the
# conformance suites must hold on every one.
isa: ## run the tests on the lesser instruction sets, and without assembly
	for isa in generic avx2; do \
		echo "isa: $$isa"; \
		if COVPROP_ISA=$$isa $(GO) run ./cmd/covprop version >/dev/null; then \
			COVPROP_ISA=$$isa $(GO) test -count=1 -short $(ISA); fi; \
	done
	$(GO) test -short -tags noasm ./internal/kernel ./internal/vec

race: ## run the concurrent packages' tests under the race detector
	@if ! command -v "$$($(GO) env CC)" >/dev/null; then \
		echo "race: SKIPPED, there is no C compiler"; exit 0; fi; \
	CGO_ENABLED=1 $(GO) test -race -short $(RACE)

fuzz: ## fuzz every Fuzz target FUZZTIME times (20000x), pictures PICTURES (1000x)
	@targets=$$($(GO) test -list '^Fuzz' ./... | \
		awk '/^Fuzz/{f[n++] = $$1} /^ok/{for (i = 0; i < n; i++) print f[i], $$2; n = 0}'); \
	while read -r target package; do \
		[ -n "$$target" ] || continue; \
		echo "fuzz: $$target $$package"; \
		times=$(FUZZTIME); if [[ $$package == */report ]]; then times=$(PICTURES); fi; \
		$(GO) test -run '^$$' -fuzz "^$$target\$$" -fuzztime $$times "$$package"; \
	done <<< "$$targets"

bench: ## run the benchmarks
	$(GO) test -run '^$$' -bench . -benchmem -benchtime $(BENCHTIME) ./...

cover: ## test coverage by function, in cover.out and cover.html
	$(GO) test -coverprofile cover.out -coverpkg ./... ./...
	$(GO) tool cover -func cover.out | tail -n 1
	$(GO) tool cover -html cover.out -o cover.html

clean: ## remove what the other targets made
	rm -rf bin cover.out cover.html
