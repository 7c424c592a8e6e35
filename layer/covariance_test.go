package layer_test

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
	"github.com/covprop/covprop/layer"
)

// A hardLayer is a layer most of whose pairs need more of the series than
// there is: a covariance of rank 3, which makes many correlations nearly 1, and
// means of many standard deviations.
type hardLayer struct {
	rule  *layer.Elementwise
	mu, v []float64
	c     blas64.General
}

func newHardLayer(t testing.TB, n int, acts ...activation.Activation) hardLayer {
	rng := rand.New(rand.NewPCG(9, uint64(n)))
	h := hardLayer{c: blas64.General{Rows: n, Cols: n, Stride: n, Data: make([]float64, n*n)}}
	var all []activation.Activation
	a := make([][3]float64, n)
	for i := range a {
		size := math.Exp(2 * rng.NormFloat64())
		a[i] = [3]float64{size * (1 + .05*rng.NormFloat64()), .1 * size * rng.NormFloat64(), .01 * size * rng.NormFloat64()}
		if rng.IntN(4) == 0 {
			a[i][0] = -a[i][0]
		}
		h.mu = append(h.mu, size*[]float64{.5, 4, 12}[i%3]*rng.NormFloat64())
		all = append(all, acts[rng.IntN(len(acts))])
	}
	for i := range n {
		for j := range n {
			h.c.Data[i*n+j] = a[i][0]*a[j][0] + a[i][1]*a[j][1] + a[i][2]*a[j][2]
		}
		h.v = append(h.v, h.c.Data[i*n+i])
	}
	var err error
	if h.rule, err = layer.NewElementwise(all, n); err != nil {
		t.Fatal(err)
	}
	return h
}

func (h *hardLayer) moments(t testing.TB, m *layer.Moments, o layer.Options) {
	if err := h.rule.MomentsTo(context.Background(), m, h.mu, h.v, true, o); err != nil {
		t.Fatal(err)
	}
}

func bends() []activation.Activation {
	return []activation.Activation{activation.ReLU(), activation.LeakyReLU(.1), activation.Abs()}
}

// TestCovarianceHardPairs compares every covariance with the form for single
// pairs. The bound returned must hold, but for 1e-12 that the form itself may
// be off and that the rounding of a correlation may make (near 1 relative to
// 1-rho it is large), and must meet the tolerance, also one that the batched
// form is not good for.
func TestCovarianceHardPairs(t *testing.T) {
	h := newHardLayer(t, 71, append(bends(), activation.Clip(-1, 1))...)
	n := h.c.Rows
	for isa := cpu.Generic; isa <= cpu.Best(); isa++ {
		for _, o := range []layer.Options{{}, {Threads: 2}, {Tol: 1e-6}, {Tol: 1e-13}} {
			t.Run(fmt.Sprintf("%v/%+v", isa, o), func(t *testing.T) {
				defer cpu.Force(isa)()
				var m layer.Moments
				h.moments(t, &m, o)
				got := blas64.General{Rows: n, Cols: n, Stride: n, Data: make([]float64, n*n)}
				acc, err := layer.CovarianceTo(context.Background(), got, h.c, &m, &m, true, o)
				if err != nil {
					t.Fatal(err)
				}
				tol := o.Tol
				if tol == 0 {
					tol = layer.DefaultTol
				}
				if !(acc.Bound <= tol) {
					t.Errorf("bound %g", acc.Bound)
				}
				worst := 0.
				for i := range n {
					for j := range i {
						p := activation.Pair{Mu1: h.mu[i], Sigma1: math.Sqrt(h.v[i]), Mu2: h.mu[j], Sigma2: math.Sqrt(h.v[j])}
						p.Rho = max(-1, min(1, h.c.Data[i*n+j]/p.Sigma1/p.Sigma2))
						want, ref := activation.Covariance(h.rule.Activation(i), h.rule.Activation(j), p)
						scale := math.Sqrt(m.Variance[i] * m.Variance[j])
						if scale < 1e-290 {
							continue // denormal
						}
						d := math.Abs(got.Data[i*n+j]-want) / scale
						if !(d <= acc.Bound+ref.Bound+1e-12) || got.Data[i*n+j] != got.Data[j*n+i] {
							t.Errorf("(%d, %d): %v and %v, want %v, off by %.2g, bound %.2g", i, j, got.Data[i*n+j], got.Data[j*n+i], want, d, acc.Bound)
						}
						worst = max(worst, d)
					}
				}
				t.Logf("worst %.2g, bound %.2g", worst, acc.Bound)
			})
		}
	}
}

// TestCovariance32 compares with the same covariance in float64: they differ by
// the rounding of the result, a unit of the denormal numbers of float32 more
// where those end.
func TestCovariance32(t *testing.T) {
	h := newHardLayer(t, 71, append(bends(), activation.GELU())...)
	n := h.c.Rows
	var m layer.Moments
	h.moments(t, &m, layer.Options{})
	c := blas32.General{Rows: n, Cols: n, Stride: n + 3, Data: make([]float32, n*(n+3))}
	for i := range n {
		for j := range n {
			c.Data[i*c.Stride+j] = float32(h.c.Data[i*n+j])
			h.c.Data[i*n+j] = float64(c.Data[i*c.Stride+j])
		}
	}
	want := blas64.General{Rows: n, Cols: n, Stride: n, Data: make([]float64, n*n)}
	if _, err := layer.CovarianceTo(context.Background(), want, h.c, &m, &m, true, layer.Options{}); err != nil {
		t.Fatal(err)
	}
	if _, err := layer.CovarianceTo32(context.Background(), c, c, &m, &m, true, layer.Options{}); err != nil {
		t.Fatal(err)
	}
	for i := range n {
		for j := range n {
			got, want := float64(c.Data[i*c.Stride+j]), want.Data[i*n+j]
			if d := math.Abs(got - want); !(d <= 0x1p-23*math.Abs(want)+0x1p-126) {
				t.Errorf("(%d, %d): %v, in float64 %v", i, j, got, want)
			}
		}
	}
}

// TestCovarianceAllocates: not with one thread, once there is room.
func TestCovarianceAllocates(t *testing.T) {
	h := newHardLayer(t, 71, bends()...)
	n := h.c.Rows
	dst := blas64.General{Rows: n, Cols: n, Stride: n, Data: make([]float64, n*n)}
	dst32 := blas32.General{Rows: n, Cols: n, Stride: n, Data: make([]float32, n*n)}
	c32 := blas32.General{Rows: n, Cols: n, Stride: n, Data: make([]float32, n*n)}
	for i, x := range h.c.Data {
		c32.Data[i] = float32(x)
	}
	var m layer.Moments
	if allocs := testing.AllocsPerRun(20, func() {
		h.moments(t, &m, layer.Options{})
		if _, err := layer.CovarianceTo(context.Background(), dst, h.c, &m, &m, true, layer.Options{}); err != nil {
			t.Fatal(err)
		}
		if _, err := layer.CovarianceTo32(context.Background(), dst32, c32, &m, &m, true, layer.Options{}); err != nil {
			t.Fatal(err)
		}
	}); allocs != 0 {
		t.Errorf("%v allocations", allocs)
	}
}
