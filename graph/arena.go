package graph

import "math"

// An arena hands out pieces of one slice of float64, first fit. In a dry run
// it uses none and only finds how large that must be: the same calls in the
// same order then succeed on a slice of size top.
type arena struct {
	data []float64
	dry  bool
	free []span // holes below end, by offset, never adjacent
	end  int    // everything from here on is free
	top  int    // largest end so far
}

type span struct{ off, n int }

// maxArena is the largest size that a dry run counts to.
const maxArena = math.MaxInt / 32

// reset makes the whole arena free, of at least the given size if this is not
// a dry run.
func (a *arena) reset(size int, dry bool) {
	if !dry && cap(a.data) < size {
		a.data = make([]float64, size)
	}
	a.data = a.data[:cap(a.data)]
	a.dry, a.free, a.end, a.top = dry, a.free[:0], 0, 0
}

// alloc returns the place of a piece of n elements.
func (a *arena) alloc(n int) span {
	n = (n + 7) &^ 7 // whole cache lines
	for i, f := range a.free {
		if f.n < n {
			continue
		}
		if f.n == n {
			a.free = append(a.free[:i], a.free[i+1:]...)
		} else {
			a.free[i] = span{f.off + n, f.n - n}
		}
		return span{f.off, n}
	}
	if n > maxArena-a.end { // only in a dry run: more than any machine has
		a.top = maxArena
		return span{}
	}
	s := span{a.end, n}
	a.end += n
	a.top = max(a.top, a.end)
	return s
}

// release frees a piece.
func (a *arena) release(s span) {
	if s.n == 0 {
		return
	}
	i := 0
	for i < len(a.free) && a.free[i].off < s.off {
		i++
	}
	if i > 0 && a.free[i-1].off+a.free[i-1].n == s.off {
		i--
		a.free[i].n += s.n
	} else {
		a.free = append(a.free, span{})
		copy(a.free[i+1:], a.free[i:])
		a.free[i] = s
	}
	if i+1 < len(a.free) && a.free[i].off+a.free[i].n == a.free[i+1].off {
		a.free[i].n += a.free[i+1].n
		a.free = append(a.free[:i+1], a.free[i+2:]...)
	}
	if f := a.free[len(a.free)-1]; f.off+f.n == a.end {
		a.end = f.off
		a.free = a.free[:len(a.free)-1]
	}
}

// slice returns the memory of a piece, cut to n elements; nil in a dry run.
func (a *arena) slice(s span, n int) []float64 {
	if a.dry {
		return nil
	}
	return a.data[s.off : s.off+n : s.off+n]
}

// resize returns a slice of length n, s itself where it has room.
func resize[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n)
	}
	return s[:n]
}
