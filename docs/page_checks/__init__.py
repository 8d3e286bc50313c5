"""What ``python docs/check.py`` looks at, a module each: `links`, `examples`, `commands`, `names`; `run` runs the commands, in the
small internet that `place` makes, but for those that `left_out` names. `pages` reads the pages.
"""
