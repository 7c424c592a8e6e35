//go:build !amd64 || noasm

package kernel

import "context"

func (p *product[T]) run(ctx context.Context, threads int) error {
	return p.runGeneric(ctx, threads)
}

// transposeVectors has no vectors to transpose with: it does nothing.
func transposeVectors[T float](dst, src matrix[T]) (rows, cols int) { return 0, 0 }
