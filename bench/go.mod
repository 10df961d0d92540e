module github.com/observable-go/toolkit/bench

go 1.26.0

require github.com/observable-go/toolkit v0.1.0

replace github.com/observable-go/toolkit => ..
