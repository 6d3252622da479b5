// Many locks, named many-0, many-1, ...: many create|use|remove COUNT
//
// create and remove go on until one is refused. use sets each bit, looks at owner and epoch, and clears it.
// Prints
// {"done", "errno", "milliseconds"}: how many it was, and why not more; fails where the use of a lock is
// refused.
#define _GNU_SOURCE
#include "lock.h"

#define ROOT "/sys/locks"

static int change(const char *file, int number) {
  char name[32];
  int fd = open_attribute(ROOT, file, O_WRONLY);
  must(fd >= 0);
  snprintf(name, sizeof name, "many-%d", number);
  int result = put(fd, name);
  close(fd);
  return result;
}

static uint64_t last_epoch;

static void use(int number) {
  char directory[64], text[64], expected[64];
  snprintf(directory, sizeof directory, ROOT "/many-%d", number);
  snprintf(expected, sizeof expected, "%d alive", getpid());
  int bit = open_attribute(directory, "conf_locked", O_RDWR);
  int owner = open_attribute(directory, "owner", O_RDONLY);
  int epoch = open_attribute(directory, "epoch", O_RDONLY);
  must(bit >= 0 && owner >= 0 && epoch >= 0);
  must(put(bit, "1") == 0 && get(owner, text, sizeof text) == 0);
  if (strcmp(text, expected) != 0) fail("%s: %s, not %s", directory, text, expected);
  uint64_t mine = get_number(epoch);
  must(mine > last_epoch);
  last_epoch = mine;
  must(put(bit, "0") == 0);
  close(bit);
  close(owner);
  close(epoch);
}

int main(int argc, char **argv) {
  if (argc != 3) return 64;
  int done = 0, error = 0;
  double start = now_us();
  for (; done < atoi(argv[2]) && error == 0; done += error == 0) {
    if (strcmp(argv[1], "use") == 0)
      use(done);
    else
      error = change(argv[1], done);
  }
  printf("{\"done\": %d, \"errno\": %d, \"milliseconds\": %.0f}\n", done, error, (now_us() - start) / 1e3);
}
