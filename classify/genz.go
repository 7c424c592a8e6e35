package classify

import (
	"context"
	"math"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas64"
	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/mathext"

	"github.com/covprop/covprop/classify/lattice"
	"github.com/covprop/covprop/internal/special"
)

// underflow is where a product moves to the exponent.
const underflow = 1e-200

// batch is the number of points that are carried through the steps together.
const batch = 32

// probability returns the probability of the orthant and its standard error
// from as many points as o asks for. Given z_0, ..., z_{k-1}, z_k has to lie between
// two limits. With z_k drawn from N(mu_k, 1) between them (u uniform),
//
//	e_k = Phi(upper_k - mu_k) - Phi(lower_k - mu_k),
//	z_k = mu_k + Phi^-1(Phi(lower_k - mu_k) + u_k e_k),
//
// the probability of the orthant is the mean of prod_k e_k exp(mu_k^2/2 - mu_k
// z_k), for any mu: of Genz (1992) with mu = 0, and of far less variance with
// the tilt of Botev (2017). The last z is not needed, so one step is exact.
func (o *orthant) probability(ctx context.Context, points *lattice.Lattice, opts Options) (p, se float64, err error) {
	switch {
	case o.never || o.most == 0:
		return 0, 0, nil
	case len(o.steps) == 0:
		return 1, 0, nil
	}
	if len(o.steps) == 2 {
		return o.plane(), 0, nil
	}
	w := newWalk(o, points)
	if len(o.steps) == 1 {
		return w.sum(0, 0, 1), 0, nil
	}
	sharp := o.sharp()
	var sum, mean [lattice.Shifts]float64
	for done, next := 0, firstPoints; ; done, next = next, 2*next {
		for s := range sum {
			if err := ctx.Err(); err != nil {
				return 0, 0, err
			}
			for i := done; i < next; i += batch {
				sum[s] += w.sum(s, i, batch)
			}
			mean[s] = sum[s] / float64(next)
		}
		p, se = lattice.MeanError(&mean)
		if all := float64(next * lattice.Shifts); p == 0 {
			se = min(1/all, o.most)
		} else if sharp {
			se = math.Max(se, p/all)
		}
		if opts.enough(next*lattice.Shifts, p, se) {
			return p, se, nil
		}
	}
}

// steep is the coefficient from which the limit of a step counts as a jump.
const steep = 3

// sharp reports whether the integrand may have jumps: limits that are steep, or
// several for one z, between which there may be nothing. Points do not show
// what lies between them, so that the standard error of N is at least p/N then;
// where all are 0 it is 1/N, or the most that the probability can be.
func (o *orthant) sharp() bool {
	for _, s := range o.steps {
		if len(s.rows) > 1 {
			return true
		}
		if len(s.rows[0].coef) > 0 && floats.Norm(s.rows[0].coef, math.Inf(1)) > steep {
			return true
		}
	}
	return false
}

// A walk carries a batch of points through the steps of an orthant.
type walk struct {
	*orthant
	points *lattice.Lattice
	z      blas64.General // (steps-1, batch)
	mu     []float64      // (steps) the last is 0
	// By point: the product so far, as exp(exponent) product, the limits of
	// z_k, and those of one row.
	exponent, product, lower, upper, limit [batch]float64
}

func newWalk(o *orthant, points *lattice.Lattice) *walk {
	k := len(o.steps) - 1
	return &walk{orthant: o, points: points, mu: o.tilt(), z: blas64.General{Rows: k, Cols: batch, Stride: batch, Data: make([]float64, k*batch)}}
}

// sum returns the sum of the products over the points first, ..., first+n-1 of
// the given shift, n <= batch.
func (w *walk) sum(shift, first, n int) float64 {
	for b := range n {
		w.exponent[b], w.product[b] = 0, 1
	}
	last := len(w.steps) - 1
	for k, mu := range w.mu {
		w.limits(k, n)
		for b := range n {
			e, start, flip := interval(w.lower[b]-mu, w.upper[b]-mu)
			if w.product[b] *= e; w.product[b] < underflow {
				w.exponent[b] += math.Log(w.product[b])
				w.product[b] = 1
			}
			if k == last {
				continue
			}
			z := 0.
			if u := start + e*w.points.At(shift, first+b, k); e > 0 && u > 0 {
				z = mathext.NormalQuantile(min(u, 1-0x1p-53))
			}
			if flip {
				z = -z
			}
			z += mu
			w.exponent[b] += mu * (mu/2 - z)
			w.z.Data[k*batch+b] = z
		}
	}
	total := 0.
	for b := range n {
		total += math.Exp(w.exponent[b]) * w.product[b]
	}
	return total
}

// interval returns e = Phi(hi) - Phi(lo), 0 if hi <= lo, and Phi at its start.
// flip says that it was taken from the other end, -hi to -lo: in the tail where
// both are small, differences keep their relative accuracy.
func interval(lo, hi float64) (e, start float64, flip bool) {
	if flip = lo > 0; flip {
		lo, hi = -hi, -lo
	}
	if !math.IsInf(lo, -1) {
		start = special.CDF(lo)
	}
	return max(special.CDF(hi)-start, 0), start, flip
}

// limits computes the limits of z_k for the first n points.
func (w *walk) limits(k, n int) {
	for b := range n {
		w.lower[b], w.upper[b] = math.Inf(-1), math.Inf(1)
	}
	for _, r := range w.steps[k].rows {
		for b := range n {
			w.limit[b] = r.limit
		}
		if k > 0 {
			before := blas64.General{Rows: k, Cols: n, Stride: batch, Data: w.z.Data}
			blas64.Gemv(blas.Trans, -1, before, blas64.Vector{N: k, Inc: 1, Data: r.coef}, 1, blas64.Vector{N: n, Inc: 1, Data: w.limit[:]})
		}
		for b := range n {
			if r.sign > 0 {
				w.upper[b] = min(w.upper[b], w.limit[b])
			} else {
				w.lower[b] = max(w.lower[b], -w.limit[b])
			}
		}
	}
}
