package baseline

import (
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"sync"

	"gonum.org/v1/gonum/blas/blas64"

	"github.com/covprop/covprop"
)

// MonteCarlo estimates the moments from samples of the input. It is the only
// baseline that converges to the truth, and Result.StandardErrors says how far
// off it may be; the Accuracy's estimate is the largest standard error, that
// of a mean in standard deviations and that of a covariance relative to its
// two standard deviations.
//
// The result is bit for bit the same for a seed and any number of threads.
// Memory does not depend on the number of samples: beside L, three
// (six if Antithetic) OutputDim x OutputDim matrices a thread and once more.
//
// A Func that fails or returns NaN or Inf at a sample fails the whole
// estimate, with the index of the first such sample in the error.
type MonteCarlo struct {
	Func covprop.Func
	// Samples is the number of evaluations of Func; 0 means 10000. It must be
	// at least 2, and for Antithetic even and at least 4.
	Samples int
	// Seed selects the samples; 0 means 1.
	Seed uint64
	// Antithetic evaluates pairs mu + L z, mu - L z, which removes the error
	// of the mean that comes from the odd part of Func (all of it, if Func is
	// affine). The standard error of the mean is that of the pair averages.
	Antithetic bool
	// Threads is the number of goroutines that evaluate Func; 0 means
	// GOMAXPROCS.
	Threads int
	// Progress, if not nil, is called with the number of evaluations done so
	// far, from one goroutine at a time.
	Progress func(done, total int)
}

const (
	chunkSize = 256 // evaluations that share a random stream
	batchSize = 32  // inputs in memory at a time, per thread
)

// Propagate implements covprop.Propagator.
func (mc MonteCarlo) Propagate(ctx context.Context, in covprop.Gaussian) (covprop.Result, error) {
	if mc.Samples == 0 {
		mc.Samples = 10000
	}
	if mc.Seed == 0 {
		mc.Seed = 1
	}
	if mc.Threads == 0 {
		mc.Threads = runtime.GOMAXPROCS(0)
	}
	if err := mc.check(); err != nil {
		return covprop.Result{}, err
	}
	outputs, err := prepare(mc.Func, in)
	if err != nil {
		return covprop.Result{}, err
	}
	f, err := newFactor(ctx, in.Cov)
	if err != nil {
		return covprop.Result{}, err
	}
	total, err := mc.run(ctx, in.Mean, f)
	if err != nil {
		return covprop.Result{}, err
	}
	cov := total.covariance()
	for i, m := range total.mean {
		if v := cov.Data[i*cov.Stride+i]; math.IsNaN(v) || math.IsInf(v, 0) {
			return covprop.Result{}, fmt.Errorf("monte carlo: the variance of output element %d, of mean %g, overflows", i, m)
		}
	}
	se := total.standardErrors(cov)
	g := covprop.Gaussian{Mean: total.mean, Cov: covprop.DenseOf(cov)}
	reason := f.note(fmt.Sprintf("Monte Carlo, %d samples", mc.Samples))
	return covprop.Result{
		Gaussian:       g,
		Outputs:        outputs,
		Accuracy:       covprop.ApproximatedBy(largest(se, g.Std()), reason),
		StandardErrors: se,
	}, nil
}

func (mc MonteCarlo) check() error {
	switch {
	case mc.Antithetic && (mc.Samples < 4 || mc.Samples%2 != 0):
		return fmt.Errorf("monte carlo: antithetic sampling needs an even number of samples, at least 4, not %d", mc.Samples)
	case mc.Samples < 2:
		return fmt.Errorf("monte carlo: at least 2 samples are needed, not %d", mc.Samples)
	case mc.Threads < 0:
		return fmt.Errorf("monte carlo: the number of threads is %d", mc.Threads)
	}
	return nil
}

// largest returns the largest standard error relative to the standard
// deviations std; NaN if one is unknown.
func largest(se *covprop.StandardErrors, std []float64) float64 {
	worst := 0.0
	for i, si := range std {
		if si == 0 {
			continue
		}
		worst = math.Max(worst, se.Mean[i]/si)
		for j, sj := range std[:i+1] {
			if sj > 0 {
				worst = math.Max(worst, se.Cov.At(i, j)/si/sj)
			}
		}
	}
	return worst
}

