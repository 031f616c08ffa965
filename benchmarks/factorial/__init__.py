"""A factorial of optimisers, losses, maps, targets and data: what decides the function that is reached?"""
