package app

import "context"

// Alone runs upkeep under the lease.
func (a *App) Alone(name string, f func(context.Context) error) func(context.Context) error {
	return a.alone(name, f)
}

// OnLocalDisk returns the check for a network file system.
func OnLocalDisk(network string, accepted bool) Check { return onLocalDisk(network, accepted) }