// run draws all samples. Worker w takes the chunks w, w+T, w+2T, ... and
// merges each into the total when a token that goes round the workers says
// that all earlier chunks are in; so neither the order of the sums nor the
// error that is reported depends on T.
func (mc MonteCarlo) run(ctx context.Context, mu []float64, f *factor) (*moments, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	chunks := (mc.Samples-1)/chunkSize + 1
	workers := min(mc.Threads, chunks)
	turn := make([]chan struct{}, workers)
	for w := range turn {
		turn[w] = make(chan struct{}, 1)
	}
	var (
		wg    sync.WaitGroup
		total = newMoments(mc.Func.OutputDim(), mc.Antithetic) // total and first belong to
		first error                                            // the holder of the token
	)
	for w := range workers {
		wg.Go(func() {
			s := mc.newSampler(mu, f)
			for c := w; c < chunks; c += workers {
				err := s.draw(ctx, c)
				<-turn[w]
				if first == nil && err != nil {
					first = err
					cancel()
				}
				if first == nil {
					total.merge(s.local)
					if mc.Progress != nil {
						mc.Progress(min((c+1)*chunkSize, mc.Samples), mc.Samples)
					}
				}
				stop := first != nil
				turn[(w+1)%workers] <- struct{}{}
				if stop {
					return
				}
			}
		})
	}
	turn[0] <- struct{}{}
	wg.Wait()
	return total, first
}

// A sampler draws chunks; it belongs to one goroutine.
type sampler struct {
	mc            MonteCarlo
	mu            []float64
	f             *factor
	z, lz         blas64.General // (batchSize, r), (batchSize, n)
	x             []float64      // (n)
	plus, minus   []float64      // (m)
	u, v, scratch blas64.General // (m, draws in a chunk)
	local         *moments
}

func (mc MonteCarlo) newSampler(mu []float64, f *factor) *sampler {
	m := mc.Func.OutputDim()
	s := &sampler{
		mc: mc, mu: mu, f: f,
		z: newGeneral(batchSize, f.r), lz: newGeneral(batchSize, f.n),
		x: make([]float64, f.n), plus: make([]float64, m),
		local: newMoments(m, mc.Antithetic),
	}
	if mc.Antithetic {
		s.minus = make([]float64, m)
		s.v = newGeneral(m, chunkSize/2)
	}
	s.u, s.scratch = newGeneral(m, chunkSize), newGeneral(m, chunkSize)
	return s
}

// draw evaluates chunk c and leaves its moments in s.local.
func (s *sampler) draw(ctx context.Context, c int) error {
	first := c * chunkSize // index of an evaluation
	draws := min(chunkSize, s.mc.Samples-first)
	perDraw := 1
	if s.mc.Antithetic {
		draws, perDraw = draws/2, 2
	}
	s.u.Cols, s.v.Cols, s.scratch.Cols = draws, draws, draws
	rng := rand.New(rand.NewChaCha8(streamKey(s.mc.Seed, c)))
	for lo := 0; lo < draws; lo += batchSize {
		z, lz := s.z, s.lz
		z.Rows = min(batchSize, draws-lo)
		lz.Rows = z.Rows
		for i := range z.Data[:z.Rows*z.Cols] {
			z.Data[i] = rng.NormFloat64()
		}
		s.f.rowsTo(lz, z)
		for i := range lz.Rows {
			if err := s.evaluate(ctx, row(lz, i), lo+i, first+perDraw*(lo+i)); err != nil {
				return err
			}
		}
	}
	s.local.set(s.u, s.v, s.scratch)
	return nil
}

// streamKey keys the random stream of chunk c.
func streamKey(seed uint64, c int) (key [32]byte) {
	copy(key[16:], "covprop montecar")
	binary.LittleEndian.PutUint64(key[:8], seed)
	binary.LittleEndian.PutUint64(key[8:16], uint64(c))
	return key
}

// evaluate writes the draw mu + lz, with its mirror image mu - lz if
// antithetic, to column k of u and v. index is that of its first evaluation.
func (s *sampler) evaluate(ctx context.Context, lz []float64, k, index int) error {
	where := func() string { return fmt.Sprintf("monte carlo: sample %d", index) }
	for i, d := range lz {
		s.x[i] = s.mu[i] + d
	}
	if err := eval(ctx, s.mc.Func, s.plus, s.x, where); err != nil {
		return err
	}
	if !s.mc.Antithetic {
		for i, y := range s.plus {
			s.u.Data[i*s.u.Stride+k] = y
		}
		return nil
	}
	for i, d := range lz {
		s.x[i] = s.mu[i] - d
	}
	index++
	if err := eval(ctx, s.mc.Func, s.minus, s.x, where); err != nil {
		return err
	}
	for i, y := range s.plus {
		s.u.Data[i*s.u.Stride+k] = y/2 + s.minus[i]/2
		s.v.Data[i*s.v.Stride+k] = y/2 - s.minus[i]/2
	}
	return nil
}
