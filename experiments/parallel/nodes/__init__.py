"""A cluster whose nodes may share nothing with the driver: neither this folder, nor the data, nor the store.

Reading order: joining (the whole, at the start of a sweep) · code_copy (what Ray sends to each node) · cluster (what a
node is told, and what it makes of it) · data (where a node has it, or gets it from) · inbox (what the driver's machine
does for the nodes) · parcel (files on their way) · probe (one look at each node) · watch (a head that is gone).
"""
