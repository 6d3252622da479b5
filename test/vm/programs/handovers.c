// Passes a bit from one dead owner to the next while another process reads it all the time:
// handovers DIRECTORY TIMES
//
// Each owner is a process that lives for one write: to "handover", each third time to "force". Prints
// {"reads", "zeros", "milliseconds"}; fails at an epoch that does not grow. The bit is clear before and
// after.
#define _GNU_SOURCE
#include "lock.h"

struct watch {
  atomic_bool stop;
  atomic_ullong reads, zeros;
};

static int bit, epoch_file, handover, force;

static void read_on(struct watch *watch) {
  char text[8];
  while (!watch->stop) {
    must(get(bit, text, sizeof text) == 0);
    if (strcmp(text, "1") != 0) watch->zeros++;
    watch->reads++;
  }
  _exit(EXIT_SUCCESS);
}

struct life {
  int fd;
  const char *text;
};

static int live(void *life) { return put(((struct life *)life)->fd, ((struct life *)life)->text); }

// An owner that writes and dies.
static void live_once(int fd, const char *text) {
  static char stack[STACK_SIZE] __attribute__((aligned(16)));
  int status;
  pid_t owner = clone_child(live, &(struct life){fd, text}, stack);
  must(waitpid(owner, &status, 0) == owner);
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) fail("refused: %s", strerror(WEXITSTATUS(status)));
}

int main(int argc, char **argv) {
  if (argc != 3) return 64;
  bit = open_attribute(argv[1], "conf_locked", O_RDWR);
  epoch_file = open_attribute(argv[1], "epoch", O_RDONLY);
  handover = open_attribute(argv[1], "handover", O_WRONLY);
  force = open_attribute(argv[1], "force", O_WRONLY);
  must(bit >= 0 && epoch_file >= 0 && handover >= 0 && force >= 0);
  struct watch *watch = shared_memory(sizeof *watch);
  live_once(bit, "1");
  double start = now_us();
  pid_t reader = fork_child();
  if (reader == 0) read_on(watch);
  for (int i = 0; i < atoi(argv[2]); i++) {
    char text[32];
    uint64_t before = get_number(epoch_file);
    snprintf(text, sizeof text, "%llu", (unsigned long long)before);
    live_once(i % 3 == 2 ? force : handover, text);
    uint64_t after = get_number(epoch_file);
    if (after <= before) fail("epoch %llu after %s", (unsigned long long)after, text);
  }
  watch->stop = true;
  must(waitpid(reader, NULL, 0) == reader);
  must(put(bit, "0") == 0);
  printf("{\"reads\": %llu, \"zeros\": %llu, \"milliseconds\": %.0f}\n", watch->reads, watch->zeros,
         (now_us() - start) / 1e3);
}
