package optest

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"
	"testing"

	"gonum.org/v1/gonum/mat"

	"github.com/covprop/covprop"
	"github.com/covprop/covprop/baseline"
)

// PropagatorOptions choose what TestPropagator asks for. The zero value asks
// for the contract only.
type PropagatorOptions struct {
	// Samples, if positive, asks that the moments agree with those of that
	// many Monte Carlo samples of the function within 5 standard errors. It
	// is for inputs for which the propagator claims to be right.
	Samples int
	// Seed selects the samples; 0 means 1.
	Seed uint64
	// Tol is the rounding and truncation allowed, relative to the standard
	// deviations and to the largest output; 0 means DefaultTol.
	Tol float64
}

// TestPropagator checks that p keeps the contract of covprop.Propagator, as a
// method to propagate in through f:
//
//   - the result has the shapes of f's output, is finite and symmetric,
//     positive semidefinite to rounding, and says how exact it is;
//   - an invalid input is a *covprop.InputError and a cancelled context the
//     context's error;
//   - the input is left alone, results share no memory, and concurrent calls
//     give the same bits;
//   - a zero covariance gives f(mu) and no covariance;
//   - if opts.Samples is set, the moments agree with Monte Carlo.
func TestPropagator(t *testing.T, p covprop.Propagator, f covprop.Func, in covprop.Gaussian, opts PropagatorOptions) {
	t.Helper()
	runAll(t, propagatorChecks(p, f, in, opts))
}

func propagatorChecks(p covprop.Propagator, f covprop.Func, in covprop.Gaussian, opts PropagatorOptions) []check {
	if opts.Tol == 0 {
		opts.Tol = DefaultTol
	}
	s := propagatorSuite{p, f, in, opts}
	checks := []check{
		{"shape", s.shape},
		{"symmetric", s.symmetric},
		{"positive semidefinite", s.positive},
		{"accuracy", s.accuracy},
		{"invalid input", s.invalid},
		{"cancel", s.cancel},
		{"input unchanged", s.unchanged},
		{"concurrent", s.concurrent},
		{"zero covariance", s.point},
	}
	if opts.Samples > 0 {
		checks = append(checks, check{"monte carlo", s.monteCarlo})
	}
	return checks
}

type propagatorSuite struct {
	p    covprop.Propagator
	f    covprop.Func
	in   covprop.Gaussian
	opts PropagatorOptions
}

// propagate returns the result for in, of which the other checks need to know
// that it has the right dimensions.
func (s propagatorSuite) propagate(in covprop.Gaussian) (covprop.Result, error) {
	res, err := s.p.Propagate(context.Background(), in)
	if err != nil {
		return res, err
	}
	m := s.f.OutputDim()
	if len(res.Mean) != m || res.Cov == nil || res.Cov.SymmetricDim() != m {
		return res, fmt.Errorf("the result does not have the dimension %d of the function's output", m)
	}
	if se := res.StandardErrors; se != nil && (len(se.Mean) != m || se.Cov == nil || se.Cov.SymmetricDim() != m) {
		return res, fmt.Errorf("the standard errors do not have the dimension %d of the output", m)
	}
	return res, nil
}

func (s propagatorSuite) shape() error {
	res, err := s.propagate(s.in)
	if err != nil {
		return err
	}
	end := 0
	for _, o := range res.Outputs {
		n := 1
		for _, d := range o.Shape {
			n *= d
		}
		if o.Name == "" || o.Offset != end || o.Len != n {
			return fmt.Errorf("output %+v: has no name, does not follow the one before it, or its shape is not its length", o)
		}
		end += o.Len
	}
	if m := s.f.OutputDim(); end != m {
		return fmt.Errorf("the outputs have %d elements of %d", end, m)
	}
	return res.Check()
}

func (s propagatorSuite) symmetric() error {
	res, err := s.propagate(s.in)
	if err != nil {
		return err
	}
	for i := range res.Mean {
		for j := range i {
			// Equality fails for NaN, too.
			if a, b := res.Cov.At(i, j), res.Cov.At(j, i); a != b || math.IsInf(a, 0) {
				return fmt.Errorf("covariances (%d,%d) and (%d,%d) are %v and %v", i, j, j, i, a, b)
			}
		}
	}
	return nil
}

