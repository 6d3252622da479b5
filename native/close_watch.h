// When does a writer of a file close it? (inotify(7))
#pragma once

namespace locksmith {

// A descriptor that becomes readable when somebody who had the file open for writing closes it: or -errno.
int OpenCloseWatch(const char* path);

// Reads away all pending events: 0 or -errno.
int DrainCloseWatch(int fd);

}  // namespace locksmith
