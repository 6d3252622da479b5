// Loads and unloads the module, once or many times:
//
//   module load FILE [PARAMETERS]   prints 0 or the errno
//   module unload                   prints 0 or the errno; never waits
//   module cycle FILE TIMES         each time: load, create a lock, use it, leave it or remove it, unload
//   module churn FILE TIMES         the same in the midst of processes that create, set, poll, hand over,
//   clear,
//                                   remove, and are killed while they do
//
// cycle and churn begin and end with the module loaded, and print {"loads", "milliseconds", ...}.
#define _GNU_SOURCE
#include <poll.h>
#include <sched.h>
#include <signal.h>

#include "lock.h"

#define ROOT "/sys/locks"
#define MODULE "locksmith"

static int load(const char *file, const char *parameters) {
  int fd = open(file, O_RDONLY | O_CLOEXEC);
  must(fd >= 0);
  int result = syscall(SYS_finit_module, fd, parameters, 0) == 0 ? 0 : errno;
  close(fd);
  return result;
}

static int unload(void) { return syscall(SYS_delete_module, MODULE, O_NONBLOCK) == 0 ? 0 : errno; }

// Opens and writes; errno as from open(2) or write(2).
static int put_file(const char *directory, const char *name, const char *text) {
  int fd = open_attribute(directory, name, O_WRONLY);
  if (fd < 0) return errno;
  int result = put(fd, text);
  close(fd);
  return result;
}

// ---- cycle

static uint64_t last_epoch;

// Epochs must not repeat, however quickly one load follows the other.
static void check_epoch(const char *directory) {
  int fd = open_attribute(directory, "epoch", O_RDONLY);
  must(fd >= 0);
  uint64_t epoch = get_number(fd);
  close(fd);
  if (epoch <= last_epoch)
    fail("epoch %llu after %llu", (unsigned long long)epoch, (unsigned long long)last_epoch);
  last_epoch = epoch;
}

static void use_once(int time) {
  must(put_file(ROOT, "create", "cycle") == 0);
  must(put_file(ROOT "/cycle", "conf_locked", "1") == 0);
  check_epoch(ROOT "/cycle");
  must(unload() == EAGAIN);
  must(put_file(ROOT "/cycle", "conf_locked", "0") == 0);
  if (time % 2) must(put_file(ROOT, "remove", "cycle") == 0);
}

static void cycle(const char *file, int times) {
  double start = now_us();
  for (int i = 0; i < times; i++) {
    must(unload() == 0);
    must(load(file, "") == 0);
    use_once(i);
  }
  printf("{\"loads\": %d, \"milliseconds\": %.0f}\n", times, (now_us() - start) / 1e3);
}

// ---- churn

#define WRITERS 3
#define NAMES 2

// Shared by all: how many rounds were done, and whether no bit is to be set for a while.
static struct {
  atomic_ullong rounds;
  atomic_bool gentle;
} * shared;

// What may come in between: somebody else's change, or the module's end.
static void check_churn(const char *what, int error) {
  static const int EXPECTED[] = {0, ENOENT, ENODEV, EEXIST, EBUSY, ESTALE, EOWNERDEAD, EALREADY};
  for (size_t i = 0; i < sizeof EXPECTED / sizeof *EXPECTED; i++)
    if (error == EXPECTED[i]) return;
  fail("%s: %s", what, strerror(error));
}

// Reads and polls: nothing that comes of it matters, but that it comes back.
static void look(const char *directory) {
  char text[64];
  struct pollfd entry = {.fd = open_attribute(directory, "owner", O_RDONLY), .events = POLLPRI};
  if (entry.fd < 0) return;
  ssize_t count = read(entry.fd, text, sizeof text);
  (void)count;
  poll(&entry, 1, 1);
  close(entry.fd);
}

static void hand_over(const char *directory) {
  char epoch[64];
  int fd = open_attribute(directory, "epoch", O_RDONLY);
  if (fd < 0) return;
  int error = get(fd, epoch, sizeof epoch);
  close(fd);
  if (error == 0) check_churn("handover", put_file(directory, "handover", epoch));
}

