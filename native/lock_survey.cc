#include "lock_survey.h"

#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <iterator>
#include <map>
#include <unordered_map>
#include <unordered_set>

#include "kcmp.h"
#include "proc_files.h"
#include "proc_process.h"
#include "share_work.h"

namespace locksmith {

namespace {

// It is looked so often at most while what is seen does not fit together.
constexpr int kRounds = 5;

// A lock of the table of which there are more than descriptors show.
struct Unshown {
  const LockRow* row;
  size_t count;  // how many rows say this
};

// Of a comparison of descriptors: was one of them closed?
bool WasClosed(int order) { return order == -EBADF || order == -ESRCH; }

// An order of descriptors in which copies of one open file description are the same. Where that can't be told
// (without the right to compare), all are different, so that nothing seems to be missing.
struct DescriptionOrder {
  bool can_compare;
  bool* gone;  // set when one of them was closed before it could be compared: then the order means nothing
  bool operator()(const SurveyedDescriptor* a, const SurveyedDescriptor* b) const {
    int order = can_compare ? CompareDescriptions(a->task(), a->fd, b->task(), b->fd) : -EPERM;
    if (WasClosed(order)) *gone = true;
    return order < 0 || order > 2 ? a < b : order == 1;
  }
};

// Was it closed since it was seen?
bool IsClosed(const SurveyedDescriptor& seen) {
  return WasClosed(CompareDescriptions(seen.task(), seen.fd, seen.task(), seen.fd));
}

// Numbers of open file descriptions, by any of their descriptors.
using Descriptions = std::map<const SurveyedDescriptor*, uint32_t, DescriptionOrder>;

// One survey: what is wanted, and what was found.
class Surveyor {
 public:
  Surveyor(const SurveyRequest& request, LockSurvey* survey) : request_(request), survey_(survey) {
    interest_.own_namespace = request.own_namespace;
    interest_.paths = request.paths;
    interest_.files = FileSet(request.files.begin(), request.files.end());
    for (const FileKey& file : interest_.files) interest_.open_on.insert(file.inode);
  }

  int Run() {
    proc_ = OpenDirectory(AT_FDCWD, request_.proc_root.c_str());
    if (!proc_.ok()) return proc_.get();
    interest_.proc = proc_.get();
    for (int round = 1;; round++) {
      int error = Round();
      if (error < 0) return error;
      bool again = mixed_;
      if (!again && !unshown_.empty()) error = AnyUnshownGone(&again);
      if (error < 0) return error;
      if (!again || round == kRounds) break;
    }
    return unshown_.empty() ? ForgetPlaces() : FindMappings();
  }

 private:
  int Round() {
    *survey_ = {};
    visited_.clear();
    mixed_ = false;
    int error = ReadTable();
    if (error < 0) return error;
    IndexTable();
    if (!request_.everywhere) {
      error = VisitLikely();
      if (error < 0) return error;
      FindUnshown();
      if (IsSettled()) return 0;
    }
    error = VisitAll();
    FindUnshown();
    return error;
  }

