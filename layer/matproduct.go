package layer

import "errors"

// MatProduct is y = A B for uncertain A and B, see NewMatProduct.
type MatProduct struct{ Nonlinear }

// NewMatProduct returns the products y_b = A_b B_b of A, (batch, m, k), and B,
// (batch, k, n).
func NewMatProduct(batch, m, k, n int) (*MatProduct, error) {
	return nil, errors.New("not implemented")
}
