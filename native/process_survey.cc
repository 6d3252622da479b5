#include "process_survey.h"

#include <cerrno>
#include <functional>
#include <string>
#include <utility>

#include "proc_process.h"

namespace locksmith {

namespace {

bool IsDenied(int error) { return error == -EACCES || error == -EPERM; }

void TakePlace(const ProcProcess& process, int thread, int fd, FdInfo* info, std::vector<Place>* places) {
  if (info->in_flight > 0)
    places->push_back({PlaceKind::kSocket, process.pid(), thread, fd, info->in_flight, {}, {}});
  if (info->registered.empty()) return;
  uint64_t count = info->registered.size();
  places->push_back({PlaceKind::kRing, process.pid(), thread, fd, count, std::move(info->registered), {}});
}

std::vector<LockRow> TakeLocks(const Interest& interest, std::vector<LockRow>* locks) {
  std::vector<LockRow> taken;
  for (LockRow& lock : *locks)
    if (interest.Wants(lock.file) || interest.index.contains(&lock)) taken.push_back(std::move(lock));
  return taken;
}

void TakeDescriptor(const Interest& interest, const ProcProcess& process, int thread, int fd, FdInfo&& info,
                    ProcessFindings* findings) {
  TakePlace(process, thread, fd, &info, &findings->places);
  bool waited_for = interest.waited_for.contains(info.inode);
  SurveyedDescriptor row;
  row.locks = TakeLocks(interest, &info.locks);
  if (row.locks.empty() && !waited_for && !interest.open_on.contains(info.inode)) return;
  row.pid = process.pid();
  row.thread = thread;
  row.fd = fd;
  row.flags = info.flags;
  row.mount_id = info.mount_id;
  row.inode = info.inode;
  if (waited_for) row.waiting_thread = process.ThreadWaitingForOfd(fd);
  if (interest.paths) row.path = process.DescriptorPath(thread, fd);
  findings->descriptors.push_back(std::move(row));
}

// 0 or the last problem.
int VisitTables(const Interest& interest, const ProcProcess& process, ProcessFindings* findings) {
  int problem = 0;
  for (int thread : process.DescriptorTables(interest.own_namespace)) {
    int error = process.ForEachDescriptor(thread, [&](int fd, FdInfo&& info) {
      TakeDescriptor(interest, process, thread, fd, std::move(info), findings);
    });
    if (IsDenied(error) || error == -EBADMSG) problem = error;
  }
  return problem;
}

}  // namespace

size_t HashRow::operator()(const LockRow* row) const {
  size_t seed = HashFile()(row->file);
  for (uint64_t value : {static_cast<uint64_t>(row->pid), static_cast<uint64_t>(row->start),
                         static_cast<uint64_t>(row->end), std::hash<std::string>()(row->kind)})
    seed = MixHash(seed, value);
  return seed;
}

RowIndex IndexHeld(const std::deque<LockRow>& rows) {
  RowIndex index;
  index.reserve(rows.size());
  for (uint32_t i = 0; i < rows.size(); i++)
    if (!rows[i].waits()) index.emplace(&rows[i], i);
  return index;
}

ProcessFindings SurveyProcess(const Interest& interest, int pid) {
  ProcessFindings findings;
  ProcProcess process(interest.proc, pid);
  int problem = process.error();
  if (problem == 0) problem = VisitTables(interest, process, &findings);
  if (!findings.descriptors.empty() && interest.own_namespace) {
    uint64_t inode = process.PidfdInode();
    for (SurveyedDescriptor& descriptor : findings.descriptors) descriptor.pidfd_inode = inode;
  }
  findings.unreadable = IsDenied(problem) && !process.HasNoFiles();
  findings.error = problem == -EBADMSG ? problem : 0;
  return findings;
}

}  // namespace locksmith
