package onnx

import (
	"errors"
	"fmt"
	"slices"

	"github.com/covprop/covprop/layer"
)

// affineOps are affine maps.
var affineOps = map[string]op{
	"MatMul": {since: 6, inputs: 2, kind: "affine", fold: foldMatMul, shape: matMulShape, rule: matMulRule},
	"Gemm":   {since: 6, inputs: 3, kind: "affine", fold: foldGemm, shape: gemmShape, rule: gemmRule},
}

// matMulDims is the sizes of a product: batches of (m, k) times (k, n).
type matMulDims struct {
	batchA, batchB, batch []int
	m, k, n               int
	out                   []int
}

// matMulSizes follows numpy: a vector on the left is a row, on the right a
// column, and its axis is dropped from the result; leading axes broadcast.
func matMulSizes(a, b []int) (d matMulDims, err error) {
	if len(a) == 0 || len(b) == 0 {
		return d, errors.New("multiplies a scalar")
	}
	rows, cols := []int{}, []int{}
	d.m, d.n = 1, 1
	if len(a) > 1 {
		d.m = a[len(a)-2]
		rows = []int{d.m}
	}
	bk := b[0]
	if len(b) > 1 {
		bk, d.n = b[len(b)-2], b[len(b)-1]
		cols = []int{d.n}
	}
	if d.k = a[len(a)-1]; d.k != bk {
		return d, fmt.Errorf("the shapes %v and %v cannot be multiplied", a, b)
	}
	d.batchA, d.batchB = a[:max(len(a)-2, 0)], b[:max(len(b)-2, 0)]
	if d.batch, err = broadcast(d.batchA, d.batchB); err != nil {
		return d, err
	}
	d.out = concat(d.batch, rows, cols)
	return d, nil
}

func matMulInputs(n *node) (d matMulDims, err error) {
	if n.input(0) == nil || n.input(1) == nil {
		return d, errors.New("needs two inputs")
	}
	return matMulSizes(n.in[0].shape, n.in[1].shape)
}

func matMulShape(n *node) ([][]int, error) {
	d, err := matMulInputs(n)
	return [][]int{d.out}, err
}

// matMulRule is the product, plus the bias that fusion may have added as a
// third input. A constant factor that is the same for all batches makes it an
// affine map; one that differs, a sparse map.
func matMulRule(n *node) (plan, error) {
	d, err := matMulInputs(n)
	if err != nil {
		return plan{}, err
	}
	var bias []float64
	if n.input(2) != nil {
		if bias, err = n.finite(2); err != nil {
			return plan{}, err
		}
	}
	var p plan
	left, right := n.in[0].isConst(), n.in[1].isConst()
	switch {
	case right && product(d.batchB) == 1:
		w, err := weights(n, 1, d.k, d.n, true)
		if err != nil {
			return plan{}, err
		}
		p.step(n.out[0], n.in[0])(layer.NewAffine(w, bias, d.n, d.k, product(d.batch)*d.m, 1))
		return p.done()
	case left && (product(d.batchA) == 1 || product(d.batchB) == 1):
		m := product(d.batchA) * d.m
		w, err := weights(n, 0, m, d.k, false)
		if err != nil {
			return plan{}, err
		}
		p.step(n.out[0], n.in[1])(layer.NewAffine(w, bias, m, d.k, product(d.batchB), d.n))
		return p.done()
	}
	y, rows := n.out[0], product(d.batch)*d.m
	if bias != nil {
		y = temp(n, y, d.out)
	}
	if left || right {
		err = matMulSparse(n, &p, y)
	} else {
		matMulUncertain(n, &p, d, y)
	}
	if err != nil {
		return plan{}, err
	}
	if bias != nil {
		p.step(n.out[0], y)(layer.NewScale(nil, slices.Repeat(bias, rows), rows*d.n))
	}
	return p.done()
}

// matMulSparse appends the product with constant matrices that differ between
// batches.
func matMulSparse(n *node, p *plan, out *value) error {
	a, b := n.in[0].shape, n.in[1].shape
	e := &einsum{size: map[int]int{}, out: ellipsis(max(len(a), len(b)) - 2)}
	la, lb := []int{'k'}, []int{'k'}
	if len(a) > 1 {
		la = append(ellipsis(len(a)-2), 'm', 'k')
		e.out = append(e.out, 'm')
	}
	if len(b) > 1 {
		lb = append(ellipsis(len(b)-2), 'k', 'n')
		e.out = append(e.out, 'n')
	}
	if err := e.add(term{v: n.in[0], labels: la, shape: a}); err != nil {
		return err
	}
	if err := e.add(term{v: n.in[1], labels: lb, shape: b}); err != nil {
		return err
	}
	x, w, err := e.split(n)
	if err != nil {
		return err
	}
	e.linear(p, n, out, x[0], w, e.out)
	return p.err
}

