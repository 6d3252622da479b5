// Who closes a descriptor? The Fd that owns it.
#pragma once

#include <unistd.h>

#include <cerrno>
#include <utility>

namespace locksmith {

// Owns one descriptor. A negative value is -errno of the call that should have opened it.
class Fd {
 public:
  Fd() = default;
  explicit Fd(int fd) : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -EBADF)) {}
  Fd& operator=(Fd&& other) noexcept {
    if (this != &other) {
      Close();
      fd_ = std::exchange(other.fd_, -EBADF);
    }
    return *this;
  }
  Fd(const Fd&) = delete;
  Fd& operator=(const Fd&) = delete;
  ~Fd() { Close(); }

  int get() const { return fd_; }
  bool ok() const { return fd_ >= 0; }
  int release() { return std::exchange(fd_, -EBADF); }

 private:
  void Close() {
    if (fd_ >= 0) close(fd_);
  }

  int fd_ = -EBADF;
};

// Turns the -1 of a system call into -errno.
template <typename T>
T OrErrno(T result) {
  return result == -1 ? static_cast<T>(-errno) : result;
}

}  // namespace locksmith
