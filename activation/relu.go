package activation

// ReLU returns max(x, 0), named "relu".
func ReLU() Activation { return piecewise{bend{name: "relu", right: 1}} }

// Abs returns |x|, named "abs".
func Abs() Activation { return piecewise{bend{name: "abs", left: -1, right: 1}} }

// LeakyReLU returns x for x >= 0 and alpha x below, named "leaky_relu_ALPHA".
// alpha must be finite.
func LeakyReLU(alpha float64) Activation {
	return piecewise{bend{name: "leaky_relu_" + formatNumber(alpha), left: alpha, right: 1}}
}

// Identity returns x, named "identity".
func Identity() Activation { return identity{piecewise{bend{name: "identity", left: 1, right: 1}}} }

// identity is a polynomial of degree one, besides being piecewise.
type identity struct{ piecewise }

func (identity) degree() int { return 1 }

// bend is left x below 0 and right x above.
type bend struct {
	name        string
	left, right float64
}

func (b bend) Name() string { return b.name }

func (b bend) Apply(x float64) float64 {
	switch {
	case x != x:
		return x
	case x < 0 && b.left != 0:
		return b.left * x
	case x < 0:
		return 0 // not -0, and not NaN at -Inf
	}
	return b.right * x
}

func (b bend) knots() (k knots) {
	if b.left != b.right {
		k.add(0, [3]float64{0, b.right - b.left, 0})
	}
	return k
}

func (b bend) piece(i int, x float64) [3]float64 {
	slope := b.right
	if i == 0 {
		slope = b.left
	}
	return [3]float64{slope * x, slope, 0}
}

// ThresholdedReLU returns x for x > theta and 0 otherwise, named
// "thresholded_relu_THETA". theta must be finite.
func ThresholdedReLU(theta float64) Activation { return piecewise{thresholded{theta}} }

type thresholded struct{ theta float64 }

func (t thresholded) Name() string { return "thresholded_relu_" + formatNumber(t.theta) }

func (t thresholded) Apply(x float64) float64 {
	if x <= t.theta {
		return 0
	}
	return x // also NaN
}

func (t thresholded) knots() (k knots) {
	k.add(t.theta, [3]float64{t.theta, 1, 0})
	return k
}

func (thresholded) piece(i int, x float64) [3]float64 {
	if i == 0 {
		return [3]float64{}
	}
	return [3]float64{x, 1, 0}
}
