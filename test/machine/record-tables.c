// What do /proc/locks and fdinfo of this kernel look like, and what is true behind each row? The first
// process of a virtual machine: makes locks of every kind, records what the kernel says of them, and what it
// knows itself.
//
// On the second serial port each line is a file: NAME, a space, its content in hex. Then the machine ends.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/io_uring.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/io.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/timerfd.h>
#include <sys/utsname.h>
#include <termios.h>
#include <unistd.h>

// ---- surprises, and the end

static void leave(int status) {
  sync();
  // QEMU's isa-debug-exit: its status is then (16 + STATUS) * 2 + 1.
  if (ioperm(0xf4, 1, 1) == 0) outb(16 + status, 0xf4);
  reboot(RB_POWER_OFF);
  _exit(status);
}

__attribute__((noreturn)) static void fail(int line, const char *what) {
  fprintf(stderr, "record-tables.c:%d: %s (%s)\n", line, what, strerror(errno));
  if (getpid() == 1) leave(1);
  _exit(EXIT_FAILURE);
}

#define must(condition) ((condition) ? (void)0 : fail(__LINE__, #condition))

// ---- out of the machine

static FILE *port;

static void send_file(const char *name, const char *text, size_t length) {
  fprintf(port, "%s ", name);
  for (size_t i = 0; i < length; i++) fprintf(port, "%02x", (unsigned char)text[i]);
  fputc('\n', port);
  must(fflush(port) == 0 && tcdrain(fileno(port)) == 0);
}

static size_t read_whole(const char *path, char *text, size_t size) {
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  must(fd >= 0);
  size_t filled = 0;
  for (;;) {
    ssize_t count = read(fd, text + filled, size - filled);
    must(count >= 0);
    if (count == 0) break;
    filled += (size_t)count;
    must(filled < size);
  }
  close(fd);
  return filled;
}

static void record(const char *path, const char *name) {
  static char text[1 << 16];
  send_file(name, text, read_whole(path, text, sizeof text));
}

// ---- locks

enum how { FLOCK, OFD, POSIX, LEASE, OPEN, READ, SERVED };

struct lock {
  const char *name;
  enum how how;
  const char *path;  // below /file
  int type;          // F_RDLCK, F_WRLCK; for flock also LOCK_MAND | ...
  off_t start;
  off_t end;           // OFFSET_MAX: EOF
  const char *waits;   // for which lock
  const char *behind;  // in that queue, behind which waiter
  const char *mode;    // as the kernel names it, where it is not ADVISORY
  const char *access;  // as the kernel names it, where it is not READ or WRITE
  const char *kind;    // as the kernel names it, where it is not what `how` says
  bool in_namespace;   // its owner is in a pid namespace of its own
  bool without_file;   // the kernel names no file in the row
  // Filled when it is there:
  pid_t pid;
  int fd;
};

#define END INT64_MAX
#define LAST (INT64_MAX - 1)

