package bench

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"

	"gonum.org/v1/gonum/blas/blas64"
	"gonum.org/v1/gonum/mat"

	"github.com/covprop/covprop"
	"github.com/covprop/covprop/internal/kernel"
)

// samples is the number of Monte Carlo samples that the propagation is held
// against, and batchSamples how many pass through the network together, so
// that they stay in the second-level cache.
const samples, batchSamples = 10000, 256

// A sampler passes samples of a Gaussian through a fully connected network with
// ReLU between its maps, with the matrix products that the propagation uses.
type sampler struct {
	maps []dense
	mean []float64
	root blas64.General // (n, n) the Cholesky factor of the covariance
	rng  *rand.Rand
	x, y []float64 // (batchSamples, widest layer)
}

func newSampler(maps []dense, in covprop.Gaussian, seed uint64) (*sampler, error) {
	var c mat.Cholesky
	if !c.Factorize(in.Cov) {
		return nil, errors.New("the random covariance has no Cholesky factor")
	}
	n := in.Dim()
	s := &sampler{maps: maps, mean: in.Mean, root: square(n, make([]float64, n*n)), rng: rand.New(rand.NewPCG(seed, 6))}
	var l mat.TriDense
	c.LTo(&l)
	for i := range n {
		for j := range i + 1 {
			s.root.Data[i*n+j] = l.At(i, j)
		}
	}
	for _, d := range maps {
		n = max(n, d.w.Rows)
	}
	s.x, s.y = make([]float64, batchSamples*n), make([]float64, batchSamples*n)
	return s, nil
}

// outputs passes samples through the network, whose outputs, row by row, are
// dst.
func (s *sampler) outputs(ctx context.Context, dst []float64) error {
	out := s.maps[len(s.maps)-1].w.Rows
	for len(dst) > 0 {
		n := min(batchSamples, len(dst)/out)
		y, err := s.batch(ctx, n)
		if err != nil {
			return err
		}
		copy(dst, y.Data)
		dst = dst[n*out:]
	}
	return nil
}

// batch passes n samples through the network.
func (s *sampler) batch(ctx context.Context, n int) (y blas64.General, err error) {
	x, y := rows(n, len(s.mean), s.x), rows(n, len(s.mean), s.y)
	s.draw(x.Data)
	if err := kernel.MulTransTo(ctx, 1, y, x, s.root, false); err != nil {
		return y, err
	}
	shift(y, s.mean)
	other := s.x
	for i, d := range s.maps {
		x, y, other = y, rows(n, d.w.Rows, other), y.Data[:cap(y.Data)]
		if err := kernel.MulTransTo(ctx, 1, y, x, d.w, false); err != nil {
			return y, err
		}
		if i < len(s.maps)-1 {
			rectify(y, d.b)
		} else {
			shift(y, d.b)
		}
	}
	return y, nil
}

// draw fills x with standard normal numbers.
func (s *sampler) draw(x []float64) {
	for i := range x {
		x[i] = s.rng.NormFloat64()
	}
}

// rows returns the r x c matrix at the beginning of data.
func rows(r, c int, data []float64) blas64.General {
	return blas64.General{Rows: r, Cols: c, Stride: c, Data: data[:r*c]}
}

// shift adds b to every row of y.
func shift(y blas64.General, b []float64) {
	for i := range y.Rows {
		r := y.Data[i*y.Stride:][:len(b)]
		for j, v := range b {
			r[j] += v
		}
	}
}

// rectify replaces every row x of y by max(x + b, 0), without a branch on its
// random sign.
func rectify(y blas64.General, b []float64) {
	for i := range y.Rows {
		r := y.Data[i*y.Stride:][:len(b)]
		for j, v := range b {
			x := math.Float64bits(r[j] + v)
			r[j] = math.Float64frombits(x &^ uint64(int64(x)>>63))
		}
	}
}

// moments returns the mean, the variance and the kurtosis of y.
func moments(y []float64) (mean, variance, kurtosis float64) {
	n := float64(len(y))
	for _, v := range y {
		mean += v / n
	}
	fourth := 0.
	for _, v := range y {
		d := v - mean
		variance += d * d / (n - 1)
		fourth += d * d * d * d / n
	}
	return mean, variance, fourth / (variance * variance)
}

// monteCarlo adds 10,000 samples through the fully connected network, and how
// many are as accurate as the propagation.
func (s *suite) monteCarlo(maps []dense, in covprop.Gaussian) error {
	mc, err := newSampler(maps, in, 1)
	if err != nil {
		return err
	}
	y := make([]float64, s.size(samples, 300))
	t := s.time(func(ctx context.Context) error {
		err := mc.outputs(ctx, y)
		_, _, _ = moments(y)
		return err
	})
	x := make([]float64, len(y)*len(mc.mean))
	draw := s.time(func(context.Context) error { mc.draw(x); return nil })
	s.result("montecarlo10000_mlp_100x7", milliseconds, func() (float64, string) {
		return t.ms(), percent(draw.over(t), "it draws random numbers")
	})
	s.result("montecarlo10000_mlp_100x7_vs_moment", ratio, func() (float64, string) { return t.over(s.mlpTime), "" })
	s.equalAccuracy(t, float64(len(y)))
	return nil
}
