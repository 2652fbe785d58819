"""What `gym.make` returns.

Settings, as keyword arguments, come in; Gymnasium environments, spaces and pictures go out.
"""
