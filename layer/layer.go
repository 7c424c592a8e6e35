// Package layer holds the rules by which the steps of a network map the first
// two moments of their Gaussian input to those of their output, one rule a
// file.
package layer

import "github.com/covprop/covprop"

// A Rule is one step y = f(x_1, ..., x_m) of a network. Rules are immutable
// and safe for concurrent use.
//
// Every rule is either a [Linear] or an [*Elementwise].
type Rule interface {
	// Name is the rule's name, such as "affine".
	Name() string
	// Inputs returns the lengths of the inputs.
	Inputs() []int
	// OutputLen returns the length of the output.
	OutputLen() int
	// Forward writes f(x) to dst, of length OutputLen. x[i] has length
	// Inputs()[i]. dst overlaps none of them.
	Forward(dst []float64, x ...[]float64)
	// Exactness states how exact the rule is at best, before any input is
	// known.
	Exactness() covprop.Accuracy
}
