package bayes

import (
	"math"
	"math/rand/v2"
)

// A Role says what a parameter is.
type Role int

const (
	// Mean is the mean of a weight, or a plain weight.
	Mean Role = iota
	// LogVariance is the logarithm of a weight's variance.
	LogVariance
	// Noise is a parameter of the likelihood.
	Noise
)

// A Parameter is a tensor within theta: elements Offset to Offset+Len-1, row by
// row.
type Parameter struct {
	Name        string // such as "0.weight.mean"
	Shape       []int  // (out, in) or (out)
	Offset, Len int
	Role        Role
}

// parameter appends a parameter and returns its offset.
func (n *Network) parameter(name string, r Role, shape ...int) int {
	p := Parameter{Name: name, Shape: shape, Offset: n.size, Len: 1, Role: r}
	for _, d := range shape {
		p.Len *= d
	}
	n.parameters = append(n.parameters, p)
	n.size += p.Len
	return p.Offset
}

// initialShare is the variance of a weight in the beginning, relative to the
// variance over which He et al. spread the means: small enough that the first
// steps see the means, and large enough to have a gradient.
const initialShare = 1e-2

// initialise writes means as He et al. (2015, DOI 10.1109/ICCV.2015.123) have
// them, N(0, 2/in), biases 0, and variances initialShare 2/in.
func (n *Network) initialise(theta []float64, rng *rand.Rand) {
	for i := range n.steps {
		s := &n.steps[i]
		if s.kind != linearStep {
			continue
		}
		l, spread := &s.linear, 2/float64(s.in)
		for k := range s.out * s.in {
			theta[l.weight+k] = math.Sqrt(spread) * rng.NormFloat64()
		}
		clear(theta[l.bias : l.bias+s.out])
		if !l.uncertain {
			continue
		}
		for k := range s.out * s.in {
			theta[l.weightLog+k] = math.Log(initialShare * spread)
		}
		for k := range s.out {
			theta[l.biasLog+k] = math.Log(initialShare * spread)
		}
	}
}
