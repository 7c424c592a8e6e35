package layer

import "errors"

// Conv is a convolution, see NewConv.
type Conv struct{ Linear }

// NewConv returns the convolution of (batch, inC, positions) to (batch, outC,
// outPositions) with the weights w, (outC, inC/groups, taps), and the bias,
// (outC) or nil:
//
//	y[b,o,p] = bias[o] + sum_{c in group of o, t} w[o,c,t] x[b,c,at[p*taps+t]]
//
// at, (outPositions, taps), holds the input position that each tap meets, -1
// where it lies in the padding.
func NewConv(w, bias []float64, at []int, batch, groups, outC, inC, positions, taps int) (*Conv, error) {
	return nil, errors.New("not implemented")
}
