// What does the kernel itself cost? Does the system calls of each case without anything around them.
//
//   yardstick cycle flock|ofd PATH     take and give back on one open descriptor
//   yardstick path flock|ofd PATH      open, take, compare with the path, give back, close
//   yardstick bare flock|ofd PATH      the same without the comparison
//
// It prints "ready", then reads how often it is to be done, a number a line, and answers each with the
// nanoseconds that it took.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static bool ofd;

static void Fail(const char *what) {
  fprintf(stderr, "yardstick: %s: %s\n", what, strerror(errno));
  exit(1);
}

static long long Now(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1000000000LL + now.tv_nsec;
}

static void Lock(int fd, short type, int operation) {
  if (ofd) {
    struct flock record = {.l_type = type, .l_whence = SEEK_SET};
    if (fcntl(fd, F_OFD_SETLK, &record) != 0) Fail("fcntl");
  } else if (flock(fd, operation) != 0) {
    Fail("flock");
  }
}

static void Take(int fd) { Lock(fd, F_WRLCK, LOCK_EX | LOCK_NB); }

static void GiveBack(int fd) { Lock(fd, F_UNLCK, LOCK_UN); }

static int Open(const char *path) {
  int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (fd < 0) Fail(path);
  return fd;
}

static void Cycle(const char *path, long times) {
  static int fd = -1;
  if (fd < 0) fd = Open(path);
  for (long i = 0; i < times; i++) {
    Take(fd);
    GiveBack(fd);
  }
}

static void Bare(const char *path, long times) {
  for (long i = 0; i < times; i++) {
    int fd = Open(path);
    Take(fd);
    GiveBack(fd);
    close(fd);
  }
}

// As Locksmith does it: the path may name another file by the time that the lock is there.
static void Path(const char *path, long times) {
  for (long i = 0; i < times; i++) {
    int fd = Open(path);
    Take(fd);
    struct stat locked, named;
    if (fstat(fd, &locked) != 0 || stat(path, &named) != 0) Fail(path);
    if (locked.st_ino != named.st_ino || locked.st_dev != named.st_dev) Fail("replaced");
    GiveBack(fd);
    close(fd);
  }
}

static const struct {
  const char *name;
  void (*run)(const char *path, long times);
} kCases[] = {{"cycle", Cycle}, {"path", Path}, {"bare", Bare}};

static void Answer(void (*run)(const char *, long), const char *path) {
  char line[32];
  run(path, 1);
  puts("ready");
  fflush(stdout);
  while (fgets(line, sizeof line, stdin)) {
    long times = strtol(line, NULL, 10);
    long long start = Now();
    run(path, times);
    printf("%lld\n", Now() - start);
    fflush(stdout);
  }
}

int main(int argc, char **argv) {
  if (argc == 4) {
    ofd = strcmp(argv[2], "ofd") == 0;
    for (size_t i = 0; i < sizeof kCases / sizeof *kCases; i++)
      if (strcmp(argv[1], kCases[i].name) == 0) {
        Answer(kCases[i].run, argv[3]);
        return 0;
      }
  }
  fprintf(stderr, "usage: yardstick cycle|path|bare flock|ofd PATH\n");
  return 2;
}
