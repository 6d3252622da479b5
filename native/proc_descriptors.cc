#include "proc_descriptors.h"

#include <dirent.h>

#include <charconv>
#include <functional>
#include <memory>
#include <optional>

#include "fd.h"

namespace locksmith {

namespace {

struct CloseDirectory {
  void operator()(DIR* directory) const { closedir(directory); }
};
using Directory = std::unique_ptr<DIR, CloseDirectory>;

std::optional<int> ParsePid(const char* name) {
  std::string_view text(name);
  int value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// Calls `visit` for every entry whose name is a number. 0 or -errno.
int ForEachNumber(const std::string& path, const std::function<void(int)>& visit) {
  Directory directory(opendir(path.c_str()));
  if (directory == nullptr) return -errno;
  for (;;) {
    errno = 0;
    const dirent* entry = readdir(directory.get());
    if (entry == nullptr) return -errno;
    if (auto number = ParsePid(entry->d_name)) visit(*number);
  }
}

template <typename T>
void ParseField(std::string_view line, std::string_view key, T* value, int base) {
  if (line.substr(0, key.size()) != key) return;
  line.remove_prefix(key.size());
  line.remove_prefix(std::min(line.find_first_not_of(" \t"), line.size()));
  std::from_chars(line.data(), line.data() + line.size(), *value, base);
}

bool ParseLine(std::string_view line, DescriptorRow* row) {
  constexpr std::string_view kLock = "lock:";
  ParseField(line, "ino:", &row->inode, 10);
  ParseField(line, "mnt_id:", &row->mount_id, 10);
  ParseField(line, "flags:", &row->flags, 8);
  if (line.substr(0, kLock.size()) != kLock) return true;
  LockRow lock;
  if (!ParseLockRow(line.substr(kLock.size()), &lock)) return false;
  row->locks.push_back(std::move(lock));
  return true;
}

// False when a lock is told in a way that is not understood.
bool ParseInfo(std::string_view text, DescriptorRow* row) {
  while (!text.empty()) {
    size_t newline = std::min(text.find('\n'), text.size() - 1);
    if (!ParseLine(text.substr(0, newline), row)) return false;
    text.remove_prefix(newline + 1);
  }
  return true;
}

bool IsDenied(int error) { return error == -EACCES || error == -EPERM; }

// -EACCES or -EPERM when this process may not be looked at, -EBADMSG when a lock was not understood;
// everything else that fails means that it is gone.
int ScanProcess(const std::string& path, int pid, const std::unordered_set<uint64_t>& inodes,
                DescriptorScan* scan) {
  std::string text;
  int problem = 0;
  int error = ForEachNumber(path, [&](int fd) {
    int failed = ReadProcFile((path + "/" + std::to_string(fd)).c_str(), &text);
    if (IsDenied(failed)) problem = failed;
    if (failed < 0) return;
    DescriptorRow row;
    row.pid = pid;
    row.fd = fd;
    if (!ParseInfo(text, &row)) problem = -EBADMSG;
    if (inodes.contains(row.inode)) scan->rows.push_back(std::move(row));
  });
  return IsDenied(error) ? error : problem;
}

}  // namespace

int FindDescriptors(const std::string& proc_root, const std::unordered_set<uint64_t>& inodes,
                    DescriptorScan* scan) {
  int problem = 0;
  int error = ForEachNumber(proc_root, [&](int pid) {
    std::string path = proc_root + "/" + std::to_string(pid) + "/fdinfo";
    int result = ScanProcess(path, pid, inodes, scan);
    if (IsDenied(result)) scan->unreadable.push_back(pid);
    if (result == -EBADMSG) problem = result;
  });
  return error < 0 ? error : problem;
}

}  // namespace locksmith
