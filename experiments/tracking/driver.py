"""Which process drives a sweep, and whether it still lives: what a killed driver left open has to be ended."""

import os
import socket

import psutil


def this_driver() -> str:
    """Host, process id and its time of birth: an id is given again, the three together are not."""
    return f"{socket.gethostname()} {os.getpid()} {psutil.Process().create_time():.2f}"


def has_died(driver: str) -> bool:
    """Whether the process of this name has ended; False where that cannot be known, on another host."""
    host, _, process = driver.partition(" ")
    if host != socket.gethostname():
        return False
    process_id, _, born = process.partition(" ")
    try:
        return f"{psutil.Process(int(process_id)).create_time():.2f}" != born
    except psutil.NoSuchProcess:
        return True
