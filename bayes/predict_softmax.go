package bayes

import (
	"math"

	"github.com/covprop/covprop"
	"github.com/covprop/covprop/internal/qmc"
)

// Class probabilities of a softmax have no closed form: they are the means over
// scrambled Sobol' points, in two replicates whose difference is the estimate of
// the error. The part of the weights is the covariance of two draws that share
// what depends on the weights.

const (
	classPoints     = 512 // in a replicate
	classReplicates = 2
)

// splitClasses computes the row of example i.
func (r *Prediction) splitClasses(i int, l Softmax, weights []float64) {
	n := l.Classes
	f, cov := row(r.Outputs, i), row(r.OutputCovariance, i)
	factor := make([]float64, n*n)
	choleskyTo(factor, cov, n)
	mean, total, estimate := classMoments(f, factor, nil)
	part := total
	rest, uncertain := make([]float64, n*n), false
	for k, c := range cov {
		rest[k] = c - weights[k]
		uncertain = uncertain || math.Abs(rest[k]) > 1e-12*math.Abs(c)
	}
	if uncertain {
		own := make([]float64, n*n)
		choleskyTo(factor, weights, n)
		choleskyTo(own, rest, n)
		_, part, _ = classMoments(f, factor, own)
	}
	for k, m := range mean {
		r.setClass(i, k, m, 1-m, total[k], part[k])
	}
	r.Density = r.Density.And(covprop.ApproximatedBy(estimate, "quasi-Monte Carlo"))
}

// classMoments returns the means of the probabilities softmax(f + L z), z standard
// normal, their variances, and the difference of the replicates. With the factor own
// there are two draws p and q, L z + own z' and L z + own z”, and cov is that of p and
// q. The factors are (n, n) and lower triangular.
func classMoments(f, factor, own []float64) (mean, cov []float64, estimate float64) {
	n := len(f)
	dims := n
	if own != nil {
		dims = 3 * n
	}
	mean, cov = make([]float64, n), make([]float64, n)
	first, second := make([]float64, n), make([]float64, n)
	z := newMatrix(dims, classPoints)
	p, q, logits := make([]float64, n), make([]float64, n), make([]float64, n)
	for replicate := range classReplicates {
		points, err := qmc.New(qmc.Sobol, dims, 1, replicate)
		if err != nil {
			panic(err) // the arguments are valid
		}
		points.NormalTo(z, 0)
		for j := range classPoints {
			draw := func(dst []float64, block int) {
				for k := range logits {
					logits[k] = f[k]
					for m := range k + 1 {
						logits[k] += factor[k*n+m] * z.Data[m*z.Stride+j]
						if own != nil {
							logits[k] += own[k*n+m] * z.Data[(block*n+m)*z.Stride+j]
						}
					}
				}
				softmaxTo(dst, logits)
			}
			draw(p, 1)
			copy(q, p)
			if own != nil {
				draw(q, 2)
			}
			for k := range p {
				mean[k] += p[k]
				second[k] += q[k]
				cov[k] += p[k] * q[k]
			}
		}
		if replicate == 0 {
			copy(first, mean)
		}
	}
	const count = classPoints * classReplicates
	for k := range mean {
		estimate = max(estimate, math.Abs(2*first[k]-mean[k])/count)
		mean[k] /= count
		cov[k] = cov[k]/count - mean[k]*second[k]/count
	}
	return mean, cov, estimate
}

// softmaxTo writes exp(f_k)/sum exp(f).
func softmaxTo(dst, f []float64) {
	top, sum := math.Inf(-1), 0.
	for _, x := range f {
		top = max(top, x)
	}
	for k, x := range f {
		dst[k] = math.Exp(x - top)
		sum += dst[k]
	}
	for k := range dst {
		dst[k] /= sum
	}
}