static struct lock locks[] = {
    {"flock exclusive", FLOCK, "flock", F_WRLCK, 0, END},
    {"flock shared", FLOCK, "flock-shared", F_RDLCK, 0, END},
    {"flock shared again", FLOCK, "flock-shared", F_RDLCK, 0, END},
    {"flock waiter", FLOCK, "flock", F_WRLCK, 0, END, .waits = "flock exclusive"},
    {"flock shared waiter", FLOCK, "flock", F_RDLCK, 0, END, .waits = "flock exclusive",
     .behind = "flock waiter"},
    {"ofd range", OFD, "ofd", F_WRLCK, 10, 19},
    {"ofd shared to the end", OFD, "ofd", F_RDLCK, 20, END},
    {"ofd waiter", OFD, "ofd", F_WRLCK, 12, 12, .waits = "ofd range"},
    {"posix byte", POSIX, "posix", F_WRLCK, 0, 0},
    {"posix largest start", POSIX, "posix", F_RDLCK, LAST, LAST},
    {"posix largest range", POSIX, "posix-large", F_WRLCK, 1, LAST},
    {"posix to the end", POSIX, "posix-end", F_WRLCK, 4096, END},
    {"posix waiter", POSIX, "posix-end", F_WRLCK, 0, END, .waits = "posix to the end"},
    {"posix waiter behind a waiter", POSIX, "posix-end", F_WRLCK, 5000, 5000, .waits = "posix to the end",
     .behind = "posix waiter"},
    {"posix third waiter", POSIX, "posix-end", F_RDLCK, 5000, 6000, .waits = "posix to the end",
     .behind = "posix waiter behind a waiter"},
    {"read lease", LEASE, "lease-read", F_RDLCK, 0, END, .mode = "ACTIVE"},
    {"write lease", LEASE, "lease-write", F_WRLCK, 0, END, .mode = "ACTIVE"},
    {"lease broken by a reader", LEASE, "lease-reader", F_WRLCK, 0, END, .mode = "BREAKING",
     .access = "READ"},
    {"reader that breaks a lease", OPEN, "lease-reader", F_RDLCK, 0, END, .mode = "BREAKER", .kind = "LEASE",
     .waits = "lease broken by a reader", .without_file = true},
    {"lease broken by a writer", LEASE, "lease-writer", F_WRLCK, 0, END, .mode = "BREAKING",
     .access = "UNLCK"},
    {"writer that breaks a lease", OPEN, "lease-writer", F_WRLCK, 0, END, .mode = "BREAKER", .kind = "LEASE",
     .waits = "lease broken by a writer", .without_file = true},
    {"flock in a pid namespace", FLOCK, "namespace", F_RDLCK, 0, END, .in_namespace = true},
    {"posix in a pid namespace", POSIX, "namespace", F_WRLCK, 100, 200, .in_namespace = true},
};

// Of a server of NFS in the kernel, to a client in the same kernel.
static struct lock delegations[] = {
    {"delegation", SERVED, "export/quiet", F_RDLCK, 0, END, .mode = "ACTIVE"},
    {"delegation that is called back", SERVED, "export/asked", F_RDLCK, 0, END, .mode = "BREAKING",
     .access = "UNLCK"},
    {"writer that calls a delegation back", OPEN, "export/asked", F_WRLCK, 0, END, .mode = "BREAKER",
     .kind = "LEASE", .waits = "delegation that is called back", .without_file = true},
};

// Gone since Linux 5.15 (mandatory locks) and 5.17 (LOCK_MAND).
static struct lock old_locks[] = {
    {"share mode read", FLOCK, "mand-read", LOCK_MAND | LOCK_READ, 0, END, .mode = "MSNFS", .access = "READ"},
    {"share mode write", FLOCK, "mand-write", LOCK_MAND | LOCK_WRITE, 0, END, .mode = "MSNFS",
     .access = "WRITE"},
    {"share mode both", FLOCK, "mand-both", LOCK_MAND | LOCK_RW, 0, END, .mode = "MSNFS", .access = "RW"},
    {"share mode none", FLOCK, "mand-none", LOCK_MAND, 0, END, .mode = "MSNFS", .access = "NONE"},
    {"mandatory", POSIX, "mandatory/file", F_WRLCK, 0, 99, .mode = "MANDATORY"},
    {"read behind a mandatory lock", READ, "mandatory/file", F_RDLCK, 0, 9, .mode = "MANDATORY",
     .kind = "ACCESS", .waits = "mandatory"},
};

#define COUNT(array) (sizeof(array) / sizeof *(array))

static int open_file(const struct lock *lock, int flags) {
  char path[128];
  snprintf(path, sizeof path, "/file/%s", lock->path);
  return open(path, flags | O_CLOEXEC, 0644);
}

static int take_flock(const struct lock *lock) {
  if (lock->type & LOCK_MAND) return flock(lock->fd, lock->type);
  return flock(lock->fd, lock->type == F_WRLCK ? LOCK_EX : LOCK_SH);
}

