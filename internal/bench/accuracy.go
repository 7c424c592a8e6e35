package bench

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"

	"github.com/covprop/covprop/internal/kernel"
)

// The error of the propagation is that of truthNetworks random networks, held
// against truthSamples Monte Carlo samples of each.
const truthNetworks, truthSamples = 8, 100000

// A closureError is the relative error of the standard deviation of the output,
// which the Gaussian closure causes.
type closureError struct {
	square   float64 // its mean square over the networks, without the truth's
	truth    float64 // the mean square error of the truth
	kurtosis float64 // of the output, the mean over the networks
	bound    bool    // the truth could not show the error; square is the truth's
}

// samples is the number of Monte Carlo samples with the same error.
func (e *closureError) samples() float64 { return standardError(e.kurtosis, 1) / e.square }

// say adds to a remark what it means if there is only a bound.
func (e *closureError) say(what, remark string) string {
	if e.bound {
		return what + ": the truth shows no error; " + remark
	}
	return remark
}

// networks is the number of networks in the mean.
func (s *suite) networks() int { return s.size(truthNetworks, 2) }

// measureClosure measures the error, network by network.
func (s *suite) measureClosure(ctx context.Context) error {
	nets := s.networks()
	found := make([]closureError, nets)
	err := kernel.Parallel(ctx, runtime.GOMAXPROCS(0), nets, func(i int) (err error) {
		found[i], err = s.closureOf(ctx, uint64(i))
		s.step()
		return err
	})
	e := &s.closure
	for _, f := range found {
		e.square += (f.square - f.truth) / float64(nets)
		e.truth += f.truth / float64(nets)
		e.kurtosis += f.kurtosis / float64(nets)
	}
	e.bound = e.square < e.truth
	e.square = max(e.square, e.truth)
	return err
}

// closureOf measures the error of one random network.
func (s *suite) closureOf(ctx context.Context, seed uint64) (e closureError, err error) {
	rng := rand.New(rand.NewPCG(seed, 7))
	maps := randomDense(rng, s.mlpWidths()...)
	in, err := randomInput(ctx, rng, maps[0].w.Cols)
	if err != nil {
		return e, err
	}
	net, err := network(maps)
	if err != nil {
		return e, err
	}
	res, err := net.Propagate(ctx, in)
	if err != nil {
		return e, err
	}
	mc, err := newSampler(maps, in, seed)
	if err != nil {
		return e, err
	}
	y := make([]float64, s.size(truthSamples, 500))
	if err := mc.outputs(ctx, y); err != nil {
		return e, err
	}
	_, variance, kurtosis := moments(y)
	d := res.Std()[0]/math.Sqrt(variance) - 1
	return closureError{square: d * d, truth: standardError(kurtosis, float64(len(y))), kurtosis: kurtosis}, nil
}

// standardError is the mean square relative error of the standard deviation of
// n samples, to the first order: the variance of the sample variance is
// (kurtosis - 1) v^2 / n, and a square root halves a relative error.
func standardError(kurtosis, n float64) float64 { return (kurtosis - 1) / (4 * n) }

// equalAccuracy adds the closure error and the Monte Carlo that is as accurate,
// where t took n samples.
func (s *suite) equalAccuracy(t *task, n float64) {
	e, same := &s.closure, "for the same error"
	s.result("closure_error_mlp_100x7", "relative", func() (float64, string) {
		return math.Sqrt(e.square), e.say("at most", fmt.Sprintf("of the standard deviation, root mean square over %d networks; the truth's is %.2g", s.networks(), math.Sqrt(e.truth)))
	})
	s.result("montecarlo_equal_samples_mlp_100x7", "samples", func() (float64, string) { return e.samples(), e.say("at least", same) })
	s.result("montecarlo_equal_mlp_100x7", milliseconds, func() (float64, string) { return t.ms() * e.samples() / n, e.say("at least", same) })
	s.result("montecarlo_equal_mlp_100x7_vs_moment", ratio, func() (float64, string) {
		return t.over(s.mlpTime) * e.samples() / n, e.say("at least", same)
	})
}
