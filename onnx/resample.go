package onnx

import (
	"errors"
	"math"
)

// transforms are the ways from a position on the resized axis to one on the
// original axis.
var transforms = []string{
	"half_pixel", "half_pixel_symmetric", "pytorch_half_pixel", "align_corners", "asymmetric", "tf_half_pixel_for_nn", "tf_crop_and_resize",
}

// original returns where position x of the resized axis lies on the original
// one, as the operator Resize defines it, with the length that the scale gives,
// which need not be whole.
func original[T float32 | float64](transform string, a resizeAxis, x T) T {
	in, out, length, scale := T(a.in), T(a.out), T(a.length), T(a.scale)
	switch transform {
	case "asymmetric":
		return x / scale
	case "tf_half_pixel_for_nn":
		if scale == 1 { // not resized: ONNX Runtime leaves it alone
			return x
		}
		return (x + 0.5) / scale
	case "align_corners":
		if length == 1 {
			return 0
		}
		return x * (in - 1) / (length - 1)
	case "tf_crop_and_resize":
		start, end := T(a.start), T(a.end)
		if length == 1 {
			return (start + end) / 2 * (in - 1)
		}
		return start*(in-1) + x*(end-start)*(in-1)/(length-1)
	case "half_pixel_symmetric": // the centres agree
		return in/2*(1-out/length) + (x+0.5)/scale - 0.5
	case "pytorch_half_pixel":
		if length <= 1 {
			return 0
		}
	}
	return (x+0.5)/scale - 0.5
}

// sparseRows is a sparse matrix for layer.NewSparse.
type sparseRows struct {
	start, index []int
	weight, bias []float64
}

// identity reports whether the map of n positions changes nothing.
func (m *sparseRows) identity(n int) bool {
	if len(m.start) != n+1 || len(m.index) != n || m.bias != nil {
		return false
	}
	for i, k := range m.index {
		if k != i || m.start[i] != i || m.weight[i] != 1 {
			return false
		}
	}
	return true
}

// rows returns the interpolation along an axis: at x the weight of position q
// is proportional to
//
//	K(s (q - x)),  s = 1, or min(scale, 1) with antialiasing,
//
// with the kernel K of linear or cubic interpolation. Positions outside count
// as the nearest one inside, or not at all.
func (r resize) rows(n *node, a resizeAxis) (*sparseRows, error) {
	kernel, radius := triangle, 1.
	if r.mode == "cubic" {
		kernel, radius = r.cubic, 2
	}
	s := 1.
	if r.antialias {
		s = min(a.scale, 1)
	}
	radius /= s
	size, err := n.m.limits.size([]int{a.out, int(min(2*radius, math.MaxInt32)) + 1})
	if err == nil {
		err = n.m.limits.take(2*size + 2*a.out)
	}
	if err != nil {
		return nil, err
	}
	m := &sparseRows{start: []int{0}}
	if r.hasExtrapolated {
		m.bias = make([]float64, a.out)
	}
	inside := 0
	for i := range a.out {
		x := original(r.transform, a, float64(i))
		switch {
		case !r.hasExtrapolated:
		case x >= 0 && x <= float64(a.in-1):
			inside++
		default:
			m.bias[i] = r.extrapolation
			m.start = append(m.start, len(m.index))
			continue
		}
		if err := m.add(x, radius, a.in, r.excludeOutside, func(d float64) float64 { return kernel(s * d) }); err != nil {
			return nil, err
		}
	}
	if inside == a.out {
		m.bias = nil
	}
	return m, nil
}

// add appends the row of the weights kernel(q - x) of the positions q within
// radius of x, made to add up to one.
func (m *sparseRows) add(x, radius float64, in int, exclude bool, kernel func(d float64) float64) error {
	first, total := len(m.index), 0.
	last := float64(in - 1)
	for q := math.Ceil(x - radius); q <= x+radius; q++ {
		w := kernel(q - x)
		if w == 0 || exclude && (q < 0 || q > last) {
			continue
		}
		m.index = append(m.index, int(min(max(q, 0), last)))
		m.weight = append(m.weight, w)
		total += w
	}
	if total == 0 {
		return errors.New("a position of the resized tensor has no neighbours inside the tensor")
	}
	for i := range m.weight[first:] {
		m.weight[first+i] /= total
	}
	m.start = append(m.start, len(m.index))
	return nil
}

// triangle is the kernel of linear interpolation.
func triangle(d float64) float64 { return max(1-math.Abs(d), 0) }

// cubic is the kernel of cubic convolution with parameter a (Keys 1981, DOI
// 10.1109/TASSP.1981.1163711).
func (r resize) cubic(d float64) float64 {
	d = math.Abs(d)
	switch {
	case d < 1:
		return ((r.a+2)*d-(r.a+3))*d*d + 1
	case d < 2:
		return r.a * (((d-5)*d+8)*d - 4)
	}
	return 0
}
