// Which locks are there, and which descriptors hold them? The lock table and the descriptors of the
// processes, brought together in one pass.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <vector>

#include "process_survey.h"

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

// A descriptor that shows a lock.
struct ShownLock {
  uint32_t row;  // which is held; of several that say the same, the first
  uint32_t descriptor;
  // Shared locks that say the same are of different open file descriptions: 0, 1, ... for each of those that
  // were seen. Where that can't be told, every descriptor has a number of its own.
  uint32_t description = 0;
};

struct LockSurvey {
  // The locks asked for, and every lock that somebody waits for, each followed by those who wait. At the end
  // those that descriptors show and the table does not: it hides the flock of a taker that died in an inner
  // pid namespace.
  std::deque<LockRow> rows;
  // For each row the first one that says the same: shared locks of several descriptions may.
  std::vector<uint32_t> first;
  std::vector<SurveyedDescriptor> descriptors;
  std::vector<ShownLock> shown;
  // Only looked for when a lock is shown by no descriptor.
  std::vector<Place> places;
  std::vector<int> unreadable;  // processes that we may not look at
  bool everywhere = false;      // all processes were looked at
};

// Looks, and looks again while locks and copies of their descriptors come and go, so that a row which no
// descriptor shows was there before and after the look at the processes. Changes nothing, and never touches a
// file system but procfs. 0 or -errno; -EBADMSG for something that is not understood.
int SurveyLocks(const SurveyRequest& request, LockSurvey* survey);

}  // namespace locksmith
