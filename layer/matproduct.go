package layer

import (
	"context"
	"fmt"
	"math"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas64"

	"github.com/covprop/covprop"
	"github.com/covprop/covprop/internal/kernel"
)

// MatProduct is the product Y = A B of two jointly Gaussian matrices, for each
// element of a batch, as in attention. Its first two moments are exact
// (Isserlis 1918). With the covariances of single entries and sums over k, l,
//
//	E Y_ij = E A_ik E B_kj + Cov(A_ik, B_kj)
//	Cov(Y_ij, Y_i'j') = Cov(L_ij, L_i'j') + Cov(A_ik, A_i'l) Cov(B_kj, B_lj') + Cov(B_kj, A_i'l) Cov(A_ik, B_lj')
//	L = A E B + E A B,    E dY/dA = I x (E B)',    E dY/dB = E A x I.
//
// The covariance of one Y_ij with all of Y_i'j' is an (m, n) matrix, and so a
// sum of products of matrices: the row of Cov(A, A) that belongs to A_ik is an
// (m, k) matrix, that of Cov(B, B) for B_kj a (k, n) one. That takes m^2 n^2 k^2
// multiplications for a pair of batch elements: half a minute on one core
// for 64 tokens of width 64, and half a second for 32 of width 32.
type MatProduct struct {
	batch, m, k, n int
	inputs         [2]int
}

// NewMatProduct returns the products y_b = A_b B_b of A, (batch, m, k), and B,
// (batch, k, n).
func NewMatProduct(batch, m, k, n int) (*MatProduct, error) {
	if batch < 1 || m < 1 || k < 1 || n < 1 {
		return nil, fmt.Errorf("a product of %d pairs of matrices, %d x %d and %d x %d, is empty", batch, m, k, k, n)
	}
	return &MatProduct{batch: batch, m: m, k: k, n: n, inputs: [2]int{batch * m * k, batch * k * n}}, nil
}

// Name implements Rule.
func (p *MatProduct) Name() string { return "matrix product" }

// Inputs implements Rule.
func (p *MatProduct) Inputs() []int { return p.inputs[:] }

// OutputLen implements Rule.
func (p *MatProduct) OutputLen() int { return p.batch * p.m * p.n }

// Exactness implements Rule.
func (p *MatProduct) Exactness() covprop.Accuracy { return covprop.Accuracy{} }

// Forward implements Rule.
func (p *MatProduct) Forward(dst []float64, x ...[]float64) {
	for e := range p.batch {
		blas64.Gemm(blas.NoTrans, blas.NoTrans, 1, p.a(x[0], e), p.b(x[1], e), 0, packed(p.m, p.n, dst[e*p.m*p.n:][:p.m*p.n]))
	}
}

// a and b are the matrices of batch element e in x, or in a row of a
// covariance.
func (p *MatProduct) a(x []float64, e int) blas64.General {
	return packed(p.m, p.k, x[e*p.m*p.k:][:p.m*p.k])
}

func (p *MatProduct) b(x []float64, e int) blas64.General {
	return packed(p.k, p.n, x[e*p.k*p.n:][:p.k*p.n])
}

// WorkFloats implements Nonlinear: the means, for the gains, and the covariance
// between the inputs with its rows the other way round.
func (p *MatProduct) WorkFloats(diagonal bool) int {
	if diagonal {
		return 0
	}
	return p.inputs[0] + p.inputs[1] + p.inputs[0]*p.inputs[1]
}

// MomentsTo implements Nonlinear.
func (p *MatProduct) MomentsTo(ctx context.Context, dst *Response, in *Joint, o Options) (covprop.Accuracy, error) {
	s := matMoments{
		MatProduct: p, ctx: ctx, dst: dst, a0: in.Mean[0], b0: in.Mean[1],
		aa: in.Between(0, 0), ab: in.Between(0, 1), ba: in.Between(1, 0), bb: in.Between(1, 1),
	}
	s.mean()
	rest := dst.Work
	if dst.Gain != nil {
		var a0, b0 []float64
		a0, rest = rest[:p.inputs[0]], rest[p.inputs[0]:]
		b0, rest = rest[:p.inputs[1]], rest[p.inputs[1]:]
		copy(a0, s.a0)
		copy(b0, s.b0)
		dst.Gain[0], dst.Gain[1] = matGainA{p, b0}, matGainB{p, a0}
	}
	if dst.Diagonal() {
		return s.variances(o.Threads)
	}
	// Rows are read one by one, so a block that is stored transposed is
	// turned round; of ab and ba at most one is.
	for _, b := range []*Block{&s.ab, &s.ba} {
		if b.Dense.Rows > 0 && b.Trans {
			*b = turned(*b, rest)
		}
	}
	for _, b := range []*Block{&s.aa, &s.bb} {
		b.Trans = false // they are symmetric
	}
	if err := kernel.Parallel(ctx, o.Threads, p.batch*p.m, s.covariances); err != nil {
		return covprop.Accuracy{}, err
	}
	kernel.Mirror(dst.Cov)
	return s.settle(), nil
}

