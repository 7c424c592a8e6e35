// Package special holds the special functions of moment propagation: the
// standard normal density and distribution in one and two dimensions, the
// Mills ratio, Hermite functions and Gaussian quadrature.
//
// phi is the standard normal density and Phi its distribution function. Tail
// values keep their relative accuracy down to the smallest normal float64,
// which needs two things throughout: no 1 - Phi, and exp(-x^2/2) with the
// rounding error of x^2 put back, since the exponent magnifies it by x^2/2.
package special

import "math"

const (
	invSqrt2Pi  = 0.398942280401432677939946059934381868 // 1/sqrt(2 pi)
	sqrtHalfPi  = 1.25331413731550025120788264240552263  // sqrt(pi/2)
	logSqrt2Pi  = 0.918938533204672741780329736405617640 // log sqrt(2 pi)
	invSqrtPi   = 0.564189583547756286948079451560772586 // 1/sqrt(pi)
	invTwoPi    = 0.159154943091895335768883763372514362 // 1/(2 pi)
	tailStart   = -1                                     // below it Phi is phi times the Mills ratio
	asymptoticX = 12                                     // from here on erfcx is its asymptotic series
)

// Density returns phi(x) = exp(-x^2/2)/sqrt(2 pi) to a few units in the last
// place, also in the tails.
func Density(x float64) float64 {
	return invSqrt2Pi * expHalfSquare(x)
}

// expHalfSquare returns exp(-x^2/2). With h the rounded x^2/2 and l the exact
// rest, exp(-h-l) = exp(-h)(1-l) to l^2/2 < 1e-26.
func expHalfSquare(x float64) float64 {
	if math.Abs(x) > 39 {
		return 0 // below the smallest denormal number; also avoids Inf-Inf
	}
	y := 0.5 * x
	h := y * x
	l := math.FMA(y, x, -h)
	e := math.Exp(-h)
	return e - e*l
}

// CDF returns Phi(x), with full relative accuracy in the lower tail.
func CDF(x float64) float64 {
	if x < tailStart {
		return Density(x) * Mills(-x)
	}
	return 0.5 * math.Erfc(-x/math.Sqrt2)
}

// CDFComplement returns 1 - Phi(x), with full relative accuracy in the upper
// tail.
func CDFComplement(x float64) float64 { return CDF(-x) }

// LogCDF returns log Phi(x), for every x without underflow.
func LogCDF(x float64) float64 {
	switch {
	case x < tailStart:
		return math.Log(Mills(-x)) - logSqrt2Pi - 0.5*x*x
	case x > 0:
		return math.Log1p(-CDF(-x))
	}
	return math.Log(CDF(x))
}

// Mills returns the Mills ratio (1 - Phi(x))/phi(x). It overflows below -38.5.
func Mills(x float64) float64 {
	if x < tailStart {
		return CDF(-x) / Density(x)
	}
	return sqrtHalfPi * Erfcx(x/math.Sqrt2)
}

// Erfcx returns exp(x^2) erfc(x) to about 1e-15 relative. It is 0 at +Inf and
// overflows below -26.6.
//
// Up to 12 the two factors are representable; beyond, the asymptotic series
// (Abramowitz & Stegun 1964, 7.1.23)
//
//	erfcx(x) = 1/(x sqrt(pi)) [ 1 - 1/(2x^2) + 1*3/(2x^2)^2 - ... ]
//
// has terms below 1e-17 from the ninth on.
func Erfcx(x float64) float64 {
	if x < asymptoticX {
		h := x * x
		l := math.FMA(x, x, -h)
		e := math.Exp(h) * math.Erfc(x)
		if math.IsInf(e, 0) || math.IsInf(h, 0) {
			return math.Inf(1)
		}
		return e + e*l
	}
	t := 1 / (2 * x * x)
	sum := 1.0
	for k := 17; k >= 1; k -= 2 {
		sum = 1 - float64(k)*t*sum
	}
	return invSqrtPi / x * sum
}
