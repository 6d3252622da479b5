#include "proc_process.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <string_view>

#include "kcmp.h"
#include "pidfd.h"

namespace locksmith {

namespace {

constexpr unsigned long kKernelThread = 0x00200000;  // PF_KTHREAD, include/linux/sched.h

// What stands behind the name of the program in /proc/PID/stat: its state, then numbers (proc_pid_stat(5)).
std::string_view StatFields(std::string_view stat) {
  size_t close = stat.rfind(") ");
  return close == std::string_view::npos ? std::string_view() : stat.substr(close + 2);
}

// `7f00-7f01 r--s 00000000 fe:00 2541747 ...`: device and inode are the fourth and fifth word.
FileKey FileOfMapping(std::string_view line) {
  unsigned major = 0;
  unsigned minor = 0;
  unsigned long long inode = 0;
  std::string text(line.substr(0, 120));  // without the path: it may be long
  int count = std::sscanf(text.c_str(), "%*x-%*x %*s %*x %x:%x %llu", &major, &minor, &inode);
  return count == 3 ? FileKey{major, minor, inode} : FileKey{};
}

// `72 0x5 0x26 ...`: number and arguments of the system call in which a thread sits (proc_pid_syscall(5)).
bool SitsInOfdWait(const std::string& text, int fd) {
  int call = 0;
  unsigned long long first = 0;
  unsigned long long second = 0;
  if (std::sscanf(text.c_str(), "%d 0x%llx 0x%llx", &call, &first, &second) != 3) return false;
  return call == SYS_fcntl && static_cast<int>(first) == fd && second == F_OFD_SETLKW;
}

// Numbers with a blank behind each.
std::vector<int> ParseNumbers(std::string_view text) {
  std::vector<int> numbers;
  for (;;) {
    int number = 0;
    auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc()) return numbers;
    numbers.push_back(number);
    text.remove_prefix(std::min(static_cast<size_t>(end - text.data()) + 1, text.size()));
  }
}

}  // namespace

ProcProcess::ProcProcess(int proc, int pid)
    : pid_(pid), directory_(OpenDirectory(proc, std::to_string(pid).c_str())) {}

std::string ProcProcess::TablePath(int thread, const char* what) const {
  return thread == 0 ? what : "task/" + std::to_string(thread) + "/" + what;
}

std::vector<int> ProcProcess::Threads() const {
  struct stat status = {};
  // Two links more than threads (proc_task_getattr()): most processes have one, and need no look.
  if (fstatat(directory_.get(), "task", &status, 0) == 0 && status.st_nlink == 3) return {pid_};
  std::vector<int> threads;
  Fd tasks = OpenDirectory(directory_.get(), "task");
  if (tasks.ok()) ForEachNumber(tasks.get(), [&](int thread) { threads.push_back(thread); });
  return threads;
}

std::vector<int> ProcProcess::DescriptorTables(bool can_compare) const {
  std::vector<int> tables{0};
  if (!can_compare) return tables;
  for (int thread : Threads()) {
    bool known = thread == pid_ || std::any_of(tables.begin(), tables.end(), [&](int table) {
                   return CompareDescriptorTables(table == 0 ? pid_ : table, thread) == 0;
                 });
    if (!known) tables.push_back(thread);
  }
  return tables;
}

int ProcProcess::ForEachDescriptor(int thread, const VisitDescriptor& visit) const {
  Fd table = OpenDirectory(directory_.get(), TablePath(thread, "fdinfo").c_str());
  if (!table.ok()) return table.get();
  std::string text;
  int problem = 0;
  int error = ForEachNumber(table.get(), [&](int fd) {
    int failed = ReadRecord(table.get(), std::to_string(fd).c_str(), &text);
    if (failed == -EACCES || failed == -EPERM) problem = failed;
    if (failed < 0) return;
    FdInfo info;
    if (ParseFdInfo(text, &info) < 0) problem = -EBADMSG;
    visit(fd, std::move(info));
  });
  return error < 0 ? error : problem;
}

std::string ProcProcess::DescriptorPath(int thread, int fd) const {
  std::string path = TablePath(thread, "fd") + "/" + std::to_string(fd);
  char target[4096];
  ssize_t length = readlinkat(directory_.get(), path.c_str(), target, sizeof target);
  return length < 0 ? std::string() : std::string(target, static_cast<size_t>(length));
}

int ProcProcess::ThreadWaitingForOfd(int fd) const {
  std::string text;
  for (int thread : Threads()) {
    std::string path = "task/" + std::to_string(thread) + "/syscall";
    if (ReadRecord(directory_.get(), path.c_str(), &text) == 0 && SitsInOfdWait(text, fd)) return thread;
  }
  return 0;
}

FileSet ProcProcess::MappedOf(const FileSet& files) const {
  FileSet mapped;
  bool shown = false;
  auto take = [&](std::string_view line) {
    shown = true;
    FileKey file = FileOfMapping(line);
    if (files.contains(file)) mapped.insert(file);
    return 0;
  };
  // All threads show the same memory, but for a first one that is gone.
  for (int thread : Threads()) {
    ReadLines(directory_.get(), TablePath(thread == pid_ ? 0 : thread, "maps").c_str(), take);
    if (shown) break;
  }
  return mapped;
}

std::vector<int> ProcProcess::Children() const {
  std::vector<int> children;
  std::string text;
  for (int thread : Threads()) {
    std::string path = "task/" + std::to_string(thread) + "/children";
    if (ReadWhole(directory_.get(), path.c_str(), &text) < 0) continue;
    for (int child : ParseNumbers(text)) children.push_back(child);
  }
  return children;
}

uint64_t ProcProcess::PidfdInode() const {
  Fd pidfd(PidfdOpen(pid_));
  uint64_t inode = 0;
  if (!pidfd.ok() || locksmith::PidfdInode(pidfd.get(), &inode) < 0) return 0;
  // While the directory still answers, the process has not been reaped, so the pid has meant no other one.
  std::string stat;
  return ReadRecord(directory_.get(), "stat", &stat) == 0 ? inode : 0;
}

bool ProcProcess::HasNoFiles() const {
  std::string stat;
  if (ReadRecord(directory_.get(), "stat", &stat) < 0) return true;
  std::string_view fields = StatFields(stat);
  // state ppid pgrp session tty tpgid flags
  char state = '?';
  unsigned long flags = 0;
  if (std::sscanf(std::string(fields).c_str(), "%c %*d %*d %*d %*d %*d %lu", &state, &flags) != 2)
    return false;
  bool ended = (state == 'Z' || state == 'X') && Threads().size() <= 1;
  return ended || (flags & kKernelThread) != 0;
}

}  // namespace locksmith
