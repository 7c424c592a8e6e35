package bayes

import (
	"fmt"
	"math"
	"math/rand/v2"

	"gonum.org/v1/gonum/blas/blas64"

	"github.com/covprop/covprop"
	"github.com/covprop/covprop/activation"
)

// Monte Carlo prediction draws all weights once for every sample, for all
// examples alike. Where the input is uncertain, two inputs meet every draw of the
// weights: the covariance of their outputs is what the weights cause.

// sample computes the moments of the outputs, and what weights cause of them.
func (p *Predictor) sample(r *Prediction, weights blas64.General, b *Batch) error {
	n, rows := p.model.network.outputs, b.X.Rows
	number, copies := p.opts.Samples, 1
	if number > maxPredicted/(rows*n) {
		return fmt.Errorf("bayes: %d samples of %d outputs for %d examples are more than %d numbers: predict fewer examples at once", number, n, rows, maxPredicted)
	}
	if b.InputVariance.Data != nil || b.InputCovariance.Data != nil {
		copies = 2
	}
	rng := rand.New(rand.NewPCG(p.opts.Seed, sampleStream))
	inputs := newSampler(p.model.network, rows, Options{Samples: copies}, rand.NewPCG(p.opts.Seed+1, sampleStream))
	drawn := make([]float64, p.model.network.size)
	r.samples = newMatrix(rows, number*n)
	other := newMatrix(rows, number*n) // of the second inputs
	for s := range number {
		p.draw(drawn, rng)
		inputs.setInput(b, 0, rows)
		y := inputs.plain(drawn)
		each := y.Rows / rows
		for i := range rows {
			copy(row(r.samples, i)[s*n:], row(y, i*each))
			copy(row(other, i)[s*n:], row(y, i*each+each-1))
		}
	}
	for i := range rows {
		x, y := row(r.samples, i), row(other, i)
		mean := row(r.Outputs, i)
		second := make([]float64, n)
		for k := range x {
			mean[k%n] += x[k] / float64(number)
			second[k%n] += y[k] / float64(number)
		}
		for s := range number {
			for j := range n {
				for k := range n {
					d, e := x[s*n+j]-mean[j], x[s*n+k]-mean[k]
					row(r.OutputCovariance, i)[j*n+k] += d * e / float64(number)
					e = y[s*n+k] - second[k]
					row(weights, i)[j*n+k] += d * e / float64(number)
				}
			}
		}
	}
	r.Accuracy = covprop.ApproximatedBy(1/math.Sqrt(float64(number)), "Monte Carlo")
	r.Density = r.Accuracy
	return nil
}

// maxPredicted bounds the numbers that samples of a prediction take, twice.
const maxPredicted = 1 << 26

// draw writes a sample of all weights to dst, the means' places.
func (p *Predictor) draw(dst []float64, rng *rand.Rand) {
	copy(dst, p.theta)
	for i := range p.model.network.steps {
		s := &p.model.network.steps[i]
		if l := &s.linear; s.kind == linearStep && l.uncertain {
			for _, t := range [...]struct{ mean, log, n int }{{l.weight, l.weightLog, s.out * s.in}, {l.bias, l.biasLog, s.out}} {
				for k := range t.n {
					dst[t.mean+k] += math.Exp(0.5*p.theta[t.log+k]) * rng.NormFloat64()
				}
			}
		}
	}
}

// plain computes the states for plain weights, and returns the last values.
func (p *sampler) plain(theta []float64) blas64.General {
	for i := range p.net.steps {
		s := &p.net.steps[i]
		in, out := &p.states[i], &p.states[i+1]
		p.setShared(out, in.shared)
		switch s.kind {
		case linearStep:
			mulTransTo(out.value, in.value, matrix(theta[s.linear.weight:], s.out, s.in, s.in), false)
			addRow(out.value, theta[s.linear.bias:][:s.out])
		case activationStep:
			for r := range in.value.Rows {
				activation.ApplyTo(s.act.Activation, row(out.value, r), row(in.value, r))
			}
		case enterStep:
			copyRows(out.value, in.value)
		case leaveStep:
			copyRows(out.value, in.value)
			p.addShared(out.value, &p.states[s.enter])
		}
	}
	return p.states[len(p.states)-1].value
}

// sampled returns the distribution of target t of example i: the mixture of those
// of the samples.
func (r *Prediction) sampled(i, t int) (d Distribution) {
	n := r.Outputs.Cols
	x := row(r.samples, i)
	number := len(x) / n
	w := 1 / float64(number)
	for s := range number {
		f := x[s*n:][:n]
		switch l := r.likelihood.(type) {
		case HeteroscedasticGaussian:
			d.add(w, f[t], math.Exp(f[l.Targets+t]))
		case Gaussian:
			d.add(w, f[t], math.Exp(r.noise[t]))
		case StudentT:
			d.addStudent(w, f[t], 0, math.Exp(r.noise[t]), l.DoF)
		}
	}
	return d
}

// meanNoise returns the mean of the noise's variance over the samples, output k
// being its logarithm.
func (r *Prediction) meanNoise(i, k int) (mean float64) {
	n := r.Outputs.Cols
	x := row(r.samples, i)
	for ; k < len(x); k += n {
		mean += math.Exp(x[k]) * float64(n) / float64(len(x))
	}
	return mean
}
