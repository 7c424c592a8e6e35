package activation

import (
	"math"

	"github.com/covprop/covprop/internal/vec"
)

// The functions made of exponentials and of the normal distribution take them
// from package vec, a chunk at a time, so that what is in between stays in the
// cache and on the stack.

// chunk is the number of values taken at a time.
const chunk = 256

// chunks calls f for consecutive parts of dst and x of at most chunk numbers.
func chunks(dst, x []float64, f func(dst, x []float64)) {
	dst = dst[:len(x)]
	for len(x) > chunk {
		f(dst[:chunk], x[:chunk])
		dst, x = dst[chunk:], x[chunk:]
	}
	f(dst, x)
}

// ApplyTo implements [Vector].
func (exponential) ApplyTo(dst, x []float64) { vec.ExpTo(dst, x) }

// ApplyTo implements [Vector].
func (normalCDF) ApplyTo(dst, x []float64) { vec.CDFTo(dst, x) }

// ApplyTo implements [Vector].
func (erf) ApplyTo(dst, x []float64) { vec.ErfTo(dst, x) }

// ApplyTo implements [Vector]. Beyond the limit Phi is 0, and so is the product,
// of which one with -Inf would make NaN.
func (gelu) ApplyTo(dst, x []float64) {
	chunks(dst, x, func(dst, x []float64) {
		var cdf [chunk]float64
		p := cdf[:len(x)]
		vec.CDFTo(p, x)
		vec.ClampTo(dst, x, 0, -geluLimit, math.Inf(1))
		for i, v := range p {
			dst[i] *= v
		}
	})
}

// logisticTo sets dst[i] to logistic(x[i]), which is e^min(x,0)/(1 + e^-|x|). dst
// may be x, neither is longer than a chunk.
func logisticTo(dst, x []float64) {
	var exps [chunk]float64
	e := exps[:len(x)]
	for i, v := range x {
		e[i] = -math.Abs(v)
	}
	vec.ExpTo(e, e)
	for i, v := range x {
		dst[i] = choose(v, e[i], 1) / (1 + e[i])
	}
}

// choose returns negative if the sign bit of x is set and otherwise positive.
func choose(x, negative, positive float64) float64 {
	sign := uint64(int64(math.Float64bits(x)) >> 63)
	return math.Float64frombits(math.Float64bits(negative)&sign | math.Float64bits(positive)&^sign)
}

// ApplyTo implements [Vector].
func (sigmoid) ApplyTo(dst, x []float64) { chunks(dst, x, logisticTo) }

// ApplyTo implements [Vector].
func (silu) ApplyTo(dst, x []float64) { quickGELU{1}.ApplyTo(dst, x) }

// ApplyTo implements [Vector].
func (g quickGELU) ApplyTo(dst, x []float64) {
	chunks(dst, x, func(dst, x []float64) {
		var gates [chunk]float64
		s := gates[:len(x)]
		for i, v := range x {
			s[i] = g.beta * v
		}
		gated(dst, x, s, g.beta > 0)
	})
}

// ApplyTo implements [Vector].
func (g geluTanh) ApplyTo(dst, x []float64) {
	chunks(dst, x, func(dst, x []float64) {
		var gates [chunk]float64
		s := gates[:len(x)]
		for i, v := range x {
			s[i] = g.gate(v)
		}
		gated(dst, x, s, true)
	})
}

// gated sets dst to x logistic(v), for a v that rises with x or falls. An
// infinite x for which the gate is 0 counts as the largest number.
func gated(dst, x, v []float64, rises bool) {
	logisticTo(v, v)
	lo, hi := -math.MaxFloat64, math.Inf(1)
	if !rises {
		lo, hi = -hi, -lo
	}
	vec.ClampTo(dst, x, 0, lo, hi)
	for i, s := range v {
		dst[i] *= s
	}
}

// ApplyTo implements [Vector]. With the rational function that package math has
// from Moshier (Cephes, 1989) up to |x| = 0.625, and 1 - 2e/(1+e), e = e^-2|x|,
// beyond, where that does not cancel.
func (tanh) ApplyTo(dst, x []float64) {
	chunks(dst, x, func(dst, x []float64) {
		var exps [chunk]float64
		e := exps[:len(x)]
		for i, v := range x {
			e[i] = -2 * math.Abs(v)
		}
		vec.ExpTo(e, e)
		for i, v := range x {
			far := math.Copysign(1-2*e[i]/(1+e[i]), v)
			dst[i] = choose(math.Abs(v)-0.625, tanhNear(v), far)
		}
	})
}

// tanhNear returns tanh(x) for |x| <= 0.625.
func tanhNear(x float64) float64 {
	const (
		p0, p1, p2 = -9.64399179425052238628e-1, -9.92877231001918586564e1, -1.61468768441708447952e3
		q0, q1, q2 = 1.12811678491632931402e2, 2.23548839060100448583e3, 4.84406305325125486048e3
	)
	s := x * x
	return x + x*s*((p0*s+p1)*s+p2)/(((s+q0)*s+q1)*s+q2)
}

// ApplyTo implements [Vector].
func (softplus) ApplyTo(dst, x []float64) {
	chunks(dst, x, func(dst, x []float64) {
		var exps [chunk]float64
		e := exps[:len(x)]
		for i, v := range x {
			e[i] = -math.Abs(v)
		}
		vec.ExpTo(e, e)
		for i, v := range x {
			dst[i] = max(v, 0) + math.Log1p(e[i])
		}
	})
}
