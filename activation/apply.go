package activation

import (
	"math"

	"github.com/covprop/covprop/internal/vec"
)

// A Vector is an Activation that evaluates many numbers faster together.
type Vector interface {
	// ApplyTo sets dst[i] to g(x[i]), to within a few units in the last place
	// of Apply. dst and x have one length; they may be the same slice, but do
	// not overlap otherwise.
	ApplyTo(dst, x []float64)
}

const badLengths = "activation: slices of different lengths"

// ApplyTo sets dst[i] to g(x[i]) for the activation a, to within a few units in
// the last place of Apply, as a [Vector] where a is one. dst and x have one
// length; they may be the same slice, but must not overlap otherwise.
func ApplyTo(a Activation, dst, x []float64) {
	if len(dst) != len(x) {
		panic(badLengths)
	}
	applyTo(a, dst, x)
}

// applyTo is ApplyTo for a function f.
func applyTo(f interface{ Apply(x float64) float64 }, dst, x []float64) {
	if v, ok := f.(Vector); ok {
		v.ApplyTo(dst, x)
		return
	}
	for i, v := range x {
		dst[i] = f.Apply(v)
	}
}

// ApplyTo implements [Vector].
func (g piecewise) ApplyTo(dst, x []float64) { applyTo(g.curve, dst, x) }

// ApplyTo implements [Vector].
func (n numeric) ApplyTo(dst, x []float64) { applyTo(n.formula, dst, x) }

// The signs of pre-activations are as good as random: a branch on one is
// mispredicted half of the time, which costs more than all the rest. The loops
// below have none.

func (b bend) ApplyTo(dst, x []float64) {
	if b.left == 0 && b.right == 1 {
		vec.ClampTo(dst, x, 0, 0, math.Inf(1))
		return
	}
	dst = dst[:len(x)]
	slopes := [2]float64{b.right, b.left}
	for i, v := range x {
		dst[i] = slopes[math.Float64bits(v)>>63] * v
	}
}

func (c clip) ApplyTo(dst, x []float64) { vec.ClampTo(dst, x, 0, c.lo, c.hi) }

func (s hardSigmoid) ApplyTo(dst, x []float64) {
	if s.alpha == 0 {
		for i, v := range x {
			dst[i] = s.Apply(v)
		}
		return
	}
	dst = dst[:len(x)]
	for i, v := range x {
		dst[i] = s.alpha * v
	}
	vec.ClampTo(dst, dst, s.beta, 0, 1)
}

// ApplyTo takes x min(max(x+3, 0), 6)/6 with x from -3 on, which -Inf needs.
func (hardSwish) ApplyTo(dst, x []float64) {
	chunks(dst, x, func(dst, x []float64) {
		var gates [chunk]float64
		s := gates[:len(x)]
		vec.ClampTo(s, x, 3, 0, 6)
		vec.ClampTo(dst, x, 0, -3, math.Inf(1))
		for i, v := range s {
			dst[i] *= v / 6
		}
	})
}

// ApplyTo is Apply without a copy of p for every number.
func (p polynomial) ApplyTo(dst, x []float64) {
	dst = dst[:len(x)]
	switch p {
	case Square():
		for i, v := range x {
			dst[i] = v * v
		}
		return
	case Cube():
		for i, v := range x {
			dst[i] = v * v * v
		}
		return
	}
	c := p.c[:p.n+1]
	for i, v := range x {
		y := c[p.n]
		for k := p.n - 1; k >= 0; k-- {
			y = y*v + c[k]
		}
		dst[i] = y
	}
}
