// Package kernel holds the dense loops that moment propagation spends its time
// in: the products of W Sigma W', the taps of convolutions, the Hermite
// coefficients of units, the series over a covariance, and the integrals for
// the pairs that it is too slow for.
//
// Matrices are gonum's General of blas64 or blas32, row by row, or Lanes. Shape
// misuse panics; a cancelled context ends a long product or series early with
// its error. Work is cut into tiles that do not depend on the number of threads,
// so results are the same bit for bit for any number.
package kernel

import (
	"context"
	"sync"
	"sync/atomic"
)

// Parallel calls f(0), ..., f(n-1) on up to threads goroutines and returns
// when all are done. It stops handing out work when ctx is cancelled or a
// call fails, and returns that error. With one thread f runs on the caller's
// goroutine, in order.
func Parallel(ctx context.Context, threads, n int, f func(i int) error) error {
	if threads > n {
		threads = n
	}
	if threads <= 1 {
		for i := range n {
			if err := ctx.Err(); err != nil {
				return err
			}
			if err := f(i); err != nil {
				return err
			}
		}
		return nil
	}
	var (
		next  atomic.Int64
		wg    sync.WaitGroup
		once  sync.Once
		first error
	)
	fail := func(err error) {
		once.Do(func() { first = err })
		next.Store(int64(n))
	}
	for range threads {
		wg.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= n {
					return
				}
				err := ctx.Err()
				if err == nil {
					err = f(i)
				}
				if err != nil {
					fail(err)
					return
				}
			}
		})
	}
	wg.Wait()
	return first
}
