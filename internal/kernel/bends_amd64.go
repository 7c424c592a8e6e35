//go:build amd64 && !noasm

package kernel

import "github.com/covprop/covprop/internal/cpu"

//go:generate go -C ../_gen run ./bends -out ../kernel/bends_amd64.s -stubs ../kernel/bends_stubs_amd64.go -pkg kernel

// bend is bendGeneric, with AVX-512 in vectors.
func bend(v *bentVector, in *bentIntegrals, bound, rho *[lanes]float64, f *Bends, i int, g *Bends, j int, todo uint64, tol float64) {
	if cpu.Current() < cpu.AVX512 {
		bendGeneric(v, in, bound, rho, f, i, g, j, todo, tol)
		return
	}
	bendAVX512(&v.cov[0], &in.a[0], &bound[0], &rho[0], &f.data[i], f.stride, &g.data[j], g.stride, todo, tol)
}

func putBent(rho []float64, vectors []bentVector) {
	if cpu.Current() < cpu.AVX512 {
		putBentGeneric(rho, vectors)
		return
	}
	putBentAVX512(&rho[0], &vectors[0].cov[0], len(vectors))
}