static void churn_once(int number) {
  char name[16], directory[64];
  snprintf(name, sizeof name, "churn-%d", number % NAMES);
  snprintf(directory, sizeof directory, ROOT "/%s", name);
  check_churn("create", put_file(ROOT, "create", name));
  int error = shared->gentle ? 0 : put_file(directory, "conf_locked", "1");
  check_churn("set", error);
  if (error == EOWNERDEAD) hand_over(directory);
  if (number % 8 == 0) look(directory);
  check_churn("clear", put_file(directory, "conf_locked", "0"));
  if (number % 2) check_churn("remove", put_file(ROOT, "remove", name));
  ++shared->rounds;
}

static void write_for_ever(int seed) {
  for (int i = seed;; i++) churn_once(i);
}

// Has a writer killed at any point of what it does, again and again.
static void kill_for_ever(void) {
  for (int i = 0;; i++) {
    pid_t victim = fork_child();
    if (victim == 0) write_for_ever(i);
    struct timespec moment = {.tv_nsec = 100000 + 37000 * (i % 50)};
    nanosleep(&moment, NULL);
    must(kill(victim, SIGKILL) == 0 && waitpid(victim, NULL, 0) == victim);
  }
}

// Bits that the killed have left would keep the module.
static void clear_all(void) {
  char directory[64];
  for (int i = 0; i < NAMES; i++) {
    snprintf(directory, sizeof directory, ROOT "/churn-%d", i);
    put_file(directory, "conf_locked", "0");
  }
}

// How long the moment is waited for in which no bit happens to be set. On a busy machine it may never come.
#define PATIENCE_US 200000

// Unloads it in the midst of what goes on; the number of refusals.
static int unload_busy(void) {
  int refused = 0;
  double start = now_us();
  for (int error; (error = unload()) != 0; refused++) {
    must(error == EAGAIN);
    if (now_us() - start > PATIENCE_US) shared->gentle = true;
    sched_yield();
  }
  shared->gentle = false;
  return refused;
}

static void churn(const char *file, int times) {
  pid_t children[WRITERS + 1];
  int refused = 0;
  double start = now_us();
  shared = shared_memory(sizeof *shared);
  // Of the killer's victims: one that lives on would take a bit once more.
  must(prctl(PR_SET_CHILD_SUBREAPER, 1) == 0);
  for (int i = 0; i <= WRITERS; i++) {
    children[i] = fork_child();
    if (children[i] == 0 && i < WRITERS) write_for_ever(i);
    if (children[i] == 0) kill_for_ever();
  }
  for (int i = 0; i < times; i++) {
    unsigned long long before = shared->rounds;
    refused += unload_busy();
    must(load(file, "") == 0);
    // Nobody who fails on the way goes unnoticed.
    while (shared->rounds < before + 20) must(waitpid(-1, NULL, WNOHANG) == 0 && sched_yield() == 0);
  }
  // The last one first: it has a child.
  for (int i = WRITERS; i >= 0; i--) must(kill(children[i], SIGKILL) == 0);
  while (wait(NULL) > 0) continue;
  clear_all();
  printf("{\"loads\": %d, \"refused\": %d, \"rounds\": %llu, \"milliseconds\": %.0f}\n", times, refused,
         (unsigned long long)shared->rounds, (now_us() - start) / 1e3);
}

int main(int argc, char **argv) {
  const char *command = argc > 1 ? argv[1] : "";
  if (strcmp(command, "load") == 0 && argc >= 3)
    printf("%d\n", load(argv[2], argc > 3 ? argv[3] : ""));
  else if (strcmp(command, "unload") == 0)
    printf("%d\n", unload());
  else if (strcmp(command, "cycle") == 0 && argc == 4)
    cycle(argv[2], atoi(argv[3]));
  else if (strcmp(command, "churn") == 0 && argc == 4)
    churn(argv[2], atoi(argv[3]));
  else
    return 64;
}
