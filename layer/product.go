package layer

import "errors"

// Product is y = x_0 o x_1, see NewProduct.
type Product struct{ Nonlinear }

// NewProduct returns the elementwise product of two tensors of length n.
func NewProduct(n int) (*Product, error) {
	return nil, errors.New("not implemented")
}
