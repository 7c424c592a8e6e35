package train

import (
	"gonum.org/v1/gonum/blas/blas64"

	"github.com/covprop/covprop/bayes"
)

// fields are the matrices of a batch.
func fields(b *bayes.Batch) [4]*blas64.General {
	return [...]*blas64.General{&b.X, &b.Y, &b.InputVariance, &b.InputCovariance}
}

// roomFor returns a batch with room for n rows of each matrix that b has.
func roomFor(b *bayes.Batch, n int) (room bayes.Batch) {
	to := fields(&room)
	for i, a := range fields(b) {
		if a.Data != nil {
			*to[i] = blas64.General{Cols: a.Cols, Stride: a.Cols, Data: make([]float64, n*a.Cols)}
		}
	}
	return room
}

// gather copies the given rows of b to dst, which has room for them.
func gather(dst, b *bayes.Batch, index []int) {
	to := fields(dst)
	for k, a := range fields(b) {
		if a.Data == nil {
			continue
		}
		to[k].Rows = len(index)
		for i, r := range index {
			copy(to[k].Data[i*a.Cols:][:a.Cols], a.Data[r*a.Stride:])
		}
	}
}
