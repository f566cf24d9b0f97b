"""The course: the rounds of each lesson, how long they take, and how far a learner is. No I/O."""
