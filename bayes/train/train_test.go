package train

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"reflect"
	"testing"

	"gonum.org/v1/gonum/blas/blas64"

	"github.com/covprop/covprop/activation"
	"github.com/covprop/covprop/bayes"
)

// wave is y = sin(2 x_0) + x_1/2 and noise, with n examples.
func wave(n int) bayes.Batch {
	rng := rand.New(rand.NewPCG(1, 2))
	x, y := make([]float64, 2*n), make([]float64, n)
	for i := range y {
		x[2*i], x[2*i+1] = rng.NormFloat64(), rng.NormFloat64()
		y[i] = math.Sin(2*x[2*i]) + x[2*i+1]/2 + .1*rng.NormFloat64()
	}
	return bayes.Batch{X: rows(x, n), Y: rows(y, n)}
}

func rows(x []float64, n int) blas64.General {
	return blas64.General{Rows: n, Cols: len(x) / n, Stride: len(x) / n, Data: x}
}

func model(tb testing.TB, inputs int, l bayes.Likelihood, layers ...bayes.Layer) *bayes.Model {
	tb.Helper()
	n, err := bayes.New(inputs, layers...)
	if err != nil {
		tb.Fatal(err)
	}
	m, err := bayes.NewModel(n, l, bayes.Prior{})
	if err != nil {
		tb.Fatal(err)
	}
	return m
}

func waveModel(tb testing.TB) *bayes.Model {
	return model(tb, 2, bayes.HeteroscedasticGaussian{Targets: 1},
		bayes.Linear{Out: 12}, bayes.Activation{Activation: activation.ReLU()}, bayes.Linear{Out: 2})
}