  // A lock that somebody waits for is kept whatever file it is on: chains of waiters go from file to file.
  int ReadTable() {
    LockRow held;
    // A waiter without a lock before it would stay.
    bool kept = true;
    std::deque<LockRow>& rows = survey_->rows;
    auto take = [&](LockRow&& row) {
      if (!row.waits()) {
        kept = interest_.Wants(row.file);
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
    interest_.index = IndexHeld(survey_->rows);
    interest_.waited_for = {};
    for (uint32_t i = 0; i < survey_->rows.size(); i++) {
      const LockRow& row = survey_->rows[i];
      auto found = row.waits() ? interest_.index.end() : interest_.index.find(&row);
      survey_->first.push_back(found == interest_.index.end() ? i : found->second);
      if (row.waits() && row.pid <= 0) interest_.waited_for.insert(row.file.inode);
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
      if (!visited_.insert(pids[i]).second) continue;
      size_t before = survey_->shown.size();
      int error = Take(pids[i], SurveyProcess(interest_, pids[i]));
      if (error < 0) return error;
      if (survey_->shown.size() == before) continue;
      std::vector<int> children = ProcProcess(proc_.get(), pids[i]).Children();
      pids.insert(pids.end(), children.begin(), children.end());
    }
    return 0;
  }

  // The processes that the table or the caller name settle it when each lock is shown, and each waiter told.
  bool IsSettled() const {
    bool nameless = std::any_of(survey_->rows.begin(), survey_->rows.end(), [&](const LockRow& row) {
      return row.waits() && row.pid <= 0 && interest_.Wants(row.file);
    });
    return !nameless && unshown_.empty();
  }

  int VisitAll() {
    survey_->everywhere = true;
    std::vector<int> pids;
    int error = ForEachNumber(proc_.get(), [&](int pid) {
      if (!visited_.contains(pid)) pids.push_back(pid);
    });
    if (error < 0) return error;
    std::vector<ProcessFindings> findings(pids.size());
    ShareWork(pids.size(), [&](size_t i) { findings[i] = SurveyProcess(interest_, pids[i]); });
    for (size_t i = 0; i < pids.size(); i++) {
      int failed = Take(pids[i], std::move(findings[i]));
      if (failed < 0) error = failed;
    }
    return error;
  }

  // Adds what was found in one process: 0, or the error of the look at it.
  int Take(int pid, ProcessFindings&& findings) {
    for (SurveyedDescriptor& descriptor : findings.descriptors) {
      auto number = static_cast<uint32_t>(survey_->descriptors.size());
      for (LockRow& lock : descriptor.locks) survey_->shown.push_back({NumberOf(std::move(lock)), number});
      survey_->descriptors.push_back(std::move(descriptor));
    }
    std::move(findings.places.begin(), findings.places.end(), std::back_inserter(survey_->places));
    if (findings.unreadable) survey_->unreadable.push_back(pid);
    return findings.error;
  }

  // The row that says the same. One that the table did not have when it was read, or does not show to us at
  // all, is added.
  uint32_t NumberOf(LockRow&& lock) {
    auto found = interest_.index.find(&lock);
    if (found != interest_.index.end()) return found->second;
    auto number = static_cast<uint32_t>(survey_->rows.size());
    survey_->rows.push_back(std::move(lock));
    survey_->first.push_back(number);
    interest_.index.emplace(&survey_->rows.back(), number);
    return number;
  }

  // How often each held row stands in the table, by the number of the first that says the same.
  std::unordered_map<uint32_t, size_t> CountAlike() const {
    std::unordered_map<uint32_t, size_t> counts;
    for (uint32_t i = 0; i < survey_->rows.size(); i++)
      if (!survey_->rows[i].waits()) counts[survey_->first[i]]++;
    return counts;
  }

  // Finds the rows of wanted files that no descriptor shows. Of shared locks that say the same there must be
  // as many open file descriptions as there are rows.
  void FindUnshown() {
    std::unordered_map<uint32_t, size_t> alike = CountAlike();
    std::unordered_map<uint32_t, size_t> seen = CountDescriptions(alike);
    unshown_.clear();
    for (const auto& [row, number] : interest_.index) {
      size_t wanted = row->access == "READ" ? alike[number] : 1;
      if (!interest_.Wants(row->file)) continue;
      if (seen[number] < wanted) unshown_.push_back({row, alike[number]});
      // The table is read in pieces: when locks before them come or go meanwhile, rows are left out or told
      // twice.
      if (request_.own_namespace && seen[number] > alike[number]) mixed_ = true;
    }
  }

  // Is it a shared lock of which several may be there?
  bool HasTwins(const ShownLock& shown, const std::unordered_map<uint32_t, size_t>& alike) const {
    return survey_->rows[shown.row].access == "READ" && alike.at(shown.row) > 1;
  }

  // Where descriptions are counted, a copy in a child that was just being started, and is closed by now,
  // would seem to be one more.
  void ForgetClosed(const std::unordered_map<uint32_t, size_t>& alike) {
    if (!request_.own_namespace) return;
    std::erase_if(survey_->shown, [&](const ShownLock& shown) {
      return HasTwins(shown, alike) && IsClosed(survey_->descriptors[shown.descriptor]);
    });
  }

  // How many open file descriptions show each row, as far as that matters, and which descriptors are copies
  // of which.
  std::unordered_map<uint32_t, size_t> CountDescriptions(const std::unordered_map<uint32_t, size_t>& alike) {
    std::unordered_map<uint32_t, size_t> seen;
    std::unordered_map<uint32_t, Descriptions> shared;
    ForgetClosed(alike);
    for (ShownLock& shown : survey_->shown) {
      size_t& count = seen[shown.row];
      if (!HasTwins(shown, alike)) {
        count = 1;
        continue;
      }
      Descriptions& known =
          shared.try_emplace(shown.row, DescriptionOrder{request_.own_namespace, &mixed_}).first->second;
      auto number = static_cast<uint32_t>(known.size());
      shown.description = known.try_emplace(&survey_->descriptors[shown.descriptor], number).first->second;
      count = known.size();
    }
    return seen;
  }

  // A lock that was given back while we looked at the processes is no mystery.
  int AnyUnshownGone(bool* gone) const {
    std::deque<LockRow> now;
    int error = ReadLockTable((request_.proc_root + "/locks").c_str(),
                              [&](LockRow&& row) { now.push_back(std::move(row)); });
    if (error < 0) return error;
    std::unordered_map<const LockRow*, size_t, HashRow, SameRow> still;
    for (const LockRow& row : now)
      if (!row.waits()) still[&row]++;
    *gone = std::any_of(unshown_.begin(), unshown_.end(),
                        [&](const Unshown& lost) { return still[lost.row] < lost.count; });
    return 0;
  }

  int ForgetPlaces() {
    survey_->places.clear();
    return 0;
  }

  int FindMappings() {
    FileSet lost;
    for (const Unshown& unshown : unshown_) lost.insert(unshown.row->file);
    return ForEachNumber(proc_.get(), [&](int pid) {
      ProcProcess process(proc_.get(), pid);
      if (process.error() < 0) return;
      for (const FileKey& file : process.MappedOf(lost))
        survey_->places.push_back({PlaceKind::kMapping, pid, 0, -1, 0, {}, file});
    });
  }

  const SurveyRequest& request_;
  LockSurvey* survey_;
  Fd proc_;
  Interest interest_;
  std::unordered_set<int> visited_;
  std::vector<Unshown> unshown_;
  bool mixed_ = false;  // what was seen is of several moments, and does not fit together
};

}  // namespace

int SurveyLocks(const SurveyRequest& request, LockSurvey* survey) { return Surveyor(request, survey).Run(); }

}  // namespace locksmith
