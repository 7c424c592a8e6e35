package onnx

import "fmt"

// foldMatMul is the product of two constants.
func foldMatMul(n *node) ([]*tensor, error) {
	d, err := matMulInputs(n)
	if err != nil {
		return nil, err
	}
	if err := realMatrices(n); err != nil {
		return nil, err
	}
	a, err := weights(n, 0, 0, 0, false)
	if err != nil {
		return nil, err
	}
	b, err := weights(n, 1, 0, 0, false)
	if err != nil {
		return nil, err
	}
	ia, ib, err := pairs(n, d.batchA, d.batchB, d.batch)
	if err != nil {
		return nil, err
	}
	size, err := n.m.limits.size(d.out)
	if err == nil {
		err = n.m.limits.take(size)
	}
	if err == nil {
		err = n.m.limits.spend(len(ia), d.m, d.k, d.n)
	}
	if err != nil {
		return nil, err
	}
	out := newTensor(n, n.in[0].con.dtype, d.out, size)
	for i := range ia {
		multiply(out.floats[i*d.m*d.n:], a[ia[i]*d.m*d.k:], b[ib[i]*d.k*d.n:], d.m, d.k, d.n)
	}
	return []*tensor{out}, nil
}

func realMatrices(n *node) error {
	if d := n.in[0].dtype; !d.isFloat() {
		return fmt.Errorf("products of constant %v matrices are not supported", d)
	}
	return nil
}

// multiply adds the product of a, (m, k), and b, (k, n), to c, (m, n).
func multiply(c, a, b []float64, m, k, n int) {
	for i := range m {
		for l := range k {
			f := a[i*k+l]
			for j := range n {
				c[i*n+j] += f * b[l*n+j]
			}
		}
	}
}

// foldGemm is alpha A' B' + beta C of constants.
func foldGemm(n *node) ([]*tensor, error) {
	g, err := parseGemm(n)
	if err != nil {
		return nil, err
	}
	if err := realMatrices(n); err != nil {
		return nil, err
	}
	ab, err := gemmConstants(n, g)
	if err != nil {
		return nil, err
	}
	out := newTensor(n, n.in[0].con.dtype, []int{g.m, g.n}, 0)
	if out.floats = ab; !g.hasC {
		return []*tensor{out}, nil
	}
	c, err := n.con(2)
	if err != nil {
		return nil, err
	}
	v, err := spread(n, c, g.c, out.shape)
	if err != nil {
		return nil, err
	}
	out.floats = addSpread(ab, scaled(v, g.beta))
	return []*tensor{out}, nil
}

// gemmConstants returns alpha A' B', (m, n), of constants.
func gemmConstants(n *node, g gemm) ([]float64, error) {
	a, err := gemmWeights(n, 0, g, g.transA)
	if err != nil {
		return nil, err
	}
	b, err := weights(n, 1, n.in[1].shape[0], n.in[1].shape[1], g.transB)
	if err != nil {
		return nil, err
	}
	size, err := n.m.limits.size([]int{g.m, g.n})
	if err == nil {
		err = n.m.limits.take(size)
	}
	if err == nil {
		err = n.m.limits.spend(g.m, g.k, g.n)
	}
	if err != nil {
		return nil, err
	}
	ab := make([]float64, size)
	multiply(ab, a, b, g.m, g.k, g.n)
	return ab, nil
}
