"""What is asked for: the settings of studies, runs and trainings, and how they are read."""
