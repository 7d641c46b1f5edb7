// Package memory owns the memory budget of a server: how much connections, requests, streams and caches may hold
// together. It promises that a claim that does not fit its pool is refused at once as UNAVAILABLE. It does not
// allocate: claims count what others hold, by measured factors.
package memory
