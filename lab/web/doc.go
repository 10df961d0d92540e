// Package web is the page of the lab: an [http.Handler] that offers a gallery of scenarios, runs
// what the page sends and tells how far it is.
//
// The page is for the machine on which it runs. The handler answers requests to loopback hosts
// alone, and takes changes from its own page alone.
package web
