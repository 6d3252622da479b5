// How long is it from SIGKILL until a poller knows that the owner is dead? deaths DIRECTORY FILE TIMES
//
// Each time, a process sets the bit and is killed while we sleep in poll(2) on FILE of the lock. Prints
// {"deaths", "wakes", "median_us", "max_us"}; fails where nothing wakes us.
#define _GNU_SOURCE
#include <poll.h>
#include <signal.h>

#include "lock.h"

#define PATIENCE_MS 15000

static int bit, owner_file, polled, wakes;

static pid_t start_owner(void) {
  int ready[2];
  char byte;
  must(pipe(ready) == 0);
  pid_t owner = fork_child();
  if (owner == 0) {
    must(put(bit, "1") == 0 && write(ready[1], "", 1) == 1);
    pause();
  }
  close(ready[1]);
  must(read(ready[0], &byte, 1) == 1);
  close(ready[0]);
  return owner;
}

// Polls and reads until the owner shows as dead: that an earlier one was waited for may still wake us once
// more.
static double wait_until_dead(pid_t owner) {
  char text[64], dead[64];
  struct pollfd entry = {.fd = polled, .events = POLLPRI};
  snprintf(dead, sizeof dead, "%d dead", owner);
  do {
    if (poll(&entry, 1, PATIENCE_MS) != 1) fail("the death of the owner woke nobody");
    must(get(polled, text, sizeof text) == 0);
    must(get(owner_file, text, sizeof text) == 0);
    wakes++;
  } while (strcmp(text, dead) != 0);
  return now_us();
}

static double time_death(void) {
  char text[64];
  pid_t owner = start_owner();
  must(get(polled, text, sizeof text) == 0);
  double start = now_us();
  must(kill(owner, SIGKILL) == 0);
  double end = wait_until_dead(owner);
  must(waitpid(owner, NULL, 0) == owner);
  must(put(bit, "1") == EOWNERDEAD);
  must(put(bit, "0") == 0);
  return end - start;
}

static int compare(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

int main(int argc, char **argv) {
  if (argc != 4) return 64;
  int times = atoi(argv[3]);
  double *taken = calloc((size_t)times, sizeof *taken);
  bit = open_attribute(argv[1], "conf_locked", O_RDWR);
  owner_file = open_attribute(argv[1], "owner", O_RDONLY);
  polled = open_attribute(argv[1], argv[2], O_RDONLY);
  must(taken && bit >= 0 && owner_file >= 0 && polled >= 0);
  for (int i = 0; i < times; i++) taken[i] = time_death();
  qsort(taken, (size_t)times, sizeof *taken, compare);
  printf("{\"deaths\": %d, \"wakes\": %d, \"median_us\": %.0f, \"max_us\": %.0f}\n", times, wakes,
         taken[times / 2], taken[times - 1]);
}
