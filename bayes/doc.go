// Package bayes holds neural networks whose weights are Gaussian, trained and
// served by moments: deterministic variational inference (Wu et al., ICLR 2019,
// arXiv 1810.03958) with exact covariances (Wright, Nakahira & Moura, AISTATS
// 2024, arXiv 2403.16163).
//
// The weights are independent, W_ij ~ N(M_ij, V_ij), biases b_i ~ N(m_i, v_i).
// The mean and the covariance between all units of a layer go from layer to
// layer,
//
//	y = W x + b:  E y = M mu + m,  Cov(y) = M Sigma M' + diag(V (diag Sigma + mu o mu) + v),
//	y = g(x):     E y_i = c_0,  Cov(y_i, y_j) = sum_{k>=1} rho_ij^k c_k c_k / k!,
//
// c_k being the Hermite coefficients of package activation, and a likelihood has
// its expectation under the Gaussian of the outputs. Nothing is sampled, so a
// step of training has no noise but that of the minibatch, and the gradient is
// that of the value to rounding and to the tolerance of the series.
//
// What is exact: the moments of a linear layer, for any distribution of its
// input; those of an activation, given that its input is Gaussian. The Gaussian
// closure between layers is an approximation, and so is treating the outputs as
// Gaussian; Loss.Accuracy, Prediction.Accuracy and Prediction.Density say so.
//
// A [Network] is an architecture, a [Model] adds likelihood and prior. All
// parameters are one slice theta, which [Model.Parameters] describes. Package
// bayes knows no files and no optimisers; those are in bayes/train and modelfile.
package bayes
