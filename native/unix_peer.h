// Who is at the other end of a Unix socket, whatever it claims? (unix(7))
#pragma once

#include <sys/socket.h>
#include <sys/types.h>

#include <vector>

namespace locksmith {

// Pid, uid and gid as they were at connect(2); the process may have died since.
int PeerCredentials(int socket, ucred* credentials);
// Its supplementary groups as they were at connect(2) (SO_PEERGROUPS, Linux >= 4.13): 0 or -errno.
int PeerGroups(int socket, std::vector<gid_t>* groups);
// A pidfd of that very process (SO_PEERPIDFD, Linux >= 6.5), or -errno.
int PeerPidfd(int socket);

}  // namespace locksmith
