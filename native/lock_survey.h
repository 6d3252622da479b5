// Which locks are there, and which descriptors hold them? The lock table and the descriptors of the
// processes, brought together in one pass.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <vector>

#include "proc_locks.h"

namespace locksmith {

struct SurveyRequest {
  std::string proc_root;
  // The procfs is that of our own pid namespace: only then do its pids mean the same to system calls.
  bool own_namespace = false;
  // Whose locks to look for; none: all locks of the machine.
  std::vector<FileKey> files;
  // Processes to look at first, beside those that the table names. The children of those that show a lock
  // follow.
  std::vector<int> likely;
  // Look at all processes also when the first ones show every lock: then nobody who shares one is left out,
  // and all descriptors that are open on `files` are listed, whether they hold a lock or not.
  bool everywhere = false;
  // Tell where the descriptors lead to.
  bool paths = false;
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
  uint64_t pidfd_inode = 0;  // names the incarnation of the process; 0: not to be had
  std::string path;
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

struct LockSurvey {
  // The locks asked for, and every lock that somebody waits for, each followed by those who wait. At the end
  // those that descriptors show and the table does not: it hides the flock of a taker that died in an inner
  // pid namespace.
  std::deque<LockRow> rows;
  // For each row the first one that says the same: shared locks of several descriptions may.
  std::vector<uint32_t> first;
  std::vector<SurveyedDescriptor> descriptors;
  // Pairs: a row that is held, the first of its like, and a descriptor that shows it.
  std::vector<std::pair<uint32_t, uint32_t>> shown;
  // Only looked for when a lock is shown by no descriptor.
  std::vector<Place> places;
  std::vector<int> unreadable;  // processes that we may not look at
  bool everywhere = false;      // all processes were looked at
};

// Looks, and looks again while locks come and go, so that a row which no descriptor shows was there before
// and after the look at the processes. Changes nothing, and never touches a file system but procfs. 0 or
// -errno; -EBADMSG for something that is not understood.
int SurveyLocks(const SurveyRequest& request, LockSurvey* survey);

}  // namespace locksmith
