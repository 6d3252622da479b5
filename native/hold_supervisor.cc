#include "hold_supervisor.h"

#include <fcntl.h>
#include <linux/sched.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <ctime>

#include "file_lock.h"
#include "pidfd.h"

namespace locksmith {

namespace {

constexpr idtype_t kPidfd = static_cast<idtype_t>(3);  // P_PIDFD, linux/wait.h

// Where the child has its descriptors.
constexpr int kGate = 0;
constexpr int kChannel = 1;
constexpr int kTimer = 2;
constexpr int kTurn = 3;

constexpr const char* kOomScore = "/proc/self/oom_score_adj";  // proc_pid_oom_score_adj(5)

// How long a program that was killed may take to die before we go on without it, in milliseconds.
constexpr int kDying = 100;

// Milliseconds since boot. CLOCK_BOOTTIME goes on while the machine sleeps, and no change of the wall clock
// moves it (clock_gettime(2)).
int64_t Now() {
  timespec now = {};
  clock_gettime(CLOCK_BOOTTIME, &now);
  return int64_t{now.tv_sec} * 1000 + now.tv_nsec / 1'000'000;
}

Fd ArmTimer(int64_t milliseconds) {
  Fd timer(OrErrno(timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC)));
  itimerspec due = {};
  due.it_value.tv_sec = milliseconds / 1000;
  due.it_value.tv_nsec = milliseconds % 1000 * 1'000'000;
  if (timer.ok() && timerfd_settime(timer.get(), 0, &due, nullptr) != 0) return Fd(-errno);
  return timer;
}

// A copy above the places that the child puts its descriptors in, so that they can't overwrite each other.
Fd CopyAbove(int fd) { return Fd(OrErrno(fcntl(fd, F_DUPFD_CLOEXEC, kTurn + 1))); }

int WriteText(const char* path, const char* text, size_t size) {
  int fd = open(path, O_WRONLY | O_CLOEXEC);
  if (fd < 0) return -errno;
  ssize_t count = write(fd, text, size);
  int error = count < 0 ? errno : 0;
  close(fd);
  if (error != 0) return -error;
  return static_cast<size_t>(count) == size ? 0 : -EIO;
}

// An action as the child needs it: everything that execve(2) takes is made before the fork.
struct Prepared {
  explicit Prepared(const Action& given) : action(given) {
    for (const std::string& word : given.argv) argv.push_back(const_cast<char*>(word.c_str()));
    for (const std::string& word : given.environment) environment.push_back(const_cast<char*>(word.c_str()));
    argv.push_back(nullptr);
    environment.push_back(nullptr);
  }

  const Action& action;
  std::vector<char*> argv;
  std::vector<char*> environment;
};

// Something that can be stopped, and the program that is stopping or restoring it just now.
struct Job {
  explicit Job(const Stoppable& stoppable) : stop(stoppable.stop), restore(stoppable.restore) {}

  bool running() const { return pid > 0; }

  Prepared stop;
  Prepared restore;
  bool armed = false;
  NewsKind doing = NewsKind::kStopped;
  pid_t pid = 0;
  int pidfd = -1;
  int64_t until = 0;
};

// The child of a process with threads: system calls only, no allocation, no lock of the C library. What it
// needs is made by its constructor, before the fork.
class Supervisor {
 public:
  explicit Supervisor(const HoldPlan& plan) : fences_(plan.fences), with_turn_(plan.turn >= 0) {
    jobs_.reserve(plan.stoppables.size());
    for (const Stoppable& stoppable : plan.stoppables) jobs_.emplace_back(stoppable);
    events_.resize(2 + jobs_.size());
  }

  [[noreturn]] void Run(int gate, int channel, int timer, int turn) {
    int status = PlaceDescriptors(gate, channel, timer, turn);
    if (status == 0) status = OrErrno(chdir("/"));
    Settle();
    if (!Tell({NewsKind::kReady, 0, status}) || status < 0) _exit(2);
    bool released = StandBy();
    if (!released) BreakOff();
    Restore(released);
    OpenGate();
    if (with_turn_) SetLock({kTurn, LockKind::kOfd, LockType::kUnlock, 0, 0});
    _exit(released ? 0 : 1);
  }

 private:
  // Gives up every other descriptor at once, so that it keeps no lock alive but these.
  int PlaceDescriptors(int gate, int channel, int timer, int turn) const {
    if (dup2(channel, kChannel) < 0 || dup2(gate, kGate) < 0 || dup2(timer, kTimer) < 0) return -errno;
    if (with_turn_ && dup2(turn, kTurn) < 0) return -errno;
    return static_cast<int>(OrErrno(syscall(SYS_close_range, with_turn_ ? kTurn + 1 : kTurn, ~0U, 0)));
  }

