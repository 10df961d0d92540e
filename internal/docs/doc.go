// Package docs holds tests that keep the documentation true: every Go block in it
// compiles, and every link in it leads somewhere. It has no other code. How to write
// blocks is told in CONTRIBUTING.md, under "Code in documentation".
package docs
