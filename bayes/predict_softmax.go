package bayes

import (
	"math"

	"gonum.org/v1/gonum/blas/blas64"

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
	mean := row(r.Mean, i)
	shared, own := make([]float64, n*n), make([]float64, n*n)
	rest := make([]float64, n*n)
	uncertain := false
	for k, c := range cov {
		rest[k] = c - weights[k]
		uncertain = uncertain || math.Abs(rest[k]) > 1e-12*math.Abs(c)
	}
	choleskyTo(shared, weights, n)
	dims := n
	if uncertain {
		choleskyTo(own, rest, n)
		dims = 3 * n
	}
	total, part, first := make([]float64, n), make([]float64, n), make([]float64, n)
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
						logits[k] += shared[k*n+m] * z.Data[m*z.Stride+j]
						if uncertain {
							logits[k] += own[k*n+m] * z.Data[(block*n+m)*z.Stride+j]
						}
					}
				}
				softmaxTo(dst, logits)
			}
			draw(p, 1)
			copy(q, p)
			if uncertain {
				draw(q, 2)
			}
			for k := range p {
				mean[k] += p[k]
				total[k] += p[k] * p[k]
				part[k] += p[k] * q[k]
			}
		}
		if replicate == 0 {
			copy(first, mean)
		}
	}
	const count = classPoints * classReplicates
	estimate := 0.
	for k := range mean {
		estimate = max(estimate, math.Abs(2*first[k]-mean[k])/count)
		m := mean[k] / count
		mean[k] = m
		whole, weight := total[k]/count-m*m, part[k]/count-m*m
		set := func(dst blas64.General, x float64) { dst.Data[i*dst.Stride+k] = x }
		set(r.Weight, weight)
		set(r.Input, whole-weight)
		set(r.Noise, m*(1-m)-whole)
		set(r.Variance, m*(1-m))
	}
	r.Density = r.Density.And(covprop.ApproximatedBy(estimate, "quasi-Monte Carlo"))
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
