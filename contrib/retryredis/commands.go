package retryredis

import (
	"fmt"
	"slices"
	"strings"

	"github.com/redis/go-redis/v9"
)

// Idempotent reports whether a second execution of cmd leaves the same data and gives an
// answer that means the same. These are the commands that Redis flags as readonly, a few
// that read the server's state, and of those that write:
//
//   - SET without NX, XX, GET and the like; SETEX, PSETEX, MSET, SETRANGE, LSET
//   - HSET, HMSET, HDEL, DEL and UNLINK, though the number that they answer is that of the
//     last execution
//   - EXPIRE, PEXPIRE, EXPIREAT and PEXPIREAT without NX, XX, GT and LT; GETEX without EXAT
//     and PXAT, which delete a key whose time has passed
//
// Commands whose answer tells whether they were the first, such as SETNX, SADD, SREM, ZADD
// and PERSIST, are not among them, nor are scripts, nor LTRIM, which may count from what it
// left. XREAD from $ is not either: what came between its two executions is not read. A
// command that another client overtakes between its two executions writes over what that
// one wrote.
//
// It says nothing of several commands: GET and DEL, executed twice one after the other,
// find nothing the second time. A pipeline that writes after it read is not repeated.
func Idempotent(cmd redis.Cmder) bool {
	name := strings.ToLower(cmd.Name())
	switch name {
	case "set":
		return onlyOptions(cmd, 3, setOptions)
	case "getex":
		return onlyOptions(cmd, 2, getexOptions)
	case "expire", "pexpire", "expireat", "pexpireat":
		return len(cmd.Args()) == 3
	case "xread":
		return !slices.ContainsFunc(cmd.Args(), func(arg any) bool { return fmt.Sprintf("%s", arg) == "$" })
	}
	return readers[name] || writers[name]
}

// reads reports whether what cmd answers depends on what was written before it.
func reads(cmd redis.Cmder) bool {
	name := strings.ToLower(cmd.Name())
	return readers[name] || name == "getex"
}

// The options of SET and GETEX that leave them idempotent, with their number of arguments.
var (
	setOptions   = map[string]int{"ex": 1, "px": 1, "exat": 1, "pxat": 1, "keepttl": 0}
	getexOptions = map[string]int{"ex": 1, "px": 1, "persist": 0}
)

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
// server, those that read the state of the server, and those that watch keys. They must not
// change with Redis: what is missing here is only repeated less often.
var readers = setOf(`
	bitcount bitfield_ro bitpos dbsize dump eval_ro evalsha_ro exists expiretime fcall_ro geodist geohash geopos
	georadius_ro georadiusbymember_ro geosearch get getbit getrange hexists hget hgetall hkeys hlen hmget hrandfield
	hscan hstrlen hvals keys lcs lindex llen lolwut lpos lrange mget pexpiretime pfcount pttl randomkey scan scard
	sdiff sinter sintercard sismember smembers smismember sort_ro srandmember sscan strlen substr sunion touch ttl
	type xlen xpending xrange xread xrevrange zcard zcount zdiff zinter zintercard zlexcount zmscore zrandmember
	zrange zrangebylex zrangebyscore zrank zrevrange zrevrangebylex zrevrangebyscore zrevrank zscan zscore zunion

	echo info lastsave object ping role time unwatch watch xinfo`)

// writers are the commands that may be executed twice although they write.
var writers = setOf(`del hdel hmset hset lset mset psetex setex setrange unlink`)

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
