// Package covprop is the vocabulary of moment propagation: given a network
// f and a Gaussian input X ~ N(mu, Sigma), what are E f(X) and Cov f(X)?
//
// The whole flow is
//
//	net, err := onnx.ReadFile("model.onnx")             // package onnx: file -> graph.Network
//	in, err := covprop.NewGaussian(mean, cov)           // validated input
//	res, err := net.Propagate(ctx, in)                  // Result: moments and their Accuracy
//
// and every method that answers the question, the analytic network as well as
// each baseline of package baseline, is a [Propagator].
//
// Symbols and shapes used throughout the module:
//
//	mu, Mean      (n)       mean vector
//	Sigma, Cov    (n, n)    covariance, symmetric positive semidefinite
//	v             (n)       variances, the diagonal of Sigma
//	sigma         (n)       standard deviations, sqrt(v)
//	rho           scalar    correlation of a pair, Sigma_ij / (sigma_i sigma_j)
//	W             (m, n)    weights, output first: y = W x + b
//	G             (m, n)    gain E[df/dx] of a step: Cov(f(X), U) = G Cov(X, U)
//	h_k           scalar    Hermite coefficient E[g(mu + sigma Z) He_k(Z)] / sqrt(k!)
//
// Tensors are flattened row by row. No axis is special: a batch of B vectors
// of length n is one Gaussian of B n elements.
//
// The package holds types only; it computes no propagation. A covariance is a
// gonum mat.Symmetric and a Gaussian converts to and from distmv.Normal.
package covprop

// Version is the version of this module, as printed by the command line and
// written into its JSON.
const Version = "0.1.0"
