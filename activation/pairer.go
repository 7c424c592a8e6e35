package activation

// A pairer has exact covariances with some other activations.
type pairer interface {
	// pairCovariance returns Cov(a(X1), b(X2)) and a bound on its error
	// relative to the two output standard deviations sd1 and sd2, 0 if the
	// error is rounding. ok is false if there is no exact form with b, or
	// none that keeps its digits for this pair.
	pairCovariance(b Activation, p Pair, sd1, sd2 float64) (cov, bound float64, ok bool)
}
