// Is a lock bit set, and how does it change by comparison only? Attributes of sysfs, and plain files in their
// layout.
#pragma once

#include <cstdint>
#include <string>

namespace locksmith {

// 0 or 1; -EBADMSG when the file holds anything else.
int ReadBit(const std::string& path);
// -EBADMSG when the file is not one decimal number and a newline.
int ReadEpoch(const std::string& path, int64_t* epoch);
// The whole text of an attribute, at most a few words long; -EBADMSG when it is longer.
int ReadAttribute(const std::string& path, std::string* text);
// Writes a whole attribute by one write(2), which is what sysfs acts upon.
int WriteAttribute(const std::string& path, const std::string& text);

// The same of files that are open, from their beginning.
int ReadOpenBit(int fd);
int ReadOpenEpoch(int fd, int64_t* epoch);

// The directory of a soft bit holds `conf_locked` and `epoch`. Who is to change it opens both, in this order.
struct SoftBitFiles {
  int bit;
  int epoch;
};

// Epochs only grow: -EINVAL when `next` is not above `expected`. Both -ESTALE when somebody has replaced the
// files, and -EBUSY when somebody is just changing it.
// Test-and-set: -EBUSY when it is set, -ESTALE when its epoch is not `expected`.
int SoftBitSet(const SoftBitFiles& files, int64_t expected, int64_t next);
// Compare-and-clear: -ESTALE when the epoch is another, -EALREADY when it is clear. Closes the files,
// whatever comes of it.
int SoftBitClear(const SoftBitFiles& files, int64_t epoch);
// Taking it from somebody else, in two steps: compare the epoch and write what is to come into `.epoch.new`
// and `.conf_locked.new`; then rename them into their places. To stay set it needs a higher epoch, and the
// bit is 1 from the first moment to the last; to be cleared (-EALREADY when it is clear) the same one. The
// caller holds the lock's guard, and removes what was staged when it goes no further.
int SoftBitStage(const std::string& directory, int64_t expected, int64_t next, bool set);
// -ENOENT when somebody removed what was staged.
int SoftBitCommit(const std::string& directory);

}  // namespace locksmith
