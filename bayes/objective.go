package bayes

import (
	"fmt"
	"math"

	"github.com/covprop/covprop"
)

// An Objective computes the loss of a model, the negative evidence lower bound
// (ELBO), and its gradient. It holds scratch and is not safe for concurrent use;
// several may share a model.
type Objective struct {
	model *Model
	opts  Options
	pass  *pass
	mc    *sampler
	out   moments
	spare []float64
	space []float64 // of Batch.check
	// weights sums the weights of examples by their noise, of which there are terms.
	weights float64
	terms   int
}

// Weights say how the terms of the loss are weighed.
type Weights struct {
	// Data is N, the number of examples in the whole data set, which the
	// divergence is divided by: not that in the batch.
	Data int
	// KL multiplies the divergence: 1, or less while it is annealed.
	KL float64
}

// A Loss is the loss of a batch,
//
//	Value = -LogLikelihood + Weights.KL KL/N.
type Loss struct {
	Value float64
	// LogLikelihood is the mean over the batch of E log p(y | x, weights).
	LogLikelihood float64
	// KL is the divergence of the weights from the prior, see [Prior].
	KL float64
	// Accuracy is that of LogLikelihood and of its derivatives, given the model.
	Accuracy covprop.Accuracy
}

// NewObjective returns an Objective. Without a tolerance it cuts off 1e-6.
func (m *Model) NewObjective(o Options) (*Objective, error) {
	if err := o.check(m.network); err != nil {
		return nil, err
	}
	if _, ok := m.likelihood.(noisy); o.Beta > 0 && !ok {
		return nil, fmt.Errorf("bayes: examples are weighed by their noise (beta %v) only where it differs, not with the likelihood %s", o.Beta, m.likelihood.Name())
	}
	if o.Mode == MonteCarlo {
		for i := range m.network.steps {
			if s := &m.network.steps[i]; s.kind == activationStep && s.act.jumps() {
				return nil, fmt.Errorf("bayes: samples have no derivative where %s jumps: the mode montecarlo cannot train it, the mode exact can", s.act.Name())
			}
		}
	}
	if o.Tol == 0 {
		o.Tol = trainingTol
	}
	if o.Samples == 0 {
		o.Samples = defaultSamples
	}
	return &Objective{model: m, opts: o}, nil
}

// Gradient writes the derivatives of Loss.Value by theta to grad, and returns the
// loss. With Options.Beta the examples' parts of the derivatives are weighed, those of
// Value are not. From the second call on, with batches no larger than before, it allocates
// nothing; but activations other than piecewise linear and smooth ones (ELU, say,
// whose second derivative jumps) are left to the adaptive quadrature of package
// activation, and pairs of units that are so highly correlated that they are
// integrated one by one are, unless piecewise linear.
func (o *Objective) Gradient(grad, theta []float64, b Batch, w Weights) (Loss, error) {
	if len(grad) != o.model.Size() {
		return Loss{}, fmt.Errorf("bayes: room for %d derivatives, but the model has %d parameters", len(grad), o.model.Size())
	}
	return o.run(grad, theta, &b, w)
}

// Loss returns the loss alone.
func (o *Objective) Loss(theta []float64, b Batch, w Weights) (Loss, error) {
	return o.run(nil, theta, &b, w)
}

func (o *Objective) run(grad, theta []float64, b *Batch, w Weights) (l Loss, err error) {
	m := o.model
	if err := m.checkTheta(theta); err != nil {
		return l, err
	}
	if err := b.check(m, true, &o.space); err != nil {
		return l, err
	}
	if w.Data < 1 || !(w.KL >= 0 && w.KL <= math.MaxFloat64) {
		return l, fmt.Errorf("bayes: the loss needs the size of the data set (%d), from 1 on, and a weight of the divergence (%v), from 0 on", w.Data, w.KL)
	}
	clear(grad)
	o.weights, o.terms = 0, 0
	if o.opts.Mode == MonteCarlo {
		err = o.sample(&l, grad, theta, b)
	} else {
		err = o.propagate(&l, grad, theta, b)
	}
	if o.opts.Beta > 0 {
		for i := range grad {
			grad[i] *= float64(o.terms) / o.weights
		}
	}
	scale := w.KL / float64(w.Data)
	l.KL = m.prior.cost(m.network, theta, grad, scale)
	l.Value = -l.LogLikelihood + scale*l.KL
	if err == nil && (math.IsNaN(l.Value) || math.IsInf(l.Value, 0)) {
		err = fmt.Errorf("bayes: the loss is %v: log likelihood %v, divergence %v", l.Value, l.LogLikelihood, l.KL)
	}
	return l, err
}

