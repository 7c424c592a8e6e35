//go:build linux

package kernel

import (
	"context"
	"math/rand/v2"
	"syscall"
	"testing"
	"unsafe"
)

// TestSeriesPastTheEnd puts the last entry of the covariance before a page that
// cannot be read: a kernel that loads or stores beyond it dies.
func TestSeriesPastTheEnd(t *testing.T) {
	eachType(t, seriesPastTheEnd[float64], seriesPastTheEnd[float32])
}

func seriesPastTheEnd[T float](t *testing.T) {
	p := beforeGuard(t, 16)
	rng := rand.New(rand.NewPCG(1, 1))
	run := func(f, g *Units, qf, qg []float64) {
		entries := unsafe.Slice((*T)(unsafe.Pointer(&p[len(p)-f.N*g.N*int(unsafe.Sizeof(T(0)))])), f.N*g.N)
		c := matrix[T]{f.N, g.N, g.N, entries}
		s := &Series{F: f, G: g, Symmetric: f == g, Tol: 1e-9, Hard: exactPairs{f, g, qf, qg}}
		if _, _, err := cov(s, context.Background(), 1, c, c); err != nil {
			t.Fatal(err)
		}
	}
	for _, m := range []int{1, 2, 7, 8, 9, 66} {
		f, qf := geometric(rng, m)
		run(f, f, qf, qf)
		for n := 1; n <= 17; n++ {
			g, qg := geometric(rng, n)
			run(f, g, qf, qg)
		}
	}
}

// beforeGuard returns pages before one that cannot be read.
func beforeGuard(t *testing.T, pages int) []byte {
	page := syscall.Getpagesize()
	size := pages * page
	p, err := syscall.Mmap(-1, 0, size+page, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Munmap(p) })
	if err := syscall.Mprotect(p[size:], syscall.PROT_NONE); err != nil {
		t.Fatal(err)
	}
	return p[:size]
}
