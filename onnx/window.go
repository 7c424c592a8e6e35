package onnx

import (
	"cmp"
	"fmt"
	"slices"
)

// window is the windows of a convolution or a pooling along one axis: tap t of
// window p meets the input position
//
//	q = p stride + t dilation - before
//
// which lies in the padding if it is not one of in positions. In a transposed
// convolution q meets p.
type window struct {
	in, out          int // positions and windows
	taps             int
	stride, dilation int
	before, after    int // padding
}

// span is the number of positions from the first tap to the last.
func (w window) span() int { return (w.taps-1)*w.dilation + 1 }

// pad sets the padding of the given total so that its larger half, if they
// differ, is at the end if upper.
func (w *window) pad(total int, upper bool) {
	w.before = total / 2
	w.after = total - w.before
	if !upper {
		w.before, w.after = w.after, w.before
	}
}

// spatial returns an attribute with one number of at least low for each of
// rank axes, def if it is left out.
func (n *node) spatial(name string, rank int, def, low int) ([]int, error) {
	list, ok := n.intsAttr(name)
	if !ok {
		return slices.Repeat([]int{def}, rank), nil
	}
	if len(list) != rank {
		return nil, fmt.Errorf("the attribute %q has %d values, want %d", name, len(list), rank)
	}
	x, err := toInts(list)
	if err != nil {
		return nil, fmt.Errorf("the attribute %q %w", name, err)
	}
	for _, v := range x {
		if v < low {
			return nil, fmt.Errorf("the attribute %q is %v, but must be at least %d", name, x, low)
		}
	}
	return x, nil
}

// windows returns the windows along the axes of sizes x with a kernel of the
// given sizes, as far as they are the same for all operators: without out, and
// with the padding that is given outright.
func (n *node) windows(x, kernel []int) ([]window, error) {
	rank := len(x)
	strides, err1 := n.spatial("strides", rank, 1, 1)
	dilations, err2 := n.spatial("dilations", rank, 1, 1)
	pads, err3 := n.spatial("pads", 2*rank, 0, 0)
	if err := cmp.Or(err1, err2, err3); err != nil {
		return nil, err
	}
	auto, err := n.autoPad()
	if err != nil {
		return nil, err
	}
	if auto != "NOTSET" && slices.Max(append(pads, 0)) > 0 {
		return nil, fmt.Errorf("has both pads %v and auto_pad %s", pads, auto)
	}
	w := make([]window, rank)
	for a := range w {
		w[a] = window{
			in: x[a], taps: kernel[a], stride: strides[a], dilation: dilations[a],
			before: pads[a], after: pads[rank+a],
		}
		if w[a].in < 1 || w[a].taps < 1 {
			return nil, fmt.Errorf("slides a window of size %v over an image of size %v", kernel, x)
		}
	}
	return w, nil
}

// autoPad returns the rule by which padding is chosen; NOTSET is none.
func (n *node) autoPad() (string, error) {
	switch auto := n.stringAttr("auto_pad", "NOTSET"); auto {
	case "":
		return "NOTSET", nil
	case "NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID":
		return auto, nil
	default:
		return "", fmt.Errorf("the attribute \"auto_pad\" is %q, which is not known", auto)
	}
}

// sliding returns the windows of a convolution or a pooling. With SAME there
// is one window for every stride-th position. Otherwise there are as many as
// fit into the padded input; with ceil the last may reach beyond it, but must
// not start there.
func (n *node) sliding(x, kernel []int, ceil bool) ([]window, error) {
	ws, err := n.windows(x, kernel)
	if err != nil {
		return nil, err
	}
	auto, _ := n.autoPad()
	for a := range ws {
		w := &ws[a]
		if auto == "SAME_UPPER" || auto == "SAME_LOWER" {
			w.out = (w.in-1)/w.stride + 1
			w.pad(max((w.out-1)*w.stride+w.span()-w.in, 0), auto == "SAME_UPPER")
			continue
		}
		free := w.before + w.in + w.after - w.span()
		if free < 0 {
			return nil, fmt.Errorf("a window of size %d is larger than the padded input of size %d", w.span(), w.before+w.in+w.after)
		}
		w.out = free/w.stride + 1
		if ceil && free%w.stride != 0 && w.out*w.stride < w.before+w.in {
			w.out++
		}
	}
	return ws, nil
}

