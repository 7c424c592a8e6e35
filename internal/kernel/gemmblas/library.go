//go:build openblas || blis

package gemmblas

/*
#cgo openblas CFLAGS: -DCOVPROP_OPENBLAS
#cgo openblas LDFLAGS: -lopenblas
#cgo !openblas,blis LDFLAGS: -lblis

#if defined(COVPROP_OPENBLAS)
void openblas_set_num_threads(int n);
static void oneThread(void) { openblas_set_num_threads(1); }
#else
void bli_thread_set_num_threads(long n);
static void oneThread(void) { bli_thread_set_num_threads(1); }
#endif
*/
import "C"

import (
	"sync"

	"gonum.org/v1/netlib/blas/netlib"
)

var oneThread sync.Once

// Implementation returns the library, told once to use one thread a call: the
// kernels' own tiles keep the caller's limit.
func Implementation() netlib.Implementation {
	oneThread.Do(func() { C.oneThread() })
	return netlib.Implementation{}
}
