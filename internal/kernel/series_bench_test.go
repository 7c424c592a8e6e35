package kernel_test

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"gonum.org/v1/gonum/blas/blas32"
	"gonum.org/v1/gonum/blas/blas64"

	"github.com/covprop/covprop/activation"
	"github.com/covprop/covprop/internal/cpu"
	"github.com/covprop/covprop/internal/kernel"
)

// reluUnits returns the units of a ReLU whose inputs have the covariance c and
// means of about spread standard deviations.
func reluUnits(rng *rand.Rand, c blas64.General, spread float64) *kernel.Units {
	n := c.Rows
	u := &kernel.Units{
		N: n, K: kernel.MaxOrder, Mu: make([]float64, n), In: make([]float64, n), Out: make([]float64, n),
		H: make([]float64, kernel.MaxOrder*n), Tail: make([]float64, len(kernel.Orders)*n),
	}
	var h [kernel.MaxOrder + 1]float64
	for i := range n {
		u.In[i] = math.Sqrt(c.Data[i*c.Stride+i])
		u.Mu[i] = spread * rng.NormFloat64() * u.In[i]
		v, _ := activation.Marginal(activation.ReLU(), h[:], u.Mu[i], u.In[i], 1e-9)
		u.Out[i] = math.Sqrt(v)
		tail := 1.
		for k := 1; k <= kernel.MaxOrder; k++ {
			x := h[k] / u.Out[i]
			u.H[(k-1)*n+i] = x
			tail -= x * x
		}
		tail = max(tail, 0) + 64*0x1p-52
		k := kernel.MaxOrder
		for o := len(kernel.Orders) - 1; o >= 0; o-- {
			for ; k > kernel.Orders[o]; k-- {
				tail += u.H[(k-1)*n+i] * u.H[(k-1)*n+i]
			}
			u.Tail[o*n+i] = math.Sqrt(tail)
		}
	}
	return u
}

// wishart returns A A'/k, A (n, k) standard normal.
func wishart(b *testing.B, rng *rand.Rand, n, k int) blas64.General {
	a := blas64.General{Rows: n, Cols: k, Stride: k, Data: make([]float64, n*k)}
	for i := range a.Data {
		a.Data[i] = rng.NormFloat64() / math.Sqrt(float64(k))
	}
	c := blas64.General{Rows: n, Cols: n, Stride: n, Data: make([]float64, n*n)}
	if err := kernel.MulTransTo(context.Background(), 1, c, a, a, false); err != nil {
		b.Fatal(err)
	}
	return c
}

// counter is HardPairs that cost nothing.
type counter struct{ n int }

func (c *counter) CovariancesTo(_ context.Context, pairs []kernel.HardPair) error {
	c.n += len(pairs)
	return nil
}

// BenchmarkSeries is a layer of 1024 ReLUs under a covariance of full rank, and
// one of 50, as of ACAS Xu, under one of rank 5. Every pair counts as one
// entry; what is hard costs nothing here.
func BenchmarkSeries(b *testing.B) {
	for _, s := range []struct{ n, rank int }{{1024, 2048}, {50, 5}} {
		rng := rand.New(rand.NewPCG(1, uint64(s.n)))
		c := wishart(b, rng, s.n, s.rank)
		u := reluUnits(rng, c, 1)
		dst := blas64.General{Rows: s.n, Cols: s.n, Stride: s.n, Data: make([]float64, s.n*s.n)}
		for isa := cpu.Generic; isa <= cpu.Best(); isa++ {
			b.Run(fmt.Sprintf("n=%d/%v", s.n, isa), func(b *testing.B) {
				defer cpu.Force(isa)()
				var hard counter
				x := kernel.Series{F: u, G: u, Symmetric: true, Tol: 1e-9, Hard: &hard}
				b.ReportAllocs()
				for b.Loop() {
					if _, _, err := x.Run(context.Background(), 1, dst, c); err != nil {
						b.Fatal(err)
					}
				}
				pairs := float64(s.n*(s.n-1)/2) * float64(b.N)
				b.ReportMetric(float64(hard.n)/pairs, "hard")
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/(pairs-float64(hard.n)), "ns/easy")
			})
		}
	}
}

// BenchmarkSeries32 is BenchmarkSeries/n=1024 in float32.
func BenchmarkSeries32(b *testing.B) {
	const n = 1024
	rng := rand.New(rand.NewPCG(1, n))
	c := wishart(b, rng, n, 2*n)
	u := reluUnits(rng, c, 1)
	src := blas32.General{Rows: n, Cols: n, Stride: n, Data: make([]float32, n*n)}
	for i, v := range c.Data {
		src.Data[i] = float32(v)
	}
	dst := blas32.General{Rows: n, Cols: n, Stride: n, Data: make([]float32, n*n)}
	x := kernel.Series{F: u, G: u, Symmetric: true, Tol: 1e-9, Hard: new(counter)}
	for b.Loop() {
		if _, _, err := x.Run32(context.Background(), 1, dst, src); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n*(n-1)/2), "ns/easy")
}
