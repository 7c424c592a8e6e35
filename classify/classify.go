// Package classify computes class probabilities: the probability that each
// element of a Gaussian vector is its largest,
//
//	p_j = P(X_j > X_i for all i != j),   X ~ N(mu, Sigma),
//
// by the transformation of Genz (1992, DOI 10.1080/10618600.1992.10477010) with
// the tilt of Botev (2017, DOI 10.1111/rssb.12162), which keeps the relative
// accuracy of small probabilities. That is what a classifier with Gaussian logits decides how often. It is not
// the mean of the softmax.
package classify

import (
	"context"
	"fmt"
	"math"
	"runtime"

	"github.com/covprop/covprop"
	"github.com/covprop/covprop/classify/lattice"
	"github.com/covprop/covprop/internal/kernel"
)

// Options choose the effort. The zero value is the default.
type Options struct {
	// Samples is the number of points for one class, rounded down to 512
	// times a power of two, but at least 512. Zero means up to 4096, fewer
	// once the standard error is below 1e-3 of the probability, or below 5%
	// of it and 1e-4.
	Samples int
	// Seed is that of the random shifts. Equal seeds give equal results.
	Seed uint64
}

// A Result holds the probabilities of the n classes. They are estimated one by
// one and not normalised: their sum differs from 1 by their errors.
type Result struct {
	P              []float64 // (n)
	StandardErrors []float64 // (n) zero where P is exact
	// Accuracy is Exact if all P are; otherwise Approximate, and its Bound is
	// three times the largest standard error. Each P has a relative accuracy
	// of its own, also far below Bound: see StandardErrors.
	Accuracy covprop.Accuracy
}

// reason is that of an Accuracy that is not exact.
const reason = "quasi-Monte Carlo"

const (
	defaultSamples = 4096
	firstPoints    = 32 // of every shift, at first
)

// enough reports whether p, with the standard error se after the given number
// of points, needs no more.
func (o Options) enough(points int, p, se float64) bool {
	if o.Samples > 0 {
		return 2*points > o.Samples
	}
	return 2*points > defaultSamples || p > 0 && (se <= 1e-3*p || se <= math.Min(.05*p, 1e-4))
}

// Probabilities returns the probability that each element of g is the largest.
// Of elements that are equal with certainty the first counts. Singular
// covariances are legal; with a zero covariance the largest mean has
// probability 1.
//
// It is exact, up to rounding, for n <= 3 and for covariances of the differences
// of rank 1 and 2, and quasi-Monte Carlo otherwise, with relative accuracy for
// small probabilities. A class that no point shows has probability 0, with one
// over the number of points for a standard error unless it must be less.
// Every class costs n^3/6 multiplications to set up and n^2/2 a point, and has a
// matrix of n^2 float64 while it is computed; classes run in parallel. On two
// cores 10 classes take about 5 ms, 100 about 0.5 s and 1000 about 3 min.
//
// An invalid g, a covariance that is not positive semidefinite and a negative
// number of samples are *covprop.InputErrors; a cancelled ctx ends the run with
// its error.
func Probabilities(ctx context.Context, g covprop.Gaussian, o Options) (Result, error) {
	if err := g.Check(); err != nil {
		return Result{}, err
	}
	if o.Samples < 0 {
		return Result{}, &covprop.InputError{What: "number of samples", Err: fmt.Errorf("is negative (%d)", o.Samples)}
	}
	n := g.Dim()
	r := Result{P: make([]float64, n), StandardErrors: make([]float64, n)}
	points := lattice.New(max(n-2, 0), o.Seed)
	err := kernel.Parallel(ctx, runtime.GOMAXPROCS(0), n, func(j int) error {
		p, err := newOrthant(g, j)
		if err == nil {
			r.P[j], r.StandardErrors[j], err = p.probability(ctx, points, o)
		}
		return err
	})
	if err != nil {
		return Result{}, err
	}
	worst := 0.
	for _, se := range r.StandardErrors {
		worst = math.Max(worst, se)
	}
	if worst > 0 {
		r.Accuracy = covprop.ApproximatedBy(3*worst, reason)
	}
	return r, nil
}
