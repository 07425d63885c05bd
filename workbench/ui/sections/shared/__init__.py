"""What several pages show: empty states, jobs, stored results, held-out items."""
