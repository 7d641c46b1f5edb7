package app

import "context"

// Alone is how upkeep is done by one replica at a time.
func (a *App) Alone(name string, f func(context.Context) error) func(context.Context) error {
	return a.alone(name, f)
}

// OnLocalDisk is the check of the file system, by the name of its network.
func OnLocalDisk(network string, accepted bool) Check { return onLocalDisk(network, accepted) }
