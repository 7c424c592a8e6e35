package kernel

import (
	"math"

	"github.com/covprop/covprop/internal/vec"
)

// Bends are units whose activations have one bend, as ReLU and its kin, for the
// covariances of pairs that are so highly correlated that the series is slow.
// About its mean such a unit is linear but for a tail beyond the knot: up to a
// constant
//
//	g(mu + sigma Z)/sd = b Z + d (sign Z - a)_+,   a = |knot - mu|/sigma,
//
// sd being its output standard deviation. The zero value holds no units.
type Bends struct {
	n, stride int
	data      []float64 // (bendFields, stride), field by field, full vectors of units
}

// The fields of Bends. None overflows or is denormal, however far the tail: J_m
// = E (Z - a)_+^m goes by phi(a), sd by its root, and so do the numbers here.
const (
	bendAlpha   = iota // sign a, with the sign also where a is 0; NaN if the unit has not one bend
	bendLinear         // b
	bendJump           // d
	bendDensity        // d sqrt(phi(a))
	bendFirst          // d E[(sign Z - a)_+ Z] = sign d J_0
	bendJ0             // J_m / sqrt(phi(a))
	bendJ1
	bendJ2
	bendFields
)

// BendFarthest stands for any larger a. sqrt(phi) is 7e-273 there, and d 1e165
// at most.
const BendFarthest = 50

// Reset makes room for n units, none of which has a bend.
func (b *Bends) Reset(n int) {
	b.n, b.stride = n, ceilDiv(n, lanes)*lanes
	if size := bendFields * b.stride; cap(b.data) < size {
		b.data = make([]float64, size)
	} else {
		b.data = b.data[:size]
	}
	alpha := b.field(bendAlpha)
	for i := range alpha {
		alpha[i] = math.NaN()
	}
}

func (b *Bends) field(f int) []float64 { return b.data[f*b.stride:][:b.stride] }

// Set sets unit i: alpha = sign a, b and d. Finish sets the rest.
func (b *Bends) Set(i int, alpha, linear, jump float64) {
	b.field(bendAlpha)[i] = math.Copysign(min(math.Abs(alpha), BendFarthest), alpha)
	b.field(bendLinear)[i], b.field(bendJump)[i] = linear, jump
}

// Finish computes the tails of all units that are set. The rounding error of
// a^2/4, which the exponential would magnify, is put back.
func (b *Bends) Finish() {
	const batch = 64
	var a, root, ones [batch]float64
	for i := range ones {
		ones[i] = 1
	}
	alpha, jump, density, first := b.field(bendAlpha), b.field(bendJump), b.field(bendDensity), b.field(bendFirst)
	j0, j1, j2 := b.field(bendJ0), b.field(bendJ1), b.field(bendJ2)
	for lo := 0; lo < b.stride; lo += batch {
		n := min(batch, b.stride-lo)
		for i, x := range alpha[lo:][:n] {
			a[i] = math.Abs(x)
			root[i] = -0.25 * a[i] * a[i]
		}
		vec.ExpTo(root[:n], root[:n])
		HalfLineTo(j0[lo:][:n], j1[lo:][:n], j2[lo:][:n], a[:n], ones[:n])
		for i := lo; i < lo+n; i++ {
			quarter := 0.25 * a[i-lo]
			r := rootTwoPi4 * root[i-lo] * (1 - math.FMA(quarter, a[i-lo], -quarter*a[i-lo]))
			density[i] = jump[i] * r
			j0[i], j1[i], j2[i] = r*j0[i], r*j1[i], r*j2[i]
			first[i] = math.Copysign(1, alpha[i]) * density[i] * j0[i]
		}
	}
}

const rootTwoPi4 = 0.63161877774606470129 // (2 pi)^(-1/4)

const (
	// bendRounding is the relative error of a part of a covariance.
	bendRounding = 16 * 0x1p-52
	// bendNegligible bounds an integral that is left out.
	bendNegligible = 1e-14
	// bendCut is the exponent from which on integrals are: their scale is below
	// 2000.
	bendCut = 40
	// bendTouch is the (1-r)/(1+r) up to which they are.
	bendTouch = 1e-13
)

