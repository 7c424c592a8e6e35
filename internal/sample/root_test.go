package sample

import (
	"context"
	"math"
	"math/rand/v2"
	"testing"

	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/mat"

	"github.com/covprop/covprop"
)

// product returns L L'.
func product(f *Root) *mat.Dense {
	l := mat.NewDense(f.n, max(f.r, 1), nil)
	col := make([]float64, f.n)
	for k := range f.r {
		f.ColumnTo(col, k)
		l.SetCol(k, col)
	}
	var p mat.Dense
	p.Mul(l, l.T())
	return &p
}

func TestRoot(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for _, c := range []struct{ n, r int }{{1, 1}, {7, 7}, {7, 3}, {40, 1}, {150, 150}, {150, 5}} {
		in := gaussian(t, rng, c.n, c.r)
		for name, newRoot := range roots {
			f, err := newRoot(context.Background(), in.Cov)
			if err != nil {
				t.Fatal(err)
			}
			if f.r != c.r || f.dropped != 0 {
				t.Errorf("%s n=%d: rank %d, want %d; dropped %g", name, c.n, f.r, c.r, f.dropped)
			}
			p := product(f)
			for i := range c.n {
				for j := range c.n {
					// The residual check allows 10 n eps of the two deviations.
					d := math.Sqrt(in.Cov.At(i, i) * in.Cov.At(j, j))
					if e := math.Abs(p.At(i, j) - in.Cov.At(i, j)); e > 20*float64(c.n)*0x1p-52*d {
						t.Fatalf("%s n=%d r=%d: L L' is off by %g deviations at (%d,%d)", name, c.n, c.r, e/d, i, j)
					}
				}
			}
		}
	}
}

var roots = map[string]func(context.Context, covprop.Covariance) (*Root, error){"root": NewRoot, "principal": NewPrincipal}

// gaussian returns a random Gaussian of dimension n and rank r.
func gaussian(t *testing.T, rng *rand.Rand, n, r int) covprop.Gaussian {
	t.Helper()
	a := mat.NewDense(n, r, nil)
	mean := make([]float64, n)
	for i := range n {
		mean[i] = rng.NormFloat64()
		scale := math.Exp(3 * rng.NormFloat64())
		for k := range r {
			a.Set(i, k, scale*rng.NormFloat64())
		}
	}
	var c mat.Dense
	c.Mul(a, a.T())
	cov, err := covprop.NewDense(n, c.RawMatrix().Data)
	if err != nil {
		t.Fatal(err)
	}
	g, err := covprop.NewGaussian(mean, cov)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// TestPrincipalAxes asks for orthogonal columns of decreasing length, whose
// product, the trace, is that of the covariance, and for the same of a
// Diagonal.
func TestPrincipalAxes(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 8))
	for _, cov := range []covprop.Covariance{
		gaussian(t, rng, 20, 20).Cov, gaussian(t, rng, 20, 4).Cov, covprop.Diagonal{1, 0, 9, 4},
	} {
		f, err := NewPrincipal(context.Background(), cov)
		if err != nil {
			t.Fatal(err)
		}
		n := f.Dim()
		columns := make([][]float64, f.Rank())
		last := math.Inf(1)
		for k := range columns {
			columns[k] = make([]float64, n)
			f.ColumnTo(columns[k], k)
			length := floats.Norm(columns[k], 2)
			if length > last*(1+1e-12) { // rounding
				t.Errorf("axis %d has length %g, the one before %g", k, length, last)
			}
			last = length
			for j := range k {
				cos := floats.Dot(columns[j], columns[k]) / length / floats.Norm(columns[j], 2)
				if math.Abs(cos) > 1e-9 { // of axes that differ by a factor 1e5
					t.Errorf("axes %d and %d have the cosine %g", j, k, cos)
				}
			}
		}
	}
}

// TestWhiten: for y = A x, Cov(y, x) = A Sigma and Cov(y, z) = A L.
func TestWhiten(t *testing.T) {
	rng := rand.New(rand.NewPCG(9, 10))
	for _, cov := range []covprop.Covariance{gaussian(t, rng, 12, 12).Cov, gaussian(t, rng, 12, 3).Cov, covprop.Diagonal{4, 1, 0, 9}} {
		for name, newRoot := range roots {
			f, err := newRoot(context.Background(), cov)
			if err != nil {
				t.Fatal(err)
			}
			n := f.Dim()
			a := newGeneral(2, n)
			for i := range a.Data {
				a.Data[i] = rng.NormFloat64()
			}
			c, want, got := newGeneral(2, n), newGeneral(2, f.Rank()), newGeneral(2, f.Rank())
			for i := range 2 {
				for j := range n {
					for k := range n {
						c.Data[i*n+j] += a.Data[i*n+k] * cov.At(k, j)
					}
				}
			}
			f.MulLeftTo(want, a)
			f.WhitenTo(got, c)
			for i := range 2 {
				for k := range f.Rank() {
					// Rounding, times the condition of the correlation matrix.
					x, y := got.Data[i*got.Stride+k], want.Data[i*want.Stride+k]
					if math.Abs(x-y) > 1e-9*floats.Norm(row(want, i), 2) {
						t.Errorf("%s, n=%d: entry (%d,%d) is %v, want %v", name, n, i, k, x, y)
					}
				}
			}
		}
	}
}

// A rank-deficient covariance rounded to float32 has negative eigenvalues: a
// factor exists only of a neighbour, and how far it is must be said.
func TestRootOfRoundedCovariance(t *testing.T) {
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
	f, err := NewRoot(context.Background(), cov)
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
	if note := f.Note("x"); note == "x" {
		t.Error("what was dropped is not noted")
	}
}

// A covariance that did not come from NewDense may hold anything.
func TestRootRefusesNaN(t *testing.T) {
	cov := covprop.DenseOf(mat.NewDense(2, 2, []float64{1, math.NaN(), math.NaN(), 1}).RawMatrix())
	if _, err := NewRoot(context.Background(), cov); err == nil {
		t.Error("no error for NaN")
	}
}
