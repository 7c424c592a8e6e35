package onnx

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/covprop/covprop/internal/onnxpb"
	"github.com/covprop/covprop/layer"
)

// resize is an image on another grid, axis by axis.
type resize struct {
	axes      []resizeAxis
	shape     []int  // of the result
	mode      string // nearest, linear or cubic
	transform string // of coordinates
	nearest   string // how the nearest position is chosen; "" as before opset 11

	a               float64 // of the cubic
	excludeOutside  bool
	antialias       bool
	extrapolation   float64
	hasExtrapolated bool // positions outside have that value
}

// resizeAxis is an axis of in positions that becomes one of out.
type resizeAxis struct {
	in, out    int
	length     float64 // scale in, of which out is the whole part if the scale is given
	scale      float64
	start, end float64 // of the part that is resized, in units of the axis
}

// parseResize reads a Resize or an Upsample, which is what Resize was in opset
// 10.
func parseResize(n *node) (r resize, err error) {
	x, err := n.data()
	if err != nil {
		return r, err
	}
	r = resize{
		axes:      make([]resizeAxis, len(x.shape)),
		mode:      n.stringAttr("mode", "nearest"),
		transform: "asymmetric",
		a:         n.floatAttr("cubic_coeff_a", -0.75),
	}
	for a, d := range x.shape {
		r.axes[a] = resizeAxis{in: d, out: d, length: float64(d), scale: 1, end: 1}
	}
	if n.op == "Upsample" || n.m.opset < 11 {
		err = r.setScales(n)
	} else {
		err = r.setSizes(n)
	}
	if err != nil {
		return r, err
	}
	if r.mode == "bilinear" && n.m.opset < 7 {
		r.mode = "linear"
	}
	if !slices.Contains([]string{"nearest", "linear", "cubic"}, r.mode) {
		return r, fmt.Errorf("the mode %q is not known", r.mode)
	}
	r.shape = []int{}
	for _, a := range r.axes {
		if a.in == 0 && a.out > 0 {
			return r, errors.New("resizes an empty tensor")
		}
		r.shape = append(r.shape, a.out)
	}
	return r, nil
}

// setScales reads the scales of an Upsample, or of a Resize of opset 10.
func (r *resize) setScales(n *node) error {
	var scales []float64
	switch {
	case n.m.opset < 7: // an image
		scales = []float64{1, 1, n.floatAttr("height_scale", 0), n.floatAttr("width_scale", 0)}
	case n.m.opset < 9:
		list, err := n.floatsAttr("scales")
		if err != nil {
			return err
		}
		scales = list
	default:
		list, err := n.finite(1)
		if err != nil {
			return err
		}
		scales = list
	}
	return r.scaleAxes(iota(len(r.axes)), scales)
}

// floatsAttr returns a list of finite numbers, which must be given.
func (n *node) floatsAttr(name string) ([]float64, error) {
	a := n.attr(name, onnxpb.AttributeProto_FLOATS)
	if a == nil {
		return nil, fmt.Errorf("has no %s", name)
	}
	x := make([]float64, len(a.GetFloats()))
	for i, v := range a.GetFloats() {
		if x[i] = float64(v); math.IsNaN(x[i]) || math.IsInf(x[i], 0) {
			return nil, fmt.Errorf("the attribute %q has the element %v", name, v)
		}
	}
	return x, nil
}

// setSizes reads a Resize from opset 11 on: the part that is resized, and the
// scales or the sizes.
func (r *resize) setSizes(n *node) error {
	r.transform = n.stringAttr("coordinate_transformation_mode", "half_pixel")
	r.nearest = n.stringAttr("nearest_mode", "round_prefer_floor")
	r.excludeOutside = n.intAttr("exclude_outside", 0) != 0
	r.antialias = n.intAttr("antialias", 0) != 0
	r.extrapolation = n.floatAttr("extrapolation_value", 0)
	r.hasExtrapolated = r.transform == "tf_crop_and_resize"
	if !slices.Contains(transforms, r.transform) {
		return fmt.Errorf("the coordinate_transformation_mode %q is not known", r.transform)
	}
	if !slices.Contains([]string{"round_prefer_floor", "round_prefer_ceil", "floor", "ceil"}, r.nearest) {
		return fmt.Errorf("the nearest_mode %q is not known", r.nearest)
	}
	axes := iota(len(r.axes))
	if list, ok := n.intsAttr("axes"); ok {
		var err error
		if axes, err = orderedAxes(list, len(r.axes)); err != nil {
			return err
		}
	}
	if r.hasExtrapolated {
		roi, err := n.finite(1)
		if err != nil {
			return err
		}
		if len(roi) != 2*len(axes) {
			return fmt.Errorf("the part to be resized has %d bounds for %d axes", len(roi), len(axes))
		}
		for i, a := range axes {
			r.axes[a].start, r.axes[a].end = roi[i], roi[len(axes)+i]
		}
	}
	scales, err := n.optional(2)
	if err != nil {
		return err
	}
	sizes, err := n.optional(3)
	switch {
	case err != nil:
		return err
	case (scales == nil) == (sizes == nil):
		return errors.New("needs either scales or sizes")
	case scales != nil:
		return r.scaleAxes(axes, scales)
	}
	return r.sizeAxes(axes, sizes, n.stringAttr("keep_aspect_ratio_policy", "stretch"))
}

