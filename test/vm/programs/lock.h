// What the programs share: files of a lock, memory of a family of processes, and an end at the first
// surprise.
#pragma once
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

// Ends the program with a sentence: what was not as it must be.
__attribute__((noreturn, format(printf, 1, 2))) static inline void fail(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  vfprintf(stderr, format, arguments);
  va_end(arguments);
  fputc('\n', stderr);
  exit(EXIT_FAILURE);
}

#define must(condition) \
  ((condition) ? (void)0 : fail("%s:%d: %s (%s)", __FILE__, __LINE__, #condition, strerror(errno)))

// Memory that children share.
static inline void *shared_memory(size_t size) {
  void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  must(memory != MAP_FAILED);
  return memory;
}

// fork(2); the child does not outlive its parent, also when that is killed before the child could say so.
static inline pid_t fork_child(void) {
  pid_t parent = getpid();
  pid_t child = fork();
  must(child >= 0);
  if (child == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(EXIT_FAILURE);
  }
  return child;
}

#define STACK_SIZE 65536

// A process of its own in our memory: several times quicker to make, and to switch to, than after fork(2). It
// has no errno of its own.
static inline pid_t clone_child(int (*act)(void *), void *argument, char *stack) {
  pid_t child = clone(act, stack + STACK_SIZE, CLONE_VM | SIGCHLD, argument);
  must(child > 0);
  return child;
}

// Opens the attribute NAME below a directory.
static inline int open_attribute(const char *directory, const char *name, int flags) {
  char path[PATH_MAX];
  snprintf(path, sizeof path, "%s/%s", directory, name);
  return open(path, flags | O_CLOEXEC);
}

// Writes an attribute in one go: 0, or the errno of the refusal.
static inline int put(int fd, const char *text) {
  size_t length = strlen(text);
  ssize_t count = pwrite(fd, text, length, 0);
  if (count < 0) return errno;
  must((size_t)count == length);
  return 0;
}

static inline int put_number(int fd, uint64_t number) {
  char text[32];
  snprintf(text, sizeof text, "%llu", (unsigned long long)number);
  return put(fd, text);
}

// Reads an attribute from its start, without the newline: 0, or the errno of the refusal.
static inline int get(int fd, char *text, size_t size) {
  ssize_t count = pread(fd, text, size - 1, 0);
  if (count < 0) return errno;
  must(count > 0 && text[count - 1] == '\n');
  text[count - 1] = '\0';
  return 0;
}

static inline uint64_t get_number(int fd) {
  char text[64];
  must(get(fd, text, sizeof text) == 0);
  return strtoull(text, NULL, 10);
}

static inline double now_us(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}
