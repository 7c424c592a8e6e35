package vec

import (
	"math"
	"math/big"
)

// The reference: the same functions from their series in 160-bit arithmetic.
const precision = 160

func number(x float64) *big.Float { return new(big.Float).SetPrec(precision).SetFloat64(x) }

func mul(x, y *big.Float) *big.Float { return new(big.Float).SetPrec(precision).Mul(x, y) }
func quo(x, y *big.Float) *big.Float { return new(big.Float).SetPrec(precision).Quo(x, y) }
func add(x, y *big.Float) *big.Float { return new(big.Float).SetPrec(precision).Add(x, y) }
func sub(x, y *big.Float) *big.Float { return new(big.Float).SetPrec(precision).Sub(x, y) }

var (
	bigPi = constant("3.14159265358979323846264338327950288419716939937510582097494459")
	bigLn = constant("0.693147180559945309417232121458176568075500134360255254120680009")
	sqrt2 = new(big.Float).Sqrt(number(2))
	// 1/sqrt(pi), 1/sqrt(2 pi)
	rootPi    = quo(number(1), new(big.Float).Sqrt(bigPi))
	rootTwoPi = quo(rootPi, sqrt2)
	unit      = number(1)
)

func constant(digits string) *big.Float {
	v, ok := new(big.Float).SetPrec(precision).SetString(digits)
	if !ok {
		panic(digits)
	}
	return v
}

// bigExp is exp(x) = 2^n exp(2^-8 r)^256 with the Taylor series of the middle.
func bigExp(x *big.Float) *big.Float {
	f, _ := x.Float64()
	n := math.Round(f / math.Ln2)
	r := sub(x, mul(number(n), bigLn))
	r.SetMantExp(r, -8)
	sum, term := number(1), number(1)
	for k := 1.0; term.Sign() != 0 && term.MantExp(nil) > -precision; k++ {
		term = quo(mul(term, r), number(k))
		sum = add(sum, term)
	}
	for range 8 {
		sum = mul(sum, sum)
	}
	return sum.SetMantExp(sum, int(n))
}

// bigErf is erf(x) = 2/sqrt(pi) exp(-x^2) sum_k 2^k x^(2k+1)/(2k+1)!!, all of
// one sign (Abramowitz & Stegun 1964, 7.1.6).
func bigErf(x *big.Float) *big.Float {
	square := mul(x, x)
	sum, term := x, x
	for k := 1.0; term.Sign() != 0 && term.MantExp(nil) > sum.MantExp(nil)-precision; k++ {
		term = quo(mul(term, mul(square, number(2))), number(2*k+1))
		sum = add(sum, term)
	}
	return mul(mul(mul(number(2), rootPi), bigExp(new(big.Float).Neg(square))), sum)
}

// bigErfc is 1 - erf(x) up to 2, where that loses only 8 bits of 160, and
// beyond Laplace's continued fraction (Abramowitz & Stegun 1964, 7.1.14)
//
//	erfc(x) = exp(-x^2)/sqrt(pi) / (x + (1/2)/(x + 1/(x + (3/2)/(x + ...
//
// whose error after n terms is about exp(-2 x sqrt(2 n)), below 1e-27 for the
// depth taken.
func bigErfc(x *big.Float) *big.Float {
	f, _ := x.Float64()
	if f <= 2 {
		return sub(unit, bigErf(x))
	}
	depth := math.Ceil(512/(f*f)) + 8
	d := x
	for k := depth; k >= 1; k-- {
		d = add(x, quo(number(k/2), d))
	}
	return quo(mul(rootPi, bigExp(new(big.Float).Neg(mul(x, x)))), d)
}

func bigCDF(x *big.Float) *big.Float {
	return quo(bigErfc(quo(new(big.Float).Neg(x), sqrt2)), number(2))
}

func bigDensity(x *big.Float) *big.Float {
	return mul(rootTwoPi, bigExp(quo(mul(x, x), number(-2))))
}

// smallest is the smallest normal float64.
const smallest = 0x1p-1022

// errorIn returns |got - want| in units in the last place of want, which are
// those of the denormal numbers where want is one of them.
func errorIn(got float64, want *big.Float) float64 {
	if math.IsNaN(got) || math.IsInf(got, 0) {
		return math.Inf(1)
	}
	exponent := max(want.MantExp(nil)-53, -1074)
	if want.Sign() == 0 {
		exponent = -1074
	}
	diff := sub(number(got), want)
	units, _ := diff.SetMantExp(diff, -exponent).Float64()
	return math.Abs(units)
}