// positive looks at the correlation matrix, whose rounding is of the order of
// n eps and whose entries a certified series may change by its bound.
func (s propagatorSuite) positive() error {
	res, err := s.propagate(s.in)
	if err != nil {
		return err
	}
	n, std := len(res.Mean), res.Std()
	r := mat.NewSymDense(n, nil)
	for i := range n {
		r.SetSym(i, i, 1)
		for j := range i {
			switch c := res.Cov.At(i, j); {
			case std[i] > 0 && std[j] > 0:
				r.SetSym(i, j, c/std[i]/std[j])
			case c != 0:
				return fmt.Errorf("covariance (%d,%d) is %v, but a variance is 0", i, j, c)
			}
		}
	}
	var eig mat.EigenSym
	if !eig.Factorize(r, false) {
		return errors.New("the eigenvalues of the correlation matrix did not converge")
	}
	slack := 1e-12
	for _, node := range res.Nodes {
		if node.Status == covprop.Certified {
			slack = math.Max(slack, node.Bound)
		}
	}
	if least := eig.Values(nil)[0]; !(least >= -slack*float64(n)) {
		return fmt.Errorf("the correlation matrix has the eigenvalue %.3g, below -%.3g", least, slack*float64(n))
	}
	return nil
}

func (s propagatorSuite) accuracy() error {
	res, err := s.propagate(s.in)
	if err != nil {
		return err
	}
	if !consistent(res.Accuracy) {
		return fmt.Errorf("the accuracy %+v contradicts itself", res.Accuracy)
	}
	for _, node := range res.Nodes {
		if !consistent(node.Accuracy) {
			return fmt.Errorf("node %q: the accuracy %+v contradicts itself", node.Name, node.Accuracy)
		}
		if node.Status > res.Accuracy.Status {
			return fmt.Errorf("node %q is %v, but the result claims to be %v", node.Name, node.Status, res.Accuracy.Status)
		}
	}
	return nil
}

// consistent reports whether the parts of an Accuracy fit together.
func consistent(a covprop.Accuracy) bool {
	switch a.Status {
	case covprop.Exact:
		return a.Bound == 0
	case covprop.Certified:
		return a.Bound > 0 && !math.IsInf(a.Bound, 1) && a.Reason != ""
	case covprop.Approximate:
		return a.Bound >= 0 && a.Reason != ""
	}
	return false
}

func (s propagatorSuite) invalid() error {
	n := s.in.Dim()
	ones := func(n int) covprop.Diagonal {
		d := make(covprop.Diagonal, n)
		for i := range d {
			d[i] = 1
		}
		return d
	}
	nan, negative := make([]float64, n), ones(n)
	nan[n-1], negative[n-1] = math.NaN(), -1
	for name, in := range map[string]covprop.Gaussian{
		"an empty Gaussian":                        {},
		"a mean one too long":                      {Mean: make([]float64, n+1), Cov: ones(n + 1)},
		"a mean and a covariance of other lengths": {Mean: make([]float64, n), Cov: ones(n + 1)},
		"a missing covariance":                     {Mean: make([]float64, n)},
		"a NaN mean":                               {Mean: nan, Cov: ones(n)},
		"a negative variance":                      {Mean: make([]float64, n), Cov: negative},
	} {
		var want *covprop.InputError
		if _, err := s.p.Propagate(context.Background(), in); !errors.As(err, &want) {
			return fmt.Errorf("%s gives the error %v, not an *InputError", name, err)
		}
	}
	return nil
}

func (s propagatorSuite) cancel() error {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := s.p.Propagate(ctx, s.in); !errors.Is(err, context.Canceled) {
		return fmt.Errorf("with a cancelled context the error is %v", err)
	}
	return nil
}

func (s propagatorSuite) unchanged() error {
	mean, cov := slices.Clone(s.in.Mean), mat.NewSymDense(s.in.Dim(), nil)
	cov.CopySym(s.in.Cov)
	if _, err := s.propagate(s.in); err != nil {
		return err
	}
	if !slices.Equal(mean, s.in.Mean) || !mat.Equal(cov, s.in.Cov) {
		return errors.New("the input was changed")
	}
	return nil
}

