package main

import (
	"cmp"
	"fmt"
	"runtime"
	"strings"

	"github.com/covprop/covprop"
	"github.com/covprop/covprop/internal/bench"
	"github.com/covprop/covprop/internal/cpu"
)

type benchCmd struct {
	Format string `enum:"text,json" default:"text" help:"text or json (default: ${default})."`
	JSON   bool   `name:"json" help:"The same as --format json."`

	Quick bool `kong:"-"` // for tests, see bench.Options
}

// Help is shown below the flags' summary.
func (c *benchCmd) Help() string {
	return `Measures, within a minute, the limit of this machine's arithmetic, the matrix products as a fraction of that, ` +
		`and the propagation of some networks beside the matrix products in them and beside Monte Carlo. ` +
		`Every time is the shortest of many, but a machine that is busy with other work still gives poor numbers. ` +
		`docs/benchmarks.md says what the results mean. The environment variable COVPROP_ISA (generic, avx2, avx512) lowers the instruction set.`
}

func (c *benchCmd) Run(e *env) error {
	p := newProgress(e.stderr, "bench")
	r, err := bench.Run(e.ctx, bench.Options{Progress: p.update, Quick: c.Quick})
	p.clear()
	if err != nil {
		return err
	}
	if c.JSON || c.Format == "json" {
		return e.printJSON(newBenchJSON(r))
	}
	return e.print(benchText(r))
}

// benchJSON is what bench writes.
type benchJSON struct {
	Schema     int               `json:"schema"`
	Version    string            `json:"version"`
	Commit     string            `json:"commit"` // empty where it is not known
	Go         string            `json:"go"`
	System     string            `json:"system"` // operating system and architecture
	CPU        string            `json:"cpu"`    // the model, empty where it is not known
	ISA        string            `json:"isa"`
	Processors int               `json:"gomaxprocs"`
	Notes      []string          `json:"notes"`
	Results    []benchResultJSON `json:"results"`
}

type benchResultJSON struct {
	Name  string  `json:"name"`
	Value float64 `json:"value"`
	Unit  string  `json:"unit"`
}

func newBenchJSON(r *bench.Report) *benchJSON {
	b := &benchJSON{
		Schema: 1, Version: covprop.Version, Commit: commit(), Go: runtime.Version(), System: runtime.GOOS + "/" + runtime.GOARCH,
		CPU: processorModel(), ISA: cpu.Current().String(), Processors: runtime.GOMAXPROCS(0), Notes: append([]string{}, r.Notes...),
	}
	for _, x := range r.Results {
		b.Results = append(b.Results, benchResultJSON{x.Name, x.Value, x.Unit})
	}
	return b
}

func benchText(r *bench.Report) []byte {
	b := newBenchJSON(r)
	var p page
	p.linef("covprop  %s, commit %s, %s", b.Version, cmp.Or(b.Commit, "unknown"), b.Go)
	p.linef("machine  processor %s, %s, %s kernels, GOMAXPROCS %d", cmp.Or(plain(b.CPU), "unknown"), b.System, b.ISA, b.Processors)
	for _, n := range r.Notes {
		p.linef("note     %s", n)
	}
	p.linef("")
	rows := [][]string{{"name", "value", "unit", "remark"}}
	for _, x := range r.Results {
		rows = append(rows, []string{x.Name, fixed(x.Value), x.Unit, x.Remark})
	}
	p.table(rows, false)
	return p.Bytes()
}

// fixed writes a number with three digits, and with all of those before the
// point.
func fixed(x float64) string {
	if x >= 999.5 {
		return fmt.Sprintf("%.0f", x)
	}
	return strings.TrimSuffix(fmt.Sprintf("%#.3g", x), ".")
}
