// Package refine notices and corrects what the Gaussian closure between layers
// gets wrong.
//
// [Audit] compares the moments of any Propagator with quasi-random samples of
// the function. [Hybrid], [Mixture] and [Cumulant3] go beyond the closure, and
// [Auto] takes the moments as they are where the audit agrees with them, and
// samples on as Hybrid does where it does not.
//
// Samples are cheap beside a covariance: to push one of width n through an
// affine map costs as much as 2n points. What samples cannot see are events
// rarer than one in their number; an audit says how many it took.
package refine
