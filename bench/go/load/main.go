// Command load sends prepared HTTP requests over connections that stay open, and prints the latency of each call as JSON.
//
// It reads one JSON object from stdin (type order), and writes one to stdout (type report). SIGTERM ends the sending; the calls that were
// answered until then are reported. The first failed call ends the sending on all connections.
package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"runtime/debug"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

type order struct {
	Addresses   []string `json:"addresses"` // the connections are shared out among them
	Connections int      `json:"connections"`
	Status      int      `json:"status"`     // the status of every answer that is no failure
	Field       string   `json:"field"`      // the field of an answer's JSON to report; empty: none
	PerSecond   float64  `json:"per_second"` // the most requests sent in a second; 0: no limit
	Timeout     float64  `json:"timeout"`    // seconds for one call
	Patient     bool     `json:"patient"`    // send a call that is answered 503 again, after the seconds of its Retry-After
	Requests    []string `json:"requests"`   // each with its head and its body, as sent
}

type call struct {
	Answered float64 `json:"answered"` // seconds of Unix time
	Seconds  float64 `json:"seconds"`
	Field    string  `json:"field"`
	body     []byte
	done     bool
}

type report struct {
	Calls     []call  `json:"calls"` // in the order of their requests
	Lasted    float64 `json:"lasted"`
	Processor float64 `json:"processor"` // seconds that this process used while it sent
	Bytes     int     `json:"bytes"`     // of the body of the first answer
	Refused   int64   `json:"refused"`   // answers that a patient sender took as "later"
	Failure   string  `json:"failure"`
}

func main() {
	debug.SetGCPercent(-1) // the process is short-lived, and a collection would delay calls
	answer, err := run()
	if err != nil {
		fmt.Fprintln(os.Stderr, "load:", err)
		os.Exit(1)
	}
	if err := json.NewEncoder(os.Stdout).Encode(answer); err != nil {
		os.Exit(1)
	}
}

func run() (*report, error) {
	var wanted order
	if err := json.NewDecoder(os.Stdin).Decode(&wanted); err != nil {
		return nil, fmt.Errorf("cannot read the order: %w", err)
	}
	requests := make([][]byte, len(wanted.Requests))
	for place, text := range wanted.Requests {
		requests[place] = []byte(text)
	}
	connections := make([]net.Conn, wanted.Connections)
	for place := range connections {
		connection, err := net.DialTimeout("tcp", wanted.Addresses[place%len(wanted.Addresses)], 10*time.Second)
		if err != nil {
			return nil, err
		}
		defer connection.Close()
		connections[place] = connection
	}
	sender := &sender{order: &wanted, requests: requests, calls: make([]call, len(requests)), stop: make(chan struct{})}
	terminated := make(chan os.Signal, 1)
	signal.Notify(terminated, syscall.SIGTERM)
	go func() {
		<-terminated
		sender.end("")
	}()
	used := processor()
	sender.started = time.Now()
	var all sync.WaitGroup
	for _, connection := range connections {
		all.Add(1)
		go func() {
			defer all.Done()
			sender.send(connection)
		}()
	}
	all.Wait()
	found := &report{Lasted: time.Since(sender.started).Seconds(), Processor: processor() - used, Failure: sender.failure, Refused: sender.refused.Load()}
	return found, found.read(sender.calls, wanted.Field)
}

// read adds the calls that were answered, with the field of each answer.
func (found *report) read(calls []call, field string) error {
	found.Calls = []call{}
	for _, each := range calls {
		if !each.done {
			continue
		}
		if len(found.Calls) == 0 {
			found.Bytes = len(each.body)
		}
		if field != "" {
			var answer map[string]json.RawMessage
			if err := json.Unmarshal(each.body, &answer); err != nil {
				return fmt.Errorf("cannot read an answer: %w", err)
			}
			if err := json.Unmarshal(answer[field], &each.Field); err != nil {
				return fmt.Errorf("an answer has no text %q: %w", field, err)
			}
		}
		found.Calls = append(found.Calls, each)
	}
	return nil
}

type sender struct {
	order    *order
	requests [][]byte
	calls    []call
	started  time.Time
	next     atomic.Int64
	refused  atomic.Int64
	once     sync.Once
	stop     chan struct{}
	failure  string
}

func (s *sender) end(failure string) {
	s.once.Do(func() {
		s.failure = failure
		close(s.stop)
	})
}

