package bayes

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
)

// A Model is a network with a likelihood and a prior. It is immutable and safe
// for concurrent use.
type Model struct {
	network    *Network
	likelihood Likelihood
	prior      Prior
}

// NewModel returns the model. The network must have as many outputs as the
// likelihood takes.
func NewModel(n *Network, l Likelihood, p Prior) (*Model, error) {
	if n == nil || l == nil {
		return nil, fmt.Errorf("bayes: a model needs a network and a likelihood")
	}
	if err := l.check(); err != nil {
		return nil, err
	}
	if err := p.check(); err != nil {
		return nil, err
	}
	if n.outputs != l.outputs() {
		return nil, fmt.Errorf("bayes: the network has %d outputs, but the likelihood %s takes %d", n.outputs, l.Name(), l.outputs())
	}
	return &Model{network: n, likelihood: l, prior: p}, nil
}

// Network returns the network.
func (m *Model) Network() *Network { return m.network }

// Likelihood returns the likelihood.
func (m *Model) Likelihood() Likelihood { return m.likelihood }

// Prior returns the prior.
func (m *Model) Prior() Prior { return m.prior }

// Targets returns the number of targets of an example.
func (m *Model) Targets() int { return m.likelihood.targets() }

// Size returns the length of theta.
func (m *Model) Size() int { return m.network.size + m.likelihood.noises() }

// Parameters describes theta: in order, without gaps.
func (m *Model) Parameters() []Parameter {
	p := slices.Clone(m.network.parameters)
	for i := range p {
		p[i].Shape = slices.Clone(p[i].Shape)
	}
	if n := m.likelihood.noises(); n > 0 {
		p = append(p, Parameter{Name: "likelihood.logvar", Shape: []int{n}, Offset: m.network.size, Len: n, Role: Noise})
	}
	return p
}

// Init returns parameters to begin training with: means N(0, 2/in) (He et al.
// 2015), biases 0, variances a hundredth of that. It supposes inputs and targets
// with means 0 and variances 1.
func (m *Model) Init(seed uint64) []float64 {
	theta := make([]float64, m.Size())
	m.network.initialise(theta, rand.New(rand.NewPCG(seed, 0x62617965732e696e)))
	m.likelihood.initialise(theta[m.network.size:])
	return theta
}

// checkTheta returns an error if theta is not one.
func (m *Model) checkTheta(theta []float64) error {
	if len(theta) != m.Size() {
		return fmt.Errorf("bayes: %d parameters, but the model has %d", len(theta), m.Size())
	}
	for i, x := range theta {
		if math.IsNaN(x) || math.IsInf(x, 0) {
			return fmt.Errorf("bayes: parameter %d (of %s) is %v", i, m.nameOf(i), x)
		}
	}
	return nil
}

// nameOf returns the name of the tensor that element i of theta belongs to.
func (m *Model) nameOf(i int) string {
	for _, p := range m.Parameters() {
		if i < p.Offset+p.Len {
			return p.Name
		}
	}
	return "nothing"
}
