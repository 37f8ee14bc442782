"""Which process drives a sweep, and whether it is still alive: runs that a killed driver left open must be ended."""

import os
import socket

import psutil


def this_driver() -> str:
    """Host, process id and start time: process ids are reused, the three together are not."""
    return f"{socket.gethostname()} {os.getpid()} {psutil.Process().create_time():.2f}"


def has_died(driver: str) -> bool:
    """Whether this driver's process has ended; False on another host, where that is unknown."""
    host, _, process = driver.partition(" ")
    if host != socket.gethostname():
        return False
    process_id, _, born = process.partition(" ")
    try:
        return f"{psutil.Process(int(process_id)).create_time():.2f}" != born
    except psutil.NoSuchProcess:
        return True
