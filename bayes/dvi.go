package bayes

import (
	"math"

	"gonum.org/v1/gonum/blas/blas64"

	"github.com/covprop/covprop"
	"github.com/covprop/covprop/internal/special"
)

// Wu et al. (ICLR 2019) approximate the covariance of two ReLUs, in units of
// sigma_i sigma_j and with a = mu_i/sigma_i, b = mu_j/sigma_j, by its asymptote and,
// for the rest, the exponential of a Taylor polynomial of second order, as their
// public program computes it:
//
//	f = rho [ Phi(a) Phi(b) + R ],   R = alpha/(2 pi) exp( -u (a^2 + b^2)/2 + w a b ),
//	alpha = asin rho - rho/(1 + q),   u = rho/(alpha (1 + q)),   w = (asin rho - rho)/(alpha rho),
//
// q = sqrt(1 - rho^2). Variances and means stay exact.

// dviLimit is the largest correlation taken: the derivative of the approximation
// is infinite at 1, unlike that of the covariance.
const dviLimit = 1 - 0x1p-40

const dviReason = "the covariances of Wu et al. (2019)"

// dviRho has alpha, u and w of rho, and their derivatives.
type dviRho struct{ rho, alpha, alphaRho, u, uRho, w, wRho float64 }

func newDVI(rho float64) (d dviRho) {
	rho = max(-dviLimit, min(dviLimit, rho))
	q := math.Sqrt((1 - rho) * (1 + rho))
	sine, cube := asinParts(rho) // asin(rho)/rho and (asin rho - rho)/rho^3
	unit := sine - 1/(1+q)       // alpha/rho
	d.rho, d.alpha, d.alphaRho = rho, rho*unit, 1/(1+q)
	d.u, d.w = 1/(unit*(1+q)), rho*cube/unit
	if rho != 0 {
		d.uRho = d.u * ((1-d.alphaRho/unit)/rho + rho/(q*(1+q)))
	}
	d.wRho = 1/(q*(1+q)*unit) - cube/unit*(d.alphaRho/unit+1)
	return d
}

// asinParts returns asin(x)/x and (asin(x) - x)/x^3, which cancels for a small x:
// there it is its Taylor series, off by 1e-17 at most.
func asinParts(x float64) (ratio, cube float64) {
	y := x * x
	if y > 0.01 {
		ratio = math.Asin(x) / x
		return ratio, (ratio - 1) / y
	}
	c := 46189. / 5505024
	for _, t := range [...]float64{12155. / 1245184, 6435. / 557056, 143. / 10240, 231. / 13312, 63. / 2816, 35. / 1152, 5. / 112, 3. / 40, 1. / 6} {
		c = t + y*c
	}
	return 1 + y*c, c
}

// dviForward writes the covariances below the diagonal.
func (p *pass) dviForward(u *units, b int, in, out *state) {
	p.acc = p.acc.And(covprop.ApproximatedBy(math.Inf(1), dviReason))
	cov, dst := in.covOf(in.cov, b), out.covOf(out.cov, b)
	sigma, gain := u.sigma[b*in.ld:][:in.n], u.gain[b*in.ld:][:in.n]
	mu := row(in.mean, b)
	for i := range in.n {
		for j := range i {
			dst.Data[i*dst.Stride+j] = 0
			if sigma[i] == 0 || sigma[j] == 0 {
				continue
			}
			s := sigma[i] * sigma[j]
			d := newDVI(cov.Data[i*cov.Stride+j] / s)
			x, y := mu[i]/sigma[i], mu[j]/sigma[j]
			rest := d.alpha / (2 * math.Pi) * math.Exp(-0.5*d.u*(x*x+y*y)+d.w*x*y)
			dst.Data[i*dst.Stride+j] = s * d.rho * (gain[i]*gain[j] + rest) // E g' = Phi(a)
		}
	}
}

// dviBackward is its adjoint: with C = sigma_i sigma_j f(a, b, rho),
//
//	dC/dmu_i = sigma_j f_a,   dC/dv_i = sigma_j/(2 sigma_i) (f - a f_a - rho f_rho),   dC/dSigma_ij = f_rho.
func dviBackward(u *units, b int, in *state, cov, grad, to blas64.General, gm, gv []float64) {
	sigma, gain := u.sigma[b*in.ld:][:in.n], u.gain[b*in.ld:][:in.n]
	mu := row(in.mean, b)
	for i := range in.n {
		for j := range in.n {
			if j == i || sigma[i] == 0 || sigma[j] == 0 {
				to.Data[i*to.Stride+j] = 0
				continue
			}
			d := newDVI(cov.Data[i*cov.Stride+j] / (sigma[i] * sigma[j]))
			x, y := mu[i]/sigma[i], mu[j]/sigma[j]
			e := math.Exp(-0.5*d.u*(x*x+y*y)+d.w*x*y) / (2 * math.Pi)
			rest := d.alpha * e
			f := d.rho * (gain[i]*gain[j] + rest)
			fa := d.rho * (special.Density(x)*gain[j] + rest*(d.w*y-d.u*x))
			slope := d.alphaRho*e + rest*(-0.5*d.uRho*(x*x+y*y)+d.wRho*x*y)
			fr := f/d.rho + d.rho*slope
			if d.rho == 0 {
				fr = gain[i] * gain[j]
			}
			g := grad.Data[i*grad.Stride+j]
			gm[i] += 2 * g * sigma[j] * fa
			gv[i] += g * sigma[j] / sigma[i] * (f - x*fa - d.rho*fr)
			to.Data[i*to.Stride+j] = g * fr
		}
	}
}
