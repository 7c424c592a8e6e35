package layer

import (
	"context"
	"errors"
	"math"

	"gonum.org/v1/gonum/blas/blas64"
	"gonum.org/v1/gonum/floats"

	"github.com/covprop/covprop"
	"github.com/covprop/covprop/activation"
	"github.com/covprop/covprop/classify"
	"github.com/covprop/covprop/classify/lattice"
	"github.com/covprop/covprop/internal/kernel"
)

// ArgMax is the position y of the largest of n elements, a number with the
// distribution P(y = j) = P(x_j > all others), which is that of package
// classify, scaled to sum to 1. Of two elements y is a step function of their
// difference.
//
// The gain, E[y z'] for x = mu + L z (Stein 1981), is found by quasi-Monte
// Carlo, since the derivative of y is 0 almost everywhere. Between groups s and
// t the covariance is G_s Cov(x_s, x_t) G_t', the first term of a series.
type ArgMax struct {
	groups, n int
	last      bool
	inputs    [1]int
	pairs     *differenceRule // if n == 2
}

// NewArgMax returns the position, from 0, of the largest element of every row
// of x, (groups, n): the first of several, or the last.
func NewArgMax(groups, n int, last bool) (*ArgMax, error) {
	if groups < 1 || n < 1 {
		return nil, errors.New("the tensor is empty")
	}
	r := &ArgMax{groups: groups, n: n, last: last, inputs: [1]int{groups * n}}
	if n != 2 {
		return r, nil
	}
	d := differences{make([]int, groups), make([]int, groups)}
	for k := range groups {
		d.a[k], d.b[k] = 2*k+1, 2*k
	}
	e, err := NewElementwise([]activation.Activation{activation.Step()}, groups)
	r.pairs = &differenceRule{differences: d, rule: e, sign: 1}
	return r, err
}

// Name implements Rule.
func (r *ArgMax) Name() string { return "argmax" }

// Inputs implements Rule.
func (r *ArgMax) Inputs() []int { return r.inputs[:] }

// OutputLen implements Rule.
func (r *ArgMax) OutputLen() int { return r.groups }

// Exactness implements Rule.
func (r *ArgMax) Exactness() covprop.Accuracy {
	switch r.n {
	case 1:
		return covprop.Accuracy{}
	case 2:
		return r.pairs.rule.Exactness()
	}
	return covprop.ApproximatedBy(math.Inf(1), sampleReason)
}

// Forward implements Rule.
func (r *ArgMax) Forward(dst []float64, x ...[]float64) {
	for s := range dst {
		dst[s] = float64(r.position(x[0][s*r.n : (s+1)*r.n]))
	}
}

func (r *ArgMax) position(x []float64) int {
	at := largest(x)
	if r.last {
		for i, v := range x {
			if v == x[at] {
				at = i
			}
		}
	}
	return at
}

// WorkFloats implements Nonlinear. Class probabilities take n^2 float64 a
// thread besides.
func (r *ArgMax) WorkFloats(bool) int {
	if r.n == 2 {
		return 0
	}
	return 3 * r.n * r.n
}

// MomentsTo implements Nonlinear.
func (r *ArgMax) MomentsTo(ctx context.Context, dst *Response, in *Joint, o Options) (covprop.Accuracy, error) {
	if r.n == 2 {
		return r.ofPairs(ctx, dst, in, o)
	}
	c, mu := in.Between(0, 0), in.Mean[0]
	for i := range dst.Cov.Rows {
		clear(row(dst.Cov, i))
	}
	gain := &rowGain{n: r.n, g: make([]float64, r.groups*r.n)}
	work := argmaxWork{points: &normalPoints{dim: r.n - 1}}
	for i := range work.m {
		work.m[i] = blas64.General{Rows: r.n, Cols: r.n, Stride: r.n, Data: dst.Work[i*r.n*r.n:][:r.n*r.n]}
	}
	var acc covprop.Accuracy
	tails := make([]float64, r.groups)
	for s := range r.groups {
		at := s * r.n
		m := mu[at : at+r.n]
		mean, variance, a, err := r.distribution(ctx, m, c, at, work.m[0])
		if err != nil {
			return acc, err
		}
		acc = acc.And(a)
		dst.Mean[s] = mean
		if dst.Diagonal() {
			dst.Variance[s] = variance
		} else {
			row(dst.Cov, s)[s] = variance
		}
		if variance == 0 || dst.Gain == nil && dst.Diagonal() {
			continue
		}
		estimate, tail, err := work.gain(ctx, gain.g[at:at+r.n], r.position, m, c, at, variance)
		if err != nil {
			return acc, err
		}
		tails[s] = tail
		acc = acc.And(covprop.ApproximatedBy(estimate, sampleReason))
	}
	if dst.Gain != nil {
		dst.Gain[0] = gain
	}
	if !dst.Diagonal() {
		acc = acc.And(gain.between(dst.Cov, c, tails))
	}
	return acc, nil
}