// send sends the next request that no other connection has sent, until there is none.
func (s *sender) send(connection net.Conn) {
	reader := bufio.NewReaderSize(connection, 1<<14)
	timeout := time.Duration(s.order.Timeout * float64(time.Second))
	for {
		place := int(s.next.Add(1)) - 1
		if place >= len(s.requests) || !s.wait(place) {
			return
		}
		started := time.Now()
		_ = connection.SetDeadline(started.Add(timeout))
		status, later, body, err := exchange(connection, reader, s.requests[place])
		for s.order.Patient && err == nil && status == 503 && later > 0 && time.Since(started) < timeout {
			s.refused.Add(1)
			time.Sleep(later)
			status, later, body, err = exchange(connection, reader, s.requests[place])
		}
		ended := time.Now()
		if err != nil {
			s.end(fmt.Sprintf("call %d: %v", place, err))
			return
		}
		if status != s.order.Status {
			s.end(fmt.Sprintf("call %d: status %d: %s", place, status, body))
			return
		}
		s.calls[place] = call{float64(ended.UnixNano()) / 1e9, ended.Sub(started).Seconds(), "", body, true}
	}
}

// wait returns when the request may be sent, or false if none may be sent any more.
func (s *sender) wait(place int) bool {
	if s.order.PerSecond > 0 {
		due := s.started.Add(time.Duration(float64(place) / s.order.PerSecond * float64(time.Second)))
		select {
		case <-time.After(time.Until(due)):
		case <-s.stop:
		}
	}
	select {
	case <-s.stop:
		return false
	default:
		return true
	}
}

// exchange sends a request and reads its answer: its status, Retry-After and body, with Content-Length, in chunks, or none.
func exchange(connection net.Conn, reader *bufio.Reader, request []byte) (int, time.Duration, []byte, error) {
	if _, err := connection.Write(request); err != nil {
		return 0, 0, nil, err
	}
	line, err := reader.ReadSlice('\n')
	if err != nil {
		return 0, 0, nil, err
	}
	if len(line) < 12 || !bytes.HasPrefix(line, []byte("HTTP/1.1 ")) {
		return 0, 0, nil, errors.New("no HTTP/1.1 answer")
	}
	status, err := strconv.Atoi(string(line[9:12]))
	if err != nil {
		return 0, 0, nil, err
	}
	length, later, chunked := 0, 0, false
	for {
		line, err = reader.ReadSlice('\n')
		if err != nil {
			return 0, 0, nil, err
		}
		line = bytes.TrimRight(line, "\r\n")
		if len(line) == 0 {
			break
		}
		name, value, _ := bytes.Cut(line, []byte(":"))
		switch {
		case bytes.EqualFold(name, []byte("content-length")):
			if length, err = strconv.Atoi(string(bytes.TrimSpace(value))); err != nil {
				return 0, 0, nil, err
			}
		case bytes.EqualFold(name, []byte("retry-after")):
			if later, err = strconv.Atoi(string(bytes.TrimSpace(value))); err != nil {
				return 0, 0, nil, err
			}
		case bytes.EqualFold(name, []byte("transfer-encoding")):
			chunked = bytes.EqualFold(bytes.TrimSpace(value), []byte("chunked"))
		}
	}
	if chunked {
		body, err := chunks(reader)
		return status, time.Duration(later) * time.Second, body, err
	}
	body := make([]byte, length)
	_, err = io.ReadFull(reader, body)
	return status, time.Duration(later) * time.Second, body, err
}

func chunks(reader *bufio.Reader) ([]byte, error) {
	var body []byte
	for {
		line, err := reader.ReadSlice('\n')
		if err != nil {
			return nil, err
		}
		size, err := strconv.ParseInt(string(bytes.TrimRight(line, "\r\n")), 16, 32)
		if err != nil {
			return nil, err
		}
		chunk := make([]byte, size+2) // with the end of its line
		if _, err := io.ReadFull(reader, chunk); err != nil {
			return nil, err
		}
		if size == 0 {
			return body, nil
		}
		body = append(body, chunk[:size]...)
	}
}

// processor returns the seconds of processor time that this process has used.
func processor() float64 {
	var usage syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &usage)
	of := func(each syscall.Timeval) float64 { return float64(each.Sec) + float64(each.Usec)/1e6 }
	return of(usage.Utime) + of(usage.Stime)
}
