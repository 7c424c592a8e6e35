package sample

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"testing"

	"gonum.org/v1/gonum/blas/blas64"
	"gonum.org/v1/gonum/mat"
	"gonum.org/v1/gonum/stat"

	"github.com/covprop/covprop"
	"github.com/covprop/covprop/internal/qmc"
)

var errLarge = errors.New("too large")

// square squares the first variable and repeats the second; it fails above 9
// and is not finite below -9.
type square struct{}

func (square) InputDim() int  { return 2 }
func (square) OutputDim() int { return 2 }
func (square) EvalTo(dst, x []float64) error {
	dst[0], dst[1] = x[0]*x[0], x[1]
	if x[0] > 9 {
		return errLarge
	}
	if x[0] < -9 {
		dst[1] = math.NaN()
	}
	return nil
}

// batched evaluates together; alone says that no point alone fails.
type batched struct {
	square
	calls *int
	alone bool
}

func (b batched) EvalTo(dst, x []float64) error {
	if b.alone {
		return nil
	}
	return b.square.EvalTo(dst, x)
}

func (b batched) EvalBatchTo(dst, x blas64.General) error {
	*b.calls++
	for j := range x.Cols {
		out := make([]float64, 2)
		if err := b.square.EvalTo(out, []float64{x.Data[j], x.Data[x.Stride+j]}); err != nil {
			return err // without a word on j
		}
		dst.Data[j], dst.Data[dst.Stride+j] = out[0], out[1]
	}
	return nil
}

func TestEval(t *testing.T) {
	calls := 0
	for name, f := range map[string]covprop.Func{"one by one": square{}, "together": batched{calls: &calls}} {
		x := blas64.General{Rows: 2, Cols: 3, Stride: 4, Data: []float64{1, 2, 3, 0, 4, 5, 6, 0}}
		dst := blas64.General{Rows: 2, Cols: 3, Stride: 5, Data: make([]float64, 10)}
		if err := Eval(t.Context(), f, dst, x); err != nil {
			t.Fatal(err)
		}
		for i, want := range []float64{1, 4, 9, 0, 0, 4, 5, 6, 0, 0} {
			if dst.Data[i] != want {
				t.Errorf("%s: %v", name, dst.Data)
				break
			}
		}
		for bad, cause := range map[float64]error{10: errLarge, -10: nil} {
			x.Data[1], x.Data[2] = bad, bad
			var pe *PointError
			err := Eval(t.Context(), f, dst, x)
			if !errors.As(err, &pe) || pe.Column != 1 || cause != nil && !errors.Is(err, cause) {
				t.Errorf("%s: the error at %v is %v, want one for column 1", name, bad, err)
			}
		}
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		if err := Eval(ctx, f, dst, x); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: the error is %v", name, err)
		}
	}
	if calls != 3 {
		t.Errorf("EvalBatchTo was called %d times, want 3", calls)
	}
	// A failure that no single point repeats is one still.
	for _, bad := range []float64{10, -10} {
		x := blas64.General{Rows: 2, Cols: 1, Stride: 1, Data: []float64{bad, 0}}
		if err := Eval(t.Context(), batched{calls: &calls, alone: true}, newGeneral(2, 1), x); err == nil || bad > 0 && !errors.Is(err, errLarge) {
			t.Errorf("the error at %v is %v", bad, err)
		}
	}
}

// cancelling cancels at its first evaluation.
type cancelling struct {
	square
	cancel func()
	calls  *int
}

func (c cancelling) EvalTo(dst, x []float64) error {
	*c.calls++
	c.cancel()
	return c.square.EvalTo(dst, x)
}

func TestEvalStops(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	calls := 0
	err := Eval(ctx, cancelling{cancel: cancel, calls: &calls}, newGeneral(2, 5), newGeneral(2, 5))
	if !errors.Is(err, context.Canceled) || calls != 1 {
		t.Errorf("%d evaluations, error %v", calls, err)
	}
}

// The points have the mean and the covariance asked for: those of 4096 Sobol
// points differ by far less than the 1/64 of a deviation of random ones.
func TestSource(t *testing.T) {
	const n, points = 5, 4096
	cov := covariance(t, rand.New(rand.NewPCG(15, 16)), n, n)
	mean := []float64{1, -2, 0, 4, 1e-3}
	root := build(t, NewPrincipal, cov)
	s, err := NewSource(qmc.Sobol, mean, root, 1, 0)
	if err != nil {
		t.Fatal(err)
	}
	x, z := newGeneral(n, points), newGeneral(root.Rank(), points)
	s.DrawTo(x, z, 0)
	for i := range n {
		s := math.Sqrt(cov.At(i, i))
		if d := math.Abs(stat.Mean(row(x, i), nil) - mean[i]); d > 0.001*s {
			t.Errorf("mean %d is off by %g deviations", i, d/s)
		}
		for j := range n {
			scale := s * math.Sqrt(cov.At(j, j))
			if d := math.Abs(stat.Covariance(row(x, i), row(x, j), nil) - cov.At(i, j)); d > 0.005*scale {
				t.Errorf("covariance (%d,%d) is off by %g", i, j, d/scale)
			}
		}
	}
	part, zPart := newGeneral(n, 7), newGeneral(root.Rank(), 7)
	if a := testing.AllocsPerRun(5, func() { s.DrawTo(part, zPart, 100) }); a != 0 {
		t.Errorf("%v allocations a draw", a)
	}
	l := matrix(root)
	for j := range 7 {
		for i := range n {
			want := mean[i] + mat.Dot(l.RowView(i), mat.NewVecDense(n, []float64{zPart.Data[j], zPart.Data[7+j], zPart.Data[14+j], zPart.Data[21+j], zPart.Data[28+j]}))
			if d := math.Abs(part.Data[7*i+j] - want); d > 1e-14*(math.Abs(want)+math.Sqrt(cov.At(i, i))) {
				t.Errorf("point %d: variable %d is %v, want %v", j, i, part.Data[7*i+j], want)
			}
			if part.Data[7*i+j] != x.Data[points*i+100+j] {
				t.Errorf("point %d differs from the one drawn with others", j)
			}
		}
	}
}
