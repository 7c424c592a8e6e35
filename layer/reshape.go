package layer

import (
	"github.com/covprop/covprop"
)

// Reshape is y = x under another shape: Flatten, Reshape, Identity, Dropout at
// inference, Cast between real types. A graph gives the result the same
// storage, so it costs nothing.
type Reshape struct {
	diagonal
	inputs [1]int
}

// NewReshape returns the rule y = x for vectors of length n.
func NewReshape(n int) (*Reshape, error) {
	if _, err := broadcast("", nil, n); err != nil {
		return nil, err
	}
	return &Reshape{diagonal{n: n}, [1]int{n}}, nil
}

// Name implements Rule.
func (r *Reshape) Name() string { return "reshape" }

// Inputs implements Rule.
func (r *Reshape) Inputs() []int { return r.inputs[:] }

// OutputLen implements Rule.
func (r *Reshape) OutputLen() int { return r.n }

// Exactness implements Rule.
func (r *Reshape) Exactness() covprop.Accuracy { return covprop.Accuracy{} }

// Matrix implements Linear.
func (r *Reshape) Matrix(int) Matrix { return &r.diagonal }

// Forward implements Rule.
func (r *Reshape) Forward(dst []float64, x ...[]float64) { copy(dst, x[0]) }
