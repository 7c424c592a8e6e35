// Package reproduce repeats published experiments: those of Wright, Nakahira &
// Moura, An Analytic Solution to Covariance Propagation in Neural Networks
// (AISTATS 2024, arXiv 2403.16163), which covprop rests on.
//
// Everything random depends on a seed alone. docs/reproduction.md has the
// results, beside the published ones.
package reproduce
