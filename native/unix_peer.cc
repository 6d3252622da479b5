#include "unix_peer.h"

#include "fd.h"

namespace locksmith {

namespace {

constexpr size_t kMostGroups = 65536;  // NGROUPS_MAX, linux/limits.h
constexpr int kSoPeerGroups = 59;      // SO_PEERGROUPS, asm-generic/socket.h
constexpr int kSoPeerPidfd = 77;       // SO_PEERPIDFD, asm-generic/socket.h

}  // namespace

int PeerCredentials(int socket, ucred* credentials) {
  socklen_t size = sizeof *credentials;
  return OrErrno(getsockopt(socket, SOL_SOCKET, SO_PEERCRED, credentials, &size));
}

int PeerGroups(int socket, std::vector<gid_t>* groups) {
  groups->resize(kMostGroups);
  socklen_t size = static_cast<socklen_t>(groups->size() * sizeof(gid_t));
  int error = OrErrno(getsockopt(socket, SOL_SOCKET, kSoPeerGroups, groups->data(), &size));
  groups->resize(error < 0 ? 0 : size / sizeof(gid_t));
  return error;
}

int PeerPidfd(int socket) {
  int pidfd = -1;
  socklen_t size = sizeof pidfd;
  int error = OrErrno(getsockopt(socket, SOL_SOCKET, kSoPeerPidfd, &pidfd, &size));
  return error < 0 ? error : pidfd;
}

}  // namespace locksmith
