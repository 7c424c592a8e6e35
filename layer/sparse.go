package layer

import (
	"context"
	"fmt"

	"gonum.org/v1/gonum/blas/blas64"

	"github.com/covprop/covprop"
	"github.com/covprop/covprop/internal/kernel"
)

// Sparse is y = S x + b along one axis with a sparse matrix S, compressed row
// by row: average pooling, resizing, padding, sums, running sums. It is exact:
// Cov(y) = A Cov(x) A' with A the Kronecker product of I_Outer, S and I_Inner.
type Sparse struct {
	start, index []int     // row r of S has the columns index[start[r]:start[r+1]], all different,
	weight       []float64 // with these entries
	bias         []float64 // (out), or nil
	in           int
	outer, inner int
	inputs       [1]int
	shared       bool // a column has entries in two rows
}

// NewSparse returns the map y[o,:,i] = S x[o,:,i] + bias of x, (outer, in,
// inner), to y, (outer, out, inner). Row r of S has the entries weight[k] in
// column index[k] for start[r] <= k < start[r+1]; out is len(start)-1. A
// column may occur more than once in a row; its entries add up. bias is nil
// or of length out. The slices may be kept.
func NewSparse(start, index []int, weight, bias []float64, in, outer, inner int) (*Sparse, error) {
	out := len(start) - 1
	switch {
	case out < 1 || in < 1 || outer < 1 || inner < 1:
		return nil, fmt.Errorf("a sparse map of size %d x %d, repeated %d x %d times, is empty", max(out, 0), in, outer, inner)
	case len(weight) != len(index):
		return nil, fmt.Errorf("%d weights for %d columns", len(weight), len(index))
	case bias != nil && len(bias) != out:
		return nil, fmt.Errorf("bias has %d values, want %d", len(bias), out)
	case start[0] != 0 || start[out] != len(index):
		return nil, fmt.Errorf("rows span entries %d to %d, want 0 to %d", start[0], start[out], len(index))
	}
	for r := range out {
		if start[r] > start[r+1] {
			return nil, fmt.Errorf("row %d ends before it starts", r)
		}
	}
	for _, c := range index {
		if c < 0 || c >= in {
			return nil, fmt.Errorf("column %d does not exist in a map of %d columns", c, in)
		}
	}
	if err := checkFinite("weight", weight); err != nil {
		return nil, err
	}
	if err := checkFinite("bias", bias); err != nil {
		return nil, err
	}
	s := &Sparse{
		start: start, index: index, weight: weight, bias: bias,
		in: in, outer: outer, inner: inner, inputs: [1]int{outer * in * inner},
	}
	s.findRepeats()
	return s, nil
}

// findRepeats finds out whether rows share columns, and adds up entries of a
// row that are in one column.
func (s *Sparse) findRepeats() {
	repeats := false
	last := make([]int, s.in) // 1 + the last row with an entry in the column
	for r := range len(s.start) - 1 {
		for _, c := range s.index[s.start[r]:s.start[r+1]] {
			repeats = repeats || last[c] == r+1
			s.shared = s.shared || last[c] != 0 && last[c] != r+1
			last[c] = r + 1
		}
	}
	if !repeats {
		return
	}
	start, index, weight := s.start, s.index, s.weight
	s.start, s.index, s.weight = []int{0}, nil, nil
	place := make([]int, s.in) // 1 + that of the column's entry in the new arrays
	for r := range len(start) - 1 {
		for k := start[r]; k < start[r+1]; k++ {
			c := index[k]
			if place[c] <= s.start[r] {
				s.index, s.weight = append(s.index, c), append(s.weight, 0)
				place[c] = len(s.index)
			}
			s.weight[place[c]-1] += weight[k]
		}
		s.start = append(s.start, len(s.index))
	}
}

// Name implements Rule.
func (s *Sparse) Name() string { return "sparse map" }

// Inputs implements Rule.
func (s *Sparse) Inputs() []int { return s.inputs[:] }

// OutputLen implements Rule.
func (s *Sparse) OutputLen() int { return s.outer * s.out() * s.inner }

