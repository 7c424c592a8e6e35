//go:build amd64 && !noasm

package kernel

import (
	"context"
	"unsafe"

	"github.com/covprop/covprop/internal/cpu"
)

//go:generate go -C ../_gen run ./gemm -out ../kernel/gemm_amd64.s -stubs ../kernel/gemm_stubs_amd64.go -pkg kernel

func (p *product[T]) run(ctx context.Context, threads int) error {
	if isa := cpu.Current(); isa != cpu.Generic && !external {
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
	q := 32 / size // entries of a vector
	rows, cols = src.rows/q*q, src.cols/q*q
	// Of large matrices a block of src at a time, which touches few pages, and
	// few columns of it: their rows of dst may share a set of the cache.
	height, width := rows, cols
	if dst.stride*size >= 1024 {
		height, width = 64, 2*q
	}
	for i0 := 0; i0 < rows; i0 += height {
		for j := 0; j < cols; j += width {
			blocks := min(width, cols-j) / q
			for i := i0; i < min(i0+height, rows); i += q {
				transposeStrip(dst.at(j, i), src.at(i, j), dst.stride*size, src.stride*size, blocks)
			}
		}
	}
	return rows, cols
}

// transposeStrip transposes square blocks, side by side in src, one below the
// other in dst; ds and ss are the bytes between rows.
func transposeStrip[T float](dst, src *T, ds, ss, blocks int) {
	switch d := any(dst).(type) {
	case *float64:
		transpose64AVX2(d, any(src).(*float64), ds, ss, blocks)
	case *float32:
		transpose32AVX2(d, any(src).(*float32), ds, ss, blocks)
	}
}
