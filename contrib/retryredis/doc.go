// Package retryredis runs the commands of a go-redis client under a policy of this toolkit:
// its retries, budgets, breakers and telemetry in place of the client's own retries.
//
//	client := redis.NewClient(retryredis.WithoutRetries(&redis.Options{Addr: addr}))
//	err := retryredis.Instrument(client, retry.MustNew("redis", retry.WithBudget(retries)))
//
// go-redis retries by itself, up to three times a command and five times a connection, after
// fractions of a second, where no budget sees it. [WithoutRetries] turns that off, and
// [Instrument] refuses a client that still does it, so that retries never multiply.
//
// # What is repeated
//
// Every command after a failure that proves that Redis did not execute it: no connection
// could be made or had from the pool, or the answer is LOADING, READONLY, MASTERDOWN,
// TRYAGAIN, CLUSTERDOWN, NOREPLICAS or "max number of clients reached".
//
// After any other failure of a connection nobody knows whether the command was executed.
// Then it is only repeated if it is [Idempotent], or if the function of [WithIdempotent]
// says so: an INCR whose answer was lost is not, a GET is. (go-redis itself repeats both.)
// Policies further out do not repeat such a command either: its error is a refusal, of which
// breakers see the failure of the connection.
//
// A pipeline is repeated as a whole, if each of its commands may be, and if none that writes
// and may have been executed comes after one that reads, which would find what was written.
// A transaction whose EXEC was sent is not, unless WithIdempotent allows EXEC and all of its
// commands too.
//
// Any other error that Redis answers, redis.Nil and redis.TxFailedErr among them, is returned
// as it is, may be compared as before, and is no failure to a breaker.
//
// # What is left alone
//
//   - Redirects of a cluster (MOVED, ASK, and READONLY after a failover) are no retries, and
//     stay bounded by MaxRedirects.
//   - Commands about the connection, such as HELLO, AUTH, CLIENT and SELECT, are sent once.
//   - A subscription is no command: go-redis goes on to connect again by itself.
//   - Of a Watch each command is a call of its own. All of them use one connection, and when
//     that is lost none is sent on another one, where nothing would be watched any more. The
//     function given to Watch is not repeated. The Watch of a cluster or a ring goes around
//     the policy.
//   - A copy of a client by WithTimeout has no hooks: instrument it by itself.
//   - Blocking commands that take an element, such as BLPOP, are not [Idempotent].
package retryredis
