"""Settings of everything in `models`, one frozen dataclass a component; they import no torch."""
