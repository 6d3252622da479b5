#include "page.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <array>
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

int ReadPage(const char* path, std::string* text) {
  Fd fd(OrErrno(open(path, O_RDONLY | O_CLOEXEC)));
  if (!fd.ok()) return fd.get();
  std::array<char, kPageSize + 1> page;
  ssize_t count = OrErrno(read(fd.get(), page.data(), page.size()));
  if (count < 0) return static_cast<int>(count);
  text->assign(page.data(), WithoutPadding(page.data(), static_cast<size_t>(count)));
  return 0;
}

int WritePage(int fd, const std::string& text) {
  if (text.size() >= kPageSize) return -EMSGSIZE;
  std::array<char, kPageSize> page;
  page.fill(' ');
  text.copy(page.data(), text.size());
  page.back() = '\n';
  ssize_t written = OrErrno(pwrite(fd, page.data(), page.size(), 0));
  if (written < 0) return static_cast<int>(written);
  struct stat status = {};
  if (fstat(fd, &status) != 0) return -errno;
  if (written != kPageSize || status.st_size != kPageSize) return -ENOSPC;
  return status.st_nlink == 0 ? -ESTALE : 0;
}

}  // namespace locksmith
