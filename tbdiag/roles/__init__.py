"""Tag -> role with the reason; axes, domains and the configuration found in the log."""
