package layer

import "errors"

// Max is the maximum of pairs of elements, see NewMax.
type Max struct{ Nonlinear }

// NewMax returns the rule y_k = max(x[pairs[k][0]], x[pairs[k][1]]) for x of
// length in. The two may be the same element, which is then copied.
func NewMax(pairs [][2]int, in int) (*Max, error) {
	return nil, errors.New("not implemented")
}
