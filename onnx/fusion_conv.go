package onnx

import "slices"

// fuseConv makes one convolution of a convolution and a batch normalisation,
// or the addition of or multiplication by a constant for each channel:
//
//	s (W * x + b) + t = (s W) * x + (s b + t)
func (n *node) fuseConv() {
	v, scale, shift := n.channelMap()
	if v == nil || v.isConst() || v.by == nil {
		return
	}
	c := v.by
	if c.op != "Conv" && c.op != "ConvTranspose" || c.err != nil || c.into != nil || !slices.Equal(v.shape, n.out[0].shape) {
		return
	}
	m := newMatch(n)
	m.members = append(m.members, c)
	if !m.closed() {
		return
	}
	w, b := c.scaled(scale, shift)
	if w == nil {
		return
	}
	m.replace(c.op, c.def, c.in[0], w, b)
	n.attrs = c.attrs
	n.members += c.members - 1
}

// channelMap returns what the node makes of a value if it is scale and shift
// of its channels; one number is for all of them. The value is nil if the node
// is nothing like that.
func (n *node) channelMap() (v *value, scale, shift []float64) {
	switch {
	case n.op == "BatchNormalization":
		scale, shift, err := parseBatchNorm(n)
		if err != nil || len(n.in[0].shape) < 3 || len(scale) != n.in[0].shape[1] {
			return nil, nil, nil
		}
		return n.in[0], scale, shift
	case n.op != "Add" && n.op != "Sub" && n.op != "Mul" && n.op != "Div":
		return nil, nil, nil
	case n.m.opset < 7 || len(n.in) != 2 || n.in[0] == nil || n.in[1] == nil:
		return nil, nil, nil
	}
	side := slices.IndexFunc(n.in, (*value).isConst)
	if side < 0 || n.op == "Div" && side == 0 {
		return nil, nil, nil
	}
	v = n.in[1-side]
	c := perChannel(n.in[side], v.shape)
	switch {
	case c == nil || n.op == "Div" && slices.Contains(c, 0):
		return nil, nil, nil
	case n.op == "Add":
		return v, []float64{1}, c
	case n.op == "Sub" && side == 0:
		return v, []float64{-1}, c
	case n.op == "Sub":
		return v, []float64{1}, scaled(c, -1)
	case n.op == "Mul":
		return v, c, []float64{0}
	}
	inverse := make([]float64, len(c))
	for i, x := range c {
		inverse[i] = 1 / x
	}
	return v, inverse, []float64{0}
}

// perChannel returns the constant c, which broadcasts to the shape x, as one
// number for each channel or for all of them; nil if it is neither.
func perChannel(c *value, x []int) []float64 {
	lead := len(x) - len(c.shape)
	if len(x) < 3 || lead < 0 {
		return nil
	}
	for a, d := range c.shape {
		if d != 1 && (lead+a != 1 || d != x[1]) {
			return nil
		}
	}
	data, err := c.con.finite()
	if err != nil {
		return nil
	}
	return data
}

// scaled returns the weights and the bias of a convolution of which the
// channels are scaled and shifted; nil if there is no memory for them.
func (n *node) scaled(scale, shift []float64) (w, b *value) {
	c, err := parseConv(n)
	if err != nil {
		return nil, nil
	}
	weights, bias, err := c.weights(n)
	if err != nil || n.m.limits.take(len(weights)+c.outC) != nil {
		return nil, nil
	}
	at := func(x []float64, o int) float64 { return x[min(o, len(x)-1)] }
	newBias := make([]float64, c.outC)
	for o := range newBias {
		if newBias[o] = at(shift, o); bias != nil {
			newBias[o] += at(scale, o) * bias[o]
		}
	}
	shape := n.in[1].shape
	newWeights := make([]float64, len(weights))
	taps := product(shape[2:])
	for i, x := range weights {
		row := i / taps
		if c.transposed { // (inC, outC/groups, taps)
			size := c.outC / c.groups
			row = row/size/(c.inC/c.groups)*size + row%size
		} else { // (outC, inC/groups, taps)
			row /= shape[1]
		}
		newWeights[i] = at(scale, row) * x
	}
	return n.fusedConstant(1, shape, newWeights), n.fusedConstant(2, []int{c.outC}, newBias)
}

// fusedConstant is a constant in the place of input i.
func (n *node) fusedConstant(i int, shape []int, x []float64) *value {
	name := "bias of " + n.name
	if v := n.input(i); v != nil {
		name = v.name
	}
	t := &tensor{origin: "constant " + name, dtype: float64t, shape: shape, floats: x}
	return &value{name: name, dtype: float64t, shape: shape, con: t}
}
