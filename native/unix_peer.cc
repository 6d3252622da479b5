#include "unix_peer.h"

#include "fd.h"

namespace locksmith {

namespace {

constexpr int kSoPeerPidfd = 77;  // SO_PEERPIDFD, asm-generic/socket.h

}  // namespace

int PeerCredentials(int socket, ucred* credentials) {
  socklen_t size = sizeof *credentials;
  return OrErrno(getsockopt(socket, SOL_SOCKET, SO_PEERCRED, credentials, &size));
}

int PeerPidfd(int socket) {
  int pidfd = -1;
  socklen_t size = sizeof pidfd;
  int error = OrErrno(getsockopt(socket, SOL_SOCKET, kSoPeerPidfd, &pidfd, &size));
  return error < 0 ? error : pidfd;
}

}  // namespace locksmith
