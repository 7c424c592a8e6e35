package layer

import (
	"math"

	"gonum.org/v1/gonum/blas/blas64"
)

// normIntegrals are the moments of x s^-1/2, s = x'x + e, for independent
// x_i ~ N(m_i, lambda_i) in units in which E s = 1. From
//
//	s^-1/2 = pi^-1/2 int t^-1/2 e^-ts dt,    1/s = int e^-ts dt,    s^-3/2 = 2 pi^-1/2 int t^1/2 e^-ts dt
//
// over t from 0 and the tilted Gaussian, g_i = 1/(1 + 2 t lambda_i),
//
//	Z = E e^-ts = exp(1/2 sum log g_i - t sum m_i^2 g_i - t e)
//	E x e^-ts = Z (m o g),    E x x' e^-ts = Z [(m o g)(m o g)' + diag(lambda o g)]
//
// (Provost & Mathai 1992, quadratic forms) follow
//
//	E x s^-1/2 = pi^-1/2 int t^-1/2 Z (m o g) dt
//	E x x'/s   = int Z [(m o g)(m o g)' + diag(lambda o g)] dt
//	gain       = E[I s^-1/2 - x x' s^-3/2]
//	           = 2 pi^-1/2 int t^1/2 Z { diag_i(e + sum_{k != i} [lambda_k g_k + m_k^2 g_k^2]) - off-diagonal (m o g)(m o g)' } dt,
//
// in which no term of a gain cancels. A covariance as the difference of two
// such moments is rounding when the noise is small. With m o g = m - r,
// r = 2 t lambda o m o g, and p = s^-1/2 it is
//
//	Cov(x p) = Var(p) m m' - m w' - w m' + int Z r r' dt - d d' + diag(int Z lambda o g dt),
//	d = pi^-1/2 int t^-1/2 Z r dt,    w = int Z r dt - E p d,
//	Var p = E(p - 1)^2 - (E p - 1)^2,    E p - 1 = pi^-1/2 int t^-1/2 (Z - e^-t) dt,
//	E(p - 1)^2 = int (1 - 2 (pi t)^-1/2) (Z - e^-t) dt,
//
// where all terms are of the size of the noise, as Z - e^-t = e^-t (e^A - 1) with
// A = sum [t lambda_i - 1/2 log(1 + 2 t lambda_i)] + 2 t^2 sum lambda_i m_i^2 g_i.
//
// The trapezoidal rule in u = log t converges as exp(-2 pi v/h), v the half-width
// of the strip in which the integrand is analytic and small (Trefethen &
// Weideman 2014). It is analytic for |Im u| < pi and bounded for |Im u| <= pi/2
// by its absolute value on the imaginary axis of t, so that h = 1/5 leaves
// exp(-5 pi^2) = 4e-22 times factors below 1e5.
type normIntegrals struct {
	lambda, m []float64 // (k)
	e         float64

	p1m1, varP     float64   // E p - 1, Var p
	w, d           []float64 // (k)
	spread         []float64 // (k) int Z lambda o g dt
	gainDiag       []float64 // (k)
	direct, around float64   // traces of what the two forms of the covariance subtract from

	t, z []float64 // the nodes in use, and Z at them

	g, r  []float64      // (k) scratch
	panel blas64.General // (k, panelNodes) scratch
}

const (
	normStep   = 1. / 5
	normLowest = -40 // log t: below, integrands of order t are lost in rounding
	normNodes  = (160 - normLowest) * 5
	panelNodes = 32
)

