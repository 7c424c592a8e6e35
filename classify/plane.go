package classify

import (
	"math"
	"slices"

	"github.com/covprop/covprop/internal/special"
)

// A line is the limit a - c z that a row sets for z_1 given z = z_0.
type line struct{ a, c float64 }

func (l line) at(z float64) float64 { return l.a - l.c*z }

const (
	planeReach = 38.5 // standard deviations; the density beyond underflows
	planePanel = 0.5  // largest panel, also in units of what Phi depends on
	planeOrder = 20   // nodes of a panel
)

// plane returns the probability of an orthant of two steps, in which some z_0
// and z_1 lie between limits that are linear in z_0,
//
//	P = int phi(z) max(0, Phi(min_r upper_r(z)) - Phi(max_r lower_r(z))) dz,
//
// by composite Gauss-Legendre quadrature. The panels meet where the limits
// change from one row to another, and follow Phi of a steep one.
func (o *orthant) plane() float64 {
	hi, lo := o.steps[0].limits(nil)
	from, to := max(lo.at, -planeReach), min(hi.at, planeReach)
	var upper, lower []line
	for _, r := range o.steps[1].rows {
		if r.sign > 0 {
			upper = append(upper, line{r.limit, r.coef[0]})
		} else { // lower limits are upper ones of -z_1
			lower = append(lower, line{r.limit, r.coef[0]})
		}
	}
	edges := append(envelope(upper, from, to), envelope(lower, from, to)...)
	edges = append(edges, from, to)
	for z := math.Ceil(from/planePanel) * planePanel; z < to; z += planePanel {
		edges = append(edges, z)
	}
	slices.Sort(edges)
	x, w := special.GaussLegendre(planeOrder)
	sum := 0.
	for i, z0 := range edges[:len(edges)-1] {
		z1 := min(edges[i+1], to)
		if z0 < from || !(z0 < z1) {
			continue
		}
		u, l := least(upper, (z0+z1)/2), least(lower, (z0+z1)/2)
		// What is between the limits is an interval of z.
		switch cross, open0, open1 := (u.a+l.a)/(u.c+l.c), u.at(z0) > -l.at(z0), u.at(z1) > -l.at(z1); {
		case !open0 && !open1:
			continue
		case !open0:
			z0 = cross
		case !open1:
			z1 = cross
		}
		for k := range x {
			z := (z0+z1)/2 + (z1-z0)/2*x[k]
			e, _, _ := interval(-l.at(z), u.at(z))
			sum += (z1 - z0) / 2 * w[k] * special.Density(z) * e
		}
	}
	return sum
}

// least returns the line that is the lowest at z, one at infinity if there is
// none.
func least(lines []line, z float64) line {
	best := line{a: math.Inf(1)}
	for _, l := range lines {
		if l.at(z) < best.at(z) {
			best = l
		}
	}
	return best
}

// envelope returns the points of [from, to] at which another of the lines
// becomes the lowest and, for each line where it is, those that Phi of it needs
// for panels.
func envelope(lines []line, from, to float64) (edges []float64) {
	if len(lines) == 0 {
		return nil
	}
	// The slopes -c fall from left to right.
	slices.SortFunc(lines, func(p, q line) int {
		switch {
		case p.c < q.c || p.c == q.c && p.a < q.a:
			return -1
		case p.c > q.c || p.a > q.a:
			return 1
		}
		return 0
	})
	for i, z := 0, from; z < to; {
		next, end := i, to
		for j := i + 1; j < len(lines); j++ {
			// line j is the lower one beyond
			if cross := (lines[j].a - lines[i].a) / (lines[j].c - lines[i].c); lines[j].c > lines[i].c && cross < end {
				next, end = j, max(cross, z)
			}
		}
		l := lines[i]
		for t := -planeReach; t <= planeReach && l.c != 0; t += planePanel {
			if edge := (l.a - t) / l.c; edge > z && edge < end {
				edges = append(edges, edge)
			}
		}
		edges = append(edges, end)
		if next == i {
			break
		}
		i, z = next, end
	}
	return edges
}
