package activation

// PairForm returns Cov(a(X1), b(X2)) by a closed or one-dimensional form of
// its own, whatever the correlation, and a bound on its error relative to the
// product of the output standard deviations sd1 and sd2. ok is false if there
// is no such form for the two activations, or none that keeps its digits for
// this pair.
func PairForm(a, b Activation, p Pair, sd1, sd2 float64) (cov, bound float64, ok bool) {
	if x, is := a.(pairer); is {
		if cov, bound, ok = x.pairCovariance(b, p, sd1, sd2); ok {
			return cov, bound, true
		}
	}
	if x, is := b.(pairer); is {
		return x.pairCovariance(a, p.Swap(), sd2, sd1)
	}
	return 0, 0, false
}
