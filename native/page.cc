#include "page.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cstring>

#include "fd.h"

namespace locksmith {

namespace {

// How long a text is without the padding at its end, most of which is compared in blocks.
size_t WithoutPadding(const char* text, size_t length) {
  constexpr char kSpaces[] = "                                                                ";
  constexpr size_t kBlock = sizeof kSpaces - 1;
  auto padded = [&] { return length > 0 && (text[length - 1] == ' ' || text[length - 1] == '\n'); };
  while (padded()) {
    length--;
    while (length >= kBlock && std::memcmp(text + length - kBlock, kSpaces, kBlock) == 0) length -= kBlock;
  }
  return length;
}

}  // namespace

ssize_t ReadPage(const char* path, Page* page) {
  Fd fd(OrErrno(open(path, O_RDONLY | O_CLOEXEC)));
  return fd.ok() ? ReadOpenPage(fd.get(), page) : fd.get();
}

ssize_t ReadOpenPage(int fd, Page* page) {
  ssize_t count = OrErrno(pread(fd, page->data(), page->size(), 0));
  return count < 0 ? count : static_cast<ssize_t>(WithoutPadding(page->data(), static_cast<size_t>(count)));
}

int WritePage(int fd, Page* page, size_t length) {
  if (length >= kPageSize) return -EMSGSIZE;
  std::memset(page->data() + length, ' ', kPageSize - length - 1);
  (*page)[kPageSize - 1] = '\n';
  ssize_t written = OrErrno(pwrite(fd, page->data(), kPageSize, 0));
  if (written < 0) return static_cast<int>(written);
  struct stat status = {};
  if (fstat(fd, &status) != 0) return -errno;
  if (written != kPageSize || status.st_size != kPageSize) return -ENOSPC;
  return status.st_nlink == 0 ? -ESTALE : 0;
}

}  // namespace locksmith
