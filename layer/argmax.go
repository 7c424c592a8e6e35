package layer

import "errors"

// ArgMax is the position of the largest element, see NewArgMax.
type ArgMax struct{ Nonlinear }

// NewArgMax returns the position, from 0, of the largest element of every row
// of x, (groups, n): the first of several, or the last.
func NewArgMax(groups, n int, last bool) (*ArgMax, error) {
	return nil, errors.New("not implemented")
}
