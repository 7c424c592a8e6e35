package baseline

import (
	"context"
	"errors"
	"fmt"

	"github.com/covprop/covprop"
	"github.com/covprop/covprop/internal/qmc"
	"github.com/covprop/covprop/internal/sample"
)

// A Sampler is a kind of points for MonteCarlo.
type Sampler int

// The samplers. Sobol and Halton are randomised quasi-random points in the
// principal axes of the input, which fill space more evenly than random ones:
// for smooth functions of few variables the error falls almost as one over
// their number, and it is never much larger (Owen 1997).
const (
	Random Sampler = iota
	Sobol          // scrambled Sobol points; best a power of two of them
	Halton         // scrambled Halton points
)

func (s Sampler) String() string { return s.kind().String() }

func (s Sampler) kind() qmc.Kind {
	switch s {
	case Sobol:
		return qmc.Sobol
	case Halton:
		return qmc.Halton
	}
	return qmc.Random
}

// ParseSampler returns the sampler of the given name: random, sobol or halton.
func ParseSampler(name string) (Sampler, error) {
	for s := Random; s <= Halton; s++ {
		if s.String() == name {
			return s, nil
		}
	}
	return 0, fmt.Errorf("unknown sampler %q; there are random, sobol and halton", name)
}

// piece is how many points of every randomisation are evaluated before Progress
// hears of them: as many as a covprop.BatchFunc likes to take together. Other
// functions may be slow simulators.
func (mc MonteCarlo) piece() int {
	if _, ok := mc.Func.(covprop.BatchFunc); ok {
		return chunkSize
	}
	return chunkSize / sample.Replicates
}

// quasiSeed sets the points apart from those that an audit or another method
// draws with the same seed: it could not notice their errors.
const quasiSeed = 0x6d6f6e746563616c

// quasi is Propagate for quasi-random points.
func (mc MonteCarlo) quasi(ctx context.Context, in covprop.Gaussian, outputs []covprop.Output) (covprop.Result, error) {
	s, err := sample.NewStream(ctx, sample.Task{
		Func: mc.Func, In: in, Kind: mc.Sampler.kind(), Seed: mc.Seed ^ quasiSeed, Threads: mc.Threads, Full: true,
	})
	if err != nil {
		return covprop.Result{}, fmt.Errorf("monte carlo: %w", err)
	}
	points := (mc.Samples-1)/sample.Replicates + 1
	within, interrupted := ctx, ""
	if mc.Partial { // ends between pieces only, where all randomisations have the same length
		within = context.WithoutCancel(ctx)
	}
	for s.Points() < points {
		if err := ctx.Err(); err != nil && s.Points() < 2 {
			return covprop.Result{}, err
		} else if err != nil && mc.Partial {
			interrupted = fmt.Sprintf(", interrupted before %d", sample.Replicates*points)
			break
		}
		err := s.Grow(within, min(s.Points()+mc.piece(), points))
		var at *sample.SampleError
		if errors.As(err, &at) {
			return covprop.Result{}, fmt.Errorf("monte carlo: %w", err)
		}
		if err != nil {
			return covprop.Result{}, err
		}
		if mc.Progress != nil {
			mc.Progress(s.Samples(), sample.Replicates*points)
		}
	}
	cov, se := s.Covariance()
	moments := s.Marginals()
	if err := checkVariances(moments.Mean, cov); err != nil {
		return covprop.Result{}, err
	}
	g := covprop.Gaussian{Mean: moments.Mean, Cov: covprop.DenseOf(cov)}
	errs := &covprop.StandardErrors{Samples: s.Samples(), Mean: moments.MeanSE, Cov: covprop.DenseOf(se)}
	reason := s.Note(fmt.Sprintf("quasi-Monte Carlo, %d scrambled %v points in %d randomisations%s", s.Samples(), mc.Sampler, sample.Replicates, interrupted))
	return covprop.Result{
		Gaussian: g, Outputs: outputs, StandardErrors: errs,
		Accuracy: covprop.ApproximatedBy(largest(errs, g.Std()), reason),
	}, nil
}
