// Package train fits the parameters of a Bayesian network (package bayes) to data:
// minibatches of the evidence lower bound, Adam (Kingma & Ba 2015, arXiv 1412.6980)
// or AdamW (Loshchilov & Hutter 2019, arXiv 1711.05101), a rate that rises and then
// falls along a cosine, a divergence that is annealed in, and, if examples are held
// out, the parameters that do best on those.
//
// A run depends on the model, the data and the Config alone, bit for bit, and a
// [State] that was saved continues as if it had never been interrupted. The package
// knows no files: who wants checkpoints is handed states.
package train
