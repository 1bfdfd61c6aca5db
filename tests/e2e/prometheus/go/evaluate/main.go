// Command evaluate answers one question on standard input, a JSON object: what an expression in PromQL finds at each step, by
// Prometheus' own engine, in series that are sampled once a step.
package main

import (
	"context"
	"encoding/json"
	"log"
	"os"
	"time"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/tsdb/chunks"
	"github.com/prometheus/prometheus/util/annotations"
)

type question struct {
	Expression string
	Start      int64 // of the first sample, in seconds since 1970
	Step       int64 // in seconds
	Steps      int
	Series     []struct {
		Labels map[string]string
		Values []*float64 // one a step; nil: none was scraped
	}
}

type found struct {
	Labels map[string]string `json:"labels"`
	Value  float64           `json:"value"`
}

func main() {
	var asked question
	if err := json.NewDecoder(os.Stdin).Decode(&asked); err != nil {
		log.Fatal(err)
	}
	engine := promql.NewEngine(promql.EngineOpts{MaxSamples: 1e6, Timeout: time.Minute, LookbackDelta: 5 * time.Minute})
	kept := keep(asked)
	answers := make([][]found, asked.Steps)
	for step := range answers {
		answers[step] = evaluate(engine, kept, asked.Expression, time.Unix(asked.Start+int64(step)*asked.Step, 0))
	}
	if err := json.NewEncoder(os.Stdout).Encode(answers); err != nil {
		log.Fatal(err)
	}
}

func evaluate(engine *promql.Engine, kept series, expression string, at time.Time) []found {
	query, err := engine.NewInstantQuery(context.Background(), kept, nil, expression, at)
	if err != nil {
		log.Fatal(err)
	}
	defer query.Close()
	result := query.Exec(context.Background())
	vector, err := result.Vector()
	if err != nil {
		log.Fatal(err)
	}
	answer := []found{}
	for _, sample := range vector {
		answer = append(answer, found{sample.Metric.Map(), sample.F})
	}
	return answer
}

// series is a storage of what was sampled.
type series []storage.Series

func keep(asked question) series {
	var kept series
	for _, each := range asked.Series {
		var samples []chunks.Sample
		for step, value := range each.Values {
			if value != nil {
				samples = append(samples, sample{(asked.Start + int64(step)*asked.Step) * 1000, *value})
			}
		}
		kept = append(kept, storage.NewListSeries(labels.FromMap(each.Labels), samples))
	}
	return kept
}

func (kept series) Querier(_, _ int64) (storage.Querier, error) {
	return querier{storage.NoopQuerier(), kept}, nil
}

type querier struct {
	storage.Querier
	kept series
}

func (from querier) Select(_ context.Context, _ bool, _ *storage.SelectHints, matchers ...*labels.Matcher) storage.SeriesSet {
	set := &selection{}
	for _, each := range from.kept {
		if matches(each.Labels(), matchers) {
			set.left = append(set.left, each)
		}
	}
	return set
}

func matches(of labels.Labels, matchers []*labels.Matcher) bool {
	for _, matcher := range matchers {
		if !matcher.Matches(of.Get(matcher.Name)) {
			return false
		}
	}
	return true
}

type selection struct {
	now  storage.Series
	left []storage.Series
}

func (of *selection) Next() bool {
	if len(of.left) == 0 {
		return false
	}
	of.now, of.left = of.left[0], of.left[1:]
	return true
}

func (of *selection) At() storage.Series                { return of.now }
func (of *selection) Err() error                        { return nil }
func (of *selection) Warnings() annotations.Annotations { return nil }

type sample struct {
	at    int64 // in milliseconds
	value float64
}

func (of sample) T() int64                      { return of.at }
func (of sample) ST() int64                     { return 0 }
func (of sample) F() float64                    { return of.value }
func (of sample) H() *histogram.Histogram       { return nil }
func (of sample) FH() *histogram.FloatHistogram { return nil }
func (of sample) Type() chunkenc.ValueType      { return chunkenc.ValFloat }
func (of sample) Copy() chunks.Sample           { return of }