// turned copies the transposed block b to work, row by row.
func turned(b Block, work []float64) Block {
	const tile = 32
	r, c := b.Dense.Cols, b.Dense.Rows
	t := packed(r, c, work[:r*c])
	for i0 := 0; i0 < r; i0 += tile {
		for j0 := 0; j0 < c; j0 += tile {
			for i := i0; i < min(r, i0+tile); i++ {
				for j := j0; j < min(c, j0+tile); j++ {
					t.Data[i*c+j] = b.Dense.Data[j*b.Dense.Stride+i]
				}
			}
		}
	}
	return Block{Dense: t}
}

// matMoments is one run of MomentsTo.
type matMoments struct {
	*MatProduct
	ctx            context.Context
	dst            *Response
	a0, b0         []float64 // E A, E B
	aa, ab, ba, bb Block
}

func (s *matMoments) mean() {
	s.Forward(s.dst.Mean, s.a0, s.b0)
	if s.ab.Zero() {
		return
	}
	for r := range s.dst.Mean {
		e, i, j := s.entry(r)
		for k := range s.k {
			s.dst.Mean[r] += s.ab.At(s.inA(e, i, k), s.inB(e, k, j))
		}
	}
}

// entry splits the index r of Y into batch element, row and column.
func (p *MatProduct) entry(r int) (e, i, j int) { return r / (p.m * p.n), r / p.n % p.m, r % p.n }

// inA and inB are the indices of A_ik and B_kj of batch element e.
func (p *MatProduct) inA(e, i, k int) int { return (e*p.m+i)*p.k + k }
func (p *MatProduct) inB(e, k, j int) int { return (e*p.k+k)*p.n + j }

// covariances computes the rows of Cov(Y) that belong to row t of A, up to the
// diagonal and a little beyond.
func (s *matMoments) covariances(t int) error {
	e, i := t/s.m, t%s.m
	la, lb := make([]float64, s.m*s.k), make([]float64, s.k*s.n)
	for j := range s.n {
		r := (e*s.m+i)*s.n + j
		for f := range e + 1 {
			if err := s.ctx.Err(); err != nil {
				return err
			}
			m := s.m
			if f == e {
				m = i + 1
			}
			y := packed(m, s.n, row(s.dst.Cov, r)[f*s.m*s.n:][:m*s.n])
			clear(y.Data)
			s.linear(y, e, i, j, f, packed(m, s.k, la[:m*s.k]), packed(s.k, s.n, lb))
			for k := range s.k {
				a, b := s.inA(e, i, k), s.inB(e, k, j)
				mulRows(y, s.aRow(s.aa, a, f, m), s.bRow(s.bb, b, f))
				mulRows(y, s.aRow(s.ba, b, f, m), s.bRow(s.ab, a, f))
			}
		}
	}
	return nil
}

// linear adds Cov(L_ij, L) = Cov(L_ij, A) E B + E A Cov(L_ij, B) to y, with L_ij
// of batch element e and the rest of element f. la and lb are scratch for the
// two covariances.
func (s *matMoments) linear(y blas64.General, e, i, j, f int, la, lb blas64.General) {
	clear(la.Data)
	clear(lb.Data)
	for k := range s.k {
		a, b := s.inA(e, i, k), s.inB(e, k, j)
		s.aRow(s.aa, a, f, la.Rows).addTo(la, s.b0[b])
		s.aRow(s.ba, b, f, la.Rows).addTo(la, s.a0[a])
		s.bRow(s.ab, a, f).addTo(lb, s.b0[b])
		s.bRow(s.bb, b, f).addTo(lb, s.a0[a])
	}
	gemm(y, la, s.b(s.b0, f))
	ea := s.a(s.a0, f)
	ea.Rows = y.Rows
	gemm(y, ea, lb)
}

// gemm computes c += a b on one thread.
func gemm(c, a, b blas64.General) {
	// The context is looked at once for every product by the caller.
	_ = kernel.MulTo(context.Background(), 1, c, a, b, true)
}

// A blockRow is the part of a row of a covariance that belongs to one matrix of
// a batch, as a matrix: dense, or with the one entry v at (i, j), or zero.
type blockRow struct {
	dense blas64.General // if it has rows
	i, j  int
	v     float64 // not 0 if there is an entry
}

// aRow is the part of row r of c that belongs to the first m rows of matrix A of
// batch element f.
func (s *matMoments) aRow(c Block, r, f, m int) blockRow {
	return rowPart(c, r, f*s.m*s.k, m, s.k)
}

