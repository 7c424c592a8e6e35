package qmc

import "math/bits"

// MaxHalton is the number of dimensions that come from Halton's sequence; in
// larger bases it takes more points than there usually are for the first
// digit to be spread evenly.
const MaxHalton = 256

// A haltonAxis is one dimension of Halton's sequence in base b with a random
// permutation pi_k for every digit (Owen 2017): for i = sum_k d_k b^k
//
//	u_i = sum_k pi_k(d_k) b^-(k+1),
//
// which is uniform over the multiples of the last digit's weight, at most 2^-52.
// Entry d of table k holds the contribution of digit d as a multiple of 2^-64.
// The first few digits of small bases share one table, so that the others
// rarely change from point to point.
type haltonAxis struct {
	base, lead uint64   // lead is a power of base, the length of head
	head       []uint64 // contributions of i mod lead
	tail       []uint64 // those of each further digit, base entries a digit
}

// leadLimit bounds the tables of several digits.
const leadLimit = 256

// newHalton returns the first dim axes, with permutations drawn from key.
func newHalton(dim int, key philox) []haltonAxis {
	axes := make([]haltonAxis, dim)
	b := uint64(1)
	for k := range axes {
		for b++; !prime(b); b++ {
		}
		axes[k] = newHaltonAxis(b, &stream{key: key, counter: [4]uint64{0, uint64(k), forHalton, 0}})
	}
	return axes
}

func prime(n uint64) bool {
	for d := uint64(2); d*d <= n; d++ {
		if n%d == 0 {
			return false
		}
	}
	return true
}

func newHaltonAxis(base uint64, rng *stream) haltonAxis {
	a := haltonAxis{base: base, lead: 1, head: []uint64{0}}
	for weight := base; ; weight *= base { // b^(k+1) of digit k
		table := permutedDigits(base, weight, rng)
		if a.lead == 1 || a.lead*base <= leadLimit && len(a.tail) == 0 {
			head := make([]uint64, 0, a.lead*base)
			for _, t := range table {
				for _, h := range a.head {
					head = append(head, h+t)
				}
			}
			a.head, a.lead = head, a.lead*base
		} else {
			a.tail = append(a.tail, table...)
		}
		if weight >= maxIndex {
			return a
		}
	}
}

// permutedDigits returns pi(d) 2^64 / weight for every digit d, rounded down,
// and pi a uniformly random permutation.
func permutedDigits(base, weight uint64, rng *stream) []uint64 {
	table := make([]uint64, base)
	for d := range table {
		j := rng.below(uint64(d) + 1) // Fisher & Yates, inside out
		table[d] = table[j]
		table[j], _ = bits.Div64(uint64(d), 0, weight)
	}
	return table
}

// uniformTo writes the coordinates of the points from first on. The sum of
// rounded-down contributions is below 1.
func (a *haltonAxis) uniformTo(dst []float64, first uint64) {
	rest, i := first/a.lead, first%a.lead
	for len(dst) > 0 {
		tail := a.tailOf(rest)
		n := min(len(dst), int(a.lead-i))
		for j, h := range a.head[i : i+uint64(n)] {
			dst[j] = unit(h + tail)
		}
		dst, i = dst[n:], 0
		rest++
	}
}

// tailOf returns the contributions of the digits of rest.
func (a *haltonAxis) tailOf(rest uint64) uint64 {
	sum := uint64(0)
	for table := a.tail; len(table) > 0; table = table[a.base:] {
		sum += table[rest%a.base]
		rest /= a.base
	}
	return sum
}
