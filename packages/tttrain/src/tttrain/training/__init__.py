"""Training of one network, in a process or on Ray."""
