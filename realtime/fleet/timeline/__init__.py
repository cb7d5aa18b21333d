"""What happened to the instances, and to NATS, in the last hours: noticed, remembered,
told to the others and put in sentences. It asks nobody: that is for
`realtime.fleet.survey`."""
