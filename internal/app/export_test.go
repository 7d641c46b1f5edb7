package app

// OnLocalDisk is the check of the file system, by the name of its network.
func OnLocalDisk(network string, accepted bool) Check { return onLocalDisk(network, accepted) }
