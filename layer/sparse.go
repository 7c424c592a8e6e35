package layer

import "errors"

// Sparse is y = S x + b with a sparse matrix S, see NewSparse.
type Sparse struct{ Linear }

// NewSparse returns the map y[o,:,i] = S x[o,:,i] + bias of x, (outer, in,
// inner), to y, (outer, out, inner). Row r of S has the entries weight[k] in
// column index[k] for start[r] <= k < start[r+1]; out is len(start)-1. A
// column may occur more than once in a row. bias is nil or of length out.
func NewSparse(start, index []int, weight, bias []float64, in, outer, inner int) (*Sparse, error) {
	return nil, errors.New("not implemented")
}
