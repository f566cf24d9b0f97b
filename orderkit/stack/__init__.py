"""One lab's servers and processes, supervised: PostgreSQL, Temporal, workers, API, JupyterLab; state in one folder."""
