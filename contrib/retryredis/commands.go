package retryredis

import (
	"fmt"
	"strings"

	"github.com/redis/go-redis/v9"
)

// Idempotent reports whether a second execution of cmd leaves the same data and gives an
// answer that means the same. These are the commands that Redis flags as readonly, a few
// that read the server's state, and of those that write:
//
//   - SET without NX, XX, GET and the like; SETEX, PSETEX, MSET, SETRANGE, LSET, LTRIM
//   - HSET, HMSET, HDEL, DEL and UNLINK, though the number that they answer is that of the
//     last execution
//   - EXPIRE, PEXPIRE, EXPIREAT and PEXPIREAT without NX, XX, GT and LT; PERSIST, GETEX
//
// Commands whose answer tells whether they were the first, such as SETNX, SADD, SREM and
// ZADD, are not among them, nor are scripts. A command that another client overtakes between
// its two executions writes over what that one wrote.
func Idempotent(cmd redis.Cmder) bool {
	name := strings.ToLower(cmd.Name())
	switch name {
	case "set":
		return onlyOptions(cmd, 3, setOptions)
	case "expire", "pexpire", "expireat", "pexpireat":
		return len(cmd.Args()) == 3
	}
	return readers[name] || writers[name]
}

// setOptions are the options of SET that leave it idempotent, with their number of arguments.
var setOptions = map[string]int{"ex": 1, "px": 1, "exat": 1, "pxat": 1, "keepttl": 0}

// onlyOptions reports whether the arguments of cmd from position at on are none but options.
func onlyOptions(cmd redis.Cmder, at int, options map[string]int) bool {
	args := cmd.Args()
	for at < len(args) {
		n, known := options[strings.ToLower(fmt.Sprint(args[at]))]
		if !known {
			return false
		}
		at += 1 + n
	}
	return true
}

// readers are the commands that Redis 7 flags as readonly, which a test compares with a
// server, and those that read the state of the server. They must not change with Redis: what
// is missing here is only repeated less often.
var readers = setOf(`
	bitcount bitfield_ro bitpos dbsize dump eval_ro evalsha_ro exists expiretime fcall_ro geodist geohash geopos
	georadius_ro georadiusbymember_ro geosearch get getbit getrange hexists hget hgetall hkeys hlen hmget hrandfield
	hscan hstrlen hvals keys lcs lindex llen lolwut lpos lrange mget pexpiretime pfcount pttl randomkey scan scard
	sdiff sinter sintercard sismember smembers smismember sort_ro srandmember sscan strlen substr sunion touch ttl
	type xlen xpending xrange xread xrevrange zcard zcount zdiff zinter zintercard zlexcount zmscore zrandmember
	zrange zrangebylex zrangebyscore zrank zrevrange zrevrangebylex zrevrangebyscore zrevrank zscan zscore zunion

	echo info lastsave object ping role time xinfo`)

// writers are the commands that may be executed twice although they write.
var writers = setOf(`del getex hdel hmset hset lset ltrim mset persist psetex setex setrange unlink`)

// setups are the commands about the connection itself, which are sent once.
var setups = setOf(`asking auth client cluster command hello readonly readwrite select`)

func setOf(names string) map[string]bool {
	set := make(map[string]bool)
	for name := range strings.FieldsSeq(names) {
		set[name] = true
	}
	return set
}

// areSetups reports whether all of the commands are about the connection.
func areSetups(cmds []redis.Cmder) bool {
	for _, cmd := range cmds {
		if !setups[strings.ToLower(cmd.Name())] {
			return false
		}
	}
	return true
}
