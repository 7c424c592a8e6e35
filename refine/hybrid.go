package refine

import (
	"context"
	"errors"
	"fmt"
	"math"
	"runtime"

	"gonum.org/v1/gonum/blas/blas64"

	"github.com/covprop/covprop"
	"github.com/covprop/covprop/graph"
	"github.com/covprop/covprop/internal/qmc"
	"github.com/covprop/covprop/internal/sample"
)

// DefaultRelError is the error that Hybrid and Auto aim at by default: 0.05
// standard deviations of a mean and 5% of a variance.
const DefaultRelError = .05

// DefaultMaxSamples is the largest number of evaluations by default.
const DefaultMaxSamples = 1 << 21

// hybridSure is the confidence with which a result is within the error asked
// for. It is above the usual, since a run stops at the first size that seems
// enough, and for the worst of all elements.
const hybridSure = .99

// Hybrid estimates the moments of a function from randomised quasi-Monte Carlo
// samples, scrambled Sobol points in the principal axes of the input, with the
// analytic propagation as control variate: its gain G gives the linear part
// G (x - mu) of the function, whose moments are known. The estimates are
// unbiased, for a fixed number of samples, whatever the gain is worth, since its
// coefficient for some samples comes from the others, and have standard errors.
// Samples are taken until the error asked for is reached; a run that stops because it
// has missed a heavy tail so far has estimates and errors that are too small: of a
// lognormal with the shape 1, 1% in the variance and a third in the errors.
//
// Where its errors leave a covariance that is not positive semidefinite, the
// negative eigenvalues of the correlation matrix are taken as 0, and the
// Accuracy says so.
type Hybrid struct {
	// Func is what is sampled.
	Func covprop.Func
	// Propagator gives the control variate, by Result.InputCov; nil: none. A
	// network is asked for it unless it ignores covariances.
	Propagator covprop.Propagator
	// RelError is the error to reach, with a confidence of 99%: of a mean in
	// standard deviations, of a variance relative to it. Zero means
	// DefaultRelError.
	RelError float64
	// MaxSamples ends the run in any case, with an Accuracy that says what was
	// reached. Zero means DefaultMaxSamples; at least 32.
	MaxSamples int
	// Seed selects the samples; zero means 1.
	Seed uint64
	// Threads is the number of threads; zero means all processors. Results do
	// not depend on it.
	Threads int
	// MaxBytes limits the memory of the sums; zero means no limit.
	MaxBytes int64
	// Progress, if set, is called with the evaluations done and the most there
	// may be.
	Progress func(done, total int)
}

// Propagate implements covprop.Propagator.
func (h Hybrid) Propagate(ctx context.Context, in covprop.Gaussian) (covprop.Result, error) {
	if err := h.prepare(in); err != nil {
		return covprop.Result{}, err
	}
	inputCov, err := h.gain(ctx, in)
	if err != nil {
		return covprop.Result{}, err
	}
	s, err := h.stream(ctx, in, inputCov)
	if err != nil {
		return covprop.Result{}, fmt.Errorf("hybrid: %w", err)
	}
	if s.Certain() {
		h.MaxSamples = 2 * sample.Replicates
	}
	for n := min(firstPoints(h.Func), h.mostPoints()); ; n = min(2*n, h.mostPoints()) {
		if err := h.grow(ctx, s, n); err != nil {
			return covprop.Result{}, err
		}
		if n == h.mostPoints() || resolved(s.Marginals(), h.RelError, h.RelError, sample.Confidence(hybridSure)) {
			return h.result(s)
		}
	}
}

// stream returns the stream of samples, whose control comes from Cov(y, x).
func (h *Hybrid) stream(ctx context.Context, in covprop.Gaussian, inputCov blas64.General) (*sample.Stream, error) {
	task := sample.Task{Func: h.Func, In: in, InputCov: inputCov, Kind: qmc.Sobol, Seed: h.Seed, Threads: h.Threads, Full: true}
	if h.Progress != nil {
		task.Progress = func(done int) { h.Progress(done, h.MaxSamples) }
	}
	return sample.NewStream(ctx, task)
}

func (h *Hybrid) mostPoints() int { return h.MaxSamples / sample.Replicates }

func (h *Hybrid) grow(ctx context.Context, s *sample.Stream, n int) error {
	if err := s.Grow(ctx, n); err != nil {
		return fmt.Errorf("hybrid: %w", err)
	}
	return nil
}

