package activation

// Shrink returns x + bias for x < -lambda, x - bias for x > lambda and 0
// between, named "shrink_LAMBDA_BIAS": soft shrinkage for bias = lambda, hard
// shrinkage for bias = 0. Both must be finite. For lambda < 0, where both
// conditions may hold, the first counts, as ONNX has it.
func Shrink(lambda, bias float64) Activation { return piecewise{shrink{lambda, bias}} }

type shrink struct{ lambda, bias float64 }

func (s shrink) Name() string {
	return "shrink_" + formatNumber(s.lambda) + "_" + formatNumber(s.bias)
}

func (s shrink) Apply(x float64) float64 {
	switch {
	case x < -s.lambda:
		return x + s.bias
	case x > s.lambda:
		return x - s.bias
	case x != x:
		return x
	}
	return 0
}

// knots: without a dead zone there is one knot, and none without a jump.
func (s shrink) knots() (k knots) {
	if s.lambda > 0 {
		jump := s.lambda - s.bias
		k.add(-s.lambda, [3]float64{jump, -1, 0})
		k.add(s.lambda, [3]float64{jump, 1, 0})
		k.gap = 2 * s.lambda
	} else if s.bias != 0 {
		k.add(-s.lambda, [3]float64{-2 * s.bias, 0, 0})
	}
	return k
}

func (s shrink) piece(i int, x float64) [3]float64 {
	switch {
	case i == 0:
		return [3]float64{x + s.bias, 1, 0}
	case i == 1 && s.lambda > 0:
		return [3]float64{}
	}
	return [3]float64{x - s.bias, 1, 0}
}
