package train

import (
	"math"

	"github.com/covprop/covprop/bayes"
)

// adam is the rule of Adam (Kingma & Ba 2015), with m and v the running means of
// the gradient g and of its square,
//
//	theta -= rate (m/(1-b1^t)) / (sqrt(v/(1-b2^t)) + epsilon),
//
// and decoupled weight decay where decays says so (Loshchilov & Hutter 2019).
type adam struct {
	first, second []float64 // m and v
	decays        []bool    // by parameter
	decay         float64
}

const (
	beta1   = 0.9
	beta2   = 0.999
	epsilon = 1e-8
)

// update makes step t, counted from 1.
func (a *adam) update(theta, grad []float64, rate float64, t int) {
	c1, c2 := 1-math.Pow(beta1, float64(t)), 1-math.Pow(beta2, float64(t))
	for i, g := range grad {
		m := beta1*a.first[i] + (1-beta1)*g
		v := beta2*a.second[i] + (1-beta2)*g*g
		a.first[i], a.second[i] = m, v
		if a.decays[i] {
			theta[i] -= rate * a.decay * theta[i]
		}
		theta[i] -= rate * (m / c1) / (math.Sqrt(v/c2) + epsilon)
	}
}

// decays marks the means of weights: not biases, variances or the noise.
func decays(m *bayes.Model, decay float64) []bool {
	d := make([]bool, m.Size())
	for _, p := range m.Parameters() {
		for i := range p.Len {
			d[p.Offset+i] = decay > 0 && p.Role == bayes.Mean && len(p.Shape) == 2
		}
	}
	return d
}
