// Ends the virtual machine at once, through QEMU's isa-debug-exit: QEMU's status is then (16 + STATUS) * 2
// + 1.
#include <stdlib.h>
#include <sys/io.h>

#define PORT 0xf4

int main(int argc, char **argv) {
  if (ioperm(PORT, 1, 1) != 0) return EXIT_FAILURE;
  outb(16 + (argc > 1 ? atoi(argv[1]) : 0), PORT);
  return EXIT_FAILURE;
}
