// Does an owner ever seem dead while it becomes another program? execs DIRECTORY TIMES
//
// The owner calls execve(2) from a thread that is not its leader, again and again: each time the leader ends
// and the thread takes its place. Meanwhile we read who the owner is. Prints {"execs", "reads", "dead",
// "milliseconds"}; the bit is clear before and after.
#define _GNU_SOURCE
#include <pthread.h>

#include "lock.h"

static char *directory;
static int left;

static void *exec_again(void *unused) {
  char count[16];
  (void)unused;
  snprintf(count, sizeof count, "%d", left - 1);
  execl("/proc/self/exe", "execs", directory, "go-on", count, (char *)NULL);
  fail("execve: %s", strerror(errno));
}

__attribute__((noreturn)) static void go_on(void) {
  pthread_t thread;
  if (left == 0) {
    must(put(open_attribute(directory, "conf_locked", O_WRONLY), "0") == 0);
    exit(EXIT_SUCCESS);
  }
  must(pthread_create(&thread, NULL, exec_again, NULL) == 0);
  for (;;) pause();
}

int main(int argc, char **argv) {
  if (argc < 3) return 64;
  directory = argv[1];
  left = atoi(argv[argc - 1]);
  if (argc == 4) go_on();

  char text[64];
  unsigned long long reads = 0, dead = 0;
  int status;
  int bit = open_attribute(directory, "conf_locked", O_WRONLY);
  int owner = open_attribute(directory, "owner", O_RDONLY);
  must(bit >= 0 && owner >= 0);
  double start = now_us();
  pid_t child = fork_child();
  if (child == 0) {
    must(put(bit, "1") == 0);
    go_on();
  }
  while (waitpid(child, &status, WNOHANG) == 0) {
    must(get(owner, text, sizeof text) == 0);
    if (strstr(text, "dead")) dead++;
    reads++;
  }
  if (status != 0) fail("the owner ended with status %d", status);
  printf("{\"execs\": %d, \"reads\": %llu, \"dead\": %llu, \"milliseconds\": %.0f}\n", left, reads, dead,
         (now_us() - start) / 1e3);
}
