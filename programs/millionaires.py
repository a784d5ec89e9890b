"""Yao's millionaires: which party is the richest, without telling how rich anybody is.

    sequester run programs/millionaires.py --protocol rep3 \
        --input 0:wealth=a.csv --input 1:wealth=b.csv --input 2:wealth=c.csv

Each party brings one integer. Only the index of the (first) largest is opened: the tournament that
finds it runs on shares.

Inputs, of as many parties as `--people` says:
    0:wealth, 1:wealth, ... (1,) integers, smaller than 2^30 (k = 31).

Prints "party I is the richest".
"""

from sequester import Party, concat, print_, program, sint


@program
def millionaires(people: int = 3):
    wealth = concat([Party(i).input("wealth", sint, shape=(1,)) for i in range(people)])
    print_("party {} is the richest", wealth.argmax().reveal())
