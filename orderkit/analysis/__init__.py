"""What happened, and what was to be expected: DataFrames in, DataFrames and Figures out."""
