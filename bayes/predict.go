package bayes

import (
	"fmt"
	"math"

	"gonum.org/v1/gonum/blas/blas64"

	"github.com/covprop/covprop"
	"github.com/covprop/covprop/internal/special"
)

// A Predictor predicts with given parameters. It holds scratch and is not safe for
// concurrent use; several may share a model.
type Predictor struct {
	model       *Model
	theta       []float64
	opts        Options
	pass, share *pass
}

// NewPredictor returns a Predictor. theta is copied. Without a tolerance it cuts
// off 1e-9; MonteCarlo draws weights.
func (m *Model) NewPredictor(theta []float64, o Options) (*Predictor, error) {
	if err := o.check(m.network); err != nil {
		return nil, err
	}
	if err := m.checkTheta(theta); err != nil {
		return nil, err
	}
	if o.Tol == 0 {
		o.Tol = predictionTol
	}
	if o.Samples == 0 {
		o.Samples = defaultSamples
	}
	return &Predictor{model: m, theta: append([]float64(nil), theta...), opts: o}, nil
}

// A Prediction is that of some examples. Its columns are the targets or, with
// [Softmax], the probabilities of the classes; with [Probit], that of y = 1.
type Prediction struct {
	// Mean and Variance are those of the targets, (B, columns), and the variance is
	// the sum of three parts by the law of total variance:
	//
	//	Noise = E Var(y | input, weights)             aleatoric
	//	Input = E Var(E[y | input, weights] | weights)  what the uncertain input does
	//	Weight = Var E[y | weights]                    epistemic
	//
	// Interactions of inputs and weights count as Input. For classes y is the
	// indicator of the class. The variance is infinite for StudentT with two degrees of
	// freedom or fewer, and so is Noise.
	Mean, Variance, Noise, Input, Weight blas64.General
	// Outputs are the moments of the network's outputs: means (B, outputs), and
	// covariances (B, outputs^2).
	Outputs, OutputCovariance blas64.General
	// Accuracy is that of the outputs' moments, and Density that of what takes the
	// outputs as Gaussian: distributions, densities and probabilities, and Noise where
	// it differs from example to example.
	Accuracy, Density covprop.Accuracy

	likelihood Likelihood
	noise      []float64
	// Of MonteCarlo, otherwise empty: samples (B, samples outputs), and those with the
	// same weights and other inputs.
	samples, others blas64.General
	members         []*Prediction // of [Mix]
}

// Predict predicts the targets of the examples of b, whose Y it does not read.
func (p *Predictor) Predict(b Batch) (*Prediction, error) {
	if err := b.check(p.model, false, new([]float64)); err != nil {
		return nil, err
	}
	m := p.model
	rows, outputs, columns := b.X.Rows, m.network.outputs, m.columns()
	r := &Prediction{
		Mean: newMatrix(rows, columns), Variance: newMatrix(rows, columns), Noise: newMatrix(rows, columns),
		Input: newMatrix(rows, columns), Weight: newMatrix(rows, columns),
		Outputs: newMatrix(rows, outputs), OutputCovariance: newMatrix(rows, outputs*outputs),
		likelihood: m.likelihood, noise: p.theta[m.network.size:],
	}
	weights := newMatrix(rows, outputs*outputs)
	var err error
	if p.opts.Mode == MonteCarlo {
		err = p.sample(r, weights, &b)
	} else {
		err = p.propagate(r, weights, &b)
	}
	if err != nil {
		return nil, err
	}
	for i := range rows {
		if err := finiteOutputs(row(r.Outputs, i), row(r.OutputCovariance, i)); err != nil {
			return nil, fmt.Errorf("bayes: row %d: %w", i, err)
		}
		r.split(i, row(weights, i))
	}
	return r, nil
}

// finiteOutputs returns an error if a moment of the outputs is no finite number.
func finiteOutputs(mean, cov []float64) error {
	for k, m := range mean {
		if v := cov[k*(len(mean)+1)]; math.IsNaN(m-m) || math.IsNaN(v-v) {
			return fmt.Errorf("output %d overflows: it has the mean %v and the variance %v", k, m, v)
		}
	}
	return nil
}

