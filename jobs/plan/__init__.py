"""The plan of a job: which rows are in which partition, written once.

plan      the plan, its partitions, and the marker of a partition that is done
moments   mean and deviation of latents, merged exactly
folder    where a job keeps its plan, its markers and its files
buckets   the sizes that pictures of many sizes are cropped to, and which of them a picture gets
bucketing what a job asks of buckets, and how the rest is chosen
request   what the user asked for, and how the rest is chosen
cutting   files of a source -> spans of partitions
partitions spans of partitions -> the partitions of a plan
notes     the files of a source, noted on disk
changes   what is new, changed and gone in a source
planning  makes the plan, or finds the one that is there and says what differs
"""
