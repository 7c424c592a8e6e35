package refine

import (
	"context"
	"fmt"
	"math"
	"slices"
	"sync"

	"github.com/covprop/covprop/activation"
	"github.com/covprop/covprop/internal/kernel"
)

// seriesOrder is the number of terms of the series for the Gaussian parts of
// cumulants of pairs. Between units of correlation r they are good to r^25
// of the standard deviations: .07 at .9.
const seriesOrder = 24

// coefficients are those of an activation's outputs y and of the powers of
// y - m, each c_k = E_G[f(x) He_k] = s^k E_G[d^k f/dx^k].
type coefficients struct {
	a, q [7][]float64 // of y and (y-m)^2: orders 0 to 6
	b, d [5][]float64 // of (y-m)^3 and (y-m)^4: orders 0 to 4; empty for the last activation
	// units and squares are y and (y-m)^2 as the series takes them.
	units, squares kernel.Units
	// estimate is the error of the quadrature that powers take, relative to the
	// same power of the largest standard deviation.
	estimate float64
}

// newCoefficients computes the coefficients for inputs N(mu_i, s_i^2) and
// outputs with the means m.
func newCoefficients(ctx context.Context, threads int, l *link, mu, s, m []float64) (*coefficients, error) {
	c, n := new(coefficients), l.n
	powers := 4
	if l.last {
		powers = 2
	}
	rows := [][][]float64{c.a[:], c.q[:], c.b[:], c.d[:]}[:powers]
	for _, f := range rows {
		for k := range f {
			f[k] = make([]float64, n)
		}
	}
	series := []*kernel.Units{&c.units, &c.squares}
	for _, u := range series {
		*u = kernel.Units{
			N: n, K: seriesOrder, Mu: mu, In: s, Out: make([]float64, n),
			H: make([]float64, seriesOrder*n), Tail: make([]float64, len(kernel.Orders)*n),
		}
	}
	deviation, failed := newGeneral(powers, n), newGeneral(powers, n)
	pool := sync.Pool{New: func() any { return new([seriesOrder + 1]float64) }}
	err := kernel.Parallel(ctx, threads, n, func(i int) error {
		h := pool.Get().(*[seriesOrder + 1]float64)
		defer pool.Put(h)
		for p, f := range rows {
			g, err := power(l.activation.Activation(i), m[i], p+1)
			if err != nil {
				return err
			}
			used := h[:len(f)]
			if p < len(series) {
				used = h[:]
			}
			variance, acc := activation.Marginal(g, used, mu[i], s[i], quadratureTol)
			if math.IsNaN(variance) || slices.ContainsFunc(used, math.IsNaN) {
				return fmt.Errorf("cumulant3: power %d of %s has no moments in float64 at mean %v and standard deviation %v; use another method", p+1, l.activation.Activation(i).Name(), mu[i], s[i])
			}
			sd := math.Sqrt(variance)
			row(deviation, p)[i], row(failed, p)[i] = sd, acc.Bound
			factorial := 1.
			for k := range f {
				f[k][i] = h[k] * math.Sqrt(factorial)
				factorial *= float64(k + 1)
			}
			if p < len(series) && sd > 0 {
				series[p].Out[i] = sd
				for k := range seriesOrder {
					series[p].H[k*n+i] = h[k+1] / sd
				}
			}
		}
		return nil
	})
	largest := slices.Max(row(deviation, 0))
	for p := range rows {
		for i, sd := range row(deviation, p) {
			if e := sd * row(failed, p)[i]; e > 0 {
				c.estimate = max(c.estimate, e/math.Pow(largest, float64(p+1)))
			}
		}
	}
	return c, err
}

const quadratureTol = 1e-9

// power returns (g - m)^p as an activation, for p = 1 g itself.
func power(g activation.Activation, m float64, p int) (activation.Activation, error) {
	if p == 1 {
		return g, nil
	}
	return activation.New("power", func(x float64) float64 {
		d := g.Apply(x) - m
		y := d * d
		switch p {
		case 3:
			y *= d
		case 4:
			y *= y
		}
		return y
	}, nil, g.Kinks()...)
}