func newMatrix(rows, cols int) blas64.General {
	return matrix(make([]float64, rows*cols), rows, cols, cols)
}

// columns is the number of columns of a Prediction.
func (m *Model) columns() int {
	if l, ok := m.likelihood.(Softmax); ok {
		return l.Classes
	}
	return m.Targets()
}

// propagate computes the moments of the outputs and, into weights, the part of
// their covariances that weights cause.
func (p *Predictor) propagate(r *Prediction, weights blas64.General, b *Batch) error {
	n := p.model.network
	uncertain := b.InputVariance.Data != nil || b.InputCovariance.Data != nil
	if p.pass == nil {
		rows := passRows(n, true)
		p.pass, p.share = newPass(n, p.opts, rows), newPass(n, p.opts, rows)
		p.pass.setTheta(p.theta)
		p.share.setTheta(p.theta)
	}
	p.pass.keepSeries = uncertain
	for lo := 0; lo < b.X.Rows; lo += p.pass.rows {
		hi := min(b.X.Rows, lo+p.pass.rows)
		p.pass.setInput(b, lo, hi)
		if err := p.pass.forward(); err != nil {
			return err
		}
		acc, part := p.pass.acc, p.pass
		if uncertain {
			p.share.shareForward(p.pass, b, lo, hi)
			acc, part = p.share.acc, p.share
		}
		r.Accuracy, r.Density = r.Accuracy.And(acc), r.Density.And(acc).And(p.pass.outputAccuracy())
		for i := range hi - lo {
			copy(row(r.Outputs, lo+i), row(p.pass.output().mean, i))
			p.pass.output().copyCov(row(r.OutputCovariance, lo+i), i)
			part.output().copyCov(row(weights, lo+i), i)
		}
	}
	return nil
}

// copyCov writes the covariance of row i to dst, (n, n), exactly symmetric.
func (s *state) copyCov(dst []float64, i int) {
	clear(dst)
	switch s.form {
	case diagonal:
		for j, v := range row(s.variance, i) {
			dst[j*(s.n+1)] = v
		}
	case full:
		c := s.covOf(s.cov, i)
		for j := range s.n {
			for k, x := range row(c, j)[:j+1] {
				dst[j*s.n+k], dst[k*s.n+j] = x, x
			}
		}
	}
}

// split computes the moments of the targets of example i, and the parts of the
// variances. weights, (outputs, outputs), is that of the outputs' covariance.
func (r *Prediction) split(i int, weights []float64) {
	f, cov := row(r.Outputs, i), row(r.OutputCovariance, i)
	n := len(f)
	switch l := r.likelihood.(type) {
	case Softmax, Probit:
		if r.samples.Data != nil {
			r.splitSampledClasses(i)
			return
		}
		if l, ok := l.(Softmax); ok {
			r.splitClasses(i, l, weights)
			return
		}
		// P = Phi(u); two outputs that share their weights have the correlation
		// S_w/(1+S), and the covariance of their probabilities is Phi2 - Phi Phi.
		s := cov[0]
		u := f[0] / math.Sqrt(1+s)
		r.setClass(i, 0, special.CDF(u), special.CDF(-u),
			special.BivariateExcess(u, u, s/(1+s)), special.BivariateExcess(u, u, min(weights[0], s)/(1+s)))
		return
	}
	for t := range row(r.Mean, i) {
		mean, total, weight, noise := f[t], cov[t*(n+1)], weights[t*(n+1)], 0.
		switch l := r.likelihood.(type) {
		case HeteroscedasticGaussian:
			k := l.Targets + t
			noise = math.Exp(f[k] + 0.5*cov[k*(n+1)])
			if r.samples.Data != nil {
				noise = r.meanNoise(i, k)
			}
		case Gaussian:
			noise = math.Exp(r.noise[t])
		case StudentT:
			noise = math.Inf(1)
			if l.DoF > 2 {
				noise = math.Exp(r.noise[t]) * l.DoF / (l.DoF - 2)
			}
		}
		r.Mean.Data[i*r.Mean.Stride+t] = mean
		r.Weight.Data[i*r.Weight.Stride+t] = weight
		r.Input.Data[i*r.Input.Stride+t] = total - weight
		r.Noise.Data[i*r.Noise.Stride+t] = noise
		r.Variance.Data[i*r.Variance.Stride+t] = total + noise
	}
}

