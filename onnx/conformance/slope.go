package main

import (
	"math"
	"math/rand/v2"
	"slices"

	"gonum.org/v1/gonum/floats"

	"github.com/covprop/covprop"
	"github.com/covprop/covprop/graph"
)

const (
	bendTol    = 1e-2 // by how much slopes that should be one may differ, relative to an output's
	reach      = 10   // no kink may be within this many standard deviations
	maxColumns = 1000 // inputs up to which every one is varied by itself
)

// slopes are derivatives of a network at a point, by finite differences.
type slopes struct {
	eps        float64
	certain    []bool      // the elements of the input that are at the end of the domain, as 0 is for a root; nil for none
	smooth     []int       // the elements of the output that have derivatives
	norm       []float64   // by element of the output: the length of its gradient
	directions [][]float64 // the unit vectors, or some random directions
	along      [][]float64 // by direction: the derivatives of the output's elements
}

// variances are those of an input that is uncertain where it can be.
func (s *slopes) variances(n int) covprop.Diagonal {
	v := make(covprop.Diagonal, n)
	for k := range v {
		if s.certain == nil || !s.certain[k] {
			v[k] = s.eps * s.eps
		}
	}
	return v
}

// differentiate returns the derivatives at x. The central differences are over
// eps; an element is smooth if those over reach eps are the same, on both
// sides.
func differentiate(net *graph.Network, x []float64, eps float64) *slopes {
	n, m := len(x), net.OutputDim()
	f := evaluator(net, x)
	h := reach * eps
	zero, near, far := slices.Clone(f(nil, 0)), make([]float64, m), make([]float64, m)
	bend := make([]float64, m) // the largest difference of slopes
	s := &slopes{eps: eps, certain: edges(f, n, h), norm: make([]float64, m)}
	central := func(v []float64) []float64 {
		copy(near, f(v, eps))
		floats.SubTo(far, near, f(v, -eps))
		return scaled(1/(2*eps), far)
	}
	probe := func(v, slope []float64) {
		copy(near, f(v, h))
		copy(far, f(v, -h))
		for i, d := range slope {
			bend[i] = max(bend[i], math.Abs(near[i]-2*zero[i]+far[i])/h, math.Abs((near[i]-far[i])/(2*h)-d))
		}
	}
	// Random directions: a kink that is out of reach along every axis may be
	// within reach of the joint Gaussian.
	rng := rand.New(rand.NewPCG(1, uint64(n)))
	const random = 16
	for range random {
		v := make([]float64, n)
		for k := range v {
			if v[k] = rng.NormFloat64(); s.certain != nil && s.certain[k] {
				v[k] = 0
			}
		}
		slope := central(v)
		probe(v, slope)
		if n > maxColumns { // E (J v)^2 = |J|^2
			s.add(v, slope, 1./random)
		}
	}
	for k := 0; k < n && n <= maxColumns; k++ {
		v := make([]float64, n)
		if s.certain == nil || !s.certain[k] {
			v[k] = 1
		}
		slope := central(v)
		probe(v, slope)
		s.add(v, slope, 1)
	}
	scale := 0.
	for i, v := range s.norm {
		s.norm[i] = math.Sqrt(v)
		scale = max(scale, s.norm[i])
	}
	for i, b := range bend {
		// Values are rounded to 1e-16 of themselves, and of the terms that
		// cancelled in them.
		rounding := 1e-15*math.Abs(zero[i])/eps + 1e-9*scale
		if s.norm[i] += rounding; b <= bendTol*s.norm[i] {
			s.smooth = append(s.smooth, i)
		}
	}
	return s
}

// edges returns which of the n elements of the input cannot be varied by h
// without an output that is not finite; nil if all can.
func edges(f func(v []float64, t float64) []float64, n int, h float64) []bool {
	finite := func(v []float64) bool {
		return allFinite(f(v, h)) && allFinite(f(v, -h))
	}
	v := make([]float64, n)
	for k := range v {
		v[k] = 1
	}
	if finite(v) {
		return nil
	}
	certain := make([]bool, n)
	for k := range v {
		clear(v)
		v[k] = 1
		certain[k] = !finite(v)
	}
	return certain
}

func allFinite(x []float64) bool {
	for _, v := range x {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return false
		}
	}
	return true
}

// add adds a direction and weighs the squares of the derivatives along it.
func (s *slopes) add(v, along []float64, weight float64) {
	s.directions, s.along = append(s.directions, v), append(s.along, along)
	for i, d := range along {
		s.norm[i] += weight * d * d
	}
}

func scaled(c float64, x []float64) []float64 {
	return floats.ScaleTo(make([]float64, len(x)), c, x)
}

// evaluator returns the function (v, t) -> net(x + t v), whose result is valid
// until the next call.
func evaluator(net *graph.Network, x []float64) func(v []float64, t float64) []float64 {
	at, y := make([]float64, len(x)), make([]float64, net.OutputDim())
	return func(v []float64, t float64) []float64 {
		copy(at, x)
		if v != nil {
			floats.AddScaled(at, t, v)
		}
		if err := net.EvalTo(y, at); err != nil {
			panic(err)
		}
		return y
	}
}
