// How does the kernel print what the parsers have read? (lock_get_status() of fs/locks.c, seq_show() of
// fs/proc/fd.c)
#pragma once

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "native/fdinfo.h"
#include "native/proc_locks.h"

// Ends the run with a finding: libFuzzer keeps the input.
#define MUST(condition)                                                                    \
  do {                                                                                     \
    if (!(condition)) {                                                                    \
      std::fprintf(stderr, "PROPERTY BROKEN %s:%d: %s\n", __FILE__, __LINE__, #condition); \
      std::abort();                                                                        \
    }                                                                                      \
  } while (false)

namespace locksmith::fuzz {

template <typename... Values>
std::string Format(const char* format, Values... values) {
  char text[256];
  int length = std::snprintf(text, sizeof text, format, values...);
  MUST(length >= 0 && static_cast<size_t>(length) < sizeof text);
  return text;
}

// Does another reading of the same digits, by the C library, come to the same number?
template <typename T>
bool Says(const std::string& word, T value, int base = 10) {
  char* end = nullptr;
  errno = 0;
  bool same = std::is_signed_v<T> ? std::strtoll(word.c_str(), &end, base) == static_cast<int64_t>(value)
                                  : std::strtoull(word.c_str(), &end, base) == static_cast<uint64_t>(value);
  return errno == 0 && !word.empty() && end == word.c_str() + word.size() && same;
}

inline bool Same(const LockRow& a, const LockRow& b) {
  return a.id == b.id && a.depth == b.depth && a.kind == b.kind && a.mode == b.mode && a.access == b.access &&
         a.pid == b.pid && a.file == b.file && a.start == b.start && a.to_end == b.to_end &&
         (a.to_end || a.end == b.end);
}

template <typename Rows>
inline bool Same(const Rows& a, const std::vector<LockRow>& b) {
  if (a.size() != b.size()) return false;
  for (size_t i = 0; i < a.size(); i++) {
    if (!Same(a[i], b[i])) return false;
  }
  return true;
}

inline bool Same(const FdInfo& a, const FdInfo& b) {
  return a.inode == b.inode && a.mount_id == b.mount_id && a.flags == b.flags && a.in_flight == b.in_flight &&
         a.registered == b.registered && Same(a.locks, b.locks);
}

inline std::string Print(const LockRow& row) {
  std::string text = Format("%lld: ", static_cast<long long>(row.id));
  if (row.waits()) text += std::string(static_cast<size_t>(row.depth - 1), ' ') + "-> ";
  text += row.kind + std::string(row.kind.size() < 6 ? 6 - row.kind.size() : 0, ' ') + ' ';
  text += row.mode + std::string(row.mode.size() < 9 ? 9 - row.mode.size() : 0, ' ') + ' ';
  text += row.access + Format(" %lld ", static_cast<long long>(row.pid));
  text += row.file == FileKey() ? "<none>:0"
                                : Format("%02x:%02x:%llu", row.file.major, row.file.minor,
                                         static_cast<unsigned long long>(row.file.inode));
  text += Format(" %lld ", static_cast<long long>(row.start));
  return text + (row.to_end ? "EOF" : Format("%lld", static_cast<long long>(row.end)));
}

// What mangle_path() does; more is escaped than it would be, which says the same.
inline std::string Mangle(const std::string& path) {
  std::string text;
  for (char c : path) {
    bool plain = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '/';
    text += plain ? std::string(1, c) : Format("\\%03o", static_cast<unsigned char>(c));
  }
  return text;
}

inline std::string Print(const FdInfo& info) {
  std::string text =
      Format("pos:\t0\nflags:\t0%o\nmnt_id:\t%d\n", static_cast<unsigned>(info.flags), info.mount_id);
  if (info.inode != 0) text += Format("ino:\t%llu\n", static_cast<unsigned long long>(info.inode));
  for (const LockRow& row : info.locks) text += "lock:\t" + Print(row) + '\n';
  if (info.in_flight != 0) text += Format("scm_fds: %llu\n", static_cast<unsigned long long>(info.in_flight));
  if (info.registered.empty()) return text;
  text += Format("SqThread:\t-1\nUserFiles:\t%zu\n", info.registered.size());
  for (size_t i = 0; i < info.registered.size(); i++)
    text += Format("%5zu: ", i) + Mangle(info.registered[i]) + '\n';
  return text + "UserBufs:\t0\n";
}

}  // namespace locksmith::fuzz