static int take_range(const struct lock *lock, int command) {
  struct flock range = {.l_type = (short)lock->type,
                        .l_whence = SEEK_SET,
                        .l_start = lock->start,
                        .l_len = lock->end == END ? 0 : lock->end - lock->start + 1};
  return fcntl(lock->fd, command, &range);
}

static int take(const struct lock *lock) {
  char text[10];
  switch (lock->how) {
    case FLOCK:
      return take_flock(lock);
    case OFD:
      return take_range(lock, F_OFD_SETLKW);
    case POSIX:
      return take_range(lock, F_SETLKW);
    case LEASE:
      return fcntl(lock->fd, F_SETLEASE, lock->type);
    case OPEN:
      return open_file(lock, lock->type == F_WRLCK ? O_WRONLY : O_RDONLY);
    case READ:
      return (int)read(lock->fd, text, sizeof text);
    case SERVED:
      break;
  }
  return -1;
}

static long call_number(const struct lock *lock) {
  static const long numbers[] = {SYS_flock, SYS_fcntl, SYS_fcntl, SYS_fcntl, SYS_openat, SYS_read};
  return numbers[lock->how];
}

static struct lock *named(const char *name) {
  for (size_t i = 0; i < COUNT(locks); i++)
    if (strcmp(locks[i].name, name) == 0) return &locks[i];
  for (size_t i = 0; i < COUNT(old_locks); i++)
    if (strcmp(old_locks[i].name, name) == 0) return &old_locks[i];
  fail(__LINE__, name);
}

// The kernel's word that a process sleeps in a system call; there is no event for it.
static void await_call(pid_t pid, long number) {
  char path[64];
  char text[256] = "";
  snprintf(path, sizeof path, "/proc/%d/syscall", pid);
  while (strtol(text, NULL, 10) != number || text[0] == 'r') {
    sched_yield();
    text[read_whole(path, text, sizeof text - 1)] = '\0';
  }
}

// A child that takes the lock and keeps it; our copy of the descriptor is closed, and has the same number
// there.
static pid_t holder(const struct lock *lock, int keep[2]) {
  pid_t pid = fork();
  must(pid >= 0);
  if (pid > 0) return pid;
  signal(SIGIO, SIG_IGN);  // tells the holder of a lease that it is broken
  must(write(keep[1], "", 1) == 1);
  must(take(lock) >= 0);
  must(write(keep[1], "", 1) == 1);
  for (;;) pause();
}

static void await_byte(int fd) {
  char byte;
  must(read(fd, &byte, 1) == 1);
}

static void make(struct lock *lock) {
  if (lock->in_namespace) return;  // made by its own first process
  int keep[2];
  must(pipe2(keep, O_CLOEXEC) == 0);
  // A write lease wants that nobody else has the file open, a read lease that nobody writes.
  lock->fd = lock->how == OPEN
                 ? -1
                 : open_file(lock, lock->how == LEASE && lock->type == F_RDLCK ? O_RDONLY : O_RDWR);
  must(lock->how == OPEN || lock->fd >= 0);
  lock->pid = holder(lock, keep);
  await_byte(keep[0]);
  if (lock->waits) {
    await_call(lock->pid, call_number(lock));
  } else {
    await_byte(keep[0]);
  }
  if (lock->fd >= 0) close(lock->fd);
  close(keep[0]);
  close(keep[1]);
}

// ---- the other pid namespace

static char inner_table[1 << 16];

struct namespace {
  pid_t first;  // as we number it
  size_t length;
};

// The first process of a pid namespace: has its own /proc, where only its own locks are told.
static void live_in_namespace(struct namespace *shared, char *table, int ready) {
  must(mount("proc", "/inner", "proc", 0, NULL) == 0);
  for (size_t i = 0; i < COUNT(locks); i++) {
    if (!locks[i].in_namespace) continue;
    locks[i].fd = open_file(&locks[i], O_RDWR);
    must(locks[i].fd >= 0 && take(&locks[i]) == 0);
  }
  shared->length = read_whole("/inner/locks", table, sizeof inner_table);
  must(write(ready, "", 1) == 1);
  for (;;) pause();
}

