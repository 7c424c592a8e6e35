package layer

import (
	"slices"

	"github.com/covprop/covprop/internal/kernel"
)

// Panels of columns are wide, as memory is read and written by parts of rows.
// Only a window of positions is kept: those from the first that an output still
// to come meets to the last that one has met, in a ring.
const (
	convRing  = 1 << 17 // values that a ring should not exceed, so that it stays in the cache
	convWidth = 256     // lanes at most
	convPad   = 8       // between rows of lanes, which would share sets of the cache otherwise
)

// window returns the number of positions that a ring must hold, where position
// p is there when output p is computed.
func (c *Conv) window() int {
	first := make([]int, c.outPositions+1) // that outputs from p on meet
	first[c.outPositions] = c.positions
	for p := c.outPositions - 1; p >= 0; p-- {
		first[p] = first[p+1]
		for _, q := range c.at[p*c.taps:][:c.taps] {
			if q >= 0 {
				first[p] = min(first[p], q)
			}
		}
	}
	n, have := 1, 0
	for p := range c.outPositions {
		have = c.reach(p, have)
		n = max(n, have-first[p])
	}
	return n
}

// reach returns how many of the first positions output p and those before it,
// which need have, need.
func (c *Conv) reach(p, have int) int {
	return max(have, min(p+1, c.positions), 1+slices.Max(c.at[p*c.taps:][:c.taps]))
}

// columnWidth returns the lanes of a panel of some of n columns.
func (c *Conv) columnWidth(n, threads int) int {
	const step = 2 * kernel.LaneStep
	w := min(convWidth, convRing/(c.ring*c.inC), (n+2*threads-1)/(2*max(threads, 1)))
	return max(step, (w+step-1)/step*step)
}

// columns convolves the columns of src from j on. In place, an output replaces
// the input at the same position, which the ring has by then; if the positions
// of input and output are not the same, the panel holds all.
func (a *convPanels[T]) columns(s *convScratch, image, j int) {
	c := a.c
	lanes := min(a.width, a.src.Cols-j)
	ring, at, all := c.ring, c.slots, 0
	if c.positions != c.outPositions && same(a.dst, a.src) {
		ring, at, all = c.positions, c.at, c.positions
	}
	stride := a.width + convPad
	s.x = resize(s.x, ring*c.inC*stride)
	s.y = resize(s.y, kernel.TapRows*stride)
	x := kernel.Lanes{Data: s.x, Stride: stride}
	for p, have, need := 0, 0, all; p < c.outPositions; p++ {
		for need = c.reach(p, need); have < need; have++ {
			a.loadColumns(x, have%ring, image, have, j, lanes)
		}
		if have < c.positions {
			a.fetchColumns(image, have, j, lanes)
		}
		for b := range c.blocks() {
			o, rows := c.block(b), c.block(b+1)-c.block(b)
			first := (image*c.outC+o)*c.outPositions + p // row of dst
			y, direct := a.direct(first, j, lanes)
			if !direct {
				y = kernel.Lanes{Data: s.y, Stride: stride}
			}
			kernel.TapsTo(y, x, c.weights(image, b), at[p*c.taps:][:c.taps], c.inC, rows, lanes)
			for r := 0; r < rows && !direct; r++ {
				storeTo(a.dst.Data[(first+r*c.outPositions)*a.dst.Stride+j:][:lanes], y.Data[r*stride:][:lanes], a.add)
			}
		}
	}
}

// direct returns the rows of dst at one position, if TapsTo may write to them.
func (a *convPanels[T]) direct(i, j, lanes int) (kernel.Lanes, bool) {
	dst, wide := any(a.dst.Data).([]float64)
	if !wide || a.add || lanes%kernel.LaneStep != 0 {
		return kernel.Lanes{}, false
	}
	return kernel.Lanes{Data: dst[i*a.dst.Stride+j:], Stride: a.c.outPositions * a.dst.Stride}, true
}

// loadColumns copies position q of src, columns from j on, to a slot of x.
func (a *convPanels[T]) loadColumns(x kernel.Lanes, slot, image, q, j, lanes int) {
	c := a.c
	for ch := range c.inC {
		i := (image*c.inC+ch)*c.positions + q
		widenTo(x.Data[(slot*c.inC+ch)*x.Stride:], a.src.Data[i*a.src.Stride+j:][:lanes])
	}
}

// fetchColumns announces what loadColumns will read.
func (a *convPanels[T]) fetchColumns(image, q, j, lanes int) {
	c := a.c
	i := image*c.inC*c.positions + q
	kernel.Prefetch(a.src.Data[i*a.src.Stride+j:], c.positions*a.src.Stride, c.inC, lanes)
}
