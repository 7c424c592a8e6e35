//go:build !amd64 || noasm

package kernel

func bend(v *bentVector, in *bentIntegrals, bound, rho *[lanes]float64, f *Bends, i int, g *Bends, j int, todo uint64, tol float64) {
	bendGeneric(v, in, bound, rho, f, i, g, j, todo, tol)
}

func putBent(rho []float64, vectors []bentVector) { putBentGeneric(rho, vectors) }
