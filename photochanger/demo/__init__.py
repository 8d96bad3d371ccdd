"""The whole house on one machine, with simulators and an imitation of the booth."""
