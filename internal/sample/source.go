package sample

import (
	"gonum.org/v1/gonum/blas/blas64"

	"github.com/covprop/covprop/internal/qmc"
)

// A Source draws points of N(mu, Sigma). It may be used by several goroutines
// at a time.
type Source struct {
	Mean   []float64 // (n)
	Root   *Root     // of Sigma
	Points *qmc.Points
}

// NewSource returns the given replicate of points of the given kind.
func NewSource(kind qmc.Kind, mean []float64, root *Root, seed uint64, replicate int) (*Source, error) {
	p, err := qmc.New(kind, root.Rank(), seed, replicate)
	return &Source{mean, root, p}, err
}

// DrawTo writes the standard normal points first, first+1, ... to the columns
// of z, (r, B), and mu + L z to those of x, (n, B).
func (s *Source) DrawTo(x, z blas64.General, first int) {
	s.Points.NormalTo(z, first)
	s.Root.MulTo(x, z)
	for i, m := range s.Mean {
		r := row(x, i)
		for j := range r {
			r[j] += m
		}
	}
}
