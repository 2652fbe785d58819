"""Which packages there are. Everything else about the build is in pyproject.toml.

`agents`, `tasks` and `tools` are packaged below `seal_env`. Discovery by setuptools alone would find them there through the
links in `seal_env/`, but an sdist and some file systems have no links.
"""

from setuptools import find_packages, setup

FOLDERS = {"seal_env": "seal_env", "seal_env.agents": "agents", "seal_env.tasks": "tasks", "seal_env.tools": "tools"}

setup(
    package_dir=FOLDERS,
    packages=sorted(
        {name for top, folder in FOLDERS.items() for name in (top, *(f"{top}.{n}" for n in find_packages(folder)))}
    ),
)
