package kernel

// transposeTo writes src' to dst, which does not overlap it.
func transposeTo[T float](dst, src matrix[T]) {
	r, c := transposeVectors(dst, src)
	transposePlain(dst, src, 0, r, c, src.cols)
	transposePlain(dst, src, r, src.rows, 0, src.cols)
}

// transposePlain transposes rows [i0, i1), columns [j0, j1) of src.
func transposePlain[T float](dst, src matrix[T], i0, i1, j0, j1 int) {
	const block = 16
	for ; i0 < i1; i0 += block {
		for j := j0; j < j1; j += block {
			for i := i0; i < min(i0+block, i1); i++ {
				for l, v := range src.row(i, j, min(j+block, j1)) {
					dst.data[(j+l)*dst.stride+i] = v
				}
			}
		}
	}
}

// mirror copies the entries below the diagonal of rows and columns [i0, i1) to
// their mirror images: those of two halves, and what lies between them.
func mirror[T float](a matrix[T], i0, i1 int) {
	const block = 8
	if i1-i0 > block {
		mid := i0 + ceil(i1-i0, 2*block)*block
		mirror(a, i0, mid)
		mirror(a, mid, i1)
		mirrorPart(a, mid, i1, i0, mid)
		return
	}
	for i := i0; i < i1; i++ {
		for j, v := range a.row(i, i0, i) {
			a.data[(i0+j)*a.stride+i] = v
		}
	}
}

// mirrorPart copies rows [i0, i1), columns [j0, j1), all of them below the
// diagonal, to their mirror images.
func mirrorPart[T float](a matrix[T], i0, i1, j0, j1 int) {
	if j0 < j1 {
		transposeTo(a.part(j0, j1, i0, i1), a.part(i0, i1, j0, j1))
	}
}
