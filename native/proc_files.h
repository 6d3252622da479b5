// How is procfs read? Below an open directory of one process, which goes on naming that process and no other:
// once it has been reaped every call fails, even if its pid is in use again (proc(5), fs/proc/base.c).
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "fd.h"

namespace locksmith {

using TakeText = std::function<int(std::string_view)>;

// Reads a file of procfs that is one record (all but tables) whole into `text`: 0 or -errno. The kernel gives
// of such a file as much as there is room for (fs/seq_file.c), so that less than that is its end.
int ReadRecord(int directory, const char* path, std::string* text);

// The same for a file of many records, whose end is told by reading nothing.
int ReadWhole(int directory, const char* path, std::string* text);

// Makes lines of pieces of any size. `take` returns 0 to go on.
class LineSplitter {
 public:
  explicit LineSplitter(TakeText take) : take_(std::move(take)) {}
  // What `take` returned when that was not 0.
  int Feed(std::string_view text);
  // To be called behind the last piece: its last line may have no newline.
  int End();

 private:
  TakeText take_;
  std::string begun_;  // the front of a line whose end has not come yet
};

// Reads a file of procfs line by line: 0 or -errno, or what `take` returned when that was not 0.
int ReadLines(int directory, const char* path, const TakeText& take);

// Opens a directory of procfs: or -errno.
Fd OpenDirectory(int directory, const char* path);

// Calls `visit` for every entry of a directory whose name is a number: 0 or -errno.
int ForEachNumber(int directory, const std::function<void(int)>& visit);

}  // namespace locksmith