func (s propagatorSuite) concurrent() error {
	const calls = 4
	var wg sync.WaitGroup
	var results [calls]covprop.Result
	var errs [calls]error
	for i := range calls {
		wg.Go(func() { results[i], errs[i] = s.propagate(s.in) })
	}
	wg.Wait()
	if err := errors.Join(errs[:]...); err != nil {
		return err
	}
	for _, r := range results[1:] {
		if !slices.Equal(r.Mean, results[0].Mean) || !mat.Equal(r.Cov, results[0].Cov) {
			return errors.New("concurrent calls give different results")
		}
	}
	want := results[1].Mean[0]
	if results[0].Mean[0]++; results[1].Mean[0] != want {
		return errors.New("two results share memory")
	}
	return nil
}

func (s propagatorSuite) point() error {
	n := s.in.Dim()
	dense, err := covprop.NewDense(n, make([]float64, n*n))
	if err != nil {
		return err
	}
	want := make([]float64, s.f.OutputDim())
	if err := s.f.EvalTo(want, s.in.Mean); err != nil {
		return err
	}
	largest := 0.0
	for _, y := range want {
		largest = math.Max(largest, math.Abs(y))
	}
	tol := s.opts.Tol * largest
	for _, cov := range []covprop.Covariance{make(covprop.Diagonal, n), dense} {
		res, err := s.propagate(covprop.Gaussian{Mean: s.in.Mean, Cov: cov})
		if err != nil {
			return err
		}
		for i, y := range want {
			if err := closeTo(fmt.Sprintf("with %T zero, mean %d", cov, i), res.Mean[i], y, tol); err != nil {
				return err
			}
			for j := range want {
				if err := closeTo(fmt.Sprintf("with %T zero, covariance (%d,%d)", cov, i, j), res.Cov.At(i, j), 0, tol*tol); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// monteCarlo compares with an estimate; if p is one itself, both have errors.
// A propagator without covariances is compared on the diagonal.
//
// An element that is constant over the N samples may still vary with a
// probability of up to 25/N, by about as much as the others vary: its standard
// deviation may then be 5/sqrt(N) of the largest one. It has no covariances to
// compare.
func (s propagatorSuite) monteCarlo() error {
	got, err := s.propagate(s.in)
	if err != nil {
		return err
	}
	truth, err := baseline.MonteCarlo{Func: s.f, Samples: s.opts.Samples, Seed: s.opts.Seed}.Propagate(context.Background(), s.in)
	if err != nil {
		return err
	}
	root := math.Sqrt(float64(s.opts.Samples))
	std, claimed := truth.Std(), got.Std()
	seMean, seCov := combinedErrors(truth.StandardErrors, got.StandardErrors)
	for i, m := range truth.Mean {
		rounding := s.opts.Tol * (std[i] + math.Abs(m))
		tol := sigmas*math.Max(seMean(i), claimed[i]/root) + rounding
		if err := closeTo(fmt.Sprintf("mean %d", i), got.Mean[i], m, tol); err != nil {
			return err
		}
		if std[i] == 0 {
			tol := sigmas/root*slices.Max(std) + rounding
			if err := closeTo(fmt.Sprintf("standard deviation %d", i), claimed[i], 0, tol); err != nil {
				return err
			}
			continue
		}
		for j := range i + 1 {
			if _, diagonal := got.Cov.(covprop.Diagonal); std[j] == 0 || diagonal && i != j {
				continue
			}
			tol := sigmas*seCov(i, j) + s.opts.Tol*std[i]*std[j]
			if err := closeTo(fmt.Sprintf("covariance (%d,%d)", i, j), got.Cov.At(i, j), truth.Cov.At(i, j), tol); err != nil {
				return err
			}
		}
	}
	return nil
}

// combinedErrors returns the standard errors of the difference of two
// estimates; b is nil if the second is none.
func combinedErrors(a, b *covprop.StandardErrors) (mean func(i int) float64, cov func(i, j int) float64) {
	if b == nil {
		return func(i int) float64 { return a.Mean[i] }, a.Cov.At
	}
	return func(i int) float64 { return math.Hypot(a.Mean[i], b.Mean[i]) },
		func(i, j int) float64 { return math.Hypot(a.Cov.At(i, j), b.Cov.At(i, j)) }
}
