package bench

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// Every task gets a visit in each round, so that all are measured under the
// same conditions, of one call or as many as fill visit. A task that has taken
// enough is left out of further rounds: only a slow machine has such.
const (
	rounds = 10
	visit  = 30 * time.Millisecond
	enough = 2 * time.Second
)

// The units of results.
const (
	gflops       = "GFLOP/s"
	milliseconds = "ms"
	ratio        = "ratio"
)

// A task is something that is measured.
type task struct {
	run   func(ctx context.Context) error
	flops func() float64 // of a call, known after the first

	calls       int
	best, spent time.Duration // of a call; of all
}

// rate is the best one in GFLOP/s.
func (t *task) rate() float64 { return t.flops() / float64(t.best.Nanoseconds()) }

// ms is the shortest time of a call.
func (t *task) ms() float64 { return float64(t.best.Nanoseconds()) / 1e6 }

// over is the time of a call relative to another task's.
func (t *task) over(u *task) float64 { return float64(t.best) / float64(u.best) }

func (t *task) call(ctx context.Context) error {
	start := time.Now()
	if err := t.run(ctx); err != nil {
		return err
	}
	d := max(1, time.Since(start))
	if t.calls++; t.calls == 1 || d < t.best {
		t.best = d
	}
	t.spent += d
	return nil
}

// A suite is what Run measures, and what it makes of that.
type suite struct {
	Options
	tasks   []*task
	results []func() Result

	mu          sync.Mutex
	done, total int // steps, for Progress

	peak64, peak32 *task // the loops on one thread
	gemm           *task // the product of n = 1024 on one thread, in float64
	mlpTime        *task // the propagation through the fully connected network
	closure        closureError
}

// time adds a task.
func (s *suite) time(run func(ctx context.Context) error) *task {
	t := &task{run: run}
	s.tasks = append(s.tasks, t)
	return t
}

// work adds a task of so many floating-point operations.
func (s *suite) work(flops float64, run func(ctx context.Context) error) *task {
	t := s.time(run)
	t.flops = func() float64 { return flops }
	return t
}

// result adds a result, whose value and remark are known once all is measured.
func (s *suite) result(name, unit string, value func() (v float64, remark string)) {
	s.results = append(s.results, func() Result {
		v, remark := value()
		return Result{Name: name, Value: v, Unit: unit, Remark: remark}
	})
}

// measure measures the closure error and then the tasks, in turns.
func (s *suite) measure(ctx context.Context) error {
	n := s.size(rounds, 1)
	s.total = s.networks() + n*len(s.tasks)
	if err := s.measureClosure(ctx); err != nil {
		return err
	}
	for range n {
		for _, t := range s.tasks {
			if err := s.visit(ctx, t); err != nil {
				return err
			}
			s.step()
		}
	}
	return nil
}

// visit calls a task for a while.
func (s *suite) visit(ctx context.Context, t *task) error {
	for start := time.Now(); ; {
		if err := ctx.Err(); err != nil {
			return err
		}
		if t.spent > enough {
			return nil
		}
		if err := t.call(ctx); err != nil {
			return err
		}
		if s.Quick || time.Since(start) > visit {
			return nil
		}
	}
}

// step says that one more step is done.
func (s *suite) step() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.done++
	if s.Progress != nil {
		s.Progress(s.done, s.total)
	}
}

// size is n, or in quick runs something small.
func (s *suite) size(n, quick int) int {
	if s.Quick {
		return min(n, quick)
	}
	return n
}

// percent writes a fraction for a remark.
func percent(x float64, of string) string { return fmt.Sprintf("%.3g%% of %s", 100*x, of) }

// times writes a ratio for a remark.
func times(x float64, what string) string { return fmt.Sprintf("%.3g times %s", x, what) }
