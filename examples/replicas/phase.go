package main

// A phase is a part of a round.
type phase int

const (
	calm phase = iota
	outage
	recovered
	numPhases
)

// String returns the phase in a word.
func (p phase) String() string {
	return [numPhases]string{"calm", "outage", "recovered"}[p]
}

// A kind is what a round is about.
type kind int

const (
	local kind = iota
	shared
	killed
)

// String returns the kind in a word or two, for the head of a column.
func (k kind) String() string {
	return []string{"local", "shared", "Redis killed"}[k]
}

// title returns the kind in a sentence.
func (k kind) title() string {
	return []string{
		"a budget in each replica", "one budget for all replicas", "one budget for all replicas, and redis-server is killed",
	}[k]
}
