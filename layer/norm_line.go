package layer

import (
	"math"
	"slices"

	"github.com/covprop/covprop/internal/special"
)

// lineMoments are the moments of f(a) = a/sqrt(a^2 + c) and h(a) =
// 1/sqrt(a^2 + c) for one variable a ~ N(mu, sigma^2), sigma > 0: what a group
// is made of that varies in one direction only. The covariances keep their
// relative accuracy however flat f and h are. c = 0 makes f the sign and h
// infinite: h is then left out, as 0.
type lineMoments struct {
	f, h       float64 // means
	ff, fh, hh float64 // covariances
	gain       float64 // E f'
}

// newLineMoments uses composite Gauss-Legendre quadrature of f - f(mu) and
// h - h(mu) on panels that are graded towards a = 0, from which the nearest
// singularity is sqrt c away.
func newLineMoments(mu, sigma, c float64) lineMoments {
	var m lineMoments
	centre := math.Sqrt(mu*mu + c)
	f0, h0 := 0., 0.
	if centre > 0 {
		f0 = mu / centre
	}
	if c > 0 {
		h0 = 1 / centre
	}
	var f1, h1 float64 // E f - f0, E h - h0
	visit := func(do func(w, z, df, dh float64)) {
		lineNodes(mu, sigma, c, func(w, z, a float64) {
			df, dh := lineSteps(mu, sigma*z, a, c, centre)
			do(w, z, df, dh)
		})
	}
	visit(func(w, z, df, dh float64) {
		f1 += w * df
		h1 += w * dh
		m.gain += w * df * z / sigma // E f' = Cov(f, a)/sigma^2
	})
	visit(func(w, _, df, dh float64) {
		m.ff += w * (df - f1) * (df - f1)
		m.fh += w * (df - f1) * (dh - h1)
		m.hh += w * (dh - h1) * (dh - h1)
	})
	m.f, m.h = f0+f1, h0+h1
	return m
}

// lineSteps returns f(a) - f(mu) and h(a) - h(mu), a = mu + d, without
// cancellation; centre is sqrt(mu^2 + c).
func lineSteps(mu, d, a, c, centre float64) (df, dh float64) {
	s := math.Sqrt(a*a + c)
	if a*mu > 0 {
		df = c * d * (a + mu) / (s * centre * (a*centre + mu*s))
	} else {
		df = a / s
		if centre > 0 {
			df -= mu / centre
		}
	}
	if c > 0 {
		dh = -d * (a + mu) / (s * centre * (s + centre))
	}
	return df, dh
}

const (
	lineReach = 13.   // standard deviations; beyond lies a probability of 1e-38
	lineFar   = 38.   // a zero of a further out is out of reach of float64
	linePast  = 6.    // the nodes go this far past a zero of a
	linePanel = .5    // largest panel
	lineOrder = 20    // nodes in a panel
	lineSharp = 1e-18 // sqrt(c)/sigma below which f is a jump
)

// lineNodes calls do with the nodes z of a quadrature for the standard normal,
// their weights and a = mu + sigma z.
func lineNodes(mu, sigma, c float64, do func(w, z, a float64)) {
	zero := -mu / sigma // where a = 0
	origin := 0.        // nodes are origin + t
	end := lineReach
	if math.Abs(zero) < lineFar {
		origin, end = zero, max(end, math.Abs(zero)+linePast)
	}
	edges := []float64{-end - origin, end - origin}
	for t := linePanel; t < 2*end; t += linePanel {
		edges = append(edges, t, -t)
	}
	edges = append(edges, 0)
	if origin == zero {
		for t := max(math.Sqrt(c)/sigma, lineSharp) / 2; t < linePanel; t *= 2 {
			edges = append(edges, t, -t)
		}
	}
	slices.Sort(edges)
	x, w := special.GaussLegendre(lineOrder)
	for i, lo := range edges[:len(edges)-1] {
		hi := edges[i+1]
		if lo < -end-origin || hi > end-origin {
			continue
		}
		for k := range x {
			t := (lo+hi)/2 + (hi-lo)/2*x[k]
			z := origin + t
			a := mu + sigma*z
			if origin == zero {
				a = sigma * t
			}
			do((hi-lo)/2*w[k]*math.Exp(-z*z/2)/math.Sqrt(2*math.Pi), z, a)
		}
	}
}