// optional returns input i as finite numbers, nil if it is left out or empty.
func (n *node) optional(i int) ([]float64, error) {
	if n.input(i) == nil {
		return nil, nil
	}
	x, err := n.finite(i)
	if len(x) == 0 {
		return nil, err
	}
	return x, err
}

// scaleAxes sets the sizes of the axes to floor(scale in), which is defined in
// float32.
func (r *resize) scaleAxes(axes []int, scales []float64) error {
	if len(scales) != len(axes) {
		return fmt.Errorf("has %d scales for %d axes", len(scales), len(axes))
	}
	for i, s := range scales {
		a := &r.axes[axes[i]]
		size := float32(s) * float32(a.in)
		if !(s > 0) || size > math.MaxInt32 {
			return fmt.Errorf("the scale %g of an axis of size %d is not possible", s, a.in)
		}
		a.scale, a.length, a.out = s, float64(size), int(size)
	}
	return nil
}

// sizeAxes sets the sizes of the axes. A policy other than stretch makes all
// scales the same: so that no axis is larger than its size, or none smaller.
func (r *resize) sizeAxes(axes []int, sizes []float64, policy string) error {
	if len(sizes) != len(axes) {
		return fmt.Errorf("has %d sizes for %d axes", len(sizes), len(axes))
	}
	scales := make([]float64, len(sizes))
	for i, s := range sizes {
		a := &r.axes[axes[i]]
		if a.in == 0 || !(s >= 0 && s <= math.MaxInt32) || s != math.Trunc(s) {
			return fmt.Errorf("an axis of size %d cannot be made one of size %g", a.in, s)
		}
		a.out, a.length = int(s), s
		scales[i] = s / float64(a.in)
	}
	common := 0.
	switch {
	case policy == "stretch" || len(scales) == 0:
	case policy == "not_larger":
		common = slices.Min(scales)
	case policy == "not_smaller":
		common = slices.Max(scales)
	default:
		return fmt.Errorf("the keep_aspect_ratio_policy %q is not known", policy)
	}
	for i, s := range scales {
		a := &r.axes[axes[i]]
		a.scale = s
		if policy != "stretch" {
			a.scale, a.length = common, common*float64(a.in)
			size := math.Floor(a.length + 0.5)
			if size > math.MaxInt32 {
				return fmt.Errorf("the scale %g of an axis of size %d is not possible", common, a.in)
			}
			a.out = int(size)
		}
	}
	return nil
}

func resizeShape(n *node) ([][]int, error) {
	r, err := parseResize(n)
	return [][]int{r.shape}, err
}

func resizeRule(n *node) (plan, error) {
	r, err := parseResize(n)
	if err != nil {
		return plan{}, err
	}
	var p plan
	if r.mode == "nearest" {
		err = r.pick(n, &p)
	} else {
		err = r.interpolate(n, &p)
	}
	if err != nil {
		return plan{}, err
	}
	return p.done()
}

// pick appends the step that takes the nearest elements.
func (r resize) pick(n *node, p *plan) error {
	from := make([][]int, len(r.axes))
	for a, ax := range r.axes {
		if err := n.m.limits.take(ax.out); err != nil {
			return err
		}
		from[a] = make([]int, ax.out)
		for i := range from[a] {
			// As in the frameworks: at a tie the rounding decides.
			x := original(r.transform, ax, float32(i))
			if r.hasExtrapolated && !(x >= 0 && x <= float32(ax.in-1)) {
				from[a][i] = -1
				continue
			}
			from[a][i] = int(min(max(r.round(float64(x), ax.scale), 0), float64(ax.in-1)))
		}
	}
	index, err := fromAxes(n, n.in[0].shape, from)
	if err != nil {
		return err
	}
	p.placed(n, n.out[0], n.in[0], index, []float64{r.extrapolation})
	return p.err
}

// round returns the position nearest to x.
func (r resize) round(x, scale float64) float64 {
	switch r.nearest {
	case "round_prefer_floor":
		return math.Ceil(x - 0.5)
	case "round_prefer_ceil":
		return math.Floor(x + 0.5)
	case "ceil":
		return math.Ceil(x)
	case "floor":
		return math.Floor(x)
	}
	if scale < 1 { // as ONNX Runtime does before opset 11
		return math.Ceil(x)
	}
	return math.Floor(x)
}

// interpolate appends a sparse map for each axis that changes, the one that
// shrinks most first.
func (r resize) interpolate(n *node, p *plan) error {
	var axes []int
	maps := make([]*sparseRows, len(r.axes))
	for a, ax := range r.axes {
		m, err := r.rows(n, ax)
		if err != nil {
			return err
		}
		if !m.identity(ax.in) {
			axes, maps[a] = append(axes, a), m
		}
	}
	x := n.in[0]
	if len(axes) == 0 {
		p.step(n.out[0], x)(layer.NewReshape(product(r.shape)))
		return p.err
	}
	slices.SortStableFunc(axes, func(a, b int) int { return r.axes[a].out*r.axes[b].in - r.axes[b].out*r.axes[a].in })
	shape := slices.Clone(x.shape)
	for i, a := range axes {
		shape[a] = r.axes[a].out
		y := n.out[0]
		if i < len(axes)-1 {
			y = temp(n, y, slices.Clone(shape))
		}
		m := maps[a]
		p.step(y, x)(layer.NewSparse(m.start, m.index, m.weight, m.bias, r.axes[a].in, product(shape[:a]), product(shape[a+1:])))
		x = y
	}
	return p.err
}
