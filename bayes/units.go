package bayes

import (
	"fmt"
	"math"

	"github.com/covprop/covprop"
	"github.com/covprop/covprop/activation"
	"github.com/covprop/covprop/internal/kernel"
	"github.com/covprop/covprop/internal/vec"
)

// elementwise is an activation and, if it is piecewise linear, its pieces.
type elementwise struct {
	activation.Activation
	acts   []activation.Activation // (1)
	pieces activation.LinearPieces
	linear bool
	bend   bool // two linear pieces that meet
	smooth bool // see units_smooth.go
}

// jumps reports whether the activation is known to jump.
func (e *elementwise) jumps() bool { return e.linear && e.pieces.Jumps() }

func newElementwise(a activation.Activation) elementwise {
	e := elementwise{Activation: a, acts: []activation.Activation{a}}
	e.pieces, e.linear = activation.LinearPiecesOf(a)
	e.bend, e.smooth = e.bent(), e.isSmooth()
	return e
}

const (
	// pairOrder is the number of coefficients of a unit whose covariances are
	// needed; slopeOrder is enough for the derivatives of the variance of most
	// smooth units alone, and leastOrder for those of the mean.
	pairOrder  = kernel.MaxOrder
	slopeOrder = 32
	leastOrder = 3
)

// units are what the adjoint of an activation needs of its units, N(mu, v)
// each, in rows of ld beside each other: one row an example.
type units struct {
	order int       // coefficients held
	gain  []float64 // E g'  = c_1/sigma = d mean/d mu
	bend  []float64 // E g'' = c_2/v     = 2 d mean/d v = d gain/d mu
	third []float64 // E g''' = c_3/sigma^3 = 2 d gain/d v
	varMu []float64 // d Var g(X)/d mu
	varV  []float64 // d Var g(X)/d v
	sigma []float64 // standard deviation of the input
	sd    []float64 // of the output
	h     []float64 // (rows, order, ld): h_k/sd, row k-1, 0 where sd is
	tail  []float64 // (rows, len(kernel.Orders), ld): see kernel.Units
	// worst are the largest tails of each row, by order. The last, of an order beyond
	// MaxOrder, is that of the one before.
	worst [][len(kernel.Orders)]float64
}

// reset makes room for rows of units, with so many coefficients.
func (u *units) reset(rows, ld, order int) {
	u.order = order
	for _, s := range [...]*[]float64{&u.gain, &u.bend, &u.third, &u.varMu, &u.varV, &u.sigma, &u.sd} {
		*s = resize(*s, rows*ld)
	}
	u.h = resize(u.h, rows*order*ld)
	u.tail = resize(u.tail, rows*len(kernel.Orders)*ld)
	u.worst = resize(u.worst, rows)
}

// A unitBatch is scratch for units computed together.
type unitBatch struct {
	activation.Batch
	h                   [pairOrder + 1]float64
	alpha, density, cdf [2][activation.BatchSize]float64
	complement          [activation.BatchSize]float64
	noise, sum          [activation.BatchSize]float64
	table               kernel.Units
	bends               bendScratch
	smooth              smoothScratch
}

// row computes the units of one example: number r of u, with the input means mu
// and variances v, (n); mean and variance, (n), are those of the output. tails says that u.tail is needed.
func (u *units) row(s *unitBatch, e *elementwise, r, ld int, mean, variance, mu, v []float64, tol float64, tails bool) (acc covprop.Accuracy, err error) {
	n := len(mu)
	h := u.h[r*u.order*ld:][:u.order*ld]
	at := r * ld
	for i, x := range v {
		u.sigma[at+i] = math.Sqrt(x)
	}
	if e.bend && u.order == leastOrder && u.bends(&s.bends, e, at, mean, variance, mu) {
		return acc, nil
	}
	for lo := 0; lo < n; lo += activation.BatchSize {
		hi := min(n, lo+activation.BatchSize)
		s.Mu, s.Sigma = mu[lo:hi], u.sigma[at+lo:at+hi]
		s.Mean, s.Gain, s.Variance, s.Deviation = mean[lo:hi], u.gain[at+lo:at+hi], variance[lo:hi], u.sd[at+lo:at+hi]
		s.H, s.Stride, s.K = h[lo:], ld, u.order
		var done uint64
		if e.linear {
			done = activation.MarginalsTo(e.acts, &s.Batch)
			u.linearSlopes(s, e, at+lo, h[lo:], ld)
			for i := range hi - lo {
				if s.noise[i] = exactNoise; s.Deviation[i] == 0 {
					s.noise[i] = 0
				}
			}
		} else if e.smooth {
			var a covprop.Accuracy
			done, a = u.smooth(s, e, at+lo, h[lo:], ld, tol)
			acc = acc.And(a)
		}
		for i := range hi - lo {
			if done&(1<<i) == 0 {
				a, err := u.unit(s, e, at+lo+i, i, h[lo+i:], ld, tol)
				if err != nil {
					return acc, err
				}
				acc = acc.And(a)
			}
		}
		if tails {
			s.table = kernel.Units{N: n, Stride: ld, K: u.order, H: h, Tail: u.tail[r*len(kernel.Orders)*ld:][:len(kernel.Orders)*ld]}
			kernel.TailsTo(&s.table, lo, hi, s.noise[:hi-lo], s.sum[:hi-lo])
		}
	}
	for k := range u.order { // nothing beyond the last unit
		clear(h[k*ld+n : (k+1)*ld])
	}
	if tails {
		for l := range kernel.Orders {
			u.worst[r][l] = largest(s.table.Tail[min(l, lastLevel-1)*ld:][:n])
		}
	}
	return acc, nil
}

