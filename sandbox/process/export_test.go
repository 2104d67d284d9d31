package process

// Cgroups returns the driver's control group folders.
func (d *Driver) Cgroups() []string { return d.cgroups.bases() }

// PID returns the host's number of process 1.
func (s *Sandbox) PID() int { return s.pid }
