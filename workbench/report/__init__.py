"""What is reported about a study: comparisons, scorecards, reports and findings."""