// matMulUncertain appends the product of two uncertain tensors.
func matMulUncertain(n *node, p *plan, d matMulDims, out *value) {
	if product(d.batchB) == 1 { // one matrix for the rows of all batches
		p.step(out, n.in[0], n.in[1])(layer.NewMatProduct(1, product(d.batch)*d.m, d.k, d.n))
		return
	}
	matrices := func(batch []int, rows, cols int) []int { return concat(batch, []int{rows, cols}) }
	x := p.stretched(n, n.in[0], matrices(d.batchA, d.m, d.k), matrices(d.batch, d.m, d.k))
	y := p.stretched(n, n.in[1], matrices(d.batchB, d.k, d.n), matrices(d.batch, d.k, d.n))
	p.step(out, x, y)(layer.NewMatProduct(product(d.batch), d.m, d.k, d.n))
}

// weights returns the constant input i, a (rows, cols) matrix, or its
// transpose.
func weights(n *node, i, rows, cols int, trans bool) ([]float64, error) {
	t, err := n.con(i)
	if err != nil {
		return nil, err
	}
	w, err := t.finite()
	if err != nil || !trans {
		return w, err
	}
	return transposed(n, w, rows, cols)
}

// transposed returns the (cols, rows) transpose of w, which is (rows, cols).
func transposed(n *node, w []float64, rows, cols int) ([]float64, error) {
	if err := n.m.limits.take(len(w)); err != nil {
		return nil, err
	}
	x := make([]float64, len(w))
	for i := range rows {
		for j := range cols {
			x[j*rows+i] = w[i*cols+j]
		}
	}
	return x, nil
}

// gemm is alpha A' B' + beta C, where A' is A, (m, k), or its transpose, and
// B' is B, (k, n), or its transpose.
type gemm struct {
	m, k, n        int
	alpha, beta    float64
	transA, transB bool
	c              []int // shape of C
	hasC           bool
}

func parseGemm(n *node) (g gemm, err error) {
	if n.input(0) == nil || n.input(1) == nil {
		return g, errors.New("needs two inputs")
	}
	a, b := n.in[0].shape, n.in[1].shape
	if len(a) != 2 || len(b) != 2 {
		return g, fmt.Errorf("the shapes %v and %v are not those of matrices", a, b)
	}
	g.alpha, g.beta = n.floatAttr("alpha", 1), n.floatAttr("beta", 1)
	g.transA, g.transB = n.intAttr("transA", 0) != 0, n.intAttr("transB", 0) != 0
	g.m, g.k = a[0], a[1]
	if g.transA {
		g.m, g.k = a[1], a[0]
	}
	bk := b[0]
	g.n = b[1]
	if g.transB {
		bk, g.n = b[1], b[0]
	}
	if g.k != bk {
		return g, fmt.Errorf("the shapes %v and %v cannot be multiplied (transA %v, transB %v)", a, b, g.transA, g.transB)
	}
	if c := n.input(2); c != nil {
		g.c, g.hasC = c.shape, true
		out, err := broadcast(g.c, []int{g.m, g.n})
		if err != nil || !slices.Equal(out, []int{g.m, g.n}) {
			return g, fmt.Errorf("the addend of shape %v does not broadcast to (%d, %d)", g.c, g.m, g.n)
		}
		if n.m.opset < 7 && n.intAttr("broadcast", 0) == 0 && !slices.Equal(g.c, out) {
			return g, fmt.Errorf("the addend has the shape %v, not (%d, %d), and broadcast is off", g.c, g.m, g.n)
		}
	}
	return g, nil
}

func gemmShape(n *node) ([][]int, error) {
	g, err := parseGemm(n)
	return [][]int{{g.m, g.n}}, err
}

func gemmRule(n *node) (plan, error) {
	g, err := parseGemm(n)
	if err != nil {
		return plan{}, err
	}
	var p plan
	uncertainC := g.hasC && !n.in[2].isConst()
	if !uncertainC {
		err = gemmConstC(n, g, &p)
	} else {
		err = gemmUncertainC(n, g, &p)
	}
	if err != nil {
		return plan{}, err
	}
	return p.done()
}

// gemmConstC appends the product, with C as the bias of the affine map where
// it is one, and as a shift otherwise.
func gemmConstC(n *node, g gemm, p *plan) error {
	if !g.hasC {
		return gemmProduct(n, g, p, n.out[0], nil)
	}
	t, err := n.con(2)
	if err != nil {
		return err
	}
	perColumn := product(g.c) == 1 || len(g.c) == 1 || g.c[0] == 1
	if perColumn && n.in[1].isConst() {
		bias, err := spread(n, t, g.c, []int{1, g.n})
		if err != nil {
			return err
		}
		if len(bias) != g.n {
			bias = slices.Repeat(bias, g.n)
		}
		return gemmProduct(n, g, p, n.out[0], scaled(bias, g.beta))
	}
	shift, err := spread(n, t, g.c, []int{g.m, g.n})
	if err != nil {
		return err
	}
	ab := temp(n, n.out[0], n.out[0].shape)
	if err := gemmProduct(n, g, p, ab, nil); err != nil {
		return err
	}
	p.step(n.out[0], ab)(layer.NewScale(nil, scaled(shift, g.beta), g.m*g.n))
	return nil
}

