package layer

import (
	"context"
	"fmt"

	"gonum.org/v1/gonum/blas/blas64"

	"github.com/covprop/covprop"
	"github.com/covprop/covprop/internal/kernel"
)

// Conv is a convolution of any dimension, stride, dilation and padding, or a
// transposed one: a table holds the input position that each tap meets. It is
// exact: Cov(y) = A Cov(x) A', where A, which is never built, acts on the rows
// of a covariance and then on its columns.
type Conv struct {
	w                       blas64.General // (outC, inC*taps), a group's channels after the other's
	bias                    []float64      // (outC), or nil
	at                      []int          // (outPositions, taps)
	batch, groups           int
	outC, inC               int // channels of one group
	positions, outPositions int
	taps                    int
	repeats                 bool // an output meets an input position with two taps
	overlaps                bool // two outputs meet an input position
	inputs                  [1]int
}

// NewConv returns the convolution of (batch, inC, positions) to (batch, outC,
// outPositions) with the weights w, (outC, inC/groups, taps), and the bias,
// (outC) or nil:
//
//	y[b,o,p] = bias[o] + sum_{c in group of o, t} w[o,c,t] x[b,c,at[p*taps+t]]
//
// at, (outPositions, taps), holds the input position that each tap meets, -1
// where it lies in the padding. The slices are kept, not copied.
func NewConv(w, bias []float64, at []int, batch, groups, outC, inC, positions, taps int) (*Conv, error) {
	switch {
	case batch < 1 || groups < 1 || outC < 1 || inC < 1 || positions < 1 || taps < 1 || len(at) == 0:
		return nil, fmt.Errorf("a convolution of %d x %d channels of %d positions to %d channels with %d taps in %d groups is empty",
			batch, inC, positions, outC, taps, groups)
	case inC%groups != 0 || outC%groups != 0:
		return nil, fmt.Errorf("%d groups do not divide %d input and %d output channels", groups, inC, outC)
	case len(w) != outC*(inC/groups)*taps:
		return nil, fmt.Errorf("weights have %d values, but %d x %d x %d needs %d", len(w), outC, inC/groups, taps, outC*(inC/groups)*taps)
	case bias != nil && len(bias) != outC:
		return nil, fmt.Errorf("bias has %d values, want %d", len(bias), outC)
	case len(at)%taps != 0:
		return nil, fmt.Errorf("a table of %d positions does not fit %d taps", len(at), taps)
	}
	if err := checkFinite("weight", w); err != nil {
		return nil, err
	}
	if err := checkFinite("bias", bias); err != nil {
		return nil, err
	}
	c := &Conv{
		w:    packed(outC, inC/groups*taps, w),
		bias: bias,
		at:   at, batch: batch, groups: groups,
		outC: outC / groups, inC: inC / groups,
		positions: positions, outPositions: len(at) / taps, taps: taps,
		inputs: [1]int{batch * inC * positions},
	}
	if err := c.checkTable(); err != nil {
		return nil, err
	}
	return c, nil
}

// checkTable checks the positions and finds out which are met more than once.
func (c *Conv) checkTable() error {
	met := make([]int, c.positions) // 1 + the last output position that met it
	for i, q := range c.at {
		if q < -1 || q >= c.positions {
			return fmt.Errorf("a tap meets position %d of %d", q, c.positions)
		}
		if q < 0 {
			continue
		}
		p := 1 + i/c.taps
		c.repeats = c.repeats || met[q] == p
		c.overlaps = c.overlaps || met[q] != 0 && met[q] != p
		met[q] = p
	}
	return nil
}

// Name implements Rule.
func (c *Conv) Name() string { return "convolution" }

// Inputs implements Rule.
func (c *Conv) Inputs() []int { return c.inputs[:] }

// OutputLen implements Rule.
func (c *Conv) OutputLen() int { return c.batch * c.groups * c.outC * c.outPositions }

// Exactness implements Rule.
func (c *Conv) Exactness() covprop.Accuracy { return covprop.Accuracy{} }

