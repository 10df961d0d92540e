package budgetredis_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/observable-go/toolkit/contrib/budgetredis"
)

// ordersVariable is set where the test binary is to be a replica. It holds the address of Redis,
// when the record began, in nanoseconds of the wall clock, and a seed.
const ordersVariable = "BUDGETREDIS_TEST_REPLICA"

// beReplica works until its standard input ends, and writes each event to its standard output at
// once: a line of the kind, the two readings of the clock and the tokens held.
//
// The times are the wall clock's, which all processes of a machine share. A step of it in the
// seconds of a test would make the record wrong; Go has no other clock that two processes can compare.
func beReplica(orders string) {
	var addr string
	var began int64
	var seed uint64
	if _, err := fmt.Sscan(orders, &addr, &began, &seed); err != nil {
		panic(err)
	}
	client := redis.NewClient(&redis.Options{Addr: addr, ContextTimeoutEnabled: true, DialerRetries: 1, MinRetryBackoff: ms})
	b, err := budgetredis.New(client, "shop", append(quickly(), settings()...)...)
	if err != nil {
		panic(err)
	}
	ctx, stop := context.WithTimeout(context.Background(), time.Minute)
	defer stop()
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		stop()
	}()
	r := &record{began: time.Unix(0, began)}
	d := r.of(b)
	d.told = func(e event) { fmt.Fprintln(os.Stdout, int(e.kind), int64(e.from), int64(e.to), b.Tokens()) }
	work(ctx, d, rand.New(rand.NewPCG(seed, 0)), nowAndThen)

	tick := time.NewTicker(ms)
	for range 10_000 {
		if b.Mode() == budgetredis.Shared {
			_ = b.Close()
			return
		}
		<-tick.C
	}
	panic("the budget does not return to Redis")
}

// A process is a replica in a process of its own.
type process struct {
	t       *testing.T
	command *exec.Cmd
	input   io.Closer // the process ends when it is closed
	output  io.ReadCloser
	read    chan struct{} // closed when the output has ended
	mu      sync.Mutex
	events  []event
	tokens  float64 // held after the latest event
}

func startProcess(t *testing.T, addr string, r *record, seed uint64) *process {
	t.Helper()
	path, err := os.Executable()
	require.NoError(t, err)
	command := exec.CommandContext(context.Background(), path)
	command.Env = append(os.Environ(), ordersVariable+"="+fmt.Sprintf("%s %d %d", addr, r.began.UnixNano(), seed))
	command.Stderr = t.Output()
	input, err := command.StdinPipe()
	require.NoError(t, err)
	output, err := command.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, command.Start())
	p := &process{t: t, command: command, input: input, output: output, read: make(chan struct{})}
	go p.listen()
	t.Cleanup(func() {
		_ = command.Process.Kill() // also one that is stopped
		<-p.read
		_ = command.Wait()
	})
	return p
}

func (p *process) listen() {
	defer close(p.read)
	lines := bufio.NewScanner(p.output)
	for lines.Scan() {
		var e event
		var tokens float64
		_, err := fmt.Sscan(lines.Text(), &e.kind, &e.from, &e.to, &tokens)
		if !assert.NoError(p.t, err, lines.Text()) {
			return
		}
		p.mu.Lock()
		p.events, p.tokens = append(p.events, e), tokens
		p.mu.Unlock()
	}
}

func (p *process) held() float64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.tokens
}

func (p *process) grants() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return (&record{events: p.events}).count(granted)
}

func (p *process) signal(s syscall.Signal) {
	p.t.Helper()
	require.NoError(p.t, p.command.Process.Signal(s))
}

// Replicas in processes of their own keep the bound too: some are paused and wake with old leases,
// one is killed with its tokens, and Redis is killed and comes back empty.
func TestBoundOverProcesses(t *testing.T) {
	t.Parallel()
	const processes = 5
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 99))
	s := startServer(t)
	r := &record{began: time.Now().Round(0)} // by the wall clock, as theirs
	all := make([]*process, processes)
	for i := range all {
		all[i] = startProcess(t, s.addr, r, seed+uint64(i))
	}
	holding := func(p *process) {
		t.Helper()
		require.Eventually(t, func() bool { return p.held() > 0 }, 10*time.Second, ms)
	}
	for _, p := range all {
		holding(p)
	}
	for range 5 { // any moment will do to stop one, and one to wake it
		<-time.After(time.Duration(random.Int64N(int64(200 * ms))))
		p := all[random.IntN(processes)]
		p.signal(syscall.SIGSTOP)
		<-time.After(time.Duration(random.Int64N(int64(4 * lease))))
		p.signal(syscall.SIGCONT)
	}

	victim, sleeper := all[0], all[1]
	holding(victim)
	victim.signal(syscall.SIGKILL)
	<-victim.read
	t.Logf("the one that was killed held %.0f tokens", victim.held())

	// One sleeps longer than its lease, and finds no Redis when it wakes, so that the tokens from
	// before are all that it has, and while it needs some.
	r.await(t, calm-2*lease)
	holding(sleeper)
	sleeper.signal(syscall.SIGSTOP)
	s.kill()
	expired := r.now() + lease
	t.Logf("the one that sleeps held %.0f tokens", sleeper.held())
	r.await(t, calm+50*ms)
	<-time.After(max(0, expired-r.now()))
	sleeper.signal(syscall.SIGCONT)
	<-time.After(200 * ms)
	back := r.now()
	s.start()
	<-time.After(time.Second)
	require.Eventually(t, func() bool {
		grants := 0
		for _, p := range all {
			grants += p.grants()
		}
		return grants > burst
	}, time.Minute, 10*ms)

	for _, p := range all[1:] {
		_ = p.input.Close()
	}
	for _, p := range all[1:] {
		<-p.read
		require.NoError(t, p.command.Wait())
	}
	awake := 0
	for i, p := range all {
		for _, e := range p.events {
			if e.from <= expired || e.from >= back {
				continue
			}
			assert.NotEqual(t, granted, e.kind, "replica %d granted at %v, and all leases ended at %v", i, e.from, expired)
			if p == sleeper {
				awake++
			}
		}
		r.add(p.events)
	}
	t.Logf("%d calls, %d grants, %d refunds; %d calls of the one that slept between its waking and Redis' return",
		r.count(called), r.count(granted), r.count(refunded), awake)
	// The latest call and refund of the one that was killed may not be in its diary.
	assertBound(t, r, processes, bound{constant: 1 + ratio})
}

// await waits until the time is so far into a round of the record.
func (r *record) await(t *testing.T, into time.Duration) {
	t.Helper()
	near := func() bool { now := r.now() % round; return now >= into && now < into+100*ms }
	require.Eventually(t, near, 10*time.Second, ms)
}
