package classify

import (
	"fmt"
	"math"

	"gonum.org/v1/gonum/floats"

	"github.com/covprop/covprop"
	"github.com/covprop/covprop/internal/special"
)

// An orthant is the event X_j > X_i for all i != j, that is D >= 0 for the
// differences D_i = X_j - X_i ~ N(m, C), in the form
//
//	D = m - L z,   z standard normal,   L L' = C,
//
// with L lower trapezoidal. Every row belongs to the last z_k that it depends
// on, and bounds it given those before:
//
//	L_ik z_k <= m_i - sum_{q<k} L_iq z_q.
//
// A regular C has one row for each k. A singular one has rows that depend on
// the same z only, which bound the last of these from one side or the other
// (Genz & Kwong 2000, DOI 10.1080/00949650008812059).
type orthant struct {
	never bool    // the event has probability 0
	most  float64 // the probability of the least likely row, which is an upper bound
	steps []step  // by k
}

// A step has the rows that bound z_k.
type step struct{ rows []bound }

// A bound is a row divided by |L_ik|: sign z_k <= limit - coef . (z_0, ..., z_{k-1}).
type bound struct {
	coef  []float64 // (k)
	limit float64
	sign  float64 // 1 or -1
}

// A row is one difference D_i while the factor is made.
type row struct {
	i        int
	limit    float64   // m_i
	expected float64   // m_i - sum_q L_iq E z_q, given the rows so far
	variance float64   // of D_i given z_0, ..., z_{k-1}
	scale    float64   // Var X_i + Var X_j, the size of what cancels in C
	noise    float64   // what rounding can make of a variance of zero
	l        []float64 // L_i
}

// newOrthant factorises C, taking as the next row the one that is the least
// likely to hold given the expected values of the rows before (Gibson, Glasbey
// & Elston 1994; Genz & Bretz 2009, section 4.1.3). A conditional variance
// below its rounding error is zero. That grows where a row has a steep
// regression b on one that is nearly certain itself: with errors e of r and e' of
// the pivot, of r - b pivot it is at most (sqrt(e) + |b| sqrt(e'))^2.
func newOrthant(g covprop.Gaussian, j int) (*orthant, error) {
	rows, never := differences(g, j)
	if never {
		return &orthant{never: true}, nil
	}
	o := &orthant{most: 1}
	for _, r := range rows {
		o.most = min(o.most, special.CDF(r.limit/math.Sqrt(r.variance)))
	}
	for len(rows) > 0 {
		k := len(o.steps)
		choose(rows)
		pivot, rest := rows[0], rows[1:]
		sd := math.Sqrt(pivot.variance)
		z := -1 / special.Mills(-pivot.expected/sd) // E[z_k | z_k <= expected/sd]
		var s step
		rows = rows[:0]
		for _, r := range rest {
			l := conditional(g, j, &r, &pivot, k) / sd
			r.l = append(r.l, l)
			r.variance -= l * l
			r.expected -= l * z
			r.noise = square(math.Sqrt(r.noise) + math.Abs(l)/sd*math.Sqrt(pivot.noise))
			switch {
			case r.variance > r.noise:
				rows = append(rows, r)
			case r.variance < -math.Max(r.noise, float64(len(g.Mean))*covprop.PSDTolerance*r.scale):
				return nil, &covprop.InputError{What: "covariance", Err: fmt.Errorf("is not positive semidefinite: the variance of element %d minus element %d, given others, is %.3g", j, r.i, r.variance)}
			case l != 0:
				r.l = r.l[:k]
				s.rows = append(s.rows, r.bound(l))
			}
		}
		s.rows = append(s.rows, pivot.bound(sd))
		o.steps = append(o.steps, s)
	}
	return o, nil
}

// differences returns the rows of D that are uncertain. never says that one of
// the others is negative, or a tie with an earlier element.
func differences(g covprop.Gaussian, j int) (rows []row, never bool) {
	n := len(g.Mean)
	store := make([]float64, (n-1)*(n-1))
	vj := g.Cov.At(j, j)
	for i := range n {
		if i == j {
			continue
		}
		m, vi := g.Mean[j]-g.Mean[i], g.Cov.At(i, i)
		r := row{i: i, limit: m, expected: m, scale: vi + vj, variance: vi + vj - 2*g.Cov.At(i, j)}
		r.noise = 4 * float64(n) * 0x1p-52 * r.scale
		if r.variance > r.noise {
			r.l = store[: 0 : n-1]
			store = store[n-1:]
			rows = append(rows, r)
		} else if m < 0 || m == 0 && i < j {
			return nil, true
		}
	}
	return rows, false
}

func square(x float64) float64 { return x * x }

// choose swaps the row with the smallest expected probability to the front.
func choose(rows []row) {
	best, least := 0, math.Inf(1)
	for p := range rows {
		if t := rows[p].expected / math.Sqrt(rows[p].variance); t < least {
			best, least = p, t
		}
	}
	rows[0], rows[best] = rows[best], rows[0]
}

// conditional returns the covariance of the rows r and p given z_0, ...,
// z_{k-1}.
func conditional(g covprop.Gaussian, j int, r, p *row, k int) float64 {
	c := g.Cov.At(j, j) - g.Cov.At(j, r.i) - g.Cov.At(j, p.i) + g.Cov.At(r.i, p.i)
	return c - floats.Dot(r.l[:k], p.l[:k])
}

// bound returns the row as a bound on z_k, where L_ik = last. It divides r.l.
func (r *row) bound(last float64) bound {
	b := bound{coef: r.l, limit: r.limit / math.Abs(last), sign: math.Copysign(1, last)}
	for q := range b.coef {
		b.coef[q] /= math.Abs(last)
	}
	return b
}
