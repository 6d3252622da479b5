// Many processes race for one bit: race DIRECTORY set|handover PROCESSES ROUNDS
//
// set: in each round all write 1 at once; the one that gets the bit clears it when all have tried.
// handover: in each round the owner is dead, and all write its epoch to "handover" at once; the one that gets
// the bit gives it to a child which dies.
//
// Prints {"rounds", "refusals", "milliseconds"}; fails at a round with other than one winner, a refusal that
// is not the expected one, or an epoch that does not grow. The bit is clear before and after.
#define _GNU_SOURCE
#include <linux/futex.h>

#include "lock.h"

// Of all processes: they share their memory.
static atomic_int this_round;   // begins when it grows; a futex
static atomic_int ready;        // how many are about to try
static atomic_int tried;        // how many have; a futex
static atomic_int winners;      // how many of them got the bit
static uint64_t last_epoch;     // of the last round
static atomic_ullong refusals;  // in all rounds

static const char *directory;
static int processes, rounds;
static int bit, epoch_file;  // of the winner
static bool for_handover;

// Without errno, which is everybody's. -errno on failure.
static long system_call(long number, long a, long b, long c, long d) {
  register long fourth __asm__("r10") = d;
  long result;
  __asm__ volatile("syscall"
                   : "=a"(result)
                   : "a"(number), "D"(a), "S"(b), "d"(c), "r"(fourth)
                   : "rcx", "r11", "memory");
  return result;
}

static void sleep_while(atomic_int *word, int value) {
  while (*word == value) system_call(SYS_futex, (long)word, FUTEX_WAIT_PRIVATE, value, 0);
}

static void wake(atomic_int *word) { system_call(SYS_futex, (long)word, FUTEX_WAKE_PRIVATE, INT_MAX, 0); }

// Sets the bit in a process that ends at once.
static void become_dead(void) {
  int status;
  pid_t child = fork_child();
  if (child == 0) _exit(put(bit, "1"));
  must(waitpid(child, &status, 0) == child);
  must(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

// The first one waits a moment for the second, so that two processors try at the same time.
static void line_up(void) {
  if (ready++ == 0)
    for (int i = 0; i < 20000 && ready == 1; i++) continue;
}

// 0, or the errno of the refusal.
static int try(int fd) {
  char text[32] = "1";
  if (for_handover) snprintf(text, sizeof text, "%llu", (unsigned long long)last_epoch);
  long result = system_call(SYS_pwrite64, fd, (long)text, (long)strlen(text), 0);
  return result < 0 ? (int)-result : 0;
}

static void count_try(void) {
  if (++tried == processes) wake(&tried);
}

static void check_refusal(int error) {
  if (error != (for_handover ? ESTALE : EBUSY)) fail("refused with %s", strerror(error));
  refusals++;
}

static void begin(int round) {
  ready = 0;
  tried = 0;
  winners = 0;
  this_round = round;
  wake(&this_round);
}

// The one that has the bit waits until all others were refused, and begins the next round.
static void win(int round) {
  uint64_t epoch = get_number(epoch_file);
  winners++;
  count_try();
  for (int count; (count = tried) != processes;) sleep_while(&tried, count);
  if (winners != 1) fail("round %d has %d winners", round, winners);
  if (epoch <= last_epoch)
    fail("round %d: epoch %llu after %llu", round, (unsigned long long)epoch, (unsigned long long)last_epoch);
  must(put(bit, "0") == 0);
  if (for_handover) {
    become_dead();
    epoch = get_number(epoch_file);
  }
  last_epoch = epoch;
  begin(round + 1);
}

static int race(void *number) {
  cpu_set_t processors;
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  CPU_ZERO(&processors);
  CPU_SET((long)number % sysconf(_SC_NPROCESSORS_ONLN), &processors);
  must(sched_setaffinity(0, sizeof processors, &processors) == 0);
  // Each has a description of its own: writes to a shared one wait for each other before they come to the
  // module.
  int fd = open_attribute(directory, for_handover ? "handover" : "conf_locked", O_WRONLY);
  must(fd >= 0);
  for (int round = 1; round <= rounds; round++) {
    for (int now; (now = this_round) < round;) sleep_while(&this_round, now);
    line_up();
    int error = try(fd);
    if (error == 0) {
      win(round);
    } else {
      check_refusal(error);
      count_try();
    }
  }
  _exit(EXIT_SUCCESS);
}

static void wait_for_all(void) {
  for (int i = 0; i < processes; i++) {
    int status;
    must(wait(&status) > 0);
    if (status != 0) _exit(EXIT_FAILURE);
  }
}

int main(int argc, char **argv) {
  if (argc != 5) return 64;
  for_handover = strcmp(argv[2], "handover") == 0;
  processes = atoi(argv[3]);
  rounds = atoi(argv[4]);
  directory = argv[1];
  bit = open_attribute(directory, "conf_locked", O_RDWR);
  epoch_file = open_attribute(directory, "epoch", O_RDONLY);
  char *stacks = malloc((size_t)processes * STACK_SIZE);
  must(bit >= 0 && epoch_file >= 0 && stacks);
  for (long i = 0; i < processes; i++) clone_child(race, (void *)i, stacks + i * STACK_SIZE);
  if (for_handover) become_dead();
  last_epoch = get_number(epoch_file);
  double start = now_us();
  begin(1);
  wait_for_all();
  if (for_handover) must(put(bit, "0") == 0);
  printf("{\"rounds\": %d, \"refusals\": %llu, \"milliseconds\": %.0f}\n", this_round - 1, refusals,
         (now_us() - start) / 1e3);
}
