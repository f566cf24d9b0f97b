"""What is wrong, and how to mend it: the machine, the processes, the servers."""
