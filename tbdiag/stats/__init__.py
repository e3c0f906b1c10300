"""Numbers only: noise, trend, rise, change points, spikes. No word of training in here; numpy first, scipy late."""
