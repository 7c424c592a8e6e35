package qmc

import "math"

// quantiles replaces every u by Phi^-1(u), for u in (0, 1) with 1-u exact, to
// within 1e-15 relative (6.3e-16 seen), odd about 1/2 exactly.
//
// The rational approximants are those of Wichura (1988), algorithm AS 241
// PPND16: with q = u - 1/2, in q^2 for |q| <= 0.425, and beyond it in
// sqrt(-log min(u, 1-u)). The latter, 15% of uniform numbers, wait for a
// second loop, so that the first has no branch that is hard to predict.
func quantiles(dst []float64) {
	const block = 256
	var (
		tails [block]float64 // u of those that wait
		at    [block]uint8   // their positions
	)
	for len(dst) > 0 {
		part := dst[:min(len(dst), block)]
		n := 0
		for i, u := range part {
			q := u - 0.5
			tails[n&(block-1)], at[n&(block-1)] = u, uint8(i)
			if math.Abs(q) > 0.425 {
				n++
			}
			part[i] = central(q)
		}
		for i, u := range tails[:n] {
			z := tail(math.Sqrt(-math.Log(min(u, 1-u))))
			part[at[i]] = math.Copysign(z, u-0.5)
		}
		dst = dst[len(part):]
	}
}

// central returns Phi^-1(1/2 + q) for |q| <= 0.425.
func central(q float64) float64 {
	r := 0.180625 - q*q
	num := ((((((2.5090809287301226727e+3*r+3.3430575583588128105e+4)*r+
		6.7265770927008700853e+4)*r+4.5921953931549871457e+4)*r+
		1.3731693765509461125e+4)*r+1.9715909503065514427e+3)*r+
		1.3314166789178437745e+2)*r + 3.3871328727963666080
	den := ((((((5.2264952788528545610e+3*r+2.8729085735721942674e+4)*r+
		3.9307895800092710610e+4)*r+2.1213794301586595867e+4)*r+
		5.3941960214247511077e+3)*r+6.8718700749205790830e+2)*r+
		4.2313330701600911252e+1)*r + 1
	return q * num / den
}

// tail returns -Phi^-1(p) for p < 0.075, from r = sqrt(-log p).
func tail(r float64) float64 {
	if r <= 5 {
		r -= 1.6
		num := ((((((7.74545014278341407640e-4*r+2.27238449892691845833e-2)*r+
			2.41780725177450611770e-1)*r+1.27045825245236838258)*r+
			3.64784832476320460504)*r+5.76949722146069140550)*r+
			4.63033784615654529590)*r + 1.42343711074968357734
		den := ((((((1.05075007164441684324e-9*r+5.47593808499534494600e-4)*r+
			1.51986665636164571966e-2)*r+1.48103976427480074590e-1)*r+
			6.89767334985100004550e-1)*r+1.67638483018380384940)*r+
			2.05319162663775882187)*r + 1
		return num / den
	}
	r -= 5
	num := ((((((2.01033439929228813265e-7*r+2.71155556874348757815e-5)*r+
		1.24266094738807843860e-3)*r+2.65321895265761230930e-2)*r+
		2.96560571828504891230e-1)*r+1.78482653991729133580)*r+
		5.46378491116411436990)*r + 6.65790464350110377720
	den := ((((((2.04426310338993978564e-15*r+1.42151175831644588870e-7)*r+
		1.84631831751005468180e-5)*r+7.86869131145613259100e-4)*r+
		1.48753612908506148525e-2)*r+1.36929880922735805310e-1)*r+
		5.99832206555887937690e-1)*r + 1
	return num / den
}
