// What has one process to do with the locks that are looked for?
#pragma once

#include <cstdint>
#include <deque>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "proc_locks.h"

namespace locksmith {

struct HashRow {
  size_t operator()(const LockRow* row) const;
};

struct SameRow {
  bool operator()(const LockRow* a, const LockRow* b) const { return a->Same(*b); }
};

// Held rows of a table by what they say. Equal rows are told by the first of them.
using RowIndex = std::unordered_map<const LockRow*, uint32_t, HashRow, SameRow>;
RowIndex IndexHeld(const std::deque<LockRow>& rows);

// What is looked for in a process. Not changed while processes are looked at, which several threads may do.
struct Interest {
  int proc = -1;  // the open root of a procfs
  bool own_namespace = false;
  bool paths = false;
  FileSet files;  // none: all
  RowIndex index;
  // Inodes alone: on which device a descriptor is open, fdinfo does not tell.
  std::unordered_set<uint64_t> open_on;
  std::unordered_set<uint64_t> waited_for;  // by somebody whom the table does not name

  bool Wants(const FileKey& file) const { return files.empty() || files.contains(file); }
};

// A descriptor that holds one of the locks, or is open on one of the files.
struct SurveyedDescriptor {
  int pid = 0;
  int thread = 0;  // whose own table it is in; 0: that of the whole process
  int fd = 0;
  int flags = 0;
  int mount_id = 0;
  int waiting_thread = 0;  // sits in fcntl(F_OFD_SETLKW) on it; 0: none does
  uint64_t inode = 0;
  uint64_t pidfd_inode = 0;    // names the incarnation of the process; 0: not to be had
  std::string path;            // where it leads to; empty unless asked for
  std::vector<LockRow> locks;  // those of its locks that are looked for

  // The task in whose table of descriptors it is, for system calls that want one.
  int task() const { return thread == 0 ? pid : thread; }
};

// Where an open file description may be that no descriptor of any process leads to.
enum class PlaceKind { kSocket, kRing, kMapping };
struct Place {
  PlaceKind kind;
  int pid = 0;
  int thread = 0;
  int fd = -1;
  uint64_t count = 0;              // socket: descriptors in flight; ring: registered files; mapping: 0
  std::vector<std::string> paths;  // ring: what its registered files are called
  FileKey file = {};               // mapping: which file
};

struct ProcessFindings {
  std::vector<SurveyedDescriptor> descriptors;
  std::vector<Place> places;  // sockets and rings
  bool unreadable = false;    // we may not look at all of it
  int error = 0;              // -EBADMSG: a lock was not understood
};

// Looks at one process. One that has ended, even while it was looked at, has less or nothing.
ProcessFindings SurveyProcess(const Interest& interest, int pid);

}  // namespace locksmith
