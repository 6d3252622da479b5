#include "lock_survey.h"

#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <functional>
#include <unordered_map>
#include <unordered_set>

#include "proc_files.h"
#include "proc_process.h"

namespace locksmith {

namespace {

constexpr int kRounds = 3;

struct HashRow {
  size_t operator()(const LockRow* row) const {
    size_t seed = HashFile()(row->file);
    for (uint64_t value : {static_cast<uint64_t>(row->pid), static_cast<uint64_t>(row->start),
                           static_cast<uint64_t>(row->end), std::hash<std::string>()(row->kind)})
      seed = MixHash(seed, value);
    return seed;
  }
};

struct SameRow {
  bool operator()(const LockRow* a, const LockRow* b) const { return a->Same(*b); }
};

// Rows of a table by what they say. Equal rows are told by the first of them.
using RowIndex = std::unordered_map<const LockRow*, uint32_t, HashRow, SameRow>;

RowIndex IndexHeld(const std::deque<LockRow>& rows) {
  RowIndex index;
  index.reserve(rows.size());
  for (uint32_t i = 0; i < rows.size(); i++)
    if (!rows[i].waits()) index.emplace(&rows[i], i);
  return index;
}

bool IsDenied(int error) { return error == -EACCES || error == -EPERM; }

// One survey: what is wanted, and what was found.
class Surveyor {
 public:
  Surveyor(const SurveyRequest& request, LockSurvey* survey)
      : request_(request), files_(request.files.begin(), request.files.end()), survey_(survey) {}

  int Run() {
    proc_ = OpenDirectory(AT_FDCWD, request_.proc_root.c_str());
    if (!proc_.ok()) return proc_.get();
    for (int round = 1;; round++) {
      int error = Round();
      if (error < 0) return error;
      if (Unshown() == 0 || round == kRounds) break;
      bool gone = false;
      error = AnyUnshownGone(&gone);
      if (error < 0) return error;
      if (!gone) break;
    }
    return Unshown() == 0 ? ForgetPlaces() : FindMappings();
  }

 private:
  bool Wanted(const FileKey& file) const { return files_.empty() || files_.contains(file); }

  int Round() {
    *survey_ = {};
    visited_.clear();
    int error = ReadTable();
    if (error < 0) return error;
    IndexTable();
    error = VisitLikely();
    if (error < 0) return error;
    return NeedsAll() ? VisitAll() : 0;
  }

  // A lock that somebody waits for is kept whatever file it is on: chains of waiters go from file to file.
  int ReadTable() {
    LockRow held;
    // A waiter without a lock before it would stay.
    bool kept = true;
    std::deque<LockRow>& rows = survey_->rows;
    auto take = [&](LockRow&& row) {
      if (!row.waits()) {
        kept = Wanted(row.file);
        held = kept ? LockRow() : row;
      } else if (!kept) {
        rows.push_back(std::move(held));
        kept = true;
      }
      if (kept) rows.push_back(std::move(row));
    };
    return ReadLockTable((request_.proc_root + "/locks").c_str(), take);
  }

  void IndexTable() {
    index_ = IndexHeld(survey_->rows);
    open_on_ = {};
    for (const FileKey& file : files_) open_on_.insert(file.inode);
    waited_for_ = {};
    for (uint32_t i = 0; i < survey_->rows.size(); i++) {
      const LockRow& row = survey_->rows[i];
      auto found = row.waits() ? index_.end() : index_.find(&row);
      survey_->first.push_back(found == index_.end() ? i : found->second);
      if (row.waits() && row.pid <= 0) waited_for_.insert(row.file.inode);
    }
  }

  std::vector<int> LikelyProcesses() const {
    std::vector<int> pids = request_.likely;
    for (const LockRow& row : survey_->rows)
      if (row.pid > 0) pids.push_back(static_cast<int>(row.pid));
    return pids;
  }

  // Who inherited a descriptor is most of the time a child of whoever opened it, so descendants come next.
  int VisitLikely() {
    std::vector<int> pids = LikelyProcesses();
    for (size_t i = 0; i < pids.size(); i++) {
      if (visited_.contains(pids[i])) continue;
      size_t before = survey_->shown.size();
      int error = Visit(pids[i]);
      if (error < 0) return error;
      if (survey_->shown.size() == before) continue;
      std::vector<int> children = ProcProcess(proc_.get(), pids[i]).Children();
      pids.insert(pids.end(), children.begin(), children.end());
    }
    return 0;
  }

  // The processes that the table or the caller name settle it when each lock is shown, and each waiter told.
  bool NeedsAll() {
    if (request_.everywhere) return true;
    bool nameless = std::any_of(survey_->rows.begin(), survey_->rows.end(), [&](const LockRow& row) {
      return row.waits() && row.pid <= 0 && Wanted(row.file);
    });
    return nameless || Unshown() > 0;
  }

  int VisitAll() {
    survey_->everywhere = true;
    int problem = 0;
    int error = ForEachNumber(proc_.get(), [&](int pid) {
      int result = Visit(pid);
      if (result < 0) problem = result;
    });
    return error < 0 ? error : problem;
  }

