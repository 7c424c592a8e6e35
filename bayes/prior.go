package bayes

import (
	"fmt"
	"math"
)

// A Prior is that of the weights: independent N(0, s), with one variance s for
// each linear layer, weights and biases.
type Prior struct {
	// Variance is s; 0 means 1.
	Variance float64
	// Empirical says that s has an inverse gamma prior with Alpha and Beta, and is
	// chosen anew for every theta, where the objective is least. Variance is not
	// used then.
	Empirical   bool
	Alpha, Beta float64
}

func (p Prior) check() error {
	switch {
	case p.Empirical && !(p.Alpha > 0 && p.Beta > 0 && p.Alpha < 1e100 && p.Beta < 1e100):
		return fmt.Errorf("bayes: the inverse gamma prior takes positive alpha and beta, not %v and %v", p.Alpha, p.Beta)
	case !p.Empirical && !(p.Variance >= 0 && p.Variance < 1e100):
		return fmt.Errorf("bayes: the variance of the prior must be positive, not %v", p.Variance)
	}
	return nil
}

// cost returns, summed over the layers, the Kullback-Leibler divergence of the
// weights' distribution from the prior,
//
//	KL = 1/2 sum [ (V + M^2)/s - 1 + log s - log V ],
//
// and adds scale times its derivatives to grad, if that is not nil. A plain weight
// has no distribution: for it -log N(M; 0, s) counts, the first and third terms and
// log(2 pi)/2. An empirical s is where KL - log p(s) is least (Wu et al. 2019,
// section 3.4), for n weights
//
//	s = ( sum (V + M^2) + 2 beta ) / (n + 2 alpha + 2),   -log p(s) = (alpha+1) log s + beta/s - alpha log beta + log Gamma(alpha),
//
// and that -log p(s) counts too; by s itself there is no derivative there.
func (p Prior) cost(n *Network, theta, grad []float64, scale float64) (sum float64) {
	for i := range n.steps {
		s := &n.steps[i]
		if s.kind == linearStep {
			sum += p.layer(s, theta, grad, scale)
		}
	}
	return sum
}

func (p Prior) layer(s *step, theta, grad []float64, scale float64) (cost float64) {
	l, squares, logs := &s.linear, 0., 0.
	weights, biases := s.out*s.in, s.out
	for _, r := range [...]struct{ mean, log, n int }{{l.weight, l.weightLog, weights}, {l.bias, l.biasLog, biases}} {
		for _, m := range theta[r.mean:][:r.n] {
			squares += m * m
		}
		if l.uncertain {
			for _, v := range theta[r.log:][:r.n] {
				squares += math.Exp(v)
				logs += v
			}
		}
	}
	count := float64(weights + biases)
	variance := p.Variance
	switch {
	case p.Empirical:
		variance = (squares + 2*p.Beta) / (count + 2*p.Alpha + 2)
		gamma, _ := math.Lgamma(p.Alpha)
		cost = (p.Alpha+1)*math.Log(variance) + p.Beta/variance - p.Alpha*math.Log(p.Beta) + gamma
	case variance == 0:
		variance = 1
	}
	cost += 0.5 * (squares/variance + count*math.Log(variance))
	if l.uncertain {
		cost -= 0.5 * (count + logs)
	} else {
		cost += 0.5 * count * logTwoPi
	}
	if grad != nil {
		p.layerGradient(s, theta, grad, scale, 1/variance)
	}
	return cost
}

func (p Prior) layerGradient(s *step, theta, grad []float64, scale, inverse float64) {
	l := &s.linear
	for _, r := range [...]struct{ mean, log, n int }{{l.weight, l.weightLog, s.out * s.in}, {l.bias, l.biasLog, s.out}} {
		for k, m := range theta[r.mean:][:r.n] {
			grad[r.mean+k] += scale * inverse * m
		}
		if l.uncertain {
			for k, v := range theta[r.log:][:r.n] {
				grad[r.log+k] += scale * 0.5 * (inverse*math.Exp(v) - 1)
			}
		}
	}
}