// ofPairs is MomentsTo for n = 2: y = 1 where x_1 - x_0 > 0, and at a certain
// tie the position of Forward.
func (r *ArgMax) ofPairs(ctx context.Context, dst *Response, in *Joint, o Options) (covprop.Accuracy, error) {
	var m Moments
	acc, psd, err := r.pairs.momentsTo(ctx, dst, &m, in, o)
	if err != nil {
		return acc, err
	}
	for k, v := range m.Variance {
		if x := in.Mean[0][2*k : 2*k+2]; v == 0 && x[0] == x[1] && r.last {
			dst.Mean[k] = 1
		}
	}
	if dst.Gain != nil {
		dst.Gain[0] = r.pairs.gain(m.Gain)
	}
	return acc.And(psd), nil
}

// distribution returns the mean and the variance of the position of the
// largest element. scratch is (n, n).
func (r *ArgMax) distribution(ctx context.Context, mu []float64, c Block, at int, scratch blas64.General) (mean, variance float64, acc covprop.Accuracy, err error) {
	index := func(i int) int { return i } // ties count for the first
	if r.last {
		index = func(i int) int { return r.n - 1 - i }
	}
	g := covprop.Gaussian{Mean: make([]float64, r.n), Cov: covprop.DenseOf(scratch)}
	for i := range r.n {
		g.Mean[i] = mu[index(i)]
		for j := range r.n {
			row(scratch, i)[j] = c.At(at+index(i), at+index(j))
		}
	}
	res, err := classify.Probabilities(ctx, g, classify.Options{})
	if err != nil {
		return 0, 0, acc, err
	}
	total := floats.Sum(res.P)
	for i, p := range res.P {
		mean += p / total * float64(index(i))
	}
	for i, p := range res.P {
		d := float64(index(i)) - mean
		variance += p / total * d * d
	}
	if res.Accuracy.Status == covprop.Exact || variance == 0 {
		return mean, variance, acc, nil
	}
	offMean, offVariance := 0., 0.
	for i, se := range res.StandardErrors {
		d := float64(index(i)) - mean
		offMean += d * d * se * se
		offVariance += (d*d - variance) * (d*d - variance) * se * se
	}
	estimate := 3 * math.Max(math.Sqrt(offMean/variance), math.Sqrt(offVariance)/variance)
	return mean, variance, covprop.ApproximatedBy(estimate, sampleReason), nil
}

// argmaxWork is what the gains of groups need.
type argmaxWork struct {
	points *normalPoints
	m      [3]blas64.General // (n, n) each
}

