// Command pools reads with pgx and with lib/pq. Its argument is the one or the other.
package main

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"sync"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	_ "github.com/lib/pq"
)

const (
	queries  = 30
	maxConns = 16 // database/sql opens as many as it is asked for, unless it is told a number
)

type answer struct {
	Tables   []string `json:"tables"`
	Rows     [][]any  `json:"rows"`
	Refusals []string `json:"refusals"`
	Pool     int      `json:"pool"`
	Counts   []int    `json:"counts"`
}

func main() {
	said, err := ask(os.Args[1], os.Getenv("ROLE_URI"))
	if err == nil {
		err = json.NewEncoder(os.Stdout).Encode(said)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func ask(driver, uri string) (answer, error) {
	db, size, err := open(driver, uri)
	if err != nil {
		return answer{}, err
	}
	defer db.Close()
	said := answer{Pool: size, Counts: make([]int, queries)}
	failed := make([]error, queries)
	var all sync.WaitGroup
	for number := range queries {
		all.Go(func() {
			failed[number] = db.QueryRow("SELECT count(*) FROM people").Scan(&said.Counts[number])
		})
	}
	all.Wait()
	for _, err := range failed {
		if err != nil {
			return answer{}, err
		}
	}
	if said.Tables, err = tables(db); err != nil {
		return answer{}, err
	}
	if said.Rows, err = people(db); err != nil {
		return answer{}, err
	}
	for _, table := range strings.Fields(os.Getenv("ROLE_HIDDEN")) {
		_, err := db.Exec("SELECT * FROM " + table)
		said.Refusals = append(said.Refusals, fmt.Sprint(err))
	}
	return said, nil
}

// open returns the pool and its size: the default one of pgx, and for lib/pq the one that we set.
func open(driver, uri string) (*sql.DB, int, error) {
	if driver == "pgx" {
		pool, err := pgxpool.New(context.Background(), uri)
		if err != nil {
			return nil, 0, err
		}
		return stdlib.OpenDBFromPool(pool), int(pool.Config().MaxConns), nil
	}
	db, err := sql.Open("postgres", uri)
	if err != nil {
		return nil, 0, err
	}
	db.SetMaxOpenConns(maxConns)
	return db, maxConns, nil
}

func tables(db *sql.DB) ([]string, error) {
	found, err := db.Query("SELECT table_name::text FROM information_schema.tables WHERE table_schema = $1", os.Getenv("ROLE_SCHEMA"))
	if err != nil {
		return nil, err
	}
	defer found.Close()
	var names []string
	for found.Next() {
		var name string
		if err := found.Scan(&name); err != nil {
			return nil, err
		}
		names = append(names, name)
	}
	return names, found.Err()
}

func people(db *sql.DB) ([][]any, error) {
	found, err := db.Query("SELECT id, region, ssn FROM people ORDER BY id")
	if err != nil {
		return nil, err
	}
	defer found.Close()
	var rows [][]any
	for found.Next() {
		var id int
		var region, ssn *string
		if err := found.Scan(&id, &region, &ssn); err != nil {
			return nil, err
		}
		rows = append(rows, []any{id, region, ssn})
	}
	return rows, found.Err()
}
