# Python's filelock as a contender, see measure/contender.ts: the arguments are the path.
import sys
import time

import filelock

lock = filelock.FileLock(sys.argv[1])
print("ready", flush=True)
for line in sys.stdin:
    if line == "take\n":
        print("asks", flush=True)
        lock.acquire()
        print(f"got {time.monotonic_ns()}", flush=True)
    else:
        before = time.monotonic_ns()
        lock.release()
        print(f"gave {before}", flush=True)
