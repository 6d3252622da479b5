// What does the kernel itself cost? Does the system calls of each case without anything around them.
//
//   yardstick cycle flock|ofd PATH     take and give back on one open descriptor
//   yardstick path flock|ofd PATH      open, take, compare with the path, give back, close
//   yardstick bare flock|ofd PATH      the same without the comparison
//   yardstick table - PATH             read /proc/locks, and look for the file in it
//   yardstick replace - PATH           write a file as long as this one, rename it over this one, all of it
//                                      durable
//   yardstick hold flock|ofd PATH      take a lock on each of 1,000 files beside this one, and keep them
//   yardstick config ofd PATH          what Locksmith calls to acquire and release a configuration lock, on
//                                      files beside this one
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
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
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

// Where the kernel prints other numbers than stat() gives, the file is not found; that takes as long.
static void Table(const char *path, long times) {
  static char buffer[64 * 1024 + 1];
  static volatile long found;
  char wanted[64];
  struct stat file;
  if (stat(path, &file) != 0) Fail(path);
  snprintf(wanted, sizeof wanted, " %02x:%02x:%lu ", major(file.st_dev), minor(file.st_dev), file.st_ino);
  for (long i = 0; i < times; i++) {
    ssize_t length;
    int fd = open("/proc/locks", O_RDONLY | O_CLOEXEC);
    if (fd < 0) Fail("/proc/locks");
    // Each read gives whole lines.
    while ((length = read(fd, buffer, sizeof buffer - 1)) > 0) {
      buffer[length] = 0;
      found += strstr(buffer, wanted) != NULL;
    }
    if (length < 0) Fail("/proc/locks");
    close(fd);
  }
}

static void WriteAll(int fd, const char *content, size_t length) {
  while (length > 0) {
    ssize_t written = write(fd, content, length);
    if (written < 0) Fail("write");
    content += written;
    length -= (size_t)written;
  }
}

static void Sync(int fd) {
  if (fsync(fd) != 0) Fail("fsync");
  close(fd);
}

static void Replace(const char *path, long times) {
  char next[4096], directory[4096];
  struct stat file;
  if (stat(path, &file) != 0) Fail(path);
  size_t length = (size_t)file.st_size;
  char *content = malloc(length);
  if (!content) Fail("malloc");
  snprintf(next, sizeof next, "%s.next", path);
  snprintf(directory, sizeof directory, "%.*s", (int)(strrchr(path, '/') - path), path);
  for (long i = 0; i < times; i++) {
    memset(content, 'a' + (int)(i % 26), length);
    int fd = open(next, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (fd < 0) Fail(next);
    WriteAll(fd, content, length);
    Sync(fd);
    if (rename(next, path) != 0) Fail("rename");
    int parent = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (parent < 0) Fail(directory);
    Sync(parent);
  }
  free(content);
}

static void Hold(const char *path, long times) {
  char name[4096];
  struct rlimit files;
  if (getrlimit(RLIMIT_NOFILE, &files) != 0) Fail("getrlimit");
  files.rlim_cur = files.rlim_max;
  if (setrlimit(RLIMIT_NOFILE, &files) != 0) Fail("setrlimit");
  for (long i = 0; i < 1000 * times; i++) {
    snprintf(name, sizeof name, "%s-%ld", path, i);
    Take(Open(name));
  }
}

// The files of a configuration lock.
enum { kGuard, kGate, kBit, kEpoch, kOwner, kFiles };

static char record[4096];

static int OpenNamed(const char *path) {
  int fd = open(path, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0) Fail(path);
  return fd;
}

static void Range(int fd, int command, short type, off_t start, off_t length) {
  struct flock range = {.l_type = type, .l_whence = SEEK_SET, .l_start = start, .l_len = length};
  if (fcntl(fd, command, &range) != 0) Fail("fcntl");
}

static void Look(int fd) {
  struct stat file;
  if (fstat(fd, &file) != 0 || file.st_nlink == 0) Fail("fstat");
}

static void Read(int fd, size_t size) {
  char text[sizeof record];
  if (pread(fd, text, size, 0) <= 0) Fail("pread");
}

static void Write(int fd, const char *text, size_t size) {
  if (pwrite(fd, text, size, 0) != (ssize_t)size) Fail("pwrite");
}

static void WriteRecord(int fd) {
  Write(fd, record, sizeof record);
  Look(fd);
}

static void LockBit(const int *fds) {
  Take(fds[kBit]);
  Read(fds[kBit], 64);
  Read(fds[kEpoch], 64);
}

static void CheckBit(const int *fds) {
  Look(fds[kBit]);
  Look(fds[kEpoch]);
}

static void Acquire(int *fds, char paths[kFiles][4096]) {
  fds[kGuard] = OpenNamed(paths[kGuard]);
  fds[kGate] = OpenNamed(paths[kGate]);
  Range(fds[kGate], F_OFD_GETLK, F_RDLCK, 0, 1);
  Take(fds[kGuard]);
  Range(fds[kGate], F_OFD_SETLK, F_RDLCK, 0, 2);
  Range(fds[kGate], F_OFD_SETLK, F_UNLCK, 0, 1);
  Look(fds[kGuard]);
  fds[kBit] = OpenNamed(paths[kBit]);
  fds[kEpoch] = OpenNamed(paths[kEpoch]);
  fds[kOwner] = OpenNamed(paths[kOwner]);
  Read(fds[kOwner], sizeof record);
  Read(fds[kBit], 64);
  Read(fds[kEpoch], 64);
  WriteRecord(fds[kOwner]);
  LockBit(fds);
  Write(fds[kEpoch], "1882528641190841\n", 17);
  Write(fds[kBit], "1\n", 2);
  CheckBit(fds);
  GiveBack(fds[kBit]);
  Range(fds[kGuard], F_OFD_SETLK, F_UNLCK, (off_t)1 << 52, 0);
}

static void Release(const int *fds) {
  Look(fds[kOwner]);
  LockBit(fds);
  Write(fds[kBit], "0\n", 2);
  CheckBit(fds);
  close(fds[kEpoch]);
  close(fds[kBit]);
  WriteRecord(fds[kOwner]);
  close(fds[kOwner]);
  close(fds[kGuard]);
  close(fds[kGate]);
}

static void Config(const char *path, long times) {
  static char paths[kFiles][4096];
  int fds[kFiles];
  if (!*paths[kGuard]) {
    memset(record, ' ', sizeof record);
    for (int i = 0; i < kFiles; i++) {
      snprintf(paths[i], sizeof paths[i], "%s.%d", path, i);
      WriteRecord(fds[i] = Open(paths[i]));
      close(fds[i]);
    }
  }
  for (long i = 0; i < times; i++) {
    Acquire(fds, paths);
    Release(fds);
  }
}

static const struct {
  const char *name;
  void (*run)(const char *path, long times);
} kCases[] = {{"cycle", Cycle},     {"path", Path}, {"bare", Bare},    {"table", Table},
              {"replace", Replace}, {"hold", Hold}, {"config", Config}};

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
  fprintf(stderr, "usage: yardstick cycle|path|bare|table|replace|hold|config flock|ofd|- PATH\n");
  return 2;
}
