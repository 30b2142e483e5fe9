"""What a run is told: flags, a file and a preset -> Config.

flags     arguments -> settings
resolve   a file, flags and a preset (presets/) -> Config, or what is wrong with them
config    what a run can be told, and what it is when told nothing
source    what of that is about data, and what kind of data that is
versions  the version of a package: a number, or the next one
directory a run's directory: where the package lies in it, and whether it is free
"""
