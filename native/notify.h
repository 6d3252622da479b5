// How does a service tell its manager what it is doing? (sd_notify(3))
#pragma once

#include <string>

namespace locksmith {

// Sends one datagram to a Unix socket: a path, or an abstract name behind a leading @. 0 or -errno; never
// blocks.
int Notify(const std::string& address, const std::string& message);

}  // namespace locksmith