// gemmUncertainC appends the product and its sum with beta C.
func gemmUncertainC(n *node, g gemm, p *plan) error {
	if n.in[0].isConst() && n.in[1].isConst() {
		return gemmShift(n, g, p)
	}
	ab := temp(n, n.out[0], n.out[0].shape)
	if err := gemmProduct(n, g, p, ab, nil); err != nil {
		return err
	}
	c := p.stretched(n, n.in[2], g.c, ab.shape)
	p.step(n.out[0], ab, c)(layer.NewSum([]float64{1, g.beta}, g.m*g.n))
	return nil
}

// gemmShift appends beta C plus the product of two constants.
func gemmShift(n *node, g gemm, p *plan) error {
	ab, err := gemmConstants(n, g)
	if err != nil {
		return err
	}
	c := p.stretched(n, n.in[2], g.c, n.out[0].shape)
	p.step(n.out[0], c)(layer.NewScale([]float64{g.beta}, ab, g.m*g.n))
	return nil
}

// gemmProduct appends out = alpha A' B' + bias.
//
// With B constant the rows of A' map to the rows of the result by the weights
// alpha times the transpose of B', (n, k). With A constant the columns of B'
// map to its columns by alpha A', (m, k).
func gemmProduct(n *node, g gemm, p *plan, out *value, bias []float64) error {
	switch constA, constB := n.in[0].isConst(), n.in[1].isConst(); {
	case constB:
		w, err := gemmWeights(n, 1, g, !g.transB)
		if err != nil {
			return err
		}
		return gemmAffine(n, p, out, n.in[0], gemmMap{w, bias, g.n, g.k, g.m, g.transA, false})
	case constA:
		w, err := gemmWeights(n, 0, g, g.transA)
		if err != nil {
			return err
		}
		return gemmAffine(n, p, out, n.in[1], gemmMap{w, nil, g.m, g.k, g.n, !g.transB, true})
	}
	a, b := p.turned(n, n.in[0], g.transA), p.turned(n, n.in[1], g.transB)
	if g.alpha == 1 {
		p.step(out, a, b)(layer.NewMatProduct(1, g.m, g.k, g.n))
		return p.err
	}
	ab := temp(n, out, []int{g.m, g.n})
	p.step(ab, a, b)(layer.NewMatProduct(1, g.m, g.k, g.n))
	p.step(out, ab)(layer.NewScale([]float64{g.alpha}, nil, g.m*g.n))
	return p.err
}

// turned appends the transpose of the matrix x if trans is set.
func (p *plan) turned(n *node, x *value, trans bool) *value {
	if !trans {
		return x
	}
	rows, cols := x.shape[0], x.shape[1]
	t := temp(n, x, []int{cols, rows})
	if p.fail(n.m.limits.take(rows * cols)); p.err == nil {
		p.step(t, x)(layer.NewSelect(walk(t.shape, 0, []int{1, cols}), rows*cols))
	}
	return t
}

// gemmWeights returns alpha times input i, transposed if trans.
func gemmWeights(n *node, i int, g gemm, trans bool) ([]float64, error) {
	s := n.in[i].shape
	w, err := weights(n, i, s[0], s[1], trans)
	return scaled(w, g.alpha), err
}

// gemmMap maps count vectors of length k to vectors of length rows by the
// weights w, (rows, k). They are the columns of the matrix x if inner, else
// its rows, and the columns of the result if columns, else its rows.
type gemmMap struct {
	w, bias        []float64
	rows, k, count int
	inner, columns bool
}

// gemmAffine appends out = g(x). The affine rule leaves columns columns and
// rows rows; where g does not, its result is transposed.
func gemmAffine(n *node, p *plan, out, x *value, g gemmMap) error {
	outer, inner, made := g.count, 1, []int{g.count, g.rows}
	if g.inner {
		outer, inner, made = 1, g.count, []int{g.rows, g.count}
	}
	if g.inner == g.columns || g.rows == 1 || g.count == 1 {
		p.step(out, x)(layer.NewAffine(g.w, g.bias, g.rows, g.k, outer, inner))
		return nil
	}
	if err := n.m.limits.take(g.rows * g.count); err != nil {
		return err
	}
	y := temp(n, out, made)
	p.step(y, x)(layer.NewAffine(g.w, g.bias, g.rows, g.k, outer, inner))
	p.step(out, y)(layer.NewSelect(walk([]int{made[1], made[0]}, 0, []int{1, made[1]}), g.rows*g.count))
	return nil
}
