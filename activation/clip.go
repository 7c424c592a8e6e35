package activation

import "math"

// Clip returns min(max(x, lo), hi), named "clip_LO_HI". lo may be -Inf and hi
// +Inf; where lo > hi the result is hi, as ONNX has it. Neither may be NaN.
func Clip(lo, hi float64) Activation {
	return piecewise{clip{"clip_" + formatNumber(lo) + "_" + formatNumber(hi), lo, hi}}
}

// ReLU6 returns min(max(x, 0), 6), named "relu6".
func ReLU6() Activation { return piecewise{clip{"relu6", 0, 6}} }

type clip struct {
	name   string
	lo, hi float64
}

func (c clip) Name() string { return c.name }

func (c clip) Apply(x float64) float64 { return min(max(x, c.lo), c.hi) }

func (c clip) knots() (k knots) {
	if c.lo >= c.hi {
		return k
	}
	if !math.IsInf(c.lo, 0) {
		k.add(c.lo, [3]float64{0, 1, 0})
	}
	if !math.IsInf(c.hi, 0) {
		k.add(c.hi, [3]float64{0, -1, 0})
	}
	k.gap = c.hi - c.lo
	return k
}

func (c clip) piece(i int, x float64) [3]float64 {
	if math.IsInf(c.lo, -1) {
		i++ // there is no piece below lo
	}
	switch {
	case c.lo >= c.hi || i == 2:
		return [3]float64{c.hi, 0, 0}
	case i == 0:
		return [3]float64{c.lo, 0, 0}
	}
	return [3]float64{x, 1, 0}
}

// HardSigmoid returns min(max(alpha x + beta, 0), 1), named
// "hard_sigmoid_ALPHA_BETA". Both must be finite.
func HardSigmoid(alpha, beta float64) Activation { return piecewise{hardSigmoid{alpha, beta}} }

type hardSigmoid struct{ alpha, beta float64 }

func (s hardSigmoid) Name() string {
	return "hard_sigmoid_" + formatNumber(s.alpha) + "_" + formatNumber(s.beta)
}

func (s hardSigmoid) Apply(x float64) float64 {
	if s.alpha == 0 && !math.IsNaN(x) {
		x = 0 // 0 times Inf
	}
	return min(max(s.alpha*x+s.beta, 0), 1)
}

func (s hardSigmoid) knots() (k knots) {
	zero, one := -s.beta/s.alpha, (1-s.beta)/s.alpha
	lo, hi := min(zero, one), max(zero, one)
	if s.alpha == 0 || math.IsInf(lo, 0) || math.IsInf(hi, 0) {
		return k
	}
	k.add(lo, [3]float64{0, s.alpha, 0})
	k.add(hi, [3]float64{0, -s.alpha, 0})
	k.gap = 1 / math.Abs(s.alpha)
	return k
}

func (s hardSigmoid) piece(i int, x float64) [3]float64 {
	switch {
	case s.knots().n == 0:
		return [3]float64{s.Apply(0), 0, 0}
	case i == 1:
		return [3]float64{s.alpha*x + s.beta, s.alpha, 0}
	case (i == 0) == (s.alpha > 0):
		return [3]float64{}
	}
	return [3]float64{1, 0, 0}
}

// HardSwish returns x min(max(x/6 + 1/2, 0), 1), named "hard_swish".
func HardSwish() Activation { return piecewise{hardSwish{}} }

type hardSwish struct{}

func (hardSwish) Name() string { return "hard_swish" }

func (hardSwish) Apply(x float64) float64 {
	switch {
	case x <= -3:
		return 0
	case x >= 3:
		return x
	}
	return x * (x + 3) / 6 // also NaN
}

// x (x+3)/6 in powers of y = x+3 is (y^2 - 3y)/6, and x less that in powers of
// y = x-3 is -(y^2 + 3y)/6.
func (hardSwish) knots() (k knots) {
	k.add(-3, [3]float64{0, -0.5, 1. / 6})
	k.add(3, [3]float64{0, -0.5, -1. / 6})
	k.gap = 6
	return k
}

func (hardSwish) piece(i int, x float64) [3]float64 {
	switch i {
	case 0:
		return [3]float64{}
	case 1:
		return [3]float64{x * (x + 3) / 6, (2*x + 3) / 6, 1. / 6}
	}
	return [3]float64{x, 1, 0}
}
