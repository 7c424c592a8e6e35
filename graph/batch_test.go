package graph_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/covprop/covprop"
	"github.com/covprop/covprop/graph"
)

// TestBatch: bit for bit the results of one call each, for any number of
// threads, in memory that is reused, with diagonal and dense inputs mixed.
func TestBatch(t *testing.T) {
	rng := rand.New(rand.NewPCG(4, 1))
	net := mlp(rng, 5, 30, 30, 3)
	in := make([]covprop.Gaussian, 40)
	for i := range in {
		in[i] = randomInput(rng, 5, i%3 == 0)
	}
	dst := make([]covprop.Result, len(in))
	for _, threads := range []int{0, 1, 3, 100} {
		calls := 0
		opts := graph.Options{Threads: threads, Progress: func(done, total int) {
			if calls++; done != calls || total != len(in) {
				t.Errorf("progress %d of %d at call %d", done, total, calls)
			}
		}}
		if err := net.With(opts).PropagateBatch(context.Background(), dst, in); err != nil {
			t.Fatal(err)
		}
		if calls != len(in) {
			t.Errorf("%d calls of progress for %d inputs", calls, len(in))
		}
		for i := range in {
			want := must(net.With(graph.Options{Threads: 1}).Propagate(context.Background(), in[i]))
			for j, m := range want.Mean {
				if dst[i].Mean[j] != m || dst[i].Cov.At(j, j) != want.Cov.At(j, j) || dst[i].Cov.At(0, j) != want.Cov.At(0, j) {
					t.Fatalf("%d threads, input %d: output %d differs", threads, i, j)
				}
			}
			if dst[i].Accuracy != want.Accuracy || len(dst[i].Nodes) != len(want.Nodes) {
				t.Errorf("%d threads, input %d: accuracy %v, want %v", threads, i, dst[i].Accuracy, want.Accuracy)
			}
		}
	}
}

// TestBatchErrors: the first bad input is named, a cancelled context is not an
// input's fault, and the memory limit makes fewer workers before it refuses.
func TestBatchErrors(t *testing.T) {
	rng := rand.New(rand.NewPCG(4, 2))
	net := mlp(rng, 5, 30, 3)
	in := make([]covprop.Gaussian, 40)
	for i := range in {
		in[i] = randomInput(rng, 5, false)
	}
	dst := make([]covprop.Result, len(in))
	if err := net.PropagateBatch(context.Background(), dst[:3], in); err == nil {
		t.Error("40 inputs into 3 results gave no error")
	}
	if err := net.PropagateBatch(context.Background(), nil, nil); err != nil {
		t.Errorf("an empty batch gives %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := net.PropagateBatch(ctx, dst, in); !errors.Is(err, context.Canceled) || strings.Contains(err.Error(), "input") {
		t.Errorf("cancelled: %v", err)
	}
	peak := net.PeakBytes()
	if err := net.With(graph.Options{Threads: 4, MaxBytes: peak}).PropagateBatch(context.Background(), dst, in); err != nil {
		t.Errorf("a limit of one propagation: %v", err)
	}
	var memory *covprop.MemoryError
	if err := net.With(graph.Options{Threads: 4, MaxBytes: peak - 1}).PropagateBatch(context.Background(), dst, in); !errors.As(err, &memory) {
		t.Errorf("a limit below one propagation: %v", err)
	}
	in[7].Mean, in[30].Mean = in[7].Mean[:2], in[7].Mean[:2]
	var input *covprop.InputError
	if err := net.With(graph.Options{Threads: 3}).PropagateBatch(context.Background(), dst, in); !errors.As(err, &input) || !strings.Contains(err.Error(), "input 7 of the batch") {
		t.Errorf("a bad input 7: %v", err)
	}
}

// TestNoAllocations: in steady state a chain allocates nothing, whether its
// plan is made for a dense or a diagonal input.
func TestNoAllocations(t *testing.T) {
	if testing.Short() {
		t.Skip("the race detector, which runs with -short, drops pooled memory")
	}
	rng := rand.New(rand.NewPCG(4, 3))
	net := mlp(rng, 5, 30, 70, 3).With(graph.Options{Threads: 1})
	for _, diagonal := range []bool{false, true} {
		in := randomInput(rng, 5, diagonal)
		ws := graph.NewWorkspace()
		var res covprop.Result
		allocs := testing.AllocsPerRun(20, func() {
			if err := net.PropagateTo(context.Background(), &res, in, ws); err != nil {
				t.Fatal(err)
			}
		})
		if allocs != 0 {
			t.Errorf("diagonal %v: %v allocations a call", diagonal, allocs)
		}
	}
}
