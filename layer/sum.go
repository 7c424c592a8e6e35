package layer

import (
	"fmt"

	"github.com/covprop/covprop"
)

// Sum is y = sum_i c_i x_i for tensors of one length: addition and subtraction
// of uncertain tensors. It is exact, cross-covariances included:
// Cov(y) = sum_ij c_i c_j Cov(x_i, x_j).
type Sum struct {
	coef   []float64
	inputs []int
	mat    []diagonal
}

// NewSum returns the rule y = sum_i coef[i] x_i for vectors of length n.
func NewSum(coef []float64, n int) (*Sum, error) {
	if len(coef) == 0 || n < 1 {
		return nil, fmt.Errorf("a sum of %d tensors of length %d is empty", len(coef), n)
	}
	if err := checkFinite("coefficient", coef); err != nil {
		return nil, err
	}
	return newSum(coef, n), nil
}

func newSum(coef []float64, n int) *Sum {
	s := &Sum{coef: coef, inputs: make([]int, len(coef)), mat: make([]diagonal, len(coef))}
	for i, c := range coef {
		s.inputs[i] = n
		s.mat[i].n = n
		if c != 1 {
			s.mat[i].d = repeat(c, n)
		}
	}
	return s
}

// Coefficients returns the c_i. They must not be changed.
func (s *Sum) Coefficients() []float64 { return s.coef }

// Name implements Rule.
func (s *Sum) Name() string { return "sum" }

// Inputs implements Rule.
func (s *Sum) Inputs() []int { return s.inputs }

// OutputLen implements Rule.
func (s *Sum) OutputLen() int { return s.inputs[0] }

// Exactness implements Rule.
func (s *Sum) Exactness() covprop.Accuracy { return covprop.Accuracy{} }

// Matrix implements Linear.
func (s *Sum) Matrix(i int) Matrix { return &s.mat[i] }

// Forward implements Rule.
func (s *Sum) Forward(dst []float64, x ...[]float64) {
	clear(dst)
	for i, c := range s.coef {
		for j, v := range x[i] {
			dst[j] += c * v
		}
	}
}

// MergeTerms returns the sum with the terms of equal inputs taken together, as
// in x + x = 2 x, and the inputs that are left, in order of first use. inputs
// identifies the tensors that are summed.
func MergeTerms[T comparable](s *Sum, inputs []T) (*Sum, []T) {
	var coef []float64
	var left []T
	at := make(map[T]int)
	for i, t := range inputs {
		k, seen := at[t]
		if !seen {
			k = len(left)
			at[t] = k
			left, coef = append(left, t), append(coef, 0)
		}
		coef[k] += s.coef[i]
	}
	if len(left) == len(inputs) {
		return s, inputs
	}
	return newSum(coef, s.inputs[0]), left
}
