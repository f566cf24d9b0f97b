"""The auditor: compares Temporal's history, our tables and the outside world's ledgers, order by order."""
