package kernel

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"gonum.org/v1/gonum/blas/blas64"
)

// geometric returns n units of the function whose normalised coefficients are
// h_k = sqrt((1-q)/q) q^(k/2), q in (0, 1) by unit: the sum of their squares
// is 1, the covariance of two is closed,
//
//	sum_k rho^k h_ki h_kj = sqrt((1-qi)(1-qj)/(qi qj)) x/(1-x),  x = rho sqrt(qi qj),
//
// and the tail after K is q^K. Every third unit is constant.
func geometric(rng *rand.Rand, n int) (*Units, []float64) {
	u := &Units{
		N: n, K: MaxOrder, Mu: make([]float64, n), In: make([]float64, n), Out: make([]float64, n),
		H: make([]float64, MaxOrder*n), Tail: make([]float64, len(Orders)*n),
	}
	qs := make([]float64, n)
	for i := range n {
		q := .1 + .85*rng.Float64()
		qs[i] = q
		u.In[i] = .5 + rng.Float64()
		if i%3 == 2 {
			continue
		}
		u.Out[i] = .5 + rng.Float64()
		for k := 1; k <= MaxOrder; k++ {
			u.H[(k-1)*n+i] = math.Sqrt((1-q)/q) * math.Pow(q, float64(k)/2)
		}
		for o, k := range Orders {
			u.Tail[o*n+i] = math.Sqrt(math.Pow(q, float64(k)))
		}
	}
	return u, qs
}

func exact(f, g *Units, qf, qg []float64, i, j int, c float64) float64 {
	x := max(-1, min(1, Correlation(c, f.In[i], g.In[j]))) * math.Sqrt(qf[i]*qg[j])
	return f.Out[i] * g.Out[j] * math.Sqrt((1-qf[i])*(1-qg[j])/(qf[i]*qg[j])) * x / (1 - x)
}

// exactPairs is the closed form as HardPairs.
type exactPairs struct {
	f, g   *Units
	qf, qg []float64
}

func (e exactPairs) CovariancesTo(_ context.Context, pairs []HardPair) error {
	for i := range pairs {
		p := &pairs[i]
		p.Cov = exact(e.f, e.g, e.qf, e.qg, p.I, p.J, p.Rho*e.f.In[p.I]*e.g.In[p.J])
	}
	return nil
}

// TestSeries compares with the closed form: the error of every entry must be
// within the bound returned (plus rounding of 64 terms), the bound within the
// tolerance, and entries that the series cannot reach must come from Hard.
func TestSeries(t *testing.T) {
	for _, shape := range [][2]int{{1, 1}, {5, 130}, {64, 64}, {65, 63}, {129, 129}} {
		for _, tol := range []float64{1e-3, 1e-9, 1e-13} {
			for _, symmetric := range []bool{false, true} {
				if symmetric && shape[0] != shape[1] {
					continue
				}
				t.Run(fmt.Sprintf("%dx%d/tol=%g/symmetric=%v", shape[0], shape[1], tol, symmetric), func(t *testing.T) {
					rng := rand.New(rand.NewPCG(7, uint64(shape[0])))
					f, qf := geometric(rng, shape[0])
					g, qg := geometric(rng, shape[1])
					if symmetric {
						g, qg = f, qf
					}
					c := random(rng, shape[0], shape[1])
					for i := range c.Rows {
						for j := range c.Cols {
							rho := 2*rng.Float64() - 1
							if rng.IntN(10) == 0 {
								rho = math.Copysign(1, rho)
							}
							c.Data[i*c.Stride+j] = rho * f.In[i] * g.In[j]
							if symmetric && j < i {
								c.Data[j*c.Stride+i] = at(c, i, j)
							}
						}
					}
					src := blas64.General{Rows: c.Rows, Cols: c.Cols, Stride: c.Stride, Data: append([]float64(nil), c.Data...)}
					s := Series{F: f, G: g, Symmetric: symmetric, Tol: tol}
					s.Hard = exactPairs{f, g, qf, qg}
					bound, _, err := s.Run(context.Background(), 2, c, c) // in place
					if err != nil {
						t.Fatal(err)
					}
					if bound > tol {
						t.Errorf("bound %g exceeds the tolerance %g", bound, tol)
					}
					for i := range c.Rows {
						for j := range c.Cols {
							if symmetric && i == j {
								continue
							}
							want := exact(f, g, qf, qg, i, j, at(src, i, j))
							if d := math.Abs(at(c, i, j)-want) / max(f.Out[i]*g.Out[j], 1e-300); f.Out[i]*g.Out[j] > 0 && d > bound+1e-13 {
								t.Fatalf("(%d,%d) is off by %g, more than the bound %g", i, j, d, bound)
							} else if f.Out[i]*g.Out[j] == 0 && at(c, i, j) != 0 {
								t.Fatalf("(%d,%d) is %g, but one unit is constant", i, j, at(c, i, j))
							}
						}
					}
					checkGuards(t, c)
				})
			}
		}
	}
}

// TestFixedOrder checks a fixed order against the plain sum and its bound
// against the error.
func TestFixedOrder(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 5))
	f, q := geometric(rng, 70)
	c := random(rng, 70, 70)
	for i := range 70 {
		for j := range 70 {
			c.Data[i*c.Stride+j] = (2*rng.Float64() - 1) * f.In[i] * f.In[j]
		}
	}
	for _, order := range []int{1, 2, 5, 64} {
		dst := random(rng, 70, 70)
		s := Series{F: f, G: f, Order: order}
		bound, _, err := s.Run(context.Background(), 1, dst, c)
		if err != nil {
			t.Fatal(err)
		}
		for i := range 70 {
			for j := range 70 {
				rho := Correlation(at(c, i, j), f.In[i], f.In[j])
				want := 0.
				for k := 1; k <= order; k++ {
					want += math.Pow(rho, float64(k)) * f.H[(k-1)*70+i] * f.H[(k-1)*70+j]
				}
				want *= f.Out[i] * f.Out[j]
				if d := math.Abs(at(dst, i, j) - want); d > 1e-14 {
					t.Fatalf("order %d, (%d,%d): off by %g from the sum", order, i, j, d)
				}
				if d := math.Abs(want - exact(f, f, q, q, i, j, at(c, i, j))); d > bound*f.Out[i]*f.Out[j]+1e-13 {
					t.Fatalf("order %d, (%d,%d): truncated by %g, more than the bound %g", order, i, j, d, bound)
				}
			}
		}
	}
}
