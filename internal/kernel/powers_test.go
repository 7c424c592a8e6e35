package kernel

import (
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"testing"
)

// TestPowers compares both sums with the same in numbers of 200 bits, on every
// instruction set, with guards round the destination.
func TestPowers(t *testing.T) {
	eachISA(t, func(t *testing.T) {
		for _, n := range []int{8, 16, 24, 32, 40, 56, 72} {
			for _, order := range []int{0, 1, 2, 3, 7, 16, 62} {
				for _, sums := range []int{1, 3} {
					t.Run(fmt.Sprint(n, "/", order, "/", sums), func(t *testing.T) { checkPowers(t, n, order, sums) })
				}
			}
		}
	})
}

func checkPowers(t *testing.T, n, order, sums int) {
	const guard = 1234.5
	rng := rand.New(rand.NewPCG(uint64(n), uint64(order)))
	random := func(n int, scale float64) []float64 {
		x := make([]float64, n)
		for i := range x {
			x[i] = scale * (2*rng.Float64() - 1)
		}
		return x
	}
	stride := n + 8*rng.IntN(2)
	rho, x, h := random(n, 1), random(sums*order, 1), random(order*stride, 1)
	rho[0], rho[1], rho[n-1] = 0, 1, -1
	room := make([]float64, sums*n+16)
	for i := range room {
		room[i] = guard
	}
	dst := room[8:][:sums*n]
	if sums == 1 {
		PowersTo(dst, rho, x, h, stride)
	} else {
		Powers3To(dst, rho, x, h, stride)
	}
	for i := range 8 {
		if room[i] != guard || room[len(room)-1-i] != guard {
			t.Fatal("written outside")
		}
	}
	for m := range sums {
		for j := range n {
			sum, p, size := new(big.Float).SetPrec(200), new(big.Float).SetPrec(200).SetInt64(1), 0.
			for k := range order {
				a := new(big.Float).SetPrec(200).SetFloat64(h[k*stride+j])
				a.Mul(a, new(big.Float).SetFloat64(x[k*sums+m]))
				a.Mul(a, p)
				sum.Add(sum, a)
				f, _ := a.Float64()
				size += math.Abs(f)
				p.Mul(p, new(big.Float).SetPrec(200).SetFloat64(rho[j]))
			}
			want, _ := sum.Float64()
			// A term has k roundings in its power, and the sum one for every term.
			if got := dst[m*n+j]; math.Abs(got-want) > float64(2*order+2)*0x1p-53*size {
				t.Fatalf("sum %d of column %d is %v, want %v", m, j, got, want)
			}
		}
	}
}

func TestPowersShapes(t *testing.T) {
	x := make([]float64, 64)
	for name, f := range map[string]func(){
		"rho":       func() { PowersTo(x[:8], x[:16], x[:1], x, 8) },
		"no vector": func() { PowersTo(x[:7], x[:7], x[:1], x, 8) },
		"h":         func() { PowersTo(x[:8], x[:8], x[:3], x[:23], 8) },
		"three":     func() { Powers3To(x[:16], x[:8], x[:3], x, 8) },
		"orders":    func() { Powers3To(x[:24], x[:8], x[:4], x, 8) },
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("no panic")
				}
			}()
			f()
		})
	}
}
