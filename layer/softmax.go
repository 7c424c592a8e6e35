package layer

import "errors"

// Softmax is the softmax of groups, see NewSoftmax.
type Softmax struct{ Nonlinear }

// NewSoftmax returns the softmax of every row of x, (groups, n), or its
// logarithm.
func NewSoftmax(groups, n int, log bool) (*Softmax, error) {
	return nil, errors.New("not implemented")
}
