// Package bench measures covprop on the machine it runs on: the limit of its
// arithmetic, the kernels as a fraction of that, the propagation of some
// networks as a multiple of what their matrix products take, and Monte Carlo
// with the same products.
//
// docs/benchmarks.md defines every result. Times are the shortest of many
// calls, which are taken in turns with those of everything else: what disturbs
// the machine can only lengthen a call. The numbers of one run can be compared
// with each other; those of two runs only on a quiet machine.
package bench

import (
	"context"
	"runtime"
)

// Options choose what Run does.
type Options struct {
	// Progress, if set, is called as steps finish.
	Progress func(done, total int)
	// Quick makes everything small and measures it once. It is for tests: the
	// results have their names, but not their meaning.
	Quick bool
}

// A Result is one number.
type Result struct {
	Name  string
	Value float64
	Unit  string
	// Remark says in words what the value is to be compared with.
	Remark string
}

// A Report is what a run found.
type Report struct {
	Results []Result
	// Notes say what is peculiar to the machine.
	Notes []string
}

// Run measures everything. It takes about half a minute and half a gigabyte of
// memory. A cancelled ctx ends it with its error.
func Run(ctx context.Context, o Options) (*Report, error) {
	s := &suite{Options: o}
	s.peaks()
	s.products()
	for _, plan := range []func(context.Context) error{s.relu, s.mlp, s.conv, s.acas} {
		if err := plan(ctx); err != nil {
			return nil, err
		}
	}
	if err := s.measure(ctx); err != nil {
		return nil, err
	}
	r := &Report{}
	for _, f := range s.results {
		r.Results = append(r.Results, f())
	}
	if runtime.GOMAXPROCS(0) == 1 {
		r.Notes = append(r.Notes, "there is one processor: two threads take turns on it")
	}
	return r, nil
}
