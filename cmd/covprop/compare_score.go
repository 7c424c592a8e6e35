package main

import (
	"strings"
	"time"

	"github.com/covprop/covprop"
	"github.com/covprop/covprop/score"
)

// A trial is one method's result beside the truth.
type trial struct {
	method  string
	res     covprop.Result
	elapsed time.Duration
	err     error // why there is no result
	scores  []scores
}

// scores are the errors of one output. Each is nil, and has a reason, if it
// has no meaning.
type scores struct {
	meanStd, meanSE, cov, kl             *float64
	meanStdWhy, meanSEWhy, covWhy, klWhy string
}

// judge scores every output.
func (t *trial) judge(truth *covprop.Result) {
	for i, o := range truth.Outputs {
		got, want := t.res.Output(i), truth.Output(i)
		var s scores
		s.meanStd, s.meanStdWhy = judged(score.MeanErrorStd(got.Mean, want))
		s.meanSE, s.meanSEWhy = judged(score.MeanErrorSE(got.Mean, want.Mean, truth.StandardErrors.Mean[o.Offset:o.Offset+o.Len]))
		s.cov, s.covWhy = judged(score.CovErrorFrobenius(got.Cov, want.Cov))
		s.kl, s.klWhy = judged(score.KL(want, got))
		t.scores = append(t.scores, s)
	}
}

// scoreWords puts the reasons of package score in the terms of a comparison.
var scoreWords = strings.NewReplacer("score: ", "", "the first distribution", "the truth", "the second distribution", "the method's result")

func judged(x float64, err error) (*float64, string) {
	if err != nil {
		return nil, scoreWords.Replace(err.Error())
	}
	return &x, ""
}
