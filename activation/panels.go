package activation

import (
	"math"
	"slices"

	"github.com/covprop/covprop/internal/vec"
)

// An integrand is a function of a standard normal variable.
type integrand interface {
	// at returns the value at z and the size of the numbers it was formed
	// from: its rounding error is about epsilon times size.
	at(z float64) (value, size float64)
}

// Limits of the adaptive rule.
const (
	epsilon      = 0x1p-52
	reach        = 38.5  // beyond it the normal density underflows
	panelWidth   = 2.6   // of the first panels, in z
	panelError   = 1e-15 // refine panels above it, relative to the scale
	negligible   = 1e-17 // stop extending the range below it, relative to the scale
	maxPanels    = 320
	maxSweeps    = 56    // halvings that take a panel of width 2.6 to rounding
	breakMargin  = 6     // the range goes at least this far beyond a break
	narrowest    = 1e-18 // a transition that is shorter, in z, is a kink
	densityScale = 0.398942280401432677939946059934381868
)

// panels is a composite 31-point Gauss-Kronrod rule in z for the standard
// normal weight: the integrals of f phi and, in square mode, of f^2 phi. Its
// memory is reused from one call to the next.
type panels struct {
	f        integrand
	marginal shifted     // what f points to in integrateMarginal
	pair     conditioned // what f points to in conditional

	// square says that f is a centred activation whose norm and Hermite
	// coefficients up to any order are wanted. Since
	// |He_k(z)|/sqrt(k!) < 1.09 exp(z^2/4) (Cramer's inequality), they are
	// resolved where f exp(-z^2/4) and f^2 phi are; without square, f phi is.
	square bool
	// scale is what errors are relative to: in square mode the norm of f,
	// recomputed as the panels change.
	scale float64
	// unit is what the values of f have been divided by, so that their squares
	// neither overflow nor underflow.
	unit float64

	list          []panel
	breaks, edges []float64
	z, root, w    []float64 // per node: abscissa, exp(-z^2/4), weight with phi
	d, size       []float64 // per node: f and the size of its parts
	p, q          []float64 // per node: work space of the Hermite recurrence
}

// A panel is one interval with what is known of its two integrals (the second
// in square mode only): the difference between the Kronrod and the Gauss rule,
// the integral of the absolute value, and the rounding of the first.
type panel struct {
	lo, hi            float64
	diff, diff2       float64
	content, content2 float64
	rounding          float64
}

// build covers the line with panels of at most the given width and edges at
// the breaks, refines them and extends the range until nothing is missing.
func (r *panels) build(breaks []float64, extent, width float64) {
	r.list = r.list[:0]
	r.unit = 1
	lo, hi := -extent, extent
	for _, b := range breaks {
		lo = min(lo, max(b-breakMargin, -reach))
		hi = max(hi, min(b+breakMargin, reach))
	}
	r.edges = append(r.edges[:0], lo, hi)
	for _, b := range breaks {
		if lo < b && b < hi {
			r.edges = append(r.edges, b)
		}
	}
	slices.Sort(r.edges)
	for i, b := range r.edges[1:] {
		a := r.edges[i]
		n := min(math.Ceil((b-a)/width), maxPanels/4) // 0 between equal breaks
		for j := range int(n) {
			r.add(a+(b-a)*float64(j)/n, a+(b-a)*float64(j+1)/n)
		}
	}
	if r.square {
		r.normalize()
	}
	for i := range r.list {
		r.integrate(i)
	}
	r.rescale()
	r.extend(hi, width)
	r.extend(lo, -width)
	r.refine()
}

// addBreaks adds the breaks of a function of mu + sigma z. Around a break the
// function changes on the scale of strip, the distance to its nearest
// singularity (of 1 where that is 0). Where that is short against a panel the
// nodes could miss the change, so that breaks follow outwards at growing
// distances.
func (r *panels) addBreaks(breaks []float64, strip, mu, sigma float64) {
	if strip == 0 {
		strip = 1
	}
	add := func(z float64) {
		if math.Abs(z) < reach+breakMargin {
			r.breaks = append(r.breaks, z)
		}
	}
	for _, b := range breaks {
		z := (b - mu) / sigma
		add(z)
		for d := max(strip/math.Abs(sigma), narrowest); d < panelWidth; d *= 4 {
			add(z - d)
			add(z + d)
		}
	}
}

// add evaluates f on a new panel.
func (r *panels) add(lo, hi float64) {
	n := len(r.list)
	r.list = append(r.list, panel{lo: lo, hi: hi})
	for _, s := range []*[]float64{&r.z, &r.root, &r.w, &r.d, &r.size} {
		*s = slices.Grow((*s)[:n*kronrodNodes], kronrodNodes)[:(n+1)*kronrodNodes]
	}
	r.evaluate(n)
}