// gain writes the gain of a function y of a group, E[y z'] L^+ for x = mu + L z,
// and returns the estimate of its error relative to the standard deviation of
// y, and the part of the variance that it does not explain.
func (w *argmaxWork) gain(ctx context.Context, dst []float64, y func([]float64) int, mu []float64, c Block, at int, variance float64) (estimate, tail float64, err error) {
	n, ref := len(mu), largest(mu)
	lambda := make([]float64, n)
	noise, psd := differenceCovariance(w.m[1], c, at, ref)
	rank, ok := rootTo(w.m[2], w.m[1], lambda)
	if !ok {
		return 1, 1, nil // a covariance is at most the product of the standard deviations
	}
	root := blas64.General{Rows: n, Cols: rank, Stride: n, Data: w.m[2].Data}
	f, seen, err := w.project(ctx, y, mu, root)
	if err != nil {
		return 0, 0, err
	}
	sd, explained, errors := math.Sqrt(variance), 0., 0.
	h := make([]float64, rank)
	for k := range f {
		var se float64
		h[k], se = lattice.MeanError(&f[k])
		explained += h[k] * h[k]
		errors += se * se
	}
	estimate = 3*math.Sqrt(errors)/sd + psd.And(indefinite(lambda, noise)).Bound
	if seen < variance/2 { // rare positions were not met
		estimate = 1
	}
	if explained > variance { // by chance: no function explains more than all
		estimate += math.Sqrt(explained)/sd - 1
		floats.Scale(sd/math.Sqrt(explained), h)
		explained = variance
	}
	// y depends on x - x_ref only.
	clear(dst)
	for i := range dst {
		if i == ref {
			continue
		}
		for k, v := range row(root, i) {
			dst[i] += v * h[k] / lambda[k]
		}
		dst[ref] -= dst[i]
	}
	return math.Min(estimate, 1), 1 - explained/variance, nil
}

// project returns E[y z_k] by shift, (rank), and the variance of y that the
// points show.
func (w *argmaxWork) project(ctx context.Context, y func([]float64) int, mu []float64, root blas64.General) (f [][lattice.Shifts]float64, seen float64, err error) {
	n := len(mu)
	x := make([]float64, n)
	f = make([][lattice.Shifts]float64, root.Cols)
	u := blas64.General{Rows: n, Cols: latticePoints, Stride: latticePoints, Data: make([]float64, n*latticePoints)}
	sum, square := 0., 0.
	for s := range lattice.Shifts {
		z := w.points.shift(s, root.Cols)
		if err := kernel.MulTransTo(ctx, 1, u, root, z, false); err != nil {
			return nil, 0, err
		}
		for b := range latticePoints {
			var at [2]float64
			for side, sign := range []float64{1, -1} {
				for i := range x {
					x[i] = mu[i] + sign*row(u, i)[b]
				}
				at[side] = float64(y(x))
				sum += at[side]
				square += at[side] * at[side]
			}
			for k, v := range row(z, b) {
				f[k][s] += v * (at[0] - at[1]) / (2 * latticePoints)
			}
		}
	}
	const points = 2 * latticePoints * lattice.Shifts
	return f, square/points - sum/points*sum/points, nil
}

// A rowGain has one row for every group of n inputs.
type rowGain struct {
	n int
	g []float64 // (groups, n)
}

// MulTo implements Gain.
func (r *rowGain) MulTo(_ context.Context, _ int, dst, src blas64.General, add bool) error {
	for s := range dst.Rows {
		to := row(dst, s)
		if !add {
			clear(to)
		}
		for i, g := range r.g[s*r.n : (s+1)*r.n] {
			floats.AddScaled(to, g, row(src, s*r.n+i))
		}
	}
	return nil
}

// MulTransTo implements Gain.
func (r *rowGain) MulTransTo(_ context.Context, _ int, dst, src blas64.General, add bool) error {
	for i := range dst.Rows {
		to, x := row(dst, i), row(src, i)
		for s := range to {
			if !add {
				to[s] = 0
			}
			to[s] += floats.Dot(r.g[s*r.n:(s+1)*r.n], x[s*r.n:(s+1)*r.n])
		}
	}
	return nil
}

// between writes g_s c_st g_t' for s != t; see blockGain.between.
func (r *rowGain) between(dst blas64.General, c Block, tails []float64) (acc covprop.Accuracy) {
	if c.Dense.Rows == 0 {
		return acc
	}
	for s := range dst.Rows {
		for t := range s {
			sum := 0.
			for i, g := range r.g[s*r.n : (s+1)*r.n] {
				sum += g * floats.Dot(r.g[t*r.n:(t+1)*r.n], row(c.Dense, s*r.n+i)[t*r.n:(t+1)*r.n])
			}
			row(dst, s)[t], row(dst, t)[s] = sum, sum
			related := window(c.Dense, s*r.n, t*r.n, r.n)
			if bound := math.Sqrt(tails[s] * tails[t]); bound > 0 && !allZero(related) {
				acc = acc.And(covprop.ApproximatedBy(bound, betweenReason))
			}
		}
	}
	return acc
}
