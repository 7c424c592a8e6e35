package layer

import (
	"context"

	"gonum.org/v1/gonum/blas/blas32"
)

// A Gain32 is a Gain that also acts on covariances in float32. Its factors are
// rounded to float32 or kept as they are, whichever is faster; means and
// variances are float64 always.
type Gain32 interface {
	// MulTo32 computes dst = G src, or dst += G src if add is set.
	MulTo32(ctx context.Context, threads int, dst, src blas32.General, add bool) error
	// MulTransTo32 computes dst = src G', or dst += src G' if add is set.
	MulTransTo32(ctx context.Context, threads int, dst, src blas32.General, add bool) error
}

// A Matrix32 is a Matrix that also acts on covariances in float32. dst may be
// src where InPlace says so.
type Matrix32 interface {
	Gain32
	// SandwichTo32 computes the lower triangle of dst = src A', which the
	// caller knows to be symmetric.
	SandwichTo32(ctx context.Context, threads int, dst, src blas32.General) error
}

var _ = []Matrix32{(*Affine)(nil), (*Conv)(nil), (*diagonal)(nil), (*Select)(nil)}