// bRow is the part of row r of c that belongs to matrix B of batch element f.
func (s *matMoments) bRow(c Block, r, f int) blockRow {
	return rowPart(c, r, f*s.k*s.n, s.k, s.n)
}

// rowPart returns columns from, ..., from + rows cols - 1 of row r of c as a
// matrix.
func rowPart(c Block, r, from, rows, cols int) blockRow {
	switch {
	case c.Dense.Rows > 0:
		return blockRow{dense: packed(rows, cols, c.Dense.Data[r*c.Dense.Stride+from:][:rows*cols])}
	case c.Diag != nil && r >= from && r < from+rows*cols:
		return blockRow{i: (r - from) / cols, j: (r - from) % cols, v: c.Diag[r]}
	}
	return blockRow{}
}

// addTo computes dst += f r.
func (r blockRow) addTo(dst blas64.General, f float64) {
	switch {
	case f == 0:
	case r.dense.Rows > 0:
		for i, v := range r.dense.Data {
			dst.Data[i] += f * v
		}
	case r.v != 0:
		dst.Data[r.i*dst.Stride+r.j] += f * r.v
	}
}

// mulRows computes dst += a b.
func mulRows(dst blas64.General, a, b blockRow) {
	switch {
	case a.dense.Rows > 0 && b.dense.Rows > 0:
		gemm(dst, a.dense, b.dense)
	case a.dense.Rows > 0 && b.v != 0:
		for i := range dst.Rows {
			dst.Data[i*dst.Stride+b.j] += a.dense.Data[i*a.dense.Stride+b.i] * b.v
		}
	case a.v != 0 && b.dense.Rows > 0:
		d := row(dst, a.i)
		for j, v := range row(b.dense, a.j) {
			d[j] += a.v * v
		}
	case a.v != 0 && b.v != 0 && a.j == b.i:
		dst.Data[a.i*dst.Stride+b.j] += a.v * b.v
	}
}

// settle reports, and puts right, variances that rounding has outweighed.
func (s *matMoments) settle() covprop.Accuracy {
	amplified := 0.
	for r := range s.dst.Mean {
		v := &s.dst.Cov.Data[r*s.dst.Cov.Stride+r]
		amplified = max(amplified, s.settled(r, v))
	}
	return rounded(amplified)
}

// settled returns the amplification of rounding in v, the variance of entry r.
// If rounding has made that negative, it becomes what rounding can hide.
func (s *matMoments) settled(r int, v *float64) float64 {
	e, i, j := s.entry(r)
	var linear, square float64
	for k := range s.k {
		a, b := s.inA(e, i, k), s.inB(e, k, j)
		sa, sb := math.Sqrt(s.aa.At(a, a)), math.Sqrt(s.bb.At(b, b))
		linear += math.Abs(s.b0[b])*sa + math.Abs(s.a0[a])*sb
		square += sa * sb
	}
	// By Cauchy and Schwarz no sum of absolute terms is larger.
	scale := linear*linear + 2*square*square
	if hidden := scale * 0x1p-50; *v < 0 && -*v <= hidden {
		*v = hidden
	}
	return amplification(scale, *v)
}

// variances computes the variances only.
func (s *matMoments) variances(threads int) (covprop.Accuracy, error) {
	amplified := make([]float64, s.batch*s.m)
	sparse := s.aa.Dense.Rows == 0 && s.bb.Dense.Rows == 0 && s.ab.Zero()
	err := kernel.Parallel(s.ctx, threads, s.batch*s.m, func(t int) error {
		for j := range s.n {
			r := t*s.n + j
			v := &s.dst.Variance[r]
			*v = 0
			for k := range s.k {
				from, to := 0, s.k
				if sparse {
					from, to = k, k+1
				}
				for l := from; l < to; l++ {
					*v += s.term(r, k, l)
				}
			}
			amplified[t] = max(amplified[t], s.settled(r, v))
		}
		return nil
	})
	worst := 0.
	for _, x := range amplified {
		worst = max(worst, x)
	}
	return rounded(worst), err
}

// term is the covariance of A_ik B_kj and A_il B_lj for the entry r of Y.
func (s *matMoments) term(r, k, l int) float64 {
	e, i, j := s.entry(r)
	ak, bk, al, bl := s.inA(e, i, k), s.inB(e, k, j), s.inA(e, i, l), s.inB(e, l, j)
	a, b, x, z := s.aa.At(ak, al), s.bb.At(bk, bl), s.ab.At(ak, bl), s.ba.At(bk, al)
	return s.b0[bk]*s.b0[bl]*a + s.a0[ak]*s.a0[al]*b + s.b0[bk]*s.a0[al]*x + s.a0[ak]*s.b0[bl]*z + a*b + x*z
}
