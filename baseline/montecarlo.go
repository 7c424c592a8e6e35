package baseline

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"sync"

	"gonum.org/v1/gonum/blas/blas64"

	"github.com/covprop/covprop"
	"github.com/covprop/covprop/internal/sample"
)

// MonteCarlo estimates the moments from samples of the input. It is the only
// baseline that converges to the truth, and Result.StandardErrors says how far
// off it may be; the Accuracy's estimate is the largest standard error, that
// of a mean in standard deviations and that of a covariance relative to its
// two standard deviations.
//
// The result is bit for bit the same for a seed and any number of threads.
// Memory does not depend on the number of samples: beside L, three
// (six if Antithetic) OutputDim x OutputDim matrices a thread and once more, or
// one for each randomisation of the samplers Sobol and Halton.
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
	// Sampler is the kind of points. The standard errors of Sobol and Halton
	// come from 16 independent randomisations, between which Samples is
	// divided, rounded up; at least 32 are needed.
	Sampler Sampler
	// Antithetic evaluates pairs mu + L z, mu - L z, which removes the error
	// of the mean that comes from the odd part of Func (all of it, if Func is
	// affine). The standard error of the mean is that of the pair averages.
	Antithetic bool
	// Partial makes a run whose context is cancelled return the moments of the
	// samples done by then, if there are enough for standard errors, in place
	// of the context's error. Accuracy.Reason says so, and StandardErrors how
	// many there are. Batches that were begun are finished.
	Partial bool
	// Threads is the number of goroutines that evaluate Func; 0 means
	// GOMAXPROCS.
	Threads int
	// Progress, if not nil, is called with the number of evaluations done so
	// far, from one goroutine at a time.
	Progress func(done, total int)
}

const (
	// chunkSize is how many evaluations share a random stream.
	chunkSize = 256
	// Inputs are evaluated together up to batchFloats numbers, or minBatch of
	// them.
	batchFloats, minBatch = 1 << 20, 32
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
	if mc.Sampler != Random {
		return mc.quasi(ctx, in, outputs)
	}
	f, err := sample.NewRoot(ctx, in.Cov)
	if err != nil {
		return covprop.Result{}, err
	}
	total, err := mc.run(ctx, in.Mean, f)
	done := mc.evaluations(total)
	if partial := mc.Partial && total.n >= 2 && ctx.Err() != nil && errors.Is(err, ctx.Err()); err != nil && !partial {
		return covprop.Result{}, err
	}
	cov := total.covariance()
	if err := checkVariances(total.mean, cov); err != nil {
		return covprop.Result{}, err
	}
	se := total.standardErrors(cov)
	se.Samples = done
	g := covprop.Gaussian{Mean: total.mean, Cov: covprop.DenseOf(cov)}
	reason := f.Note("Monte Carlo, " + drawn(done, mc.Samples))
	return covprop.Result{
		Gaussian:       g,
		Outputs:        outputs,
		Accuracy:       covprop.ApproximatedBy(largest(se, g.Std()), reason),
		StandardErrors: se,
	}, nil
}

// evaluations returns how many evaluations t has the moments of.
func (mc MonteCarlo) evaluations(t *moments) int {
	if mc.Antithetic {
		return 2 * int(t.n)
	}
	return int(t.n)
}

// drawn writes the number of samples.
func drawn(done, asked int) string {
	if done < asked {
		return fmt.Sprintf("interrupted after %d of %d samples", done, asked)
	}
	return fmt.Sprintf("%d samples", done)
}

func (mc MonteCarlo) check() error {
	switch {
	case mc.Antithetic && (mc.Samples < 4 || mc.Samples%2 != 0):
		return fmt.Errorf("monte carlo: antithetic sampling needs an even number of samples, at least 4, not %d", mc.Samples)
	case mc.Sampler < Random || mc.Sampler > Halton:
		return fmt.Errorf("monte carlo: there is no sampler %d", mc.Sampler)
	case mc.Sampler != Random && mc.Antithetic:
		return fmt.Errorf("monte carlo: the sampler %v is not antithetic", mc.Sampler)
	case mc.Sampler != Random && mc.Samples < 2*sample.Replicates:
		return fmt.Errorf("monte carlo: the sampler %v needs at least %d samples, not %d", mc.Sampler, 2*sample.Replicates, mc.Samples)
	case mc.Samples < 2:
		return fmt.Errorf("monte carlo: at least 2 samples are needed, not %d", mc.Samples)
	case mc.Threads < 0:
		return fmt.Errorf("monte carlo: the number of threads is %d", mc.Threads)
	}
	return nil
}

// checkVariances refuses variances that are not finite.
func checkVariances(mean []float64, cov blas64.General) error {
	for i, m := range mean {
		if v := cov.Data[i*cov.Stride+i]; math.IsNaN(v) || math.IsInf(v, 0) {
			return fmt.Errorf("monte carlo: the variance of output element %d, of mean %g, overflows", i, m)
		}
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
func (mc MonteCarlo) run(ctx context.Context, mu []float64, f *sample.Root) (*moments, error) {
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
	root          *sample.Root
	batch         int            // inputs at a time
	z, lz, x      blas64.General // (r, batch), (n, batch), (n, batch)
	u, v, scratch blas64.General // (m, draws in a chunk)
	local         *moments
}

func (mc MonteCarlo) newSampler(mu []float64, root *sample.Root) *sampler {
	m, n := mc.Func.OutputDim(), root.Dim()
	s := &sampler{
		mc: mc, mu: mu, root: root,
		batch: min(chunkSize, max(minBatch, batchFloats/n)),
		local: newMoments(m, mc.Antithetic),
	}
	s.z, s.lz, s.x = newGeneral(root.Rank(), s.batch), newGeneral(n, s.batch), newGeneral(n, s.batch)
	if mc.Antithetic {
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
	for lo := 0; lo < draws; lo += s.batch {
		b := min(s.batch, draws-lo)
		z, lz := columns(s.z, 0, b), columns(s.lz, 0, b)
		for j := range b {
			for k := range z.Rows {
				z.Data[k*z.Stride+j] = rng.NormFloat64()
			}
		}
		s.root.MulTo(lz, z)
		if err := s.evaluate(ctx, columns(s.u, lo, b), lz, 1, first+perDraw*lo, perDraw); err != nil {
			return err
		}
		if s.mc.Antithetic {
			if err := s.evaluate(ctx, columns(s.v, lo, b), lz, -1, first+perDraw*lo+1, perDraw); err != nil {
				return err
			}
		}
	}
	if s.mc.Antithetic {
		for i := range s.u.Rows {
			u, v := row(s.u, i), row(s.v, i)
			for k, y := range u {
				u[k], v[k] = y/2+v[k]/2, y/2-v[k]/2
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

// evaluate writes f(mu + sign lz) to the columns of dst. The evaluations have
// the indices first, first+step, ...
func (s *sampler) evaluate(ctx context.Context, dst, lz blas64.General, sign float64, first, step int) error {
	x := columns(s.x, 0, lz.Cols)
	for i, m := range s.mu {
		d := row(x, i)
		for j, v := range row(lz, i) {
			d[j] = m + sign*v
		}
	}
	err := sample.Eval(ctx, s.mc.Func, dst, x)
	var at *sample.PointError
	if errors.As(err, &at) {
		return fmt.Errorf("monte carlo: sample %d: %w", first+step*at.Column, at.Err)
	}
	return err
}

// columns returns columns j to j+n-1 of a.
func columns(a blas64.General, j, n int) blas64.General {
	if a.Rows > 0 {
		a.Data = a.Data[j:]
	}
	a.Cols = n
	return a
}
