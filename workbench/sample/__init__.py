"""From prompts to text: held-out prompts, generation, trajectories, playback."""
