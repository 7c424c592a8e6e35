//go:build amd64 && !noasm

package kernel

import (
	"sync"
	"unsafe"
)

// A buffer holds packed panels, from an address that is a multiple of a line
// of the cache.
type buffer[T float] struct {
	all, data []T
}

const cacheLine = 64

var buffers64, buffers32 sync.Pool

func bufferPool[T float]() *sync.Pool {
	if sizeOf[T]() == 8 {
		return &buffers64
	}
	return &buffers32
}

// getBuffer returns a buffer of at least n entries.
func getBuffer[T float](n int) *buffer[T] {
	b, _ := bufferPool[T]().Get().(*buffer[T])
	if b == nil {
		b = new(buffer[T])
	}
	if len(b.data) < n {
		b.all = make([]T, n+cacheLine/sizeOf[T]())
		skip := -uintptr(unsafe.Pointer(&b.all[0])) % cacheLine / uintptr(sizeOf[T]())
		b.data = b.all[skip:][:n]
	}
	return b
}

func putBuffer[T float](b *buffer[T]) { bufferPool[T]().Put(b) }
