package layer

import "github.com/covprop/covprop/internal/kernel"

const (
	// convRows is the number of rows of a panel. It holds all positions, since
	// rows are best read at length.
	convRows = kernel.LaneStep

	// convBlock is the number of output positions that are computed before they
	// are written to the covariance: at least a line of the cache.
	convBlock = 16
)

// rows convolves rows of src from j on: of image i, those from j on will be
// next.
func (a *convPanels[T]) rows(s *convScratch, image, j, i, next int) {
	c := a.c
	lanes, out := min(convRows, a.src.Rows-j), c.outC*c.outPositions
	end := out // of the outputs that are wanted
	if a.lower {
		end = min(end, j+lanes-image*out)
	}
	if end <= 0 {
		return
	}
	s.x = resize(s.x, c.inC*c.positions*convRows)
	s.y = resize(s.y, convBlock*kernel.TapRows*convRows)
	s.part = resize(s.part, convRows*convBlock)
	a.loadRows(s, image, j, lanes)
	s.image, s.next = i, next
	for p := 0; p < c.outPositions; p += convBlock {
		for b := 0; b < c.blocks() && c.block(b)*c.outPositions+p < end; b++ {
			o, o1 := c.block(b), c.block(b+1)
			a.positions(s, c.weights(image, b), o, p, end, lanes)
			for r := range o1 - o {
				n := min(convBlock, c.outPositions-p, end-(o+r)*c.outPositions-p)
				if n <= 0 {
					break
				}
				y := kernel.Lanes{Data: s.y[r*convRows:], Stride: (o1 - o) * convRows}
				a.storeRows(s, y, n, lanes, j, image*out+(o+r)*c.outPositions+p)
			}
		}
	}
}

// positions computes the channels of a block, which starts with o, at convBlock
// positions from p on, as far as they lie before end.
func (a *convPanels[T]) positions(s *convScratch, w kernel.Lanes, o, p, end, lanes int) {
	c := a.c
	x := kernel.Lanes{Data: s.x, Stride: convRows}
	for i := range min(convBlock, c.outPositions-p) {
		at := p + i
		if o == 0 {
			a.fetchRows(at, s.image, s.next)
		}
		rows := min(w.Stride, (end-at+c.outPositions-1)/c.outPositions-o)
		if rows <= 0 {
			return
		}
		y := kernel.Lanes{Data: s.y[i*w.Stride*convRows:], Stride: convRows}
		kernel.TapsTo(y, x, w, c.at[at*c.taps:][:c.taps], c.inC, rows, lanes)
	}
}

// loadRows copies lanes rows of src from j on to the panel.
func (a *convPanels[T]) loadRows(s *convScratch, image, j, lanes int) {
	c := a.c
	stride := c.inC * convRows
	for ch := range c.inC {
		first := j*a.src.Stride + (image*c.inC+ch)*c.positions
		if src, ok := any(a.src.Data).([]float64); ok {
			kernel.TransposeTo(kernel.Lanes{Data: s.x[ch*convRows:], Stride: stride},
				kernel.Lanes{Data: src[first:], Stride: a.src.Stride}, lanes, c.positions)
			continue
		}
		for q := 0; q < c.positions; q += convBlock {
			n := min(convBlock, c.positions-q)
			for l := range lanes {
				widenTo(s.part[l*convBlock:], a.src.Data[first+q+l*a.src.Stride:][:n])
			}
			kernel.TransposeTo(kernel.Lanes{Data: s.x[q*stride+ch*convRows:], Stride: stride},
				kernel.Lanes{Data: s.part, Stride: convBlock}, lanes, n)
		}
	}
}

// fetchRows announces what loadRows will read of an image, rows from j on: the
// share of output p, in lines of the cache.
func (a *convPanels[T]) fetchRows(p, image, j int) {
	const line = 8
	c := a.c
	in := c.inC * c.positions
	q, end := in/line*p/c.outPositions*line, in/line*(p+1)/c.outPositions*line
	if n := min(convRows, a.src.Rows-j); n > 0 {
		kernel.Prefetch(a.src.Data[j*a.src.Stride+image*in+q:], a.src.Stride, n, end-q)
	}
}

// storeRows writes or adds y', (lanes, n), to dst at (i, j).
func (a *convPanels[T]) storeRows(s *convScratch, y kernel.Lanes, n, lanes, i, j int) {
	if dst, ok := any(a.dst.Data).([]float64); ok && !a.add {
		kernel.TransposeTo(kernel.Lanes{Data: dst[i*a.dst.Stride+j:], Stride: a.dst.Stride}, y, n, lanes)
		return
	}
	kernel.TransposeTo(kernel.Lanes{Data: s.part, Stride: convBlock}, y, n, lanes)
	for l := range lanes {
		storeTo(a.dst.Data[(i+l)*a.dst.Stride+j:][:n], s.part[l*convBlock:][:n], a.add)
	}
}
