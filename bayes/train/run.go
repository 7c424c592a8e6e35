package train

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/covprop/covprop/bayes"
)

// A Run trains a model.
type Run struct {
	Model *bayes.Model
	Data  bayes.Batch // all examples
	Config
	// From continues a saved state; nil begins.
	From *State
	// Save, if set, is handed the state every SaveEvery epochs, 0 for never, and
	// when ctx ends. The state is valid during the call only.
	Save      func(*State) error
	SaveEvery int
	// Progress, if set, is called after every epoch.
	Progress func(Progress)
}

// Progress is where a run stands.
type Progress struct {
	Epoch, Epochs int
	Rate          float64
	Loss          float64 // mean over the epoch, with the weight of the divergence of its time
	Validation    float64 // expected log likelihood of an example held out; NaN without
}

// A LossError says that the loss is no number any more. The state of the last
// epoch that had one is returned with it.
type LossError struct {
	Epoch, Step int // counted from 1
	Rate        float64
	Err         error
}

func (e *LossError) Error() string {
	return fmt.Sprintf("train: step %d of epoch %d, at the learning rate %.3g: %v; lower the rate", e.Step, e.Epoch, e.Rate, e.Err)
}

// Unwrap returns the cause.
func (e *LossError) Unwrap() error { return e.Err }

// Train runs until the epochs are over, the examples held out have got worse for
// too long, or ctx ends. It returns the state also with an error of ctx and with a
// *LossError: what was reached before.
func (r *Run) Train(ctx context.Context) (*State, error) {
	if r.Model == nil {
		return nil, errors.New("train: there is no model")
	}
	c := r.Config.WithDefaults()
	if err := c.check(); err != nil {
		return nil, err
	}
	w, err := newWorker(r, &c)
	if err != nil {
		return nil, err
	}
	s := newState(r.Model, &c)
	if r.From != nil {
		if err := r.From.check(r.Model, w.schedule); err != nil {
			return nil, err
		}
		s = r.From.Clone()
	}
	w.adam.first, w.adam.second = s.First, s.Second
	for s.Epoch < w.epochs && !(len(w.held.index) > 0 && s.Epoch-s.BestEpoch >= c.Patience && s.Epoch > 0) {
		before := s.Clone()
		loss, err := w.epoch(ctx, s)
		if err != nil {
			if ctx.Err() != nil && r.Save != nil {
				err = errors.Join(err, r.Save(before))
			}
			return before, err
		}
		s.Epoch++
		score, err := w.validate(s)
		if err != nil {
			return before, err
		}
		if r.Progress != nil {
			r.Progress(Progress{Epoch: s.Epoch, Epochs: w.epochs, Rate: w.rate(s.Epoch*w.perEpoch - 1), Loss: loss, Validation: score})
		}
		if r.Save != nil && r.SaveEvery > 0 && s.Epoch%r.SaveEvery == 0 {
			if err := r.Save(s); err != nil {
				return s, err
			}
		}
	}
	return s, nil
}

// A worker has the scratch of a run.
type worker struct {
	schedule
	model        *bayes.Model
	objective    *bayes.Objective
	data         *bayes.Batch
	trains, held part
	grad         []float64
	adam         adam
}

// A part is some of the examples, and room for those of a batch.
type part struct {
	index []int
	batch bayes.Batch
}

func newWorker(r *Run, c *Config) (*worker, error) {
	if err := r.Model.Check(r.Data); err != nil {
		return nil, fmt.Errorf("train: %w", err)
	}
	n := r.Data.X.Rows
	order := permutation(c.Seed, math.MaxUint64, n)
	held := int(c.Validation * float64(n))
	w := &worker{model: r.Model, data: &r.Data, grad: make([]float64, r.Model.Size())}
	w.held.index, w.trains.index = order[:held], order[held:]
	switch {
	case c.Validation > 0 && held < 1:
		return nil, fmt.Errorf("train: %v of %d examples are none to hold out; give more", c.Validation, n)
	case len(w.trains.index) < c.Batch:
		return nil, fmt.Errorf("train: there are %d examples to train with, fewer than the %d of a batch; give more, or make the batch smaller", len(w.trains.index), c.Batch)
	}
	w.schedule = c.schedule(len(w.trains.index))
	w.adam = adam{decays: decays(r.Model, c.Decay), decay: c.Decay}
	w.held.batch = roomFor(w.data, held)
	w.trains.batch = roomFor(w.data, c.Batch)
	gather(&w.held.batch, w.data, w.held.index)
	return w, w.begin(0)
}

// sampleStream tells the seeds of samples from the order of the examples.
const sampleStream = 0x73616d706c657300

// begin prepares epoch e. Samples are drawn anew in every epoch, from the seed and
// its number.
func (w *worker) begin(e int) (err error) {
	if w.objective == nil {
		if w.objective, err = w.model.NewObjective(w.Objective); err != nil {
			return err
		}
	}
	w.objective.Reseed(rand.NewPCG(w.Seed, uint64(e)^sampleStream).Uint64())
	return nil
}

// epoch makes the steps of an epoch, and returns the mean of their losses.
func (w *worker) epoch(ctx context.Context, s *State) (loss float64, err error) {
	if err := w.begin(s.Epoch); err != nil {
		return 0, err
	}
	n := len(w.trains.index)
	order := permutation(w.Seed, uint64(s.Epoch), n)
	for i, k := range order {
		order[i] = w.trains.index[k]
	}
	for b := range w.perEpoch {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		k := s.Epoch*w.perEpoch + b
		// Batches that differ by an example at most.
		value, err := w.step(s, order[b*n/w.perEpoch:(b+1)*n/w.perEpoch], k)
		if err != nil {
			return 0, &LossError{Epoch: s.Epoch + 1, Step: b + 1, Rate: w.rate(k), Err: err}
		}
		loss += value / float64(w.perEpoch)
	}
	return loss, nil
}

// step makes step k, counted from 0, with the given examples, and returns its loss.
func (w *worker) step(s *State, examples []int, k int) (loss float64, err error) {
	gather(&w.trains.batch, w.data, examples)
	l, err := w.objective.Gradient(w.grad, s.Theta, w.trains.batch, bayes.Weights{Data: len(w.trains.index), KL: w.divergence(k)})
	if err == nil {
		err = finite(w.grad)
	}
	if err != nil {
		return 0, err
	}
	w.adam.update(s.Theta, w.grad, w.rate(k), k+1)
	return l.Value, nil
}

func finite(x []float64) error {
	for i, v := range x {
		if math.IsNaN(v - v) {
			return fmt.Errorf("derivative %d of the loss is %v", i, v)
		}
	}
	return nil
}

// validate keeps the parameters if they do better on the examples held out, and
// returns their score, NaN if there are none.
func (w *worker) validate(s *State) (float64, error) {
	if len(w.held.index) == 0 {
		return math.NaN(), nil
	}
	l, err := w.objective.Loss(s.Theta, w.held.batch, bayes.Weights{Data: 1})
	if err != nil {
		return 0, &LossError{Epoch: s.Epoch, Step: w.perEpoch, Rate: w.rate(s.Epoch*w.perEpoch - 1), Err: err}
	}
	if len(s.Best) == 0 || l.LogLikelihood > s.BestScore {
		s.Best, s.BestScore, s.BestEpoch = append(s.Best[:0], s.Theta...), l.LogLikelihood, s.Epoch
	}
	return l.LogLikelihood, nil
}

// permutation returns one of n, from the seed and the number of a stream.
func permutation(seed, stream uint64, n int) []int {
	return rand.New(rand.NewPCG(seed, stream)).Perm(n)
}
