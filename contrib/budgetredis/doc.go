// Package budgetredis shares one retry budget between all replicas of a service, on Redis.
//
//	client := redis.NewClient(&redis.Options{Addr: addr, ContextTimeoutEnabled: true, DialerRetries: 1})
//	retries, err := budgetredis.New(client, "inventory", budgetredis.WithFloor(10), budgetredis.WithBurst(200))
//	defer retries.Close()
//	policy, err := retry.New("inventory.get", retry.WithBudget(retries))
//
// A budget of each process lets a service of many replicas retry in proportion to their
// number: every one has its own burst and floor. This one has a single bucket for all.
//
// No decision waits for Redis. A goroutine of each process reports its calls and fetches
// tokens ahead, in leases that expire. While Redis is not there, no retry is granted, or a
// local budget decides: see [WithLocal].
//
// The burst should be at least twice the number of replicas: idle ones hold a token each, and
// together at most half of the burst. A replica without a token has its first retry denied, and
// asks for tokens at once. It should also hold a few times what the floor brings in a refresh:
// replicas do not ask evenly, and what comes in while the bucket is full is lost. The bucket of
// a budget that Redis does not know is empty at first.
//
// # The bound
//
// Let N replicas share a budget with the burst B, the floor rho a second, the ratio r, the
// batch k and the lease L. In every window of t seconds
//
//	retries granted - refunded <= B + rho*t + r*D + w + min(N*k, rho*tau + r*E),  tau = 2*L
//
// D is the calls reported to Redis in the window, each at most 2*L after it was made, and E
// those reported within tau before it. w is the refunds that were made before the window and
// had not been reported at its start: they are never older than 2*L. The term with min is
// the price of leases, beside the bound of a budget of one process. With a floor of 0, all
// retries ever granted less the refunded ones are at most r times the calls ever reported.
//
// Why. Let b be the balance in Redis and h the tokens that replicas hold unspent, on the way
// there or back included. Granting and returning moves tokens between b and h; a token that is
// spent leaves; losing an answer, a replica or all data only loses tokens. So what is spent in
// a window is at most b + h at its start and what comes in during it: rho*t + r*D and the
// refunds, of which those made in the window are subtracted on the left side and those made
// before are w. Nothing comes in twice: a request is sent with the same number until it is
// answered, a repetition gets the first answer, a lower number counts nothing, and neither do
// the reports of a replica that Redis does not know, which may have been counted before data
// were lost.
//
// It remains that b + h is at most B + min(N*k, rho*tau + r*E). The balance is clamped to B. A
// replica asks for no more than makes its unspent tokens k, and holds what it gives back
// no longer: h <= N*k. For the other term Redis keeps, for every replica, what it reported to
// hold at its latest exchange plus what was granted then, less r times the calls it reported
// then; out is the sum. A replica whose exchange is longer ago than L holds nothing that can be
// spent or given back, so its record may go: tokens are spent within L of the request that
// fetched them, by the monotonic and by the wall clock of the replica, and a request that
// reaches Redis more than L after it began counts nothing. Therefore h <= out + r*E. At every
// exchange the balance is clamped to B + rho*L - out too, which gives b + h <= B + rho*L + r*E.
// Without that clamp tokens that replicas hand round could grow to N*k, as the bucket refills
// while they are out. If Redis loses its data, out begins at 0 while older tokens live for
// another L, in which rho*L and the calls come in: hence tau = 2*L. They do not live longer: what is
// returned within L of a loss counts nothing, so that older tokens are not granted anew.
//
// Exceptions, each bounded. A step forward of Redis' clock adds rho*L at most, once; a step back
// adds nothing, and lets a request that was held up on the way count that much later. A failover
// or a restart from a backup that has lost the latest writes adds what was granted in them, at
// most B and what came in since. Replicas with different settings keep the bound of the largest
// ones. In [Local] mode every local budget adds its own bound.
//
// # Cost
//
// A decision is one atomic subtraction, without an allocation. Redis runs one script for each
// replica and refresh, and one more for each batch that goes to a replica whose tokens are gone:
// about N/refresh + rate of grants/k. A replica that Redis had nothing for waits for the next
// refresh. One replica gets ten batches in a refresh at most.
//
// # Redis
//
// It needs Redis 5 or later, alone, with Sentinel or as a cluster: all of a budget is one hash,
// "resilience:budget:{name}", which lives for an hour after its latest use. An ACL user needs
// the keys ~resilience:budget:* and +evalsha +eval +time +hmget +hset +hdel +hgetall +pexpire.
// The client should have ContextTimeoutEnabled: see [WithTimeout].
package budgetredis
