package kernel

import "math"

// hermiteSteps[m-1][k-m] are the constants 1/sqrt(k+1) and
// (k-m)/sqrt(k(k+1)) of HermiteTo.
var hermiteSteps = [2][MaxOrder][2]float64{newHermiteSteps(1), newHermiteSteps(2)}

func newHermiteSteps(m int) (c [MaxOrder][2]float64) {
	for i := range c {
		k := float64(m + i)
		c[i] = [2]float64{1 / math.Sqrt(k+1), float64(i) / math.Sqrt(k*(k+1))}
	}
	return c
}

// HermiteTo continues the coefficients h_k, k = m, m+1, ..., of the half-line
// functions (Z - alpha)_+^(m-1) of n units from h_m = start, by what the
// recurrence of the Hermite polynomials is for them,
//
//	h_{k+1} = alpha h_k / sqrt(k+1) - (k-m) h_{k-1} / sqrt(k(k+1)),
//
// since h_k is He_{k-m}(alpha)/sqrt(k!) times a constant. m is 1 or 2. Row i of
// h, which begins at h[i stride], is for k = m+i; there are rows of them, at
// most MaxOrder. add adds to what is there. h does not overlap the rest.
//
// What is not [Significant] is written as 0.
func HermiteTo(h []float64, stride, rows int, start, alpha []float64, m int, add bool) {
	n := len(alpha)
	if len(start) != n || rows > MaxOrder || rows > 0 && len(h) < (rows-1)*stride+n {
		panic(badShape)
	}
	if n == 0 || rows <= 0 {
		return
	}
	c := &hermiteSteps[m-1]
	for i := hermiteVector(h, stride, rows, start, alpha, c, add); i < n; i++ {
		hermiteUnit(h[i:], stride, rows, start[i], alpha[i], c, add)
	}
}

// hermiteUnit is HermiteTo for one unit.
func hermiteUnit(h []float64, stride, rows int, start, alpha float64, c *[MaxOrder][2]float64, add bool) {
	prev, p := 0.0, start
	for i := range rows {
		x := p
		if add {
			x += h[i*stride]
		}
		h[i*stride] = Significant(x)
		prev, p = p, math.FMA(alpha*c[i][0], p, -(c[i][1]*prev))
	}
}

// Significant returns a coefficient that is divided by the standard deviation
// of its unit, or 0 below 2^-511: the product of two that are not 0 is then a
// normal number. One that is not would add nothing to a covariance and slow the
// series a hundredfold, as it does every sum that it enters; they are common
// where many units are nearly always on or off.
func Significant(h float64) float64 {
	if math.Abs(h) < 0x1p-511 {
		return 0
	}
	return h
}

// tailBlocks is the number of blocks that Orders cuts the orders into.
const tailBlocks = len(Orders) + 1

// TailsTo computes the tails of units lo to hi of u from their coefficients,
//
//	tail_K^2 = sum_{k>K} h_k^2 + max(0, 1 - sum_k h_k^2) + noise   (over the k held),
//
// and the sums of all squares. noise, (hi-lo), covers the rounding of the
// difference; where it is 0 the series ends within the orders held and the
// difference is none. All terms are positive, so nothing cancels but the
// difference.
func TailsTo(u *Units, lo, hi int, noise, sum []float64) {
	n := hi - lo
	if lo < 0 || hi > u.N || len(noise) != n || len(sum) != n || len(u.H) < u.K*u.stride() || len(u.Tail) < len(Orders)*u.stride() {
		panic(badShape)
	}
	if n <= 0 {
		return
	}
	// The block of the orders between two of the grid, and those beyond.
	var rows [tailBlocks]int
	for b := range rows {
		from, to := 0, u.K
		if b > 0 {
			from = Orders[b-1]
		}
		if b < len(Orders) {
			to = min(Orders[b], u.K)
		}
		rows[b] = max(0, to-from)
	}
	for i := tailsVector(u, lo, n, &rows, noise, sum); i < n; i++ {
		sum[i] = tailsUnit(u, lo+i, &rows, noise[i])
	}
}

// tailsUnit is TailsTo for unit i. The sum of the squares of each block waits
// in the tail of the order before it.
func tailsUnit(u *Units, i int, rows *[tailBlocks]int, noise float64) (sum float64) {
	k, stride := i, u.stride()
	for b, n := range rows {
		block := 0.0
		for range n {
			block = math.FMA(u.H[k], u.H[k], block)
			k += stride
		}
		sum += block
		if b > 0 {
			u.Tail[(b-1)*stride+i] = block
		}
	}
	rest := 0.0
	if noise > 0 {
		rest = max(0, 1-sum) + noise
	}
	for o := len(Orders) - 1; o >= 0; o-- {
		rest += u.Tail[o*stride+i]
		u.Tail[o*stride+i] = math.Sqrt(rest)
	}
	return sum
}
