// Who holds a lock, waits for it, gives it back, or dies with it? Times are nanoseconds of CLOCK_MONOTONIC.
//
//   contender side KIND PATH          "take": "asks" before it blocks, then "got TIME"; "give": "gave TIME",
//                                     before it did
//   contender loop KIND PATH          the same, with a thread that blocks and wakes a loop of events, as who
//                                     has such a loop must do it
//   contender give                    has got what it needs when it starts: "got TIME"; then "give" as above,
//                                     and ends
//   contender hold KIND PATH          takes it: "ready", and keeps it until it is killed
//   contender many KIND PLACE COUNT   takes PLACE/0, PLACE/1 ...: "ready"; a line: "TIME", and gives all back
//   contender own GUARD GATE          takes what the owner of a configuration lock has, as hold does
//   contender calls                   prints the numbers of the system calls in which one waits for a lock
//
// KIND: flock, ofd, posix; for hold also directory (PATH.lock, made fresh each second) and file (PATH is
// made).
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static const char *kind = "ofd";

static void Must(int good, const char *what) {
  if (good) return;
  fprintf(stderr, "contender: %s: %s\n", what, strerror(errno));
  exit(1);
}

static void Say(const char *text) {
  puts(text);
  Must(fflush(stdout) == 0, "stdout");
}

static void SayTime(const char *before, long long time) {
  char text[64];
  snprintf(text, sizeof text, "%s%lld", before, time);
  Say(text);
}

static long long Now(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1000000000LL + now.tv_nsec;
}

static int Open(const char *path) {
  int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  Must(fd >= 0, path);
  return fd;
}

// Waits for what is to be locked.
static void SetRange(int fd, short type, off_t start, off_t length) {
  struct flock range = {.l_type = type, .l_whence = SEEK_SET, .l_start = start, .l_len = length};
  Must(fcntl(fd, strcmp(kind, "posix") == 0 ? F_SETLKW : F_OFD_SETLKW, &range) == 0, "fcntl");
}

static void Take(int fd) {
  if (strcmp(kind, "flock") == 0)
    Must(flock(fd, LOCK_EX) == 0, "flock");
  else
    SetRange(fd, F_WRLCK, 0, 0);
}

static void GiveBack(int fd) {
  if (strcmp(kind, "flock") == 0)
    Must(flock(fd, LOCK_UN) == 0, "flock");
  else
    SetRange(fd, F_UNLCK, 0, 0);
}

static void Side(const char *path) {
  char line[16];
  int fd = Open(path);
  Say("ready");
  while (fgets(line, sizeof line, stdin)) {
    if (strcmp(line, "take\n") == 0) {
      Say("asks");
      Take(fd);
      SayTime("got ", Now());
    } else {
      long long time = Now();
      GiveBack(fd);
      SayTime("gave ", time);
    }
  }
}

// The thread of a loop, and what both share.
static int file, granted, wanted;

static void *Wait(void *unused) {
  uint64_t one = 1, asked;
  for (;;) {
    Must(read(wanted, &asked, sizeof asked) == sizeof asked, "eventfd");
    Take(file);
    Must(write(granted, &one, sizeof one) == sizeof one, "eventfd");
  }
  return unused;
}

static void Answer(void) {
  char line[16];
  uint64_t one = 1;
  if (!fgets(line, sizeof line, stdin)) exit(0);
  if (strcmp(line, "take\n") == 0) {
    Say("asks");
    Must(write(wanted, &one, sizeof one) == sizeof one, "eventfd");
  } else {
    long long time = Now();
    GiveBack(file);
    SayTime("gave ", time);
  }
}

static void Loop(const char *path) {
  pthread_t thread;
  struct epoll_event event = {.events = EPOLLIN};
  int events = epoll_create1(EPOLL_CLOEXEC);
  file = Open(path);
  wanted = eventfd(0, EFD_CLOEXEC);
  granted = eventfd(0, EFD_CLOEXEC);
  event.data.fd = granted;
  Must(epoll_ctl(events, EPOLL_CTL_ADD, granted, &event) == 0, "epoll_ctl");
  event.data.fd = STDIN_FILENO;
  Must(epoll_ctl(events, EPOLL_CTL_ADD, STDIN_FILENO, &event) == 0, "epoll_ctl");
  Must(pthread_create(&thread, NULL, Wait, NULL) == 0, "pthread_create");
  // Each line is answered before the next one comes: none waits in the buffer of stdin.
  Say("ready");
  while (epoll_wait(events, &event, 1, -1) == 1) {
    uint64_t times;
    if (event.data.fd == STDIN_FILENO) {
      Answer();
    } else {
      Must(read(granted, &times, sizeof times) == sizeof times, "eventfd");
      SayTime("got ", Now());
    }
  }
}

static void Give(void) {
  char line[16];
  SayTime("got ", Now());
  if (fgets(line, sizeof line, stdin)) SayTime("gave ", Now());
}

static void StayAlive(void) {
  Say("ready");
  for (;;) pause();
}

static void Hold(const char *path) {
  if (strcmp(kind, "directory") == 0) {
    char directory[4096];
    snprintf(directory, sizeof directory, "%s.lock", path);
    Must(mkdir(directory, 0755) == 0, directory);
    Say("ready");
    for (;; sleep(1)) Must(utimensat(AT_FDCWD, directory, NULL, 0) == 0, directory);
  }
  if (strcmp(kind, "file") == 0)
    Must(open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644) >= 0, path);
  else
    Take(Open(path));
  StayAlive();
}

static void Many(const char *place, int count) {
  char line[16], path[4096];
  struct rlimit files;
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
  int *fds = calloc(count, sizeof *fds);
  Must(fds != NULL, "calloc");
  for (int i = 0; i < count; i++) {
    snprintf(path, sizeof path, "%s/%d", place, i);
    Take(fds[i] = Open(path));
  }
  Say("ready");
  while (fgets(line, sizeof line, stdin)) {
    long long time = Now();
    for (int i = 0; i < count; i++) GiveBack(fds[i]);
    SayTime("", time);
  }
}

static void Own(const char *guard, const char *gate) {
  SetRange(Open(guard), F_WRLCK, 0, (off_t)1 << 52);  // lib/lock/guard.ts
  SetRange(Open(gate), F_RDLCK, 1, 1);                // lib/lock/gate.ts
  StayAlive();
}

int main(int argc, char **argv) {
  const char *what = argc > 1 ? argv[1] : "";
  if (argc == 4 || argc == 5) kind = argv[2];
  if (argc == 4 && strcmp(what, "side") == 0)
    Side(argv[3]);
  else if (argc == 4 && strcmp(what, "loop") == 0)
    Loop(argv[3]);
  else if (argc == 2 && strcmp(what, "give") == 0)
    Give();
  else if (argc == 4 && strcmp(what, "hold") == 0)
    Hold(argv[3]);
  else if (argc == 5 && strcmp(what, "many") == 0)
    Many(argv[3], atoi(argv[4]));
  else if (argc == 4 && strcmp(what, "own") == 0)
    Own(argv[2], argv[3]);
  else if (argc == 2 && strcmp(what, "calls") == 0)
    printf("%d %d\n", (int)SYS_fcntl, (int)SYS_flock);
  else
    return fprintf(stderr, "usage: contender side|loop|give|hold|many|own|calls ...\n"), 2;
  return 0;
}
