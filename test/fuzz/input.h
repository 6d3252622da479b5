// What does a fuzz target make of its input: rows, and tables?
#pragma once

#include <fuzzer/FuzzedDataProvider.h>

#include <cerrno>

#include "kernel_form.h"

namespace locksmith::fuzz {

// A row that the kernel could print.
inline LockRow TakeRow(FuzzedDataProvider* input) {
  static const char* const kKinds[] = {"FLOCK", "OFDLCK", "POSIX", "LEASE", "DELEG", "ACCESS", "UNKNOWN"};
  static const char* const kModes[] = {"ADVISORY", "MANDATORY", "MSNFS",   "*NOINODE*",
                                       "ACTIVE",   "BREAKING",  "BREAKER", "UNKNOWN"};
  static const char* const kAccesses[] = {"READ", "WRITE", "UNLCK", "RW", "NONE"};
  LockRow row;
  row.id = input->ConsumeIntegralInRange<int64_t>(0, INT64_MAX);
  row.depth = input->ConsumeIntegralInRange<int>(0, 100);
  row.kind = input->PickValueInArray(kKinds);
  row.mode = input->PickValueInArray(kModes);
  row.access = input->PickValueInArray(kAccesses);
  row.pid = input->ConsumeIntegral<int32_t>();
  row.file.major =
      input->ConsumeIntegralInRange<unsigned>(0, (1U << 12) - 1);  // MAJOR(), MINOR() of kdev_t.h
  row.file.minor = input->ConsumeIntegralInRange<unsigned>(0, (1U << 20) - 1);
  row.file.inode = input->ConsumeIntegral<uint64_t>();
  row.start = input->ConsumeIntegralInRange<int64_t>(0, INT64_MAX);
  row.end = input->ConsumeIntegralInRange<int64_t>(row.start, INT64_MAX);
  row.to_end = row.end == INT64_MAX;
  return row;
}

struct Table {
  int result = 0;
  std::vector<LockRow> rows;  // before the line that was refused, if any was
};

// As simple as can be: line by line.
inline Table ReadSimply(const std::string& text) {
  Table table;
  for (size_t start = 0; start < text.size();) {
    size_t end = std::min(text.find('\n', start), text.size());
    LockRow row;
    if (!ParseLockRow(text.substr(start, end - start), &row)) {
      table.result = -EBADMSG;
      break;
    }
    table.rows.push_back(row);
    start = end + 1;
  }
  return table;
}

}  // namespace locksmith::fuzz