// exactNoise bounds the rounding in 1 - sum h_k^2 for a closed form.
const exactNoise = 64 * 0x1p-52

// linearSlopes computes what [units] hold beside mean and variance for the units
// of a batch with linear pieces. With gc = g - E g, P_p the probability of piece
// p, s_p its slope, and at a knot t alpha = (t-mu)/sigma and +, - the sides,
//
//	dVar/dmu = sum_p 2 s_p E[gc; p] + sum_t (gc+^2 - gc-^2) phi(alpha)/sigma
//	dVar/dv  = sum_p s_p^2 P_p + sum_t [ (s gc)+ - (s gc)- + (gc+^2 - gc-^2) alpha/(2 sigma) ] phi(alpha)/sigma,
//
// since the derivatives by mu and v of E F(X), F = gc^2, are the mean of F' and half
// that of the derivative of F', with their jumps; that E g moves as well adds nothing, as E gc = 0.
func (u *units) linearSlopes(s *unitBatch, e *elementwise, at int, h []float64, ld int) {
	n, p := len(s.Mu), &e.pieces
	for t := range p.Knots {
		alpha, phi := s.alpha[t][:n], s.density[t][:n]
		for i := range alpha {
			alpha[i] = (p.At[t] - s.Mu[i]) / s.Sigma[i]
		}
		vec.DensityTo(phi, alpha)
		vec.CDFTo(s.cdf[t][:n], alpha)
	}
	if last := p.Knots - 1; last >= 0 {
		for i := range n {
			s.complement[i] = -s.alpha[last][i]
		}
		vec.CDFTo(s.complement[:n], s.complement[:n])
	}
	for i := range n {
		sd, inverse := s.Deviation[i], 1/s.Sigma[i]
		u.bend[at+i] = math.Sqrt2 * h[ld+i] * sd * inverse * inverse
		u.third[at+i] = rootSix * h[2*ld+i] * sd * inverse * inverse * inverse
	}
	if p.Knots == 1 {
		u.oneKnot(s, p, at)
		return
	}
	for i := range n {
		u.varMu[at+i], u.varV[at+i] = s.pieceSlopes(p, i)
	}
}

// oneKnot does those sums for two pieces.
func (u *units) oneKnot(s *unitBatch, p *activation.LinearPieces, at int) {
	n := len(s.Mu)
	varMu, varV := u.varMu[at:][:n], u.varV[at:][:n]
	mean, sigma := s.Mean[:n], s.Sigma[:n]
	alpha, below, above, density := s.alpha[0][:n], s.cdf[0][:n], s.complement[:n], s.density[0][:n]
	x, s0, s1 := p.At[0], p.Slope[0], p.Slope[1]
	left, right := p.Value[0]+s0*x, p.Value[1]+s1*x // g on either side of the knot
	for i, phi := range density {
		lo, hi := left-mean[i], right-mean[i]
		away, inverse := alpha[i]*sigma[i], 1/sigma[i] // knot - mu
		jump := (hi - lo) * (hi + lo)
		varMu[i] = 2*(s0*((lo-s0*away)*below[i]-s0*sigma[i]*phi)+s1*((hi-s1*away)*above[i]+s1*sigma[i]*phi)) + jump*phi*inverse
		varV[i] = s0*s0*below[i] + s1*s1*above[i] + (s1*hi-s0*lo+0.5*jump*alpha[i]*inverse)*phi*inverse
	}
}

