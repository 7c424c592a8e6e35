package onnx

import (
	"fmt"
	"math"
	"slices"

	"github.com/covprop/covprop/layer"
)

// convOps are convolutions, and batch normalisation, which is fused with them.
var convOps = map[string]op{
	"BatchNormalization": {since: 6, inputs: 5, kind: "scale and shift", fold: foldFirst, shape: batchNormShape, rule: batchNormRule},
	"Conv":               {since: 6, inputs: 3, kind: "convolution", fold: foldRule, shape: convShape, rule: convRule},
	"ConvTranspose":      {since: 6, inputs: 3, kind: "convolution", fold: foldRule, shape: convShape, rule: convRule},
}

// conv is a convolution of (batch, inC, ...) to (batch, outC, ...), or a
// transposed one.
type conv struct {
	batch, groups int
	outC, inC     int
	windows       []window
	transposed    bool
}

// parseConv reads a convolution. The weights are (outC, inC/groups, kernel),
// of a transposed one (inC, outC/groups, kernel).
func parseConv(n *node) (c conv, err error) {
	x, err := n.data()
	if err != nil {
		return c, err
	}
	w, err := n.con(1)
	switch {
	case err != nil:
		return c, err
	case len(x.shape) < 3 || len(w.shape) != len(x.shape):
		return c, fmt.Errorf("cannot convolve a tensor of shape %v with weights of shape %v", x.shape, w.shape)
	case product(w.shape) == 0:
		return c, fmt.Errorf("has empty weights of shape %v", w.shape)
	}
	kernel := w.shape[2:]
	if list, ok := n.intsAttr("kernel_shape"); ok {
		if k, err := toInts(list); err != nil || !slices.Equal(k, kernel) {
			return c, fmt.Errorf("the attribute \"kernel_shape\" is %v, but the weights have the shape %v", list, w.shape)
		}
	}
	group := n.intAttr("group", 1)
	if group < 1 || group > math.MaxInt32 {
		return c, fmt.Errorf("the attribute \"group\" is %d", group)
	}
	c = conv{batch: x.shape[0], groups: int(group), transposed: n.op == "ConvTranspose"}
	if c.transposed {
		c.inC, c.outC = w.shape[0], w.shape[1]*c.groups
		c.windows, err = n.transposed(x.shape[2:], kernel)
	} else {
		c.inC, c.outC = w.shape[1]*c.groups, w.shape[0]
		c.windows, err = n.sliding(x.shape[2:], kernel, false)
	}
	switch {
	case err != nil:
		return c, err
	case c.inC != x.shape[1]:
		return c, fmt.Errorf("weights of shape %v in %d groups do not fit %d channels", w.shape, c.groups, x.shape[1])
	case c.inC%c.groups != 0 || c.outC%c.groups != 0:
		return c, fmt.Errorf("%d groups do not divide %d input and %d output channels", c.groups, c.inC, c.outC)
	}
	return c, nil
}

func convShape(n *node) ([][]int, error) {
	c, err := parseConv(n)
	return [][]int{concat([]int{c.batch, c.outC}, outs(c.windows))}, err
}

func convRule(n *node) (plan, error) {
	c, err := parseConv(n)
	if err != nil {
		return plan{}, err
	}
	w, bias, err := c.weights(n)
	if err != nil {
		return plan{}, err
	}
	table := window.grid
	if c.transposed {
		table = window.transposedGrid
		if w, err = c.turn(n, w); err != nil {
			return plan{}, err
		}
	}
	g, err := join(n, c.windows, table)
	if err != nil {
		return plan{}, err
	}
	var p plan
	p.step(n.out[0], n.in[0])(layer.NewConv(w, bias, g.at, c.batch, c.groups, c.outC, c.inC, g.in, g.taps))
	return p.done()
}

// weights returns the weights as they are stored and the bias, which may be
// nil.
func (c conv) weights(n *node) (w, bias []float64, err error) {
	if w, err = n.finite(1); err != nil || n.input(2) == nil {
		return w, nil, err
	}
	if bias, err = n.finite(2); err == nil && len(bias) != c.outC {
		err = fmt.Errorf("the bias has %d values for %d output channels", len(bias), c.outC)
	}
	return w, bias, err
}

// turn returns the weights of a transposed convolution, (inC, outC/groups,
// taps), as those of the convolution with its table, (outC, inC/groups, taps).
func (c conv) turn(n *node, w []float64) ([]float64, error) {
	if err := n.m.limits.take(len(w)); err != nil {
		return nil, err
	}
	in, out := c.inC/c.groups, c.outC/c.groups // of a group
	taps := len(w) / (c.inC * out)
	turned := make([]float64, 0, len(w))
	for o := range c.outC {
		for i := range in {
			row := (o/out*in+i)*out + o%out
			turned = append(turned, w[row*taps:][:taps]...)
		}
	}
	return turned, nil
}
