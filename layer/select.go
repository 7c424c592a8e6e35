package layer

import (
	"context"
	"fmt"

	"gonum.org/v1/gonum/blas/blas32"
	"gonum.org/v1/gonum/blas/blas64"

	"github.com/covprop/covprop"
)

// Select is y_i = x[index_i]: slicing, splitting, transposing, repeating. It
// is exact: Cov(y)_ij = Cov(x)[index_i, index_j].
type Select struct {
	index    []int
	inputs   [1]int
	distinct bool
}

// NewSelect returns the rule y_i = x[index[i]] for x of length in. Indices may
// repeat. The slice is kept, not copied.
func NewSelect(index []int, in int) (*Select, error) {
	if len(index) == 0 {
		return nil, fmt.Errorf("a selection of no elements is empty")
	}
	s := &Select{index: index, inputs: [1]int{in}, distinct: true}
	seen := make([]bool, max(in, 0))
	for _, k := range index {
		if k < 0 || k >= in {
			return nil, fmt.Errorf("element %d does not exist in a tensor of %d elements", k, in)
		}
		if seen[k] {
			s.distinct = false
		}
		seen[k] = true
	}
	return s, nil
}

// Name implements Rule.
func (s *Select) Name() string { return "select" }

// Inputs implements Rule.
func (s *Select) Inputs() []int { return s.inputs[:] }

// OutputLen implements Rule.
func (s *Select) OutputLen() int { return len(s.index) }

// Exactness implements Rule.
func (s *Select) Exactness() covprop.Accuracy { return covprop.Accuracy{} }

// Matrix implements Linear.
func (s *Select) Matrix(int) Matrix { return s }

// Forward implements Rule.
func (s *Select) Forward(dst []float64, x ...[]float64) {
	for i, k := range s.index {
		dst[i] = x[0][k]
	}
}

// MulTo implements Gain.
func (s *Select) MulTo(ctx context.Context, _ int, dst, src blas64.General, add bool) error {
	return selectMulTo(ctx, s.index, of64(dst), of64(src), add)
}

// MulTo32 implements Gain32.
func (s *Select) MulTo32(ctx context.Context, _ int, dst, src blas32.General, add bool) error {
	return selectMulTo(ctx, s.index, of32(dst), of32(src), add)
}

func selectMulTo[T real](ctx context.Context, index []int, dst, src matrix[T], add bool) error {
	for i, k := range index {
		if err := ctx.Err(); err != nil {
			return err
		}
		d, x := dst.row(i), src.row(k)
		if !add {
			copy(d, x)
			continue
		}
		for j, v := range x {
			d[j] += v
		}
	}
	return nil
}

// MulTransTo implements Gain.
func (s *Select) MulTransTo(ctx context.Context, _ int, dst, src blas64.General, add bool) error {
	return selectMulTransTo(ctx, s.index, of64(dst), of64(src), add)
}

// MulTransTo32 implements Gain32.
func (s *Select) MulTransTo32(ctx context.Context, _ int, dst, src blas32.General, add bool) error {
	return selectMulTransTo(ctx, s.index, of32(dst), of32(src), add)
}

func selectMulTransTo[T real](ctx context.Context, index []int, dst, src matrix[T], add bool) error {
	for r := range src.Rows {
		if err := ctx.Err(); err != nil {
			return err
		}
		d, x := dst.row(r), src.row(r)
		if add {
			for i, k := range index {
				d[i] += x[k]
			}
		} else {
			for i, k := range index {
				d[i] = x[k]
			}
		}
	}
	return nil
}

// SandwichTo implements Matrix.
func (s *Select) SandwichTo(ctx context.Context, threads int, dst, src blas64.General) error {
	return s.MulTransTo(ctx, threads, dst, src, false)
}

// SandwichTo32 implements Matrix32.
func (s *Select) SandwichTo32(ctx context.Context, threads int, dst, src blas32.General) error {
	return s.MulTransTo32(ctx, threads, dst, src, false)
}

// MulDiagTo implements Matrix.
func (s *Select) MulDiagTo(dst blas64.General, v []float64) {
	for i, k := range s.index {
		d := row(dst, i)
		clear(d)
		d[k] = v[k]
	}
}

// SquareMulTo implements Matrix.
func (s *Select) SquareMulTo(dst, v []float64, add bool) {
	for i, k := range s.index {
		if add {
			dst[i] += v[k]
		} else {
			dst[i] = v[k]
		}
	}
}

// KeepsDiagonal implements Matrix.
func (s *Select) KeepsDiagonal() bool { return s.distinct }

// InPlace implements Matrix.
func (s *Select) InPlace() bool { return false }