// pieceSlopes does them for unit i and any number of pieces.
func (s *unitBatch) pieceSlopes(p *activation.LinearPieces, i int) (dm, dv float64) {
	mu, sigma, mean := s.Mu[i], s.Sigma[i], s.Mean[i]
	inverse := 1 / sigma
	below, left := 0., 0. // Phi and phi at the left knot
	for k := range p.Knots + 1 {
		slope, value := p.Slope[k], p.Value[k]-mean
		share, right := 1-below, 0.
		if k < p.Knots {
			share, right = s.cdf[k][i]-below, s.density[k][i]
		} else if k > 0 {
			share = s.complement[i]
		}
		dm += 2 * slope * ((value+slope*mu)*share + slope*sigma*(left-right))
		dv += slope * slope * share
		if k < p.Knots {
			x := p.At[k]
			lo, hi := value+slope*x, p.Value[k+1]-mean+p.Slope[k+1]*x
			jump := (hi - lo) * (hi + lo)
			dm += jump * right * inverse
			dv += (p.Slope[k+1]*hi - slope*lo + 0.5*jump*s.alpha[k][i]*inverse) * right * inverse
			below, left = s.cdf[k][i], right
		}
	}
	return dm, dv
}

const rootSix = 2.44948974278317809820

// unit computes unit i of u, which is number j of the batch, by itself.
func (u *units) unit(s *unitBatch, e *elementwise, i, j int, h []float64, ld int, tol float64) (acc covprop.Accuracy, err error) {
	mu, sigma := s.Mu[j], s.Sigma[j]
	c := s.h[:u.order+1]
	variance, acc := activation.Marginal(e.Activation, c, mu, sigma, tol)
	sum := 0.
	for k, x := range c {
		if math.IsNaN(x) || math.IsInf(x, 0) {
			return acc, fmt.Errorf("coefficient %d of %s at mean %v and standard deviation %v is %v: the moments do not exist in float64", k, e.Name(), mu, sigma, x)
		}
		if k > 0 {
			sum += x * x
		}
	}
	if !(variance >= 0) || math.IsInf(variance, 0) {
		return acc, fmt.Errorf("the variance of %s at mean %v and standard deviation %v is %v: the moments do not exist in float64", e.Name(), mu, sigma, variance)
	}
	sd := math.Sqrt(variance)
	s.Mean[j], s.Variance[j], s.Deviation[j] = c[0], variance, sd
	for k, x := range c[1:] {
		if h[k*ld] = 0; sd > 0 {
			h[k*ld] = kernel.Significant(x / sd)
		}
	}
	s.noise[j] = 0
	if sigma == 0 {
		// The derivatives by v meet only factors 0: v is 0 whatever the weights.
		slope := e.Derivative(mu)
		if math.IsNaN(slope) || math.IsInf(slope, 0) {
			return acc, fmt.Errorf("the slope of %s at %v is %v", e.Name(), mu, slope)
		}
		u.gain[i], u.bend[i], u.third[i], u.varMu[i], u.varV[i] = slope, 0, 0, 0, slope*slope
		return acc, nil
	}
	u.gain[i] = c[1] / sigma
	u.bend[i] = math.Sqrt2 * c[2] / (sigma * sigma)
	u.third[i] = rootSix * c[3] / (sigma * sigma * sigma)
	if sd == 0 {
		u.varMu[i], u.varV[i] = 0, 0
		return acc, nil
	}
	s.noise[j] = exactNoise + 2*min(acc.Bound, 1)
	if d, ok := activation.Degree(e.Activation); ok && d <= u.order {
		s.noise[j] = 0
	}
	// What is missing from the series of the derivatives is products of one of the
	// last two coefficients held with one beyond, and of two beyond, times up to k.
	rest := math.Sqrt(math.Abs(variance-sum)/variance + s.noise[j])
	last := (math.Abs(c[u.order-1]) + math.Abs(c[u.order])) / sd
	if float64(u.order+2)*rest*(last+rest) <= tol || s.noise[j] == 0 {
		u.varMu[i], u.varV[i] = seriesSlopes(c, sigma)
		return acc, nil
	}
	dm, dv, estimate := varianceSlopes(e, mu, sigma, c[0], variance)
	u.varMu[i], u.varV[i] = dm, dv
	return acc.And(covprop.ApproximatedBy(estimate, "quadrature")), nil
}

// seriesSlopes returns the derivatives of sum_{k>=1} h_k^2,
//
//	dVar/dmu = (2/sigma) sum c_k c_{k+1}/k!,   dVar/dv = (1/v) sum c_k (k c_k + c_{k+2})/k!.
func seriesSlopes(h []float64, sigma float64) (dm, dv float64) {
	for k := len(h) - 1; k >= 1; k-- {
		x := float64(k)
		dv += x * h[k] * h[k]
		if k+1 < len(h) {
			dm += math.Sqrt(x+1) * h[k] * h[k+1]
		}
		if k+2 < len(h) {
			dv += math.Sqrt((x+1)*(x+2)) * h[k] * h[k+2]
		}
	}
	return 2 * dm / sigma, dv / (sigma * sigma)
}

// resize returns a slice of length n, s itself where it has room.
func resize[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n)
	}
	return s[:n]
}
