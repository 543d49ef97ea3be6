"""Moving between a lake and AWS while both are in use: what is missing is put, all is compared.

In: a lake and what settings name on AWS. Out: a `Report` of counts and checksums for each place.
Nothing is put twice, nothing that is there is replaced unasked, and whoever was erased stays so. A
run that was killed goes on where it was.

    archive     the log's lines that the bucket has not got, as objects of their own
    items       the log's records that the table has not got
    comeback    the other way: what bucket or table have and a lake has not
"""