// transposed returns the windows of a transposed convolution, of which out is
// the number of output positions: what the windows of a convolution over an
// input of that size cover.
func (n *node) transposed(x, kernel []int) ([]window, error) {
	ws, err := n.windows(x, kernel)
	if err != nil {
		return nil, err
	}
	extra, err1 := n.spatial("output_padding", len(x), 0, 0)
	shape, err2 := n.spatial("output_shape", len(x), 0, 1)
	if err := cmp.Or(err1, err2); err != nil {
		return nil, err
	}
	auto, _ := n.autoPad()
	for a := range ws {
		w := &ws[a]
		full := (w.in-1)*w.stride + extra[a] + w.span()
		switch {
		case shape[a] >= full+w.stride:
			return nil, fmt.Errorf("an output of size %d does not come from an input of size %d, which covers %d", shape[a], w.in, full)
		case shape[a] > 0:
			w.out = shape[a]
			w.pad(max(full-w.out, 0), auto == "SAME_UPPER")
		case auto == "SAME_UPPER" || auto == "SAME_LOWER":
			w.out = w.in * w.stride
			if full < w.out { // where runtimes differ in size and place of the output
				return nil, fmt.Errorf("auto_pad %s with windows of size %d at a stride of %d is ambiguous: give pads or output_shape instead", auto, w.span(), w.stride)
			}
			w.pad(full-w.out, auto == "SAME_UPPER")
		default:
			w.out = full - w.before - w.after
		}
		if w.out < 1 {
			return nil, fmt.Errorf("its padding of %d and %d leaves nothing of %d positions", w.before, w.after, full)
		}
	}
	return ws, nil
}

// outs returns the sizes of the output.
func outs(ws []window) []int {
	s := make([]int, len(ws))
	for a, w := range ws {
		s[a] = w.out
	}
	return s
}

// A grid is the table of a convolution or a pooling over one axis or several.
type grid struct {
	in, out, taps int
	at            []int // (out, taps), the input position each tap meets, or padding or beyond
}

const (
	padding = -1
	beyond  = -2 // of the padded input
)

// grid returns the table of the windows.
func (w window) grid(n *node) (grid, error) {
	return w.table(n, func(p, t int) int {
		switch q := p*w.stride + t*w.dilation - w.before; {
		case q >= w.in+w.after:
			return beyond
		case q < 0 || q >= w.in:
			return padding
		default:
			return q
		}
	})
}

// transposedGrid returns the table of a transposed convolution: output p meets
// input q where p = q stride + t dilation - before.
func (w window) transposedGrid(n *node) (grid, error) {
	return w.table(n, func(p, t int) int {
		q := p - t*w.dilation + w.before
		if q < 0 || q%w.stride != 0 || q/w.stride >= w.in {
			return padding
		}
		return q / w.stride
	})
}

func (w window) table(n *node, at func(p, t int) int) (grid, error) {
	g := grid{in: w.in, out: w.out, taps: w.taps}
	size, err := n.m.limits.size([]int{w.out, w.taps})
	if err == nil {
		err = n.m.limits.take(size)
	}
	if err != nil {
		return g, err
	}
	g.at = make([]int, 0, size)
	for p := range w.out {
		for t := range w.taps {
			g.at = append(g.at, at(p, t))
		}
	}
	return g, nil
}

// join returns the table over all axes, row by row: a tap lies in the padding
// if it does along any axis.
func join(n *node, ws []window, table func(w window, n *node) (grid, error)) (grid, error) {
	all := grid{in: 1, out: 1, taps: 1, at: []int{0}}
	for _, w := range ws {
		g, err := table(w, n)
		if err != nil {
			return all, err
		}
		size, err := n.m.limits.size([]int{all.out, g.out, all.taps, g.taps})
		if err == nil {
			err = n.m.limits.take(size)
		}
		if err != nil {
			return all, err
		}
		at := make([]int, 0, size)
		for p := range all.out * g.out {
			for t := range all.taps * g.taps {
				i := all.at[p/g.out*all.taps+t/g.taps]
				j := g.at[p%g.out*g.taps+t%g.taps]
				if i < 0 || j < 0 {
					at = append(at, min(i, j, padding))
				} else {
					at = append(at, i*g.in+j)
				}
			}
		}
		all = grid{in: all.in * g.in, out: all.out * g.out, taps: all.taps * g.taps, at: at}
	}
	return all, nil
}

// windowsOf returns which positions each window meets, padding aside.
func (g grid) windowsOf(n *node) ([][]int, error) {
	if err := n.m.limits.take(3*g.out + len(g.at)); err != nil {
		return nil, err
	}
	lists := make([][]int, g.out)
	for p := range lists {
		for _, q := range g.at[p*g.taps:][:g.taps] {
			if q >= 0 {
				lists[p] = append(lists[p], q)
			}
		}
		if len(lists[p]) == 0 {
			return nil, fmt.Errorf("window %d lies in the padding entirely", p)
		}
	}
	return lists, nil
}
