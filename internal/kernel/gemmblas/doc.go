// Package gemmblas gives package kernel the matrix products of a C library,
// OpenBLAS with the build tag openblas or BLIS with the tag blis; both need
// cgo. Without a tag it is empty.
//
// BLIS 0.9 has a fault: its float32 product may load a few bytes past the end of
// a narrow result, which ends the program where that memory is not mapped.
// OpenBLAS 0.3.21 does not.
package gemmblas
