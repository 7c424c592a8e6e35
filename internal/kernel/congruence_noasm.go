//go:build !amd64 || noasm

package kernel

func compress(w *congruence, dst, src matrix[float64], rows []uint8) {
	compressGeneric(w, dst, src, rows)
}
