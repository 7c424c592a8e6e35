//go:build amd64 && !noasm

package kernel

import "github.com/covprop/covprop/internal/cpu"

//go:generate go -C ../_gen run ./compress -out ../kernel/congruence_amd64.s -stubs ../kernel/congruence_stubs_amd64.go -pkg kernel

func compress(w *congruence, dst, src matrix[float64], rows []uint8) {
	if cpu.Current() < cpu.AVX512 {
		compressGeneric(w, dst, src, rows)
		return
	}
	compressAVX512(&dst.data[0], 8*dst.stride, &src.data[0], 8*src.stride, &rows[0], len(rows), &w.masks[0], ceil(src.cols, lanes))
}