static void make_namespace(void) {
  struct namespace *shared = mmap(NULL, sizeof *shared + sizeof inner_table, PROT_READ | PROT_WRITE,
                                  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  must(shared != MAP_FAILED);
  int ready[2];
  must(pipe2(ready, O_CLOEXEC) == 0);
  pid_t pid = (pid_t)syscall(SYS_clone, CLONE_NEWPID | SIGCHLD, NULL, NULL, NULL, 0);
  must(pid >= 0);
  if (pid == 0) live_in_namespace(shared, (char *)(shared + 1), ready[1]);
  await_byte(ready[0]);
  memcpy(inner_table, shared + 1, shared->length);
  send_file("locks-inner.txt", inner_table, shared->length);
  for (size_t i = 0; i < COUNT(locks); i++)
    if (locks[i].in_namespace) locks[i].pid = pid;
}

// ---- delegations

static void write_to(const char *path, const char *text) {
  int fd = open(path, O_WRONLY | O_CLOEXEC);
  must(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
  close(fd);
}

// In the order in which they need each other; not every kernel has all.
static void load_modules(void) {
  static const char *const names[] = {"sunrpc",       "auth_rpcgss", "grace",   "lockd", "nfs_acl", "nfsd",
                                      "dns_resolver", "netfs",       "fscache", "nfs",   "nfsv4"};
  for (size_t i = 0; i < COUNT(names); i++) {
    char path[64];
    snprintf(path, sizeof path, "/modules/%s.ko", names[i]);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    must(fd >= 0 || errno == ENOENT);
    if (fd < 0) continue;
    must(syscall(SYS_finit_module, fd, "", 0) == 0);
    close(fd);
  }
}

static void set_loopback(bool up) {
  struct ifreq request = {.ifr_name = "lo"};
  int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  must(fd >= 0 && ioctl(fd, SIOCGIFFLAGS, &request) == 0);
  request.ifr_flags = (short)(up ? request.ifr_flags | IFF_UP : request.ifr_flags & ~IFF_UP);
  must(ioctl(fd, SIOCSIFFLAGS, &request) == 0);
  close(fd);
}

// What exportfs, mountd and nfsd (exportfs(8), nfsd(7)) tell the kernel: who the client is, what it may
// mount, and how a handle names that. The flags: NFSEXP_FSID, _NOSUBTREECHECK and _INSECURE_PORT of
// linux/nfsd/export.h.
static void serve(void) {
  must(mount("nfsd", "/proc/fs/nfsd", "nfsd", 0, NULL) == 0);
  write_to("/proc/fs/nfsd/versions", "-2 -3 +4 +4.1\n");
  write_to("/proc/fs/nfsd/nfsv4gracetime", "10\n");
  write_to("/proc/net/rpc/auth.unix.ip/channel", "nfsd 127.0.0.1 2147483647 local\n");
  write_to("/proc/net/rpc/nfsd.export/channel", "local /file/export 2147483647 9218 65534 65534 0\n");
  write_to("/proc/net/rpc/nfsd.fh/channel", "local 1 \\x00000000 2147483647 /file/export\n");
  write_to("/proc/fs/nfsd/portlist", "tcp 2049\n");
  write_to("/proc/fs/nfsd/threads", "1\n");
}

// The one thread of the server; it takes what it delegates.
static pid_t server_pid(void) {
  for (pid_t pid = 2; pid < 32768; pid++) {
    char path[64];
    char name[128] = "";
    snprintf(path, sizeof path, "/proc/%d/comm", pid);
    if (access(path, R_OK) != 0) continue;
    name[read_whole(path, name, sizeof name - 1)] = '\0';
    if (strcmp(name, "nfsd\n") == 0) return pid;
  }
  fail(__LINE__, "no nfsd");
}

static size_t count_delegations(void) {
  static char text[1 << 16];
  text[read_whole("/proc/locks", text, sizeof text - 1)] = '\0';
  size_t count = 0;
  for (const char *at = text; (at = strstr(at, "DELEG")) != NULL; at++) count++;
  return count;
}

// The server delegates when it has found that it can call the client back, so it may take more than one
// open(2).
static void make_delegations(void) {
  load_modules();
  set_loopback(true);
  must(mkdir("/file/export", 0755) == 0);
  for (size_t i = 0; i < COUNT(delegations); i++) close(open_file(&delegations[i], O_RDWR | O_CREAT));
  serve();
  const char *options = "vers=4.1,proto=tcp,addr=127.0.0.1,clientaddr=127.0.0.1,sec=sys";
  must(mount("127.0.0.1:/", "/client", "nfs4", 0, options) == 0);
  while (count_delegations() < 2) {
    must(open("/client/quiet", O_RDONLY | O_CLOEXEC) >= 0);
    must(open("/client/asked", O_RDONLY | O_CLOEXEC) >= 0);
  }
  delegations[0].pid = delegations[1].pid = server_pid();
  // A client that is not heard gives nothing back.
  set_loopback(false);
  make(&delegations[2]);
}

// ---- what is true

static char *truth;
static size_t truth_length;
static FILE *out;
static const char *separator = "";

static void begin(void) {
  out = open_memstream(&truth, &truth_length);
  must(out != NULL);
}

static void tell_lock(const struct lock *lock) {
  static const char *const kinds[] = {"FLOCK", "OFDLCK", "POSIX", "LEASE", "LEASE", "ACCESS", "DELEG"};
  char path[128];
  struct stat file;
  snprintf(path, sizeof path, "/file/%s", lock->path);
  must(stat(path, &file) == 0);
  const char *access = lock->type == F_WRLCK ? "WRITE" : "READ";
  fprintf(
      out, "%s\n    {\"name\": \"%s\", \"kind\": \"%s\", \"mode\": \"%s\", \"access\": \"%s\", \"pid\": %d",
      separator, lock->name, lock->kind ? lock->kind : kinds[lock->how], lock->mode ? lock->mode : "ADVISORY",
      lock->access ? lock->access : access, lock->how == OFD ? -1 : lock->pid);
  if (!lock->without_file)
    fprintf(out, ", \"major\": %u, \"minor\": %u, \"inode\": \"%" PRIu64 "\"", major(file.st_dev),
            minor(file.st_dev), (uint64_t)file.st_ino);
  fprintf(out, ", \"start\": \"%" PRId64 "\"", (int64_t)lock->start);
  // Reading tells the kernel no range to lock: it is the bytes that are asked for.
  if (lock->end != END) fprintf(out, ", \"end\": \"%" PRId64 "\"", (int64_t)lock->end);
  if (lock->in_namespace) fprintf(out, ", \"inner\": true");
  if (lock->waits) fprintf(out, ", \"waits\": \"%s\"", lock->waits);
  if (lock->behind) fprintf(out, ", \"behind\": \"%s\"", lock->behind);
  fputc('}', out);
  separator = ",";
}

// What the kernel adds to the flags of open(2): offsets have 64 bits, and a lease is told by a signal.
#define LARGE_FILES 0100000

// Records the fdinfo of a descriptor, and what system calls say of it.
static void tell_descriptor(const char *name, pid_t pid, int fd, const char *more) {
  char path[64];
  char file[64];
  snprintf(path, sizeof path, "/proc/%d/fdinfo/%d", pid, fd);
  snprintf(file, sizeof file, "fdinfo-%s.txt", name);
  record(path, file);
  struct statx status;
  snprintf(path, sizeof path, "/proc/%d/fd/%d", pid, fd);
  must(statx(AT_FDCWD, path, 0, STATX_INO | STATX_MNT_ID, &status) == 0);
  fprintf(out, "%s\n    {\"name\": \"%s\", \"inode\": \"%" PRIu64 "\", \"mountId\": %" PRIu64 "%s}",
          separator, name, (uint64_t)status.stx_ino, (uint64_t)status.stx_mnt_id, more);
  separator = ",";
}

static void tell_lock_holder(const char *name, const char *lock_name, const char *more) {
  const struct lock *lock = named(lock_name);
  char all[256];
  int flags = lock->how == LEASE ? O_RDONLY | O_ASYNC : O_RDWR;
  snprintf(all, sizeof all, ", \"flags\": %d%s", O_CLOEXEC | LARGE_FILES | flags, more);
  tell_descriptor(name, lock->pid, lock->fd, all);
}

static int with_file(const char *name) {
  char path[128];
  snprintf(path, sizeof path, "/file/%s", name);
  int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  must(fd >= 0);
  return fd;
}

// ---- descriptors of other kinds

// Two descriptors in flight in one message: the receiver's queue holds them.
static int socket_with_descriptors(int fds[2]) {
  int ends[2];
  must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
  char control[CMSG_SPACE(2 * sizeof(int))] = {0};
  struct iovec byte = {.iov_base = "x", .iov_len = 1};
  struct msghdr message = {
      .msg_iov = &byte, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
  struct cmsghdr *header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(2 * sizeof(int));
  memcpy(CMSG_DATA(header), fds, 2 * sizeof(int));
  must(sendmsg(ends[0], &message, 0) == 1);
  return ends[1];
}

static int ring_with_files(const int *fds, unsigned count) {
  struct io_uring_params parameters = {0};
  int ring = (int)syscall(SYS_io_uring_setup, 4, &parameters);
  must(ring >= 0);
  must(syscall(SYS_io_uring_register, ring, IORING_REGISTER_FILES, fds, count) == 0);
  return ring;
}

static int with_many_locks(void) {
  struct lock some[] = {{.how = FLOCK, .type = F_RDLCK},
                        {.how = OFD, .type = F_WRLCK, .start = 0, .end = 0},
                        {.how = OFD, .type = F_RDLCK, .start = 2, .end = 2},
                        {.how = POSIX, .type = F_WRLCK, .start = 5, .end = 7},
                        {.how = OFD, .type = F_WRLCK, .start = 4096, .end = END}};
  int fd = with_file("many");
  for (size_t i = 0; i < COUNT(some); i++) {
    some[i].fd = fd;
    must(take(&some[i]) == 0);
  }
  return fd;
}

static void tell_others(void) {
  pid_t self = getpid();
  tell_descriptor("many", self, with_many_locks(),
                  ", \"rows\": [\"FLOCK READ 0 EOF\", \"OFDLCK READ 2 2\", \"OFDLCK WRITE 0 0\", "
                  "\"OFDLCK WRITE 4096 EOF\", \"POSIX WRITE 5 7\"]");
  int plain = with_file("plain");
  must(lseek(plain, 1234567, SEEK_SET) == 1234567);
  tell_descriptor("plain", self, plain, "");
  tell_descriptor("directory", self, open("/file", O_RDONLY | O_DIRECTORY | O_CLOEXEC), "");
  tell_descriptor("path", self, open("/file/plain", O_PATH | O_CLOEXEC), "");

  int pair[2] = {plain, plain};
  tell_descriptor("socket", self, socket_with_descriptors(pair), ", \"scmFds\": 2");
  int idle[2];
  must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, idle) == 0);
  tell_descriptor("socket-idle", self, idle[0], ", \"scmFds\": 0");

  // The last name is meant to be taken for a row about a lock.
  int registered[] = {plain, -1, with_file("second"), with_file("x\nlock:\t1: nonsense")};
  tell_descriptor("ring", self, ring_with_files(registered, COUNT(registered)),
                  ", \"registered\": [\"plain\", null, \"second\", \"x\\nlock:\\t1: nonsense\"]");
  tell_descriptor("ring-idle", self, ring_with_files(&plain, 1), ", \"registered\": [\"plain\"]");

  int poll = epoll_create1(EPOLL_CLOEXEC);
  struct epoll_event event = {.events = EPOLLIN, .data.u64 = UINT64_MAX};
  must(epoll_ctl(poll, EPOLL_CTL_ADD, idle[0], &event) == 0);
  tell_descriptor("epoll", self, poll, "");
  int watch = inotify_init1(IN_CLOEXEC);
  must(inotify_add_watch(watch, "/file/plain", IN_ALL_EVENTS) >= 0);
  tell_descriptor("inotify", self, watch, "");
  tell_descriptor("eventfd", self, eventfd(7, EFD_CLOEXEC), "");
  tell_descriptor("timerfd", self, timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC), "");
  sigset_t signals;
  sigfillset(&signals);
  tell_descriptor("signalfd", self, signalfd(-1, &signals, SFD_CLOEXEC), "");
  tell_descriptor("pidfd", self, (int)syscall(SYS_pidfd_open, named("flock exclusive")->pid, 0), "");
  tell_descriptor("memfd", self, memfd_create("memory", MFD_CLOEXEC), "");
}