  // 0 or -EBADMSG; what can't be read is noted, what has ended is left out.
  int Visit(int pid) {
    if (!visited_.insert(pid).second) return 0;
    ProcProcess process(proc_.get(), pid);
    int problem = process.error();
    if (problem == 0) problem = VisitTables(process);
    if (IsDenied(problem) && !process.HasNoFiles()) survey_->unreadable.push_back(pid);
    return problem == -EBADMSG ? problem : 0;
  }

  int VisitTables(const ProcProcess& process) {
    int problem = 0;
    size_t before = survey_->descriptors.size();
    for (int thread : process.DescriptorTables(request_.own_namespace)) {
      int error = process.ForEachDescriptor(
          thread, [&](int fd, FdInfo&& info) { TakeDescriptor(process, thread, fd, std::move(info)); });
      if (IsDenied(error) || error == -EBADMSG) problem = error;
    }
    if (survey_->descriptors.size() > before && request_.own_namespace) {
      uint64_t inode = process.PidfdInode();
      for (size_t i = before; i < survey_->descriptors.size(); i++)
        survey_->descriptors[i].pidfd_inode = inode;
    }
    return problem;
  }

  void TakeDescriptor(const ProcProcess& process, int thread, int fd, FdInfo&& info) {
    TakePlace(process, thread, fd, &info);
    auto number = static_cast<uint32_t>(survey_->descriptors.size());
    bool holds = false;
    for (LockRow& lock : info.locks) {
      auto found = index_.find(&lock);
      if (found == index_.end() && !Wanted(lock.file)) continue;
      survey_->shown.emplace_back(found == index_.end() ? AddRow(std::move(lock)) : found->second, number);
      holds = true;
    }
    bool waited_for = waited_for_.contains(info.inode);
    if (!holds && !waited_for && !open_on_.contains(info.inode)) return;
    SurveyedDescriptor row;
    row.pid = process.pid();
    row.thread = thread;
    row.fd = fd;
    row.flags = info.flags;
    row.mount_id = info.mount_id;
    row.inode = info.inode;
    if (waited_for) row.waiting_thread = process.ThreadWaitingForOfd(fd);
    if (request_.paths) row.path = process.DescriptorPath(thread, fd);
    survey_->descriptors.push_back(std::move(row));
  }

  // A lock that the table did not have when it was read, or does not show to us at all.
  uint32_t AddRow(LockRow&& row) {
    auto number = static_cast<uint32_t>(survey_->rows.size());
    survey_->rows.push_back(std::move(row));
    survey_->first.push_back(number);
    index_.emplace(&survey_->rows.back(), number);
    return number;
  }

  void TakePlace(const ProcProcess& process, int thread, int fd, FdInfo* info) {
    if (info->in_flight > 0)
      survey_->places.push_back({PlaceKind::kSocket, process.pid(), thread, fd, info->in_flight, {}, {}});
    if (!info->registered.empty()) {
      uint64_t count = info->registered.size();
      survey_->places.push_back(
          {PlaceKind::kRing, process.pid(), thread, fd, count, std::move(info->registered), {}});
    }
  }

  // How many rows of wanted files no descriptor shows.
  size_t Unshown() const { return UnshownRows().size(); }

  std::vector<const LockRow*> UnshownRows() const {
    std::unordered_set<uint32_t> shown;
    for (const auto& [row, descriptor] : survey_->shown) shown.insert(row);
    std::vector<const LockRow*> rows;
    for (const auto& [row, number] : index_)
      if (Wanted(row->file) && !shown.contains(number)) rows.push_back(row);
    return rows;
  }

  // A lock that was given back while we looked at the processes is no mystery: look again.
  int AnyUnshownGone(bool* gone) const {
    std::deque<LockRow> now;
    int error = ReadLockTable((request_.proc_root + "/locks").c_str(),
                              [&](LockRow&& row) { now.push_back(std::move(row)); });
    if (error < 0) return error;
    RowIndex still = IndexHeld(now);
    std::vector<const LockRow*> rows = UnshownRows();
    *gone = std::any_of(rows.begin(), rows.end(), [&](const LockRow* row) { return !still.contains(row); });
    return 0;
  }

  int ForgetPlaces() {
    survey_->places.clear();
    return 0;
  }

  int FindMappings() {
    FileSet lost;
    for (const LockRow* row : UnshownRows()) lost.insert(row->file);
    return ForEachNumber(proc_.get(), [&](int pid) {
      ProcProcess process(proc_.get(), pid);
      if (process.error() < 0) return;
      for (const FileKey& file : process.MappedOf(lost))
        survey_->places.push_back({PlaceKind::kMapping, pid, 0, -1, 0, {}, file});
    });
  }

  const SurveyRequest& request_;
  const FileSet files_;
  LockSurvey* survey_;
  Fd proc_;
  RowIndex index_;
  // Inodes alone: on which device a descriptor is open, fdinfo does not tell.
  std::unordered_set<uint64_t> open_on_;
  std::unordered_set<uint64_t> waited_for_;  // by somebody whom the table does not name
  std::unordered_set<int> visited_;
};

}  // namespace

int SurveyLocks(const SurveyRequest& request, LockSurvey* survey) { return Surveyor(request, survey).Run(); }

}  // namespace locksmith
