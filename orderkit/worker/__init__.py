"""The worker: activities, the recording of their attempts, the process that serves them, the reconcile schedule."""
