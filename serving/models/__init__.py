"""What is served, and how a package comes to be served.

reloading   brings what is served in line with what the repository holds
refusals    the packages that cannot be served, and why
registry    the models that are served, by name and version
served      a model that takes calls, whatever the protocol
loaded      a model that was proved, and the limits of a call
rules       what a call may ask of a model, for every protocol
repository  finds packages below a directory, and notices changes
limited     loads on threads of their own, and what becomes of one that takes too long
loading     loading a model means proving it
probe_sets  a package's probes, by graph and by the size of their pictures
row_memory  how much memory a row takes, where pictures have many sizes
proof       checks that the graphs give the trainer's answers, in batches as large as those that will be served
exactness   whether a row's bits depend on its batch
execution   how a model's graphs are run: as set, as cached, or as measured
measuring   measures graphs with several numbers of threads and batch sizes
"""