// Matrix implements Linear.
func (c *Conv) Matrix(int) Matrix { return c }

// Forward implements Rule.
func (c *Conv) Forward(dst []float64, x ...[]float64) {
	c.applyTo(dst, x[0], c.w)
	if c.bias == nil {
		return
	}
	for i := range dst {
		dst[i] += c.bias[i/c.outPositions%len(c.bias)]
	}
}

// applyTo computes dst = A x, with the weights w in place of c's.
func (c *Conv) applyTo(dst, x []float64, w blas64.General) {
	s := convPool.Get().(*convScratch)
	defer convPool.Put(s)
	in, out := c.inC*c.positions, c.outC*c.outPositions
	for i := range c.batch * c.groups {
		// Without a context that ends there is no error.
		_ = c.imageTo(context.Background(), dst[i*out:][:out], x[i*in:][:in], rows(w, i%c.groups*c.outC, c.outC), 1, s)
	}
}

// MulTo implements Gain.
func (c *Conv) MulTo(ctx context.Context, threads int, dst, src blas64.General, add bool) error {
	return convPanels{c: c, dst: dst, src: src, add: add}.run(ctx, threads)
}

// MulTransTo implements Gain.
func (c *Conv) MulTransTo(ctx context.Context, threads int, dst, src blas64.General, add bool) error {
	return convPanels{c: c, dst: dst, src: src, trans: true, add: add}.run(ctx, threads)
}

// SandwichTo implements Matrix.
func (c *Conv) SandwichTo(ctx context.Context, threads int, dst, src blas64.General) error {
	err := convPanels{c: c, dst: dst, src: src, trans: true, lower: true}.run(ctx, threads)
	if err == nil {
		kernel.Mirror(dst)
	}
	return err
}

// MulDiagTo implements Matrix.
func (c *Conv) MulDiagTo(dst blas64.General, v []float64) {
	for r := range dst.Rows {
		d := row(dst, r)
		clear(d)
		o, p := r/c.outPositions, r%c.outPositions
		first := o / c.outC * c.inC * c.positions // of the inputs of o's group
		w := row(c.w, o%c.w.Rows)
		for k, x := range w {
			if q := c.at[p*c.taps+k%c.taps]; q >= 0 {
				q += first + k/c.taps*c.positions
				d[q] += x * v[q]
			}
		}
	}
}

// SquareMulTo implements Matrix.
func (c *Conv) SquareMulTo(dst, v []float64, add bool) {
	y := dst
	if add {
		y = make([]float64, len(dst))
	}
	if c.repeats {
		c.squareRepeatsTo(y, v)
	} else {
		w := packed(c.w.Rows, c.w.Cols, make([]float64, len(c.w.Data)))
		for i, x := range c.w.Data {
			w.Data[i] = x * x
		}
		c.applyTo(y, v, w)
	}
	if add {
		for i, x := range y {
			dst[i] += x
		}
	}
}

// squareRepeatsTo computes dst = (A o A) v where an entry of A may be a sum of
// weights, those of all taps that meet the position.
func (c *Conv) squareRepeatsTo(dst, v []float64) {
	a := make([]float64, c.positions) // what is not yet used of the row of A, for one channel
	for r := range dst {
		o, at := r/c.outPositions, c.at[r%c.outPositions*c.taps:][:c.taps]
		first := o / c.outC * c.inC * c.positions
		w := row(c.w, o%c.w.Rows)
		dst[r] = 0
		for ch := range c.inC {
			for t, q := range at {
				if q >= 0 {
					a[q] += w[ch*c.taps+t]
				}
			}
			for _, q := range at {
				if q >= 0 {
					dst[r] += a[q] * a[q] * v[first+ch*c.positions+q]
					a[q] = 0
				}
			}
		}
	}
}

// KeepsDiagonal implements Matrix.
func (c *Conv) KeepsDiagonal() bool { return c.outC == 1 && !c.overlaps }

// InPlace implements Matrix.
func (c *Conv) InPlace() bool { return c.inC*c.positions == c.outC*c.outPositions }
