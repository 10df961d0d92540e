package main

import "time"

// An assignment is the first line that a replica reads.
type assignment struct {
	Number    int    `json:"number"` // from 1 on
	Replicas  int    `json:"replicas"`
	Callee    string `json:"callee"` // its URL
	Rate      int    `json:"rate"`   // calls a second
	Redis     string `json:"redis"`  // address; without, the budget is a local one
	KeyPrefix string `json:"key_prefix"`
	Local     bool   `json:"local"` // a local budget decides while Redis is not there
}

// A command is each further line.
type command string

const (
	commandStart command = "start"
	commandStop  command = "stop"
)

// A message is a line of a child: one of its fields is set.
type message struct {
	Address string   `json:"address,omitempty"` // redis-server answers there
	Ready   bool     `json:"ready,omitempty"`   // the replica waits for the command to start
	Change  *change  `json:"change,omitempty"`
	Account *account `json:"account,omitempty"` // the last one of a replica
	Failure string   `json:"failure,omitempty"` // the last one of a child that cannot do what it is for
}

// A change is one of the mode of a replica's shared budget.
type change struct {
	At   time.Time `json:"at"`
	From string    `json:"from"`
	To   string    `json:"to"`
}

// An account is what a replica counted. Of its calls, some were answered with 503, and some got no
// answer. Others were due while too many were under way, and were not made.
type account struct {
	Calls       int `json:"calls"`
	Retries     int `json:"retries"`
	Unavailable int `json:"unavailable"`
	Unanswered  int `json:"unanswered"`
	Skipped     int `json:"skipped"`
}

func (a account) load() load { return load{a.Calls, a.Retries} }

func (a account) plus(b account) account {
	return account{
		a.Calls + b.Calls, a.Retries + b.Retries, a.Unavailable + b.Unavailable, a.Unanswered + b.Unanswered, a.Skipped + b.Skipped,
	}
}
