"""A notebook's cell as a file of its own: checked before it runs, and served by a worker process of its own."""