// evaluate sets the nodes of panel i.
func (r *panels) evaluate(i int) {
	p := r.list[i]
	half, mid := 0.5*(p.hi-p.lo), 0.5*(p.hi+p.lo)
	var exponents, roots [kronrodNodes]float64
	for j, x := range kronrodX {
		y := 0.5 * (mid + half*x)
		exponents[j] = -y * y
	}
	vec.ExpTo(roots[:], exponents[:])
	for j, x := range kronrodX {
		n := i*kronrodNodes + j
		z := mid + half*x
		y := 0.5 * z
		root := roots[j] - roots[j]*math.FMA(y, y, exponents[j]) // less the rounding of y^2
		d, size := r.f.at(z)
		r.z[n], r.root[n], r.w[n] = z, root, half*kronrodW[j]*densityScale*root*root
		r.d[n], r.size[n] = d/r.unit, size/r.unit
	}
}

// integrate computes the integrals of panel i from its nodes.
func (r *panels) integrate(i int) {
	p := panel{lo: r.list[i].lo, hi: r.list[i].hi}
	half := 0.5 * (p.hi - p.lo) * densityScale
	for j := range kronrodNodes {
		n := i*kronrodNodes + j
		root, d, size := r.root[n], r.d[n], r.size[n]
		wk, wg := half*kronrodW[j]*root, half*gaussW[j]*root
		if r.square {
			p.diff2 += (wk - wg) * root * d * d
			p.content2 += wk * root * d * d
		} else {
			wk, wg = wk*root, wg*root
		}
		p.diff += (wk - wg) * d
		p.content += wk * math.Abs(d)
		p.rounding += wk * epsilon * size
	}
	r.list[i] = p
}

// normalize divides the values by their largest size in the weight of the
// norm.
func (r *panels) normalize() {
	unit := 0.0
	for i, d := range r.d {
		unit = max(unit, math.Abs(d)*r.root[i])
	}
	if unit == 0 || math.IsInf(unit, 0) || math.IsNaN(unit) {
		return
	}
	r.unit = unit
	for i := range r.d {
		r.d[i] /= unit
		r.size[i] /= unit
	}
}

// rescale sets the scale to the standard deviation in square mode.
func (r *panels) rescale() {
	if r.square {
		_, v := r.moments()
		r.scale = math.Sqrt(v)
	}
}

// extend adds panels beyond the outermost one, at edge, as long as that one
// contributes: f may grow faster than the density decays, as exp(x) does.
func (r *panels) extend(edge, width float64) {
	last := -1
	for i, p := range r.list {
		if p.lo == edge || p.hi == edge {
			last = i
		}
	}
	for last >= 0 && math.Abs(edge) < reach && r.matters(last) && len(r.list) < maxPanels {
		next := edge + width
		r.add(min(edge, next), max(edge, next))
		edge, last = next, len(r.list)-1
		r.integrate(last)
		r.rescale()
	}
}

// matters reports whether panel i contributes visibly.
func (r *panels) matters(i int) bool {
	p := &r.list[i]
	return p.content > negligible*r.scale || p.content2 > negligible*r.scale*r.scale
}

// refine halves the panels whose error is above panelError and above their
// rounding, until there is none.
func (r *panels) refine() {
	for range maxSweeps {
		n, added := len(r.list), 0
		for i := range n {
			if len(r.list) >= maxPanels {
				return
			}
			if r.panelError(i) > panelError {
				mid := 0.5 * (r.list[i].lo + r.list[i].hi)
				hi := r.list[i].hi
				r.list[i].hi = mid
				r.evaluate(i)
				r.integrate(i)
				r.add(mid, hi)
				r.integrate(n + added)
				added++
			}
		}
		if added == 0 {
			return
		}
		r.rescale()
	}
}

// panelError estimates the error of the Kronrod rule on panel i relative to
// the scale, 0 if it is below the rounding.
func (r *panels) panelError(i int) float64 {
	p := &r.list[i]
	if math.Abs(p.diff) <= 2*p.rounding {
		return 0
	}
	e := kronrodError(p.diff / r.scale)
	if r.square {
		e = max(e, kronrodError(p.diff2/(r.scale*r.scale)))
	}
	return e
}

// kronrodError turns the difference between the two rules, which is the error
// of the Gauss rule, into an estimate for the Kronrod rule, whose order is
// half as high again (the heuristic of QUADPACK, Piessens et al. 1983).
func kronrodError(diff float64) float64 {
	diff = math.Abs(diff)
	scaled := 200 * diff
	return min(diff, scaled*math.Sqrt(scaled))
}

// integral returns the integral of f phi.
func (r *panels) integral() float64 {
	sum := 0.0
	for i, w := range r.w {
		sum += w * r.d[i]
	}
	return sum
}

// moments returns the mean and the variance of f in two passes.
func (r *panels) moments() (mean, variance float64) {
	mean = r.integral()
	for i, w := range r.w {
		d := r.d[i] - mean
		variance += w * d * d
	}
	return mean, variance
}

// estimate returns the estimated error relative to the scale: the rule's, the
// rounding's, and what lies beyond a range that could not be extended.
func (r *panels) estimate() float64 {
	sum, size2 := 0.0, 0.0
	for i, p := range r.list {
		sum += r.panelError(i)
		if max(-p.lo, p.hi) >= reach && r.matters(i) {
			sum += p.content/r.scale + p.content2/(r.scale*r.scale)
		}
	}
	for i, w := range r.w {
		size2 += w * r.size[i] * r.size[i]
	}
	return sum + epsilon*(4+math.Sqrt(size2)/r.scale)
}