// passFloats is about the number of float64 of scratch with which a pass stays in
// the cache of a core.
const passFloats = 1 << 18

// passRows returns how many examples go through n at once.
func passRows(n *Network, wide bool) int {
	floats := 0
	for i := range n.steps {
		s := &n.steps[i]
		floats += 8 * roundUp(s.out)
		if s.kind == activationStep && (wide || i > 2) {
			floats += s.out * (4*roundUp(s.out) + pairOrder)
		}
	}
	return max(8, min(256, passFloats/floats))
}

// propagate computes the expected log likelihood by moments, and its gradient,
// some examples after the other.
func (o *Objective) propagate(l *Loss, grad, theta []float64, b *Batch) error {
	m := o.model
	p := o.ready(b)
	p.setTheta(theta)
	noise := theta[m.network.size:]
	o.setNoise(grad)
	each := 1 / float64(b.X.Rows)
	for lo := 0; lo < b.X.Rows; lo += p.rows {
		hi := min(b.X.Rows, lo+p.rows)
		p.setInput(b, lo, hi)
		if err := p.forward(); err != nil {
			return err
		}
		l.Accuracy = l.Accuracy.And(p.acc)
		if !m.likelihood.secondMoments() {
			l.Accuracy = l.Accuracy.And(p.outputAccuracy())
		}
		out := p.seed()
		for i := range p.used {
			o.out.view(out, i)
			v, acc := m.likelihood.expected(&o.out, row(b.Y, lo+i), noise, -each)
			l.LogLikelihood += each * v
			l.Accuracy = l.Accuracy.And(acc)
			o.weigh(o.out.mean, o.out.gradMean, o.out.gradCov)
		}
		if grad != nil {
			p.backward(grad)
		}
	}
	if grad != nil {
		finish(m.network, p.cache, grad)
	}
	return nil
}

// weigh multiplies derivatives of an example's log likelihood by the weight of
// Options.Beta, which is divided by the mean weight later. f are the outputs.
func (o *Objective) weigh(f []float64, derivatives ...[]float64) {
	if o.opts.Beta == 0 {
		return
	}
	w := math.Exp(o.opts.Beta * o.model.likelihood.(noisy).logNoise(f))
	o.weights += w
	o.terms++
	for _, d := range derivatives {
		for i := range d {
			d[i] *= w
		}
	}
}

// ready returns the pass for b.
func (o *Objective) ready(b *Batch) *pass {
	rows := min(b.X.Rows, passRows(o.model.network, b.InputVariance.Data != nil || b.InputCovariance.Data != nil))
	if o.pass == nil || o.pass.rows < rows {
		o.pass = newPass(o.model.network, o.opts, rows)
	}
	return o.pass
}

// setNoise provides room for the derivatives by the likelihood's parameters: in
// grad, if there is one.
func (o *Objective) setNoise(grad []float64) {
	if grad != nil {
		o.out.gradNoise = grad[o.model.network.size:]
	} else {
		o.spare = resize(o.spare, o.model.likelihood.noises())
		o.out.gradNoise = o.spare
	}
}

// view makes m the moments of row i of s.
func (m *moments) view(s *state, i int) {
	m.n, m.ld, m.dense = s.n, s.ld, s.form == full
	m.mean, m.gradMean = row(s.mean, i), row(s.gradMean, i)
	switch s.form {
	case certain:
		m.cov, m.gradCov = nil, nil
	case diagonal:
		m.cov, m.gradCov = row(s.variance, i), row(s.gradVariance, i)
	case full:
		size := s.n * s.ld
		m.cov, m.gradCov = s.cov[i*size:][:size], s.gradCov[i*size:][:size]
	}
}
