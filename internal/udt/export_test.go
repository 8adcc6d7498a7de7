package udt

// SetTestISN fixes the initial sequence number of connections dialled with
// cfg.
func SetTestISN(cfg *Config, isn uint32) { cfg.isn = func() uint32 { return isn } }
