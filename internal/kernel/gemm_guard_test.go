//go:build linux && !blis

package kernel

import (
	"testing"
	"unsafe"
)

// TestPastTheEnd puts the last entry of every matrix before a page that cannot
// be read: a kernel that loads beyond it dies. (The float32 product of BLIS 0.9
// does, so the tag leaves the test out.)
func TestPastTheEnd(t *testing.T) {
	eachISA(t, func(t *testing.T) { eachFormat(t, pastTheEnd[float64], pastTheEnd[float32]) })
}

func pastTheEnd[T float](t *testing.T, f format[T]) {
	var pages [3][]byte
	for i := range pages {
		pages[i] = beforeGuard(t, 4)
	}
	last := func(i, rows, cols int) matrix[T] {
		n := rows * cols
		end := unsafe.Pointer(unsafe.SliceData(pages[i][len(pages[i])-n*int(unsafe.Sizeof(T(0))):]))
		return matrix[T]{rows, cols, cols, unsafe.Slice((*T)(end), n)}
	}
	for _, m := range []int{1, 3, 6, 7, 14, 17} {
		for _, n := range []int{1, 2, 3, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33} {
			for _, k := range []int{1, 3, 4, 7, 9} {
				f.run(t, 1, mulAdd, last(0, m, n), last(1, m, k), last(2, k, n))
				f.run(t, 1, mulTrans, last(0, m, n), last(1, m, k), last(2, n, k))
				f.run(t, 1, mulSym, last(0, m, m), last(1, m, k), last(2, m, k))
			}
		}
	}
}
