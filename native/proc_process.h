// Which descriptors does one process have, in which of its threads, and what does it map? (proc_pid(5))
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "fd.h"
#include "fdinfo.h"

namespace locksmith {

// One incarnation of a process, named by its directory in procfs: what is read through it is never that of
// another process that got the pid meanwhile.
class ProcProcess {
 public:
  // `proc` is the open root of a procfs. Not ok() when there is no such process.
  ProcProcess(int proc, int pid);

  int error() const { return directory_.ok() ? 0 : directory_.get(); }
  int pid() const { return pid_; }

  // One thread for each table of descriptors that the process has: 0 stands for the table of the whole
  // process, and threads are listed only where they have one of their own (unshare(CLONE_FILES)), or where
  // the first thread is gone (a zombie has none any more). `can_compare`: the procfs is that of our own pid
  // namespace.
  std::vector<int> DescriptorTables(bool can_compare) const;

  // Calls `visit` for each descriptor of a table: 0; -EACCES or -EPERM without the right to look; -EBADMSG
  // when a lock was not understood; anything else: it has ended meanwhile.
  using VisitDescriptor = std::function<void(int fd, FdInfo&& info)>;
  int ForEachDescriptor(int thread, const VisitDescriptor& visit) const;

  // Where a descriptor leads to, as the kernel prints it; empty when that can't be had. Never looks at the
  // file.
  std::string DescriptorPath(int thread, int fd) const;

  // A thread that sits in fcntl(fd, F_OFD_SETLKW) now, of which the lock table tells no pid; 0: none.
  int ThreadWaitingForOfd(int fd) const;

  // Which of these files it has mapped; none when that can't be read.
  FileSet MappedOf(const FileSet& files) const;

  // Its children (proc_tid_children(5)); none where the kernel does not tell.
  std::vector<int> Children() const;

  // Inode of its pidfd, which names the incarnation; 0 where pidfds have none (before Linux 6.9) or it has
  // ended.
  uint64_t PidfdInode() const;

  // True for a process that can have no descriptors of its own: a thread of the kernel, or one that has
  // ended.
  bool HasNoFiles() const;

 private:
  std::string TablePath(int thread, const char* what) const;
  std::vector<int> Threads() const;

  int pid_;
  Fd directory_;
};

}  // namespace locksmith