// vectors computes everything but the matrices.
func (q *normIntegrals) vectors() {
	k := len(q.m)
	clear(q.w)
	clear(q.d)
	clear(q.spread)
	clear(q.gainDiag)
	q.t, q.z = q.t[:0], q.z[:0]
	q.direct, q.around = 0, 0
	var p1, pp float64 // E p - 1, E(p - 1)^2
	var sums [3]float64
	for i := range normNodes {
		t := math.Exp(normLowest + float64(i)*normStep)
		z, dz := q.tilt(t)
		root := math.Sqrt(t / math.Pi)
		p1 += root * dz
		pp += (t - 2*root) * dz
		second, mg := 0., 0.
		for j, g := range q.g {
			x := q.m[j] * g
			r := 2 * t * q.lambda[j] * x
			q.w[j] += t * z * r
			q.d[j] += root * z * r
			q.spread[j] += t * z * q.lambda[j] * g
			q.r[j] = q.lambda[j]*g + x*x
			second += q.r[j]
			mg += x * x
			q.around += t * z * r * r
		}
		q.direct += t * z * mg
		before, after := q.e, 0.
		for j := range k {
			q.gainDiag[j] += 2 * root * t * z * before
			before += q.r[j]
			q.gainDiag[k-1-j] += 2 * root * t * z * after
			after += q.r[k-1-j]
		}
		q.t, q.z = append(q.t, t), append(q.z, z)
		// Stop when the integrands have died away.
		done := true
		for j, v := range [3]float64{t * z * second, root * z * math.Sqrt(mg), root * t * z * (q.e + second)} {
			sums[j] += v
			done = done && v <= 0x1p-60*sums[j]
		}
		if done && t > 1 {
			break
		}
	}
	q.p1m1 = normStep * p1
	q.varP = normStep*pp - q.p1m1*q.p1m1
	for j := range k {
		q.d[j] *= normStep
		q.w[j] = normStep*q.w[j] - (1+q.p1m1)*q.d[j]
		q.spread[j] *= normStep
		q.gainDiag[j] *= normStep
	}
	q.direct *= normStep
	q.around *= normStep
}

// tilt returns Z and Z - e^-t, and sets g.
func (q *normIntegrals) tilt(t float64) (z, dz float64) {
	var a, logs, quad float64
	for j, l := range q.lambda {
		x := 2 * t * l
		g := 1 / (1 + x)
		f, log := lessLog1p(x)
		mg := q.m[j] * q.m[j] * g
		a += f/2 + t*x*mg
		logs += log
		quad += mg
		q.g[j] = g
	}
	if a <= 1 {
		e := math.Exp(-t)
		return math.Exp(a - t), e * math.Expm1(a)
	}
	z = math.Exp(-logs/2 - t*(quad+q.e))
	return z, z - math.Exp(-t)
}

// lessLog1p returns x - log(1 + x), x >= 0, and the logarithm, to rounding: for
// small x by log(1 + x) = 2 artanh y, y = x/(2 + x), whose series has 12 terms for
// y < 1/5.
func lessLog1p(x float64) (less, log float64) {
	if x > .5 {
		log = math.Log1p(x)
		return x - log, log
	}
	y := x / (2 + x)
	y2, sum := y*y, 0.
	for k := 25; k >= 3; k -= 2 {
		sum = sum*y2 + 1/float64(k)
	}
	less = x*y - 2*y*y2*sum
	return less, x - less
}

// gainTo writes the gain to dst, (k, k).
func (q *normIntegrals) gainTo(dst blas64.General) {
	q.accumulate(dst, func(t, z float64) float64 { return 2 * math.Sqrt(t/math.Pi) * t * z }, false)
	for i := range dst.Rows {
		for j, v := range row(dst, i) {
			dst.Data[i*dst.Stride+j] = -v
		}
		dst.Data[i*dst.Stride+i] = q.gainDiag[i]
	}
}

// momentTo writes int Z r r' dt to dst, or int Z (m o g)(m o g)' dt if around is
// not set, with diag(int Z lambda o g dt) added.
func (q *normIntegrals) momentTo(dst blas64.General, around bool) {
	q.accumulate(dst, func(t, z float64) float64 { return t * z }, around)
	for i, v := range q.spread {
		dst.Data[i*dst.Stride+i] += v
	}
}

// accumulate writes the integral of weight v v', with v = r if around is set and
// m o g otherwise, to dst: the nodes are the inner dimension of a product of
// matrices.
func (q *normIntegrals) accumulate(dst blas64.General, weight func(t, z float64) float64, around bool) {
	for i := range dst.Rows {
		clear(row(dst, i))
	}
	p := q.panel
	p.Cols = 0
	flush := func() {
		if p.Cols > 0 {
			gemmTrans(dst, p, p, true)
			p.Cols = 0
		}
	}
	for i, t := range q.t {
		f := math.Sqrt(normStep * weight(t, q.z[i]))
		if f == 0 {
			continue
		}
		for j, l := range q.lambda {
			v := f * q.m[j] / (1 + 2*t*l)
			if around {
				v *= 2 * t * l
			}
			p.Data[j*p.Stride+p.Cols] = v
		}
		if p.Cols++; p.Cols == panelNodes {
			flush()
		}
	}
	flush()
}