// ---- the whole

static void prepare(void) {
  must(mount("proc", "/proc", "proc", 0, NULL) == 0);
  // No lease is taken away while we look.
  write_to("/proc/sys/fs/lease-break-time", "100000");
  port = fopen("/dev/ttyS1", "w");
  must(port != NULL);
}

static bool has_old_locks(void) {
  struct utsname name;
  must(uname(&name) == 0);
  return strncmp(name.release, "5.10.", 5) == 0;
}

// A file on a mount and with a mode that make its locks mandatory.
static void prepare_mandatory(void) {
  must(mount("tmpfs", "/file/mandatory", "tmpfs", MS_MANDLOCK, NULL) == 0);
  int fd = with_file("mandatory/file");
  must(write(fd, "0123456789", 10) == 10 && fchmod(fd, S_ISGID | 0644) == 0);
  close(fd);
}

static void make_all(struct lock *some, size_t count) {
  for (size_t i = 0; i < count; i++) close(with_file(some[i].path));
  for (size_t i = 0; i < count; i++) make(&some[i]);
}

static void tell_all(const struct lock *some, size_t count) {
  for (size_t i = 0; i < count; i++) tell_lock(&some[i]);
}

static void tell_truth(bool old) {
  struct utsname name;
  must(uname(&name) == 0);
  begin();
  fprintf(out, "{\n  \"release\": \"%s\",\n  \"locks\": [", name.release);
  tell_all(locks, COUNT(locks));
  tell_all(delegations, COUNT(delegations));
  if (old) tell_all(old_locks, COUNT(old_locks));
  fprintf(out, "\n  ],\n  \"descriptors\": [");
  separator = "";
  tell_lock_holder("flock", "flock exclusive", ", \"locks\": [\"flock exclusive\"]");
  tell_lock_holder("flock-waiter", "flock waiter", ", \"locks\": []");
  tell_lock_holder("ofd", "ofd range", ", \"locks\": [\"ofd range\"]");
  tell_lock_holder("posix", "posix largest range", ", \"locks\": [\"posix largest range\"]");
  tell_lock_holder("posix-end", "posix to the end", ", \"locks\": [\"posix to the end\"]");
  tell_lock_holder("lease", "read lease", ", \"locks\": [\"read lease\"]");
  tell_others();
  fprintf(out, "\n  ]\n}\n");
  must(fclose(out) == 0);
  send_file("truth.json", truth, truth_length);
}

int main(void) {
  prepare();
  bool old = has_old_locks();
  make_all(locks, COUNT(locks));
  make_delegations();
  make_namespace();
  if (old) {
    prepare_mandatory();
    make_all(old_locks, COUNT(old_locks));
  }
  record("/proc/locks", "locks.txt");
  tell_truth(old);
  leave(0);
}
