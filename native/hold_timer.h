// Who ends a hold when its holder is stopped? A forked process that shares the gate and unlocks it at the
// deadline.
#pragma once

#include <cstdint>

#include "fd.h"

namespace locksmith {

struct HoldTimer {
  int pid = 0;
  Fd pidfd;
  // Our end of a socket pair. Closing it ends the timer; it gives one byte just before the gate opens.
  Fd channel;
};

// Starts the process. 0 or -errno.
int StartHoldTimer(int gate, int64_t milliseconds, HoldTimer* timer);

// Collects the process once its pidfd is readable: 0, or -errno (-EAGAIN while it runs).
int ReapHoldTimer(int pidfd);

}  // namespace locksmith