// Exactness implements Rule.
func (s *Sparse) Exactness() covprop.Accuracy { return covprop.Accuracy{} }

// Matrix implements Linear.
func (s *Sparse) Matrix(int) Matrix { return s }

func (s *Sparse) out() int { return len(s.start) - 1 }

// row returns the columns and entries of row r of S.
func (s *Sparse) row(r int) ([]int, []float64) {
	return s.index[s.start[r]:s.start[r+1]], s.weight[s.start[r]:s.start[r+1]]
}

// Forward implements Rule.
func (s *Sparse) Forward(dst []float64, x ...[]float64) {
	s.applyTo(dst, x[0], false)
	if s.bias == nil {
		return
	}
	for i := range dst {
		dst[i] += s.bias[i/s.inner%len(s.bias)]
	}
}

// applyTo computes y = A x, or y += A x if add is set.
func (s *Sparse) applyTo(y, x []float64, add bool) {
	if !add {
		clear(y)
	}
	n := s.inner
	for o := range s.outer {
		x := x[o*s.in*n:][:s.in*n]
		for r := range s.out() {
			index, weight := s.row(r)
			d := y[(o*s.out()+r)*n:][:n]
			if n == 1 {
				sum := 0.
				for k, c := range index {
					sum += weight[k] * x[c]
				}
				d[0] += sum
				continue
			}
			for k, c := range index {
				axpy(d, weight[k], x[c*n:])
			}
		}
	}
}

// axpy computes y += a x.
func axpy(y []float64, a float64, x []float64) {
	blas64.Implementation().Daxpy(len(y), a, x, 1, y, 1)
}

// MulTo implements Gain.
func (s *Sparse) MulTo(ctx context.Context, threads int, dst, src blas64.General, add bool) error {
	if src.Rows != s.inputs[0] || dst.Rows != s.OutputLen() || src.Cols != dst.Cols {
		panic(badShape)
	}
	return kernel.Parallel(ctx, threads, dst.Rows, func(i int) error {
		d := row(dst, i)
		if !add {
			clear(d)
		}
		o, r, inner := i/(s.out()*s.inner), i/s.inner%s.out(), i%s.inner
		index, weight := s.row(r)
		for k, c := range index {
			axpy(d, weight[k], row(src, (o*s.in+c)*s.inner+inner))
		}
		return nil
	})
}

// MulTransTo implements Gain.
func (s *Sparse) MulTransTo(ctx context.Context, threads int, dst, src blas64.General, add bool) error {
	if src.Cols != s.inputs[0] || dst.Cols != s.OutputLen() || src.Rows != dst.Rows {
		panic(badShape)
	}
	return kernel.Parallel(ctx, threads, src.Rows, func(i int) error {
		s.applyTo(row(dst, i), row(src, i), add)
		return nil
	})
}

// SandwichTo implements Matrix.
func (s *Sparse) SandwichTo(ctx context.Context, threads int, dst, src blas64.General) error {
	return s.MulTransTo(ctx, threads, dst, src, false)
}

// MulDiagTo implements Matrix.
func (s *Sparse) MulDiagTo(dst blas64.General, v []float64) {
	for i := range dst.Rows {
		d := row(dst, i)
		clear(d)
		o, r, inner := i/(s.out()*s.inner), i/s.inner%s.out(), i%s.inner
		index, weight := s.row(r)
		for k, c := range index {
			j := (o*s.in+c)*s.inner + inner
			d[j] = weight[k] * v[j]
		}
	}
}

// SquareMulTo implements Matrix.
func (s *Sparse) SquareMulTo(dst, v []float64, add bool) {
	for i := range dst {
		o, r, inner := i/(s.out()*s.inner), i/s.inner%s.out(), i%s.inner
		index, weight := s.row(r)
		sum := 0.
		for k, c := range index {
			sum += weight[k] * weight[k] * v[(o*s.in+c)*s.inner+inner]
		}
		if add {
			sum += dst[i]
		}
		dst[i] = sum
	}
}

// KeepsDiagonal implements Matrix.
func (s *Sparse) KeepsDiagonal() bool { return !s.shared }

// InPlace implements Matrix.
func (s *Sparse) InPlace() bool { return false }
