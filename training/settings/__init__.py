"""Settings of a run: flags, a file and a preset -> Config.

flags     arguments -> settings
resolve   a file, flags and a preset (presets/) -> Config, or an error that names the setting
config    every setting of a run, with its default
rule      the settings that follow from the size and number of pictures
source    the settings about data, and which kind of data it is
creation  when a package says that it was made
precisions the precision of a package's pair: a flag, and which pairs can have it
versions  the version of a package: a number, or the next one
directory a run's directory: where its package lies, and whether it is free
"""
