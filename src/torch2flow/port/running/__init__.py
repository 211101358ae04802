"""`torch2flow run`: ports each module of a program when it is imported."""