// prepare checks the options and fills in the defaults.
func (h *Hybrid) prepare(in covprop.Gaussian) error {
	if h.Func == nil {
		return errors.New("hybrid: there is no function to sample")
	}
	if h.RelError == 0 {
		h.RelError = DefaultRelError
	}
	if h.MaxSamples == 0 {
		h.MaxSamples = DefaultMaxSamples
	}
	if h.Seed == 0 {
		h.Seed = 1
	}
	if h.Threads == 0 {
		h.Threads = runtime.GOMAXPROCS(0)
	}
	switch {
	case !(h.RelError > 0 && h.RelError < 1):
		return fmt.Errorf("hybrid: the relative error must lie between 0 and 1, not at %v", h.RelError)
	case h.MaxSamples < 2*sample.Replicates:
		return fmt.Errorf("hybrid: at least %d samples are needed, not %d", 2*sample.Replicates, h.MaxSamples)
	case h.Threads < 0:
		return fmt.Errorf("hybrid: the number of threads is %d", h.Threads)
	}
	if err := in.Check(); err != nil {
		return err
	}
	if n := h.Func.InputDim(); in.Dim() != n {
		return &covprop.InputError{What: "mean", Err: fmt.Errorf("has %d elements, but the function takes %d", in.Dim(), n)}
	}
	return h.checkMemory()
}

// checkMemory refuses sums over the limit: two (m, m) matrices a replicate,
// and four for the estimate.
func (h *Hybrid) checkMemory() error {
	m := float64(h.Func.OutputDim())
	if bytes := 8 * (2*sample.Replicates + 4) * m * m; h.MaxBytes > 0 && bytes > float64(h.MaxBytes) {
		return &covprop.MemoryError{
			Tensor: "the output", Bytes: int64(8 * m * m), Peak: int64(math.Min(bytes, math.MaxInt64/2)), Limit: h.MaxBytes,
		}
	}
	return nil
}

// gain returns Cov(y, x) by the propagator, with no rows if there is none.
func (h *Hybrid) gain(ctx context.Context, in covprop.Gaussian) (blas64.General, error) {
	p := h.Propagator
	switch net := p.(type) {
	case nil:
		return blas64.General{}, nil
	case *graph.Network:
		o := net.Options()
		if o.Diagonal {
			return blas64.General{}, nil // it ignores covariances
		}
		o.KeepInput = true
		p = net.With(o)
	}
	res, err := p.Propagate(ctx, in)
	if err != nil {
		return blas64.General{}, err
	}
	return gainOf(&res), nil
}

// result returns the estimates of s.
func (h *Hybrid) result(s *sample.Stream) (covprop.Result, error) {
	cov, se := s.Covariance()
	dropped, err := sample.Positive(cov)
	if err != nil {
		return covprop.Result{}, fmt.Errorf("hybrid: %w", err)
	}
	m := s.Marginals()
	reached := largestError(m, sample.Confidence(hybridSure))
	reason := fmt.Sprintf("randomised quasi-Monte Carlo, %d samples", s.Samples())
	if s.Controlled() {
		reason = fmt.Sprintf("randomised quasi-Monte Carlo with the gain as control variate, %d samples", s.Samples())
	}
	if n := constants(m); n > 0 {
		reason += fmt.Sprintf("; %d of %d elements were constant in all of them", n, len(m.Mean))
	}
	if !resolved(m, h.RelError, h.RelError, sample.Confidence(hybridSure)) {
		reason += fmt.Sprintf("; the relative error of %g that was asked for is not certain", h.RelError)
	}
	if dropped > 0 {
		reason += fmt.Sprintf("; the eigenvalue %.2g of the output's correlation matrix was taken as 0", -dropped)
	}
	return covprop.Result{
		Gaussian:       covprop.Gaussian{Mean: m.Mean, Cov: covprop.DenseOf(cov)},
		Outputs:        outputsOf(h.Func),
		Accuracy:       covprop.ApproximatedBy(reached, s.Note(reason)),
		StandardErrors: &covprop.StandardErrors{Samples: s.Samples(), Mean: m.MeanSE, Cov: covprop.DenseOf(se)},
	}, nil
}

// constants returns the number of elements that are constant in all samples.
func constants(m *sample.Marginals) (n int) {
	for i, v := range m.Variance {
		if constant(m.Mean[i], v) {
			n++
		}
	}
	return n
}

// largestError returns k standard errors of the worst element: of a mean in
// standard deviations, of a variance relative to it.
func largestError(m *sample.Marginals, k float64) float64 {
	worst := 0.0
	for i, v := range m.Variance {
		if !constant(m.Mean[i], v) {
			worst = math.Max(worst, k*math.Max(m.MeanSE[i]/math.Sqrt(v), m.VarianceSE[i]/v))
		}
	}
	return worst
}

// outputsOf describes the output vector of f.
func outputsOf(f covprop.Func) []covprop.Output {
	if n, ok := f.(covprop.OutputNamer); ok {
		return n.Outputs()
	}
	m := f.OutputDim()
	return []covprop.Output{{Name: "output", Shape: []int{m}, Len: m}}
}