  // Leaves the terminal's session, so that no Ctrl-C ends the bound of the hold, and is the last to be killed
  // for want of memory where it may be.
  void Settle() {
    prctl(PR_SET_NAME, "locksmith-hold");
    setsid();
    // Where it is ignored, nobody learns how a child ended (wait(2)).
    std::signal(SIGCHLD, SIG_DFL);
    int fd = open(kOomScore, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return;
    ssize_t count = read(fd, oom_score_, sizeof oom_score_);
    close(fd);
    oom_size_ = count > 0 && WriteText(kOomScore, "-1000", 5) == 0 ? static_cast<size_t>(count) : 0;
  }

  // The socket has room for all that is ever told; a holder who is gone needs no news.
  static bool Tell(News news) {
    return send(kChannel, &news, sizeof news, MSG_NOSIGNAL | MSG_DONTWAIT) == sizeof news;
  }

  // Obeys until the holder lets go (true), or is gone, or the time is over.
  bool StandBy() {
    for (;;) {
      Wait(true);
      if (over_) return false;
      if (events_[0].revents == 0) continue;
      Order order = {};
      ssize_t count = recv(kChannel, &order, sizeof order, MSG_DONTWAIT);
      if (count < 0 && (errno == EAGAIN || errno == EINTR)) continue;
      if (count != sizeof order) return false;
      if (order.kind == OrderKind::kRelease) return true;
      Obey(order);
    }
  }

  void Obey(Order order) {
    if (order.index < 0 || static_cast<size_t>(order.index) >= jobs_.size()) return;
    jobs_[order.index].armed = true;
    if (order.kind == OrderKind::kStop) Begin(order.index, NewsKind::kStopped);
  }

  // Waits for the next thing to happen: an order, the deadline, the end of a program or of its time.
  void Wait(bool for_orders) {
    events_[0] = {.fd = for_orders ? kChannel : -1, .events = POLLIN, .revents = 0};
    events_[1] = {.fd = over_ ? -1 : kTimer, .events = POLLIN, .revents = 0};
    int64_t next = INT64_MAX;
    for (size_t i = 0; i < jobs_.size(); i++) {
      events_[2 + i] = {.fd = jobs_[i].pidfd, .events = POLLIN, .revents = 0};
      if (jobs_[i].running()) next = std::min(next, jobs_[i].until);
    }
    int64_t left = next == INT64_MAX ? -1 : std::clamp<int64_t>(next - Now(), 0, INT32_MAX);
    if (poll(events_.data(), events_.size(), static_cast<int>(left)) < 0) {
      for (pollfd& event : events_) event.revents = 0;
    }
    over_ = over_ || events_[1].revents != 0;
    for (size_t i = 0; i < jobs_.size(); i++) Collect(i, events_[2 + i].revents != 0);
  }

  void Collect(size_t index, bool ended) {
    Job& job = jobs_[index];
    int status = 0;
    if (ended)
      Finish(index, waitpid(job.pid, &status, WNOHANG) == job.pid ? status : -ECHILD);
    else if (job.running() && Now() >= job.until)
      Kill(index, -ETIMEDOUT);
  }

  void Finish(size_t index, int status) {
    Job& job = jobs_[index];
    close(job.pidfd);
    job.pidfd = -1;
    job.pid = 0;
    Tell({job.doing, static_cast<int32_t>(index), status});
  }

  // Waits a little for its death. One that hangs in the kernel even then is left to itself.
  void Kill(size_t index, int status) {
    Job& job = jobs_[index];
    kill(-job.pid, SIGKILL);
    kill(job.pid, SIGKILL);
    pollfd death = {.fd = job.pidfd, .events = POLLIN, .revents = 0};
    if (poll(&death, 1, kDying) == 1) waitpid(job.pid, nullptr, WNOHANG);
    Finish(index, status);
  }

  void Begin(size_t index, NewsKind doing) {
    Job& job = jobs_[index];
    if (job.running()) Kill(index, -ECANCELED);
    job.doing = doing;
    const Prepared& what = doing == NewsKind::kStopped ? job.stop : job.restore;
    const Action& action = what.action;
    int status = action.argv.empty() ? WriteText(action.path.c_str(), action.text.c_str(), action.text.size())
                                     : Start(what, &job);
    // A text that could not be written has changed nothing.
    if (status < 0 && doing == NewsKind::kStopped && action.argv.empty()) job.armed = false;
    if (!job.running()) Tell({doing, static_cast<int32_t>(index), status});
  }

  // fork() of the C library may wait for a lock that another thread of the parent had; the system call does
  // not.
  int Start(const Prepared& what, Job* job) {
    int pidfd = -1;
    clone_args how = {};
    how.flags = CLONE_PIDFD;
    how.pidfd = reinterpret_cast<uintptr_t>(&pidfd);
    how.exit_signal = SIGCHLD;
    auto pid = static_cast<pid_t>(syscall(SYS_clone3, &how, sizeof how));
    if (pid == 0) Execute(what);
    if (pid < 0) return -errno;
    job->pid = pid;
    job->pidfd = pidfd;
    job->until = Now() + what.action.milliseconds;
    return 0;
  }

  // With nothing of ours: not the gate, not a blocked signal, not our place in the queue of the OOM killer.
  // Its output goes nowhere, so that it never dies of a reader that has gone.
  [[noreturn]] void Execute(const Prepared& what) const {
    setsid();
    if (oom_size_ > 0) WriteText(kOomScore, oom_score_, oom_size_);
    int nowhere = open("/dev/null", O_RDWR);
    for (int fd = 0; fd < 3; fd++)
      if (nowhere < 0 || dup2(nowhere, fd) < 0) close(fd);
    syscall(SYS_close_range, 3, ~0U, 0);
    for (int signal = 1; signal < NSIG; signal++) std::signal(signal, SIG_DFL);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, nullptr);
    execve(what.argv[0], what.argv.data(), what.environment.data());
    _exit(errno == ENOENT ? 127 : 126);
  }

