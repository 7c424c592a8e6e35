package bayes

import (
	"fmt"
	"math"
	"math/rand/v2"

	"gonum.org/v1/gonum/blas/blas64"

	"github.com/covprop/covprop"
	"github.com/covprop/covprop/activation"
	"github.com/covprop/covprop/internal/special"
)

// Monte Carlo prediction draws all weights once for every sample, for all
// examples alike. Where the input is uncertain, two inputs meet every draw of the
// weights: the covariance of their outputs is what the weights cause.

// sample computes the moments of the outputs, and what weights cause of them.
func (p *Predictor) sample(r *Prediction, weights blas64.General, b *Batch) error {
	n, rows := p.model.network.outputs, b.X.Rows
	number, copies := p.opts.Samples, 1
	if number < 2 {
		return fmt.Errorf("bayes: a prediction takes at least 2 samples, not %d", number)
	}
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
	r.others = newMatrix(rows, number*n) // of the second inputs
	for s := range number {
		p.draw(drawn, rng)
		inputs.setInput(b, 0, rows)
		y := inputs.plain(drawn)
		each := y.Rows / rows
		for i := range rows {
			copy(row(r.samples, i)[s*n:], row(y, i*each))
			copy(row(r.others, i)[s*n:], row(y, i*each+each-1))
		}
	}
	for i := range rows {
		pairedMoments(row(r.Outputs, i), row(r.OutputCovariance, i), row(weights, i), row(r.samples, i), row(r.others, i))
	}
	r.Accuracy = covprop.ApproximatedBy(1/math.Sqrt(float64(number)), "Monte Carlo")
	r.Density = r.Accuracy
	return nil
}

// pairedMoments writes mean and covariance, (n) and (n, n), of samples x, and what
// weights cause of the covariance, given samples y with other inputs and the same
// weights. The estimates are unbiased: over S samples
//
//	Cov = sum (x - m)(x - m)' / (S - 1),   inputs' part = sum (x - y)(x - y)' / (2 S),
//
// and the weights' is what is left, which may be negative by chance.
func pairedMoments(mean, cov, weights, x, y []float64) {
	n := len(mean)
	number := float64(len(x) / n)
	for k, v := range x {
		mean[k%n] += v / number
	}
	for s := 0; s < len(x); s += n {
		for j := range n {
			for k := range n {
				cov[j*n+k] += (x[s+j] - mean[j]) * (x[s+k] - mean[k]) / (number - 1)
				weights[j*n+k] -= 0.5 * (x[s+j] - y[s+j]) * (x[s+k] - y[s+k]) / number
			}
		}
	}
	for k, c := range cov {
		weights[k] += c
	}
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

// splitSampledClasses computes the row of example i for classes: probabilities are
// means over the samples, and the parts of the variances those of the samples'
// probabilities.
func (r *Prediction) splitSampledClasses(i int) {
	columns, n := r.Mean.Cols, r.Outputs.Cols
	number := len(row(r.samples, i)) / n
	p, q := make([]float64, number*columns), make([]float64, number*columns)
	for s := range number {
		classesTo(p[s*columns:][:columns], row(r.samples, i)[s*n:][:n])
		classesTo(q[s*columns:][:columns], row(r.others, i)[s*n:][:n])
	}
	mean, cov, weights := make([]float64, columns), make([]float64, columns*columns), make([]float64, columns*columns)
	pairedMoments(mean, cov, weights, p, q)
	for k, m := range mean {
		total, weight := cov[k*(columns+1)], weights[k*(columns+1)]
		r.setClass(i, k, m, 1-m, total, weight)
	}
}

// classesTo writes the probabilities that outputs f stand for: that of y = 1 for one
// output, else those of all classes.
func classesTo(dst, f []float64) {
	if len(f) == 1 {
		dst[0] = special.CDF(f[0])
		return
	}
	softmaxTo(dst, f)
}

// setClass sets column k of example i: a probability p = 1 - rest, its variance and
// what weights cause of that.
func (r *Prediction) setClass(i, k int, p, rest, total, weight float64) {
	row(r.Mean, i)[k] = p
	row(r.Weight, i)[k] = weight
	row(r.Input, i)[k] = total - weight
	row(r.Noise, i)[k] = p*rest - total
	row(r.Variance, i)[k] = p * rest
}
