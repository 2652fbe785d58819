"""What `gym.make` returns.

Settings come in as keyword arguments; Gymnasium environments, spaces and pictures go out.
"""