// TestLinearPosterior: a linear model whose inputs are orthogonal has independent
// weights a posteriori. With n examples, inputs of square sum n, noise of variance
// v and a prior of variance 1 they have
//
//	V = 1/(n/v + 1),   M = V sum x y/v,
//
// and v, which has no prior, is the mean of the squared residuals' expectation.
// The divergence counts once for the whole data, not for each batch: with a mistake
// there V would be off by the number of batches.
func TestLinearPosterior(t *testing.T) {
	const n = 64
	rng := rand.New(rand.NewPCG(3, 4))
	x, y := make([]float64, 3*n), make([]float64, n)
	for i := range n {
		for j := range 3 { // columns of a Hadamard matrix, orthogonal to the bias, too
			x[3*i+j] = float64(1 - 2*(i>>j&1))
		}
		y[i] = .8*x[3*i] - .5*x[3*i+1] + .3 + .4*rng.NormFloat64()
	}
	m := model(t, 3, bayes.Gaussian{Targets: 1}, bayes.Linear{Out: 1})
	r := Run{Model: m, Data: bayes.Batch{X: rows(x, n), Y: rows(y, n)}, Config: Config{Batch: 16, Steps: 6000}}
	s, err := r.Train(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	// The means by least squares, shrunk; the noise by its own equation.
	var sums [4]float64
	squares := 0.
	for i := range n {
		for j := range 3 {
			sums[j] += x[3*i+j] * y[i]
		}
		sums[3] += y[i]
		squares += y[i] * y[i]
	}
	v := .2
	var mean [4]float64
	for range 200 {
		variance, rest := 1/(n/v+1), squares
		for j, sum := range sums {
			mean[j] = variance * sum / v
			rest += n*mean[j]*mean[j] - 2*mean[j]*sum + n*variance
		}
		v = rest / n
	}
	theta := map[string][]float64{}
	for _, p := range m.Parameters() {
		theta[p.Name] = s.Theta[p.Offset:][:p.Len]
	}
	means := append(append([]float64(nil), theta["0.weight.mean"]...), theta["0.bias.mean"]...)
	logs := append(append([]float64(nil), theta["0.weight.logvar"]...), theta["0.bias.logvar"]...)
	for j, want := range mean {
		if math.Abs(means[j]-want) > 1e-3 { // what minibatches leave at a rate that goes to 0
			t.Errorf("weight %d has the mean %v, want %v", j, means[j], want)
		}
		if want := 1 / (n/v + 1); math.Abs(math.Exp(logs[j])/want-1) > .01 {
			t.Errorf("weight %d has the variance %v, want %v", j, math.Exp(logs[j]), want)
		}
	}
	if got := math.Exp(theta["likelihood.logvar"][0]); math.Abs(got/v-1) > .01 {
		t.Errorf("the noise has the variance %v, want %v", got, v)
	}
}

// TestResume: a run that is interrupted and continued ends where one ends that was
// not, bit for bit, in the sampling mode, too.
func TestResume(t *testing.T) {
	for _, mode := range []bayes.Options{{}, {Mode: bayes.MonteCarlo, Samples: 3}} {
		run := func(r Run) *State {
			r.Model, r.Data = waveModel(t), wave(60)
			r.Config = Config{Objective: mode, Batch: 16, Epochs: 8, Validation: .2}
			s, err := r.Train(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			return s
		}
		var saved *State
		whole := run(Run{SaveEvery: 3, Save: func(s *State) error {
			if s.Epoch == 3 {
				saved = s.Clone()
			}
			return nil
		}})
		if saved == nil || saved.Epoch != 3 {
			t.Fatalf("%v: no state of epoch 3", mode.Mode)
		}
		if rest := run(Run{From: saved}); !reflect.DeepEqual(rest, whole) {
			t.Errorf("%v: a continued run ends elsewhere", mode.Mode)
		}
		if again := run(Run{}); !reflect.DeepEqual(again, whole) {
			t.Errorf("%v: a run does not repeat", mode.Mode)
		}
	}
}

// TestCancel: an interrupted run saves and returns the last whole epoch.
func TestCancel(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	var saved *State
	r := Run{Model: waveModel(t), Data: wave(64), Config: Config{Epochs: 50}, Save: func(s *State) error { saved = s.Clone(); return nil }}
	r.Progress = func(p Progress) {
		if p.Epoch == 4 {
			cancel()
		}
	}
	s, err := r.Train(ctx)
	if !errors.Is(err, context.Canceled) || s == nil || s.Epoch != 4 || !reflect.DeepEqual(saved, s) {
		t.Errorf("the error is %v, the state of epoch %+v", err, s)
	}
}

// TestLoss: a loss that is no number ends the run, and says where; what was reached
// before is returned.
func TestLoss(t *testing.T) {
	data := wave(64)
	for i := range data.Y.Data {
		data.Y.Data[i] *= 1e160
	}
	s, err := (&Run{Model: waveModel(t), Data: data}).Train(t.Context())
	var loss *LossError
	if !errors.As(err, &loss) || loss.Epoch != 1 || loss.Step != 1 || !(loss.Rate > 0) || s == nil || s.Epoch != 0 {
		t.Errorf("the error is %v, the state %+v", err, s)
	}
}

// TestStepAllocatesNothing, from the minibatch to the new parameters.
func TestStepAllocatesNothing(t *testing.T) {
	m := model(t, 2, bayes.HeteroscedasticGaussian{Targets: 1},
		bayes.Linear{Out: 12}, bayes.Activation{Activation: activation.ReLU()},
		bayes.Linear{Out: 12}, bayes.Activation{Activation: activation.ReLU()}, bayes.Linear{Out: 2})
	for _, mode := range []bayes.Mode{bayes.Exact, bayes.DVI, bayes.Diagonal, bayes.MonteCarlo} {
		r := Run{Model: m, Data: wave(64), Config: Config{Batch: 32, Objective: bayes.Options{Mode: mode, Beta: .5}}}
		c := r.WithDefaults()
		w, err := newWorker(&r, &c)
		if err != nil {
			t.Fatal(err)
		}
		s := newState(m, &c)
		w.adam.first, w.adam.second = s.First, s.Second
		k := 0
		if n := testing.AllocsPerRun(20, func() {
			if _, err := w.step(s, w.trains.index[:32], k); err != nil {
				t.Fatal(err)
			}
			k++
		}); n > 0 {
			t.Errorf("mode %v: %v allocations a step", mode, n)
		}
	}
}

// TestEarly: the best epoch is kept, and training ends when none has been better
// for too long. Pure noise is overfitted at once.
func TestEarly(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	data := wave(120)
	for i := range data.Y.Data {
		data.Y.Data[i] = rng.NormFloat64()
	}
	best, at, last := math.Inf(-1), 0, 0
	r := Run{Model: waveModel(t), Data: data, Config: Config{Epochs: 400, Validation: .3, Patience: 20, Rate: .03}, Progress: func(p Progress) {
		if last = p.Epoch; p.Validation > best {
			best, at = p.Validation, p.Epoch
		}
	}}
	s, err := r.Train(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if s.BestScore != best || s.BestEpoch != at || s.Epoch != at+20 || last != s.Epoch || last == 400 {
		t.Errorf("the best epoch is %d with %v, want %d with %v; it ended in %d", s.BestEpoch, s.BestScore, at, best, s.Epoch)
	}
	if reflect.DeepEqual(s.Chosen(), s.Theta) {
		t.Error("the last parameters are chosen")
	}
}

// TestAdam: with a constant gradient every step is the rate, whatever the
// gradient's size; only weights decay.
func TestAdam(t *testing.T) {
	m := waveModel(t)
	n := m.Size()
	a := adam{first: make([]float64, n), second: make([]float64, n), decays: decays(m, .1), decay: .1}
	theta, grad := make([]float64, n), make([]float64, n)
	weights := make([]bool, n)
	for _, p := range m.Parameters() {
		for i := range p.Len {
			weights[p.Offset+i] = p.Name == "0.weight.mean" || p.Name == "2.weight.mean"
		}
	}
	for i := range grad {
		grad[i] = math.Pow(10, float64(i%9-3)) * float64(1-2*(i%2))
	}
	want := make([]float64, n)
	for step := 1; step <= 5; step++ {
		a.update(theta, grad, .01, step)
		for i := range want {
			if weights[i] {
				want[i] *= 1 - .01*.1
			}
			want[i] -= math.Copysign(.01, grad[i])
			// epsilon is 1e-5 of the least gradient.
			if math.Abs(theta[i]-want[i]) > 2e-5*math.Abs(want[i]) {
				t.Fatalf("step %d: parameter %d is %v, want %v", step, i, theta[i], want[i])
			}
		}
	}
}

// TestSchedule: the rate rises to its maximum and falls to nearly 0; the weight of
// the divergence rises from 0 to 1.
func TestSchedule(t *testing.T) {
	c := Config{Steps: 1000, Batch: 10, Rise: .1, Anneal: .5}.WithDefaults()
	s := c.schedule(95) // ten batches an epoch
	if s.perEpoch != 10 || s.epochs != 100 || s.steps != 1000 {
		t.Fatalf("the schedule is %+v", s)
	}
	for k, want := range map[int]float64{0: .00005, 50: .00505, 99: .00995, 550: .005, 999: 0} {
		if got := s.rate(k); math.Abs(got-want) > 2e-5 {
			t.Errorf("the rate of step %d is %v, want %v", k, got, want)
		}
	}
	for k, want := range map[int]float64{0: 0, 250: .5, 500: 1, 999: 1} {
		if got := s.divergence(k); got != want {
			t.Errorf("the divergence's weight in step %d is %v, want %v", k, got, want)
		}
	}
}

// TestRefuses: what cannot be trained is an error, not a panic.
func TestRefuses(t *testing.T) {
	good := func() Run { return Run{Model: waveModel(t), Data: wave(64), Config: Config{Epochs: 1}} }
	for what, spoil := range map[string]func(*Run){
		"no model":         func(r *Run) { r.Model = nil },
		"few examples":     func(r *Run) { r.Batch = 65 },
		"negative batch":   func(r *Run) { r.Batch = -1 },
		"epochs and steps": func(r *Run) { r.Steps = 5 },
		"the rate":         func(r *Run) { r.Rate = math.NaN() },
		"the rise":         func(r *Run) { r.Rise = 1 },
		"annealing":        func(r *Run) { r.Anneal = 2 },
		"decay":            func(r *Run) { r.Decay = -1 },
		"validation":       func(r *Run) { r.Validation = 1 },
		"none held out":    func(r *Run) { r.Validation = .001 },
		"patience":         func(r *Run) { r.Patience = -1 },
		"another's state":  func(r *Run) { r.From = &State{Theta: []float64{1}} },
		"a later state":    func(r *Run) { r.From = newState(r.Model, &Config{Seed: 1}); r.From.Epoch = 2 },
		"missing targets":  func(r *Run) { r.Data.Y = blas64.General{} },
		"few targets":      func(r *Run) { r.Data.Y.Rows = 20 },
		"no number":        func(r *Run) { r.Data.X.Data[5] = math.NaN() },
		"few variances":    func(r *Run) { r.Data.InputVariance = rows(make([]float64, 20), 10) },
		"the mode":         func(r *Run) { r.Objective.Mode = 99 },
	} {
		r := good()
		spoil(&r)
		if _, err := r.Train(t.Context()); err == nil {
			t.Errorf("%s: no error", what)
		}
	}
	r := good()
	if _, err := r.Train(t.Context()); err != nil {
		t.Error(err)
	}
}
