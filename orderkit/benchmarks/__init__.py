"""Everything that measures, each with its baseline beside it."""
