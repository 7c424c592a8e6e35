//go:build amd64 && !noasm

package kernel

import (
	"context"
	"unsafe"

	"github.com/covprop/covprop/internal/cpu"
)

//go:generate go -C ../_gen run ./gemm -out ../kernel/gemm_amd64.s -stubs ../kernel/gemm_stubs_amd64.go -pkg kernel

func (p *product[T]) run(ctx context.Context, threads int) error {
	if isa := cpu.Current(); isa != cpu.Generic {
		return p.runPacked(ctx, threads, isa)
	}
	return p.runGeneric(ctx, threads)
}

func sizeOf[T float]() int {
	var v T
	return int(unsafe.Sizeof(v))
}

// tileSize returns the rows and columns of the tile that an instruction set
// computes in registers.
func tileSize[T float](isa cpu.ISA) (rows, cols int) {
	if isa == cpu.AVX512 {
		return 14, 128 / sizeOf[T]()
	}
	return 6, 64 / sizeOf[T]()
}

// An operand is a matrix in memory by its first entry and the entries between
// its rows.
type operand[T float] struct {
	at     *T
	stride int
}

// tileTo computes the tile c = a b or c += a b, where a is (rows, k), b (k,
// cols) with cols rounded up to full vectors.
func tileTo[T float](isa cpu.ISA, c, a, b operand[T], rows, k, cols int, add bool) {
	const b64, b32 = 8, 4
	as, bs, cs := a.stride, b.stride, c.stride
	switch c := any(c.at).(type) {
	case *float64:
		a, b := any(a.at).(*float64), any(b.at).(*float64)
		if isa == cpu.AVX512 {
			tile64AVX512(a, b, c, k, as*b64, b64, bs*b64, cs*b64, rows, cols, add)
		} else {
			tile64AVX2(a, b, c, k, as*b64, b64, bs*b64, cs*b64, rows, cols, add)
		}
	case *float32:
		a, b := any(a.at).(*float32), any(b.at).(*float32)
		if isa == cpu.AVX512 {
			tile32AVX512(a, b, c, k, as*b32, b32, bs*b32, cs*b32, rows, cols, add)
		} else {
			tile32AVX2(a, b, c, k, as*b32, b32, bs*b32, cs*b32, rows, cols, add)
		}
	}
}

// transposeVectors transposes as many of the first rows and columns of src as
// fill vectors, and returns how many.
func transposeVectors[T float](dst, src matrix[T]) (rows, cols int) {
	if cpu.Current() == cpu.Generic {
		return 0, 0
	}
	size := sizeOf[T]()
	q := 32 / size
	rows, cols = src.rows/q*q, src.cols/q*q
	// Few columns of src at a time: the rows of dst may share a set of the
	// first-level cache.
	for j := 0; j < cols; j += 2 * q {
		blocks := min(2, (cols-j)/q)
		for i := 0; i < rows; i += q {
			switch d := any(dst.at(j, i)).(type) {
			case *float64:
				transpose64AVX2(d, any(src.at(i, j)).(*float64), dst.stride*size, src.stride*size, blocks)
			case *float32:
				transpose32AVX2(d, any(src.at(i, j)).(*float32), dst.stride*size, src.stride*size, blocks)
			}
		}
	}
	return rows, cols
}