// With r = |rho| and beta the other knot, turned round for rho < 0, the
// covariance of the tails at alpha and beta is, m being the farther one,
//
//	same sign:      J_2(m) + |alpha - beta| J_1(m) - (1-r) J_0(m) - J_1(alpha) J_1(beta) + I,
//	opposite sign:  -J_1(alpha) J_1(beta) + I:
//
// the value at r = 1, its slope there, and what the curvature adds, since the
// second derivative in r is the density (Price 1958),
//
//	I = int_r^1 (u - r) phi2(alpha, beta; u) du.
//
// With u = cos 2 arctan y, delta = (1-r)/(1+r), this is
//
//	I = (1+r)/pi int_0^sqrt(delta) (delta - y^2)/(1+y^2)^2 exp(-E) dy,
//	E = (alpha^2 + beta^2)/4 + ((alpha-beta)/y)^2/8 + ((alpha+beta) y)^2/8.
//
// exp(-(alpha^2 + beta^2)/4) is sqrt(2 pi phi(alpha) phi(beta)), and y =
// sqrt(s) x gives PairIntegrals: s is delta, or less where the third term of E is
// above PairSteepest before y gets there. In most pairs the knots are so far
// apart that nothing is left of I.
//
// Subtracting (1-r) J_0 costs digits where the tail is far, about m^2 (1-r) of
// them; the sum of the sizes of all parts shows that, and the bound goes by it.

// A bentVector has covariances of one unit with eight others, relative to the
// output standard deviations.
type bentVector struct {
	cov   [lanes]float64
	done  uint64 // the lanes that are covariances
	place int    // of the vector in a tile
}

// bentIntegrals are what is to be added to a bentVector: scale times the
// integral of PairIntegrals.
type bentIntegrals struct {
	a, b, s, t, scale [lanes]float64
	near              uint64 // the lanes that need one; the others have no meaning
}

// bendGeneric computes v, the covariances of unit i of f with the units from j on
// of g, for the lanes of todo where it can be had within tol. bound is raised to
// that of each lane.
func bendGeneric(v *bentVector, in *bentIntegrals, bound, rho *[lanes]float64, f *Bends, i int, g *Bends, j int, todo uint64, tol float64) {
	v.done, in.near = 0, 0
	for k := range lanes {
		if todo>>k&1 == 0 {
			continue
		}
		cov, limit, near := in.lane(k, rho[k], f, i, g, j+k)
		if !(limit <= tol) {
			continue
		}
		v.cov[k], bound[k] = cov, max(bound[k], limit)
		v.done |= 1 << k
		if near {
			in.near |= 1 << k
		}
	}
}

// lane returns a covariance and its bound, infinite where there is no closed
// form, and whether its integral, which becomes lane k, is to be added.
func (in *bentIntegrals) lane(k int, rho float64, f *Bends, i int, g *Bends, j int) (cov, bound float64, near bool) {
	at := func(b *Bends, field, i int) float64 { return b.data[field*b.stride+i] }
	r := math.Abs(rho)
	delta := (1 - r) / (1 + r)
	alpha, beta := at(f, bendAlpha, i), at(g, bendAlpha, j)*math.Copysign(1, rho)
	gap, sum := math.Abs(alpha-beta), math.Abs(alpha+beta)
	if !(gap >= 0) || !(delta <= PairLongest) {
		return 0, math.Inf(1), false
	}
	x0 := rho * at(f, bendLinear, i) * at(g, bendLinear, j)
	x1 := rho * at(f, bendLinear, i) * at(g, bendFirst, j)
	x2 := rho * at(f, bendFirst, i) * at(g, bendLinear, j)
	x3 := -at(f, bendDensity, i) * at(f, bendJ1, i) * (at(g, bendDensity, j) * at(g, bendJ1, j))
	size := math.Abs(x0) + math.Abs(x1) + math.Abs(x2) + math.Abs(x3)
	cov = x0 + x1 + x2 + x3
	if math.Signbit(alpha) == math.Signbit(beta) {
		far, m, near, l := f, i, g, j
		if math.Abs(alpha) < math.Abs(beta) {
			far, m, near, l = g, j, f, i
		}
		d := at(far, bendDensity, m) * at(near, bendJump, l)
		x4, x5 := d*(at(far, bendJ2, m)+gap*at(far, bendJ1, m)), d*(1-r)*at(far, bendJ0, m)
		cov, size = cov+(x4-x5), size+math.Abs(x4)+math.Abs(x5)
	}
	bound = bendNegligible + bendRounding*size
	near = delta > bendTouch && gap*gap < 8*bendCut*delta && gap*sum < 4*bendCut
	if near {
		s, t, b := delta, 1., sum*sum*delta/8
		if b > PairSteepest {
			t = b / PairSteepest
			s, b = delta/t, PairSteepest
		}
		in.a[k], in.b[k], in.s[k], in.t[k] = gap*gap/(8*s), b, s, t
		in.scale[k] = rootTwoByPi * (1 + r) * at(f, bendDensity, i) * at(g, bendDensity, j) * s * math.Sqrt(s)
		bound += PairError * math.Abs(in.scale[k]) * t
	}
	return cov, bound, near
}

const rootTwoByPi = 0.79788456080286535588 // sqrt(2/pi)