  // Tells it, and removes the fences: what is not there can't be renamed into place any more by a holder who
  // wakes too late. One that could not be removed is told as well.
  void BreakOff() const {
    Tell({NewsKind::kOver, 0, 0});
    for (const std::string& path : fences_)
      if (unlink(path.c_str()) != 0 && errno != ENOENT) Tell({NewsKind::kOver, 0, -errno});
  }

  // In reverse order, one after the other for a holder who waits for it; else at once, for nobody knows how
  // much time there is. The gate waits for the last, but not beyond the deadline.
  void Restore(bool in_turn) {
    for (size_t i = jobs_.size(); i-- > 0;) {
      if (!jobs_[i].armed) continue;
      Begin(i, NewsKind::kRestored);
      if (in_turn) AwaitJobs();
    }
    AwaitJobs();
  }

  void AwaitJobs() {
    for (;;) {
      if (over_) OpenGate();
      if (std::none_of(jobs_.begin(), jobs_.end(), [](const Job& job) { return job.running(); })) return;
      Wait(false);
    }
  }

  void OpenGate() {
    if (!open_) SetLock({kGate, LockKind::kOfd, LockType::kUnlock, 0, 0});
    open_ = true;
  }

  const std::vector<std::string>& fences_;
  const bool with_turn_;
  std::vector<Job> jobs_;
  std::vector<pollfd> events_;
  char oom_score_[16] = {};
  size_t oom_size_ = 0;
  bool over_ = false;
  bool open_ = false;
};

// fork() with every signal blocked, so that no handler of the parent ever runs in the child.
pid_t ForkQuietly(Supervisor* supervisor, const Fd& gate, const Fd& channel, const Fd& timer,
                  const Fd& turn) {
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  pid_t pid = fork();
  if (pid == 0) supervisor->Run(gate.get(), channel.get(), timer.get(), turn.get());
  int error = errno;
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  errno = error;
  return OrErrno(pid);
}

// The child is in place when it says 0; it says -errno, or just dies, when it can't do its work.
int AwaitReady(const Fd& channel) {
  News news = {};
  ssize_t count;
  do {
    count = recv(channel.get(), &news, sizeof news, 0);
  } while (count < 0 && errno == EINTR);
  return count == sizeof news ? news.status : -ECHILD;
}

}  // namespace

int StartHoldSupervisor(const HoldPlan& plan, HoldSupervisor* supervisor) {
  Fd armed = ArmTimer(plan.milliseconds);
  if (!armed.ok()) return armed.get();
  int pair[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0) return -errno;
  Fd ours(pair[0]);
  Fd far_end(pair[1]);
  Fd gate = CopyAbove(plan.gate);
  Fd theirs = CopyAbove(far_end.get());
  Fd timer = CopyAbove(armed.get());
  for (const Fd* fd : {&gate, &theirs, &timer})
    if (!fd->ok()) return fd->get();
  Fd turn = plan.turn < 0 ? Fd() : CopyAbove(plan.turn);
  if (plan.turn >= 0 && !turn.ok()) return turn.get();
  Supervisor child(plan);
  pid_t pid = ForkQuietly(&child, gate, theirs, timer, turn);
  if (pid < 0) return pid;
  // Not reaped yet, so the pid is still this child's.
  Fd pidfd(PidfdOpen(pid));
  far_end = Fd();
  theirs = Fd();
  int error = AwaitReady(ours);
  if (error < 0 || !pidfd.ok()) {
    ours = Fd();
    waitpid(pid, nullptr, 0);
    return error < 0 ? error : pidfd.get();
  }
  *supervisor = {.pid = pid, .pidfd = std::move(pidfd), .channel = std::move(ours)};
  return 0;
}

int SendOrder(int channel, Order order) {
  return send(channel, &order, sizeof order, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 ? -errno : 0;
}

int ReceiveNews(int channel, News* news) {
  ssize_t count;
  // One that ended before it read our last order makes the first call fail, and all that it told comes after
  // that (net/unix/af_unix.c unix_release_sock()).
  do {
    count = recv(channel, news, sizeof *news, MSG_DONTWAIT);
  } while (count < 0 && (errno == ECONNRESET || errno == EINTR));
  if (count < 0) return -errno;
  return count == sizeof *news ? 1 : 0;
}

int ReapHoldSupervisor(int pidfd) {
  siginfo_t info = {};
  int result = OrErrno(waitid(kPidfd, static_cast<id_t>(pidfd), &info, WEXITED | WNOHANG));
  if (result < 0) return result;
  return info.si_pid == 0 ? -EAGAIN : 0;
}

}  // namespace locksmith
