#include "kcmp.h"

#include <linux/kcmp.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "fd.h"

namespace locksmith {

int CompareDescriptions(int task1, int fd1, int task2, int fd2) {
  return static_cast<int>(OrErrno(syscall(SYS_kcmp, task1, task2, KCMP_FILE, fd1, fd2)));
}

int CompareDescriptorTables(int task1, int task2) {
  return static_cast<int>(OrErrno(syscall(SYS_kcmp, task1, task2, KCMP_FILES, 0, 0)));
}

}  // namespace locksmith
