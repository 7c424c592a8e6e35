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
	fewColumns = 200  // inputs that are uncertain where only variances are compared
)

// slopes are derivatives of a network at a point, by finite differences.
type slopes struct {
	eps        float64
	certain    []bool      // elements of the input that are not varied; nil for none
	edges      bool        // some are at the end of the domain, as 0 is for a root
	smooth     []int       // the elements of the output that have derivatives
	gradient   []float64   // by element of the output: the length of its gradient
	norm       []float64   // the same and what rounding may add
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

// varies reports whether element k of the input is varied.
func (s *slopes) varies(k int) bool { return s.certain == nil || !s.certain[k] }

// differentiate returns the derivatives at x, with respect to a few elements
// only if few is set. The central differences are over eps; an element is
// smooth if those over reach eps are the same, on both sides.
func differentiate(net *graph.Network, x []float64, eps float64, few bool) *slopes {
	n, m := len(x), net.OutputDim()
	f := evaluator(net, x)
	rng := rand.New(rand.NewPCG(1, uint64(n)))
	s := &slopes{eps: eps, certain: edges(f, n, reach*eps), gradient: make([]float64, m), norm: make([]float64, m)}
	s.edges = s.certain != nil
	if few = few && n > maxColumns; few {
		s.choose(rng, n)
	}
	p := newProber(f, eps, m)
	// Random directions: a kink that is out of reach along every axis may be
	// within reach of the joint Gaussian.
	const random = 16
	for range random {
		v := make([]float64, n)
		for k := range v {
			if z := rng.NormFloat64(); s.varies(k) {
				v[k] = z
			}
		}
		slope := p.slope(v)
		if n > maxColumns && !few { // E (J v)^2 = |J|^2
			s.add(v, slope, 1./random)
		}
	}
	for k := 0; k < n && (n <= maxColumns || few); k++ {
		if few && !s.varies(k) {
			continue
		}
		v := make([]float64, n)
		if s.varies(k) {
			v[k] = 1
		}
		s.add(v, p.slope(v), 1)
	}
	s.judge(p)
	return s
}

// judge finds the smooth elements.
func (s *slopes) judge(p *prober) {
	scale := 0.
	for i, v := range s.gradient {
		s.gradient[i] = math.Sqrt(v)
		scale = max(scale, s.gradient[i])
	}
	for i, b := range p.bend {
		// Values are rounded to 1e-16 of themselves, and of the terms that
		// cancelled in them.
		rounding := 1e-15*math.Abs(p.zero[i])/s.eps + 1e-9*scale
		if s.norm[i] = s.gradient[i] + rounding; b <= bendTol*s.norm[i] {
			s.smooth = append(s.smooth, i)
		}
	}
}

// A prober takes differences of a function around a point.
type prober struct {
	f         func(v []float64, t float64) []float64
	eps       float64
	zero      []float64 // the value at the point
	bend      []float64 // the largest difference of slopes that should be one
	near, far []float64 // scratch
}

func newProber(f func(v []float64, t float64) []float64, eps float64, m int) *prober {
	return &prober{f, eps, slices.Clone(f(nil, 0)), make([]float64, m), make([]float64, m), make([]float64, m)}
}

// slope returns the derivatives along v, and notes how they change.
func (p *prober) slope(v []float64) []float64 {
	copy(p.near, p.f(v, p.eps))
	floats.SubTo(p.far, p.near, p.f(v, -p.eps))
	slope := scaled(1/(2*p.eps), p.far)
	h := reach * p.eps
	copy(p.near, p.f(v, h))
	copy(p.far, p.f(v, -h))
	for i, d := range slope {
		up, zero, down := p.near[i], p.zero[i], p.far[i]
		p.bend[i] = max(p.bend[i], math.Abs(up-2*zero+down)/h, math.Abs((up-down)/(2*h)-d))
	}
	return slope
}

// choose makes all elements certain but fewColumns: half of them side by side,
// half of them anywhere.
func (s *slopes) choose(rng *rand.Rand, n int) {
	chosen := make([]bool, n)
	start := rng.IntN(n - fewColumns/2)
	for k := range fewColumns / 2 {
		chosen[start+k], chosen[rng.IntN(n)] = true, true
	}
	if s.certain == nil {
		s.certain = make([]bool, n)
	}
	for k, c := range chosen {
		s.certain[k] = s.certain[k] || !c
	}
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
		s.gradient[i] += weight * d * d
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
