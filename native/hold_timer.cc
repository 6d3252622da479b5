#include "hold_timer.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>

#include "file_lock.h"
#include "pidfd.h"

namespace locksmith {

namespace {

constexpr idtype_t kPidfd = static_cast<idtype_t>(3);  // P_PIDFD, linux/wait.h

// Where the child has its three descriptors.
constexpr int kGate = 0;
constexpr int kChannel = 1;
constexpr int kTimer = 2;

// CLOCK_BOOTTIME goes on while the machine sleeps, and no change of the wall clock moves it
// (clock_gettime(2)).
Fd ArmTimer(int64_t milliseconds) {
  Fd timer(OrErrno(timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC)));
  itimerspec due = {};
  due.it_value.tv_sec = milliseconds / 1000;
  due.it_value.tv_nsec = milliseconds % 1000 * 1'000'000;
  if (timer.ok() && timerfd_settime(timer.get(), 0, &due, nullptr) != 0) return Fd(-errno);
  return timer;
}

// A copy above the places that the child puts its descriptors in, so that they can't overwrite each other.
Fd CopyAbove(int fd) { return Fd(OrErrno(fcntl(fd, F_DUPFD_CLOEXEC, kTimer + 1))); }

int PlaceDescriptors(int gate, int channel, int timer) {
  if (dup2(channel, kChannel) < 0 || dup2(gate, kGate) < 0 || dup2(timer, kTimer) < 0) return -errno;
  return static_cast<int>(OrErrno(syscall(SYS_close_range, kTimer + 1, ~0U, 0)));
}

// The child of a process with threads: system calls only, no allocation, no lock of the C library. It gives
// up every other descriptor at once, so that it keeps no lock alive but the gate's, and it leaves the
// terminal's session, so that no Ctrl-C ends the bound of the hold.
[[noreturn]] void RunTimer(int gate, int channel, int timer) {
  int status = PlaceDescriptors(gate, channel, timer);
  if (status == 0) status = OrErrno(chdir("/"));
  prctl(PR_SET_NAME, "locksmith-hold");
  setsid();
  if (send(kChannel, &status, sizeof status, MSG_NOSIGNAL) != sizeof status || status < 0) _exit(2);
  pollfd events[] = {{.fd = kChannel, .events = POLLIN, .revents = 0},
                     {.fd = kTimer, .events = POLLIN, .revents = 0}};
  while (poll(events, 2, -1) < 0 && errno == EINTR) {
  }
  // Released, or the holder is dead: our copy of the gate closes with us.
  if (events[0].revents != 0) _exit(0);
  char over = 'E';
  send(kChannel, &over, 1, MSG_NOSIGNAL | MSG_DONTWAIT);
  SetLock({kGate, LockKind::kOfd, LockType::kUnlock, 0, 0});
  _exit(1);
}

// fork() with every signal blocked, so that no handler of the parent ever runs in the child.
pid_t ForkQuietly(const Fd& gate, const Fd& channel, const Fd& timer) {
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  pid_t pid = fork();
  if (pid == 0) RunTimer(gate.get(), channel.get(), timer.get());
  int error = errno;
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  errno = error;
  return OrErrno(pid);
}

// The child is in place when it says 0; it says -errno, or just dies, when it can't do its work.
int AwaitReady(const Fd& channel) {
  int status = 0;
  ssize_t count;
  do {
    count = recv(channel.get(), &status, sizeof status, 0);
  } while (count < 0 && errno == EINTR);
  return count == sizeof status ? status : -ECHILD;
}

}  // namespace

int StartHoldTimer(int gate, int64_t milliseconds, HoldTimer* timer) {
  Fd armed = ArmTimer(milliseconds);
  if (!armed.ok()) return armed.get();
  int pair[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) return -errno;
  Fd ours(pair[0]);
  Fd far_end(pair[1]);
  Fd shared = CopyAbove(gate);
  Fd theirs = CopyAbove(far_end.get());
  Fd deadline = CopyAbove(armed.get());
  for (const Fd* fd : {&shared, &theirs, &deadline})
    if (!fd->ok()) return fd->get();
  pid_t pid = ForkQuietly(shared, theirs, deadline);
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
  *timer = {.pid = pid, .pidfd = std::move(pidfd), .channel = std::move(ours)};
  return 0;
}

int ReapHoldTimer(int pidfd) {
  siginfo_t info = {};
  int result = OrErrno(waitid(kPidfd, static_cast<id_t>(pidfd), &info, WEXITED | WNOHANG));
  if (result < 0) return result;
  return info.si_pid == 0 ? -EAGAIN : 0;
}

}  // namespace locksmith
