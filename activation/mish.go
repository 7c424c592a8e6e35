package activation

import "math"

// Mish returns x tanh(log(1 + e^x)) (Misra 2019), named "mish".
func Mish() Activation { return numeric{mish{}} }

type mish struct{}

func (mish) Name() string      { return "mish" }
func (mish) Kinks() []float64  { return nil }
func (mish) breaks() []float64 { return origin }

// The denominator n + 2 of the gate vanishes at log(2)/2 +- 3 pi i/4.
func (mish) strip() float64 { return 0.75 * math.Pi }

func (mish) Apply(x float64) float64 {
	t, _ := mishGate(x)
	if t == 0 {
		return math.Copysign(0, x) // also at infinity
	}
	return x * t
}

// Derivative is t + x (1 - t^2) logistic(x), with the gate t.
func (mish) Derivative(x float64) float64 {
	t, u := mishGate(x)
	if t == 0 || u == 0 {
		return t // also at infinity
	}
	return t + x*u*(1+t)*logistic(x)
}

// mishGate returns t = tanh(log(1 + e^x)) = n/(n+2), n = e^x (e^x + 2), and
// u = 1 - t, each with full relative accuracy.
func mishGate(x float64) (t, u float64) {
	if x <= 0 {
		e := math.Exp(x)
		n := e * (e + 2)
		return n / (n + 2), 2 / (n + 2)
	}
	e := math.Exp(-x)
	n, two := 1+2*e, 2*e*e // times e^{-2x}
	return n / (n + two), two / (n + two)
}

func (mish) difference(mu, delta float64) (d, size float64) {
	b := mu + delta
	t0, _ := mishGate(mu)
	t, _ := mishGate(b)
	d, size = productDifference(mu, delta, t0, t, mishGateDifference(mu, delta))
	return d, size * exponentCondition(mu, b)
}

// mishGateDifference returns t(a+delta) - t(a). From lo to hi, with n and u as
// in mishGate, it is (n_hi - n_lo) u_hi u_lo/2 and
//
//	n_hi - n_lo = (1 - e^{lo-hi}) e^hi (e^hi + e^lo + 2),
//
// whose product with u_hi has no cancellation and, arranged by the sign of hi,
// no overflow.
func mishGateDifference(a, delta float64) float64 {
	lo, hi := min(a, a+delta), max(a, a+delta)
	gap := math.Abs(delta)
	_, uLo := mishGate(lo)
	var k float64 // u_hi e^hi (e^hi + e^lo + 2)
	if hi > 0 {
		e := math.Exp(-hi)
		k = 2 / (1 + 2*e + 2*e*e) * (1 + math.Exp(-gap) + 2*e)
	} else {
		e := math.Exp(hi)
		k = 2 / (e*(e+2) + 2) * e * (e + math.Exp(lo) + 2)
	}
	return math.Copysign(-0.5*math.Expm1(-gap)*k*uLo, delta)
}
