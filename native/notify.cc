#include "notify.h"

#include <sys/socket.h>
#include <sys/un.h>

#include <cstddef>
#include <cstring>

#include "fd.h"

namespace locksmith {

int Notify(const std::string& address, const std::string& message) {
  sockaddr_un to = {};
  if (address.empty()) return -EINVAL;
  if (address.size() >= sizeof to.sun_path) return -ENAMETOOLONG;
  to.sun_family = AF_UNIX;
  memcpy(to.sun_path, address.data(), address.size());
  if (to.sun_path[0] == '@') to.sun_path[0] = '\0';
  socklen_t size =
      static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + address.size() + (address[0] == '@' ? 0 : 1));
  Fd socket_fd(OrErrno(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)));
  if (!socket_fd.ok()) return socket_fd.get();
  ssize_t sent = OrErrno(sendto(socket_fd.get(), message.data(), message.size(), MSG_NOSIGNAL | MSG_DONTWAIT,
                                reinterpret_cast<const sockaddr*>(&to), size));
  return sent < 0 ? static_cast<int>(sent) : 0;
}

}  // namespace locksmith
