//go:build amd64 && !noasm

package kernel

import "github.com/covprop/covprop/internal/cpu"

//go:generate go -C ../_gen run ./hermite -out ../kernel/hermite_amd64.s -stubs ../kernel/hermite_amd64.go -pkg kernel

// The vector kernels return the number of units they have done: all with
// AVX-512, which masks the last, multiples of four with AVX2.

func hermiteVector(h []float64, stride, rows int, start, alpha []float64, c *[MaxOrder][2]float64, add bool) int {
	n, sum := len(alpha), 0
	if add {
		sum = 1
	}
	switch cpu.Current() {
	case cpu.AVX512:
		hermiteAVX512(&h[0], stride, rows, n, &start[0], &alpha[0], &c[0][0], sum)
		return n
	case cpu.AVX2:
		n &^= 3
		hermiteAVX2(&h[0], stride, rows, n, &start[0], &alpha[0], &c[0][0], sum)
		return n
	}
	return 0
}

func tailsVector(u *Units, lo, n int, rows *[tailBlocks]int, noise, sum []float64) int {
	h := &u.Tail[lo] // of no use without rows
	if u.K > 0 {
		h = &u.H[lo]
	}
	switch cpu.Current() {
	case cpu.AVX512:
		tailsAVX512(&u.Tail[lo], h, u.stride(), &rows[0], &noise[0], &sum[0], n)
		return n
	case cpu.AVX2:
		n &^= 3
		tailsAVX2(&u.Tail[lo], h, u.stride(), &rows[0], &noise[0], &sum[0], n)
		return n
	}
	return 0
}

func halfLineVector(j0, j1, j2, a, phi []float64) int {
	n, c := len(a), &halfLineCoefficients[0][0]
	switch cpu.Current() {
	case cpu.AVX512:
		halfLineAVX512(&j0[0], &j1[0], &j2[0], &a[0], &phi[0], c, n)
		return n
	case cpu.AVX2:
		n &^= 3
		halfLineAVX2(&j0[0], &j1[0], &j2[0], &a[0], &phi[0], c, n)
		return n
	}
	return 0
}
