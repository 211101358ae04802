"""Scale: what a distributed job costs, the job itself, and LiBai's models."""
