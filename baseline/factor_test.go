package baseline

import (
	"context"
	"math"
	"math/rand/v2"
	"testing"

	"gonum.org/v1/gonum/mat"

	"github.com/covprop/covprop"
)

// product returns L L'.
func product(f *factor) *mat.Dense {
	l := mat.NewDense(f.n, max(f.r, 1), nil)
	col := make([]float64, f.n)
	for k := range f.r {
		f.columnTo(col, k)
		l.SetCol(k, col)
	}
	var p mat.Dense
	p.Mul(l, l.T())
	return &p
}

func TestFactor(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for _, c := range []struct{ n, r int }{{1, 1}, {7, 7}, {7, 3}, {40, 1}, {150, 150}, {150, 5}} {
		in := gaussian(t, rng, c.n, c.r)
		f, err := newFactor(context.Background(), in.Cov)
		if err != nil {
			t.Fatal(err)
		}
		if f.r != c.r || f.dropped != 0 {
			t.Errorf("n=%d: rank %d, want %d; dropped %g", c.n, f.r, c.r, f.dropped)
		}
		p := product(f)
		for i := range c.n {
			for j := range c.n {
				// The residual check allows 10 n eps of the two deviations.
				s := math.Sqrt(in.Cov.At(i, i) * in.Cov.At(j, j))
				if d := math.Abs(p.At(i, j) - in.Cov.At(i, j)); d > 11*float64(c.n)*eps*s {
					t.Fatalf("n=%d r=%d: L L' is off by %g deviations at (%d,%d)", c.n, c.r, d/s, i, j)
				}
			}
		}
	}
}

// A rank-deficient covariance rounded to float32 has negative eigenvalues: a
// factor exists only of a neighbour, and how far it is must be said.
func TestFactorOfRoundedCovariance(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	in := gaussian(t, rng, 30, 3)
	data := make([]float64, 900)
	for i := range 30 {
		for j := range 30 {
			data[i*30+j] = float64(float32(in.Cov.At(i, j)))
		}
	}
	cov, err := covprop.NewDense(30, data)
	if err != nil {
		t.Fatal(err)
	}
	f, err := newFactor(context.Background(), cov)
	if err != nil {
		t.Fatal(err)
	}
	// float32 rounds to 6e-8: the negative eigenvalues are of that size.
	if f.dropped < 1e-9 || f.dropped > 30*covprop.PSDTolerance {
		t.Errorf("dropped is %g", f.dropped)
	}
	p := product(f)
	for i := range 30 {
		for j := range 30 {
			s := math.Sqrt(cov.At(i, i) * cov.At(j, j))
			if d := math.Abs(p.At(i, j) - cov.At(i, j)); d > 30*f.dropped*s {
				t.Errorf("L L' is off by %g deviations at (%d,%d)", d/s, i, j)
			}
		}
	}
	res := propagate(t, Cubature{Func: fn{30, 1, func(dst, x []float64) { dst[0] = x[0] }}}, covprop.Gaussian{Mean: in.Mean, Cov: cov})
	if want := f.note("third-degree cubature rule"); res.Accuracy.Reason != want || want == "third-degree cubature rule" {
		t.Errorf("reason is %q", res.Accuracy.Reason)
	}
}

// A covariance that did not come from NewDense may hold anything.
func TestFactorRefusesNaN(t *testing.T) {
	cov := covprop.DenseOf(mat.NewDense(2, 2, []float64{1, math.NaN(), math.NaN(), 1}).RawMatrix())
	if _, err := newFactor(context.Background(), cov); err == nil {
		t.Error("no error for NaN")
	}
}

// A diagonal input of a million variables must not become a matrix.
func TestLargeDiagonal(t *testing.T) {
	const n = 1_000_000
	cov := make(covprop.Diagonal, n)
	cov[n-1] = 4
	in := covprop.Gaussian{Mean: make([]float64, n), Cov: cov}
	f := fn{n, 1, func(dst, x []float64) { dst[0] = x[n-1] }}
	for name, p := range map[string]covprop.Propagator{"linear": Linear{Func: f}, "cubature": Cubature{Func: f}, "unscented": Unscented{Func: f}} {
		// sqrt, the square and the difference quotient round.
		if v := propagate(t, p, in).Cov.At(0, 0); math.Abs(v-4) > 1e-9 {
			t.Errorf("%s: the variance is %v, want 4", name, v)
		}
	}
}
