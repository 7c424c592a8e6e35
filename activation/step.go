package activation

// Step returns the Heaviside function, 1 for x > 0 and 0 otherwise, named
// "heaviside".
func Step() Activation { return piecewise{step{}} }

// Sign returns -1, 0 or 1, the sign of x, named "sign".
func Sign() Activation { return piecewise{sign{}} }

type step struct{}

func (step) Name() string { return "heaviside" }

func (step) Apply(x float64) float64 {
	switch {
	case x > 0:
		return 1
	case x <= 0:
		return 0
	}
	return x // NaN
}

func (step) knots() (k knots) {
	k.add(0, [3]float64{1, 0, 0})
	return k
}

func (step) piece(i int, _ float64) [3]float64 { return [3]float64{float64(i), 0, 0} }

type sign struct{}

func (sign) Name() string { return "sign" }

func (sign) Apply(x float64) float64 {
	switch {
	case x > 0:
		return 1
	case x < 0:
		return -1
	}
	return x // 0 or NaN
}

func (sign) knots() (k knots) {
	k.add(0, [3]float64{2, 0, 0})
	return k
}

func (sign) piece(i int, _ float64) [3]float64 { return [3]float64{float64(2*i - 1), 0, 0} }
