"""The lab: PostgreSQL, Temporal, workers and API as supervised processes of their own, with state in one folder."""
