package sample

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"sync/atomic"

	"gonum.org/v1/gonum/blas/blas64"

	"github.com/covprop/covprop"
	"github.com/covprop/covprop/internal/kernel"
	"github.com/covprop/covprop/internal/qmc"
)

const (
	// Replicates is the number of independent randomisations of the
	// quasi-random points. The spread between them is what standard errors
	// come from, with Replicates - 1 degrees of freedom (Owen 2013, chapter
	// 17): fewer leave the errors uncertain, more lose the points' evenness.
	Replicates = 16
	// batch is how many points are evaluated together, at most.
	batch = 256
)

// A Stream samples y = f(mu + L z) at replicates of a quasi-random sequence z
// in the principal axes of the input, and adds up what the moments of y need.
// The sums are the same bits for any number of threads.
type Stream struct {
	f       covprop.Func
	mean    []float64      // mu, (n)
	root    *Root          // L, (n, r)
	gain    blas64.General // J = Cov(y, z), (m, r), for the control J z; no rows if there is none
	centre  []float64      // f(mu), (m), which is subtracted from y
	threads int
	sources []*Source // by replicate
	sums    []*sums   // by replicate
	n       int       // points of each replicate so far

	progress  func(evaluations int)
	mu        sync.Mutex // of progress and evaluated
	evaluated int
}

// A Task is what a Stream samples.
type Task struct {
	Func covprop.Func
	In   covprop.Gaussian
	// InputCov is Cov(y, x), (m, n), as an analytic propagation has it, for
	// the control variate; it may have no rows.
	InputCov blas64.General
	Kind     qmc.Kind
	Seed     uint64
	Threads  int
	// Full asks for the products between different elements of y, too.
	Full bool
	// Progress, if set, is called with the evaluations so far, not twice at a time.
	Progress func(evaluations int)
}

// NewStream returns the stream of a task.
func NewStream(ctx context.Context, t Task) (*Stream, error) {
	f, in := t.Func, t.In
	root, err := NewPrincipal(ctx, in.Cov)
	if err != nil {
		return nil, err
	}
	m := f.OutputDim()
	s := &Stream{f: f, mean: in.Mean, root: root, centre: make([]float64, m), threads: t.Threads, progress: t.Progress}
	if err := f.EvalTo(s.centre, in.Mean); err != nil {
		return nil, &SampleError{-1, err}
	}
	for i, y := range s.centre {
		if math.IsNaN(y) || math.IsInf(y, 0) {
			return nil, &SampleError{-1, fmt.Errorf("output element %d is %v", i, y)}
		}
	}
	if t.InputCov.Rows > 0 && root.Rank() > 0 {
		s.gain = newGeneral(m, root.Rank())
		root.WhitenTo(s.gain, t.InputCov)
	}
	for r := range Replicates {
		p, err := NewSource(t.Kind, in.Mean, root, t.Seed, r)
		if err != nil {
			return nil, err
		}
		s.sources = append(s.sources, p)
		s.sums = append(s.sums, newSums(m, s.gain.Rows > 0, t.Full))
	}
	return s, nil
}

// Samples is the number of evaluations so far.
func (s *Stream) Samples() int { return Replicates * s.n }

// Points is the number of points of each replicate so far.
func (s *Stream) Points() int { return s.n }

// Certain reports whether the input is certain, so that all samples are one.
func (s *Stream) Certain() bool { return s.root.Rank() == 0 }

// Controlled reports whether there is a control variate.
func (s *Stream) Controlled() bool { return s.gain.Rows > 0 }

// Note returns reason with a mention of what of the covariance was dropped.
func (s *Stream) Note(reason string) string { return s.root.Note(reason) }

// Grow evaluates every replicate up to point n.
func (s *Stream) Grow(ctx context.Context, n int) error {
	var (
		next   atomic.Int64
		errs   [Replicates]error
		wg     sync.WaitGroup
		worker = func() {
			w := s.newWorker(min(batch, n-s.n))
			for r := int(next.Add(1)) - 1; r < Replicates; r = int(next.Add(1)) - 1 {
				errs[r] = w.run(ctx, r, n)
			}
		}
	)
	if n <= s.n {
		return nil
	}
	for range min(s.threads, Replicates) - 1 {
		wg.Go(worker)
	}
	worker()
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	s.n = n
	return nil
}

// A worker has the memory for one batch.
type worker struct {
	*Stream
	z, x, y, l []float64
}

func (s *Stream) newWorker(b int) *worker {
	w := &worker{Stream: s}
	w.z = make([]float64, s.root.Rank()*b)
	w.x = make([]float64, len(s.mean)*b)
	w.y = make([]float64, len(s.centre)*b)
	w.l = make([]float64, s.gain.Rows*b)
	return w
}

// run adds points s.n to n-1 of replicate r to its sums.
func (w *worker) run(ctx context.Context, r, n int) error {
	for first := w.n; first < n; first += batch {
		if err := ctx.Err(); err != nil {
			return err
		}
		b := min(batch, n-first)
		z, x, y, l := wide(w.z, w.root.Rank(), b), wide(w.x, len(w.mean), b), wide(w.y, len(w.centre), b), wide(w.l, w.gain.Rows, b)
		if err := w.eval(ctx, y, x, z, r, first); err != nil {
			return err
		}
		if l.Rows > 0 {
			if err := kernel.MulTo(ctx, 1, l, w.gain, z, false); err != nil {
				return err
			}
		}
		if err := w.sums[r].add(ctx, y, l); err != nil {
			return err
		}
		w.report(b)
	}
	return nil
}

// report says that there are so many evaluations more.
func (s *Stream) report(evaluations int) {
	if s.progress == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.evaluated += evaluations
	s.progress(s.evaluated)
}

// eval writes the points from first on of replicate r to z, the inputs to x
// and f - f(mu) to y.
func (w *worker) eval(ctx context.Context, y, x, z blas64.General, r, first int) error {
	w.sources[r].DrawTo(x, z, first)
	err := Eval(ctx, w.f, y, x)
	var at *PointError
	if errors.As(err, &at) {
		return &SampleError{r + Replicates*(first+at.Column), at.Err}
	}
	if err != nil {
		return err
	}
	for i, c := range w.centre {
		shift(row(y, i), -c)
	}
	return nil
}

// A SampleError says at which sample the function failed or overflowed.
type SampleError struct {
	Sample int // -1 for the mean of the input
	Err    error
}

func (e *SampleError) Error() string {
	if e.Sample < 0 {
		return fmt.Sprintf("at the mean of the input: %v", e.Err)
	}
	return fmt.Sprintf("sample %d: %v", e.Sample, e.Err)
}

func (e *SampleError) Unwrap() error { return e.Err }

// wide returns the r x c matrix at the beginning of data.
func wide(data []float64, r, c int) blas64.General {
	return blas64.General{Rows: r, Cols: c, Stride: max(c, 1), Data: data[:r*c]}
}

func shift(x []float64, by float64) {
	for i := range x {
		x[i] += by
	}
}
