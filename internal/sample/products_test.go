package sample

import (
	"context"
	"math"
	"math/rand/v2"
	"testing"

	"gonum.org/v1/gonum/mat"

	"github.com/covprop/covprop"
)

func normals(rng *rand.Rand, n int) []float64 {
	x := make([]float64, n)
	for i := range x {
		x[i] = rng.NormFloat64()
	}
	return x
}

// covariance returns one of dimension n and rank r whose standard deviations
// span ten orders of magnitude.
func covariance(t *testing.T, rng *rand.Rand, n, r int) *covprop.Dense {
	t.Helper()
	root := mat.NewDense(n, r, normals(rng, n*r))
	var cov mat.Dense
	cov.Mul(root, root.T())
	cov.Apply(func(i, j int, v float64) float64 {
		return v * math.Pow(10, float64(i%11-5)) * math.Pow(10, float64(j%11-5))
	}, &cov)
	d, err := covprop.NewDense(n, cov.RawMatrix().Data)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func build(t *testing.T, f func(context.Context, covprop.Covariance) (*Root, error), cov covprop.Covariance) *Root {
	t.Helper()
	r, err := f(context.Background(), cov)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// matrix returns L.
func matrix(f *Root) *mat.Dense {
	l := mat.NewDense(f.Dim(), max(f.Rank(), 1), nil)
	col := make([]float64, f.Dim())
	for k := range f.Rank() {
		f.ColumnTo(col, k)
		l.SetCol(k, col)
	}
	return l
}

// The principal axes are orthogonal and in order although their variances span
// twenty orders of magnitude, and they are the known ones.
func TestWidePrincipalAxes(t *testing.T) {
	rng := rand.New(rand.NewPCG(11, 12))
	for _, c := range []struct{ n, r int }{{7, 7}, {60, 60}, {60, 9}} {
		l := matrix(build(t, NewPrincipal, covariance(t, rng, c.n, c.r)))
		for j := range c.r {
			a := mat.Norm(l.ColView(j), 2)
			for k := range j {
				b := mat.Norm(l.ColView(k), 2)
				if a > b {
					t.Errorf("n=%d: axis %d is longer than axis %d", c.n, j, k)
				}
				if cosine := mat.Dot(l.ColView(j), l.ColView(k)) / a / b; math.Abs(cosine) > 2*orthogonal {
					t.Errorf("n=%d: axes %d and %d have cosine %g", c.n, j, k, cosine)
				}
			}
		}
	}
	// A rotation by 30 degrees of axes with variances 4 and 1.
	cos, sin := math.Sqrt(3)/2, 0.5
	cov, err := covprop.NewDense(2, []float64{4*cos*cos + sin*sin, 3 * cos * sin, 3 * cos * sin, 4*sin*sin + cos*cos})
	if err != nil {
		t.Fatal(err)
	}
	l := matrix(build(t, NewPrincipal, cov))
	for k, want := range [][2]float64{{2 * cos, 2 * sin}, {-sin, cos}} {
		sign := math.Copysign(1, l.At(1, k))
		if math.Abs(sign*l.At(0, k)-want[0]) > 1e-14 || math.Abs(sign*l.At(1, k)-want[1]) > 1e-14 {
			t.Errorf("axis %d is (%v, %v), want (%v, %v)", k, l.At(0, k), l.At(1, k), want[0], want[1])
		}
	}
	diagonal := build(t, NewPrincipal, covprop.Diagonal{1, 0, 9, 4, 9})
	for k, want := range []struct {
		axis int
		std  float64
	}{{2, 3}, {4, 3}, {3, 2}, {0, 1}} {
		col := make([]float64, 5)
		if diagonal.ColumnTo(col, k); col[want.axis] != want.std {
			t.Errorf("axis %d of a diagonal is %v, want variable %d", k, col, want.axis)
		}
	}
}

// MulTo and MulLeftTo are the products with the columns, WhitenTo the inverse
// of the latter's transpose: of c = G L' it makes G again.
func TestProducts(t *testing.T) {
	rng := rand.New(rand.NewPCG(13, 14))
	const n, m, b = 30, 4, 9
	for name, f := range roots {
		for what, cov := range map[string]covprop.Covariance{
			"full": covariance(t, rng, n, n), "low rank": covariance(t, rng, n, 6),
			"diagonal": append(covprop.Diagonal{3, 0, 1e-12, 1e12}, make(covprop.Diagonal, n-4)...),
			"zero":     make(covprop.Diagonal, n), "dense zero": covprop.DenseOf(newGeneral(n, n)),
		} {
			root := build(t, f, cov)
			r, l := root.Rank(), matrix(root)
			z, x := newGeneral(r, b), newGeneral(n, b)
			a, al := newGeneral(m, n), newGeneral(m, r)
			copy(z.Data, normals(rng, r*b))
			copy(a.Data, normals(rng, m*n))
			for i := range x.Data {
				x.Data[i] = math.NaN()
			}
			root.MulTo(x, z)
			root.MulLeftTo(al, a)
			g, c, w := normals(rng, m*r), newGeneral(m, n), newGeneral(m, r)
			for i := range m {
				for j := range n {
					for k := range r {
						c.Data[i*n+j] += g[i*r+k] * l.At(j, k)
					}
				}
			}
			root.WhitenTo(w, c)
			for i := range n {
				s := math.Sqrt(cov.At(i, i))
				for j := range b {
					want := 0.0
					for k := range r {
						want += l.At(i, k) * z.Data[k*b+j]
					}
					if d := math.Abs(x.Data[i*b+j] - want); !(d <= 100*eps*s) { // sums of 30 terms
						t.Errorf("%s, %s: (L z)(%d,%d) is off by %g", name, what, i, j, d)
					}
				}
			}
			for i := range m {
				for k := range r {
					want, size := 0.0, 0.0
					for j := range n {
						want += a.Data[i*n+j] * l.At(j, k)
						size += math.Abs(a.Data[i*n+j] * l.At(j, k))
					}
					if d := math.Abs(al.Data[i*r+k] - want); !(d <= 100*eps*size) {
						t.Errorf("%s, %s: (a L)(%d,%d) is off by %g", name, what, i, k, d)
					}
					// The correlation matrices here have condition numbers up to
					// 1e6, their roots 1e3.
					if d := math.Abs(w.Data[i*r+k] - g[i*r+k]); !(d <= 1e-11) {
						t.Errorf("%s, %s: the whitened covariance (%d,%d) is off by %g", name, what, i, k, d)
					}
				}
			}
		}
	}
}
