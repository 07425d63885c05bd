"""Where and how work runs: devices, processes, progress, stopping, jobs."""