// Distribution returns that of target t of example i. Classes have none.
func (r *Prediction) Distribution(i, t int) Distribution {
	var d Distribution
	for _, m := range r.members {
		part := m.Distribution(i, t)
		for k, w := range part.Weight {
			d.add(w/float64(len(r.members)), part.Mean[k], part.Variance[k])
		}
	}
	if r.members != nil {
		return d
	}
	f, cov := row(r.Outputs, i), row(r.OutputCovariance, i)
	n := len(f)
	at := func(i, j int) float64 { return cov[i*n+j] }
	if r.samples.Data != nil {
		return r.sampled(i, t)
	}
	switch l := r.likelihood.(type) {
	case HeteroscedasticGaussian:
		k := l.Targets + t
		d.addHeteroscedastic(1, f[t], f[k], at(t, t), at(t, k), at(k, k))
	case Gaussian:
		d.add(1, f[t], at(t, t)+math.Exp(r.noise[t]))
	case StudentT:
		d.addStudent(1, f[t], at(t, t), math.Exp(r.noise[t]), l.DoF)
	}
	return d
}

// Probabilities returns the probabilities of the classes, or of 0 and 1; nil
// where the likelihood has none.
func (r *Prediction) Probabilities(i int) []float64 {
	switch r.likelihood.(type) {
	case Probit:
		if r.members == nil && r.samples.Data == nil { // right in both tails
			u := row(r.Outputs, i)[0] / math.Sqrt(1+row(r.OutputCovariance, i)[0])
			return []float64{special.CDF(-u), special.CDF(u)}
		}
		p := make([]float64, 2)
		for _, m := range r.members {
			for k, x := range m.Probabilities(i) {
				p[k] += x / float64(len(r.members))
			}
		}
		for _, f := range row(r.samples, i) {
			p[0] += special.CDF(-f) / float64(r.samples.Cols)
			p[1] += special.CDF(f) / float64(r.samples.Cols)
		}
		return p
	case Softmax:
		return append([]float64(nil), row(r.Mean, i)...)
	}
	return nil
}

// LogDensity returns the log predictive density of the targets y of example i,
// or the log probability of the class: the weights, and the input if it is
// uncertain, are integrated out. It sums over the targets, as if those were
// independent. It is NaN for what cannot be a target.
func (r *Prediction) LogDensity(i int, y []float64) (sum float64) {
	if len(y) != r.likelihood.targets() || r.likelihood.checkTarget(y) != nil {
		return math.NaN()
	}
	if r.members != nil {
		return r.meanDensity(func(m *Prediction) float64 { return m.LogDensity(i, y) })
	}
	if _, ok := r.likelihood.(Probit); ok && r.samples.Data == nil {
		return special.LogCDF((2*y[0] - 1) * row(r.Outputs, i)[0] / math.Sqrt(1+row(r.OutputCovariance, i)[0]))
	}
	if p := r.Probabilities(i); p != nil {
		return math.Log(p[int(y[0])])
	}
	for t, target := range y {
		d := r.Distribution(i, t)
		sum += d.LogDensity(target)
	}
	return sum
}

// PlugIn is the log density with the outputs' means in place of the outputs, as
// if they were certain. It overstates what is known, and is for comparison. It is NaN
// for what cannot be a target.
func (r *Prediction) PlugIn(i int, y []float64) float64 {
	if len(y) != r.likelihood.targets() || r.likelihood.checkTarget(y) != nil {
		return math.NaN()
	}
	if r.members != nil {
		return r.meanDensity(func(m *Prediction) float64 { return m.PlugIn(i, y) })
	}
	f := row(r.Outputs, i)
	return r.likelihood.pointwise(make([]float64, len(f)), make([]float64, len(r.noise)), f, y, r.noise, 0)
}
