// Package e2e tests the toolkit from end to end: what it emits is sent to a real Prometheus and a
// real Jaeger and read back from there, and its pages are looked at in a real browser. Budgets that
// replicas share have a real Redis. All of it runs on this machine, on loopback.
//
//	.ci/run e2e
//
// builds the programs, keeps them in a cache, and runs the tests. `go test` alone skips them.
// Screenshots and logs of the programs are left in the folder artifacts, or in the one that
// RESILIENCE_E2E_ARTIFACTS names.
package e2e
