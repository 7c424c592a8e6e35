package layer

import (
	"context"
	"fmt"
	"sync"

	"gonum.org/v1/gonum/blas/blas32"
	"gonum.org/v1/gonum/blas/blas64"

	"github.com/covprop/covprop"
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
	met                     int  // taps that meet a position, over all outputs
	repeats                 bool // an output meets an input position with two taps
	overlaps                bool // two outputs meet an input position
	inputs                  [1]int
	packed                  func() []float64 // w as TapsTo takes it, made once
	ring                    int              // positions that a panel of columns holds
	slots                   []int            // where they are in it, as at
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
	c.packed = sync.OnceValue(c.pack)
	c.ring = c.window()
	c.slots = make([]int, len(at))
	for i, q := range at {
		if c.slots[i] = q; q >= 0 {
			c.slots[i] = q % c.ring
		}
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
		c.met++
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

// MulTo implements Gain.
func (c *Conv) MulTo(ctx context.Context, threads int, dst, src blas64.General, add bool) error {
	return convPanels[float64]{c: c, dst: of64(dst), src: of64(src), add: add}.run(ctx, threads)
}

// MulTo32 implements Gain32.
func (c *Conv) MulTo32(ctx context.Context, threads int, dst, src blas32.General, add bool) error {
	return convPanels[float32]{c: c, dst: of32(dst), src: of32(src), add: add}.run(ctx, threads)
}

// MulTransTo implements Gain.
func (c *Conv) MulTransTo(ctx context.Context, threads int, dst, src blas64.General, add bool) error {
	return convPanels[float64]{c: c, dst: of64(dst), src: of64(src), trans: true, add: add}.run(ctx, threads)
}

// MulTransTo32 implements Gain32.
func (c *Conv) MulTransTo32(ctx context.Context, threads int, dst, src blas32.General, add bool) error {
	return convPanels[float32]{c: c, dst: of32(dst), src: of32(src), trans: true, add: add}.run(ctx, threads)
}

// SandwichTo implements Matrix.
func (c *Conv) SandwichTo(ctx context.Context, threads int, dst, src blas64.General) error {
	return convPanels[float64]{c: c, dst: of64(dst), src: of64(src), trans: true, lower: true}.run(ctx, threads)
}

// SandwichTo32 implements Matrix32.
func (c *Conv) SandwichTo32(ctx context.Context, threads int, dst, src blas32.General) error {
	return convPanels[float32]{c: c, dst: of32(dst), src: of32(src), trans: true, lower: true}.run(ctx, threads)
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

// KeepsDiagonal implements Matrix.
func (c *Conv) KeepsDiagonal() bool { return c.outC == 1 && !c.overlaps }

// InPlace implements Matrix.
func (c *Conv) InPlace() bool { return c.inC*c.positions == c.outC*c.outPositions }
